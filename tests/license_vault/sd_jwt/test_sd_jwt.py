"""SD-JWT VC: what may be withheld, and what may not be smuggled in."""

import json
from typing import Any

import pytest

from license_vault import jws, sd_jwt
from license_vault.jws import BadToken
from license_vault.sd_jwt import BadDisclosure
from schemas.canonical import b64url, canonical, sha256
from schemas.errors import Invalid
from tests.license_vault.verify import making

# RFC 9901 4.2.2 and 4.2.3: a disclosure and its digest.
RFC_DISCLOSURE = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
RFC_DIGEST = "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


@pytest.fixture(scope="module")
def seal() -> making.Leaf:
    return making.Authority().seal


def forged(payload: dict[str, Any], *disclosures: str) -> str:
    """A credential with this payload; `read` looks at disclosures before any signature."""
    tbs = jws.signing_input(sd_jwt.TYP, {"_sd_alg": "sha-256", **payload}, [])
    return "~".join((jws.compact(tbs, bytes(64)), *disclosures, ""))


def disclosure(name: str, value: Any, salt: str = "c2FsdA") -> tuple[str, str]:
    text = b64url(canonical([salt, name, value]))
    return text, b64url(sha256(text.encode()))


class TestPrepare:
    def test_the_face_can_be_withheld_and_nothing_else(self, seal: making.Leaf) -> None:
        """Identifier, digest, period and status are in plain sight; no face field is."""
        prepared = sd_jwt.prepare(making.claims(), {"name": "张三丰"}, x5c=[seal.der])

        payload = jws.parse(f"{prepared.tbs.decode()}.", typ=sd_jwt.TYP, longest=9999).payload
        assert making.claims().keys() <= payload.keys()
        assert ["_sd"] == list(payload["face"])
        assert "张三丰" not in json.dumps(payload, ensure_ascii=False)

    def test_digests_are_sorted(self, seal: making.Leaf) -> None:
        """RFC 9901 4.2.4.1: their order must not tell which field is which."""
        prepared = sd_jwt.prepare({}, {name: name for name in "edcba"}, x5c=[seal.der])

        payload = jws.parse(f"{prepared.tbs.decode()}.", typ=sd_jwt.TYP, longest=9999).payload
        digests = payload["face"]["_sd"]
        assert sorted(digests) == digests
        assert 5 == len(digests)

    @pytest.mark.parametrize("name", ["_sd", "..."])
    def test_the_mechanisms_own_names_are_no_fields(self, seal: making.Leaf, name: str) -> None:
        """RFC 9901 4.1 keeps them for itself."""
        with pytest.raises(Invalid, match="cannot be names"):
            sd_jwt.prepare({}, {name: "x"}, x5c=[seal.der])


