"""What a manifest may say of a file drop, and what a wrong one is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.feeds.file_settings import Control, FileDrop, pause

PINNED = {"host": "A", "user": "B", "host_key": "C"}


def settings(**said: Any) -> FileDrop:
    return FileDrop(kind="file_drop", folder="YIZHAN_FOLDER", **said)


class TestShort:
    def test_a_prefix_is_all_that_the_first_drops_said(self) -> None:
        short = settings(prefix="frk", operation="BGLX")

        assert ("frk_{date}_full.csv", "frk_{date}_{number}.csv") == short.patterns
        assert Control(rows="ROWS", digest="SM3", name="FILE") == short.control
        assert "gb18030" == short.text_encoding("csv")


class TestForms:
    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("a_{date}.csv", ("csv", "plain")),
            ("a_{date}.TXT", ("csv", "plain")),
            ("a_{date}.csv.gz", ("csv", "gz")),
            ("a_{date}.jsonl.zip", ("jsonl", "zip")),
            ("a_{date}.xlsx", ("xlsx", "plain")),
            ("a_{date}.parquet", ("parquet", "plain")),
        ],
    )
    def test_the_name_tells(self, name: str, form: tuple[str, str]) -> None:
        assert form == settings(whole=name).form_of(name)

    def test_json_is_utf8_unless_it_is_said(self) -> None:
        assert "utf-8" == settings(whole="a_{date}.jsonl").text_encoding("jsonl")
        assert "gb18030" == settings(whole="a_{date}.jsonl", encoding="GBK").text_encoding("jsonl")

    def test_one_header_or_many(self) -> None:
        assert (3,) == settings(whole="a_{date}.xlsx", sheet={"header": 3}).sheet.header
        assert (2, 3) == settings(whole="a_{date}.xlsx", sheet={"header": [2, 3]}).sheet.header


class TestWrong:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({}, "either prefix"),
            ({"prefix": "a", "whole": "a_{date}.csv"}, "either prefix"),
            ({"whole": "a.csv"}, "pattern"),
            ({"whole": "a_{day}.csv"}, "has {day}"),
            ({"whole": "a_{time}.csv"}, "needs {date} or {number}"),
            ({"whole": "a_{date}{number}.csv"}, "nothing between"),
            ({"whole": "../a_{date}.csv"}, "pattern"),
            ({"whole": "a_{date}.dat"}, "say the format"),
            ({"whole": "a_{date}.zip"}, "say the format"),
            ({"whole": "a_{date}.csv", "changes": "a_{number}.csv"}, "both have"),
            ({"prefix": "a", "encoding": "utf-16"}, "gb18030"),
            ({"prefix": "a", "encoding": "klingon"}, "gb18030"),
            ({"prefix": "a", "done": "../done"}, "pattern"),
            ({"prefix": "a", "returns": ".hidden"}, "pattern"),
            ({"prefix": "a", "control": {"settle": "soon"}}, "settle"),
            ({"prefix": "a", "sheet": {"header": []}}, "without a header"),
            ({"prefix": "a", "sftp": PINNED}, "password or key"),
            ({"prefix": "a", "sftp": {**PINNED, "password": "D", "key": "E"}}, "password or key"),
            ({"prefix": "a", "sftp": {"host": "A", "user": "B", "password": "C"}}, "host_key"),
            ({"prefix": "a", "sftp": {**PINNED, "password": "hunter2"}}, "password"),
        ],
    )
    def test_it_is_told(self, said: dict[str, Any], told: str) -> None:
        with pytest.raises(ValueError, match=told):
            settings(**said)


def test_pauses() -> None:
    assert [timedelta(seconds=30), timedelta(minutes=10), timedelta(hours=1)] == [
        pause(said) for said in ("30s", "10m", "1h")
    ]
