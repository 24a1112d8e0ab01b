"""The last two steps: is it still in force, and is it in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from license_vault import log
from license_vault.trust import TrustBundle, bundle
from license_vault.verify import Outcome, Report, Verdict, verify
from schemas import checkpoint, merkle
from schemas.canonical import canonical
from schemas.errors import Invalid, Unavailable
from tests.license_vault.verify import making
from tests.license_vault.verify.making import AT, HUB, LIST, Authority

ORIGIN = "hub.example/log"


def online(data: bytes, authority: Authority, token: str) -> Report:
    return verify(data, authority.trust, AT, lambda address: token)


def offline(data: bytes, authority: Authority, token: str) -> Report:
    held = replace(authority.trust, status_lists={LIST: token})
    return verify(data, held, AT)


class TestOnline:
    @pytest.mark.parametrize(("value", "reason"), [(1, "revoked"), (2, "suspended")])
    def test_out_of_force(
        self, authority: Authority, sealed_pdf: bytes, credential: bytes, value: int, reason: str
    ) -> None:
        """Both forms of a license are refused as soon as its bits say so."""
        token = making.status_token(authority.seal, value)

        for form in (sealed_pdf, credential):
            report = online(form, authority, token)
            assert (Verdict.INVALID, reason) == (report.verdict, report.reason)

    def test_the_application_specific_value_is_not_guessed_at(
        self, authority: Authority, credential: bytes
    ) -> None:
        """Section 7.1 leaves 3 to applications; ours does not use it."""
        report = online(credential, authority, making.status_token(authority.seal, 3))

        assert (Verdict.INDETERMINATE, "bad-status-list") == (report.verdict, report.reason)

    def test_a_list_of_another_subject(self, authority: Authority, credential: bytes) -> None:
        """Section 8.3: `sub` must be the address that the license names."""
        other = making.status_token(authority.seal, uri=f"{HUB}/status/2")

        report = online(credential, authority, other)

        assert (Verdict.INDETERMINATE, "bad-status-list") == (report.verdict, report.reason)

    def test_a_list_that_somebody_else_signed(
        self, authority: Authority, credential: bytes
    ) -> None:
        """Who can answer in the hub's place still cannot sign in it."""
        other = making.status_token(Authority("Other root").seal)

        assert "bad-status-list" == online(credential, authority, other).reason

    def test_a_list_with_its_signature_spoiled(
        self, authority: Authority, credential: bytes
    ) -> None:
        """One character is enough."""
        token = making.status_token(authority.seal, 0)
        spoiled = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]

        assert "bad-status-list" == online(credential, authority, spoiled).reason

    @pytest.mark.parametrize("token", ["", "a.b.c", "x" * 5_000_000, "eyJhbGciOiJub25lIn0.e30."])
    def test_what_is_no_list(self, authority: Authority, credential: bytes, token: str) -> None:
        """Rubbish is not believed, and does not stop the verifier."""
        assert "bad-status-list" == online(credential, authority, token).reason

    def test_yesterdays_list_replayed(self, authority: Authority, credential: bytes) -> None:
        """A fresh answer is fresh: otherwise a revoke could be hidden by an older list."""
        old = making.status_token(authority.seal, at=AT - timedelta(hours=1))

        report = online(credential, authority, old)

        assert (Verdict.INDETERMINATE, "status-stale") == (report.verdict, report.reason)

    def test_a_list_from_tomorrow(self, authority: Authority, credential: bytes) -> None:
        """A list cannot have been signed later than now."""
        early = making.status_token(authority.seal, at=AT + timedelta(hours=1))

        assert "bad-status-list" == online(credential, authority, early).reason

    def test_a_hub_that_is_down(self, authority: Authority, credential: bytes) -> None:
        """The seal holds; nobody can say whether the license does."""

        def down(address: str) -> str:
            raise Unavailable("no answer")

        report = verify(credential, authority.trust, AT, down)

        assert (Verdict.INDETERMINATE, "status-unavailable") == (report.verdict, report.reason)

    def test_an_address_elsewhere_is_not_asked(self, authority: Authority) -> None:
        """A document's own address is no invitation: only the trusted hub is asked."""
        status = {"status_list": {"idx": 1, "uri": "http://169.254.169.254/status/1"}}
        asked: list[str] = []

        def source(address: str) -> str:
            asked.append(address)
            return ""

        made = making.credential(authority.seal, status=status).encode()
        report = verify(made, authority.trust, AT, source)

        assert "status-unavailable" == report.reason
        assert [] == asked


