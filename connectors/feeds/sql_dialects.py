"""How each engine says what a feed asks: one table of dialects.

A value is made into text by the engine itself, with one and the same expression where rows are read
and where they are summed; so both sides of the checksum agree by construction. Where an engine
cannot say the checksum its totals are a count. Names are quoted, numbers and times are written as
literals that `literal` quotes; no question has parameters, whose style differs in every driver.

The checksum is that of `Totals`: MD5 over the cells joined by U+001F, an absent one being U+001E.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

Expressions = Sequence[tuple[str, str]]
"""A pattern that a declared type matches in full, and the expression of its text."""


@dataclass(frozen=True)
class Dialect:
    """What one family of engines understands.

    `texts` are tried in order; a type that none of them matches, or whose expression is empty, is
    taken as the driver hands it over (`dbapi.text_of`), and then there is no checksum.
    """

    name: str
    columns: str
    now: str
    texts: Expressions = ((".*", "{}"),)
    bounds: Expressions = ()
    quotes: tuple[str, str] = ('"', '"')
    nothing: str = "NULL"
    first: str = "{query} LIMIT {limit}"
    session: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    cell: str = "coalesce({}, chr(30))"
    between: str = ", "
    joined: str = "concat_ws(chr(31), {})"
    buckets: str | None = None

    def name_of(self, identifier: str) -> str:
        """An identifier in the engine's quotes."""
        begin, end = self.quotes
        return begin + identifier.replace(end, end * 2) + end

    def table(self, dotted: str) -> str:
        """A table, with its schema where the manifest names one."""
        return ".".join(self.name_of(part) for part in dotted.split("."))

    def columns_of(self, dotted: str) -> str:
        """The question for a table's columns, in their order: name, declared type."""
        *schema, table = dotted.split(".")
        return self.columns.format(
            table=literal(table),
            schema=literal(schema[-1]) if schema else "NULL",
            relation=literal(self.table(dotted)),
        )

    def text(self, value: str, kind: str) -> str | None:
        """The text of an expression; None when the engine has no exact way to say it."""
        return _said(self.texts, value, kind)

    def bound(self, text: str, kind: str) -> str:
        """The literal with which a column of that type is compared."""
        if re.fullmatch(r"-?\d+", text) and not re.search("char|text|clob|time|date", kind, re.I):
            return text
        return _said(self.bounds, literal(text), kind) or literal(text)

    def sums(self, cells: Iterable[str], rows: str) -> str | None:
        """Bucket, count and sum of the rows that `rows` says; None when it cannot be said."""
        if self.buckets is None:
            return None
        joined = self.joined.format(self.between.join(self.cell.format(cell) for cell in cells))
        return self.buckets.format(joined=joined, rows=rows)


def _said(expressions: Expressions, value: str, kind: str) -> str | None:
    for pattern, expression in expressions:
        if re.fullmatch(pattern, kind, re.IGNORECASE):
            return expression.format(value) if expression else None
    return None


def literal(text: str) -> str:
    """A text as SQL has it. Backslashes, which MySQL reads differently, are refused."""
    if "\\" in text or "\0" in text:
        raise ValueError("no name and no time has a backslash")
    return "'" + text.replace("'", "''") + "'"


_POSTGRESQL = Dialect(
    name="postgresql",
    columns=(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attnum > 0 AND NOT attisdropped AND attrelid = {relation}::regclass ORDER BY attnum"
    ),
    now="SELECT now()::text",
    texts=((".*", "{}::text"),),
    nothing="NULL::text",
    session=("SET DateStyle = 'ISO, YMD'", "SET statement_timeout = {milliseconds}"),
    hold=("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",),
    # OFFSET 0 keeps the digest from being computed again wherever it is named.
    buckets=(
        "SELECT ('x' || left(digest, 2))::bit(8)::int::text, count(*)::text, "
        "sum(('x' || substr(digest, 3, 14))::bit(56)::bigint)::text "
        "FROM (SELECT md5({joined}) AS digest FROM {rows} OFFSET 0) AS digests GROUP BY 1"
    ),
)

