"""Seal prefilled fields, and re-check them when the form comes back.

A seal is an HMAC-SHA256 over the canonical bytes of the typed value and where it came from, for one
resolution. It compares values, not spellings. It proves that we prefilled this value; it does not
prove that the value is still true today.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.intake.form import Lock, Typed, typed
from schemas.canonical import b64url, canonical
from schemas.errors import Invalid

Field = Mapping[str, Any]
SEALED = ("type", "lock", "source", "as_of")


@dataclass(frozen=True)
class Rechecked:
    """What came back: unchanged, altered although locked, edited where allowed, or never ours."""

    intact: tuple[str, ...]
    altered: tuple[str, ...]
    edited: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def acceptable(self) -> bool:
        """Whether no verified field was altered and no field is foreign."""
        return not self.altered and not self.unknown


def with_seals(key: bytes, resolution: str, fields: Mapping[str, Field]) -> dict[str, Field]:
    """Return the fields of a resolution's JSON, each prefilled one with its seal."""
    return {
        name: {**one, "seal": _seal(key, resolution, name, one, one["value"])}
        if _locked(one)
        else one
        for name, one in fields.items()
    }


def recheck(
    key: bytes, resolution: str, fields: Mapping[str, Field], submitted: Mapping[str, object]
) -> Rechecked:
    """Compare a submitted form with the seals. What is absent from `submitted` counts as blank.

    The caller must still refuse a form that is not `acceptable`, and check what is required.
    """
    verdicts: dict[str, list[str]] = {"intact": [], "altered": [], "edited": []}
    for name, one in fields.items():
        if _locked(one):
            verdicts[_verdict(key, resolution, name, one, submitted.get(name))].append(name)
    foreign = tuple(name for name in submitted if name not in fields)
    return Rechecked(**{word: tuple(names) for word, names in verdicts.items()}, unknown=foreign)


def _verdict(key: bytes, resolution: str, name: str, one: Field, value: object) -> str:
    try:
        made = _seal(key, resolution, name, one, typed(one["type"], value))
    except Invalid:
        made = ""
    if hmac.compare_digest(made.encode(), str(one["seal"]).encode()):
        return "intact"
    return "altered" if one["lock"] == Lock.VERIFIED else "edited"


def _seal(key: bytes, resolution: str, name: str, one: Field, value: Typed) -> str:
    told = {part: one[part] for part in SEALED}
    sealed = canonical({"resolution": resolution, "field": name, "value": value, **told})
    return b64url(hmac.digest(key, sealed, "sha256"))


def _locked(one: Field) -> bool:
    return bool(one["lock"] != Lock.NONE)
