"""Tokens that are almost right: none is accepted, whatever is wrong with it.

Each mutation is signed with the right key where it can be, so that nothing but the strictness of
the check stands in its way.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import jwt
import pytest

from connectors.client import Credentials, new_key, public_half
from exchange import tokens
from exchange.keyring import Ring
from exchange.keys import BadKey, TokenKey, public_key, token_key
from exchange.tokens import BadToken
from schemas.canonical import b64url

AT = 1_795_348_800
HUB = "https://hub.example"
OWN = token_key(bytes(range(32)))
RING = Ring.of(OWN)
KEY = new_key()
CLIENT = Credentials.of(HUB, "housing", KEY)
REGISTERED = public_key(public_half(KEY))

Claims = dict[str, Any]


def access_claims(**changes: Any) -> Claims:
    """The claims of a good access token, with changes; None leaves a claim out."""
    good = {
        "iss": HUB,
        "sub": "housing",
        "client_id": "housing",
        "aud": HUB,
        "iat": AT,
        "exp": AT + 300,
        "jti": "1",
        "cnf": {"jkt": CLIENT.kid},
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(payload: bytes, header: Mapping[str, Any] | bytes, own: TokenKey = OWN) -> str:
    """Sign whatever bytes, without any library's help."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    told = f"{b64url(head)}.{b64url(payload)}"
    return f"{told}.{b64url(own.private.sign(told.encode()))}"


HEADER = {"typ": "at+jwt", "alg": "EdDSA", "kid": OWN.public.kid}


def access(header: Mapping[str, Any] = HEADER, **changes: Any) -> str:
    """An access token with changes, signed with the right key."""
    return signed(json.dumps(access_claims(**changes)).encode(), header)


def with_hmac() -> str:
    """HS256 keyed with the public key: the oldest confusion of algorithms."""
    secret = base64.urlsafe_b64decode(dict(OWN.public.jwk)["x"] + "=")
    return jwt.encode(
        access_claims(), secret, algorithm="HS256", headers={**HEADER, "alg": "HS256"}
    )


def without_signature() -> str:
    """`alg: none`, with an empty signature."""
    head, body, _ = access({**HEADER, "alg": "none"}).split(".")
    return f"{head}.{body}."


def padded(part: int) -> str:
    """The same bytes, spelled with padding."""
    parts = access().split(".")
    parts[part] += "=" * (-len(parts[part]) % 4 or 4)
    return ".".join(parts)


def other_spelling() -> str:
    """The same signature bytes, spelled with stray trailing bits."""
    head, body, signature = access().split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return f"{head}.{body}.{signature[:-1]}{alphabet[alphabet.index(signature[-1]) + 1]}"


def doubled(name: str) -> str:
    """A claim that stands twice; readers disagree about which one holds."""
    text = json.dumps(access_claims())
    return signed((text[:-1] + f', "{name}": "other"}}').encode(), HEADER)


