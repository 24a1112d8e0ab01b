"""Drops as departments really send them: forms, control files, order, late and repeated files."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.feeds import (
    Feed,
    Manifest,
    PermanentFailure,
    TransientFailure,
    Window,
    open_feed,
)
from connectors.feeds.checksum import buckets
from connectors.feeds.returns import takes_returns, write_return
from schemas.errors import Invalid
from tests.connectors.feeds.dropping import CSV, FOLDER, OK, TOLD, drop, manifest
from tests.connectors.feeds.pulling import pull
from tests.connectors.parsing.test_archives import archive
from tests.connectors.parsing.test_formats import parquet, zipped
from tests.connectors.parsing.workbooks import table

TWO = [{"ID": "1", "NAME": "一"}, {"ID": "2", "NAME": "二"}]
WHOLE: dict[str, Any] = {"whole": "t_{date}_full.csv", "control": OK}
DAILY: dict[str, Any] = {"changes": "t_{date}.csv", "control": OK}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def opened(source: Manifest, folder: Path) -> Feed:
    return open_feed(source, {FOLDER: str(folder)})


def taken(source: Manifest, folder: Path, cursor: str | None) -> tuple[list[Any], str, Any]:
    """The next window's rows without their marks, its end, and what was noticed."""
    pulled = pull(opened(source, folder), source.source_columns, cursor)
    rows = [{key: row[key] for key in ("ID", "NAME")} for row in pulled.rows]
    return rows, pulled.window.end, pulled.notices


class TestForms:
    @pytest.mark.parametrize(
        ("name", "content", "more"),
        [
            ("t_20260105_full.csv", CSV, {}),
            ("t_20260105_full.csv", CSV.encode("gb18030"), {"encoding": "gbk"}),
            ("t_20260105_full.txt", CSV.replace(",", "|"), {"csv": {"delimiter": "|"}}),
            ("t_20260105_full.csv.gz", gzip.compress(CSV.encode()), {}),
            ("t_20260105_full.zip", zipped(CSV.encode(), "a"), {"format": "csv"}),
            (
                "t_20260105_full.zip",
                archive(("a.csv", CSV.encode()), ("读我.txt", b"?")),
                {"format": "csv", "member": "*.csv"},
            ),
            ("t_20260105_full.jsonl", '{"ID":1,"NAME":"一"}\n{"ID":2,"NAME":"二"}\n', {}),
            ("t_20260105_full.xlsx", table(["ID", "NAME"], [["1", "一"], ["2", "二"]]), {}),
            (
                "t_20260105_full.parquet",
                parquet({"ID": pa.array([1, 2]), "NAME": pa.array(["一", "二"])}),
                {},
            ),
        ],
    )
    def test_the_same_rows(
        self, folder: Path, name: str, content: str | bytes, more: dict[str, Any]
    ) -> None:
        source = manifest(whole=name.replace("20260105", "{date}"), control=TOLD, **more)
        drop(folder, name, content, rows=2)

        assert (TWO, "t_20260105_full", {}) == taken(source, folder, None)

    def test_sample(self, folder: Path) -> None:
        """The first rows of the newest whole file, and the child is let go."""
        source = manifest(**WHOLE)
        drop(folder, "t_20260104_full.csv", "ID\nold\n")
        drop(folder, "t_20260105_full.csv", "ID,NAME\n" + "1,一\n" * 100_000)

        with closing(opened(source, folder)) as feed:
            assert TWO[:1] * 3 == feed.sample(3).to_pylist()

    def test_an_increment_without_operations_is_of_updates(self, folder: Path) -> None:
        source = manifest(**DAILY)
        drop(folder, "t_20260105.csv")

        rows = pull(opened(source, folder), source.source_columns).rows

        assert [("U", 1), ("U", 2)] == [(row["_op"], row["_seq"]) for row in rows]


