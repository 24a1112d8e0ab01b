"""What the signer refuses to sign, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from asn1crypto import cms

from license_vault import cades, jws, sd_jwt, status_list
from license_vault.signer import checks
from license_vault.signer.checks import Reserved
from license_vault.signer.keystore import Keystore, open_or_make
from schemas import checkpoint, merkle
from schemas.canonical import sha256
from schemas.checkpoint import Checkpoint
from schemas.errors import Refused

DIGEST = sha256(b"document")
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADDRESS = "http://127.0.0.1:8000/status/1"
ORIGIN = "yizhan.example/log"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    """A keystore of the test's own."""
    return open_or_make(tmp_path_factory.mktemp("home"))


@pytest.fixture
def seal(keys: Keystore) -> bytes:
    """The seal's certificate."""
    return keys.certificates.seal[0]


@pytest.fixture
def token_of(keys: Keystore) -> bytes:
    """The credential issuer's certificate."""
    return keys.certificates.sd_jwt[0]


def reserved(state: str = "reserved", credential: bytes = b"") -> Reserved:
    """A reservation as the signer sees it."""
    return Reserved(state, DIGEST, sha256(credential))


def refused(rule: str) -> Any:
    """A refusal by this rule."""
    return pytest.raises(Refused, check=lambda err: err.rule == rule)


class TestPdf:
    def test_exactly_the_reserved_document_is_sealed(self, seal: bytes) -> None:
        """The attributes name its digest, our certificate, and nothing else."""
        assert reserved() == checks.check_pdf(
            cades.signed_attributes(DIGEST, seal), reserved(), seal
        )

    def test_another_document(self, seal: bytes) -> None:
        """A digest that was not reserved is refused."""
        with refused("digest-differs"):
            checks.check_pdf(cades.signed_attributes(sha256(b"other"), seal), reserved(), seal)

    def test_no_reservation(self, seal: bytes) -> None:
        """What nobody reserved is not sealed."""
        with refused("not-reserved"):
            checks.check_pdf(cades.signed_attributes(DIGEST, seal), None, seal)

    @pytest.mark.parametrize("state", ["sealed", "finished", "voided"])
    def test_a_reservation_that_is_settled(self, seal: bytes, state: str) -> None:
        """A reservation is sealed once."""
        with refused("not-reserved"):
            checks.check_pdf(cades.signed_attributes(DIGEST, seal), reserved(state), seal)

    def test_another_certificate(self, seal: bytes, token_of: bytes) -> None:
        """A seal that would name another key's certificate is refused."""
        with refused("not-our-certificate"):
            checks.check_pdf(cades.signed_attributes(DIGEST, token_of), reserved(), seal)

    def test_an_attribute_more(self, seal: bytes) -> None:
        """A claimed signing time is no business of a B-B seal."""
        attributes = cms.CMSAttributes.load(cades.signed_attributes(DIGEST, seal))
        attributes.append(cms.CMSAttribute({"type": "content_type", "values": ["data"]}))

        with refused("seal-attributes"):
            checks.check_pdf(attributes.dump(), reserved(), seal)

    @pytest.mark.parametrize(
        "tbs", [b"", b"x", b"\x31\x00", b"any text a caller would like signed"]
    )
    def test_something_else_altogether(self, seal: bytes, tbs: bytes) -> None:
        """Bytes that are no signed attributes are never signed with the seal's key."""
        with refused("seal-attributes"):
            checks.check_pdf(tbs, reserved(), seal)


class TestSdJwt:
    def test_exactly_the_reserved_credential(self, token_of: bytes) -> None:
        """The signing input of the reserved credential, under our certificate."""
        tbs = jws.signing_input(sd_jwt.TYP, {"iss": "x"}, [token_of])

        assert checks.check_sd_jwt(tbs, reserved(credential=tbs), token_of)

    def test_another_credential(self, token_of: bytes) -> None:
        """One byte more, and it is not what was reserved."""
        tbs = jws.signing_input(sd_jwt.TYP, {"iss": "x"}, [token_of])

        with refused("digest-differs"):
            checks.check_sd_jwt(tbs + b"A", reserved(credential=tbs), token_of)

    def test_a_token_of_another_kind(self, token_of: bytes) -> None:
        """An access token that somebody reserved is still no credential."""
        tbs = jws.signing_input("at+jwt", {"iss": "x"}, [token_of])

        with refused("not-a-token"):
            checks.check_sd_jwt(tbs, reserved(credential=tbs), token_of)

    def test_under_another_certificate(self, token_of: bytes, seal: bytes) -> None:
        """The header must carry the certificate of the key that signs."""
        tbs = jws.signing_input(sd_jwt.TYP, {"iss": "x"}, [seal])

        with refused("not-our-certificate"):
            checks.check_sd_jwt(tbs, reserved(credential=tbs), token_of)


