"""The token endpoint: OAuth 2.0 client credentials with `private_key_jwt` and DPoP.

RFC 6749 section 4.4, RFC 7523, RFC 9449. The DPoP key must be a registered key of the client, so
that revoking the key ends the tokens too. Every answer, yes or no, is in the ledger.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from exchange import bodies, problems, tokens
from exchange.answering import record_failure
from exchange.hub import Hub
from exchange.keys import PublicKey, public_key
from exchange.ledger.entries import Call, Decision, begun
from exchange.problems import Malformed, declared
from exchange.tokens import BadToken, Token
from exchange.web.caller import hub_of, needed, single_headers
from exchange.web.openapi import request_body
from schemas.errors import Unauthenticated, YizhanError

router = APIRouter(tags=["tokens"])
FORM = "application/x-www-form-urlencoded"
FORM_LIMIT = 16 * 1024
GRANT_TYPE = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

KEY = (
    "SELECT k.client, k.jwk FROM hub.client_key k JOIN hub.client c ON c.id = k.client "
    "WHERE k.kid = $1 AND k.revoked_at IS NULL AND c.status = 'active' "
    "AND (k.retires_at IS NULL OR now() < k.retires_at)"
)
SPEND = (
    "INSERT INTO hub.seen (key, expires_at) "
    "SELECT key, now() + interval '10 minutes' FROM unnest($1::bytea[]) AS key "
    "ON CONFLICT DO NOTHING RETURNING 1"
)


class TokenForm(BaseModel):
    """What the token endpoint takes, as a form."""

    grant_type: str
    client_assertion_type: str
    client_assertion: str
    client_id: str | None = None
    scope: str | None = None


class TokenAnswer(BaseModel):
    """An access token of five minutes, for calls with a DPoP proof of the same key."""

    access_token: str
    token_type: str
    expires_in: int


@router.post(
    "/v1/token",
    summary="Get an access token",
    response_model=None,
    responses={200: {"model": TokenAnswer}, **declared(400, 401, 413, 415, 503)},
    openapi_extra=request_body(TokenForm, FORM, secured=False),
)
async def token(request: Request) -> Response:
    """Prove the client by a signed assertion, and its key by a DPoP proof."""
    hub = hub_of(request)
    call = begun("token")
    try:
        access = await _issue(request, hub, call)
    except YizhanError as err:
        await record_failure(hub.ledger, call, err)
        return problems.response(err, {"error": _oauth_error(err)})
    await hub.ledger.write(call.ended(Decision.ISSUED))
    answer: dict[str, Any] = {
        "access_token": access,
        "token_type": "DPoP",
        "expires_in": tokens.LIFETIME,
    }
    content = orjson.dumps(answer)
    # RFC 6749 section 5.1: a token is never cached.
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(content, media_type="application/json", headers=headers)


async def _issue(request: Request, hub: Hub, call: Call) -> str:
    """Read, prove, spend, make. Raises `Malformed` or `Unauthenticated`."""
    at = int(time.time())
    assertion = _assertion(bodies.strict_form(await bodies.read(request, FORM, FORM_LIMIT)))
    client, key = await _registered(hub, tokens.named_key(assertion))
    proved = tokens.check_assertion(assertion, client, key, hub.settings.public_url, at)
    url = hub.settings.public_url + request.scope["path"]
    shown = tokens.check_proof(
        needed(single_headers(request), "dpop"), request.method, url, None, at
    )
    bound, _ = await _registered(hub, shown.key.kid)
    if bound != client:
        raise BadToken("the proof's key is not the client's", rule="dpop-proof-key")
    await _spend(hub, proved, shown)
    call.client, call.key = client, shown.key.kid
    own = hub.token_keys.ring.signing(at)
    return tokens.issue(client, shown.key.kid, own, hub.settings.public_url, at)


def _assertion(form: dict[str, str]) -> str:
    if not {"grant_type", "client_assertion_type", "client_assertion"} <= set(form):
        raise Malformed("the form lacks a member", zh="表单缺少必要项", rule="invalid_request")
    if not set(form) <= set(TokenForm.model_fields):
        raise Malformed("the form holds a member too many", rule="invalid_request")
    if form["grant_type"] != GRANT_TYPE:
        raise Malformed("the grant type is not offered", rule="unsupported_grant_type")
    if form["client_assertion_type"] != ASSERTION_TYPE:
        raise Malformed("the assertion type is not offered", rule="invalid_request")
    return form["client_assertion"]


async def _registered(hub: Hub, kid: str) -> tuple[str, PublicKey]:
    row = await hub.pool.fetchrow(KEY, kid)
    if row is None:
        raise Unauthenticated("no client has this key", zh="客户端未登记", rule="client-unknown")
    return row["client"], public_key(row["jwk"])


async def _spend(hub: Hub, *used: Token) -> None:
    """Use each token up: a unique row, so that of two that come at once one is refused."""
    rows = await hub.pool.fetch(SPEND, [token.seen_key for token in used])
    if len(rows) != len(used):
        raise BadToken("the assertion or its proof was used before", rule="replayed")


def _oauth_error(err: YizhanError) -> str:
    """RFC 6749 section 5.2's word for it, for clients that know no other."""
    if isinstance(err, Unauthenticated):
        return "invalid_dpop_proof" if (err.rule or "").startswith("dpop") else "invalid_client"
    if err.rule == "unsupported_grant_type":
        return err.rule
    return "temporarily_unavailable" if problems.kind_of(err).status >= 500 else "invalid_request"
