"""Replay: load days again from what was landed, by Airflow's own backfill.

    airflow backfill create --dag-id replay --from-date 2026-11-01 --to-date 2026-11-07 \\
        --reprocess-behavior completed --dag-run-conf '{"sources": ["residents"]}'

A run's logical date is a day; it takes the batches landed on that day, source by source and in
their order, and merges them again from their Parquet. What later batches wrote stays, so a day can
be replayed at any time and any number of times; consumers take up only what really changed.
Without `sources` every source is replayed. A batch whose Parquet has expired is passed over and
said. The schedule exists for the backfill alone: a run that no backfill made does nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.duties import AT_NIGHT, CLOCK, duty, pace

with DAG(
    dag_id="replay",
    description="days again, from what was landed",
    doc_md=__doc__,
    schedule=pace("0 0 * * *"),
    tags=["replay"],
    **AT_NIGHT,
):

    @task
    def sources_of_the_day(*, dag_run: Any = None) -> list[str]:
        """The sources that landed something on the run's day and were asked for."""
        from exchange.libraries import replaying
        from exchange.settings import Settings

        if dag_run.run_type == "scheduled":
            return []
        with duty():
            day = replaying.day_of(dag_run.logical_date, CLOCK)
            return replaying.sources(Settings.load(), day, (dag_run.conf or {}).get("sources"))

    @task(max_active_tis_per_dagrun=2)  # type: ignore[untyped-decorator]  # Airflow's types are skipped
    def replay_day(source: str, *, dag_run: Any = None) -> list[int]:
        """The day's batches of one source again; returns the numbers of those replayed."""
        from exchange.libraries import replaying
        from exchange.settings import Settings

        with duty():
            day = replaying.day_of(dag_run.logical_date, CLOCK)
            return list(replaying.replay(Settings.load(), source, day).replayed)

    replay_day.expand(source=sources_of_the_day())
