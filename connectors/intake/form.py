"""The merged form: which fields a case has, and what each is prefilled with. No I/O.

Values are kept in one canonical type (`typed`), so that a field which comes back in another
spelling of the same value counts as unchanged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from connectors.intake.asking import Found, Question, Record, RefusedBy, SourceDown
from connectors.intake.bundle import FormField, Prefill
from connectors.intake.case import Party
from connectors.intake.proofs import HOLDINGS, LICENSE_FIELDS, Scene, valid_licenses
from schemas.errors import Invalid

Typed = str | int | None
DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")


class Lock(StrEnum):
    """Whether a value may be edited: only contested, freely, or it is not there yet."""

    VERIFIED = "verified"
    SUGGESTED = "suggested"
    NONE = "none"


class FieldState(StrEnum):
    """How a field came by its value, or why it has none."""

    PREFILLED = "prefilled"
    ANSWERED = "answered"
    TO_FILL = "to_fill"
    SOURCE_DOWN = "source_down"
    REFUSED = "refused_by_grant"


@dataclass(frozen=True)
class Disagreement:
    """Another source that says something else of the same field."""

    source: str
    value: Typed = field(repr=False)


@dataclass(frozen=True)
class Filled:
    """One field of the form in this case."""

    id: str
    entry: FormField
    rows: tuple[str, ...]
    value: Typed = field(default=None, repr=False)
    lock: Lock = Lock.NONE
    state: FieldState = FieldState.TO_FILL
    source: str = ""
    as_of: datetime | None = None
    disagrees: tuple[Disagreement, ...] = ()


def typed(kind: str, value: object) -> Typed:
    """Return the canonical value of a field's type; blank is `None`.

    Raises `Invalid` when the value is not of the type.
    """
    text = unicodedata.normalize("NFKC", _plain(value)).strip()
    if not text:
        return None
    match kind:
        case "decimal":
            return format(_number(text).normalize(), "f")
        case "integer":
            return _integer(text)
        case "date":
            return _date(text)
        case "identifier":
            return re.sub(r"\s", "", text).upper()
        case "phone":
            return re.sub(r"[\s\-()]", "", text)
        case _:
            return re.sub(r"\s+", " ", text)


def fields(scene: Scene, rows: frozenset[str]) -> tuple[Filled, ...]:
    """Return the form's fields for the rows of a case, filled with what the sources said."""
    return tuple(
        _filled(entry, party, rows, scene)
        for entry in scene.bundle.form
        if rows & set(entry.rows)
        for party in _parties(entry, scene)
    )


def questions(scene: Scene, rows: frozenset[str]) -> Iterator[Question]:
    """Yield what must be asked to prefill the fields of a case."""
    for entry in scene.bundle.form:
        if rows & set(entry.rows):
            for party in _parties(entry, scene):
                for prefill in entry.prefill:
                    yield from _question(prefill, party, scene)


def reads(prefill: Prefill) -> frozenset[str]:
    """Return the fields that a prefill reads from its resource."""
    return frozenset({prefill.field}) | (LICENSE_FIELDS if prefill.license else frozenset())


def _question(prefill: Prefill, party: Party | None, scene: Scene) -> Iterator[Question]:
    who, source = _about(prefill, party, scene), scene.bundle.source_by_resource[prefill.resource]
    if who and source.state == "live" and who.subject.type in source.subjects:
        yield Question(prefill.resource, who.subject, reads(prefill))


def _parties(entry: FormField, scene: Scene) -> tuple[Party | None, ...]:
    return scene.case.in_role(entry.per) if entry.per else (None,)


def _about(prefill: Prefill, party: Party | None, scene: Scene) -> Party | None:
    if party is not None and prefill.of == party.role:
        return party
    return next(iter(scene.case.in_role(prefill.of)), None)


def _filled(entry: FormField, party: Party | None, rows: frozenset[str], scene: Scene) -> Filled:
    number = f".{party.number}" if party else ""
    blank = Filled(entry.id + number, entry, tuple(row for row in entry.rows if row in rows))
    answered = scene.case.answers.get(entry.answer) if entry.answer else None
    if answered is not None:
        return _with(blank, value=typed(entry.type, answered), state=FieldState.ANSWERED)
    offers = [_offer(prefill, party, entry, scene) for prefill in entry.prefill]
    values = [offer for offer in offers if isinstance(offer, _Offer)]
    if values:
        return _prefilled(blank, values)
    return _with(blank, state=next((s for s in offers if isinstance(s, FieldState)), blank.state))


@dataclass(frozen=True)
class _Offer:
    value: Typed = field(repr=False)
    lock: Lock
    source: str
    as_of: datetime


def _prefilled(blank: Filled, values: list[_Offer]) -> Filled:
    first, others = values[0], values[1:]
    return _with(
        blank,
        value=first.value,
        lock=first.lock,
        state=FieldState.PREFILLED,
        source=first.source,
        as_of=first.as_of,
        disagrees=tuple(
            Disagreement(other.source, other.value)
            for other in others
            if other.value != first.value and other.lock is Lock.VERIFIED
        ),
    )


def _offer(
    prefill: Prefill, party: Party | None, entry: FormField, scene: Scene
) -> _Offer | FieldState | None:
    who = _about(prefill, party, scene)
    said = scene.answers.get((prefill.resource, who.subject)) if who else None
    match said:
        case SourceDown():
            return FieldState.SOURCE_DOWN
        case RefusedBy():
            return FieldState.REFUSED
        case Found():
            value = _value(entry, prefill, said.records(), scene)
            lock = Lock.SUGGESTED if prefill.field in said.disputed else Lock(prefill.lock)
            return None if value is None else _Offer(value, lock, said.source, said.as_of)
        case _:
            return None


def _value(entry: FormField, prefill: Prefill, records: tuple[Record, ...], scene: Scene) -> Typed:
    """One value for the field; several texts are joined, several numbers are nobody's guess."""
    if prefill.resource == HOLDINGS:
        code = scene.bundle.licenses[prefill.license].code
        records = tuple(valid_licenses(records, code, scene.on))
    try:
        every = [typed(entry.type, record.get(prefill.field)) for record in records]
    except Invalid:
        return None
    values = list(dict.fromkeys(value for value in every if value is not None))
    if len(values) > 1 and entry.type == "text":
        return "、".join(map(str, values))
    return values[0] if len(values) == 1 else None


def _with(blank: Filled, **changes: object) -> Filled:
    return Filled(**{**blank.__dict__, **changes})


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Invalid("the value is not a number", zh="不是有效的数字") from None
    if not number.is_finite() or abs(number.adjusted()) > 20:
        raise Invalid("the number is out of range", zh="数字超出范围")
    return number


def _integer(text: str) -> int:
    number = _number(text)
    if number != number.to_integral_value():
        raise Invalid("the value is not a whole number", zh="不是整数")
    return int(number)


def _date(text: str) -> str:
    parts = DATE.fullmatch(text)
    try:
        return date(*map(int, parts.groups())).isoformat() if parts else _no_date()
    except ValueError:
        return _no_date()


def _no_date() -> str:
    raise Invalid("the value is not a date", zh="不是有效的日期") from None
