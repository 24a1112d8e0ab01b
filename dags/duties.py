"""What the DAGs share: the assets' names, who retries what, whose pool, what lineage is told.

Retrying is a property of the error class: what is `Unavailable` is tried again, every other error
of ours fails at once and waits for a person. An unforeseen error leaves a task as its kind and
place only, for its own words may repeat a row; ours are written not to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, CronTriggerTimetable
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException

from connectors.feeds.manifest import Manifest
from schemas.errors import Unavailable, YizhanError

if TYPE_CHECKING:
    from exchange.settings import Settings

OWNER = "data-engineering"
CLOCK = "Asia/Shanghai"  # cron expressions and days are the departments'
START = datetime(2026, 1, 1, tzinfo=UTC)
BY_CLASS = ExceptionRetryPolicy(
    rules=[
        RetryRule(Unavailable, RetryAction.RETRY, reason="unavailable: asked again"),
        RetryRule(YizhanError, RetryAction.FAIL, reason="stays wrong until somebody acts"),
    ]
)
TASK: Mapping[str, Any] = {
    "owner": OWNER,
    "retries": 5,
    "retry_delay": timedelta(seconds=3),
    "retry_policy": BY_CLASS,
}
DAG_HABITS: Mapping[str, Any] = {
    "start_date": START,
    "catchup": False,
    "max_active_runs": 1,
    "default_args": TASK,
}

AT_NIGHT: Mapping[str, Any] = {**DAG_HABITS, "start_date": None}  # not at the first start as well


class Unforeseen(YizhanError):
    """An error that nobody wrote for readers: its kind and place, without what it says."""

    code = "unforeseen"


def asset(dataset: str) -> Asset:
    """The asset that a dataset's published batches are events of."""
    return Asset(name=dataset, uri=f"yizhan://library/{dataset}", group="library")


def pool(manifest: Manifest) -> str:
    """The pool of the department's system: so many tasks at once as its owner can bear."""
    return f"system:{manifest.system or manifest.source}"


def pace(schedule: timedelta | str) -> timedelta | CronTriggerTimetable:
    """A schedule as Airflow takes it; cron expressions tell the departments' time.

    What has its hour waits for it, at the first start too.
    """
    if isinstance(schedule, timedelta):
        return schedule
    return CronTriggerTimetable(schedule, timezone=CLOCK, run_immediately=timedelta(0))


@contextmanager
def duty() -> Iterator[None]:
    """Let errors of ours out as they are, and of all others their kind and place."""
    try:
        yield
    except AirflowException:
        raise
    except YizhanError as err:
        raise err.with_traceback(None) from None  # what caused it may repeat a row
    except Exception as err:  # noqa: BLE001 - the edge of the process
        raise Unforeseen(_where(err)) from None


def tell(settings: Settings, batch: int, task_instance: Any) -> None:
    """Tell lineage what a batch read and wrote, as a part of this task's run. Never raises."""
    from airflow.providers.openlineage.plugins import macros

    from exchange.libraries import lineage

    parent = lineage.Parent(
        macros.lineage_run_id(task_instance),
        macros.lineage_job_namespace(),
        macros.lineage_job_name(task_instance),
    )
    lineage.tell(settings, batch, parent=parent)


def _where(err: Exception) -> str:
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"unforeseen {type(err).__name__}{place}"
