"""Runs that were killed half-way, and the runs that come after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.feeds import PermanentFailure, TransientFailure, Window
from connectors.feeds.http_pages import PagesFeed
from tests.connectors.feeds.paged import PAGING, Collection, manifest, page_of, rows
from tests.connectors.feeds.serving import Asked, Reply, Served, said, serving

SOURCE = manifest(PAGING["cursor"], headers={"X-Api-Key": "PAGED_KEY"})


class Office:
    """A collection whose line can be cut, and whose pages can change."""

    def __init__(self) -> None:
        self.held = rows(23)
        self.answers = 99
        self.forgotten = False

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/position":
            return said({"position": 7})
        if self.answers < 1:
            return said({}, 503, Retry_After="9999")
        self.answers -= 1
        if self.forgotten and "cursor" in asked.query:
            return said({}, 410)
        return Collection(self.held, PAGING["cursor"])(asked)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def served(office: Office) -> Iterator[Served]:
    with serving(office) as served:
        yield served


@pytest.fixture
def secrets(served: Served, tmp_path: Path) -> dict[str, str]:
    return {"PAGED_URL": served.url, "PAGED_KEY": "k", "YIZHAN_HOME": str(tmp_path)}


class TestGoingOn:
    def test_behind_the_last_complete_page(
        self, office: Office, served: Served, secrets: dict[str, str]
    ) -> None:
        """The pages that came are not asked for again, and every row comes once."""
        window = cut_short(office, secrets, after=3)
        served.asked.clear()

        again, found, notices = pulled(secrets)

        assert window == again
        assert rows(23) == found
        assert ["after:15", "after:20"] == [asked.query["cursor"] for asked in served.asked]
        assert 1 == notices["read_resumed"]

    def test_a_read_that_came_to_its_end_leaves_nothing(
        self, office: Office, secrets: dict[str, str], tmp_path: Path
    ) -> None:
        pulled(secrets)

        assert [] == list((tmp_path / "pages").rglob("*"))

    def test_killed_for_real(self, served: Served, office: Office, tmp_path: Path) -> None:
        """Kill -9 between two pages; what was kept is whole."""
        secrets = {"PAGED_URL": served.url, "PAGED_KEY": "k", "YIZHAN_HOME": str(tmp_path)}
        code = (
            "import os, time\n"
            "from connectors.feeds.http_pages import PagesFeed\n"
            "from tests.connectors.feeds.paged import PAGING, manifest\n"
            "source = manifest(PAGING['cursor'], headers={'X-Api-Key': 'PAGED_KEY'})\n"
            "feed = PagesFeed(source, os.environ)\n"
            "for _ in feed.read(feed.plan(None)):\n"
            "    print('page', flush=True); time.sleep(0.2)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **secrets}, stdout=subprocess.PIPE
        )
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

        _, found, notices = pulled(secrets)

        assert rows(23) == found
        assert 1 == notices["read_resumed"]


class TestBeginningAnew:
    def test_another_cursor(self, office: Office, secrets: dict[str, str]) -> None:
        """The ledger went on: what was kept is of another window."""
        source = manifest(
            PAGING["cursor"],
            headers={"X-Api-Key": "PAGED_KEY"},
            window={"by": "position", "path": "/position"},
        )
        cut_short(office, secrets, after=3, source=source)

        with closing(PagesFeed(source, secrets)) as feed:
            assert Window("changes", "5", "7") == feed.plan("5")
            assert "read_resumed" not in feed.notices()

    def test_too_old(
        self, office: Office, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_short(office, secrets, after=3)
        later = time.time() + 90_000
        monkeypatch.setattr(time, "time", lambda: later)

        _, found, notices = pulled(secrets)

        assert rows(23) == found
        assert "read_resumed" not in notices

    def test_another_key(self, office: Office, secrets: dict[str, str]) -> None:
        """What is kept is sealed under the source's own credentials."""
        cut_short(office, secrets, after=3)

        _, found, notices = pulled({**secrets, "PAGED_KEY": "another"})

        assert rows(23) == found
        assert "read_resumed" not in notices

    def test_a_torn_page(
        self, office: Office, secrets: dict[str, str], tmp_path: Path, served: Served
    ) -> None:
        """It is asked for again, and those behind it too."""
        cut_short(office, secrets, after=3)
        page = tmp_path / "pages" / "paged" / "00000002"
        page.write_bytes(page.read_bytes()[:-5])
        served.asked.clear()

        _, found, _ = pulled(secrets)

        assert rows(23) == found
        assert 4 == len(served.asked)

    def test_a_source_that_has_forgotten_us(self, office: Office, secrets: dict[str, str]) -> None:
        """Its cursor is no more: this run says so, the next one is whole."""
        cut_short(office, secrets, after=3)
        office.forgotten = True
        with pytest.raises(TransientFailure, match="knows no more where the last run stopped"):
            pulled(secrets)
        office.forgotten = False

        _, found, notices = pulled(secrets)

        assert rows(23) == found
        assert "read_resumed" not in notices

    def test_pages_that_were_wrong_are_not_gone_on_with(
        self, office: Office, secrets: dict[str, str]
    ) -> None:
        """Once the department has repaired its rows they are all read again."""
        office.held = [*rows(12), {"NO": "12", "XP": "photo"}]
        with pytest.raises(PermanentFailure, match="new columns"):
            pulled(secrets)
        office.held = rows(23)

        _, found, notices = pulled(secrets)

        assert rows(23) == found
        assert "read_resumed" not in notices

    @pytest.mark.parametrize("way", ["number", "number with total", "one"])
    def test_pages_that_shift_are_never_kept(
        self, way: str, secrets: dict[str, str], tmp_path: Path
    ) -> None:
        """Two halves of two moments are no snapshot."""
        source = manifest(PAGING[way], headers={"X-Api-Key": "PAGED_KEY"})
        with (
            serving(lambda _asked: page_of(rows(5), total=9, page=1)) as shifting,
            closing(PagesFeed(source, {**secrets, "PAGED_URL": shifting.url})) as feed,
        ):
            feed.plan(None)

        assert not (tmp_path / "pages").exists()

    def test_a_plan_that_was_not_read(self, secrets: dict[str, str], tmp_path: Path) -> None:
        """Whoever only looks leaves nothing behind that a later run would take for its window."""
        with closing(PagesFeed(SOURCE, secrets)) as feed:
            planned = feed.plan(None)

        window, _, notices = pulled(secrets)

        assert planned != window
        assert "read_resumed" not in notices

    def test_a_window_that_another_feed_planned(
        self, office: Office, secrets: dict[str, str]
    ) -> None:
        """Pages of one window are never given for another."""
        cut_short(office, secrets, after=3)
        office.held = rows(2)

        with closing(PagesFeed(SOURCE, secrets)) as feed:
            [batch] = feed.read(Window("snapshot", None, "another"))

        assert rows(2) == batch.to_pylist()

    def test_a_home_that_takes_nothing(
        self, office: Office, secrets: dict[str, str], tmp_path: Path
    ) -> None:
        """Reading is more important than going on with it some day."""
        (tmp_path / "pages").write_text("a file, no folder")

        _, found, _ = pulled(secrets)

        assert rows(23) == found


