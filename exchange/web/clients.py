"""A client's own affairs: its next key, given by itself under the one that it has.

The next key proves itself by a proof of its own; the present key stays good for an overlap, so all
of the client's processes can turn to the next one without a refused call.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from exchange import bodies, tokens
from exchange.keys import public_key
from exchange.ledger.entries import Decision, begun
from exchange.problems import declared
from exchange.tokens import BadToken
from exchange.web.caller import Caller, hub_of, needed, record, single_headers, target
from exchange.web.openapi import request_body
from schemas.errors import YizhanError

router = APIRouter(tags=["clients"])
OVERLAP = timedelta(days=7)
SPEND = (
    "INSERT INTO hub.seen (key, expires_at) VALUES ($1, now() + interval '5 minutes') "
    "ON CONFLICT DO NOTHING RETURNING true"
)
ADD = "SELECT hub.add_key($1, $2, $3, $4)"


class NextKey(BaseModel):
    """The next public key, and a DPoP proof of this very call that is signed with it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jwk: dict[str, str] = Field(max_length=8)
    proof: str = Field(max_length=tokens.LONGEST)


class KeyAdded(BaseModel):
    """The next key is good at once; the present one for some seconds more."""

    kid: str
    overlap_seconds: int
    receipt: str


@router.post(
    "/v1/client/keys",
    summary="Give the client its next key",
    response_model=None,
    responses={200: {"model": KeyAdded}, **declared(400, 401, 403, 413, 415, 422, 503)},
    openapi_extra=request_body(NextKey),
)
async def add_key(request: Request, caller: Caller) -> Response:
    """Signed with the present key, and proved with the next."""
    hub, call = hub_of(request), begun("add-key")
    call.client, call.key, call.signed = caller.client, caller.kid, caller.signed
    try:
        body = bodies.strict_model(NextKey, await bodies.read(request, "application/json"))
        proved = _proved(request, body)
        call.resource = "client.key"
        call.fields = (proved.key.kid,)
        if await hub.pool.fetchval(SPEND, proved.seen_key) is None:
            raise BadToken("the proof was used before", rule="next-key-proof-replayed")
        if not await hub.pool.fetchval(
            ADD, caller.kid, proved.key.kid, dict(proved.key.jwk), OVERLAP
        ):
            raise BadToken("the key is registered already", rule="next-key-not-new")
    except YizhanError as err:
        await record(request, err, caller)
        raise
    await hub.ledger.write(call.ended(Decision.ISSUED))
    told: dict[str, Any] = {
        "kid": proved.key.kid,
        "overlap_seconds": int(OVERLAP.total_seconds()),
        "receipt": str(call.receipt),
    }
    return Response(orjson.dumps(told), 200, {"cache-control": "no-store"}, "application/json")


def _proved(request: Request, body: NextKey) -> tokens.Token:
    """Whoever gives a key must hold its private half. Raises `BadKey` or `BadToken`."""
    url = target(request.scope, hub_of(request).settings.public_url)
    access = needed(single_headers(request), "authorization").partition(" ")[2]
    shown = tokens.check_proof(body.proof, "POST", url, access, int(time.time()))
    if shown.key.kid != public_key(dict(body.jwk)).kid:
        raise BadToken("the proof is of another key", rule="next-key-proof")
    return shown
