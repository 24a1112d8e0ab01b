"""Who is calling: the access token, the DPoP proof and the message signature of a request.

`proved` judges the three by their bytes alone. Routes that ask `answering` leave the rest (is the
proof new, do client and key stand, must the client sign) to the statement that serves the call;
other routes take `Caller`, which asks the database itself. A caller that is refused is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request

from exchange import signatures, tokens
from exchange.answering import record_failure
from exchange.hub import Hub
from exchange.keyring import Ring
from exchange.ledger.entries import begun
from exchange.signatures import Asked
from exchange.tokens import BadToken, Bearer, Token
from schemas.errors import Invalid, NotFound, Refused, Unauthenticated, YizhanError

UNQUOTED = "/&=:@!$'()*+,;-._~"  # RFC 3986 section 3.3
SIGNATURE = frozenset({"signature", "signature-input"})
STANDS = """
WITH fresh AS (
    INSERT INTO hub.seen (key, expires_at) VALUES ($1, now() + interval '5 minutes')
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT EXISTS (SELECT FROM fresh) AS fresh,
       EXISTS (SELECT FROM hub.client c JOIN hub.client_key k ON k.client = c.id
               WHERE c.id = $2 AND c.status = 'active' AND k.kid = $3 AND k.revoked_at IS NULL
                 AND (k.retires_at IS NULL OR now() < k.retires_at)) AS stands,
       $4 OR EXISTS (SELECT FROM hub.client c
                     WHERE c.id = $2 AND now() < c.unsigned_until) AS signed
"""


def hub_of(request: Request) -> Hub:
    """The running hub."""
    hub: Hub = request.app.state.hub
    return hub


def proved(request: Request) -> Bearer:
    """Check token, proof and signature of a request. Raises `BadToken`.

    The caller still owes: that the body has the digest that was signed (`bodies.read` looks), and
    that a call without a signature is of a client that need not sign yet.
    """
    hub = hub_of(request)
    at = int(time.time())
    headers = single_headers(request)
    access = _authorization(headers)
    token = _access(access, hub.token_keys.ring, hub.settings.public_url)
    tokens.check_times(token, tokens.ACCESS, at)
    uri = target(request.scope, hub.settings.public_url)
    # RFC 9449 section 4.2: `htu` is the address without its query.
    url = uri.partition("?")[0]
    shown = tokens.check_proof(needed(headers, "dpop"), request.method, url, access, at)
    _check_one_spelling(request.scope)
    # RFC 9449 section 7.1: the proof's key is the one that the token is bound to.
    if shown.key.kid != tokens.bound_to(token):
        raise BadToken("the proof is of another key", zh="令牌未通过验证", rule="dpop-proof-key")
    signed = None
    if not SIGNATURE.isdisjoint(headers):
        asked = Asked(request.method, uri, headers)
        signed = hub.evidence.sealed(signatures.check_call(asked, shown, at))
    return Bearer(token.text("client_id"), shown.key.kid, shown.seen_key, signed)


async def caller(request: Request) -> Bearer:
    """The authenticated caller of a route; a refusal is recorded. Raises `Unauthenticated`."""
    try:
        bearer = proved(request)
        row = await hub_of(request).pool.fetchrow(
            STANDS, bearer.proof, bearer.client, bearer.kid, bearer.signed is not None
        )
        if not row["fresh"]:
            raise BadToken("the proof was used before", rule="dpop-proof-replayed")
        if not row["stands"]:
            raise Unauthenticated("client or key do not stand", rule="client-not-active")
        if not row["signed"]:
            raise Unauthenticated("the call must be signed", rule="signature-missing")
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
        call.client, call.key, call.signed = bearer.client, bearer.kid, bearer.signed
    await record_failure(hub_of(request).ledger, call, err)


@lru_cache(maxsize=4096)
def _access(token: str, own: Ring, issuer: str) -> Token:
    """Remembered: the same bytes are signed well or badly for ever. Only time is looked at anew."""
    return tokens.check_access(token, own, issuer, int(time.time()))


def target(scope: Mapping[str, Any], base: str) -> str:
    """RFC 9421 section 2.2.2: the whole address, as it was asked for, below our public one."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    return base + (path.split(b"?", 1)[0] + query).decode("latin-1")


def _check_one_spelling(scope: Mapping[str, Any]) -> None:
    """What was signed and what is served are one address: written in one way, without controls."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    asked = raw.split(b"?", 1)[0].decode("latin-1")
    if not path.isprintable() or quote(path, safe=UNQUOTED) != asked:
        raise NotFound("there is no such address", zh="地址不存在")


def single_headers(request: Request) -> dict[str, str]:
    """Every header that stands exactly once; one that stands twice has no value that holds."""
    found, twice = dict[bytes, bytes](), set[bytes]()
    for name, value in request.scope["headers"]:
        if name in found:
            twice.add(name)
        found[name] = value
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in found.items()
        if name not in twice
    }


def _authorization(headers: Mapping[str, str]) -> str:
    scheme, _, token = needed(headers, "authorization").partition(" ")
    if scheme.lower() != "dpop" or not token:
        raise BadToken("the call needs `Authorization: DPoP …`", rule="token-missing")
    return token


def needed(headers: Mapping[str, str], name: str) -> str:
    """A header that must stand exactly once. Raises `BadToken`."""
    if name in headers:
        return headers[name]
    message = f"the header {name} must stand exactly once"
    raise BadToken(message, zh="缺少令牌", rule="token-missing")
