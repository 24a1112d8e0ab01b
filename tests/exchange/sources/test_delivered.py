"""How files are named and written, seen without being told."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from connectors.feeds.places import Folder
from exchange.sources.delivered import described
from schemas.errors import Invalid

TEXT = "编号,名称\n1,老方馄饨\n".encode()


def seen(folder: Path, **said: Any) -> dict[str, Any]:
    """What is found in a folder."""
    return described(Folder(folder), said)


class TestNames:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["frk_20260105.csv"], {"whole": "frk_{date}.csv"}),
            (["frk_2026-01-05_full.xlsx"], {"whole": "frk_{date}_full.xlsx"}),
            (["a_20260105_001.csv"], {"changes": "a_{date}_{number}.csv"}),
            (["a_7.jsonl", "a_8.jsonl"], {"changes": "a_{number}.jsonl"}),
            (
                ["a_20260105_full.csv", "a_20260105_001.csv", "readme.txt"],
                {"whole": "a_{date}_full.csv", "changes": "a_{date}_{number}.csv"},
            ),
        ],
    )
    def test_dates_and_numbers_are_found(
        self, tmp_path: Path, names: list[str], expected: dict[str, str]
    ) -> None:
        """A day is a whole delivery, a number after it an increment."""
        for name in names:
            (tmp_path / name).write_bytes(TEXT)

        found = seen(tmp_path)

        assert expected == {name: found[name] for name in ("whole", "changes") if name in found}

    def test_a_name_without_a_day_is_not_enough(self, tmp_path: Path) -> None:
        """And what to do is said."""
        (tmp_path / "stalls.csv").write_bytes(TEXT)

        with pytest.raises(Invalid, match="by its day"):
            seen(tmp_path)


class TestControls:
    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("a_20260105.ok", b"", {"file": "{stem}.ok", "form": "flag"}),
            (
                "a_20260105.ctl",
                b"FILE=a_20260105.csv\r\nROWS=1\r\nSM3=00\r\n",
                {
                    "file": "{stem}.ctl",
                    "form": "lines",
                    "rows": "ROWS",
                    "digest": "SM3",
                    "name": "FILE",
                },
            ),
            (
                "a_20260105.csv.json",
                b'{"count": 1, "md5": "00"}',
                {"file": "{name}.json", "form": "json", "rows": "count", "digest": "md5"},
            ),
            (
                "a_20260105.csv.md5",
                b"d41d8cd98f00b204e9800998ecf8427e  a_20260105.csv\n",
                {"file": "{name}.md5", "form": "sums", "algorithm": "md5"},
            ),
        ],
    )
    def test_are_read_as_what_they_are(
        self, tmp_path: Path, name: str, content: bytes, expected: dict[str, str]
    ) -> None:
        """Four forms of the small file beside a delivery."""
        (tmp_path / "a_20260105.csv").write_bytes(TEXT)
        (tmp_path / name).write_bytes(content)

        assert expected == seen(tmp_path)["control"]

    def test_without_one_a_file_has_to_settle(self, tmp_path: Path) -> None:
        """Nobody vouches for it, so it must have lain for a while."""
        (tmp_path / "a_20260105.csv").write_bytes(TEXT)

        assert {"settle": "10s"} == seen(tmp_path)["control"]


class TestWriting:
    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_encoding_and_delimiter_are_seen(
        self, tmp_path: Path, encoding: str, packed: bool
    ) -> None:
        """Packed or not."""
        content = "编号;名称\n1;老方馄饨\n".encode(encoding)
        name = f"a_20260105.csv{'.gz' if packed else ''}"
        (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)

        found = seen(tmp_path)

        assert (encoding, {"delimiter": ";"}) == (found["encoding"], found["csv"])

    def test_what_was_said_stands(self, tmp_path: Path) -> None:
        """Whoever knows better is not corrected."""
        (tmp_path / "a_20260105.csv").write_bytes(TEXT)

        found = seen(tmp_path, whole="a_{date}.csv", encoding="gb18030", control={"settle": "1m"})

        assert {} == found
