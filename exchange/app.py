"""The hub: one FastAPI application over PostgreSQL, made by `create_app(settings)`.

It wires the routes together and decides nothing: the judgement is in `exchange/decide.py`, the
evidence in `exchange/ledger`. Run it with `python -m exchange.app --port 8000`.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from exchange import problems
from exchange.answering import DATABASE_ERRORS
from exchange.hub import Hub, open_hub
from exchange.problems import Malformed, WrongMethod
from exchange.settings import Settings
from exchange.web import ROUTERS, openapi
from exchange.web.edge import Counts, Edge
from exchange.web.signing import Signing
from license_vault.signer.client import Signer
from schemas.errors import Invalid, NotFound, Refused, Unavailable, YizhanError

DESCRIPTION = (
    "Answers departments' questions about a subject under a grant, and keeps evidence of every "
    "call. Errors are problem documents (RFC 9457)."
)
BACKLOG = 1024


def create_app(settings: Settings, signer: Signer | None = None) -> FastAPI:
    """Make the hub's application; `app.state.hub` is its `Hub` while it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_hub(settings, signer) as hub:
            app.state.hub = hub
            yield

    app = FastAPI(
        title="Yizhan",
        description=DESCRIPTION,
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    _add_health(app)
    app.add_exception_handler(YizhanError, _problem)
    app.add_exception_handler(HTTPException, _framework_problem)
    app.add_exception_handler(RequestValidationError, _framework_problem)
    for database_error in DATABASE_ERRORS:
        app.add_exception_handler(database_error, _database_problem)
    counts = Counts()
    app.state.counts = counts
    app.add_middleware(Edge, counts=counts)
    app.add_middleware(Signing)  # the last one added is the outermost
    openapi.describe(app)
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", summary="Is the hub able to answer", responses=problems.declared(503))
    async def healthz(request: Request) -> JSONResponse:
        """The database is asked, and the ledger's writer must be alive."""
        hub: Hub = request.app.state.hub
        await hub.pool.fetchval("SELECT 1")
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    @app.get("/metrics", summary="Figures for a monitor", response_class=PlainTextResponse)
    async def metrics(request: Request) -> PlainTextResponse:
        """Calls by route and status, entries and flushes of the ledger; no subject, no client."""
        ledger = request.app.state.hub.ledger
        counts: Counts = request.app.state.counts
        own = {
            "yizhan_ledger_entries_total": ledger.written,
            "yizhan_ledger_flushes_total": ledger.flushes,
        }
        lines = [*counts.lines(), *(f"{name} {value}" for name, value in own.items())]
        return PlainTextResponse("\n".join(lines) + "\n")


async def _problem(_: Request, error: Exception) -> Response:
    return problems.response(error)


async def _database_problem(_: Request, error: Exception) -> Response:
    """Never the database's own words: its DETAIL repeats keys."""
    return problems.response(Unavailable("the database does not answer", zh="服务暂不可用"))


async def _framework_problem(_: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        return problems.response(Invalid("the call does not fit", zh="请求内容不符合要求"))
    assert isinstance(error, HTTPException)
    answer = problems.response(_of_framework(error.status_code))
    answer.headers.update(error.headers or {})
    return answer


def _of_framework(status: int) -> Exception:
    match status:
        case 404:
            return NotFound("there is no such address", zh="地址不存在")
        case 405:
            return WrongMethod("not with this method", zh="不支持此请求方法")
        case 401 | 403:
            return Refused("refused", zh="拒绝访问")
    return Malformed("the call cannot be read", zh="请求无法解析")


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="Run the hub.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    serve(create_app(Settings.load()), chosen.host, chosen.port)


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until told to stop. Access logs stay off: a stranger's path may hold anything."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        backlog=BACKLOG,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
