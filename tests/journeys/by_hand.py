"""Collecting by hand in the running demo, while Airflow leaves that source alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exchange.airflow import AirflowApi
from exchange.database import Role
from exchange.demo import waiting
from exchange.demo.running import Demo
from exchange.libraries import journey
from exchange.libraries.batches import BatchId, Busy
from exchange.libraries.journey import Outcome

UNDER_WAY = frozenset({"running", "queued"})


@contextmanager
def by_hand(demo: Demo, source: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Airflow finish with a source and leave it alone until the end of the block."""
    for name, value in demo.departments.environment.items():
        monkeypatch.setenv(name, value)
    airflow, dag = demo.airflow.api(), f"collect__{source}"
    airflow.pause(dag)
    try:
        waiting.wait_until(
            lambda: (not _at_work(airflow, dag), dag), lambda _: None, seconds=60, what="a rest"
        )
        yield
    finally:
        airflow.pause(dag, paused=False)


def _at_work(airflow: AirflowApi, dag: str) -> bool:
    """Whether a task runs or is about to; what is merely scheduled stays so while paused."""
    return any(
        task["state"] in UNDER_WAY
        for run in airflow.runs(dag)
        if run["state"] == "running"
        for task in airflow.tasks(dag, run["dag_run_id"])
    )


def collected(demo: Demo, source: str) -> Outcome | None:
    """Collect what is new at a source; the sweep may have it for a moment."""
    outcome: list[Outcome | None] = []

    def done() -> waiting.Progress:
        try:
            outcome.append(journey.collect(demo.settings, source))
        except Busy:
            return False, "busy"
        return True, ""

    waiting.wait_until(done, lambda _: None, seconds=30, what=f"collecting {source}")
    return outcome[0]


def content(demo: Demo, table: str) -> list[tuple[Any, ...]]:
    """Every row of a dataset."""
    with demo.settings.database.connect(Role.OWNER) as owner:
        return owner.execute(f"SELECT * FROM library.{table} ORDER BY 1".encode()).fetchall()


def held(demo: Demo, source: str) -> BatchId:
    """The batch of a source that waits for a person."""
    with demo.settings.database.connect(Role.OWNER) as owner:
        row = owner.execute(
            "SELECT id FROM library.batch WHERE source = %s AND state = 'held'", (source,)
        ).fetchone()
    assert row is not None
    return int(row[0])
