"""Subjects: whom a call is about, and how each kind of identifier is checked and spelled."""

from __future__ import annotations

from collections.abc import Mapping

from schemas import identifiers
from schemas.errors import Invalid
from schemas.grant import Subject

IDENTIFIERS: Mapping[str, str] = {
    "cn.resident_id": "resident",
    "cn.uscc": "uscc",
    "cn.real_estate_unit": "real_estate_unit",
    "cn.license_id": "license_id",
}


def normalised(subject: Subject) -> Subject | None:
    """The subject with its identifier in its one spelling, or nothing when it fails its check.

    A subject of a kind that we do not know fails every check.
    """
    if subject.type not in IDENTIFIERS:
        return None
    try:
        checked = identifiers.KINDS[IDENTIFIERS[subject.type]](subject.id)
    except Invalid:
        return None
    return Subject(subject.type, checked.value)
