"""Questions of the fixed catalogue as SQL: one expression a question, for one subject or for many.

An expression is made of the catalogue's own text and of an argument that the catalogue's grammar
let through; nothing that a caller wrote gets in otherwise. Rows that a grant's filter hides are not
looked at, so behind a filter silence says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from exchange import resources
from exchange.decide import Allowed
from schemas import predicates
from schemas.contract import Contract
from schemas.predicates import Asked

TODAY = "(now() AT TIME ZONE 'Asia/Shanghai')::date"
CANNOT_SAY = "cannot_say"


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to one question, whose it is, and since when what it rests on stands."""

    answer: str
    source: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement for one subject; the columns of the filter follow the subject's numbers."""

    sql: str
    filtered: tuple[str, ...]


async def ask(
    conn: Any, resource: str, subject_type: str, numbers: Sequence[str], allowed: Allowed
) -> dict[str, Told]:
    """Answer every question that is allowed, about one subject known by these numbers."""
    described = resources.find(resource)
    filtered = tuple(sorted(allowed.row_filter))
    statement = look_up(resource, subject_type, allowed.fields, filtered)
    arguments = [list(allowed.row_filter[column]) for column in statement.filtered]
    row: Mapping[str, Any] = await conn.fetchrow(statement.sql, list(numbers), *arguments)
    return {
        text: Told(row[f"a{place}"], described.authority.name_zh, row["_as_of"])
        for place, text in enumerate(allowed.fields)
    }


def found(told: Mapping[str, Told]) -> bool:
    """Say whether the library held a row at all."""
    return any(each.as_of is not None for each in told.values())


@lru_cache(maxsize=1024)
def look_up(
    resource: str, subject_type: str, texts: tuple[str, ...], filtered: tuple[str, ...]
) -> Statement:
    """The statement that answers `texts` about one subject. Raises `NotFound`."""
    described = resources.find(resource)
    answers = [
        f"{expression(predicates.asked(described, text), filtered=bool(filtered))} AS a{place}"
        for place, text in enumerate(texts)
    ]
    conditions = [f'"{described.subjects[subject_type]}" = ANY ($1::text[])']
    conditions += [
        f'"{column}"::text = ANY (${place}::text[])' for place, column in enumerate(filtered, 2)
    ]
    sql = (
        f"SELECT {', '.join(answers)}, {since(described)} AS _as_of"  # noqa: S608 - our own words
        f" FROM {described.relation} WHERE {' AND '.join(conditions)}"
    )
    return Statement(sql, filtered)


def since(described: Contract) -> str:
    """Since when what is looked at stands; a view over living tables is as of now."""
    if described.kind == "view":
        return "CASE WHEN count(*) > 0 THEN now() END"
    return "min(_since)"


def expression(asked: Asked, *, filtered: bool) -> str:
    """The aggregate that answers a question over a subject's rows: yes, no or cannot_say."""
    predicate = asked.predicate
    absent = CANNOT_SAY if filtered else predicate.absent
    holds = f"({_filled(predicate.holds, asked)})"
    only = f" FILTER (WHERE {_filled(predicate.of, asked)})" if predicate.of else ""
    if predicate.quantifier == "newest":
        said = f"CASE WHEN {holds} THEN 'yes' WHEN NOT {holds} THEN 'no' ELSE '{CANNOT_SAY}' END"
        newest = f'array_agg({said} ORDER BY "{predicate.by}" DESC NULLS LAST){only}'
        return f"coalesce(({newest})[1], '{absent}')"
    one, otherwise = ("yes", "no") if predicate.quantifier == "any" else ("no", "yes")
    return (
        f"CASE WHEN bool_or({holds}){only} THEN '{one}' WHEN count(*){only} = 0 THEN '{absent}'"
        f" WHEN bool_or({holds} IS NULL){only} THEN '{CANNOT_SAY}' ELSE '{otherwise}' END"
    )


def _filled(text: str, asked: Asked) -> str:
    """The catalogue's text with its two placeholders filled: both are ours, letters and digits."""
    return text.replace("{today}", TODAY).replace("{argument}", f"'{asked.argument}'")
