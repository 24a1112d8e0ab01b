"""Every DAG imports clean, is thin, says whose it is, and is the same each time it is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.feeds import load_manifests
from connectors.testkit.city import SOURCES
from schemas.contract import all_contracts
from tests.dags.conftest import DAGS

LONGEST = 90
HELPERS = (DAGS / ".airflowignore").read_text().split()
READING = Path(__file__).parent / "reading.py"
MAY_READ = ("/sources/", "/contracts", "/codes", "/departments", "zoneinfo", "tzdata")


def expected() -> set[str]:
    """One collecting DAG a source, one building DAG a thematic dataset, and the house's own."""
    return {
        *(f"collect__{each.source.replace('-', '_')}" for each in load_manifests(SOURCES)),
        *(f"build__{each.table}" for each in all_contracts() if each.kind == "thematic"),
        *("alerts", "audit", "issue", "replay", "sweep"),
    }


@pytest.fixture(scope="module")
def readings(airflow_home: Path) -> list[dict[str, Any]]:
    """What two processes with different hash seeds made of the DAG files, and what they opened."""
    assert airflow_home
    processes = [
        subprocess.Popen(
            [sys.executable, str(READING), str(DAGS)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    return [
        json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in processes
    ]


class TestEveryDag:
    def test_imports_clean(self, bag: Any) -> None:
        """No file fails, and no DAG is missing."""
        assert {} == bag.import_errors
        assert expected() == set(bag.dags)

    def test_says_whose_it_is_and_what_for(self, bag: Any) -> None:
        """An owner, tags, a page, and one run at a time without catching up."""
        for dag in bag.dags.values():
            assert "data-engineering" == dag.owner, dag.dag_id
            assert dag.tags, dag.dag_id
            assert dag.description, dag.dag_id
            assert len(dag.doc_md) > 100, dag.dag_id
            assert (False, 1) == (dag.catchup, dag.max_active_runs), dag.dag_id

    def test_retries_soon_and_by_class_of_error(self, bag: Any) -> None:
        """A source that is down is asked again after seconds; what stays wrong is not."""
        from dags.duties import BY_CLASS

        for dag in bag.dags.values():
            for task in dag.tasks:
                assert task.retries >= 3, task.task_id
                assert task.retry_delay.total_seconds() <= 5, task.task_id
                assert BY_CLASS is task.retry_policy, task.task_id

    def test_leaves_the_departments_in_peace(self, bag: Any) -> None:
        """Whoever reads a department's system does so within that system's pool."""
        for manifest in load_manifests(SOURCES):
            land = bag.dags[f"collect__{manifest.source.replace('-', '_')}"].get_task("land")

            assert f"system:{manifest.system or manifest.source}" == land.pool

    def test_has_a_page_made_from_its_manifest(self, bag: Any) -> None:
        """Whose source it is, how often it is asked and how to load it again."""
        for manifest in load_manifests(SOURCES):
            page = bag.dags[f"collect__{manifest.source.replace('-', '_')}"].doc_md

            for said in (manifest.owner, manifest.schedule, manifest.feed.kind, "replay"):
                assert said in page

    def test_is_thin(self) -> None:
        """A DAG file holds no logic."""
        for path in DAGS.glob("*.py"):
            if path.name not in HELPERS:
                assert len(path.read_text("utf-8").splitlines()) < LONGEST, path.name


class TestReading:
    def test_is_the_same_each_time(self, readings: list[dict[str, Any]]) -> None:
        """Two processes with other hash seeds serialise every DAG to the same text."""
        first, second = (reading["dags"] for reading in readings)

        assert expected() == set(first)
        assert [] == [name for name in first if first[name] != second[name]]

    def test_opens_nothing_but_manifests_and_contracts(
        self, readings: list[dict[str, Any]]
    ) -> None:
        """No connection, no process, no file written; no file read but those that say what is."""
        for reading in readings:
            assert [] == reading["forbidden"]
            assert [] == [
                path for path in reading["opened"] if not any(part in path for part in MAY_READ)
            ]

    def test_a_wrong_manifest_leaves_the_others_alone(
        self, airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its DAG runs nothing and says why; the other sources are collected."""
        from dags import collect, manifests

        good = next(SOURCES.glob("*.yaml"))
        (tmp_path / good.name).write_text(good.read_text("utf-8"), "utf-8")
        (tmp_path / "torn.yaml").write_text("source: torn\n", "utf-8")
        monkeypatch.setenv("YIZHAN_SOURCES", str(tmp_path))

        read, wrong = manifests.read()

        assert [good.stem] == [manifest.source for manifest in read]
        page = collect.refused("torn", wrong["torn"]).doc_md
        assert page is not None
        assert "torn.yaml is no source manifest" in page