class TestTotals:
    def test_of_the_control_file(self, folder: Path) -> None:
        source = manifest(whole="t_{date}.csv", control=TOLD)
        drop(folder, "t_20260105.csv", rows=2)
        with closing(opened(source, folder)) as feed:
            totals = feed.totals(Window("snapshot", None, "t_20260105"))

        assert 2 == totals.rows
        assert str(totals.digest).startswith("md5:")

    def test_counted_where_nothing_is_said(self, folder: Path) -> None:
        """Beside the reading, in another thread, it waits until the file has been read whole."""
        source = manifest(**WHOLE)
        drop(folder, "t_20260105_full.csv")
        found: list[int] = []
        with closing(opened(source, folder)) as feed:
            window = feed.plan(None)
            assert window is not None
            ask = threading.Thread(target=lambda: found.append(feed.totals(window).rows))
            ask.start()
            batches = list(feed.read(window))
            ask.join(timeout=20)

        assert [2] == found
        assert 2 == sum(count for count, _ in buckets(batches, ["ID", "NAME"]))


class TestWaiting:
    def test_a_file_that_settles(self, folder: Path) -> None:
        """Without control files: old enough, and the same at a second look."""
        source = manifest(whole="t_{date}.csv", control={"settle": "1h"})
        path = drop(folder, "t_20260105.csv")
        feed = opened(source, folder)

        assert feed.plan(None) is None
        assert {"files_settling": 1, "files_unknown": 1} == feed.notices()

        an_hour_ago = time.time() - 3700
        os.utime(path, (an_hour_ago, an_hour_ago))

        assert (TWO, "t_20260105", {"files_unknown": 1}) == taken(source, folder, None)

    def test_a_file_that_grows_while_it_is_looked_at(self, folder: Path) -> None:
        source = manifest(whole="t_{date}.csv", control={"settle": "1s"})
        path = drop(folder, "t_20260105.csv")
        time.sleep(1.1)
        timer = threading.Timer(0.4, lambda: path.write_text(CSV * 2))
        timer.start()

        assert opened(source, folder).plan(None) is None
        timer.join()

    def test_a_torn_end_without_a_control_file(self, folder: Path) -> None:
        """Half of a file that stopped growing is not taken for a whole one."""
        source = manifest(whole="t_{date}.csv", control={"settle": "0s"})
        drop(folder, "t_20260105.csv", CSV[:-1])

        with pytest.raises(PermanentFailure, match="ends within line 3"):
            taken(source, folder, None)

    def test_an_empty_control_file_is_being_written(self, folder: Path) -> None:
        source = manifest(whole="t_{date}.csv", control=TOLD)
        drop(folder, "t_20260105.csv", rows=2)
        (folder / "t_20260105.csv.json").write_text("")

        assert opened(source, folder).plan(None) is None

    def test_written_while_it_is_read(self, folder: Path) -> None:
        source = manifest(**WHOLE)
        path = drop(folder, "t_20260105_full.csv", CSV + "3,三\n" * 200_000)
        feed = opened(source, folder)
        window = feed.plan(None)
        assert window is not None
        batches = feed.read(window)
        next(batches)
        with path.open("ab") as file:
            file.write("4,四\n".encode())

        with pytest.raises(TransientFailure, match="written while it was read"):
            list(batches)


