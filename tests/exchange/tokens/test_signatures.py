"""Message signatures that are almost right, of calls and of answers: none is accepted.

Each mutation is signed again with the right key where that is what it takes, so that nothing but
the strictness of the check stands in its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from connectors import client_signing
from connectors.client_keys import Credentials, is_signed, new_key, public_half, public_key
from connectors.client_signing import AnswerNotVerified, Came, Sent
from exchange import signatures, tokens
from exchange.keys import public_key as registered
from exchange.keys import token_key
from exchange.ledger.entries import Signed
from exchange.signatures import Asked, Evidence
from exchange.tokens import BadToken
from schemas import message_signature
from schemas.errors import Invalid
from schemas.message_signature import ANSWER, CALL, BadMessageSignature, content_digest

AT = 1_795_348_800
URL = "https://hub.example/v1/resources/population.resident/query"
BODY = b'{"subject": {}}'
HUB = token_key(bytes(range(32)))
CLIENT = Credentials.of("https://hub.example", "housing", new_key())
OTHER = Credentials.of("https://hub.example", "housing", new_key())
Headers = dict[str, str]


def call(held: Credentials = CLIENT, headers: Mapping[str, str] = {}) -> Sent:
    """A good call."""
    return client_signing.signed_call(held, "POST", URL, BODY, "token", headers, AT)


def proof_of(sent: Mapping[str, str]) -> tokens.Token:
    """The proof of a call, checked."""
    return tokens.check_proof(sent["dpop"], "POST", URL, "token", AT)


GOOD = call()
PROOF = proof_of(GOOD.headers)
COMPONENTS = ('"@method"', '"@target-uri"', '"content-type"', '"content-digest"')
VALUES = {
    '"@method"': "POST",
    '"@target-uri"': URL,
    '"content-type"': "application/json",
    '"content-digest"': content_digest(BODY),
}


def resigned(
    components: tuple[str, ...] = COMPONENTS,
    held: Credentials = CLIENT,
    values: Mapping[str, str] = {},
    label: str = "yizhan",
    **parameters: Any,
) -> Headers:
    """The good call's headers, with another signature made with the right key; None leaves out."""
    told: dict[str, Any] = {
        "created": AT,
        "keyid": CLIENT.kid,
        "alg": "ecdsa-p256-sha256",
        "nonce": PROOF.text("jti"),
        "tag": CALL,
    } | parameters
    said = message_signature.said(components, {k: v for k, v in told.items() if v is not None})
    base = message_signature.base(components, VALUES | dict(values), said)
    return dict(GOOD.headers) | message_signature.headers(said, held.sign(base), label)


def without(*names: str) -> Headers:
    """The good call's headers without some."""
    return {name: value for name, value in GOOD.headers.items() if name not in names}


def edited(name: str, old: str, new: str) -> Headers:
    """The good call's headers, one edited on its way."""
    assert old in GOOD.headers[name]
    return dict(GOOD.headers) | {name: GOOD.headers[name].replace(old, new, 1)}


def malleable() -> Headers:
    """The signature with a byte too many, as DER or padding would bring."""
    value = message_signature.unfield(GOOD.signature)
    return dict(GOOD.headers) | {"signature": f"yizhan={message_signature.field(value + bytes(1))}"}


