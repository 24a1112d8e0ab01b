"""Subjects: whom a call is about, and how each kind of identifier is checked and spelled."""

from __future__ import annotations

import re
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
SHAPES: Mapping[str, re.Pattern[str]] = {
    "cn.project": re.compile(r"[0-9]{4}-[0-9]{6}-[0-9]{2}-[0-9]{2}-[0-9]{6}"),
    "cn.parcel": re.compile(r"[0-9]{12}[A-Z]{2}[0-9]{5}"),  # GB/T 37346
    "cn.division": re.compile(r"[0-9]{6}(?:[0-9]{3}){0,2}"),
}
"""Kinds without a check character, and without other numbers that lead to them."""
KINDS = IDENTIFIERS.keys() | SHAPES.keys()


def normalised(subject: Subject) -> Subject | None:
    """The subject with its identifier in its one spelling, or nothing when it fails its check.

    A subject of a kind that we do not know fails every check.
    """
    if subject.type in SHAPES:
        return subject if SHAPES[subject.type].fullmatch(subject.id) else None
    if subject.type not in IDENTIFIERS:
        return None
    try:
        checked = identifiers.KINDS[IDENTIFIERS[subject.type]](subject.id)
    except Invalid:
        return None
    return Subject(subject.type, checked.value)