class TestOrder:
    def test_a_skipped_day_is_named(self, folder: Path) -> None:
        source = manifest(**DAILY)
        drop(folder, "t_20260105.csv")
        _, cursor, _ = taken(source, folder, None)
        drop(folder, "t_20260107.csv", "ID,NAME\n3,三\n")

        with pytest.raises(TransientFailure, match=r"t_20260106\.csv is missing before t_20260107"):
            opened(source, folder).plan(cursor)

    def test_where_gaps_are_skipped_the_late_file_is_taken_up(self, folder: Path) -> None:
        source = manifest(**DAILY, gaps="skip")
        drop(folder, "t_20260105.csv")
        _, cursor, _ = taken(source, folder, None)
        drop(folder, "t_20260107.csv", "ID,NAME\n7,七\n")
        third, cursor, noticed = taken(source, folder, cursor)
        assert ({"files_missing": 1}, "7") == (noticed, third[0]["ID"])

        drop(folder, "t_20260106.csv", "ID,NAME\n6,六\n")
        second, cursor, noticed = taken(source, folder, cursor)

        assert ({"files_late": 1}, "6") == (noticed, second[0]["ID"])
        assert opened(source, folder).plan(cursor) is None

    def test_the_same_file_again_is_harmless(self, folder: Path) -> None:
        """Under its own name it is not read; under another it is passed over and counted."""
        source = manifest(**DAILY)
        drop(folder, "t_20260105.csv")
        _, cursor, _ = taken(source, folder, None)
        drop(folder, "t_20260105.csv")
        assert opened(source, folder).plan(cursor) is None

        drop(folder, "t_20260106.csv")
        rows, cursor, noticed = taken(source, folder, cursor)

        assert ([], {"files_repeated": 1}) == (rows, noticed)
        assert opened(source, folder).plan(cursor) is None

    def test_unless_it_may_repeat(self, folder: Path) -> None:
        source = manifest(**DAILY, repeated="read")
        drop(folder, "t_20260105.csv")
        _, cursor, _ = taken(source, folder, None)
        drop(folder, "t_20260106.csv")

        assert TWO == taken(source, folder, cursor)[0]

    def test_a_file_of_no_known_name_is_counted(self, folder: Path) -> None:
        source = manifest(**DAILY)
        drop(folder, "t_2026-13-01.csv")
        drop(folder, "others_20260105.csv")
        (folder / ".t_20260105.csv.part").touch()
        feed = opened(source, folder)

        assert feed.plan(None) is None
        assert {"files_unknown": 1} == feed.notices()


class TestDone:
    def test_what_was_taken_is_moved_and_never_lost(self, folder: Path) -> None:
        """Moved when the ledger has it; a second of the same name lies beside the first."""
        source = manifest(**DAILY, done="done")
        drop(folder, "t_20260105.csv")
        _, cursor, _ = taken(source, folder, None)
        assert (folder / "t_20260105.csv").exists()

        opened(source, folder).plan(cursor)
        drop(folder, "t_20260105.csv", "ID,NAME\n9,九\n")
        opened(source, folder).plan(cursor)

        assert [
            "t_20260105.csv",
            "t_20260105.csv.2",
            "t_20260105.csv.ok",
            "t_20260105.csv.ok.2",
        ] == sorted(path.name for path in (folder / "done").iterdir())
        assert [] == [path for path in folder.iterdir() if path.is_file()]

    def test_a_window_is_read_again_from_there(self, folder: Path) -> None:
        """A batch that was rejected asks for its window once more."""
        source = manifest(whole="t_{date}.csv", control=TOLD, done="done")
        drop(folder, "t_20260105.csv", rows=2)
        first = pull(opened(source, folder), source.source_columns)
        opened(source, folder).plan(first.window.end)
        assert not (folder / "t_20260105.csv").exists()

        with closing(opened(source, folder)) as feed:
            batches = list(feed.read(first.window))

        assert TWO == pa.Table.from_batches(batches).to_pylist()


