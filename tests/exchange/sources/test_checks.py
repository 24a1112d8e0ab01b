"""`yizhan source check`: each thing that may be wrong has its line, and nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.feeds import load_manifest
from exchange.sources import paces
from exchange.sources.checks import Finding
from tests.connectors.feeds.conftest import Police, city, police
from tests.exchange.sources.conftest import delivered, types
from tests.exchange.sources.test_adding import NEW, stall

__all__ = ["city", "police"]  # fixtures of the feeds' tests


@pytest.fixture
def drop(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a delivery that a control file vouches for, and its source's files."""
    folder = tmp_path / "drop"
    delivered(folder, "tw_20260105.csv", [stall(number) for number in range(20)], "gb18030")
    (folder / "tw_20260105.ctl").write_text("ROWS=20\n")
    monkeypatch.setenv("YIZHAN_SOURCE_STALLS_FOLDER", str(folder))
    types(*NEW)
    return folder


def checked(name: str = "stalls", status: int = 1) -> Mapping[str, Finding]:
    """What is found, by what was tried. Without a database one thing is always wrong."""
    found: list[dict[str, Any]] = json.loads(types("check", name, "--json", status=status))
    return {each["what"]: Finding(**each) for each in found}


def edited(home: Path, pattern: str, instead: str) -> None:
    """Change a line of the manifest."""
    path = home / "sources" / "stalls.yaml"
    text, times = re.subn(pattern, instead, path.read_text("utf-8"), flags=re.MULTILINE)
    assert times
    path.write_text(text, "utf-8")


class TestCheck:
    def test_everything_but_the_database(self, drop: Path) -> None:
        """A source can be tried on a laptop; what is missing is said last."""
        found = checked()

        assert {"tables"} == {what for what, each in found.items() if each.state == "wrong"}
        assert "there is no database" in found["tables"].said
        assert "20 rows" in found["totals"].said

    def test_it_writes_nothing(self, drop: Path, home: Path) -> None:
        """Neither in our home nor at the source."""
        before = _state(drop), _state(home)

        checked()

        assert before == (_state(drop), _state(home))

    def test_a_variable_that_is_not_set(self, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its name and what to type."""
        monkeypatch.delenv("YIZHAN_SOURCE_STALLS_FOLDER")

        found = checked()["variables"]

        assert ("wrong", True) == (found.state, "export YIZHAN_SOURCE_STALLS_FOLDER" in found.next)

    def test_a_source_that_does_not_answer(
        self, drop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """What it says, and nothing after it."""
        monkeypatch.setenv("YIZHAN_SOURCE_STALLS_FOLDER", str(tmp_path / "elsewhere"))

        found = checked()

        assert "wrong" == found["source"].state
        assert "rows" not in found

    def test_columns_that_drifted(self, drop: Path) -> None:
        """What is missing and what is new, by name."""
        rows = [{**stall(number), "备用": ""} for number in range(20)]
        for each in rows:
            del each["经办人"]
        delivered(drop, "tw_20260105.csv", rows, "gb18030")

        assert "missing 经办人; new 备用" == checked()["schema"].said

    def test_rows_that_would_be_refused(self, drop: Path) -> None:
        """How many and why, never whose."""
        rows = [{**stall(number), "身份证号": "110105199001011233"} for number in range(20)]
        delivered(drop, "tw_20260105.csv", rows, "gb18030")

        found = checked()["rows"]

        assert ("wrong", "20 of 20 would be refused: 20 × resident_id:check-character") == (
            found.state,
            found.said,
        )

    def test_a_control_file_that_counts_otherwise(self, drop: Path) -> None:
        """The department says one thing and sends another."""
        (drop / "tw_20260105.ctl").write_text("ROWS=21\n")

        assert "its control file says 21" in checked()["source"].said

    @pytest.mark.parametrize(
        ("pattern", "instead", "what", "said"),
        [
            (r"^dataset: .*", "dataset: market.stal", "contract", "no dataset"),
            (r"身份证号: \w+", "身份证号: number_of_it", "contract", "no field number_of_it"),
            (r"小吃: '\d'", "小吃: '9'", "contract", "crosswalk makes kind codes"),
            (r"^schedule: .*", "schedule: 5s", "schedule", "sooner than a run takes"),
            (r"^schedule: .*", "schedule: 0 25 * * *", "schedule", "25 is no hour"),
            (r"^schedule: .*", "schedule: often", "manifest", "schedule is neither"),
            (r"^owner: .*", "owner: [", "manifest", "no source manifest"),
        ],
    )
    def test_slips_in_the_files(
        self, drop: Path, home: Path, pattern: str, instead: str, what: str, said: str
    ) -> None:
        """Each is named before anything is asked of anybody."""
        edited(home, pattern, instead)

        found = checked()[what]

        assert ("wrong", True) == (found.state, said in found.said), found

    def test_no_such_source(self, drop: Path) -> None:
        """And which there are."""
        assert "there are stalls" in checked("stals")["manifest"].said

    def test_a_table_of_the_police(
        self, home: Path, police: Police, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Totals by the source's own means, and the newest change of all rows."""
        monkeypatch.setenv("YIZHAN_SOURCE_RESIDENTS_DSN", police.reader)
        new = "new residents --kind sql_cursor --table rkk.ryjbxx --schedule 1m"
        types(*new.split(" "))

        found = checked("residents")

        assert "count and checksum" in found["totals"].said
        assert found["freshness"].said.startswith("the newest change is ")
        monkeypatch.setenv("YIZHAN_SOURCE_RESIDENTS_DSN", police.reader + " password=wrong")
        assert "wrong" == checked("residents")["source"].state


class TestPaces:
    @pytest.mark.parametrize(
        ("schedule", "slips"),
        [
            ("30 2 * * *", 0),
            ("*/15 8-18 * * mon-fri", 0),
            ("0 0 1,15 * *", 0),
            ("60 0 * * *", 1),
            ("0 0 * 13 8", 2),
            ("*/0 0 * * *", 1),
        ],
    )
    def test_cron_is_read(self, drop: Path, home: Path, schedule: str, slips: int) -> None:
        """Each part that is none is named."""
        edited(home, r"^schedule: .*", f'schedule: "{schedule}"')
        manifest = load_manifest(home / "sources" / "stalls.yaml")

        assert slips == len(list(paces.slips(manifest, ())))

    def test_two_sources_of_one_dataset(self, drop: Path, home: Path) -> None:
        """A whole delivery of one would remove what the other brought."""
        manifest = load_manifest(home / "sources" / "stalls.yaml")
        other = manifest.model_copy(update={"source": "others"})

        (slip,) = paces.slips(manifest, [manifest, other])

        assert "others brings market.stall too" in slip


def _state(folder: Path) -> list[tuple[str, int, int]]:
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return [(str(path), state.st_mtime_ns, state.st_size) for path, state in found]
