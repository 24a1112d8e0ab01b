"""`yizhan library …`: what an engineer types."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.cli import library
from exchange.libraries import journey, planning
from exchange.libraries.batches import Held
from exchange.libraries.plan import Plan
from exchange.settings import Settings
from schemas.errors import Invalid, NotFound, Unavailable
from tests.exchange.libraries.conftest import ADA, BEN, City, Loosen, resident


@pytest.fixture
def engineer(city_of: City, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type a command; get what it printed."""
    monkeypatch.setattr(Settings, "load", lambda: city_of.settings)
    monkeypatch.setenv("COLUMNS", "200")

    def types(*words: str, stdin: str = "", status: int = 0) -> str:
        result = CliRunner().invoke(library.app, words, input=stdin, catch_exceptions=False)
        assert status == result.exit_code, result.output
        return result.stdout

    return types


@pytest.fixture
def refused(city_of: City, loosened: Loosen) -> City:
    """A batch of two residents, one of whom may not enter: row 2."""
    loosened("residents")
    city_of["residents"].sends("1", [resident(ADA), resident(BEN, "秘密", XBDM="?")])
    journey.collect(city_of.settings, "residents")
    return city_of


class TestCommands:
    def test_run_list_show_replay_reconcile(self, city_of: City, engineer: Any) -> None:
        """A batch's life without a scheduler, for people and for programs."""
        city_of["residents"].sends("1", [resident(ADA), resident(ADA), resident(BEN)])

        ran = json.loads(engineer("run", "residents", "--json"))
        assert ("published", 2, 1) == (
            ran["state"],
            ran["counts"]["inserted"],
            ran["counts"]["duplicate"],
        )
        assert "nothing new" in engineer("run", "residents")
        (listed,) = json.loads(engineer("list", "--json"))
        assert 1 == listed["id"]
        assert "residents" in engineer("list")
        assert {} == json.loads(engineer("show", "1", "--json"))["quarantine"]
        assert 0 == json.loads(engineer("replay", "1", "--json"))["counts"]["inserted"]
        assert "adds up" in engineer("reconcile", "1")
        (told,) = (city_of.settings.home / "lineage").glob("*.jsonl")
        assert 4 == len(told.read_text("utf-8").splitlines())  # run and replay, start and end

    def test_a_held_batch_is_looked_at_and_released(self, city_of: City, engineer: Any) -> None:
        """Reasons first; rows only when asked for; then a decision with a name and a reason."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, XBDM="?")])
        with pytest.raises(Held):
            engineer("run", "residents")

        looked = engineer("quarantine", "1")
        assert "sex:unknown-code" in looked
        assert BEN not in looked
        assert BEN in engineer("quarantine", "1", "--rows", "5", "--json")
        assert BEN in engineer("quarantine", "--rows", "5", "1")
        released = engineer("release", "1", "--reason", "样本", "--by", "李", "--json")
        assert "published" == json.loads(released)["state"]

    def test_as_of_reads_the_key_from_standard_input(self, city_of: City, engineer: Any) -> None:
        """A number on the command line would be seen by every user of the machine."""
        city_of["residents"].sends("1", [resident(ADA, "某人")])
        engineer("run", "residents")

        moment = "2100-01-01T00:00:00+08:00"
        found = json.loads(engineer("as-of", "population.resident", moment, stdin=f"{ADA}\n"))
        assert "某人" == found["name"]
        engineer("as-of", "population.resident", moment, stdin=f"{BEN}\n", status=1)

    def test_datasets_are_listed_with_their_quality(self, refused: City, engineer: Any) -> None:
        """Those that have nothing yet are there too."""
        found = {
            row["dataset"]: row for row in json.loads(engineer("list", "--datasets", "--json"))
        }

        assert 1 == found["population.resident"]["refused"]
        assert found["real_estate.unit"]["published"] is None
        assert "population.resident" in engineer("list", "--datasets")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("run", "resident"), "did you mean residents"),
            (("list", "--dataset", "population.residents"), "did you mean population.resident"),
            (("repair", "nobody", "x.csv", "--reason", "x"), "there are addresses, births"),
        ],
    )
    def test_a_slip_is_answered_with_what_was_meant(
        self, engineer: Any, words: tuple[str, ...], said: str
    ) -> None:
        """Nobody has to go and look for names."""
        with pytest.raises(NotFound, match=said):
            engineer(*words)

    def test_a_moment_that_is_none_is_said(self, engineer: Any) -> None:
        """No traceback, and how to write one."""
        with pytest.raises(Invalid, match="write it as"):
            engineer("as-of", "population.resident", "yesterday")


class TestPlan:
    def test_it_says_what_would_happen(
        self, engineer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Figures for people and programs; status 1 when a person would have to look."""
        planned = Plan(
            *("residents", "population.resident", "snapshot", (None, "1")),
            rows=3,
            reasons={"sex:unknown-code": 1},
            inserted=2,
            held=("1 of 3 rows are in quarantine",),
        )
        monkeypatch.setattr(planning, "plan", lambda *_: planned)

        said = engineer("plan", "residents", status=1)
        told = json.loads(engineer("plan", "residents", "--json", status=1))

        assert "reasons sex:unknown-code" in said
        assert "a person must look first" in said
        assert (2, False) == (told["inserted"], told["passes"])


