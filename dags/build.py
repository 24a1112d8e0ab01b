"""Build: one DAG per thematic dataset, `build__<dataset>`, started by its parents' assets.

A run takes every batch of the parents that no build has consumed, whichever batch started it, so a
trigger that was lost, doubled or merged costs time and nothing else. A build that finds nothing new
still tells its own asset: the event of the run that did the work may be the one that was lost.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from dags import pages
from dags.duties import DAG_HABITS, asset, duty, tell
from schemas.contract import Contract, all_contracts


def build(contract: Contract) -> DAG:
    """The DAG of one thematic dataset."""
    published = asset(contract.id)
    with DAG(
        dag_id=f"build__{contract.table}",
        description=f"{contract.id} from {', '.join(contract.parents)}",
        doc_md=pages.of_build(contract, __doc__),
        schedule=PartitionedAssetTimetable(assets=reduce(or_, map(asset, contract.parents))),
        tags=["build", contract.id],
        **DAG_HABITS,
    ) as dag:

        @task(outlets=[published])  # type: ignore[untyped-decorator]  # Airflow's types are skipped
        def bring_up_to_date(
            dataset: str, *, ti: Any = None, dag_run: Any = None, outlet_events: Any = None
        ) -> int | None:
            from exchange.libraries import thematic
            from exchange.settings import Settings

            with duty():
                settings = Settings.load()
                batch = thematic.build(settings, dataset)
                if batch is not None:
                    tell(settings, batch, ti)
            key = str(batch) if batch is not None else f"after {dag_run.partition_key}"
            outlet_events[published].add_partitions(key)
            return batch

        bring_up_to_date(contract.id)
    return dag


for each in all_contracts():
    if each.kind == "thematic":
        globals()[f"build__{each.table}"] = build(each)
