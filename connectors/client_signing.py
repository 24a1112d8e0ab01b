"""What a client signs, and how it proves that an answer is the hub's to its very call.

Part of the SDK; it sends nothing. Assertions (RFC 7523), DPoP proofs (RFC 9449), and message
signatures (RFC 9421, with the digests of RFC 9530), the latter both ways.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from connectors.client_keys import Credentials, PublicKey, is_signed
from schemas import message_signature
from schemas.canonical import b64url, sha256
from schemas.errors import Invalid, Unavailable
from schemas.message_signature import (
    ALGORITHMS,
    ANSWER,
    CALL,
    LABEL,
    Parameter,
    content_digest,
)

ASSERTION_SECONDS = 60
SIGNED_TOO = ("idempotency-key",)  # a header that changes what a call means
BOUND = ('"@method";req', '"@target-uri";req', f'"signature";req;key="{LABEL}"')


class AnswerNotVerified(Unavailable):
    """It is not proved that the hub gave this answer to this call; nothing of it may be used."""

    code = "answer-not-verified"


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed call as it goes out: what an answer is held against, and what a receipt keeps."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    told: bytes = b""

    @property
    def signature(self) -> str:
        """The value of its signature, as the answer's base repeats it."""
        return self.headers.get("signature", "").partition("=")[2]


@dataclass(frozen=True, slots=True)
class Came:
    """An answer as it came in; header names are small."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def assertion(held: Credentials, at: int) -> str:
    """A client assertion for the token endpoint (RFC 7523 section 3)."""
    claims = {
        "iss": held.client_id,
        "sub": held.client_id,
        "aud": held.base_url,
        "iat": at,
        "exp": at + ASSERTION_SECONDS,
        "jti": uuid4().hex,
    }
    return _jws(held, {"typ": "JWT", "kid": held.kid}, claims)


def proof(
    held: Credentials, method: str, url: str, token: str | None, at: int, jti: str | None = None
) -> str:
    """A DPoP proof for one call (RFC 9449 section 4.2)."""
    claims = {"htm": method, "htu": url, "iat": at, "jti": jti or uuid4().hex}
    if token is not None:
        claims["ath"] = b64url(sha256(token.encode()))
    return _jws(held, {"typ": "dpop+jwt", "jwk": dict(held.public_jwk)}, claims)


def signed_call(
    held: Credentials,
    method: str,
    url: str,
    content: bytes | None,
    token: str | None,
    headers: Mapping[str, str],
    at: int,
) -> Sent:
    """Sign a call: token, a proof for it alone, and a signature over method, address and body."""
    jti = uuid4().hex
    sent = {name.lower(): value for name, value in headers.items()}
    sent["accept-encoding"] = "identity"  # the digest of the answer is of what travels
    if token is not None:
        sent["authorization"] = f"DPoP {token}"
        sent["dpop"] = proof(held, method, url.partition("?")[0], token, at, jti)
    if content is not None:
        sent.setdefault("content-type", "application/json")
        sent["content-digest"] = content_digest(content)
    values = {'"@method"': method, '"@target-uri"': url}
    covered = ("content-type", "content-digest") if content is not None else ()
    values |= {f'"{name}"': sent[name] for name in (*covered, *SIGNED_TOO) if name in sent}
    parameters: dict[str, Parameter] = {
        "created": at,
        "keyid": held.kid,
        "alg": ALGORITHMS[held.alg],
        "nonce": jti,
        "tag": CALL,
    }
    said = message_signature.said(tuple(values), parameters)
    told = message_signature.base(tuple(values), values, said)
    return Sent(method, url, sent | message_signature.headers(said, held.sign(told)), content, told)


def verified(came: Came, sent: Sent, keys: Mapping[str, PublicKey]) -> bytes:
    """Prove that the hub gave this answer to this call; return the bytes that it signed.

    Raises `AnswerNotVerified`. Its age is not looked at: it repeats the signature of the call,
    which was made now and for this call alone.
    """
    # 1. The headers, in the form of the profile.
    try:
        signature = message_signature.read(
            came.headers.get("signature-input", ""), came.headers.get("signature", "")
        )
    except Invalid as err:
        raise _not_verified("is not signed") from err
    # 2. It covers the status, the content, and the call: its method, address and signature.
    values = _answer_values(came, sent)
    if set(signature.components) != set(values) or signature.parameters.get("tag") != ANSWER:
        raise _not_verified("is signed for less than it says, or for another purpose")
    # 3. RFC 9530 section 2: the content is the one that was digested.
    if came.headers.get("content-digest") != content_digest(came.content):
        raise _not_verified("was changed on its way")
    # 4. RFC 9421 section 3.2: signed with a key of the hub.
    key = keys.get(str(signature.parameters.get("keyid")))
    if key is None:
        raise _not_verified("is signed with a key that is not known as the hub's")
    told = message_signature.base(signature.components, values, signature.said)
    if not is_signed(key, told, signature.value):
        raise _not_verified("does not bear the hub's signature for this call")
    return told


def named_key(came: Came) -> str:
    """The key that an answer says it is signed with; empty when it says none. Not proved."""
    try:
        read = message_signature.read(came.headers["signature-input"], came.headers["signature"])
    except (KeyError, Invalid):
        return ""
    return str(read.parameters.get("keyid", ""))


def _answer_values(came: Came, sent: Sent) -> dict[str, str]:
    there = [name for name in ("content-type", "content-digest") if name in came.headers]
    bound = dict(zip(BOUND, (sent.method, sent.url, sent.signature), strict=True))
    fields = {f'"{name}"': came.headers[name] for name in there}
    return {'"@status"': str(came.status), '"content-digest"': ""} | fields | bound


def _jws(held: Credentials, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    """A JWS in compact form (RFC 7515 section 7.1)."""
    parts = ({"alg": held.alg, **header}, claims)
    told = ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{told}.{b64url(held.sign(told.encode()))}"


def _not_verified(what: str) -> AnswerNotVerified:
    return AnswerNotVerified(f"the answer {what}", zh="答复未通过验签，不得使用")
