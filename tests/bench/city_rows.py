"""Rows of any dataset, made inside PostgreSQL from its contract: numbers that pass their checks,
codes of the right list, references that mostly lead somewhere.

Of a thousand rows two have a resident number that fails its check, and three come twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from schemas.codes import code_list
from schemas.contract import Contract, Field
from schemas.identifiers import (
    ORG_CODE_CHECKS,
    ORG_CODE_WEIGHTS,
    USCC_ALPHABET,
    USCC_WEIGHTS,
)
from tests.bench.people import PEOPLE

SCHEMA = "city"


def _sum(weights: tuple[int, ...], digit: str) -> str:
    return " + ".join(f"{w} * {digit.format(n)}" for n, w in enumerate(weights, 1))


# GB 32100 over digits alone: nine places, an organisation code and its check, and one over all.
_ORG = _sum(ORG_CODE_WEIGHTS, "substr(body, {} + 8, 1)::int")
_USCC = _sum(USCC_WEIGHTS, f"(strpos('{USCC_ALPHABET}', substr(body, {{}}, 1)) - 1)")
_BODIES = f"""
    SELECT n, body || substr('{USCC_ALPHABET}', 1 + (31 - ({_USCC}) %% 31) %% 31, 1) AS code
    FROM (SELECT n, body || substr('{ORG_CODE_CHECKS}', 12 - ({_ORG}) %% 11, 1) AS body
          FROM (SELECT n, '91330784' || lpad(n::text, 8, '0') AS body
                FROM generate_series(0, %(count)s - 1) AS n) AS places) AS bodies
"""
_MAKE = f"""
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA};
CREATE UNLOGGED TABLE {SCHEMA}.person (n bigint, born date, id text, bad text);
CREATE UNLOGGED TABLE {SCHEMA}.body (n bigint, code text, next text)
"""
_WRONG = "left(id, 17) || translate(right(id, 1), '0123456789X', '1234567890Y')"
_FROM = f"""
FROM (SELECT n, born, lag(id, 1, '330784195001010014') OVER () AS kin, lag(id, 2, '330784195001010030') OVER () AS kin2,
             CASE WHEN n %% 500 = 1 THEN bad ELSE id END AS person
      FROM {SCHEMA}.person WHERE n < %(count)s OFFSET 0) AS people
JOIN {SCHEMA}.body ON body.n = people.n %% %(bodies)s,
     generate_series(1, CASE WHEN people.n %% 333 = 332 THEN 2 ELSE 1 END)
