"""The port through which a case asks sources, and what a source may answer.

An answer is one of four values, never an exception: `Found`, `NoRecord`, `SourceDown`, `RefusedBy`.
Whoever hands in the port sees to authority, grants and evidence. Here each (resource, subject) is
asked at most once, and all that can be asked together is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.grant import Subject

Value = object
Record = Mapping[str, Value]


@dataclass(frozen=True)
class Found:
    """The source holds something. Values of a resource with many rows are lists, aligned by row."""

    values: Mapping[str, Value] = field(repr=False)
    source: str
    as_of: datetime
    receipt: str = ""
    disputed: frozenset[str] = frozenset()

    def records(self) -> tuple[Record, ...]:
        """The rows of the answer, one mapping each."""
        if not self.values or not all(isinstance(v, (list, tuple)) for v in self.values.values()):
            return (self.values,)
        columns = [value for value in self.values.values() if isinstance(value, (list, tuple))]
        return tuple(dict(zip(self.values, row, strict=True)) for row in zip(*columns, strict=True))


@dataclass(frozen=True)
class NoRecord:
    """The source answered, and holds nothing of this subject."""

    source: str = ""
    receipt: str = ""


@dataclass(frozen=True)
class SourceDown:
    """The source does not answer now."""

    since: datetime | None = None


@dataclass(frozen=True)
class RefusedBy:
    """A rule refuses the question; `passing` when it will allow it later (a quota)."""

    rule: str
    passing: bool = False
    receipt: str = ""


Outcome = Found | NoRecord | SourceDown | RefusedBy
Ask = Callable[[str, Subject, tuple[str, ...]], Awaitable[Outcome]]


@dataclass(frozen=True)
class Question:
    """One thing to ask: these fields of this resource about this subject."""

    resource: str
    subject: Subject
    fields: frozenset[str]


Answers = Mapping[tuple[str, Subject], Outcome]


def merged(questions: Iterable[Question]) -> tuple[Question, ...]:
    """Join questions about the same subject of one resource into one with all their fields."""
    fields: dict[tuple[str, Subject], frozenset[str]] = {}
    for question in questions:
        key = (question.resource, question.subject)
        fields[key] = fields.get(key, frozenset()) | question.fields
    return tuple(Question(*key, wanted) for key, wanted in fields.items())


async def asked(questions: Iterable[Question], ask: Ask) -> Answers:
    """Ask all questions at once, each (resource, subject) once, and return what came back."""
    single = merged(questions)
    outcomes = await asyncio.gather(
        *(ask(one.resource, one.subject, tuple(sorted(one.fields))) for one in single)
    )
    return {
        (one.resource, one.subject): outcome for one, outcome in zip(single, outcomes, strict=True)
    }
