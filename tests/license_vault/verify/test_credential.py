"""An SD-JWT VC: what the holder may leave out, and what makes it worthless."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from license_vault import jws, sd_jwt
from license_vault.verify import Report, StatusSource, Verdict, verify
from schemas.canonical import b64url, canonical
from tests.license_vault.verify import making
from tests.license_vault.verify.making import AT, Authority

DAY = 86_400


def judged(
    credential: bytes | str, authority: Authority, source: StatusSource | None = None
) -> Report:
    data = credential.encode() if isinstance(credential, str) else credential
    return verify(data, authority.trust, AT, source)


def resigned(leaf: making.Leaf, header: dict[str, Any], payload: dict[str, Any]) -> str:
    """Our key over a header of anybody's choice."""
    tbs = f"{b64url(canonical(header))}.{b64url(canonical(payload))}".encode()
    return f"{jws.compact(tbs, leaf.jws(tbs))}~"


class TestGenuine:
    def test_every_step_is_proved(
        self, authority: Authority, credential: bytes, in_force: StatusSource
    ) -> None:
        """The whole credential is VALID."""
        report = judged(credential, authority, in_force)

        assert (Verdict.VALID, "proved") == (report.verdict, report.reason)
        assert 7 == len(report.steps)

    def test_with_the_whole_face_withheld(
        self, authority: Authority, credential: bytes, in_force: StatusSource
    ) -> None:
        """The holder may withhold every field of the face; it stays VALID."""
        bare = sd_jwt.present(credential.decode(), [])

        report = judged(bare, authority, in_force)

        assert Verdict.VALID == report.verdict
        assert "withheld: 3" in report.steps[1].evidence

    def test_a_line_break_at_its_end(
        self, authority: Authority, credential: bytes, in_force: StatusSource
    ) -> None:
        """Editors add one; it means nothing."""
        assert Verdict.VALID == judged(credential + b"\n", authority, in_force).verdict


class TestForged:
    def test_flipped_bytes(
        self, authority: Authority, credential: bytes, in_force: StatusSource
    ) -> None:
        """Any bit flipped anywhere: never VALID."""
        chance = random.Random(1)
        for at in chance.sample(range(len(credential)), 60):
            spoiled = bytearray(credential)
            spoiled[at] ^= 1 << chance.randrange(7)
            assert Verdict.VALID != judged(bytes(spoiled), authority, in_force).verdict

    def test_a_forged_disclosure(self, authority: Authority, credential: bytes) -> None:
        """A field slipped in beside the signed ones."""
        forged = b64url(canonical(["c2FsdA", "name", "李四"]))

        report = judged(f"{sd_jwt.present(credential.decode(), [])}{forged}~", authority)

        assert (Verdict.INVALID, "bad-disclosure") == (report.verdict, report.reason)

    def test_a_disclosure_twice(self, authority: Authority, credential: bytes) -> None:
        """Nothing is disclosed twice."""
        shown = sd_jwt.present(credential.decode(), ["name"])

        report = judged(f"{shown}{shown.split('~')[1]}~", authority)

        assert (Verdict.INVALID, "bad-disclosure") == (report.verdict, report.reason)

    @pytest.mark.parametrize(
        "header",
        [{"typ": "vc+sd-jwt"}, {"typ": "JWT"}, {"alg": "none"}, {"alg": "HS256"}, {"crit": ["x"]}],
    )
    def test_another_type_or_algorithm(self, authority: Authority, header: dict[str, Any]) -> None:
        """Even under our own key: a token of another kind is no license."""
        chain = [base64.b64encode(authority.seal.der).decode()]
        made = {"alg": "ES256", "typ": "dc+sd-jwt", "x5c": chain} | header

        token = resigned(authority.seal, made, making.claims(_sd_alg="sha-256"))

        assert (Verdict.INVALID, "bad-credential") == (
            judged(token, authority).verdict,
            judged(token, authority).reason,
        )

    def test_somebody_elses_key(self, authority: Authority) -> None:
        """A credential that names our hub and is not signed under our root."""
        report = judged(making.credential(Authority("Other root").seal), authority)

        assert (Verdict.INVALID, "not-our-seal") == (report.verdict, report.reason)

    def test_our_certificate_with_another_signature(self, authority: Authority) -> None:
        """The chain in the header must belong to the key that signed."""
        other = Authority("Other root").seal
        prepared = sd_jwt.prepare(making.claims(), {}, x5c=[authority.seal.der])

        report = judged(sd_jwt.assemble(prepared, other.jws(prepared.tbs)), authority)

        assert (Verdict.INVALID, "bad-signature") == (report.verdict, report.reason)


class TestClaims:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"exp": int(AT.timestamp())}, "expired"),
            ({"exp": int(AT.timestamp()) - DAY}, "expired"),
            ({"nbf": int(AT.timestamp()) + DAY}, "not-yet-valid"),
            ({"exp": str(int(AT.timestamp()) + DAY)}, "bad-credential"),
            ({"exp": True}, "bad-credential"),
            ({"exp": 1e300}, "bad-credential"),
            ({"iat": None}, "bad-credential"),
            ({"license": None}, "bad-credential"),
            ({"license": {"id": making.LICENSE_ID, "version": "1", "sha256": 5}}, "bad-credential"),
            ({"status": None}, "bad-credential"),
            ({"status": {"status_list": {"idx": -1, "uri": making.LIST}}}, "bad-credential"),
        ],
    )
    def test_what_is_signed_must_also_make_sense(
        self, authority: Authority, changes: dict[str, Any], reason: str
    ) -> None:
        """Times are whole seconds, expiry beats status, and every claim of a license is there."""
        report = judged(making.credential(authority.seal, **changes), authority)

        assert (Verdict.INVALID, reason) == (report.verdict, report.reason)

    @pytest.mark.parametrize("vct", [None, "https://example.org/diploma", 7])
    def test_a_credential_of_another_kind(self, authority: Authority, vct: Any) -> None:
        """A trusted signature on something that is no license: we cannot say."""
        report = judged(making.credential(authority.seal, vct=vct), authority)

        assert (Verdict.INDETERMINATE, "not-a-license") == (report.verdict, report.reason)

    def test_a_credential_of_a_stranger(self, authority: Authority) -> None:
        """Well made, by somebody who is not trusted here."""
        status = {"status_list": {"idx": 1, "uri": "https://other.example/1"}}
        made = making.credential(Authority("Other root").seal, status=status)

        assert (Verdict.INDETERMINATE, "unknown-issuer") == (
            judged(made, authority).verdict,
            judged(made, authority).reason,
        )

    def test_the_status_cannot_be_withheld(
        self, authority: Authority, in_force: StatusSource
    ) -> None:
        """SD-JWT VC 3.2.2.2: a status that came as a disclosure is not looked at."""
        plain = making.claims(status=None)
        prepared = sd_jwt.prepare(plain, {"x": 1}, x5c=[authority.seal.der])
        head, payload = prepared.tbs.decode().split(".")
        padded = payload + "=" * (-len(payload) % 4)
        told = json.loads(base64.urlsafe_b64decode(padded))
        told["_sd"] = told.pop("face")["_sd"]

        token = resigned(
            authority.seal, jws.json_object(base64.urlsafe_b64decode(head + "==")), told
        )

        assert "bad-credential" == judged(token, authority, in_force).reason
