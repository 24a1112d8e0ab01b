"""Who is calling: the access token and the DPoP proof of a request, and what they prove.

`proved` judges the two by their bytes alone. Routes that ask `answering` leave the rest (is the
proof new, do client and key stand) to the statement that serves the call; other routes take
`Caller`, which asks the database itself. A caller that is refused is recorded.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request

from exchange import tokens
from exchange.answering import record_failure
from exchange.hub import Hub
from exchange.keys import TokenKey
from exchange.ledger.entries import begun
from exchange.tokens import BadToken, Bearer, Token
from schemas.errors import Invalid, Refused, Unauthenticated, YizhanError

STANDS = """
WITH fresh AS (
    INSERT INTO hub.seen (key, expires_at) VALUES ($1, now() + interval '5 minutes')
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT EXISTS (SELECT FROM fresh) AS fresh,
       EXISTS (SELECT FROM hub.client c JOIN hub.client_key k ON k.client = c.id
               WHERE c.id = $2 AND c.status = 'active' AND k.kid = $3
                 AND k.revoked_at IS NULL) AS stands
"""


def hub_of(request: Request) -> Hub:
    """The running hub."""
    hub: Hub = request.app.state.hub
    return hub


def proved(request: Request) -> Bearer:
    """Check token and proof of a request. Raises `BadToken`."""
    hub = hub_of(request)
    at = int(time.time())
    access = _authorization(request)
    token = _access(access, hub.token_key, hub.settings.public_url)
    tokens.check_times(token, tokens.ACCESS, at)
    proof = single_header(request, "dpop")
    url = hub.settings.public_url + request.scope["path"]
    shown = tokens.check_proof(proof, request.method, url, access, at)
    # RFC 9449 section 7.1: the proof's key is the one that the token is bound to.
    if shown.key.kid != tokens.bound_to(token):
        raise BadToken("the proof is of another key", zh="令牌未通过验证", rule="dpop-proof-key")
    return Bearer(token.text("client_id"), shown.key.kid, shown.seen_key)


async def caller(request: Request) -> Bearer:
    """The authenticated caller of a route; a refusal is recorded. Raises `Unauthenticated`."""
    try:
        bearer = proved(request)
        row = await hub_of(request).pool.fetchrow(STANDS, bearer.proof, bearer.client, bearer.kid)
        if not row["fresh"]:
            raise BadToken("the proof was used before", rule="dpop-proof-replayed")
        if not row["stands"]:
            raise Unauthenticated("client or key do not stand", rule="client-not-active")
    except (Invalid, Refused) as err:
        await record(request, err)
        raise
    return bearer


Caller = Annotated[Bearer, Depends(caller)]


async def record(request: Request, err: YizhanError, bearer: Bearer | None = None) -> None:
    """Record a call that did not get as far as being asked: malformed, or by nobody known.

    Of the request the ledger keeps the route and whose token it was, never what was sent.
    """
    route = getattr(request.scope.get("route"), "name", "unknown")
    call = begun(route)
    if bearer is not None:
        call.client, call.key = bearer.client, bearer.kid
    await record_failure(hub_of(request).ledger, call, err)


@lru_cache(maxsize=4096)
def _access(token: str, own: TokenKey, issuer: str) -> Token:
    """Remembered: the same bytes are signed well or badly for ever. Only time is looked at anew."""
    return tokens.check_access(token, own, issuer, int(time.time()))


def _authorization(request: Request) -> str:
    scheme, _, token = single_header(request, "authorization").partition(" ")
    if scheme.lower() != "dpop" or not token:
        raise BadToken("the call needs `Authorization: DPoP …`", rule="token-missing")
    return token


def single_header(request: Request, name: str) -> str:
    """A header that must stand exactly once. Raises `BadToken`."""
    match request.headers.getlist(name):
        case [value]:
            return value
        case []:
            raise BadToken(f"the header {name} is missing", zh="缺少令牌", rule="token-missing")
    raise BadToken(f"the header {name} stands twice", zh="令牌重复", rule="token-twice")
