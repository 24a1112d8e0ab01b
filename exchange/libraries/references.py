"""References between datasets: a value that the referenced dataset does not know is flagged.

Flagged, never dropped: a department may be ahead of another. Each broken reference is remembered by
its row (`library.broken_reference`), so what a batch costs follows what the batch changed:

    the rows of the batch    are judged anew, whatever was remembered of them
    values the batch brings  clear what other datasets' rows missed
    values the batch takes   break the rows of other datasets that held them

A dataset that holds nothing yet knows nobody, so nothing is judged by it; its first batch judges
every row that refers to it at once. Older numbers count as known (`library.alias`).

Rows that a whole snapshot closes without naming them are not seen here; `recount` finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from exchange.libraries.tables import named
from schemas.contract import Contract, Field, all_contracts, load


@dataclass(frozen=True)
class _Link:
    """Rows of `contract` say in `field` what `target` should know in `column`.

    `code` is what the field's kind column says where only some of the rows refer there.
    """

    contract: Contract
    field: Field
    code: str | None
    target: Contract
    column: str

    @property
    def kind(self) -> str | None:
        """The kind of number, by which older ones are looked up."""
        if self.field.identifier_by and self.code is not None:
            return self.field.identifier_by.kinds.get(self.code)
        return self.field.identifier

    def value(self, row: str) -> Composed:
        """The referring value of a row, as text."""
        return SQL("{}::text").format(Identifier(row, self.field.name))

    def known(self, row: str) -> Composed:
        """The value of a row of the target, as text where it is none: text needs its index."""
        column = Identifier(row, self.column)
        return SQL("{}" if self.target.field(self.column).type == "string" else "{}::text").format(
            column
        )

    def refers(self, row: str) -> Composable:
        """The condition that a row says something here."""
        said = SQL("{} IS NOT NULL").format(Identifier(row, self.field.name))
        if self.code is None or self.field.identifier_by is None:
            return said
        by = Identifier(row, self.field.identifier_by.column)
        return SQL("({} AND {} = {})").format(said, by, Literal(self.code))


def flag(conn: psycopg.Connection, contract: Contract, stage: Identifier) -> dict[str, int]:
    """Judge a batch's rows before they are merged; how many rows are broken, by field.

    `stage` has the contract's fields and `_fate` (H: holds, G: gone). The caller commits.
    """
    first = not _holds_rows(conn, contract)
    for link in _towards(contract):
        _mend(conn, link, stage)
        if first:
            _judge_all(conn, link, stage)
        else:
            _break(conn, link, stage)
    return _judge_staged(conn, contract, stage)


def mend_by_aliases(conn: psycopg.Connection, source: str) -> int:
    """Forget what an older number explains by now; how many. Aliases are kept after the merge."""
    return conn.execute(
        "DELETE FROM library.broken_reference b USING library.alias a"
        " WHERE a.source = %s AND a.until IS NULL AND a.kind = b.kind AND a.alias = b.value",
        (source,),
    ).rowcount


def recount(conn: psycopg.Connection, contract: Contract) -> dict[str, int]:
    """Judge everything that a dataset holds; for the nightly audit. The caller commits."""
    conn.execute("DELETE FROM library.broken_reference WHERE dataset = %s", (contract.id,))
    counts: dict[str, int] = {}
    for link in _links(contract):
        if _holds_rows(conn, link.target):
            found = conn.execute(_insertion(link, named(contract.table), SQL("true"), None))
            _count(counts, link, found.rowcount)
    return counts


def broken(conn: psycopg.Connection) -> dict[str, dict[str, int]]:
    """How many rows of each dataset are broken, by field."""
    found: dict[str, dict[str, int]] = {}
    rows = conn.execute(
        "SELECT dataset, field, count(*) FROM library.broken_reference GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for dataset, name, count in rows:
        found.setdefault(dataset, {})[name] = count
    return found


def _judge_staged(
    conn: psycopg.Connection, contract: Contract, stage: Identifier
) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in sorted({link.field.name for link in _links(contract)}):
        conn.execute(_forget(contract, stage), {"dataset": contract.id, "field": name})
    for link in _links(contract):
        own = link.target.id == contract.id
        if own or _holds_rows(conn, link.target):
            judged = SQL("n._fate = 'H'")
            found = conn.execute(_insertion(link, stage, judged, stage if own else None))
            _count(counts, link, found.rowcount)
    return counts


def _count(counts: dict[str, int], link: _Link, broken: int) -> None:
    if broken:
        counts[link.field.name] = counts.get(link.field.name, 0) + broken


def _mend(conn: psycopg.Connection, link: _Link, stage: Identifier) -> None:
    """Forget what was missing and comes now."""
    conn.execute(
        SQL(
            "DELETE FROM library.broken_reference b USING {stage} s"
            " WHERE b.referenced = %s AND b.referenced_column = %s AND b.dataset = %s"
            " AND b.value = {value} AND s._fate = 'H'"
        ).format(stage=stage, value=link.known("s")),
        (link.target.id, link.column, link.contract.id),
    )


def _judge_all(conn: psycopg.Connection, link: _Link, stage: Identifier) -> None:
    """The target's first rows are staged: hold everything that refers to it against them."""
    if link.contract.id != link.target.id:
        whole = named(link.contract.table)
        conn.execute(_insertion(link, whole, SQL("true"), stage))


