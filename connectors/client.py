"""The SDK: ask the exchange from any Python program, in three lines.

    hub = Client.open("credentials.json")
    why = Authority("不动产登记核验", "不动产登记暂行条例第十八条", "0100301000", "2026-7", "W-12")
    answer = hub.query("population.resident", Subject("cn.resident_id", number), ["name"], why)

It signs a client assertion (RFC 7523) for an access token, and a DPoP proof (RFC 9449) for every
call. It keeps the token for the minutes that it lives and nothing else; it never logs. Not for
many threads at once: give each its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from schemas.canonical import b64url, canonical
from schemas.errors import Invalid, NotFound, Refused, Unavailable, YizhanError
from schemas.grant import Authority, Subject

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
EARLY_SECONDS = 20  # a token is renewed that long before it ends
PUBLIC = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

Clock = Callable[[], float]


class ProblemAnswer(YizhanError):
    """The exchange said no; `problem` is its document (RFC 9457)."""

    code = "problem"
    problem: Mapping[str, Any]


class CallRefused(ProblemAnswer, Refused):
    """A rule refused; `rule` names it."""


class CallInvalid(ProblemAnswer, Invalid):
    """The call does not fit; it will not without a change."""


class HubUnavailable(ProblemAnswer, Unavailable):
    """Try again: the same call may work later."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the hub is, which client we are, and the private key that proves it."""

    base_url: str
    client_id: str
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False)
    public_jwk: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """Read a credentials file: base_url, client_id, private_jwk. Raises `Invalid`."""
        try:
            held = json.loads(path.read_text("utf-8"))
            return cls.of(held["base_url"], held["client_id"], held["private_jwk"])
        except OSError as err:
            raise NotFound(f"there is no credentials file {path}") from err
        except (ValueError, KeyError, TypeError, jwt.InvalidKeyError) as err:
            raise Invalid(f"{path} is not a credentials file") from err

    @classmethod
    def of(cls, base_url: str, client_id: str, private_jwk: Mapping[str, str]) -> Credentials:
        """Make credentials from a private JWK, EC P-256 or OKP Ed25519."""
        public = {name: private_jwk[name] for name in PUBLIC[private_jwk["kty"]]}
        algorithm = ECAlgorithm if private_jwk["kty"] == "EC" else OKPAlgorithm
        key = algorithm.from_jwk(dict(private_jwk))
        if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise Invalid("the credentials hold no private key of P-256 or Ed25519")
        return cls(base_url.rstrip("/"), client_id, key, public)

    @property
    def alg(self) -> str:
        """The algorithm of the key."""
        return "ES256" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "EdDSA"

    @property
    def kid(self) -> str:
        """The key's RFC 7638 thumbprint."""
        return b64url(sha256(canonical(dict(self.public_jwk))).digest())


def new_key() -> dict[str, str]:
    """Make a private JWK on P-256; register its public half, keep the rest."""
    made = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {name: str(made[name]) for name in ("kty", "crv", "x", "y", "d")}


def public_half(private_jwk: Mapping[str, str]) -> dict[str, str]:
    """The members of a JWK that may be shown."""
    return {name: private_jwk[name] for name in PUBLIC[private_jwk["kty"]]}