ACCESS_MUTATIONS: dict[str, Callable[[], str]] = {
    "typ JWT": lambda: access({**HEADER, "typ": "JWT"}),
    "typ in capitals": lambda: access({**HEADER, "typ": "AT+JWT"}),
    "typ missing": lambda: access({k: v for k, v in HEADER.items() if k != "typ"}),
    "alg none": without_signature,
    "alg HS256 with the public key": with_hmac,
    "alg named otherwise": lambda: access({**HEADER, "alg": "ES256"}),
    "kid of nobody": lambda: access({**HEADER, "kid": "x"}),
    "kid missing": lambda: access({k: v for k, v in HEADER.items() if k != "kid"}),
    "a critical extension": lambda: access({**HEADER, "crit": ["b64"], "b64": False}),
    "a key of its own": lambda: access({**HEADER, "jwk": public_half(KEY)}),
    "an address of a key": lambda: access({**HEADER, "jku": "https://evil.example/keys"}),
    "another issuer": lambda: access(iss="https://evil.example"),
    "another audience": lambda: access(aud="https://other.example"),
    "a list of audiences": lambda: access(aud=[HUB, "https://other.example"]),
    "a list of one audience": lambda: access(aud=[HUB]),
    "audience missing": lambda: access(aud=None),
    "exp missing": lambda: access(exp=None),
    "exp a text": lambda: access(exp=str(AT + 300)),
    "exp a fraction": lambda: access(exp=AT + 300.0),
    "exp true": lambda: access(exp=True),
    "exp past": lambda: access(iat=AT - 311, exp=AT - 11),
    "exp in ten years": lambda: access(exp=AT + 315_360_000),
    "a second too long": lambda: access(exp=AT + 301),
    "exp before iat": lambda: access(exp=AT - 1, iat=AT),
    "iat in the future": lambda: access(iat=AT + 11, exp=AT + 100),
    "iat missing": lambda: access(iat=None),
    "iat negative": lambda: access(iat=-1),
    "jti empty": lambda: access(jti=""),
    "jti missing": lambda: access(jti=None),
    "jti a number": lambda: access(jti=7),
    "jti without end": lambda: access(jti="j" * 129),
    "sub of another": lambda: access(sub="other"),
    "bound to nothing": lambda: access(cnf=None),
    "bound to an empty key": lambda: access(cnf={"jkt": ""}),
    "bound in two ways": lambda: access(cnf={"jkt": CLIENT.kid, "x5t#S256": "x"}),
    "a claim too many": lambda: access(admin=True),
    "aud twice": lambda: doubled("aud"),
    "jti twice": lambda: doubled("jti"),
    "header member twice": lambda: signed(
        json.dumps(access_claims()).encode(),
        (json.dumps(HEADER)[:-1] + ', "typ": "at+jwt"}').encode(),
    ),
    "padded header": lambda: padded(0),
    "padded claims": lambda: padded(1),
    "padded signature": lambda: padded(2),
    "other trailing bits": other_spelling,
    "a newline in it": lambda: access().replace(".", ".\n", 1),
    "a blank before it": lambda: " " + access(),
    "four parts": lambda: access() + ".x",
    "two parts": lambda: access().rsplit(".", 1)[0],
    "empty": lambda: "",
    "not ASCII": lambda: access() + "é",
    "longer than 8 KB": lambda: access(jti="1", sub="s" * 9000),
    "sixteen MiB": lambda: "a." * (8 << 20),
    "claims a list": lambda: signed(b"[1]", HEADER),
    "claims NaN": lambda: signed(b'{"exp": NaN}', HEADER),
    "claims with NUL": lambda: access(jti="a\0b"),
    "claims with half a character": lambda: signed(
        json.dumps(access_claims()).replace('"1"', '"\\ud800"').encode(), HEADER
    ),
    "signed by another": lambda: signed(
        json.dumps(access_claims()).encode(), HEADER, token_key(bytes(32))
    ),
    "a byte changed": lambda: access().replace("A", "B", 1),
}


class TestAccessToken:
    def test_a_good_one(self) -> None:
        """So that the mutations fail for what they are."""
        proved = tokens.check_access(access(), RING, HUB, AT)

        assert tokens.bound_to(proved) == CLIENT.kid

    def test_what_is_issued_is_accepted(self) -> None:
        """Our own tokens pass our own check, and end after five minutes and the leeway."""
        made = tokens.issue("housing", CLIENT.kid, OWN, HUB, AT)

        assert tokens.check_access(made, RING, HUB, AT + 309).text("sub") == "housing"
        with pytest.raises(BadToken):
            tokens.check_access(made, RING, HUB, AT + 310)

    @pytest.mark.parametrize("name", ACCESS_MUTATIONS)
    def test_no_mutation_passes(self, name: str) -> None:
        """Refused as a bad token, never by a crash."""
        with pytest.raises(BadToken):
            tokens.check_access(ACCESS_MUTATIONS[name](), RING, HUB, AT)


def proof(header: Mapping[str, Any] = {}, key: Any = CLIENT.key, **changes: Any) -> str:
    """A DPoP proof with changes, signed with the right key."""
    good = {"htm": "POST", "htu": f"{HUB}/v1/x", "iat": AT, "jti": "p1", "ath": _ath()}
    claims = {name: value for name, value in (good | changes).items() if value is not None}
    head = {"typ": "dpop+jwt", "jwk": public_half(KEY)} | dict(header)
    return jwt.encode(claims, key, algorithm=str(head.get("alg", "ES256")), headers=head)


def _ath() -> str:
    return b64url(sha256(b"token").digest())


def _high_byte_key() -> dict[str, str]:
    return public_half(KEY) | {"y": public_half(KEY)["x"]}