def as_der() -> Headers:
    """The signature in DER, as most libraries write it by default."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    raw = message_signature.unfield(GOOD.signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return dict(GOOD.headers) | {"signature": f"yizhan={message_signature.field(der)}"}


IDEMPOTENT = {"idempotency-key": "case-1"}

CALL_MUTATIONS: dict[str, Callable[[], Headers]] = {
    "no signature": lambda: without("signature"),
    "no input": lambda: without("signature-input"),
    "neither": lambda: without("signature", "signature-input"),
    "empty": lambda: dict(GOOD.headers) | {"signature": ""},
    "zeros": lambda: dict(GOOD.headers) | {"signature": f"yizhan=:{'A' * 86}==:"},
    "of other bytes": lambda: resigned(values={'"@method"': "PUT"}),
    "of another address": lambda: resigned(values={'"@target-uri"': URL + "?x=1"}),
    "of another host": lambda: resigned(values={'"@target-uri"': URL.replace("hub.", "evil.")}),
    "of another body": lambda: resigned(values={'"content-digest"': content_digest(b"{}")}),
    "digest changed": lambda: dict(GOOD.headers) | {"content-digest": content_digest(b"{}")},
    "digest gone": lambda: without("content-digest"),
    "media type changed": lambda: dict(GOOD.headers) | {"content-type": "text/plain"},
    "method not covered": lambda: resigned(COMPONENTS[1:]),
    "address not covered": lambda: resigned((COMPONENTS[0], *COMPONENTS[2:])),
    "media type not covered": lambda: resigned((*COMPONENTS[:2], COMPONENTS[3])),
    "digest not covered": lambda: resigned(COMPONENTS[:3]),
    "nothing covered": lambda: edited("signature-input", '("@method"', "("),
    "an idempotency key not covered": lambda: dict(GOOD.headers) | IDEMPOTENT,
    "a header that is not there": lambda: resigned(
        (*COMPONENTS, '"x-case"'), values={'"x-case"': "1"}
    ),
    "a component twice": lambda: resigned((*COMPONENTS, '"@method"')),
    "a component of the answer's kind": lambda: resigned(
        (*COMPONENTS, '"@method";req'), values={'"@method";req': "POST"}
    ),
    "made by another key": lambda: resigned(held=OTHER),
    "another key's name": lambda: resigned(held=OTHER, keyid=OTHER.kid),
    "a key's name edited": lambda: edited("signature-input", CLIENT.kid, OTHER.kid),
    "no key's name": lambda: resigned(keyid=None),
    "another algorithm": lambda: resigned(alg="ed25519"),
    "HMAC": lambda: resigned(alg="hmac-sha256"),
    "no algorithm": lambda: resigned(alg=None),
    "another nonce": lambda: resigned(nonce="0" * 32),
    "no nonce": lambda: resigned(nonce=None),
    "too old": lambda: resigned(created=AT - 70),
    "of the future": lambda: resigned(created=AT + 11),
    "no time": lambda: resigned(created=None),
    "time a text": lambda: resigned(created=str(AT)),
    "time edited": lambda: edited("signature-input", str(AT), str(AT + 1)),
    "an answer's tag": lambda: resigned(tag=ANSWER),
    "no tag": lambda: resigned(tag=None),
    "a parameter too many": lambda: resigned(expires=AT + 60),
    "another label": lambda: edited("signature", "yizhan=", "other="),
    "two signatures": lambda: edited("signature", "=:", "=:AAAA:, other=:"),
    "two inputs": lambda: (
        dict(GOOD.headers) | {"signature-input": GOOD.headers["signature-input"] * 2}
    ),
    "a byte too many": malleable,
    "as DER": as_der,
    "not canonical base64": lambda: edited("signature", "==:", ":"),
    "a blank in it": lambda: edited("signature-input", '" "', '"  "'),
    "a newline in it": lambda: edited("signature-input", ";created", ";\ncreated"),
    "without end": lambda: resigned(nonce="n" * 128, keyid="k" * 128, tag="t" * 128),
    "sixteen MiB": lambda: dict(GOOD.headers) | {"signature-input": "(" * (16 << 20)},
    "of another call": lambda: (
        dict(GOOD.headers)
        | {name: call().headers[name] for name in ("signature", "signature-input")}
    ),
}


class TestCall:
    def test_a_good_one(self) -> None:
        """What the SDK signs is proved, and what is kept of it proves itself."""
        kept = signatures.check_call(Asked("POST", URL, GOOD.headers), PROOF, AT)

        told = signatures.check_kept(kept, registered(public_half(CLIENT.public_jwk)))
        assert told.startswith(f'"@method": POST\n"@target-uri": {URL}\n')
        assert GOOD.told.decode() == told

    def test_a_key_of_the_other_kind(self) -> None:
        """Ed25519 signs as well as P-256."""
        jwk = {**dict(HUB.public.jwk), "d": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}
        made = call(Credentials.of("https://hub.example", "housing", jwk))

        assert signatures.check_call(Asked("POST", URL, made.headers), proof_of(made.headers), AT)

    def test_other_libraries_may_order_otherwise(self) -> None:
        """Components and parameters in another order, another label, more headers covered."""
        made = resigned(
            (*reversed(COMPONENTS), '"accept-encoding"'),
            values={'"accept-encoding"': "identity"},
            label="sig1",
        )

        assert signatures.check_call(Asked("POST", URL, made), PROOF, AT)

    def test_a_header_that_changes_the_meaning(self) -> None:
        """The SDK covers an idempotency key."""
        made = call(headers=IDEMPOTENT)

        assert signatures.check_call(Asked("POST", URL, made.headers), proof_of(made.headers), AT)

    @pytest.mark.parametrize("name", CALL_MUTATIONS)
    def test_no_mutation_passes(self, name: str) -> None:
        """Refused as a bad token, never by a crash."""
        with pytest.raises(BadToken, match="signature fails"):
            signatures.check_call(Asked("POST", URL, CALL_MUTATIONS[name]()), PROOF, AT)

    @pytest.mark.parametrize(
        ("name", "planted"),
        [
            ("too old", "_check_times"),
            ("digest not covered", "_check_covers"),
            ("another algorithm", "_check_key"),
        ],
    )
    def test_a_planted_fault_is_seen(
        self, name: str, planted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without its check the mutation passes: so it is that check which refuses it."""
        monkeypatch.setattr(signatures, planted, lambda *_: None)

        assert signatures.check_call(Asked("POST", URL, CALL_MUTATIONS[name]()), PROOF, AT)