class Client:
    """A client system of the exchange."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        http: httpx.Client | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.credentials = credentials
        self._http = http or httpx.Client(timeout=30)
        self._clock = clock
        self._token = ""
        self._token_ends = 0.0

    @classmethod
    def open(cls, path: str | Path) -> Client:
        """Open with a credentials file. Raises `Invalid`."""
        return cls(Credentials.read(Path(path)))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def query(
        self, resource: str, subject: Subject, fields: Sequence[str], authority: Authority
    ) -> dict[str, Any]:
        """Ask for fields of one subject. Raises `CallRefused`, `CallInvalid`, `HubUnavailable`."""
        body = {**_about(subject, authority), "fields": list(fields)}
        return self.post(f"/v1/resources/{resource}/query", body)

    def verify(
        self,
        resource: str,
        subject: Subject,
        claims: Mapping[str, object],
        authority: Authority,
    ) -> dict[str, Any]:
        """Compare claims with what the exchange holds. Raises as `query`."""
        body = {**_about(subject, authority), "claims": dict(claims)}
        return self.post(f"/v1/resources/{resource}/verify", body)

    def predicate(
        self,
        resource: str,
        subject: Subject,
        predicates: Sequence[str],
        authority: Authority,
    ) -> dict[str, Any]:
        """Ask yes-or-no questions of the fixed catalogue. Raises as `query`."""
        body = {**_about(subject, authority), "predicates": list(predicates)}
        return self.post(f"/v1/resources/{resource}/predicate", body)

    def accesses(self, subject: Subject, authority: Authority) -> dict[str, Any]:
        """Who asked about a subject. Raises as `query`."""
        return self.post("/v1/subjects/accesses", _about(subject, authority))

    def post(self, path: str, body: object, headers: Mapping[str, str] = {}) -> dict[str, Any]:
        """Post a JSON body, signed; return the JSON answer. Raises as `query`."""
        return self._answer(self.request("POST", path, body, headers))

    def get(self, path: str) -> dict[str, Any]:
        """Get a JSON answer, signed. Raises as `query`."""
        return self._answer(self.request("GET", path))

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        """Send one signed call and return the response, whatever it is."""
        token = self.token()
        url = self.credentials.base_url + path
        signed = {"Authorization": f"DPoP {token}", "DPoP": self.proof(method, url, token)}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        try:
            return self._http.request(
                method, url, content=content, headers={**headers, **kind, **signed}
            )
        except httpx.TransportError as err:
            raise HubUnavailable(f"the hub does not answer: {type(err).__name__}") from err

    def token(self) -> str:
        """An access token that lives for a while yet."""
        if self._clock() > self._token_ends - EARLY_SECONDS:
            url = f"{self.credentials.base_url}/v1/token"
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self.assertion(),
            }
            try:
                answer = self._http.post(url, data=form, headers={"DPoP": self.proof("POST", url)})
            except httpx.TransportError as err:
                raise HubUnavailable(f"the hub does not answer: {type(err).__name__}") from err
            issued = self._answer(answer)
            self._token = str(issued["access_token"])
            self._token_ends = self._clock() + int(issued["expires_in"])
        return self._token

    def assertion(self) -> str:
        """A client assertion for the token endpoint."""
        now, held = int(self._clock()), self.credentials
        claims = {
            "iss": held.client_id,
            "sub": held.client_id,
            "aud": held.base_url,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": uuid4().hex,
        }
        return jwt.encode(claims, held.key, algorithm=held.alg, headers={"kid": held.kid})

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A DPoP proof for one call."""
        claims = {"htm": method, "htu": url, "iat": int(self._clock()), "jti": uuid4().hex}
        if token is not None:
            claims["ath"] = b64url(sha256(token.encode()).digest())
        headers = {"typ": "dpop+jwt", "jwk": dict(self.credentials.public_jwk)}
        held = self.credentials
        return jwt.encode(claims, held.key, algorithm=held.alg, headers=headers)

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        try:
            said = response.json()
        except ValueError:
            said = {}
        if response.is_success and isinstance(said, dict):
            return said
        raise _error(response.status_code, said if isinstance(said, dict) else {})


def _about(subject: Subject, authority: Authority) -> dict[str, Any]:
    return {
        "subject": {"type": subject.type, "id": subject.id},
        "authority": {
            "purpose": authority.purpose,
            "basis": authority.basis,
            "item": authority.item,
            "case": authority.case,
            "officer": authority.officer,
        },
    }


def _error(status: int, problem: Mapping[str, Any]) -> ProblemAnswer:
    message = problem.get("message") or {}
    kind = (
        HubUnavailable
        if status >= 500
        else CallRefused
        if status in (401, 403, 409, 429)
        else CallInvalid
    )
    english = str(message.get("en", f"the hub answered {status}"))
    error = kind(english, zh=str(message.get("zh", "")), rule=problem.get("rule"))
    error.problem = problem
    return error