class TestSecrecy:
    def test_nothing_of_a_person_is_in_clear(
        self, office: Office, secrets: dict[str, str], tmp_path: Path
    ) -> None:
        """The folder is this user's, and its files say nothing without the source's key."""
        cut_short(office, secrets, after=3)
        folder = tmp_path / "pages" / "paged"

        kept = sorted(path.name for path in folder.iterdir())

        assert ["00000001", "00000002", "00000003", "window"] == kept
        assert 0o700 == folder.stat().st_mode & 0o777
        for path in folder.iterdir():
            assert 0o600 == path.stat().st_mode & 0o777
            assert "姓名".encode() not in path.read_bytes()

    def test_a_source_without_credentials_keeps_nothing(
        self, office: Office, secrets: dict[str, str], tmp_path: Path
    ) -> None:
        with pytest.raises(TransientFailure):
            cut_short(office, secrets, after=3, source=manifest(PAGING["cursor"]), fails=False)

        assert not (tmp_path / "pages").exists()


def cut_short(
    office: Office,
    secrets: dict[str, str],
    *,
    after: int,
    source: Any = SOURCE,
    fails: bool = True,
) -> Window:
    """Read some pages, then the line is gone."""
    office.answers = after
    with closing(PagesFeed(source, secrets, sleep=lambda _seconds: None)) as feed:
        window = feed.plan(None)
        assert window is not None
        try:
            list(feed.read(window))
        except TransientFailure:
            if not fails:
                raise
    office.answers = 99
    return window


def pulled(secrets: dict[str, str]) -> tuple[Window, list[dict[str, Any]], dict[str, int]]:
    """A whole pull."""
    with closing(PagesFeed(SOURCE, secrets, sleep=lambda _seconds: None)) as feed:
        window = feed.plan(None)
        assert window is not None
        found = [row for batch in feed.read(window) for row in batch.to_pylist()]
        return window, found, dict(feed.notices())
