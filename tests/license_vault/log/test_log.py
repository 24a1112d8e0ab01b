"""The license log: tile paths, entries without personal data, proofs that prove."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from license_vault import log
from license_vault.log import BadProof, TilePath
from schemas import checkpoint, merkle
from schemas.errors import Invalid

ORIGIN = "hub.example/log"
AT = datetime(2026, 11, 22, tzinfo=UTC)
RECORD, SALT = b'{"identifier":"1.2"}', b"0123456789abcdef"
INDEX = 5


def entry(record: bytes = RECORD, event: str = "issue") -> bytes:
    digest = log.salted(record, SALT)
    return log.entry(event, type_code="T", issuer="I", version="001", digest=digest, at=AT)


@dataclass(frozen=True)
class Log:
    """A log of a few entries, with its key."""

    entries: Sequence[bytes]
    key: Ed25519PrivateKey
    origin: str = ORIGIN

    @cached_property
    def vkey(self) -> str:
        return checkpoint.vkey(self.origin, self.key.public_key())

    @cached_property
    def root(self) -> bytes:
        return merkle.root(map(merkle.leaf_hash, self.entries))

    def node(self, level: int, index: int) -> bytes:
        leaves = self.entries[index << level : (index + 1) << level]
        return merkle.root(map(merkle.leaf_hash, leaves))

    def proof(self, index: int = INDEX, entry: bytes | None = None) -> bytes:
        size = len(self.entries)
        path = merkle.inclusion_path(index, size, self.node)
        head = checkpoint.body(self.origin, size, self.root)
        note = checkpoint.note(head, self.origin, self.key.sign, self.key.public_key())
        return log.proof_file(
            entry=entry or self.entries[index],
            salt=SALT,
            index=index,
            path=path,
            checkpoint=note.decode(),
        )


@pytest.fixture(scope="module")
def held() -> Log:
    others = [entry(b"record %d" % n) for n in range(11)]
    return Log([*others[:INDEX], entry(), *others[INDEX:]], Ed25519PrivateKey.generate())


class TestEntry:
    def test_it_holds_nothing_of_the_license_but_a_salted_digest(self) -> None:
        """Who has not the record and its salt cannot tell whose entry this is."""
        assert b"1.2" not in entry()
        assert entry() != entry(b"another record")

    def test_only_known_events(self) -> None:
        """The log has a closed vocabulary."""
        with pytest.raises(Invalid, match="not an event"):
            entry(event="sell")


class TestTilePath:
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (TilePath(0, 0, 256), "0/000"),
            (TilePath(0, 1234067, 256), "0/x001/x234/067"),
            (TilePath(1, 999, 17), "1/999.p/17"),
            (TilePath(None, 1000, 256), "entries/x001/000"),
            (TilePath(None, 0, 1), "entries/000.p/1"),
        ],
    )
    def test_there_and_back(self, path: TilePath, text: str) -> None:
        """C2SP tlog-tiles: x001/x234/067 is tile 1,234,067."""
        assert f"tile/{text}" == log.tile_path(path.level, path.index, path.width)
        assert path == log.parse_tile_path(text)

    @pytest.mark.parametrize(
        "text",
        ["", "0", "0/1", "00/000", "0/x000/000", "0/000.p/0", "0/000.p/256", "0/000.p/300",
         "6/000", "63/000", "-1/000", "0/000/", "0/../000", "entries", "0/000.p/01", "０/000"],
    )  # fmt: skip
    def test_one_spelling_a_tile(self, text: str) -> None:
        """Every other way to write a path is no tile."""
        with pytest.raises(Invalid):
            log.parse_tile_path(text)

    @pytest.mark.parametrize(
        ("level", "index", "size", "width"),
        [
            (0, 0, 0, 0),
            (0, 0, 3, 3),
            (0, 1, 256, 0),
            (0, 1, 300, 44),
            (1, 0, 300, 1),
            (1, 0, 255, 0),
        ],
    )
    def test_how_wide_a_tile_is(self, level: Any, index: Any, size: Any, width: Any) -> None:
        """A tile has as many hashes as the tree has complete subtrees there."""
        assert width == log.tile_width(TilePath(level, index, 256), size)

    def test_a_tile_is_its_hashes_side_by_side(self, held: Log) -> None:
        """Level 0 holds the leaf hashes."""
        made = log.tile(0, 0, 3, held.node)

        assert b"".join(map(merkle.leaf_hash, held.entries[:3])) == made

    def test_entries_carry_their_length(self) -> None:
        """A big-endian uint16 before each."""
        assert b"\0\2ab\0\1c" == log.entries_tile([b"ab", b"c"])


class TestProofFile:
    def test_it_proves_the_record(self, held: Log) -> None:
        """From the record, its salt and the log's key alone."""
        proved = log.verify_proof_file(held.proof(), record=RECORD, vkey=held.vkey)

        assert (INDEX, "issue") == (proved.index, proved.entry["event"])
        assert (ORIGIN, 12) == (proved.checkpoint.origin, proved.checkpoint.size)

    def test_it_has_the_form_of_c2sp(self, held: Log) -> None:
        """Header, extra, index, hashes, an empty line, the checkpoint as it was signed."""
        lines = held.proof().decode().split("\n")

        assert "c2sp.org/tlog-proof@v1" == lines[0]
        assert lines[1].startswith("extra ")
        assert "index 5" == lines[2]
        assert ORIGIN == lines[lines.index("") + 1]

    def test_another_record_is_not_proved(self, held: Log) -> None:
        """The digest in the entry is of one record only."""
        with pytest.raises(BadProof, match="another record"):
            log.verify_proof_file(held.proof(), record=b"{}", vkey=held.vkey)

    def test_another_logs_key_is_not_believed(self, held: Log) -> None:
        """A proof under a key that is not trusted proves nothing."""
        other = Log(held.entries, Ed25519PrivateKey.generate())

        with pytest.raises(BadProof):
            log.verify_proof_file(held.proof(), record=RECORD, vkey=other.vkey)

    def test_an_entry_that_is_not_in_the_log(self, held: Log) -> None:
        """A made-up entry for the right record leads to another root."""
        later = entry().replace(b"issue", b"revok")

        with pytest.raises(BadProof):
            log.verify_proof_file(held.proof(entry=later), record=RECORD, vkey=held.vkey)

    def test_any_flipped_byte_fails(self, held: Log) -> None:
        """There is no byte of a proof that could be another."""
        proof = held.proof()
        for at in range(0, len(proof), 3):
            spoiled = bytearray(proof)
            spoiled[at] ^= 1
            with pytest.raises(BadProof):
                log.verify_proof_file(bytes(spoiled), record=RECORD, vkey=held.vkey)

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"c2sp.org/tlog-proof@v1\n", b"x" * 70_000])
    def test_what_is_no_proof(self, held: Log, data: bytes) -> None:
        """Anything else is the one documented error."""
        with pytest.raises(BadProof):
            log.verify_proof_file(data, record=RECORD, vkey=held.vkey)
