"""Alerts: every five minutes, what did not come, and what should not have come as it did.

A source that owes a batch and sent none, a batch that waits for a person, a jump of the quarantine,
counts that do not add up. An alert is opened once, told once, and closes by itself when its cause
is gone: `yizhan library alerts` lists them, YIZHAN_ALERT_WEBHOOK names who is told. The look reads
the batch ledger, not Airflow: an alert is right whoever loaded, and whatever Airflow forgot.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from dags.duties import DAG_HABITS, duty

with DAG(
    dag_id="alerts",
    description="missing batches and bad ones",
    doc_md=__doc__,
    schedule=timedelta(minutes=5),
    tags=["alerts"],
    **DAG_HABITS,
):

    @task
    def look() -> int:
        """Open, close and tell; returns how many alerts are open."""
        from exchange.libraries import alerts
        from exchange.settings import Settings

        with duty():
            return len(alerts.look(Settings.load()))

    look()
