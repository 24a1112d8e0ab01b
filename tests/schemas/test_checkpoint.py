"""Checkpoints against the C2SP texts, and against the note that Go's implementation prints."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.checkpoint import BadCheckpoint, Checkpoint, body, note, open_note, parse, verify, vkey
from schemas.merkle import EMPTY_ROOT

# golang.org/x/mod/sumdb/note, the example of its documentation.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NEUMANN_NOTE = (
    NEUMANN_TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

NAME = "hub.example/ledger"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
VKEY = vkey(NAME, KEY.public_key())
TEXT = body(NAME, 7, bytes(32))
SIGNED = note(TEXT, NAME, KEY.sign, KEY.public_key())


class TestBody:
    def test_three_lines(self) -> None:
        """tlog-checkpoint: origin, size, base64 root, a line each."""
        assert b"hub.example/ledger\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" == TEXT

    @given(size=st.integers(0, 10**18), root=st.binary(min_size=32, max_size=32))
    def test_there_and_back(self, size: int, root: bytes) -> None:
        """What is written is read."""
        assert Checkpoint(NAME, size, root) == parse(body(NAME, size, root))

    @pytest.mark.parametrize("origin", ["", "two\nlines", "tab\t", "\ud800"])
    def test_origin_that_cannot_stand_in_a_line(self, origin: str) -> None:
        """An origin is one line of text."""
        with pytest.raises(BadCheckpoint):
            body(origin, 1, EMPTY_ROOT)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "origin\n1\n",
            "origin\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "origin\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "origin\n1\nAAAA\n",
            "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
            "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
        ],
    )
    def test_malformed(self, text: str) -> None:
        """Sizes are plain decimals, roots canonical base64 of 32 bytes, no line is empty."""
        with pytest.raises(BadCheckpoint):
            parse(text)

    def test_extension_lines_are_kept(self) -> None:
        """Other logs may add lines; they are signed with the rest."""
        assert ("more",) == parse(TEXT + b"more\n").extensions


class TestNote:
    def test_example_of_the_reference_implementation(self) -> None:
        """Go's published note opens with its published key."""
        assert NEUMANN_TEXT.encode() == open_note(NEUMANN_NOTE, NEUMANN)

    def test_key_of_the_reference_implementation(self) -> None:
        """The key ID is SHA-256 over name, newline, type and key."""
        public = base64.b64decode(NEUMANN.split("+", 2)[2])[1:]

        assert NEUMANN == vkey("PeterNeumann", public)

    def test_signed_and_verified(self) -> None:
        """Verifying returns what was signed."""
        assert Checkpoint(NAME, 7, bytes(32)) == verify(SIGNED, VKEY)

    def test_signatures_of_others_are_passed_over(self) -> None:
        """A witness's line before or after ours changes nothing."""
        witness = note(TEXT, "witness.example", OTHER.sign, OTHER.public_key())[len(TEXT) + 1 :]
        ours = SIGNED[len(TEXT) + 1 :]

        for block in (witness + ours, ours + witness):
            assert 7 == verify(TEXT + b"\n" + block, VKEY).size

    @pytest.mark.parametrize("place", range(len(SIGNED)))
    def test_no_byte_can_be_changed(self, place: int) -> None:
        """Whatever byte is flipped, the note is refused."""
        tampered = SIGNED[:place] + bytes([SIGNED[place] ^ 1]) + SIGNED[place + 1 :]

        with pytest.raises(BadCheckpoint):
            verify(tampered, VKEY)

    def test_key_of_another(self) -> None:
        """A note that the expected key has not signed is worth nothing."""
        with pytest.raises(BadCheckpoint, match="has not signed"):
            verify(SIGNED, vkey(NAME, OTHER.public_key()))

    def test_second_signature_of_the_same_key_that_fails(self) -> None:
        """One bad signature under our name condemns the note."""
        bad = note(TEXT, NAME, lambda _: bytes(64), KEY.public_key())[len(TEXT) + 1 :]

        with pytest.raises(BadCheckpoint, match="does not fit"):
            verify(SIGNED + bad, VKEY)

    @pytest.mark.parametrize("name", ["", "two words", "a+b", "full\u3000width"])
    def test_key_names(self, name: str) -> None:
        """signed-note: neither blanks nor plus signs in a key name."""
        with pytest.raises(BadCheckpoint):
            vkey(name, KEY.public_key())

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "a+b",
            NEUMANN[:-1],
            NEUMANN.replace("c74f20a3", "c74f20a4"),
            NEUMANN.replace("c74f20a3", "C74F20A3"),
            NEUMANN.replace("+AR", "+Ah"),
        ],
    )
    def test_keys_whose_parts_do_not_fit(self, key: str) -> None:
        """A key that was mistyped is refused before it judges anything."""
        with pytest.raises(BadCheckpoint):
            verify(NEUMANN_NOTE, key)

    @given(st.binary(max_size=200))
    def test_anything_else_is_refused(self, data: bytes) -> None:
        """Whatever arrives, the answer is a checkpoint or `BadCheckpoint`."""
        with pytest.raises(BadCheckpoint):
            verify(data, VKEY)