class TestBadFiles:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("ID,NAME\n1,一,x\n", "3 fields instead of 2 at line 2"),
            ('ID,NAME\n1,"一\n', "a quote that is not closed"),
            ("ID,NAME\n1,\0\n", "NUL byte at line 2"),
            ("ID,NAME\n1,一二三\n".encode("gb18030"), "not in the agreed encoding at line 2"),
            ("1,一\n", "has no header"),
            ("", "is empty"),
        ],
    )
    def test_named_and_the_next_run_goes_on(
        self, folder: Path, content: str | bytes, told: str
    ) -> None:
        """Who must repair it is told, nothing of its content is; repaired, it is read."""
        source = manifest(**DAILY)
        drop(folder, "t_20260105.csv", content)

        with pytest.raises(PermanentFailure, match=rf"t_20260105\.csv.*{told}.*某某局") as failure:
            taken(source, folder, None)
        assert "一" not in str(failure.value)

        drop(folder, "t_20260105.csv")
        assert TWO == taken(source, folder, None)[0]

    @pytest.mark.parametrize("make", ["symlink", "fifo", "folder"])
    def test_what_is_no_file_is_not_opened(self, folder: Path, make: str) -> None:
        """A link that leads elsewhere, a pipe that never ends."""
        path = folder / "t_20260105.csv"
        if make == "symlink":
            path.symlink_to("/etc/passwd")
        elif make == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
        (folder / "t_20260105.csv.ok").touch()
        feed = opened(manifest(**DAILY), folder)

        assert feed.plan(None) is None
        with pytest.raises(TransientFailure, match="cannot be read"):
            list(feed.read(Window("changes", None, "t_20260105")))

    def test_a_bomb(self, folder: Path) -> None:
        source = manifest(whole="t_{date}.csv.gz", control=OK)
        drop(folder, "t_20260105.csv.gz", gzip.compress(b"ID\n" + b"1\n" * (40 << 20), 9))

        with pytest.raises(PermanentFailure, match="unpacks to more"):
            taken(source, folder, None)

    def test_a_cursor_of_another_source(self, folder: Path) -> None:
        with pytest.raises(PermanentFailure, match="the cursor names no file"):
            opened(manifest(**DAILY), folder).plan("frk_20260105_full")


class TestReturns:
    def rows(self) -> pa.Table:
        return pa.table({"原因": ["号码不对"], "NAME": ['"𠮷", x']})

    def test_as_the_department_writes_its_own(self, folder: Path) -> None:
        """In its encoding, with its control file: it reads ours with its own tools."""
        source = manifest(whole="r_{date}.csv", control=TOLD, encoding="gb18030")

        assert "returns/r_20260105.csv" == write_return(
            source, {FOLDER: str(folder)}, "r_20260105", self.rows()
        )
        again = manifest(whole="r_{date}.csv", control=TOLD, encoding="gb18030")
        again = again.model_copy(update={"columns": {"原因": "a", "NAME": "b"}})
        pulled = pull(opened(again, folder / "returns"), ("原因", "NAME"))
        assert self.rows().to_pylist() == pulled.rows

    def test_for_a_spreadsheet(self, folder: Path) -> None:
        source = manifest(whole="r_{date}.xlsx", control=OK)

        write_return(source, {FOLDER: str(folder)}, "退回", self.rows())

        assert (folder / "returns" / "退回.csv").read_bytes().startswith(b'\xef\xbb\xbf"')
        assert (folder / "returns" / "退回.csv.ok").exists()

    def test_none_is_overwritten(self, folder: Path) -> None:
        source = manifest(**WHOLE)
        write_return(source, {FOLDER: str(folder)}, "a", self.rows())

        with pytest.raises(PermanentFailure, match=r"already has a file a\.csv"):
            write_return(source, {FOLDER: str(folder)}, "a", self.rows())
        assert ["a.csv", "a.csv.ok"] == sorted(p.name for p in (folder / "returns").iterdir())

    @pytest.mark.parametrize("name", ["../a", "a/b", ".a", "a b", ""])
    def test_a_name_that_is_none(self, folder: Path, name: str) -> None:
        with pytest.raises(Invalid, match="one word"):
            write_return(manifest(**WHOLE), {FOLDER: str(folder)}, name, self.rows())

    def test_a_source_without_a_place(self, manifests: dict[str, Manifest]) -> None:
        assert takes_returns(manifests["registrations"])
        assert not takes_returns(manifests["residents"])
        with pytest.raises(Invalid, match="no file drop"):
            write_return(manifests["residents"], {}, "a", self.rows())


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    """Whatever happens to a file, its reader is gone."""
    yield
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    assert [] == _readers(children)


def _readers(children: Path) -> list[str]:
    commands = (Path(f"/proc/{pid}/cmdline") for pid in children.read_text().split())
    return [path.read_text() for path in commands if "connectors.parsing" in path.read_text()]