def _break(conn: psycopg.Connection, link: _Link, stage: Identifier) -> None:
    """Find who referred to a value that the target loses now."""
    lost = SQL(
        """
        {value} IN (
            SELECT {old} FROM {current} o JOIN {stage} s ON {same}
             WHERE s._fate = 'G' OR (s._fate = 'H' AND {old} IS DISTINCT FROM {new})
            EXCEPT SELECT {new} FROM {stage} s WHERE s._fate = 'H'
            EXCEPT SELECT {kept} FROM {current} r
                    WHERE NOT EXISTS (SELECT FROM {stage} s WHERE {stays}))
        """
    )
    if len(link.target.key) == 1 and link.column == link.target.key[0]:
        # The key itself: only a removal loses it.
        lost = SQL("{value} IN (SELECT {new} FROM {stage} s WHERE s._fate = 'G')")
    condition = lost.format(
        value=link.value("n"),
        old=link.known("o"),
        new=link.known("s"),
        kept=link.known("r"),
        current=named(link.target.table),
        stage=stage,
        same=_same(link.target, "o", "s"),
        stays=_same(link.target, "r", "s"),
    )
    conn.execute(_insertion(link, named(link.contract.table), condition, None, judge=False))


def _insertion(
    link: _Link,
    rows: Composable,
    which: Composable,
    also: Identifier | None,
    *,
    judge: bool = True,
) -> Composed:
    """Remember the `rows` that refer to nothing in the target, nor in what is staged `also`."""
    unknown = SQL("NOT EXISTS (SELECT FROM {} r WHERE {} = {})").format(
        named(link.target.table), link.known("r"), link.value("n")
    )
    conditions = [which, link.refers("n"), *([unknown] if judge else [])]
    if also is not None:
        staged = SQL("NOT EXISTS (SELECT FROM {} r WHERE r._fate = 'H' AND {} = {})")
        conditions.append(staged.format(also, link.known("r"), link.value("n")))
    if link.kind:
        older = (
            "NOT EXISTS (SELECT FROM library.alias a"
            " WHERE a.kind = {} AND a.alias = {} AND a.until IS NULL)"
        )
        conditions.append(SQL(older).format(Literal(link.kind), link.value("n")))
    return SQL(
        """
        INSERT INTO library.broken_reference
               (dataset, field, row_key, referenced, referenced_column, kind, value)
        SELECT {dataset}, {field}, {key}, {referenced}, {column}, {kind}, {value}
          FROM {rows} n WHERE {conditions}
            ON CONFLICT DO NOTHING
        """
    ).format(
        dataset=Literal(link.contract.id),
        field=Literal(link.field.name),
        key=_key(link.contract, "n"),
        referenced=Literal(link.target.id),
        column=Literal(link.column),
        kind=Literal(link.kind),
        value=link.value("n"),
        rows=rows,
        conditions=SQL(" AND ").join(conditions),
    )


def _forget(contract: Contract, stage: Identifier) -> Composed:
    return SQL(
        "DELETE FROM library.broken_reference b USING {} s"
        " WHERE b.dataset = %(dataset)s AND b.field = %(field)s AND s._fate <> 'K'"
        " AND b.row_key = {}"
    ).format(stage, _key(contract, "s"))


def _key(contract: Contract, row: str) -> Composed:
    columns = [SQL("{}::text").format(Identifier(row, key)) for key in contract.key]
    return SQL("ARRAY[{}]").format(SQL(", ").join(columns))


def _same(contract: Contract, left: str, right: str) -> Composed:
    pairs = [
        SQL("{} = {}").format(Identifier(left, key), Identifier(right, key)) for key in contract.key
    ]
    return SQL(" AND ").join(pairs)


def _links(contract: Contract) -> Iterator[_Link]:
    """What a dataset's rows refer to; a view keeps no rows that could be asked."""
    for field in contract.fields:
        for code, reference in field.references.items():
            target = load(reference.dataset)
            if target.kind != "view":
                yield _Link(contract, field, code, target, reference.column)


def _towards(contract: Contract) -> Iterator[_Link]:
    """What refers to a dataset."""
    for other in all_contracts():
        if other.kind != "view":
            yield from (link for link in _links(other) if link.target.id == contract.id)


def _holds_rows(conn: psycopg.Connection, contract: Contract) -> bool:
    statement = SQL("SELECT EXISTS (SELECT FROM {})").format(named(contract.table))
    row = conn.execute(statement).fetchone()
    return row is not None and bool(row[0])
