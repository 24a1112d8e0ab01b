"""Source manifests: which department feeds which dataset, how, how often and within which guards.

One YAML file a source. A manifest never holds a secret or an address; it names the variable of
the environment that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, PositiveInt, StringConstraints, ValidationError, model_validator

from connectors.feeds.feed_settings import Every, Strict, interval
from connectors.feeds.file_settings import FileSettings
from connectors.feeds.http_settings import HttpSettings
from connectors.feeds.source import PermanentFailure
from connectors.feeds.sql_settings import SqlSettings
from schemas.errors import Invalid

_EVERY = re.compile(r"^[1-9]\d*[smhd]$")
_CRON = re.compile(r"^\S+( \S+){4}$")

SourceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
AnyFeed = Annotated[SqlSettings | FileSettings | HttpSettings, Field(discriminator="kind")]
"""The settings of every kind of feed."""


class Unit(Strict):
    """The source column that says in which unit a field came, and what one of it is in ours."""

    column: str
    factors: Mapping[str, Decimal]


class Guards(Strict):
    """Shares of a batch beyond which a person must look before it is merged.

    One wrong row of four changes is a quarter, and no reason to stop a department: what failed is
    judged by its share only in batches of `judged_from` rows and more.
    """

    deleted_at_most: Ratio
    quarantined_at_most: Ratio
    judged_from: PositiveInt = 20


class Expected(Strict):
    """How often a batch must come; when none has come for so long its absence is an alert."""

    every: Every

    @property
    def interval(self) -> timedelta:
        """The longest time between two batches."""
        return interval(self.every)


class Manifest(Strict):
    """One source of one dataset.

    `system` is the department's system that this source reads, shared with other sources of it;
    at most `pool` runs read it at once.
    """

    source: SourceId
    dataset: str
    owner: str
    contact: str | None = None
    feed: AnyFeed
    schedule: str
    expected: Expected | None = None
    system: SourceId | None = None
    pool: Annotated[int, Field(ge=1, le=64)] = 1
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
        return interval(self.schedule) if _EVERY.match(self.schedule) else None

    def wrong(self, what: str) -> PermanentFailure:
        """A permanent failure of this source that says whom to call."""
        contact = f" ({self.contact})" if self.contact else ""
        return PermanentFailure(f"{self.source}: {what}. {self.owner}{contact} must repair it.")

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
    """Read every manifest of a folder, by source id. Raises `Invalid` when one is none."""
    manifests, refused = read_manifests(folder.glob("*.yaml"))
    for why in refused.values():
        raise Invalid(why)
    return manifests


def read_manifests(paths: Iterable[Path]) -> tuple[tuple[Manifest, ...], Mapping[str, str]]:
    """Read what can be read: the manifests by source, and by file why each that is none is not."""
    found, refused = dict[str, Manifest](), dict[str, str]()
    for path in sorted(paths):
        try:
            manifest = load_manifest(path)
            if manifest.source in found:
                raise Invalid(f"{path.name}: another manifest describes {manifest.source} already")
            found[manifest.source] = manifest
        except Invalid as err:
            refused[path.stem] = err.message
    return tuple(found[source] for source in sorted(found)), refused
