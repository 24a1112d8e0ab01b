"""Tokens: one strict function that checks any of them, and the three kinds that are used here.

    client assertion  RFC 7523   a client proves who it is at the token endpoint
    access token      RFC 9068   ours, five minutes, bound to the client's key (`cnf.jkt`)
    DPoP proof        RFC 9449   one per call, signed with that key

A token is judged here by its bytes and the time alone. Whether it was seen before, and whether its
client and key still stand, is for the database to say in the statement that serves the call.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import jwt

from exchange.bodies import strict_json
from exchange.keyring import Ring
from exchange.keys import PublicKey, TokenKey, public_key
from exchange.ledger.entries import Signed
from schemas.canonical import b64url, sha256, unb64url
from schemas.errors import Invalid, Unauthenticated

LONGEST = 8 * 1024  # compact form, looked at before anything is parsed
LIFETIME = 300  # seconds
LEEWAY = 10
PROOF_AGE = 60
JTI = 128

_JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of token must look like, beyond what every token must."""

    name: str
    typ: str
    header: frozenset[str]
    claims: frozenset[str]
    optional: frozenset[str] = frozenset()


ASSERTION = Kind(
    "client assertion",
    "JWT",
    frozenset({"typ", "alg", "kid"}),
    frozenset({"iss", "sub", "aud", "iat", "exp", "jti"}),
    frozenset({"nbf"}),
)
ACCESS = Kind(
    "access token",
    "at+jwt",
    frozenset({"typ", "alg", "kid"}),
    frozenset({"iss", "sub", "client_id", "aud", "iat", "exp", "jti", "cnf"}),
)
PROOF = Kind(
    "DPoP proof",
    "dpop+jwt",
    frozenset({"typ", "alg", "jwk"}),
    frozenset({"htm", "htu", "iat", "jti"}),
    frozenset({"ath", "exp", "nonce"}),
)


@dataclass(frozen=True, slots=True)
class Token:
    """What a token proved: its key, its claims. Not proved: that it was never used before."""

    key: PublicKey
    claims: Mapping[str, object]

    def text(self, claim: str) -> str:
        """A claim that is a text."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) else ""

    @property
    def seen_key(self) -> bytes:
        """The unique row of this token: two kinds or two keys never share one."""
        return sha256(f"{self.key.kid}\0{self.text('jti')}".encode())


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a call says it is from, proved by token and proof; the database has the last word."""

    client: str
    kid: str | None
    proof: bytes | None = field(repr=False)
    signed: Signed | None = None


class BadToken(Unauthenticated):
    """A token does not prove what it should; `rule` says which check failed."""


def check(
    token: str, kind: Kind, key_of: Callable[[Mapping[str, object]], PublicKey], at: int
) -> Token:
    """Check a token of any kind. Raises `BadToken`.

    The caller still owes: audience, issuer and binding, that the `jti` is new, and that client
    and key still stand.
    """
    # 1. The compact form, before any parsing.
    parts = _parts(token, kind)
    # 2. Header: exactly these members, one type, and the one algorithm of the key it names.
    header = _object(parts[0], kind)
    if set(header) != kind.header or header["typ"] != kind.typ:
        raise _bad(kind, "header")
    key = _key(key_of, header, kind)
    if header["alg"] != key.alg:
        raise _bad(kind, "alg")
    # 3. The signature, over the bytes that were read and not over another reading of them.
    told = token.rpartition(".")[0].encode()
    if not _JWS.get_algorithm_by_name(key.alg).verify(told, key.key, parts[2]):
        raise _bad(kind, "signature")
    # 4. Claims: all that must be, none that are unknown, and times that are integers.
    claims = _object(parts[1], kind)
    if not kind.claims <= set(claims) <= kind.claims | kind.optional:
        raise _bad(kind, "claims")
    jti = claims["jti"]
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI:
        raise _bad(kind, "jti")
    proved = Token(key, claims)
    check_times(proved, kind, at)
    return proved


def named_key(assertion: str) -> str:
    """The `kid` that an assertion names. Not proved: only to find the key to prove it with."""
    kid = _object(_parts(assertion, ASSERTION)[0], ASSERTION).get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= JTI:
        raise _bad(ASSERTION, "header")
    return kid


def check_assertion(
    token: str, client: str, registered: PublicKey, audience: str, at: int
) -> Token:
    """Check an assertion (RFC 7523 section 3) against a key of `client`. Raises `BadToken`."""

    def key(header: Mapping[str, object]) -> PublicKey:
        if header["kid"] != registered.kid:
            raise _bad(ASSERTION, "kid")
        return registered

    proved = check(token, ASSERTION, key, at)
    if proved.text("iss") != client or proved.text("sub") != client:
        raise _bad(ASSERTION, "sub")
    _check_audience(proved, audience, ASSERTION)
    return proved


