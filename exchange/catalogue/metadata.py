"""A resource's metadata, drafted: what its contract says, and what people add to it.

A field's name, label, class and law are the contract's and cannot be said otherwise here. Added
are the condition of conditional sharing, narrower forms, the update cycle, the system behind it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from schemas.contract import Contract, Field
from schemas.grant import Form
from schemas.resource import Cycle, Information, Metadata, Origin
from schemas.yaml_files import Place, read_yaml

FORMAT = "接口"
PACES = (
    (timedelta(hours=1), Cycle.REAL_TIME),
    (timedelta(days=1), Cycle.DAILY),
    (timedelta(days=7), Cycle.WEEKLY),
    (timedelta(days=31), Cycle.MONTHLY),
    (timedelta(days=92), Cycle.QUARTERLY),
    (timedelta(days=184), Cycle.HALF_YEARLY),
    (timedelta(days=366), Cycle.YEARLY),
)


class AddedField(BaseModel):
    """What people add to one field."""

    model_config = ConfigDict(extra="forbid")
    condition: str = ""
    forms: list[Form] | None = None


class Added(BaseModel):
    """What people add to a contract, as the YAML spells it."""

    model_config = ConfigDict(extra="forbid")
    version: str | None = None
    system: str = ""
    category: str = ""
    condition: str = ""
    cycle: Cycle | None = None
    open: bool = False
    open_condition: str = ""
    related: list[str] = []
    fields: dict[str, AddedField] = {}


def read_added(path: Path) -> Added:
    """Read the YAML of a proposal. Raises `Invalid` naming file and place."""
    return Place(str(path)).shaped(Added, read_yaml(path) or {})


def drafted(described: Contract, added: Added | None = None) -> Metadata:
    """The metadata of a dataset's resource. Raises `NotFound` for a field that it has not."""
    more = added or Added()
    for name in more.fields:
        described.field(name)
    return Metadata(
        code=described.id,
        version=more.version or described.version,
        name_zh=described.name_zh,
        summary=described.purpose,
        category=more.category or described.library,
        provider=described.authority.name_zh,
        provider_code=described.authority.code,
        system=more.system,
        format=FORMAT,
        origin=Origin.DATASET,
        cycle=more.cycle or _cycle(described.freshness),
        freshness_seconds=int(described.freshness.total_seconds()),
        open=more.open,
        open_condition=more.open_condition,
        related=tuple(more.related),
        fields=tuple(_information(each, more) for each in described.fields),
    )


def _information(field: Field, more: Added) -> Information:
    said = more.fields.get(field.name, AddedField())
    conditional = field.share_class == "conditional"
    return Information(
        name=field.name,
        label_zh=field.label_zh,
        short_name=field.short_name,
        type=field.type,
        classification=field.classification,
        share_class=field.share_class,
        withheld_by=field.withheld_by or "",
        condition=(said.condition or more.condition) if conditional else "",
        forms=_forms(field, said),
    )


def _forms(field: Field, said: AddedField) -> tuple[Form, ...]:
    """What is withheld has no form; all else has every form that is not taken away."""
    if field.share_class == "withheld":
        return ()
    return tuple(form for form in Form if said.forms is None or form in said.forms)


def _cycle(freshness: timedelta) -> Cycle | None:
    return next((cycle for pace, cycle in PACES if freshness <= pace), None)


def same_but_version(one: Metadata, other: Metadata) -> bool:
    """Say whether two versions say the same."""
    return replace(one, version="") == replace(other, version="")
