"""The fixed catalogue of yes/no questions. A rule may ask these and no others.

Each says which resource and fields it needs and judges the records: `None` is yes, a `Why` is no.
Only the answer leaves, never the value it was drawn from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.intake.asking import Record
from connectors.intake.case import Party
from connectors.intake.words import Why

ENTITY_ACTIVE = "1"  # entity status 存续
SOLE_OWNERSHIP = "0"  # co-ownership 单独所有

Judge = Callable[[Sequence[Record], Party, frozenset[str]], Why | None]


@dataclass(frozen=True)
class Predicate:
    """One question of the catalogue: what it reads, of whom, and how it judges."""

    resource: str
    fields: frozenset[str]
    subject_type: str
    judge: Judge


def same_name(one: object, other: object) -> bool:
    """Compare names as written: width, middle dots and spaces do not make two people of one."""
    return _name(one) == _name(other)


def _name(value: object) -> str:
    text = unicodedata.normalize("NFKC", str(value))
    return "".join(c for c in text if not c.isspace() and c not in "·•・‧.").casefold()


def _person_alive(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    return None if all(r["deceased"] is False for r in records) else Why.PERSON_DECEASED


def _id_matches_name(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    agrees = who.name is None or any(same_name(r["name"], who.name) for r in records)
    return None if agrees else Why.NAME_DIFFERS


def _entity_active(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    return None if any(str(r["status"]) == ENTITY_ACTIVE for r in records) else Why.NOT_VALID


def _owner_of(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    return None if any(r["holder_id"] in ids for r in records) else Why.HOLDER_DIFFERS


def _sole_owner_of(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    alone = (r for r in records if str(r["co_ownership"]) == SOLE_OWNERSHIP)
    return None if any(r["holder_id"] in ids for r in alone) else Why.HOLDER_DIFFERS


def _has_registered_owner(records: Sequence[Record], who: Party, ids: frozenset[str]) -> Why | None:
    return None if any(r["certificate_no"] for r in records) else Why.NO_RECORD


_OWNERSHIP = "real_estate_registration.ownership"
_UNIT = "cn.real_estate_unit"

CATALOGUE: Mapping[str, Predicate] = {
    "person_alive": Predicate(
        "population.resident", frozenset({"deceased"}), "cn.resident_id", _person_alive
    ),
    "id_matches_name": Predicate(
        "population.resident", frozenset({"name"}), "cn.resident_id", _id_matches_name
    ),
    "entity_active": Predicate(
        "legal_entity.registration", frozenset({"status"}), "cn.uscc", _entity_active
    ),
    "owner_of": Predicate(_OWNERSHIP, frozenset({"holder_id"}), _UNIT, _owner_of),
    "sole_owner_of": Predicate(
        _OWNERSHIP, frozenset({"holder_id", "co_ownership"}), _UNIT, _sole_owner_of
    ),
    "has_registered_owner": Predicate(
        _OWNERSHIP, frozenset({"certificate_no"}), _UNIT, _has_registered_owner
    ),
}
