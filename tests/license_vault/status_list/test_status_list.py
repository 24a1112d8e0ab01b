"""Status lists, held against the test vectors of the draft."""

import base64
import zlib
from typing import Any

import pytest

from license_vault import status_list
from license_vault.jws import BadToken
from license_vault.status_list import StatusList
from schemas.canonical import b64url
from schemas.errors import Invalid

# draft-ietf-oauth-status-list-20, section 4.2: sixteen one-bit statuses.
ONE_BIT = [(index, 1) for index in (0, 3, 4, 5, 7, 8, 9, 13, 15)]

# The same draft, appendix "Test vectors": 2^20 entries of two bits.
TWO_BITS = {
    0: 1, 1993: 2, 25460: 1, 159495: 3, 495669: 1, 554353: 1,
    645645: 2, 723232: 1, 854545: 1, 934534: 2, 1000345: 3,
}  # fmt: skip
TWO_BITS_LST = "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAA"


class TestPack:
    def test_least_significant_bits_come_first(self) -> None:
        """The draft's own example: nine of sixteen bits make b9a3."""
        packed = status_list.pack(ONE_BIT, bits=1, size=16)

        assert "b9a3" == packed.hex()

    def test_compresses_as_the_draft_does(self) -> None:
        """Zlib at its highest level gives the very bytes of the draft."""
        claim = status_list.encode(bytes.fromhex("b9a3"), bits=1)

        assert {"bits": 1, "lst": b64url(bytes.fromhex("78dadbb918000217015d"))} == claim

    def test_the_million_slots_of_the_draft(self) -> None:
        """Our two-bit list begins as the published one does and holds the same slots."""
        claim = status_list.encode(status_list.pack(TWO_BITS.items()))

        assert claim["lst"].startswith(TWO_BITS_LST)
        read = status_list.decode(claim)
        assert status_list.SIZE == read.size
        assert TWO_BITS == {index: read.at(index) for index in TWO_BITS}
        assert [0, 0, 0] == [read.at(index) for index in (1, 1992, 1000346)]

    @pytest.mark.parametrize("slot", [(-1, 1), (1 << 20, 1), (5, 4), (5, -1)])
    def test_nothing_outside_the_list(self, slot: Any) -> None:
        """An index or a value that does not fit is refused, not wrapped around."""
        with pytest.raises(Invalid, match="outside"):
            status_list.pack([slot])

    def test_a_later_value_replaces_an_earlier_one(self) -> None:
        """A slot has one value: the last."""
        read = StatusList(2, status_list.pack([(9, 3), (9, 1)]))

        assert 1 == read.at(9)


class TestDecode:
    def test_an_index_outside_is_refused(self) -> None:
        """Section 8.3: an index out of bounds must be rejected."""
        read = StatusList(1, bytes.fromhex("b9a3"))

        with pytest.raises(BadToken, match="outside"):
            read.at(16)

    @pytest.mark.parametrize(
        "claim",
        [
            {"bits": 3, "lst": "eNo"},
            {"bits": True, "lst": "eNrbuRgAAhcBXQ"},
            {"bits": 2},
            {"bits": 2, "lst": b64url(b"no zlib")},
            {"bits": 2, "lst": b64url(zlib.compress(bytes(100))[:-3])},
            {"bits": 2, "lst": b64url(zlib.compress(bytes(100)) + b"more")},
        ],
    )
    def test_malformed_claims_are_refused(self, claim: Any) -> None:
        """Bits, encoding and compression must be exactly right."""
        with pytest.raises(Invalid):
            status_list.decode(claim)

    def test_a_bomb_stops_at_a_million_bytes(self) -> None:
        """Sixty-four megabytes in sixty-four kilobytes are not unpacked."""
        bomb = {"bits": 8, "lst": b64url(zlib.compress(bytes(64 << 20), 9))}

        with pytest.raises(BadToken, match="too large"):
            status_list.decode(bomb)

    def test_padding_is_refused(self) -> None:
        """The draft encodes without padding; two spellings of one list are one too many."""
        padded = base64.urlsafe_b64encode(bytes.fromhex("78dadbb918000217015d")).decode()

        with pytest.raises(Invalid):
            status_list.decode({"bits": 1, "lst": padded})
