"""`yizhan source new`: what is written, what is not, and what is never overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from connectors.feeds import PermanentFailure, load_manifest
from connectors.testkit.city import SOURCES
from schemas.contract import load
from schemas.errors import Invalid
from tests.connectors.feeds.conftest import Police, city, police
from tests.exchange.sources.conftest import delivered, types
from tests.schemas.numbers import RESIDENTS
from tests.verification.test_datacontract import lint

__all__ = ["city", "police"]  # fixtures of the feeds' tests
OWNER = "永康市综合行政执法局"
"""One of the departments that are known by name."""


def stall(number: int) -> Mapping[str, str]:
    """A row of the market office."""
    return {
        "摊位编号": f"T{number}",
        "经营类别": ("小吃", "百货")[number % 2],
        "身份证号": RESIDENTS[number % 10],
        "经办人": ("某甲", "某乙")[number % 2],
    }


@pytest.fixture
def office(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a delivery, in an engineer's environment."""
    folder = tmp_path / "drop"
    delivered(folder, "tw_20260105.csv", [stall(number) for number in range(20)], "gb18030")
    monkeypatch.setenv("YIZHAN_SOURCE_STALLS_FOLDER", str(folder))
    return folder


NEW = ("new", "stalls", "--kind", "file_drop", "--dataset", "market.stall", "--owner", OWNER)


class TestNewDatasets:
    def test_what_is_written_loads(self, office: Path, home: Path) -> None:
        """A contract, a code list, a manifest; and the sample passes them."""
        said = json.loads(types(*NEW, "--json"))

        assert (True, 0) == (said["new_dataset"], said["sample"]["quarantined"])
        manifest = load_manifest(home / "sources" / "stalls.yaml")
        contract = load("market.stall")
        assert set(manifest.columns.values()) == set(contract.columns)
        assert OWNER == contract.owner
        assert "resident" == contract.field(manifest.columns["身份证号"]).identifier

    def test_nobody_is_in_the_files(self, office: Path, home: Path) -> None:
        """Neither numbers nor names of persons, however often they come."""
        printed = types(*NEW)

        written = [path.read_text("utf-8") for path in home.rglob("*.yaml")]
        assert 3 == len(written)
        for text in (printed, *written):
            assert not any(number in text for number in (*RESIDENTS, "某甲", "某乙"))

    def test_nothing_is_overwritten_unasked(self, office: Path, home: Path) -> None:
        """Not even looked at; --force writes a draft anew, and an active contract never."""
        types(*NEW)
        contract = home / "contracts" / "market" / "stall.yaml"
        with pytest.raises(Invalid, match="--force"):
            types(*NEW)

        assert json.loads(types(*NEW, "--force", "--json"))["new_dataset"]
        contract.write_text(contract.read_text().replace("status: draft", "status: active"))
        assert not json.loads(types(*NEW, "--force", "--json"))["new_dataset"]

    def test_a_slip_leaves_nothing_behind(self, office: Path, home: Path) -> None:
        """What would not load is not written."""
        for words, said in (
            (("--owner", "没有这个局"), "--authority"),
            (("--key", "摊位号码"), "it has"),
            (("--set", "encoding=klingon"), "encoding"),
            (("--call", "摊位编号"), "COLUMN=our_name"),
            (("--schedule", "now and then"), "schedule"),
        ):
            with pytest.raises(Invalid, match=said):
                types(*NEW, *words)
        assert not list(home.rglob("*.yaml"))

    def test_lint_agrees(self, office: Path, home: Path) -> None:
        """Other teams' tool reads the contract that was written."""
        tool = os.environ.get("YIZHAN_DATACONTRACT")
        if not tool:
            pytest.skip("YIZHAN_DATACONTRACT names no datacontract")
        types(*NEW)
        file = home / "contracts" / "market" / "stall.yaml"

        assert [] == lint(Path(tool), file)[str(file)]


class TestKnownDatasets:
    def test_the_police_by_change_log(
        self, home: Path, police: Police, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a person wrote for the demo is what is proposed from the living table."""
        monkeypatch.setenv("YIZHAN_SOURCE_RESIDENTS_DSN", police.reader)

        said = json.loads(
            types(
                *("new", "residents", "--kind", "sql_changes", "--table", "rkk.ryjbxx"),
                *("--set", "log=rkk.ryjbxx_bg", "--set", "sequence=BGXH"),
                *("--set", "operation=BGLX", "--schedule", "1m", "--json"),
            )
        )

        assert ("population.resident", False) == (said["dataset"], said["new_dataset"])
        ours, theirs = (
            load_manifest(folder / "residents.yaml") for folder in (home / "sources", SOURCES)
        )
        assert theirs.columns == ours.columns
        assert theirs.feed == ours.feed
        assert theirs.crosswalk["sex"].items() >= ours.crosswalk["sex"].items()

    def test_by_cursor_the_column_is_found(
        self, home: Path, police: Police, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time of change, without being told."""
        monkeypatch.setenv("YIZHAN_SOURCE_RESIDENTS_DSN", police.reader)

        said = json.loads(
            types(*["new", "residents", "--kind", "sql_cursor", "--table", "rkk.ryjbxx", "--json"])
        )

        assert "GXSJ" == said["cursors"][0]

    def test_a_wrong_login_is_said(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before anything is written."""
        with pytest.raises(PermanentFailure, match="set YIZHAN_SOURCE_RESIDENTS_DSN"):
            types(*["new", "residents", "--kind", "sql_snapshot", "--table", "rkk.ryjbxx"])
        assert not home.exists()
