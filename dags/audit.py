"""Audit: every night each source is compared whole with what the library holds of it.

By day every batch is reconciled by its own window. At night each source counts and sums up
everything by its own means, within the pool of its system and mapped source by source, so that one
that differs is one red square and the others go on. What differs is told by counts, never by a row.
"""

from __future__ import annotations

from itertools import groupby

from airflow.sdk import DAG, task

from dags import manifests
from dags.duties import AT_NIGHT, duty, pace, pool

with DAG(
    dag_id="audit",
    description="whole comparison of every source",
    doc_md=__doc__,
    schedule=pace("30 2 * * *"),
    tags=["audit"],
    **AT_NIGHT,
):

    @task(max_active_tis_per_dagrun=2)  # type: ignore[untyped-decorator]  # Airflow's types are skipped
    def compare(source: str) -> None:
        """The source's own count and sums against the library's."""
        from exchange.libraries import nightly
        from exchange.settings import Settings

        with duty():
            nightly.compare(Settings.load(), source)

    read = sorted(manifests.read()[0], key=pool)
    for system, its in groupby(read, key=pool):
        own = compare.override(task_id=f"compare__{system.split(':')[1]}", pool=system)
        own.expand(source=[manifest.source for manifest in its])