"""  # noqa: E501

# What a field's type does not tell. `n` counts the rows; what is divided by it is another register.
_SPECIAL: Mapping[str, str] = {
    "birth_date": "born",
    "paid_to": "'202509'",
    "inspection_year": "'2025'",
    "project_code": "'2025-330784-04-01-' || lpad((n %% {project})::text, 6, '0')",
    "parcel_code": "'330784001' || lpad((n %% {parcel})::text, 10, '0')",
    "building_code": "'330784001' || lpad((n %% {parcel})::text, 10, '0')"
    " || 'F' || lpad((n / {parcel})::text, 4, '0')",
    "penalty_no": "lpad((n %% {penalty})::text, 12, '0')",
    "entry_no": "lpad((n %% {entry})::text, 12, '0')",
    "object_kind": "'1'",
    "village_code": "'330784001' || lpad((n %% 999)::text, 3, '0')",
    "parent_code": "'330784001'",
    "successor_code": "NULL",
    "space.division.division_code": "CASE n WHEN 0 THEN '330784' WHEN 1 THEN '330784001'"
    " ELSE '330784' || lpad(n::text, 6, '0') END",
    "space.division.level": "CASE n WHEN 0 THEN '3' WHEN 1 THEN '4' ELSE '5' END",
    "space.address.division_code": "'330784001'",
    "investment_project.stage.stage": "(1 + n / {project} %% 4)::text",
    "medical_insurance.enrollment.paid_to": "day + 1000",
    "organiser": "next",
    "guardian_id": "kin",
    "mother_id": "kin",
    "spouse_id": "kin",
    "father_id": "kin2",
}
_NUMBERS: Mapping[str, str] = {
    "resident": "person",
    "uscc": "code",
    "org_code": "substr(code, 9, 9)",
    "real_estate_unit": "'330784001001GB00001F' || lpad((n %% {unit})::text, 8, '0')",
    "certificate_no": "'浙(2024)永康市不动产权第' || lpad(n::text, 8, '0') || '号'",
}
_NEVER = ("removed_on", "revoked_on", "cancelled_on", "ended_on")


@dataclass(frozen=True)
class City:
    """How many there are of what other registers refer to; none of them is empty."""

    people: int
    bodies: int
    unit: int
    parcel: int
    project: int
    penalty: int
    entry: int


def make_registers(conn: psycopg.Connection, city: City) -> None:
    """The people and bodies that the rows of every channel speak of."""
    conn.execute(_MAKE.encode())
    people = f"INSERT INTO {SCHEMA}.person SELECT n, born, id, {_WRONG} FROM ({PEOPLE}) AS people"
    conn.execute(people.encode(), {"first": 0, "count": city.people})
    bodies = f"INSERT INTO {SCHEMA}.body SELECT n, code, lead(code, 1, '') OVER () FROM ({_BODIES})"
    conn.execute((bodies + " AS bodies").encode(), {"count": city.bodies + 1})
    conn.execute(f"DELETE FROM {SCHEMA}.body WHERE next = ''".encode())


def make_rows(
    conn: psycopg.Connection, contract: Contract, table: str, count: int, city: City
) -> int:
    """Fill a new table with `count` rows of the dataset, and the few that come twice."""
    columns = SQL(", ").join(
        SQL("{} AS {}").format(_written(field, contract, city), Identifier(field.short_name))
        for field in contract.fields
    )
    statement = SQL("CREATE UNLOGGED TABLE {} AS SELECT {} {}").format(
        Identifier(SCHEMA, table), columns, SQL(_DAYS)
    )
    conn.execute("SET LOCAL work_mem = '256MB'")
    # Bound by the client: the server takes no parameters in what makes a table.
    cursor = psycopg.ClientCursor(conn)
    return cursor.execute(statement, {"count": count, "bodies": city.bodies}).rowcount


_DAYS = f"""
FROM (SELECT people.*, body.code, body.next,
             date '2017-01-01' + (people.n %% 3000)::int AS day {_FROM}) AS rows
"""


def _written(field: Field, contract: Contract, city: City) -> Composed:
    return SQL("{}").format(SQL(_expression(field, contract).format(**vars(city))))


def _expression(field: Field, contract: Contract) -> str:
    kinds = {each.identifier_by.column for each in contract.fields if each.identifier_by}
    special = _SPECIAL.get(f"{contract.id}.{field.name}") or _SPECIAL.get(field.name)
    if special is not None:
        return special
    if field.name in kinds:
        return "'111'"
    if field.identifier or field.identifier_by:
        return _NUMBERS[field.identifier or "resident"]
    if field.code_list:
        return _code(field)
    return _of_type(field, contract)


def _code(field: Field) -> str:
    if field.code_list == "divisions":
        return "'330784'"
    codes = [f"'{code}'" for code in list(code_list(str(field.code_list)).values)[:9]]
    return f"(ARRAY[{', '.join(codes)}])[1 + n %% {len(codes)}]"


def _of_type(field: Field, contract: Contract) -> str:
    match field.type:
        case "date" if field.name in _NEVER:
            return "NULL::date"
        case "date":
            return "day + 1000" if field.name.endswith("_to") else "day"
        case "timestamp":
            return "day::text || 'T08:30:00+08:00'"
        case "boolean":
            return "(n %% 7 > 0)::text"
        case "decimal":
            return f"({field.minimum or 0} + 1 + n %% 1000 / 100.0)"
        case "integer":
            return f"(({field.minimum or 0})::bigint + n %% 1000)"
        case _:
            return _text(field, key=field.name in contract.key)


def _text(field: Field, *, key: bool) -> str:
    length = field.min_length or 12
    if key or field.min_length:
        return f"lpad(n::text, {length}, '0')"
    if field.name.endswith("name"):
        return "'王晓' || substr('明华丽强芳伟静敏军杰', 1 + (n %% 10)::int, 1)"
    return f"left('金城路' || n %% 400 || '号' || n %% 7 || '幢302室', {field.max_length or 200})"