class TestRead:
    def test_the_rfcs_own_disclosure(self) -> None:
        """The published disclosure has the published digest and is put in place."""
        assert RFC_DIGEST == b64url(sha256(RFC_DISCLOSURE.encode()))

        read = sd_jwt.read(forged({"face": {"_sd": [RFC_DIGEST]}}, RFC_DISCLOSURE))

        assert {"family_name": "Möbius"} == read.claims["face"]

    def test_a_holder_withholds_what_it_likes(self, seal: making.Leaf) -> None:
        """What is presented is there, what is not is only counted."""
        shown = sd_jwt.present(making.credential(seal), ["name"])

        read = sd_jwt.read(shown)

        assert {"name": "张三丰"} == read.claims["face"]
        assert (("name",), 2) == (read.disclosed, read.withheld)

    def test_a_forged_disclosure_is_referenced_by_nothing(self, seal: making.Leaf) -> None:
        """A field that the issuer did not sign is refused, however well it is formed."""
        text, _ = disclosure("name", "李四")

        with pytest.raises(BadDisclosure, match="referenced by nothing"):
            sd_jwt.read(f"{sd_jwt.present(making.credential(seal), [])}{text}~")

    def test_the_same_disclosure_twice(self, seal: making.Leaf) -> None:
        """RFC 9901 7.1: no digest may be used twice."""
        shown = sd_jwt.present(making.credential(seal), ["name"])
        text = shown.split("~")[1]

        with pytest.raises(BadDisclosure, match="twice"):
            sd_jwt.read(f"{shown}{text}~")

    def test_the_same_digest_in_two_places(self) -> None:
        """A digest that stands twice would put one value under two roofs."""
        text, digest = disclosure("name", "张三丰")

        with pytest.raises(BadDisclosure, match="twice"):
            sd_jwt.read(forged({"face": {"_sd": [digest]}, "other": {"_sd": [digest]}}, text))

    def test_a_disclosure_cannot_replace_a_plain_claim(self) -> None:
        """A name that is already there, signed and visible, stays."""
        text, digest = disclosure("iss", "https://evil.example")

        with pytest.raises(BadDisclosure, match="another claim"):
            sd_jwt.read(forged({"iss": "https://hub.example", "_sd": [digest]}, text))

    def test_two_disclosures_of_one_name_collide(self) -> None:
        """Two values for one field at one level are refused, not chosen from."""
        (one, first), (two, second) = disclosure("a", 1, "AA"), disclosure("a", 2, "AB")

        with pytest.raises(BadDisclosure, match="another claim"):
            sd_jwt.read(forged({"face": {"_sd": [first, second]}}, one, two))

    @pytest.mark.parametrize(
        "parts", [["s", "_sd", []], ["s", "...", "x"], ["s", "x"], ["s", 1, "x"], {"s": 1}, "text"]
    )
    def test_malformed_disclosures(self, parts: Any) -> None:
        """A disclosure is an array of salt, name and value, and its name is free."""
        text = b64url(canonical(parts))
        digest = b64url(sha256(text.encode()))

        with pytest.raises(BadDisclosure):
            sd_jwt.read(forged({"face": {"_sd": [digest]}}, text))

    def test_endless_nesting_stops(self) -> None:
        """Disclosures within disclosures end somewhere."""
        inner, digest = disclosure("a", "end")
        texts = [inner]
        for _ in range(20):
            text, digest = disclosure("a", {"_sd": [digest]})
            texts.append(text)

        with pytest.raises(BadDisclosure, match="deeper"):
            sd_jwt.read(forged({"_sd": [digest]}, *texts))

    @pytest.mark.parametrize("text", ["", "~", "a.b.c", "a.b.c~", "~~~", "e30.e30.~", "a.b.c~d"])
    def test_what_is_no_credential(self, text: str) -> None:
        """Anything else is refused with the one documented error."""
        with pytest.raises(Invalid):
            sd_jwt.read(text)

    def test_key_binding_is_not_ours(self, seal: making.Leaf) -> None:
        """We issue without key binding; something behind the last tilde is refused."""
        with pytest.raises(BadToken, match="tilde"):
            sd_jwt.read(making.credential(seal) + "e30.e30.AA")

    def test_another_hash_is_refused(self) -> None:
        """RFC 9901 4.1.1: an unknown _sd_alg is never guessed at."""
        with pytest.raises(BadToken, match="_sd_alg"):
            sd_jwt.read(forged({"_sd_alg": "sha-1"}))


class TestParse:
    @pytest.mark.parametrize(
        "header",
        [
            {"alg": "none", "typ": "dc+sd-jwt"},
            {"alg": "HS256", "typ": "dc+sd-jwt"},
            {"alg": "ES256", "typ": "vc+sd-jwt"},
            {"alg": "ES256"},
            {"alg": "ES256", "typ": "dc+sd-jwt", "crit": ["b64"]},
        ],
    )
    def test_wrong_headers(self, header: Any) -> None:
        """Type and algorithm are ours exactly, and nothing critical is unknown."""
        token = f"{b64url(canonical(header))}.e30.AA"

        with pytest.raises(BadToken):
            jws.parse(token, typ=sd_jwt.TYP, longest=999)

    def test_duplicate_names_in_json(self) -> None:
        """Two readers of one header must not see two headers."""
        header = b64url(b'{"alg":"none","alg":"ES256","typ":"dc+sd-jwt"}')

        with pytest.raises(BadToken, match="twice"):
            jws.parse(f"{header}.e30.AA", typ=sd_jwt.TYP, longest=999)
