"""The regulator's drop folder: order, control files, and files that are refused as a whole."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.feeds import (
    Feed,
    Manifest,
    PermanentFailure,
    TransientFailure,
    Window,
    open_feed,
)
from connectors.testkit.city import City, registry
from tests.connectors.feeds.conftest import DAY
from tests.connectors.feeds.pulling import pull

WHOLE = "frk_20260105_full"


@pytest.fixture
def manifest(manifests: dict[str, Manifest]) -> Manifest:
    return manifests["registrations"]


@pytest.fixture
def feed(manifest: Manifest, drop: Path) -> Feed:
    return open_feed(manifest, {"YIZHAN_SOURCE_REGISTRATIONS_FOLDER": str(drop)})


class TestWhole:
    def test_every_row_as_the_file_has_it(self, feed: Feed, manifest: Manifest, city: City) -> None:
        """GB 18030 in, the same text out; an empty cell is null; the digest is the control's."""
        pulled = pull(feed, manifest.source_columns)

        assert city.registrations == pulled.rows
        assert Window("snapshot", None, WHOLE) == pulled.window
        assert pulled.totals.digest is not None
        assert pulled.totals.digest.startswith("sm3:")

    def test_what_cannot_be_said_in_gbk_survives(
        self, feed: Feed, manifest: Manifest, drop: Path, city: City
    ) -> None:
        """Plane 2 takes four bytes in GB 18030; line breaks and quotes are within quotes."""
        scope = '餐饮服务,"𠮷"字号\r\n食品经营'
        registry.drop_whole(drop, DAY, [{**city.registrations[0], "OPSCOPE": scope}])

        assert [scope] == [row["OPSCOPE"] for row in pull(feed, manifest.source_columns).rows]

    def test_a_file_without_a_control_file_is_not_there_yet(self, feed: Feed, drop: Path) -> None:
        (drop / f"{WHOLE}.ctl").unlink()

        assert feed.plan(None) is None
        assert {"files_without_control": 1} == feed.notices()

    def test_a_newer_whole_file_overtakes(self, feed: Feed, drop: Path, city: City) -> None:
        registry.drop_increment(drop, DAY, 1, [("U", city.registrations[0])])
        registry.drop_whole(drop, DAY + timedelta(days=1), city.registrations)

        assert Window("snapshot", WHOLE, "frk_20260106_full") == feed.plan(WHOLE)
        assert {"files_overtaken": 1} == feed.notices()


class TestIncrements:
    def test_one_by_one_in_order(
        self, feed: Feed, manifest: Manifest, drop: Path, city: City
    ) -> None:
        first, second, *_ = city.registrations
        registry.drop_increment(drop, DAY, 1, [("U", {**first, "DOM": "新址"}), ("D", second)])
        registry.drop_increment(drop, DAY, 2, [("I", second)])

        one = pull(feed, manifest.source_columns, WHOLE)
        two = pull(feed, manifest.source_columns, one.window.end)

        assert [("U", 1, "新址"), ("D", 2, second["DOM"])] == [
            (row["_op"], row["_seq"], row["DOM"]) for row in one.rows
        ]
        assert ["I"] == [row["_op"] for row in two.rows]
        assert feed.plan(two.window.end) is None

    def test_none_is_left_out(self, feed: Feed, drop: Path, city: City) -> None:
        """Number 2 without number 1: wait, and say what for."""
        registry.drop_increment(drop, DAY, 2, [("U", city.registrations[0])])

        with pytest.raises(TransientFailure, match="missing before frk_20260105_002"):
            feed.plan(WHOLE)

    def test_the_next_day_begins_with_one(self, feed: Feed, drop: Path, city: City) -> None:
        tomorrow = DAY + timedelta(days=1)
        registry.drop_increment(drop, tomorrow, 1, [("U", city.registrations[0])])

        window = feed.plan(WHOLE)

        assert window is not None
        assert ("changes", WHOLE) == (window.mode, window.start)
        assert window.end.startswith("frk_20260106_001 > 20260105..0w 20260106..1=")


class TestRefused:
    def test_a_damaged_file_is_named_and_never_half_loaded(
        self, feed: Feed, drop: Path, city: City
    ) -> None:
        """The first row is not handed out before the last byte has been checked."""
        registry.drop_damaged(drop, DAY, 1, [("U", row) for row in city.registrations])
        window = feed.plan(WHOLE)
        assert window is not None

        with pytest.raises(PermanentFailure, match=r"frk_20260105_001\.csv.*SM3.*must repair"):
            next(feed.read(window))

    def test_a_count_that_differs(self, feed: Feed, drop: Path) -> None:
        registry.mend(drop / f"{WHOLE}.csv", rows=3)
        window = feed.plan(None)
        assert window is not None

        with pytest.raises(PermanentFailure, match="says 3"):
            list(feed.read(window))

    def test_once_repaired_it_is_read(
        self, feed: Feed, manifest: Manifest, drop: Path, city: City
    ) -> None:
        """The department sends the file again; nobody here has to do anything."""
        changes = [("U", row) for row in city.registrations[:5]]
        registry.drop_damaged(drop, DAY, 1, changes)
        registry.drop_increment(drop, DAY, 1, changes)

        assert 5 == len(pull(feed, manifest.source_columns, WHOLE).rows)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"\xff\xff\xff\r\n", "not in the agreed encoding at line 1"),
            (
                "UNISCID,ENTNAME\r\n913307,秘密,多余\r\n".encode("gb18030"),
                "3 fields instead of 2 at line 2",
            ),
        ],
        ids=["not GB 18030", "a cell too many"],
    )
    def test_what_is_no_csv_is_refused_without_its_text(
        self, feed: Feed, drop: Path, content: bytes, told: str
    ) -> None:
        """The parser's message repeats the row; ours does not."""
        path = drop / f"{WHOLE}.csv"
        path.write_bytes(content)
        registry.mend(path, rows=1)
        window = feed.plan(None)
        assert window is not None

        with pytest.raises(PermanentFailure, match=told) as failure:
            list(feed.read(window))

        assert failure.value.__cause__ is None
        assert "秘密" not in str(failure.value)

    def test_a_control_file_of_another_file(self, feed: Feed, drop: Path) -> None:
        control = drop / f"{WHOLE}.ctl"
        control.write_text(control.read_text().replace("0105", "0104"))
        window = feed.plan(None)
        assert window is not None

        with pytest.raises(PermanentFailure, match="another file"):
            next(feed.read(window))

    def test_a_folder_that_is_not_mounted_may_come_back(self, manifest: Manifest) -> None:
        feed = open_feed(manifest, {"YIZHAN_SOURCE_REGISTRATIONS_FOLDER": "/nowhere/at/all"})

        with pytest.raises(TransientFailure, match="not there"):
            feed.plan(None)
