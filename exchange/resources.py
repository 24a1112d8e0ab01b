"""Resources: what can be asked, each one dataset as its contract describes it.

A resource knows the statement that looks a subject up in its library. The statement is compiled
from SQLAlchemy Core once for each (resource, subject type, fields, filtered columns); every value
in it is a parameter. Who may ask is no business of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from schemas import contract
from schemas.contract import Contract
from schemas.errors import Invalid, NotFound

MOST_ROWS = 1000
_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled look-up: SQL for asyncpg and the names of its parameters, in their order."""

    sql: str
    parameters: tuple[str, ...]

    def arguments(
        self, subject: str, row_filter: Mapping[str, tuple[str, ...]], also: Sequence[str] = ()
    ) -> list[object]:
        """The values of the parameters for one call."""
        known: dict[str, object] = {"subject": subject, "numbers": [subject, *also]}
        return [
            known[name] if name in known else list(row_filter[name.removeprefix("only_")])
            for name in self.parameters
        ]


@lru_cache(maxsize=256)
def find(code: str) -> Contract:
    """The contract of a resource. Raises `NotFound`."""
    try:
        return contract.load(code)
    except Invalid as err:
        raise NotFound(
            "there is no such resource", zh="资源不存在", rule="resource-unknown"
        ) from err


def catalogue() -> tuple[Contract, ...]:
    """Every resource, by its code."""
    return tuple(sorted(contract.all_contracts(), key=lambda each: each.id))


@lru_cache(maxsize=1024)
def look_up(
    code: str,
    subject_type: str,
    fields: tuple[str, ...],
    filtered: tuple[str, ...],
    several: bool = False,
) -> Statement:
    """The statement that reads `fields` of one subject's rows, and since when they stand.

    `several` is for a subject with other numbers: rows under its own number come first.
    """
    described = find(code)
    relation = _relation(described)
    of_subject = relation.c[described.subjects[subject_type]]
    query = (
        sa.select(*(relation.c[name] for name in fields), _as_of(described, relation))
        .where(_named(of_subject, several))
        .order_by(
            *([(of_subject == _SUBJECT).desc()] if several else []),
            *(relation.c[name] for name in described.key),
        )
        .limit(sa.literal_column(str(MOST_ROWS + 1)))
    )
    for column in filtered:
        allowed = sa.bindparam(f"only_{column}", type_=sa.ARRAY(sa.Text))
        query = query.where(sa.cast(relation.c[column], sa.Text) == sa.any_(allowed))
    compiled = query.compile(dialect=_DIALECT)
    return Statement(str(compiled), tuple(compiled.positiontup or ()))


_SUBJECT = sa.bindparam("subject", type_=sa.Text)


def _named(column: sa.ColumnElement[Any], several: bool) -> sa.ColumnElement[bool]:
    if several:
        return column == sa.any_(sa.bindparam("numbers", type_=sa.ARRAY(sa.Text)))
    return column == _SUBJECT


def _relation(described: Contract) -> sa.FromClause:
    schema, name = described.relation.split(".")
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(column) for column in (*described.columns, "_since")
    ]
    return sa.table(name, *columns, schema=schema)


def _as_of(described: Contract, relation: sa.FromClause) -> sa.ColumnElement[Any]:
    """Since when the library holds the row as it is; a view over living tables is as of now."""
    if described.kind == "view":
        return sa.func.now().label("_as_of")
    return relation.c["_since"].label("_as_of")