PROOF_MUTATIONS: dict[str, Callable[[], str]] = {
    "another method": lambda: proof(htm="GET"),
    "method in small letters": lambda: proof(htm="post"),
    "another address": lambda: proof(htu=f"{HUB}/v1/y"),
    "an address with a query": lambda: proof(htu=f"{HUB}/v1/x?a=1"),
    "another host": lambda: proof(htu="https://evil.example/v1/x"),
    "of another token": lambda: proof(ath=b64url(sha256(b"other").digest())),
    "of no token": lambda: proof(ath=None),
    "too old": lambda: proof(iat=AT - 71),
    "of the future": lambda: proof(iat=AT + 11),
    "iat a text": lambda: proof(iat=str(AT)),
    "jti empty": lambda: proof(jti=""),
    "jti missing": lambda: proof(jti=None),
    "typ JWT": lambda: proof({"typ": "JWT"}),
    "a private key in it": lambda: proof({"jwk": KEY}),
    "a key for encryption": lambda: proof({"jwk": public_half(KEY) | {"use": "enc"}}),
    "a key for other operations": lambda: proof({"jwk": public_half(KEY) | {"key_ops": ["sign"]}}),
    "a point off the curve": lambda: proof({"jwk": _high_byte_key()}),
    "a key of another": lambda: proof({"jwk": public_half(new_key())}),
    "no key": lambda: proof({"jwk": None}),
    "a symmetric key": lambda: proof({"jwk": {"kty": "oct", "k": "AAAA"}}),
    "a claim too many": lambda: proof(admin=True),
    "kid beside the key": lambda: proof({"kid": CLIENT.kid}),
}


class TestProof:
    def test_a_good_one(self) -> None:
        """Proved by the key that it shows."""
        assert tokens.check_proof(proof(), "POST", f"{HUB}/v1/x", "token", AT).key.kid == CLIENT.kid

    @pytest.mark.parametrize("name", PROOF_MUTATIONS)
    def test_no_mutation_passes(self, name: str) -> None:
        """Refused as a bad token, never by a crash."""
        with pytest.raises(BadToken):
            tokens.check_proof(PROOF_MUTATIONS[name](), "POST", f"{HUB}/v1/x", "token", AT)

    def test_a_signature_has_one_place_in_replay(self) -> None:
        """ECDSA lets anybody make a second signature; the proof's name stays the same."""
        made = proof()
        told, _, signature = made.rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        twin = f"{told}.{b64url(r.to_bytes(32) + (order - s).to_bytes(32))}"

        first = tokens.check_proof(made, "POST", f"{HUB}/v1/x", "token", AT)
        second = tokens.check_proof(twin, "POST", f"{HUB}/v1/x", "token", AT)

        assert first.seen_key == second.seen_key


def assertion(header: Mapping[str, Any] = {}, **changes: Any) -> str:
    """A client assertion with changes."""
    good = {
        "iss": "housing",
        "sub": "housing",
        "aud": HUB,
        "iat": AT,
        "exp": AT + 60,
        "jti": "a1",
    }
    claims = {name: value for name, value in (good | changes).items() if value is not None}
    head = {"typ": "JWT", "kid": CLIENT.kid} | dict(header)
    return jwt.encode(claims, CLIENT.key, algorithm="ES256", headers=head)


ASSERTION_MUTATIONS: dict[str, Callable[[], str]] = {
    "of another client": lambda: assertion(sub="other", iss="other"),
    "iss and sub differ": lambda: assertion(iss="other"),
    "for another hub": lambda: assertion(aud="https://other.example"),
    "for two hubs": lambda: assertion(aud=[HUB, "https://other.example"]),
    "an access token's type": lambda: assertion({"typ": "at+jwt"}),
    "a proof's type": lambda: assertion({"typ": "dpop+jwt"}),
    "long-lived": lambda: assertion(exp=AT + 301),
    "not yet": lambda: assertion(nbf=AT + 11),
    "another kid": lambda: assertion({"kid": "x"}),
    "jti missing": lambda: assertion(jti=None),
}


class TestAssertion:
    def test_a_good_one(self) -> None:
        """Proved by the key that it names."""
        made = assertion()

        assert tokens.named_key(made) == CLIENT.kid
        assert tokens.check_assertion(made, "housing", REGISTERED, HUB, AT).text("jti") == "a1"

    @pytest.mark.parametrize("name", ASSERTION_MUTATIONS)
    def test_no_mutation_passes(self, name: str) -> None:
        """Refused as a bad token, never by a crash."""
        with pytest.raises(BadToken):
            tokens.check_assertion(ASSERTION_MUTATIONS[name](), "housing", REGISTERED, HUB, AT)


class TestKeys:
    def test_a_thumbprint_is_rfc_8037s(self) -> None:
        """The example of RFC 8037 appendix A.3."""
        jwk = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }

        assert public_key(jwk).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    @pytest.mark.parametrize(
        "jwk",
        [
            None,
            [],
            {},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": "P-256", "x": 7, "y": "AA"},
            {"kty": "OKP", "crv": "X25519", "x": b64url(bytes(32))},
            {"kty": "OKP", "crv": "Ed25519", "x": b64url(bytes(31))},
            {"kty": ["EC"]},
        ],
    )
    def test_other_keys_are_refused(self, jwk: object) -> None:
        """By one error, whatever is wrong."""
        with pytest.raises(BadKey):
            public_key(jwk)
