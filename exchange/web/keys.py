"""The hub's public keys, with which its answers are checked (JSON Web Key Set, RFC 7517)."""

from __future__ import annotations

import time

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from exchange.web.caller import hub_of

router = APIRouter(tags=["keys"])


class KeySet(BaseModel):
    """Keys that the hub signs answers with."""

    keys: list[dict[str, str]]


@router.get(
    "/v1/keys",
    summary="The keys that answers are signed with",
    response_model=None,
    responses={200: {"model": KeySet}},
)
async def keys(request: Request) -> Response:
    """Asked with a signature, the set itself is signed: whoever trusts one key learns the next."""
    known = hub_of(request).answer_keys.ring.known(time.time())
    listed = [
        {**own.jwk, "kid": own.kid, "alg": own.alg, "use": "sig"}
        for own in (key.public for key in known)
    ]
    headers = {"cache-control": "public, max-age=300"}
    return Response(orjson.dumps({"keys": listed}), 200, headers, "application/json")