_MYSQL = Dialect(
    name="mysql",
    columns=(
        "SELECT column_name, column_type FROM information_schema.columns WHERE "
        "table_name = {table} AND table_schema = coalesce({schema}, database()) "
        "ORDER BY ordinal_position"
    ),
    now="SELECT CAST(now(6) AS CHAR)",
    texts=(
        (r"(tiny|medium|long)?blob|(var)?binary\b.*", "lower(hex({}))"),
        (r"bit\b.*", "CAST({} + 0 AS CHAR)"),
        (".*", "CONVERT({} USING utf8mb4)"),
    ),
    quotes=("`", "`"),
    # MariaDB reads /*M!, MySQL /*!50708; a server that waits for us to fetch must not hang up.
    session=(
        "SET SESSION net_write_timeout = 600, lock_wait_timeout = 30 "
        "/*M!100101 , max_statement_time = {seconds} */ "
        "/*!50708 , max_execution_time = {milliseconds} */",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ),
    hold=("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",),
    cell="coalesce({}, CHAR(30 USING utf8mb4))",
    joined="concat_ws(CHAR(31 USING utf8mb4), {})",
    buckets=(
        "SELECT CONV(LEFT(digest, 2), 16, 10), CAST(count(*) AS CHAR), "
        "CAST(sum(CAST(CONV(SUBSTR(digest, 3, 14), 16, 10) AS UNSIGNED)) AS CHAR) "
        "FROM (SELECT md5({joined}) AS digest FROM {rows}) AS digests GROUP BY 1"
    ),
)

# A DATE of Oracle has a time of day; where it is midnight it is a day.
_DAY = (
    "CASE WHEN {0} = TRUNC({0}) THEN TO_CHAR({0}, 'YYYY-MM-DD') "
    "ELSE TO_CHAR({0}, 'YYYY-MM-DD HH24:MI:SS') END"
)
_ORACLE_TEXTS: Expressions = (
    (r"n?(var)?char2?\b.*", "{}"),
    (r"number\b.*|integer|float\b.*", "TO_CHAR({}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"),
    ("date", _DAY),
    (
        r"timestamp.* with time zone",
        "TO_CHAR({}, 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM')",
    ),
    (r"timestamp\b.*", "TO_CHAR({}, 'YYYY-MM-DD HH24:MI:SS.FF6')"),
    (r"raw\b.*", "LOWER(RAWTOHEX({}))"),
    (".*", ""),
)
_ORACLE = Dialect(
    name="oracle",
    columns=(
        "SELECT column_name, data_type FROM all_tab_columns WHERE table_name = {table} "
        "AND owner = coalesce({schema}, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) "
        "ORDER BY column_id"
    ),
    now="SELECT TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM') FROM dual",
    texts=_ORACLE_TEXTS,
    bounds=(
        ("date", "TO_DATE(SUBSTR({}, 1, 19), 'YYYY-MM-DD HH24:MI:SS')"),
        (r"timestamp.* with time zone", "TO_TIMESTAMP_TZ({}, 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM')"),
        (r"timestamp\b.*", "TO_TIMESTAMP({}, 'YYYY-MM-DD HH24:MI:SS.FF6')"),
    ),
    first="SELECT * FROM ({query}) WHERE ROWNUM <= {limit}",
    hold=("SET TRANSACTION READ ONLY",),
    cell="coalesce({}, CHR(30))",
    between=" || CHR(31) || ",
    joined="{}",
    buckets=(
        "SELECT TO_CHAR(TO_NUMBER(SUBSTR(digest, 1, 2), 'XX')), TO_CHAR(COUNT(*)), "
        "TO_CHAR(SUM(TO_NUMBER(SUBSTR(digest, 3, 14), 'XXXXXXXXXXXXXX'))) FROM (SELECT "
        "RAWTOHEX(STANDARD_HASH(CONVERT({joined}, 'AL32UTF8'), 'MD5')) AS digest FROM {rows}) "
        "GROUP BY SUBSTR(digest, 1, 2)"
    ),
)

_SQLITE = Dialect(
    name="sqlite",
    columns=(
        "SELECT name, type FROM pragma_table_xinfo({table}, coalesce({schema}, 'main')) "
        "ORDER BY cid"
    ),
    now="SELECT strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')",
    texts=(
        (
            ".*",
            "CASE typeof({0}) WHEN 'blob' THEN lower(hex({0})) ELSE CAST({0} AS TEXT) END",
        ),
    ),
    session=("PRAGMA query_only = ON", "PRAGMA busy_timeout = 10000"),
    hold=("BEGIN", "SELECT count(*) FROM sqlite_schema"),
)

# Dameng speaks Oracle; which functions of a checksum it has depends on its version.
_DAMENG = replace(_ORACLE, name="dameng", buckets=None)

# Names as they are, no casts: what every engine understands.
_PLAIN = Dialect(
    name="plain", columns="", now="SELECT CURRENT_TIMESTAMP", texts=((".*", ""),), first="{query}"
)

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (_POSTGRESQL, _MYSQL, _ORACLE, _DAMENG, _SQLITE, _PLAIN)
}
