"""Sweep: every minute, finish what killed runs left half-way and take away what nobody needs.

Batches landed and never loaded are loaded, builds that a lost trigger missed are made, licenses
reserved and not finished are reconciled, files and staging tables of dead runs are removed. When
everything ran as it should, a sweep finds nothing.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from dags.duties import DAG_HABITS, duty

with DAG(
    dag_id="sweep",
    description="what killed runs left behind",
    doc_md=__doc__,
    schedule=timedelta(minutes=1),
    tags=["sweep"],
    **DAG_HABITS,
):

    @task
    def sweep_libraries() -> None:
        """Batches, builds, files and tables; pools for sources that are new."""
        from exchange import airflow
        from exchange.libraries import leftovers
        from exchange.settings import Settings

        with duty():
            settings = Settings.load()
            airflow.keep_pools(settings)
            leftovers.sweep(settings)

    @task
    def sweep_licenses() -> None:
        """Reservations that stayed open, and licenses whose trigger was lost."""
        from exchange import issuance
        from exchange.settings import Settings

        with duty():
            issuance.issue_due(Settings.load(), int(os.environ.get("YIZHAN_ISSUE_LIMIT", "300")))

    sweep_libraries() >> sweep_licenses()
