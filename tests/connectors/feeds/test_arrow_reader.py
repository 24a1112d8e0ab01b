"""Functions as sources: everything Arrow, rows, and dlt's resources for real."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from connectors.feeds import Manifest, PermanentFailure, TransientFailure, Window, open_feed
from schemas.errors import Unavailable
from tests.connectors.feeds.pulling import pull
from tests.connectors.feeds.readers import TEXTS

COLUMNS = ("NO", "JE", "RQ", "SJ", "YX", "LX")


class TestWhatAReaderMayGive:
    @pytest.mark.parametrize(
        "name",
        [
            *("table", "reader", "batches", "frame", "rows", "lists"),
            *("resource", "arrow_resource", "source"),
        ],
    )
    def test_rows_become_the_text_that_says_the_same(self, name: str) -> None:
        """Whatever they come in, nothing is rounded and nothing guessed."""
        pulled = pull(open_feed(manifest(name), {}), COLUMNS)

        assert TEXTS == pulled.rows
        assert {pa.string()} == set(pulled.table.schema.types)
        assert "snapshot" == pulled.window.mode

    def test_many_rows_come_in_batches(self) -> None:
        """No reader is gathered whole before the first batch leaves."""
        with closing(open_feed(manifest("numbered", options={"rows": 25_000}), {})) as feed:
            window = feed.plan(None)
            assert window is not None

            assert [10_000, 10_000, 5_000] == [batch.num_rows for batch in feed.read(window)]

    def test_a_sample(self) -> None:
        with closing(open_feed(manifest("rows"), {})) as feed:
            assert TEXTS[:1] == feed.sample(1).to_pylist()

    def test_nothing_is_a_sample_of_the_agreed_columns(self) -> None:
        with closing(open_feed(manifest("numbered", options={"rows": 0}), {})) as feed:
            assert ("NO", *COLUMNS[1:]) == tuple(feed.sample(5).column_names)

    def test_dlt_is_imported_only_by_who_uses_it(self) -> None:
        """It is an extra, and slow to import."""
        code = "import sys, connectors.feeds.arrow_reader; sys.exit('dlt' in sys.modules)"

        assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


class TestTotals:
    def test_the_readers_own_count(self) -> None:
        """It is held against what came; here it differs, and reconciliation will say so."""
        with closing(open_feed(manifest("counted", options={"count": 3}), {})) as feed:
            window = feed.plan(None)
            assert window is not None
            rows = sum(batch.num_rows for batch in feed.read(window))

            assert (2, 3) == (rows, feed.totals(window).rows)
            assert {} == feed.notices()

    def test_without_one_the_notice_says_so(self) -> None:
        pulled = pull(open_feed(manifest("table"), {}), COLUMNS)

        assert (2, {"own_count": 1}) == (pulled.totals.rows, pulled.notices)

    def test_nobody_counts_what_was_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("connectors.feeds.http_reading._PATIENCE_FOR_A_READ_S", 0.01)
        with (
            closing(open_feed(manifest("table"), {})) as feed,
            pytest.raises(TransientFailure, match="not read to the end"),
        ):
            feed.totals(Window("snapshot", None, "now"))


class TestChanges:
    def test_the_ledgers_cursor_comes_back(self) -> None:
        """The first pull is whole, later ones are changes, and at last there is nothing new."""
        source = manifest("since", mode="changes", secrets={"key": "READER_KEY"})
        secrets = {"READER_KEY": "the key"}

        first = pull(open_feed(source, secrets), ("NO", "LX"))
        second = pull(open_feed(source, secrets), ("NO", "LX"), first.window.end)

        assert Window("snapshot", None, "1") == first.window
        assert Window("changes", "1", "2") == second.window
        assert [{"NO": "2", "LX": "U", "_op": "U", "_seq": 1}] == second.rows
        with closing(open_feed(source, secrets)) as feed:
            assert feed.plan("3") is None

    def test_a_log_in_its_own_words(self) -> None:
        source = manifest(
            "log",
            mode="changes",
            operation="BGLX",
            sequence="BGXH",
            operations={"新增": "I", "注销": "D"},
        )

        pulled = pull(open_feed(source, {}), ("NO",), "6")

        assert [
            {"NO": "1", "_op": "I", "_seq": 7},
            {"NO": "2", "_op": "D", "_seq": 8},
        ] == pulled.rows

    def test_a_window_may_be_read_by_another_feed(self) -> None:
        """Who planned it may have been killed."""
        source = manifest("since", mode="changes", secrets={"key": "READER_KEY"})
        with closing(open_feed(source, {"READER_KEY": "the key"})) as feed:
            [batch] = feed.read(Window("changes", "1", "2"))

        assert ["2"] == batch.column("NO").to_pylist()

    def test_a_cursor_that_stands_still(self) -> None:
        """Nobody would ever see what comes after."""
        with (
            closing(open_feed(manifest("standing", mode="changes"), {})) as feed,
            pytest.raises(PermanentFailure, match="no new cursor"),
        ):
            feed.plan("5")


class TestFailures:
    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("nested", "column NO holds list"),
            ("no_number", "column NO holds float"),
            ("no_number_column", "NaN or Infinity"),
            ("picture", "column NO holds bytes"),
            ("nonsense", "gives int, which is no rows"),
            ("text", "gives str, which is no rows"),
            ("changing", "new columns: XP"),
            ("wide_source", "has 2 resources"),
            ("bug", "failed with KeyError"),
        ],
    )
    def test_what_stays_wrong_is_for_its_owner(self, name: str, told: str) -> None:
        """It is named by kind, never by value."""
        with (
            closing(open_feed(manifest(name), {})) as feed,
            pytest.raises(PermanentFailure, match=f"{told}.*审批局") as stop,
        ):
            list(feed.read(Window("snapshot", None, "now")))

        assert "330784" not in str(stop.value)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("broken_line", "permits: its reader met ConnectionResetError"),
            ("broken_resource", "permits: its reader met"),
            ("not_now", "the office is closed"),
        ],
    )
    def test_what_passes_may_be_tried_again(self, name: str, told: str) -> None:
        with (
            closing(open_feed(manifest(name), {})) as feed,
            pytest.raises(Unavailable, match=told) as stop,
        ):
            list(feed.read(Window("snapshot", None, "now")))

        assert "330784" not in str(stop.value)

    @pytest.mark.parametrize(
        "reader", ["no.such.package:rows", "tests.connectors.feeds.readers:gone", "math:pi"]
    )
    def test_a_function_that_is_not_there(self, reader: str) -> None:
        with pytest.raises(PermanentFailure, match=r"permits: .*(mend the manifest|no function)"):
            open_feed(manifest("", reader=reader), {})


def manifest(name: str, **feed: Any) -> Manifest:
    """A manifest that names one of `readers`."""
    return Manifest.model_validate(
        {
            "source": "permits",
            "dataset": "credit.permit",
            "owner": "永康市行政审批局",
            "feed": {
                "kind": "python",
                "reader": f"tests.connectors.feeds.readers:{name}",
                **feed,
            },
            "schedule": "1h",
            "columns": {name: name.lower() for name in COLUMNS},
            "guards": {"deleted_at_most": 1, "quarantined_at_most": 1},
        }
    )