class TestEvidence:
    def test_only_its_entry_opens_it(self) -> None:
        """Sealed to the hash that stands in the entry; another entry's hash opens nothing."""
        evidence = Evidence(bytes(32))
        kept = evidence.sealed(b"what was signed")

        assert b"what was signed" == evidence.opened(kept)
        with pytest.raises(Invalid):
            evidence.opened(Signed(bytes(32), kept.sealed))
        with pytest.raises(Invalid):
            Evidence(bytes([1]) * 32).opened(kept)

    def test_its_hash_tells_nothing(self) -> None:
        """The same signature twice has two hashes: nobody can try numbers out against it."""
        evidence = Evidence(bytes(32))

        assert evidence.sealed(b"x").digest != evidence.sealed(b"x").digest


TYPE = {"content-type": "application/json"}
ANSWERED = b'{"found": true}'
KEYS = {HUB.public.kid: public_key(dict(HUB.public.jwk))}


def answer(content: bytes = ANSWERED, status: int = 200, sent: Sent = GOOD) -> Came:
    """A good answer of the hub."""
    fields = {**TYPE, "content-digest": content_digest(content)}
    asked = Asked(sent.method, sent.url, sent.headers)
    made = signatures.answer_headers(status, fields, asked, HUB)
    return Came(status, fields | made, content)


def answer_resigned(drop: str = "", **parameters: Any) -> Came:
    """An answer that the hub signed for less, or with other parameters; None leaves out."""
    values = {
        '"@status"': "200",
        '"content-type"': "application/json",
        '"content-digest"': content_digest(ANSWERED),
        '"@method";req': "POST",
        '"@target-uri";req': URL,
        '"signature";req;key="yizhan"': GOOD.signature,
    }
    values.pop(drop, None)
    told: dict[str, Any] = {
        "created": AT,
        "keyid": HUB.public.kid,
        "alg": "ed25519",
        "tag": ANSWER,
    } | parameters
    said = message_signature.said(tuple(values), {k: v for k, v in told.items() if v is not None})
    base = message_signature.base(tuple(values), values, said)
    fields = {**TYPE, "content-digest": content_digest(ANSWERED)}
    return Came(200, fields | message_signature.headers(said, HUB.private.sign(base)), ANSWERED)


def came(**changes: Any) -> Came:
    """The good answer with changes."""
    return replace(answer(), **changes)


def headed(**headers: str | None) -> Came:
    """The good answer with other headers; None leaves one out."""
    changes = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {**answer().headers, **changes}
    return came(headers={name: value for name, value in merged.items() if value is not None})


def stranger() -> Came:
    """An answer that somebody else signed under the hub's key's name."""
    signed_by = token_key(bytes(32))
    fields = {**TYPE, "content-digest": content_digest(ANSWERED)}
    made = signatures.answer_headers(200, fields, Asked("POST", URL, GOOD.headers), signed_by)
    return Came(
        200,
        fields
        | made
        | {
            "signature-input": made["signature-input"].replace(signed_by.public.kid, HUB.public.kid)
        },
        ANSWERED,
    )


