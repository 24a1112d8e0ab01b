"""OpenLineage: what each batch read and wrote, told from manifest, contract and batch ledger.

A batch that ended becomes a START and a COMPLETE event, a held one a FAIL: the source's columns,
the dataset's fields, which column became which field, how many rows and in what state. The events
hold names and counts, never a value of a row. They go where OPENLINEAGE_… variables say, else to
one file a day below `<home>/lineage`, kept for 90 days. Telling never fails a run: a lineage server
that is down costs a warning and at most a few seconds.

The same batch told twice has the same run id, so a replay or a second attempt is the same run.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import attr
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.generated.base import DatasetFacet
from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
)
from openlineage.client.generated.data_quality_metrics_dataset import (
    DataQualityMetricsDatasetFacet,
)
from openlineage.client.generated.documentation_job import DocumentationJobFacet
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
from openlineage.client.generated.input_statistics_input_dataset import (
    InputStatisticsInputDatasetFacet,
)
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.output_statistics_output_dataset import (
    OutputStatisticsOutputDatasetFacet,
)
from openlineage.client.generated.ownership_dataset import Owner, OwnershipDatasetFacet
from openlineage.client.generated.parent_run import Job as ParentJob
from openlineage.client.generated.parent_run import ParentRunFacet
from openlineage.client.generated.parent_run import Run as ParentRun
from openlineage.client.generated.schema_dataset import (
    SchemaDatasetFacet,
    SchemaDatasetFacetFields,
)
from openlineage.client.generated.sql_job import SQLJobFacet
from openlineage.client.serde import Serde
from openlineage.client.uuid import generate_static_uuid

from connectors.feeds import Manifest
from exchange.database import Role, without_detail
from exchange.libraries import batches, journey
from exchange.libraries.batches import Batch, BatchId, State
from exchange.libraries.lineage_sql import origins
from exchange.settings import Settings
from schemas.contract import Contract
from schemas.contract import load as contract_of

log = logging.getLogger("yizhan.lineage")

KEPT = timedelta(days=90)  # lineage in files; a server keeps as it likes
PATIENCE = 3.0  # seconds that a run waits for a lineage server
NAMESPACE = "yizhan"
PRODUCER = "https://yizhan.example/lineage"
CONFIGURED = "OPENLINEAGE_"
STATES: Mapping[State, RunState] = {State.PUBLISHED: RunState.COMPLETE, State.HELD: RunState.FAIL}


@attr.define
class BatchFacet(DatasetFacet):
    """Where the rows of a batch ended: every count of the ledger that is a number."""

    batch: int
    mode: str
    state: str
    counts: dict[str, int]

    @classmethod
    def of(cls, batch: Batch) -> BatchFacet:
        """The facet of one batch."""
        counts = {name: count for name, count in batch.counts.items() if isinstance(count, int)}
        return cls(batch.id, batch.mode, str(batch.state), counts)


@dataclass(frozen=True)
class Parent:
    """The run that ours is a part of, such as an Airflow task."""

    run_id: str
    namespace: str
    job: str


def tell(settings: Settings, batch_id: BatchId, *, parent: Parent | None = None) -> None:
    """Tell what became of a batch; a batch under way is not told. Never raises."""
    try:
        with without_detail(), settings.database.connect(Role.INGEST, autocommit=True) as conn:
            batch = batches.get(conn, batch_id)
        if batch.state in STATES:
            _emit(settings, events(settings, batch, parent))
    except Exception as err:  # noqa: BLE001 - lineage is told after the fact, and fails nothing
        log.warning("batch %d: its lineage was not told (%s)", batch_id, type(err).__name__)


def events(settings: Settings, batch: Batch, parent: Parent | None = None) -> list[RunEvent]:
    """The two events of a batch that ended."""
    contract = contract_of(batch.dataset)
    manifest = None if batch.mode == "build" else journey.manifest_of(settings, batch.source)
    began = batch.created_at or datetime.now(UTC)
    ended = batch.published_at or batch.landed_at or began
    run, job = _run(settings, batch, began, parent), _job(contract, manifest)
    read = _parents(contract) if manifest is None else [_source(manifest, batch)]
    written = [_dataset(contract, manifest, batch)]
    return [
        _event(RunState.START, began, run, job, [], []),
        _event(STATES[batch.state], max(began, ended), run, job, read, written),
    ]


def _event(
    state: RunState,
    at: datetime,
    run: Run,
    job: Job,
    read: list[InputDataset],
    written: list[OutputDataset],
) -> RunEvent:
    return RunEvent(
        eventType=state,
        eventTime=at.isoformat(),
        run=run,
        job=job,
        producer=PRODUCER,
        inputs=read,
        outputs=written,
    )


def _run(settings: Settings, batch: Batch, began: datetime, parent: Parent | None) -> Run:
    facets: dict[str, Any] = {}
    if parent:
        facets["parent"] = ParentRunFacet(
            run=ParentRun(runId=parent.run_id),
            job=ParentJob(namespace=parent.namespace, name=parent.job),
        )
    if batch.state is State.HELD:
        facets["errorMessage"] = ErrorMessageRunFacet(
            message="; ".join(batch.held), programmingLanguage="Python"
        )
    name = f"{settings.public_url}/batch/{batch.id}".encode()
    return Run(runId=str(generate_static_uuid(began, name)), facets=facets)


def _job(contract: Contract, manifest: Manifest | None) -> Job:
    facets: dict[str, Any] = {
        "jobType": JobTypeJobFacet(processingType="BATCH", integration="YIZHAN", jobType="JOB"),
        "documentation": DocumentationJobFacet(description=contract.purpose),
    }
    if contract.sql and manifest is None:
        facets["sql"] = SQLJobFacet(query=contract.sql, dialect="postgres")
    name = f"collect.{manifest.source}" if manifest else f"build.{contract.id}"
    return Job(namespace=NAMESPACE, name=name, facets=facets)


def _source(manifest: Manifest, batch: Batch) -> InputDataset:
    """What the department calls its columns; all of them travel as text."""
    rows = (batch.source_totals or {}).get("rows")
    schema = SchemaDatasetFacet(
        fields=[
            SchemaDatasetFacetFields(name=name, type="text") for name in manifest.source_columns
        ]
    )
    return InputDataset(
        namespace=_system(manifest),
        name=manifest.source,
        facets={"schema": schema, "ownership": _owned(manifest.owner)},
        inputFacets={"inputStatistics": InputStatisticsInputDatasetFacet(rowCount=rows)},
    )


def _parents(contract: Contract) -> list[InputDataset]:
    return [
        InputDataset(
            namespace=NAMESPACE, name=parent, facets={"schema": _schema(contract_of(parent))}
        )
        for parent in contract.parents
    ]


def _dataset(contract: Contract, manifest: Manifest | None, batch: Batch) -> OutputDataset:
    counts = batch.counts
    written = sum(counts.get(name, 0) for name in ("inserted", "updated", "deleted"))
    columns = dict(_collected(manifest) if manifest else _built(contract))
    return OutputDataset(
        namespace=NAMESPACE,
        name=contract.id,
        facets={
            "schema": _schema(contract),
            "ownership": _owned(contract.owner),
            "columnLineage": ColumnLineageDatasetFacet(fields=columns),
            "dataQualityMetrics": DataQualityMetricsDatasetFacet(
                columnMetrics={}, rowCount=counts.get("landed")
            ),
            "yizhan_batch": BatchFacet.of(batch),
        },
        outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=written)},
    )


def _schema(contract: Contract) -> SchemaDatasetFacet:
    return SchemaDatasetFacet(
        fields=[
            SchemaDatasetFacetFields(
                name=field.name, type=field.sql_type, description=field.label_zh
            )
            for field in contract.fields
        ]
    )


def _owned(name: str) -> OwnershipDatasetFacet:
    return OwnershipDatasetFacet(owners=[Owner(name=name, type="OWNER")])


def _system(manifest: Manifest) -> str:
    return f"{NAMESPACE}-source://{manifest.system or manifest.source}"


def _collected(manifest: Manifest) -> Iterator[tuple[str, Fields]]:
    """Each field from its column; one with a unit from the unit's column too."""
    for column, name in manifest.columns.items():
        from_columns = [column]
        if unit := manifest.units.get(name):
            from_columns.append(unit.column)
        changed = name in manifest.crosswalk or unit is not None
        inputs = [
            InputField(namespace=_system(manifest), name=manifest.source, field=each)
            for each in from_columns
        ]
        yield (
            name,
            Fields(
                inputFields=inputs,
                transformationType="TRANSFORMATION" if changed else "IDENTITY",
                transformationDescription="" if not changed else "the source's own codes or unit",
            ),
        )


