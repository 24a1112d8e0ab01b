"""Collect: one DAG per source manifest, `collect__<source>`, at the pace the manifest asks for.

Two tasks, because they fail for different reasons. `land` takes the source's next window and keeps
it; nothing new, or a held batch in the way, skips the rest. `load` checks, merges, reconciles and
publishes, then tells the dataset's asset with the batch's number as partition, so that each
published batch starts its consumers once. Only the number travels between tasks.

The ledger `library.batch` is the record of what was loaded: running either task again is harmless.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from connectors.feeds.manifest import Manifest, load_manifests
from dags.duties import OWNER, START, TASK, asset, duty, sources


def collect(manifest: Manifest) -> DAG:
    """The DAG of one source."""
    published = asset(manifest.dataset)
    with DAG(
        dag_id=f"collect__{manifest.source.replace('-', '_')}",
        description=f"{manifest.dataset} from {manifest.source}",
        doc_md=__doc__,
        schedule=manifest.interval or manifest.schedule,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**TASK, "owner": OWNER},
        tags=["collect", manifest.dataset],
    ) as dag:

        @task
        def land(source: str) -> int:
            from airflow.sdk.exceptions import AirflowSkipException

            from exchange.libraries import journey
            from exchange.settings import Settings

            with duty():
                batch = journey.land(Settings.load(), source)
            if batch is None:
                raise AirflowSkipException(f"{source}: nothing to load")
            return batch

        @task(outlets=[published])  # type: ignore[untyped-decorator]  # Airflow's types are skipped
        def load(batch: int, *, outlet_events: Any = None) -> int:
            from exchange.libraries import journey
            from exchange.settings import Settings

            with duty():
                journey.load(Settings.load(), batch)
            outlet_events[published].add_partitions(str(batch))
            return batch

        load(land(manifest.source))
    return dag


for each in load_manifests(sources()):
    globals()[f"collect__{each.source}"] = collect(each)
