"""Control files in the forms that departments use, and those that are none."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feeds.controls import (
    Said,
    digest_of,
    hasher,
    read_control,
    write_control,
)
from connectors.feeds.file_settings import Control

LINES = Control(rows="ROWS", digest="SM3", name="FILE")
JSON = Control(form="json", rows="count", digest="md5", name="file")
SUMS = Control(form="sums", algorithm="sha256")
SUM = hashlib.sha256(b"").hexdigest()


class TestRead:
    @pytest.mark.parametrize(
        ("control", "content"),
        [
            (LINES, "FILE=法人.csv\r\nROWS=12\r\nSM3=ABCD\r\n".encode()),
            (LINES, "file: 法人.csv\n\nrows : 12\nsm3 : abcd".encode("gb18030")),
            (JSON, '\ufeff{"File": "法人.csv", "COUNT": 12, "md5": "ABcd", "x": 1}'.encode()),
        ],
    )
    def test_rows_digest_and_name(self, control: Control, content: bytes) -> None:
        assert Said(12, "abcd", "法人.csv") == read_control(content, control, "法人.csv")

    @pytest.mark.parametrize(
        "content", [f"{SUM}  a.csv\n", f"{'0' * 64} *b.csv\n{SUM.upper()} *a.csv\n", SUM]
    )
    def test_sums(self, content: str) -> None:
        assert Said(None, SUM) == read_control(content.encode(), SUMS, "a.csv")

    def test_a_header_that_is_counted(self) -> None:
        control = Control(rows="n", counts_header=True)

        assert Said(11) == read_control(b"n=12", control, "a.csv")

    @pytest.mark.parametrize(
        ("control", "content"),
        [
            (LINES, b""),
            (LINES, b"ROWS=12"),
            (LINES, b"no line of ours"),
            (LINES, b"FILE=a\nROWS=-1\nSM3=00"),
            (LINES, b"\xff\xfe\x00"),
            (JSON, b"[]"),
            (JSON, b"[" * 100_000),
            (JSON, b'{"file": "a", "count": null, "md5": ""}'),
            (SUMS, b"nothing"),
            (SUMS, b"\n"),
            (SUMS, f"{SUM}  b.csv".encode()),
        ],
    )
    def test_what_is_none(self, control: Control, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            read_control(content, control, "a.csv")

    @given(content=st.binary(max_size=200), form=st.sampled_from([LINES, JSON, SUMS]))
    def test_any_bytes(self, content: bytes, form: Control) -> None:
        """Said, or no control file: never another error."""
        try:
            read_control(content, form, "a.csv")
        except ValueError:
            return


class TestWrite:
    @pytest.mark.parametrize("control", [LINES, JSON, SUMS])
    def test_ours_are_read_as_theirs(self, control: Control) -> None:
        rows = None if control.form == "sums" else 12
        said = Said(rows, SUM, "退回.csv")

        again = read_control(write_control(control, said), control, "退回.csv")

        assert (rows, SUM) == (again.rows, again.digest)


class TestDigest:
    @pytest.mark.parametrize(
        ("algorithm", "digest"),
        [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sm3", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        ],
    )
    def test_by_the_standards_own_example(self, algorithm: str, digest: str) -> None:
        """The digest of abc (GB/T 32905 appendix A.1 for SM3)."""
        assert digest == digest_of(io.BytesIO(b"abc"), algorithm)

    def test_unknown(self) -> None:
        with pytest.raises(ValueError, match="crc"):
            hasher("crc")


class TestSettings:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({}, "which keys"),
            ({"form": "sums"}, "algorithm"),
            ({"rows": "n", "digest": "pruefsumme"}, "algorithm"),
            ({"rows": "n", "file": "done.ok"}, "stem"),
            ({"rows": "n", "file": "../{stem}.ok"}, "stem"),
        ],
    )
    def test_a_wrong_one_is_told(self, said: dict[str, Any], told: str) -> None:
        with pytest.raises(ValueError, match=told):
            Control(**said)

    def test_the_key_names_the_algorithm(self) -> None:
        assert "sm3" == LINES.hashed_by
        assert "md5" == Control(rows="n", digest="digest", algorithm="md5").hashed_by