def _built(contract: Contract) -> Iterator[tuple[str, Fields]]:
    parents = {contract_of(parent).table: contract_of(parent) for parent in contract.parents}
    for name, columns in origins(contract.sql or "", parents).items():
        inputs = [
            InputField(namespace=NAMESPACE, name=dataset, field=column)
            for dataset, column in columns
        ]
        yield name, Fields(inputFields=inputs, transformationType="TRANSFORMATION")


def _emit(settings: Settings, told: Sequence[RunEvent]) -> None:
    if any(name.startswith(CONFIGURED) for name in os.environ):
        # In a thread of its own, for a server that is down is tried again for long.
        sending = threading.Thread(target=_send, args=(told,), daemon=True)
        sending.start()
        sending.join(PATIENCE)
    else:
        _append(settings.home / "lineage", told, datetime.now(UTC).date())


def _send(told: Sequence[RunEvent]) -> None:
    try:
        client = OpenLineageClient()
        for event in told:
            client.emit(event)
    except Exception as err:  # noqa: BLE001 - the edge of a thread; lineage fails nothing
        log.warning("lineage was not told (%s)", type(err).__name__)


def _append(folder: Path, told: Sequence[RunEvent], day: date) -> None:
    """Written at once, so that lines of several processes never mix; old days go."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{day}.jsonl"
    if not path.exists():
        for old in folder.glob("*.jsonl"):
            if old.stem < str(day - KEPT):
                old.unlink(missing_ok=True)
    lines = "".join(f"{Serde.to_json(event)}\n" for event in told).encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, lines)
    finally:
        os.close(file)
