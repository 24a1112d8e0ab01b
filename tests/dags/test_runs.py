"""Every DAG runs, against a real database and the departments of a small city."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.feeds import load_manifests
from connectors.testkit.city import SOURCES
from exchange.database import Role
from exchange.settings import Settings
from schemas.contract import all_contracts
from schemas.contract import load as contract_of
from tests.dags.test_habits import expected

SHANGHAI = ZoneInfo("Asia/Shanghai")


def states(run: Any) -> dict[str, str]:
    """The state of each task; mapped ones with their number."""
    return {
        each.task_id if each.map_index < 0 else f"{each.task_id}[{each.map_index}]": str(each.state)
        for each in run.get_task_instances()
    }


def sources_by_parents() -> Iterator[str]:
    """Collecting DAGs, then building ones: parents before those who are built from them."""
    for manifest in load_manifests(SOURCES):
        yield f"collect__{manifest.source.replace('-', '_')}"
    for contract in all_contracts():
        if contract.kind == "thematic":
            yield f"build__{contract.table}"


class TestRuns:
    def test_every_dag_runs_as_on_its_first_day(
        self, bag: Any, home: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sources are loaded, datasets built; the audit agrees, a replay changes nothing."""
        monkeypatch.setenv("YIZHAN_ISSUE_LIMIT", "0")  # sealing needs the signer; the demo has one
        order = [*sources_by_parents(), "sweep", "issue", "audit", "replay", "alerts"]

        ran = {name: states(_test(bag.dags[name])) for name in order}

        assert expected() == set(ran)
        assert {} == {name: told for name, told in ran.items() if set(told.values()) != {"success"}}
        assert {} == {name: rows for name, rows in _rows(home).items() if rows == 0}
        assert [] == list(_heavy_xcoms())


class TestBackfill:
    def test_days_become_runs(self, bag: Any) -> None:
        """Airflow's own backfill takes a range of days; a day is the departments'."""
        assert bag
        asked = "--dag-id replay --from-date 2026-11-01 --to-date 2026-11-03 --dry-run"

        told = subprocess.run(
            [sys.executable, "-m", "airflow", "backfill", "create", *asked.split()],
            capture_output=True,
            text=True,
            check=False,
        )

        assert 0 == told.returncode, told.stderr[-2000:]
        shown = [line.split("|")[1] for line in told.stdout.splitlines() if line[2:6] == "2026"]
        days = [datetime.fromisoformat(each.strip()).astimezone(SHANGHAI) for each in shown]
        assert ["11-01 00:00", "11-02 00:00", "11-03 00:00"] == [f"{d:%m-%d %H:%M}" for d in days]


def _test(dag: Any) -> Any:
    """A run of now: for `replay` that is today, the day on which everything was landed."""
    return dag.test(logical_date=datetime.now(UTC))


def _rows(home: Settings) -> dict[str, int]:
    """How many rows each dataset holds that a source or a build fills."""
    fed = {manifest.dataset for manifest in load_manifests(SOURCES)}
    fed |= {contract.id for contract in all_contracts() if contract.kind == "thematic"}
    with home.database.connect(Role.INGEST) as conn:
        return {dataset: _count(conn, contract_of(dataset).table) for dataset in sorted(fed)}


def _count(conn: Any, table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM library.{table}".encode()).fetchone()
    return int(row[0])


def _heavy_xcoms() -> Iterator[str]:
    """What a task left for another and is neither a number nor the name of a source."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    names = {manifest.source for manifest in load_manifests(SOURCES)}
    with create_session() as session:
        for left in session.query(XComModel).all():
            value = XComModel.deserialize_value(left)
            for each in value if isinstance(value, list) else [value]:
                if each is not None and type(each) is not int and each not in names:
                    yield f"{left.dag_id}.{left.task_id} {left.key}: {type(each).__name__}"