class TestOffline:
    def test_it_says_how_old_its_list_is(self, authority: Authority, credential: bytes) -> None:
        """A list of two days ago still counts, and the report says so."""
        token = making.status_token(authority.seal, at=AT - timedelta(days=2))

        report = offline(credential, authority, token)

        assert Verdict.VALID == report.verdict
        assert "2 days old" in report.steps[-1].evidence
        assert AT - timedelta(days=2) == report.status_as_of

    def test_a_list_past_its_life(self, authority: Authority, credential: bytes) -> None:
        """After `exp` a list proves nothing any more."""
        token = making.status_token(authority.seal, at=AT - timedelta(days=8))

        assert "status-stale" == offline(credential, authority, token).reason

    def test_a_bundle_without_the_list(self, authority: Authority, credential: bytes) -> None:
        """Without any list the question stays open."""
        report = verify(credential, authority.trust, AT)

        assert (Verdict.INDETERMINATE, "status-unavailable") == (report.verdict, report.reason)

    def test_a_bundle_survives_its_file(self, authority: Authority) -> None:
        """Written and read again it is the same trust."""
        held = replace(authority.trust, log_key="name+00+AA", status_lists={LIST: "token"})

        assert held == bundle(canonical(held.to_json()))

    @pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version":2}', b"\xff", b"null"])
    def test_what_is_no_bundle(self, data: bytes) -> None:
        """Anything else is refused with the one documented error."""
        with pytest.raises(Invalid):
            bundle(data)


class TestLogProof:
    @pytest.fixture
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()

    def trust(self, authority: Authority, key: Ed25519PrivateKey) -> TrustBundle:
        vkey = checkpoint.vkey(ORIGIN, key.public_key())
        token = making.status_token(authority.seal)
        return replace(authority.trust, log_key=vkey, status_lists={LIST: token})

    def proof(self, key: Ed25519PrivateKey, record: bytes, event: str = "issue") -> bytes:
        salt = b"salt of the test"
        entry = log.entry(
            event, type_code="T", issuer="I", version="002", digest=log.salted(record, salt), at=AT
        )
        head = checkpoint.body(ORIGIN, 1, merkle.root([merkle.leaf_hash(entry)]))
        note = checkpoint.note(head, ORIGIN, key.sign, key.public_key())
        return log.proof_file(entry=entry, salt=salt, index=0, path=[], checkpoint=note.decode())

    def test_it_is_checked_when_it_is_there(
        self, authority: Authority, key: Ed25519PrivateKey
    ) -> None:
        """A good proof makes the last step pass."""
        pdf = making.sealed(authority.seal)
        proof = self.proof(key, canonical(making.record()))

        report = verify(pdf, self.trust(authority, key), AT, proof=proof)

        assert (Verdict.VALID, Outcome.PASSED) == (report.verdict, report.steps[-1].outcome)

    def test_a_proof_of_another_license(self, authority: Authority, key: Ed25519PrivateKey) -> None:
        """A proof that does not fit spoils the verdict, it is not passed over."""
        proof = self.proof(key, canonical(making.record(number="1")))

        report = verify(making.sealed(authority.seal), self.trust(authority, key), AT, proof=proof)

        assert (Verdict.INVALID, "bad-log-proof") == (report.verdict, report.reason)

    def test_a_proof_of_another_event(self, authority: Authority, key: Ed25519PrivateKey) -> None:
        """That something was revoked does not prove that it was issued."""
        proof = self.proof(key, canonical(making.record()), event="revoke")

        report = verify(making.sealed(authority.seal), self.trust(authority, key), AT, proof=proof)

        assert "bad-log-proof" == report.reason

    def test_any_byte_of_it_changed(self, authority: Authority, key: Ed25519PrivateKey) -> None:
        """A tampered proof never passes."""
        pdf, trust = making.sealed(authority.seal), self.trust(authority, key)
        proof = self.proof(key, canonical(making.record()))
        for at in range(0, len(proof), 29):
            spoiled = bytearray(proof)
            spoiled[at] ^= 2
            report = verify(pdf, trust, AT, proof=bytes(spoiled))
            assert "bad-log-proof" == report.reason