ANSWER_MUTATIONS: dict[str, Callable[[], Came]] = {
    "not signed": lambda: headed(signature=None, signature_input=None),
    "no signature": lambda: headed(signature=None),
    "no input": lambda: headed(signature_input=None),
    "empty": lambda: headed(signature=""),
    "zeros": lambda: headed(signature=f"yizhan=:{'A' * 86}==:"),
    "another body": lambda: came(content=b'{"found": false}'),
    "no body": lambda: came(content=b""),
    "a blank more": lambda: came(content=ANSWERED + b" "),
    "another body and its digest": lambda: replace(
        headed(content_digest=content_digest(b"{}")), content=b"{}"
    ),
    "no digest": lambda: headed(content_digest=None),
    "another digest": lambda: headed(content_digest=content_digest(b"{}")),
    "a digest of another algorithm": lambda: headed(content_digest="md5=:AAAA:"),
    "another status": lambda: came(status=404),
    "another media type": lambda: headed(content_type="text/html"),
    "no media type": lambda: headed(content_type=None),
    "to another call": lambda: answer(sent=call()),
    "to another address": lambda: answer(sent=replace(GOOD, url=URL + "x")),
    "to another method": lambda: answer(sent=replace(GOOD, method="GET")),
    "status not covered": lambda: answer_resigned('"@status"'),
    "media type not covered": lambda: answer_resigned('"content-type"'),
    "digest not covered": lambda: answer_resigned('"content-digest"'),
    "method not covered": lambda: answer_resigned('"@method";req'),
    "address not covered": lambda: answer_resigned('"@target-uri";req'),
    "the call's signature not covered": lambda: answer_resigned('"signature";req;key="yizhan"'),
    "a call's tag": lambda: answer_resigned(tag=CALL),
    "no tag": lambda: answer_resigned(tag=None),
    "a key nobody knows": lambda: answer_resigned(keyid="x"),
    "no key": lambda: answer_resigned(keyid=None),
    "signed by another": stranger,
    "the client's own signature": lambda: headed(
        signature=GOOD.headers["signature"], signature_input=GOOD.headers["signature-input"]
    ),
}


class TestAnswer:
    def test_a_good_one(self) -> None:
        """What the hub signs is proved; a refusal as well as a success."""
        assert client_signing.verified(answer(), GOOD, KEYS)
        assert client_signing.verified(answer(b"{}", 403), GOOD, KEYS)
        assert client_signing.verified(answer_resigned(), GOOD, KEYS)

    @pytest.mark.parametrize("name", ANSWER_MUTATIONS)
    def test_no_mutation_passes(self, name: str) -> None:
        """Nothing of it may be used, and nothing crashes."""
        with pytest.raises(AnswerNotVerified):
            client_signing.verified(ANSWER_MUTATIONS[name](), GOOD, KEYS)


class TestStandard:
    def test_the_example_of_the_standard(self) -> None:
        """RFC 9421 appendix B.2.6: the base and the Ed25519 signature over it."""
        signature = message_signature.read(
            'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
            ';created=1618884473;keyid="test-key-ed25519"',
            "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lI"
            "p5WPpBKRCw==:",
        )
        values = {
            '"date"': "Tue, 20 Apr 2021 02:07:55 GMT",
            '"@method"': "POST",
            '"@path"': "/foo",
            '"@authority"': "example.com",
            '"content-type"': "application/json",
            '"content-length"': "18",
        }
        key = public_key(
            {"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}
        )

        told = message_signature.base(signature.components, values, signature.said)

        assert is_signed(key, told, signature.value)

    def test_a_digest_is_rfc_9530s(self) -> None:
        """The example of RFC 9530 appendix D, with the line's end that belongs to it."""
        expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"

        assert expected == content_digest(b'{"hello": "world"}\n')

    def test_what_is_not_a_signature(self) -> None:
        """One error, whatever is wrong."""
        for told in ("", "x", "yizhan=()", 'yizhan=("@method")', 'yizhan=("@method");created'):
            with pytest.raises(BadMessageSignature):
                message_signature.read(told, "yizhan=:AAAA:")
