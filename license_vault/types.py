"""License types: data beside this file, checked when they are read.

A type whose code does not check is not loaded, and neither is any other: a vault that would issue
under a wrong code must not start. What nobody has yet compared with a published register is listed
in the type itself (`to_be_checked`), not hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from schemas import identifiers
from schemas.errors import Invalid, NotFound
from schemas.license import FaceField, LicenseType

FOLDER = Path(__file__).parent / "types"
TEMPLATES = Path(__file__).parent / "templates"
KINDS = frozenset({"text", "date", "money", "term", "area", "unit"})

BUSINESS_LICENSE = "11100000MB0143028R001"
REAL_ESTATE_CERTIFICATE = "11100000MB03271699001"


def license_type(code: str) -> LicenseType:
    """The type with this code. Raises `NotFound`."""
    try:
        return all_types()[code]
    except KeyError:
        raise NotFound(f"there is no license type {code}") from None


@cache
def all_types() -> Mapping[str, LicenseType]:
    """Every registered type by code. Raises `Invalid` when one of them is not well made."""
    loaded = [read(path) for path in sorted(FOLDER.glob("*.yaml"))]
    found = {each.code: each for each in loaded}
    if len(found) != len(loaded):
        raise Invalid("two license types have the same code")
    return found


def read(path: Path) -> LicenseType:
    """Read one type and check it. Raises `Invalid` naming the file and what is wrong with it."""
    told: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    try:
        told["fields"] = tuple(FaceField(**field) for field in told["fields"])
        for name in ("holder_id_types", "to_be_checked"):
            told[name] = tuple(told.get(name, ()))
        made = LicenseType(**told)
        _check(made)
    except (TypeError, KeyError, Invalid) as err:
        raise Invalid(f"license type {path.name}: {err}") from err
    return made


def check_face(held: LicenseType, face: Mapping[str, Any]) -> None:
    """Raise `Invalid` unless the face has every required field, no other, and text in each."""
    known = {field.name for field in held.fields}
    missing = [field.name for field in held.fields if field.required and not face.get(field.name)]
    if missing or face.keys() - known:
        wrong = sorted(face.keys() - known)
        raise Invalid(f"a {held.name_en} lacks {missing} and does not know {wrong}")
    if not all(isinstance(value, str) for value in face.values()):
        raise Invalid("fields of a face are text")


def _check(held: LicenseType) -> None:
    # GB/T 36904: 18 characters of the defining authority, which check by themselves, and 3 digits.
    if len(held.code) != 21 or not held.code[18:].isdigit():
        raise Invalid("a type code is a unified credit code and three digits")
    if identifiers.uscc(held.code[:18]).value != held.defined_by:
        raise Invalid("a type code begins with the credit code of the authority that defines it")
    if unknown := {field.kind for field in held.fields} - KINDS:
        raise Invalid(f"no face knows how to show {sorted(unknown)}")
    if not (TEMPLATES / held.template).is_file():
        raise Invalid("its template is missing")
