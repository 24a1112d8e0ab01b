"""Source manifests: which department feeds which dataset, how, how often and within which guards.

One YAML file a source. A manifest never holds a secret or an address; it names the variable of
the environment that does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from connectors.feeds.source import Operation, PermanentFailure
from schemas.errors import Invalid

EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
SourceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
Operations = Mapping[str, Operation]

_SAME: Operations = {"I": "I", "U": "U", "D": "D"}
_EVERY = re.compile(r"^([1-9]\d*)([smh])$")
_CRON = re.compile(r"^\S+( \S+){4}$")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SqlChanges(_Strict):
    """A PostgreSQL table read whole once, then its change log by sequence."""

    kind: Literal["sql_changes"]
    connection: EnvName
    table: str
    log: str
    sequence: str
    operation: str
    operations: Operations = _SAME


class FileDrop(_Strict):
    """A folder where the department puts CSV files, each with its control file."""

    kind: Literal["file_drop"]
    folder: EnvName
    prefix: str
    encoding: str = "gb18030"
    operation: str
    operations: Operations = _SAME


class HttpPages(_Strict):
    """A collection of an HTTP API with tokens, pages and a rate limit."""

    kind: Literal["http_pages"]
    base_url: EnvName
    client_id: EnvName
    client_secret: EnvName
    collection: str


class Unit(_Strict):
    """The source column that says in which unit a field came, and what one of it is in ours."""

    column: str
    factors: Mapping[str, Decimal]


class Guards(_Strict):
    """Shares of a batch beyond which a person must look before it is merged."""

    deleted_at_most: Ratio
    quarantined_at_most: Ratio


class Manifest(_Strict):
    """One source of one dataset."""

    source: SourceId
    dataset: str
    owner: str
    feed: Annotated[SqlChanges | FileDrop | HttpPages, Field(discriminator="kind")]
    schedule: str
    columns: Mapping[str, str]
    crosswalk: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    units: Mapping[str, Unit] = Field(default_factory=dict)
    guards: Guards
    may_evolve: bool = False

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every column that the source owes us: those of fields, then those of units."""
        units = (unit.column for unit in self.units.values())
        return tuple(dict.fromkeys((*self.columns, *units)))

    @property
    def interval(self) -> timedelta | None:
        """How often to look, or None when the schedule is a cron expression."""
        found = _EVERY.match(self.schedule)
        return timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None

    def wrong(self, what: str) -> PermanentFailure:
        """A permanent failure of this source that says whom to call."""
        return PermanentFailure(f"{self.source}: {what}. {self.owner} must repair it.")

    def secret(self, secrets: Mapping[str, str], name: str) -> str:
        """The value of `name`. Raises `PermanentFailure` when nobody has set it."""
        if not secrets.get(name):
            raise PermanentFailure(f"{self.source}: set {name}, which the manifest names")
        return secrets[name]

    @model_validator(mode="after")
    def _hangs_together(self) -> Manifest:
        fields = set(self.columns.values())
        if len(fields) < len(self.columns):
            raise ValueError("two columns feed the same field")
        if unknown := (self.crosswalk.keys() | self.units.keys()) - fields:
            raise ValueError(f"no column feeds {', '.join(sorted(unknown))}")
        if not _EVERY.match(self.schedule) and not _CRON.match(self.schedule):
            raise ValueError("schedule is neither like 15s, 1m, 2h nor a cron expression")
        return self


def load_manifest(path: Path) -> Manifest:
    """Read one manifest. Raises `Invalid` that names the file and what is wrong in it."""
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (yaml.YAMLError, ValidationError) as err:
        raise Invalid(f"{path.name} is no source manifest: {err}") from err


def load_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Read every manifest of a folder, by source id. Raises `Invalid` when two share one."""
    manifests = [load_manifest(path) for path in sorted(folder.glob("*.yaml"))]
    by_source = {manifest.source: manifest for manifest in manifests}
    if len(by_source) < len(manifests):
        raise Invalid(f"two manifests in {folder.name} describe the same source")
    return tuple(by_source[source] for source in sorted(by_source))