class TestFollow:
    def test_it_collects_until_it_is_stopped(
        self, city_of: City, engineer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A source that is down is asked again; what came is told a line each."""
        city_of["residents"].sends("1", [resident(ADA)])
        city_of["residents"].breaks = Unavailable("down")
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            city_of["residents"].breaks = None
            if len(waited) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr("exchange.cli.library.loading.time.sleep", sleep)

        said = engineer("follow", "residents", "--every", "3")

        assert [6.0, 3.0] == waited
        assert "batch 1 of residents: 1 inserted" in said


class TestQuarantine:
    def test_out_and_back(self, refused: City, engineer: Any, tmp_path: Path) -> None:
        """Listed, exported, mended, handed in; and the trend shows it."""
        path = tmp_path / "rows.csv"
        (standing,) = json.loads(engineer("quarantine", "list", "--json"))
        assert ({"open": 1}, {"< 1 day": 1}) == (standing["states"], standing["ages"])
        assert "永康市公安局" in engineer("quarantine", "list")
        assert "1 rows are in" in engineer("quarantine", "export", "residents", str(path))

        with path.open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow({**row, "XBDM": "女"})
        done = engineer("repair", "residents", str(path), "--reason", "核实", "--json")

        assert 1 == json.loads(done)["counts"]["inserted"]
        (day,) = json.loads(engineer("quarantine", "trend", "--days", "1", "--json"))
        assert (1, 1, 0) == (day["new"], day["settled"], day["open"])
        assert "residents" in engineer("quarantine", "trend", "residents")

    def test_the_return_file(self, refused: City, engineer: Any) -> None:
        """It is somewhere, and it is said where."""
        given = json.loads(engineer("quarantine", "return", "residents", "--json"))

        assert 1 == given["rows"]
        assert Path(given["place"]).exists()

    def test_waived_with_a_reason(self, refused: City, engineer: Any) -> None:
        """What nobody will repair is not open for ever."""
        said = engineer("quarantine", "waive", "1", "2", "--reason", "重复登记")

        assert "1 rows of batch 1 are waived" in said
        assert "nothing open" in engineer("quarantine", "return", "residents")


class TestReconcile:
    def test_a_whole_source(self, refused: City, engineer: Any) -> None:
        """Every batch whose file is kept is counted again; the others are named."""
        refused["residents"].sends("2", [resident(ADA)], "changes")
        engineer("run", "residents")
        assert "2 batches add up" in engineer("reconcile", "residents")

        (
            refused.settings.landing / refused.rows("SELECT min(file) FROM library.batch")[0][0]
        ).unlink()
        told = json.loads(engineer("reconcile", "residents", "--json"))

        assert ({"2": []}, [1]) == (told["batches"], told["expired"])

    def test_a_gap_is_named_with_its_batch(self, refused: City, engineer: Any) -> None:
        """And the status says that something is wrong."""
        with refused.settings.database.connect("yizhan_ingest") as conn:
            conn.execute(
                "UPDATE library.batch SET source_totals = source_totals || '{\"rows\": 3}'"
            )

        said = engineer("reconcile", "residents", status=1)

        assert "batch 1: the source counts 3 rows and 2 were landed" in said


class TestAlerts:
    def test_they_are_looked_for_and_acknowledged(self, city_of: City, engineer: Any) -> None:
        """Well means status 0; what is wrong stays until it is mended, known or not."""
        assert "every source is well" in engineer("alerts")
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, XBDM="?")])
        with pytest.raises(Held):
            engineer("run", "residents")

        (alert,) = json.loads(engineer("alerts", "--json", status=1))
        known = engineer("alerts", "--acknowledge", str(alert["id"]), "--by", "李", status=1)

        assert "held-batch" == alert["kind"]
        assert "李" in known
        engineer("reject", "1", "--reason", "退回", "--json")
        assert "every source is well" in engineer("alerts")
        assert "held-batch" in engineer("alerts", "--closed", "5")
