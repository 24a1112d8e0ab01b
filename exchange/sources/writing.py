"""Proposals as YAML that says, beside each line that is not sure, what a person must decide.

# TODO …   a person must decide this before the source is scheduled
# …        why it is as it is, or what else it could be
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import Any

import yaml

from exchange.sources.asking import Said
from exchange.sources.matching import Match, Matching
from exchange.sources.profile import Sample
from exchange.sources.proposal import REFERENCES, Dataset, Proposed

FRESHNESS_H, RETENTION_D = 24, 90
DELETED, QUARANTINED = Decimal("0.05"), Decimal("0.1")
FEW_ROWS = 3  # in a small table as many may go at once
LOGICAL = {"decimal": "number", "json": "object"}


@dataclass(frozen=True)
class Line:
    """A column of a manifest: the field that it feeds, and what to say of that."""

    column: str
    field: str
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Draft:
    """A manifest before it is written."""

    source: str
    dataset: str
    owner: str
    feed: Said
    schedule: str
    lines: Sequence[Line]
    crosswalk: Mapping[str, Mapping[str, str]]
    rows: int
    whole: bool
    remarks: Sequence[str] = ()
    units: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ignored: Sequence[str] = ()


def draft_of_new(
    proposed: Dataset, source: str, feed: Said, schedule: str, sample: Sample
) -> Draft:
    """The manifest of a source that brings a dataset of its own."""
    return Draft(
        source,
        proposed.id,
        proposed.owner,
        feed,
        schedule,
        [Line(each.column, each.field.name) for each in proposed.fields],
        {
            each.field.name: each.coded.crosswalk
            for each in proposed.fields
            if each.coded and each.coded.crosswalk
        },
        sample.rows.num_rows,
        sample.whole,
    )


def draft_of_matched(
    matching: Matching, source: str, owner: str, feed: Said, schedule: str, sample: Sample
) -> Draft:
    """The manifest of a source that feeds a dataset that is there already."""
    return Draft(
        source,
        matching.contract.id,
        owner,
        feed,
        schedule,
        [Line(each.column, each.field, _remarks(each)) for each in matching.matches],
        {
            each.field: each.coded.crosswalk
            for each in matching.matches
            if each.coded and each.coded.crosswalk
        },
        sample.rows.num_rows,
        sample.whole,
        [
            f"TODO no column feeds {unfed.name} ({unfed.label_zh}), which every row must have"
            if unfed.required
            else f"no column feeds {unfed.name} ({unfed.label_zh}); it stays empty"
            for unfed in matching.unfed
        ],
        {unit.field: {"column": unit.column, "factors": unit.factors} for unit in matching.units},
        matching.unused,
    )


def _remarks(match: Match) -> list[str]:
    return [f"TODO {todo}" for todo in match.todo]


def todos(text: str) -> list[str]:
    """What a person must decide, line by line."""
    lines = (line.partition("# TODO ")[2] for line in text.splitlines())
    return [line.strip() for line in lines if line]


def manifest_text(draft: Draft) -> str:
    """The manifest as YAML."""
    return "\n".join(_manifest(draft)) + "\n"


def _manifest(draft: Draft) -> Iterator[str]:
    share = "all" if draft.whole else "the first"
    yield f"# From {share} {draft.rows:,} rows of the source. `yizhan source check {draft.source}`"
    yield "# tries it before anything is scheduled; TODO marks what a person must decide."
    yield from _pairs({"source": draft.source, "dataset": draft.dataset, "owner": draft.owner})
    yield from _pairs({"feed": dict(draft.feed)})
    yield f"schedule: {_flow(draft.schedule)}"
    yield from (f"# {remark}" for remark in draft.remarks)
    yield "columns:"
    for line in draft.lines:
        remark = f"  # {'; '.join(line.remarks)}" if line.remarks else ""
        yield f"  {_flow(line.column)}: {line.field}{remark}"
    if draft.crosswalk:
        yield from _pairs({"crosswalk": {name: dict(t) for name, t in draft.crosswalk.items()}})
    if draft.units:
        yield from _pairs({"units": {name: dict(unit) for name, unit in draft.units.items()}})
    if draft.ignored:
        yield f"# nothing is taken from {', '.join(draft.ignored)}"
        yield "may_evolve: true"
    yield from _guards(draft)


def _guards(draft: Draft) -> Iterator[str]:
    yield "guards:  # shares of a batch beyond which a person must look first"
    least = Decimal(FEW_ROWS) / draft.rows if draft.whole and draft.rows else Decimal(0)
    for name, usual in (("deleted_at_most", DELETED), ("quarantined_at_most", QUARANTINED)):
        most = min(Decimal("0.5"), max(usual, least)).quantize(Decimal("0.01"), ROUND_UP)
        yield f"  {name}: {most.normalize():f}"


def contract_text(proposed: Dataset) -> str:
    """The contract as YAML: ODCS v3.1."""
    return "\n".join(_contract(proposed)) + "\n"


def _contract(proposed: Dataset) -> Iterator[str]:
    name = proposed.id.split(".")[1]
    yield f"# From {proposed.rows:,} rows of a source; TODO marks what a person must decide."
    head = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": proposed.id,
        "name": name,
        "version": "1.0.0",
        "status": "draft",
        "domain": proposed.id.split(".")[0],
    }
    yield from _pairs(head)
    yield "description:"
    yield f"  purpose: {_flow(proposed.title)}  # TODO what it is for, in a sentence"
    yield "  limitations: unknown  # TODO what it does not say"
    yield from _pairs({"team": {"name": proposed.owner}})
    changed = any(each.field.name == "changed_at" for each in proposed.fields)
    yield from _promises(f"{name}.changed_at" if changed else name)
    yield from _added(proposed)
    yield "schema:"
    yield f"  - name: {name}"
    todo = "" if proposed.title != proposed.id else "  # TODO its Chinese name"
    yield f"    businessName: {_flow(proposed.title)}{todo}"
    yield "    logicalType: object"
    yield "    physicalType: table"
    yield f"    dataGranularityDescription: one row for each {' and '.join(proposed.key)}"
    yield from _key_remarks(proposed)
    yield "    properties:"
    for each in proposed.fields:
        place = proposed.key.index(each.field.name) + 1 if each.field.name in proposed.key else 0
        yield from (f"      {line}" for line in _field(each, place))


def _promises(element: str) -> Iterator[str]:
    yield "slaProperties:"
    yield "  - property: freshness  # TODO how old an answer may be"
    yield f"    value: {FRESHNESS_H}"
    yield "    unit: h"
    yield f"    element: {element}"
    yield "  - property: retention  # what came is kept encrypted for so long, then deleted"
    yield f"    value: {RETENTION_D}"
    yield "    unit: d"


def _added(proposed: Dataset) -> Iterator[str]:
    authority = {"code": proposed.authority, "name": proposed.owner}
    values = (
        ("kind", "base", ""),
        ("cardinality", proposed.cardinality, "TODO one row a subject, or many"),
        ("sourceAuthority", authority, ""),
        ("subjects", dict(proposed.subjects), "under which field a subject is looked up"),
    )
    yield "customProperties:"
    for name, value, remark in values:
        yield f"  - property: {name}"
        yield f"    value: {_flow(value)}{f'  # {remark}' if remark else ''}"


def _key_remarks(proposed: Dataset) -> Iterator[str]:
    yield f"    # TODO the key is {', '.join(proposed.key)}: is it unique for ever?"
    if proposed.repeats:
        yield f"    # {proposed.repeats} of {proposed.rows} rows repeat it or leave it empty"
    if proposed.other_keys:
        others = "; ".join(", ".join(key) for key in proposed.other_keys[:5])
        yield f"    # in the sample these are unique too: {others}"


def _field(each: Proposed, place: int) -> Iterator[str]:
    field = each.field
    if each.todo:
        yield f"# TODO {'; '.join(each.todo)}"
    if each.note:
        yield f"# {each.note}"
    yield f"- name: {field.name}"
    yield f"  businessName: {_flow(field.label_zh)}"
    if field.description:
        yield f"  description: {_flow(field.description)}"
    yield f"  logicalType: {LOGICAL.get(field.type, field.type)}"
    yield f'  physicalType: "{field.sql_type}"'
    lengths = {"minLength": field.min_length, "maxLength": field.max_length}
    if given := {name: length for name, length in lengths.items() if length is not None}:
        yield f"  logicalTypeOptions: {_flow(given)}"
    if field.required:
        yield "  required: true"
    if place:
        yield "  primaryKey: true"
        yield f"  primaryKeyPosition: {place}"
    yield f"  classification: {field.classification}"
    yield "  customProperties:"
    for name, value in _properties(each):
        yield f"    - {_flow({'property': name, 'value': value})}"
    reference = REFERENCES.get(field.identifier or "")
    if reference:
        column = "resident_id" if field.identifier == "resident" else "uscc"
        yield "    # flags numbers that the base library does not know:"
        yield f"    # - {_flow({'property': 'references', 'value': _at(reference, column)})}"


def _at(dataset: str, column: str) -> dict[str, str]:
    return {"dataset": dataset, "column": column}


def _properties(each: Proposed) -> Iterable[tuple[str, Any]]:
    field = each.field
    yield "shortName", field.short_name
    yield "shareClass", field.share_class
    if field.identifier:
        yield "identifier", field.identifier
    if by := field.identifier_by:
        yield "identifierBy", {"column": by.column, "kinds": dict(by.kinds)}
    if field.code_list:
        yield "codeList", field.code_list


def code_list_text(name: str, label: str, source: str, codes: Mapping[str, str]) -> str:
    """A code list of the source's own values."""
    head = {"name": name, "label": label, "standard": f"what {source} says"}
    lines = ["# TODO are these all that there can be, and what does each mean?", *_pairs(head)]
    entries = [f"  {_flow(str(code))}: {_flow(meaning)}" for code, meaning in codes.items()]
    return "\n".join([*lines, "codes:", *entries]) + "\n"


def _pairs(value: Mapping[str, Any]) -> list[str]:
    said = yaml.safe_dump(dict(value), allow_unicode=True, sort_keys=False, width=100)
    return said.rstrip("\n").split("\n")


def _flow(value: Any) -> str:
    """A value on one line."""
    said = yaml.safe_dump(
        value, allow_unicode=True, sort_keys=False, default_flow_style=True, width=10_000
    )
    return said.removesuffix("...\n").rstrip("\n")