class TestStatusList:
    SLOTS: Mapping[int, int] = {7: 1, 4096: 2}

    def tbs(self, slots: Mapping[int, int], certificate: bytes, address: str = ADDRESS) -> bytes:
        """A token over these slots."""
        packed = status_list.pack(slots.items())
        return status_list.token_tbs(address, packed, at=AT, x5c=[certificate])

    def test_the_committed_bits(self, seal: bytes) -> None:
        """All of them and no other."""
        assert checks.check_status_list(self.tbs(self.SLOTS, seal), 1, self.SLOTS, seal)

    @pytest.mark.parametrize("slots", [{}, {7: 1}, {7: 1, 4096: 1}, {7: 1, 4096: 2, 9: 1}])
    def test_other_bits(self, seal: bytes, slots: Mapping[int, int]) -> None:
        """A revocation hidden, changed or invented is not signed."""
        with refused("status-list-differs"):
            checks.check_status_list(self.tbs(slots, seal), 1, self.SLOTS, seal)

    def test_another_list(self, seal: bytes) -> None:
        """The bits of one list under the address of another."""
        with refused("status-list-address"):
            checks.check_status_list(self.tbs(self.SLOTS, seal), 2, self.SLOTS, seal)


class TestCheckpoint:
    LEAVES = tuple(merkle.leaf_hash(bytes([number])) for number in range(9))

    def node(self, level: int, index: int) -> bytes:
        """The nodes of a log of nine entries."""
        width = 1 << level
        return merkle.root(self.LEAVES[index * width : (index + 1) * width])

    def head(self, size: int, origin: str = ORIGIN) -> Checkpoint:
        """A true head of that log."""
        return Checkpoint(origin, size, merkle.root(self.LEAVES[:size]))

    def body(self, head: Checkpoint) -> bytes:
        """What is signed of it."""
        return checkpoint.body(head.origin, head.size, head.root)

    @pytest.mark.parametrize("last", [None, 0, 1, 4, 6, 8, 9])
    def test_a_head_that_appends_to_the_last_one(self, last: int | None) -> None:
        """From any size on, and the same head again."""
        before = None if last is None else self.head(last)

        assert self.head(9) == checks.check_checkpoint(self.body(self.head(9)), before, self.node)

    def test_a_root_that_is_not_that_of_the_entries(self) -> None:
        """Somebody shows outsiders another log."""
        forged = Checkpoint(ORIGIN, 9, sha256(b"other"))

        with refused("root-differs"):
            checks.check_checkpoint(self.body(forged), None, self.node)

    def test_a_smaller_log_than_was_signed(self) -> None:
        """The log was rolled back."""
        with refused("log-rolled-back"):
            checks.check_checkpoint(self.body(self.head(5)), self.head(9), self.node)

    @pytest.mark.parametrize("size", [3, 6, 9])
    def test_a_log_that_was_rewritten_since(self, size: int) -> None:
        """What was signed at `size` is not a beginning of what is shown now."""
        signed = Checkpoint(ORIGIN, size, sha256(b"what it was"))

        with refused("log-inconsistent"):
            checks.check_checkpoint(self.body(self.head(9)), signed, self.node)

    def test_another_origin(self) -> None:
        """A tree keeps its name for ever."""
        with refused("another-origin"):
            checks.check_checkpoint(
                self.body(self.head(9, "other.example/log")), self.head(4), self.node
            )

    @pytest.mark.parametrize("tbs", [b"", b"yizhan.example/log\n9\n", b"text\n\xff"])
    def test_something_else_altogether(self, tbs: bytes) -> None:
        """Bytes that are no checkpoint body are never signed with the log's key."""
        with refused("not-a-checkpoint"):
            checks.check_checkpoint(tbs, None, self.node)

    def test_an_extension_line(self) -> None:
        """We write none, so we sign none."""
        with refused("not-a-checkpoint"):
            checks.check_checkpoint(self.body(self.head(9)) + b"extra\n", None, self.node)
