"""From rows to what may be shown of them: plain or masked values, or a verdict on a claim.

Pure. A field whose form is neither plain nor masked has no way out of here but as a verdict.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from exchange.decide import Allowed
from schemas.contract import Contract
from schemas.grant import Form

STAR = "*"
Row = Mapping[str, Any]


class Verdict(StrEnum):
    """What comparing says of one claim."""

    MATCH = "match"
    MISMATCH = "mismatch"
    CANNOT_SAY = "cannot_say"


@dataclass(frozen=True, slots=True)
class Value:
    """One served value, or a list of them aligned across fields, and what stands behind it."""

    value: object
    source: str
    as_of: datetime
    quality: str
    masked: bool


def values(described: Contract, allowed: Allowed, rows: Sequence[Row]) -> dict[str, Value]:
    """The values of one subject's rows in the forms that are allowed; none without a row."""
    if not rows:
        return {}
    # What is served is as old as its oldest row.
    as_of = min(row["_as_of"] for row in rows)
    return {
        name: Value(
            _shown([row[name] for row in rows], described, allowed.forms[name]),
            described.authority.name_zh,
            as_of,
            "ok",
            allowed.forms[name] is Form.MASKED,
        )
        for name in allowed.fields
    }


def _shown(column: list[object], described: Contract, form: Form) -> object:
    if form is Form.PLAIN:
        plain = [_jsonable(value) for value in column]
    elif form is Form.MASKED:
        plain = [masked(value) for value in column]
    else:
        raise AssertionError("decide lets no other form be shown")
    return plain if described.cardinality == "many" else plain[0]


def _jsonable(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value


def masked(value: object) -> object:
    """Mask a value: enough to compare by eye. A number or a date shows nothing."""
    if value is None:
        return None
    return _masked_text(value) if isinstance(value, str) else STAR * 3


def _masked_text(text: str) -> str:
    """Keep the first character of a short text, the first and last of a long one."""
    if len(text) < 2:
        return STAR
    if len(text) < 6:
        return text[0] + STAR * (len(text) - 1)
    return text[0] + STAR * (len(text) - 2) + text[-1]


def verdicts(claims: Mapping[str, object], rows: Sequence[Row]) -> dict[str, Verdict]:
    """Compare each claim with the rows: one row that holds it is a match."""
    return {name: _verdict(claim, [row[name] for row in rows]) for name, claim in claims.items()}


def _verdict(claim: object, held: Sequence[object]) -> Verdict:
    known = [value for value in held if value is not None]
    if not known or claim is None:
        return Verdict.CANNOT_SAY
    same = any(_same(claim, value) for value in known)
    return Verdict.MATCH if same else Verdict.MISMATCH


def _same(claim: object, held: object) -> bool:
    if isinstance(held, bool) or isinstance(claim, bool):
        return claim is held
    if isinstance(held, int | Decimal | float):
        return _number(claim) == Decimal(str(held))
    if isinstance(held, datetime):
        return _moment(claim) == held
    if isinstance(held, date):
        return claim == held.isoformat()
    return isinstance(claim, str) and isinstance(held, str) and _text(claim) == _text(held)


def _number(claim: object) -> Decimal | None:
    try:
        number = Decimal(str(claim))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(claim: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(claim))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _text(value: str) -> str:
    """Full-width and half-width, and spaces at the ends, are not what people disagree about."""
    return unicodedata.normalize("NFKC", value).strip().casefold()
