"""Read a bundle from its folder of YAML, and refuse one that does not hold together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from connectors.intake.bundle import (
    Bundle,
    ByAttribute,
    ByEarlier,
    ByLicense,
    ByPredicate,
    ByText,
    Proof,
)
from connectors.intake.conditions import Condition, Threshold, named
from connectors.intake.predicates import CATALOGUE
from schemas.codes import all_code_lists
from schemas.errors import Invalid, NotFound

FOLDER = Path(__file__).parent / "bundles"
PARTS = ("rows", "materials", "rules", "form")
ANSWERS = frozenset(
    {"kind", "tenure", "agent", "entity", "public_drain", "floor_area_m2", "investment_yuan"}
)
ROLES = frozenset({"applicant", "entity", "premises", "person"})


@cache
def bundles(folder: Path = FOLDER) -> tuple[Bundle, ...]:
    """Return every bundle of a folder."""
    return tuple(load(path.parent) for path in sorted(folder.glob("*/bundle.yaml")))


def bundle(bundle_id: str, folder: Path = FOLDER) -> Bundle:
    """Return one bundle by its dated id. Raises `NotFound`."""
    for held in bundles(folder):
        if held.id == bundle_id:
            return held
    raise NotFound("there is no such bundle", zh="没有这个“一件事”套餐")


def load(folder: Path) -> Bundle:
    """Read one bundle. Raises `Invalid` naming what does not hold together."""
    document = _yaml(folder / "bundle.yaml") | {
        part: _yaml(folder / f"{part}.yaml") for part in PARTS
    }
    drafts = {path.stem: path.read_text("utf-8") for path in folder.glob("drafts/*.txt")}
    try:
        read = Bundle.model_validate_json(json.dumps(document | {"drafts": drafts}, default=str))
    except ValidationError as err:
        raise Invalid(f"{folder.name}: {err}") from err
    problems = [*_undefined(read), *_unknown_answers(read), *_missing_drafts(read)]
    if problems:
        raise Invalid(f"{folder.name}: {'; '.join(problems)}")
    return read


def _yaml(path: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(path.read_text("utf-8"))
    return loaded


def _undefined(read: Bundle) -> Iterable[str]:
    materials = {material.id for material in read.materials}
    roles = {role.role for role in read.people}
    rows = {row.id for row in read.rows}
    for row in read.rows:
        yield from _not_in(f"row {row.id}: item", [row.item], set(read.item_by_id))
        yield from _not_in(f"row {row.id}: material", row.materials, materials)
        yield from _not_in(f"row {row.id}: role", row.people, roles)
    for entry in read.form:
        yield from _not_in(f"field {entry.id}: row", entry.rows, rows)
        sources = [prefill.resource for prefill in entry.prefill]
        yield from _not_in(f"field {entry.id}: source", sources, set(read.source_by_resource))
        lists = [entry.codes] if entry.codes else []
        yield from _not_in(f"field {entry.id}: code list", lists, set(all_code_lists()))
    for rule, option, proof in read.proofs():
        where = f"{rule.id}/{option.id}:"
        yield from _not_in(f"{where} material", [rule.material], materials)
        yield from _proof_problems(where, proof, read, roles)


def _proof_problems(where: str, proof: Proof, read: Bundle, roles: set[str]) -> Iterable[str]:
    match proof:
        case ByLicense():
            yield from _not_in(f"{where} license", [proof.license], set(read.licenses))
            yield from _not_in(f"{where} role", [proof.of, *proof.face.values()], ROLES | roles)
        case ByAttribute():
            yield from _not_in(f"{where} source", [proof.attribute], set(read.source_by_resource))
        case ByPredicate():
            yield from _not_in(f"{where} predicate", [proof.predicate], set(CATALOGUE))
        case ByEarlier():
            yield from _not_in(f"{where} item", [proof.earlier], set(read.item_by_id))


def _unknown_answers(read: Bundle) -> Iterable[str]:
    conditions: list[Condition | None] = [
        *(item.when for item in read.items),
        *(row.when for row in read.rows),
        *(material.when for material in read.materials),
        *(option.when for _, option, _ in read.proofs()),
        *(guide.needed for table in read.thresholds for guide in table.guides),
    ]
    thresholds = {table.id for table in read.thresholds}
    for condition in conditions:
        known = thresholds if isinstance(condition, Threshold) else ANSWERS
        yield from _not_in("condition", named(condition), set(known))
    for table in read.thresholds:
        adopted = [g for g in table.guides if g.jurisdiction == table.adopted]
        if not any(guide.in_force(read.valid_from) for guide in adopted):
            yield f"threshold {table.id}: the adopted guide is not in force"


def _missing_drafts(read: Bundle) -> Iterable[str]:
    for rule, _, proof in read.proofs():
        if isinstance(proof, ByText) and proof.generated not in read.drafts:
            yield f"{rule.id}: no draft {proof.generated}"


def _not_in(where: str, names: Iterable[str], known: set[str] | frozenset[str]) -> Iterable[str]:
    for name in names:
        if name not in known:
            yield f"{where} {name!r} is not defined"
