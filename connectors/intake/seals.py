"""Seal prefilled fields, and re-check them when the form comes back.

A seal is an HMAC over the canonical bytes of the typed value and where it came from, for one
resolution. It compares values, not spellings. It proves that we prefilled this value; it does not
prove that the value is still true today.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.intake.form import Filled, Lock, typed
from schemas.canonical import b64url, canonical
from schemas.errors import Invalid

PURPOSE = b"yizhan intake field seal v1"


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


def seal(key: bytes, resolution: str, one: Filled, value: object = None) -> str | None:
    """Return the seal of a prefilled field (or of `value` in its place); `None` if not prefilled.

    Raises `Invalid` when `value` is not of the field's type.
    """
    if one.lock is Lock.NONE:
        return None
    sealed = {
        "resolution": resolution,
        "field": one.id,
        "type": one.entry.type,
        "value": one.value if value is None else typed(one.entry.type, value),
        "lock": one.lock.value,
        "source": one.source,
        "as_of": one.as_of.isoformat() if one.as_of else None,
    }
    own = hmac.new(key, PURPOSE, hashlib.sha256).digest()
    return b64url(hmac.new(own, canonical(sealed), hashlib.sha256).digest())


def recheck(
    key: bytes,
    resolution: str,
    fields: Iterable[Filled],
    seals: Mapping[str, str],
    submitted: Mapping[str, object],
) -> Rechecked:
    """Compare a submitted form with the seals. What is absent from `submitted` counts as blank.

    The caller must still refuse a form that is not `acceptable`, and still checks required fields.
    """
    verdicts: dict[str, list[str]] = {"intact": [], "altered": [], "edited": []}
    known = {one.id: one for one in fields}
    for name, one in known.items():
        if one.lock is not Lock.NONE:
            verdicts[_verdict(key, resolution, one, seals, submitted.get(name))].append(name)
    foreign = tuple(name for name in submitted if name not in known)
    return Rechecked(**{word: tuple(names) for word, names in verdicts.items()}, unknown=foreign)


def _verdict(
    key: bytes, resolution: str, one: Filled, seals: Mapping[str, str], value: object
) -> str:
    try:
        made = seal(key, resolution, one, "" if value is None else value) or ""
        same = hmac.compare_digest(made.encode(), seals.get(one.id, "").encode())
    except Invalid:
        same = False
    if same:
        return "intact"
    return "altered" if one.lock is Lock.VERIFIED else "edited"
