"""Issue: seal the licenses that fall due when registrations or ownerships change.

Started by the datasets that licenses are issued from, and by the register of residents, which says
who has died. A run issues at most
`YIZHAN_ISSUE_LIMIT` (300), supersedes certificates whose ownership changed, and finds for itself
what is due, so a lost or doubled trigger is made good by the next run or the sweep.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from dags.duties import DAG_HABITS, asset, duty

FROM = (
    asset("legal_entity.registration")
    | asset("real_estate_registration.ownership")
    | asset("population.resident")
)

with DAG(
    dag_id="issue",
    description="licenses that fall due",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=FROM),
    tags=["issue"],
    **DAG_HABITS,
):

    @task
    def issue_due() -> None:
        """Reserve, seal and finish what is due."""
        from exchange import issuance
        from exchange.settings import Settings

        with duty():
            issuance.issue_due(Settings.load(), int(os.environ.get("YIZHAN_ISSUE_LIMIT", "300")))

    issue_due()
