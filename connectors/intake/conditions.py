"""Conditions on answers, as the templates write them, judged in three values.

`None` means that an answer is not known yet; a row whose condition is not known stays listed, so
that an unanswered question never hides a material.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

Answer = str | bool | Decimal | None


class _Condition(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Equals(_Condition):
    """An answer is exactly this."""

    answer: str
    equals: bool | str


class Over(_Condition):
    """A number is greater than this."""

    answer: str
    over: int


class Threshold(_Condition):
    """A dated threshold of the bundle is passed."""

    threshold: str


class AllOf(_Condition):
    """Every one holds."""

    all_: tuple[Condition, ...] = Field(alias="all", min_length=1)


class AnyOf(_Condition):
    """At least one holds."""

    any_: tuple[Condition, ...] = Field(alias="any", min_length=1)


Condition = Equals | Over | Threshold | AllOf | AnyOf


def holds(
    condition: Condition | None, answers: Mapping[str, Answer], thresholds: Mapping[str, Condition]
) -> bool | None:
    """Judge a condition; no condition always holds, and `None` is "not known yet"."""
    match condition:
        case None:
            return True
        case Equals(answer=name, equals=value):
            given = answers.get(name)
            return None if given is None else given == value
        case Over(answer=name, over=limit):
            given = answers.get(name)
            return given > limit if isinstance(given, Decimal) else None
        case Threshold(threshold=name):
            return holds(thresholds[name], answers, thresholds)
        case AllOf(all_=parts):
            return _all([holds(part, answers, thresholds) for part in parts])
        case AnyOf(any_=parts):
            denied = _all([_not(holds(part, answers, thresholds)) for part in parts])
            return _not(denied)


def named(condition: Condition | None) -> Iterator[str]:
    """Yield the names of the answers and thresholds that a condition reads."""
    match condition:
        case Equals(answer=name) | Over(answer=name) | Threshold(threshold=name):
            yield name
        case AllOf(all_=parts) | AnyOf(any_=parts):
            for part in parts:
                yield from named(part)
        case None:
            pass


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value
