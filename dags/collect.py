"""Collect: one DAG per source manifest, `collect__<source>`, at the pace the manifest asks for.

`land` waits in the triggerer, without a process, until the source has news; then it takes the next
window and keeps it, within the pool of the department's system. `load`, mapped over what was
landed, checks, merges, reconciles and publishes, then tells the dataset's asset with the batch's
number as partition, so that each published batch starts its consumers once. They are two tasks
because they fail for different reasons; only numbers travel between them.

The ledger `library.batch` is the record of what was loaded: running either again is harmless.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from connectors.feeds.manifest import Manifest
from dags import manifests, pages
from dags.duties import DAG_HABITS, asset, duty, pace, pool, tell
from dags.manifests import dag_id
from dags.waiting import Land
from schemas.contract import load as contract_of

MINUTE = timedelta(minutes=1)  # how often a source that is due by cron is asked until it has news


def collect(manifest: Manifest) -> DAG:
    """The DAG of one source."""
    published = asset(manifest.dataset)
    with DAG(
        dag_id=dag_id(manifest.source),
        description=f"{manifest.dataset} from {manifest.source}",
        doc_md=pages.of_source(manifest, contract_of(manifest.dataset), __doc__),
        schedule=pace(manifest.interval or manifest.schedule),
        tags=["collect", manifest.dataset],
        **DAG_HABITS,
    ) as dag:

        @task(outlets=[published])  # type: ignore[untyped-decorator]  # Airflow's types are skipped
        def load(batch: int, *, ti: Any = None, outlet_events: Any = None) -> int:
            from exchange.libraries import journey
            from exchange.settings import Settings

            with duty():
                settings = Settings.load()
                journey.load(settings, batch)
                tell(settings, batch, ti)
            outlet_events[published].add_partitions(str(batch))
            return batch

        land = Land(
            task_id="land",
            source=manifest.source,
            pace=manifest.interval or MINUTE,
            pool=pool(manifest),
        )
        load.expand(batch=land.output)
    return dag


def refused(stem: str, why: str) -> DAG:
    """A DAG that runs nothing, in the place of one whose manifest cannot be read."""
    return DAG(
        dag_id=dag_id(stem),
        description="its manifest is wrong: nothing is collected",
        doc_md=pages.of_refused(stem, why, __doc__),
        schedule=None,
        tags=["collect", "wrong manifest"],
        **DAG_HABITS,
    )


READ, WRONG = manifests.read()
for each in READ:
    globals()[f"collect__{each.source}"] = collect(each)
for stem, why in WRONG.items():
    globals()[f"collect__{stem}"] = refused(stem, why)
