"""The query endpoint stripped of all evidence: no token, no proof, no grant, no ledger.

It reads the body by the same strict reader, looks up by the same statement, shows values by the
same code, under the same server settings. What is left out is what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

from exchange import app, bodies, forms, resources, subjects
from exchange.database import Role
from exchange.decide import Allowed
from exchange.hub import CONNECTIONS
from exchange.settings import Settings
from exchange.web.calls import JSON, QueryBody
from schemas.grant import Form


def create_app(settings: Settings) -> FastAPI:
    """The stripped application."""

    @asynccontextmanager
    async def lifespan(bare: FastAPI) -> AsyncIterator[None]:
        dsn = settings.database.dsn(Role.HUB)
        async with asyncpg.create_pool(dsn, min_size=2, max_size=CONNECTIONS) as pool:
            bare.state.pool = pool
            yield

    bare = FastAPI(lifespan=lifespan)

    @bare.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @bare.post("/v1/resources/{code}/query", response_model=None)
    async def query(code: str, request: Request) -> Response:
        body = bodies.strict_model(QueryBody, await bodies.read(request, JSON))
        subject = subjects.normalised(body.subject.noun())
        assert subject is not None
        allowed = Allowed(tuple(body.fields), dict.fromkeys(body.fields, Form.PLAIN), {})
        statement = resources.look_up(code, subject.type, allowed.fields, ())
        rows = await request.app.state.pool.fetch(
            statement.sql, *statement.arguments(subject.id, {})
        )
        shown = forms.values(resources.find(code), allowed, rows)
        content = orjson.dumps({"found": bool(shown), "values": shown})
        return Response(content, media_type=JSON, headers={"cache-control": "no-store"})

    return bare


if __name__ == "__main__":
    app.serve(create_app(Settings.load()), "127.0.0.1", int(sys.argv[1]))
