"""What the DAGs share: where manifests are, the assets' names, and who retries what.

Retrying is a property of the error class: what is `Unavailable` is tried again, everything else
fails at once and waits for a person. No exception leaves a task with its own words, for those may
repeat a row; ours are written not to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from schemas.errors import Unavailable, YizhanError

OWNER = "data-engineering"
START = datetime(2026, 1, 1, tzinfo=UTC)
TASK: Mapping[str, Any] = {"owner": OWNER, "retries": 5, "retry_delay": timedelta(seconds=3)}


def sources() -> Path:
    """The folder of manifests, as `exchange.settings` finds it, without asking for a database."""
    home = Path(os.environ.get("YIZHAN_HOME", ".yizhan"))
    return Path(os.environ.get("YIZHAN_SOURCES", home / "sources"))


def asset(dataset: str) -> Asset:
    """The asset that a dataset's published batches are events of."""
    return Asset(name=dataset, uri=f"yizhan://library/{dataset}", group="library")


@contextmanager
def duty() -> Iterator[None]:
    """Let an error of ours decide by its class whether Airflow tries again."""
    try:
        yield
    except (AirflowException, AirflowSkipException):
        raise
    except Unavailable as err:
        raise AirflowException(f"{err.code}: {err.message}") from None
    except YizhanError as err:
        raise AirflowFailException(f"{err.code}: {err.message}") from None
    except Exception as err:  # noqa: BLE001 - the edge of the process
        raise AirflowFailException(_where(err)) from None


def _where(err: Exception) -> str:
    """The kind of an unforeseen error and its place, without what it says."""
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"unforeseen {type(err).__name__}{place}"