def check_access(token: str, own: Ring, issuer: str, at: int) -> Token:
    """Check one of our access tokens (RFC 9068 section 4). Raises `BadToken`."""

    def key(header: Mapping[str, object]) -> PublicKey:
        named = own.named(header["kid"], at)
        if named is None:
            raise _bad(ACCESS, "kid")
        return named.public

    proved = check(token, ACCESS, key, at)
    if proved.text("iss") != issuer or proved.text("sub") != proved.text("client_id"):
        raise _bad(ACCESS, "iss")
    _check_audience(proved, issuer, ACCESS)
    if not bound_to(proved):
        raise _bad(ACCESS, "cnf")
    return proved


def check_proof(proof: str, method: str, url: str, access: str | None, at: int) -> Token:
    """Check a DPoP proof (RFC 9449 section 4.3). Raises `BadToken`.

    The caller still owes: that its key is the one the access token is bound to.
    """
    proved = check(proof, PROOF, lambda header: public_key(header["jwk"]), at)
    if proved.text("htm") != method or proved.text("htu") != url:
        raise _bad(PROOF, "htu")
    expected = b64url(sha256(access.encode())) if access is not None else ""
    if not hmac.compare_digest(proved.text("ath"), expected):
        raise _bad(PROOF, "ath")
    return proved


def bound_to(access: Token) -> str:
    """The thumbprint of the key that an access token is bound to; empty when it is to none."""
    cnf = access.claims.get("cnf")
    jkt = cnf.get("jkt") if isinstance(cnf, dict) and set(cnf) == {"jkt"} else None
    return jkt if isinstance(jkt, str) else ""


def issue(client: str, jkt: str, own: TokenKey, issuer: str, at: int) -> str:
    """Make an access token of five minutes for a client, bound to its key."""
    claims = {
        "iss": issuer,
        "sub": client,
        "client_id": client,
        "aud": issuer,
        "iat": at,
        "exp": at + LIFETIME,
        "jti": uuid4().hex,
        "cnf": {"jkt": jkt},
    }
    headers = {"typ": ACCESS.typ, "kid": own.public.kid}
    return jwt.encode(claims, own.private, algorithm=own.public.alg, headers=headers)


def _bad(kind: Kind, check: str) -> BadToken:
    rule = f"{kind.name.lower().replace(' ', '-')}-{check}"
    return BadToken(f"the {kind.name} fails its check of {check}", zh="令牌未通过验证", rule=rule)


def _parts(token: str, kind: Kind) -> list[bytes]:
    if len(token) > LONGEST:
        raise _bad(kind, "length")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts) or not token.isascii():
        raise _bad(kind, "form")
    try:
        # RFC 7515 section 2: base64url without padding; one spelling only.
        return [unb64url(part) for part in parts]
    except Invalid as err:
        raise _bad(kind, "encoding") from err


def _object(raw: bytes, kind: Kind) -> dict[str, object]:
    try:
        value = strict_json(raw)
    except Invalid as err:
        raise _bad(kind, "json") from err
    if not isinstance(value, dict):
        raise _bad(kind, "json")
    return value


def _key(
    key_of: Callable[[Mapping[str, object]], PublicKey], header: Mapping[str, object], kind: Kind
) -> PublicKey:
    try:
        return key_of(header)
    except Invalid as err:
        raise _bad(kind, "key") from err


def check_times(token: Token, kind: Kind, at: int) -> None:
    """Check the times of a token whose bytes were checked before. Raises `BadToken`."""
    claims = token.claims
    times = {name: claims[name] for name in ("iat", "exp", "nbf") if name in claims}
    # Exactly int: a bool is an int to Python, a text or a float is one to PyJWT.
    if not all(type(moment) is int and 0 <= moment < 1 << 40 for moment in times.values()):
        raise _bad(kind, "times")
    issued = _moment(times["iat"])
    expires = _moment(times.get("exp", issued + PROOF_AGE))
    if kind is PROOF:
        expires = min(expires, issued + PROOF_AGE)
    if not 0 < expires - issued <= LIFETIME:
        raise _bad(kind, "lifetime")
    if at >= expires + LEEWAY:
        raise _bad(kind, "exp")
    if max(issued, _moment(times.get("nbf", issued))) > at + LEEWAY:
        raise _bad(kind, "iat")


def _moment(value: object) -> int:
    assert isinstance(value, int)
    return value


def _check_audience(token: Token, audience: str, kind: Kind) -> None:
    # A single text: a list could name another party that may replay the token here.
    if token.text("aud") != audience:
        raise _bad(kind, "aud")
