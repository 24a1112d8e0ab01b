"""What lineage says of a batch: from which columns, into which fields, how many; and no person."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.libraries import journey, lineage
from exchange.libraries.batches import Batch, State
from exchange.libraries.lineage import Parent
from exchange.libraries.lineage_sql import origins
from schemas.contract import load
from tests.exchange.libraries.conftest import ADA, BEN, City, resident

OWNERSHIP = "real_estate_registration.ownership"
BUILT = Batch(
    id=9,
    source=OWNERSHIP,
    dataset=OWNERSHIP,
    mode="build",
    window_start=None,
    window_end="build 1",
    state=State.PUBLISHED,
    lease=1,
    counts={"inserted": 3},
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
)


@pytest.fixture(autouse=True)
def nowhere_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's lineage server is, the tests do not tell it."""
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def told(home: Path) -> list[dict[str, Any]]:
    """Every event in the home's files."""
    lines = [line for path in sorted((home / "lineage").glob("*.jsonl")) for line in path.open()]
    return [json.loads(line) for line in lines]


class TestTell:
    @pytest.fixture
    def events(self, city_of: City) -> list[dict[str, Any]]:
        """The events of a first load of two residents."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN)])
        outcome = journey.collect(city_of.settings, "residents")
        assert outcome
        parent = Parent("01941c2e-0000-7000-8000-000000000000", "yizhan", "collect__residents.load")
        lineage.tell(city_of.settings, outcome.batch, parent=parent)
        return told(city_of.settings.home)

    def test_files_of_long_ago_go(self, city_of: City) -> None:
        """A day's first line takes away what is older than a season."""
        folder = city_of.settings.home / "lineage"
        folder.mkdir()
        recent = f"{datetime.now(UTC).date() - timedelta(days=80)}.jsonl"
        for name in ("2020-01-01.jsonl", recent):
            (folder / name).touch()
        city_of["residents"].sends("1", [resident(ADA)])
        outcome = journey.collect(city_of.settings, "residents")
        assert outcome
        lineage.tell(city_of.settings, outcome.batch)

        assert [recent, f"{datetime.now(UTC).date()}.jsonl"] == sorted(
            path.name for path in folder.iterdir()
        )

    def test_a_run_begins_and_completes(self, events: list[dict[str, Any]]) -> None:
        """Two events of one run, a part of the run that started it."""
        assert ["START", "COMPLETE"] == [event["eventType"] for event in events]
        assert 1 == len({event["run"]["runId"] for event in events})
        assert "collect.residents" == events[1]["job"]["name"]
        assert "collect__residents.load" == events[1]["run"]["facets"]["parent"]["job"]["name"]

    def test_says_from_which_column_each_field_came(self, events: list[dict[str, Any]]) -> None:
        """The department's own names on one side, the contract's on the other."""
        (read,), (written,) = events[1]["inputs"], events[1]["outputs"]
        (origin,) = written["facets"]["columnLineage"]["fields"]["resident_id"]["inputFields"]

        assert ("residents", "GMSFHM") == (read["name"], origin["field"])
        assert "population.resident" == written["name"]
        assert {"resident_id", "name"} <= {
            field["name"] for field in written["facets"]["schema"]["fields"]
        }

    def test_counts_what_was_written(self, events: list[dict[str, Any]]) -> None:
        """Rows as statistics, and the batch's places as they stand in the ledger."""
        (written,) = events[1]["outputs"]

        assert 2 == written["outputFacets"]["outputStatistics"]["rowCount"]
        assert 2 == written["facets"]["yizhan_batch"]["counts"]["inserted"]

    def test_holds_nothing_of_a_person(self, events: list[dict[str, Any]]) -> None:
        """Names of columns, never what is in them."""
        text = json.dumps(events, ensure_ascii=False)

        assert [] == [secret for secret in (ADA, BEN, "王小明", "13800000000") if secret in text]

    def test_a_batch_told_again_is_the_same_run(self, city_of: City) -> None:
        """A second attempt, a replay: one run."""
        city_of["residents"].sends("1", [resident(ADA)])
        outcome = journey.collect(city_of.settings, "residents")
        assert outcome

        for _ in range(2):
            lineage.tell(city_of.settings, outcome.batch)

        assert 1 == len({event["run"]["runId"] for event in told(city_of.settings.home)})

    def test_never_fails_a_run(
        self, city_of: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not when there is no such batch, and not when nobody listens."""
        monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(lineage, "PATIENCE", 0.5)
        city_of["residents"].sends("1", [resident(ADA)])
        outcome = journey.collect(city_of.settings, "residents")
        assert outcome

        lineage.tell(city_of.settings, outcome.batch)
        lineage.tell(city_of.settings, 4711)

        assert "batch 4711: its lineage was not told" in caplog.text


class TestBuilds:
    def test_fields_come_from_columns_of_the_parents(self) -> None:
        """Read from the contract's SQL: through joins, and through a named subquery."""
        contract = load(OWNERSHIP)
        parents = {load(parent).table: load(parent) for parent in contract.parents}

        found = origins(contract.sql or "", parents)

        assert (("real_estate.unit", "area_m2"),) == found["area_m2"]
        assert (("real_estate.right", "certificate_no"),) == found["certificate_no"]

    def test_a_build_tells_its_parents(self, city_of: City) -> None:
        """Each parent is an input, with the SQL beside them."""
        contract = load(OWNERSHIP)

        events = lineage.events(city_of.settings, BUILT)

        assert set(contract.parents) == {each.name for each in events[1].inputs or []}
        assert "sql" in (events[1].job.facets or {})
