"""People by the million, made inside PostgreSQL: valid resident numbers and believable rows.

The demo city makes its residents one by one in Python; a bench needs them in seconds. A share of
the rows that the police would send has the defects of real registers, so that checking costs what
it costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import psycopg

from connectors.testkit.city import generate, population
from schemas.identifiers import RESIDENT_CHECKS, RESIDENT_WEIGHTS

FIELDS = ("name", "sex", "birth_date", "household_division", "residence_address")

# GB 11643: a division, a day, three digits, and the check character over all of them.
_SUM = " + ".join(
    f"{weight} * substr(body, {place}, 1)::int" for place, weight in enumerate(RESIDENT_WEIGHTS, 1)
)
PEOPLE = f"""
    SELECT n, born, body || substr('{RESIDENT_CHECKS}', 1 + ({_SUM}) %% 11, 1) AS id
    FROM (SELECT n, born, '330784' || to_char(born, 'YYYYMMDD') || lpad((n / 30000)::text, 3, '0')
                 AS body
          FROM (SELECT n, date '1934-01-01' + (n::bigint * 7919 %% 30000)::int AS born
                FROM generate_series(%(first)s::int, %(first)s::int + %(count)s::int - 1) AS n
               ) AS days) AS bodies
"""
# Per thousand: 2 fail their check, 2 have a division that nobody knows, 5 have 15 digits, 5 are
# written with a small x if they end in one, 3 in full-width digits; 15 are dead, 3 come twice.
_REGISTER = f"""
INSERT INTO rkk.ryjbxx
SELECT CASE WHEN n %% 500 = 1 THEN left(id, 17) || translate(right(id, 1), '0123456789X', '1234567890Y')
            WHEN n %% 200 = 3 AND born < '2000-01-01' THEN left(id, 6) || substr(id, 9, 9)
            WHEN n %% 200 = 4 THEN lower(id)
            WHEN n %% 333 = 5 THEN translate(id, '0123456789', '０１２３４５６７８９')
            ELSE id END,
       substr('王李张刘陈杨黄赵吴周徐孙马朱胡郭何林', 1 + n %% 18, 1) || '晓' ||
           substr('明华丽强芳伟静敏军杰', 1 + n / 18 %% 10, 1),
       CASE n %% 2 WHEN 0 THEN '男' ELSE '女' END, '01', born,
       CASE WHEN n %% 500 = 2 THEN '999999' ELSE '330784' END,
       '东城街道金城路' || n %% 400 || '号', '金城路' || n %% 400 || '号' || n %% 7 || '幢302室',
       '138' || lpad(n::text, 8, '0'),
       CASE WHEN n %% 67 = 0 THEN '1' ELSE '0' END,
       CASE WHEN n %% 67 = 0 THEN date '2020-06-01' END,
       coalesce(%(stamp)s::text, to_char(timestamp '2018-01-01 08:30:00' + n %% 70000 * interval '53 minutes',
                                   'YYYY-MM-DD"T"HH24:MI:SS"+08:00"'))
FROM ({PEOPLE}) AS people, generate_series(1, CASE WHEN n %% 333 = 0 THEN 2 ELSE 1 END)
"""  # noqa: E501
_LIBRARY = f"""
INSERT INTO library.population_resident (resident_id, name, sex, ethnicity, birth_date,
    household_division, household_address, residence_address, deceased, changed_at, _batch, _since)
SELECT id, '王晓' || substr('明华丽强芳伟静敏军杰', 1 + n %% 10, 1), '1', '01', born, '330784',
       '东城街道金城路' || n %% 400 || '号', '金城路' || n %% 400 || '号', false, now(), 1, now()
FROM ({PEOPLE}) AS people
RETURNING resident_id
"""


@dataclass(frozen=True)
class Register:
    """The police's register with so many people: its DSN, and that of its reader."""

    dsn: str
    reader: str
    people: int


def fill_register(dsn: str, count: int) -> Register:
    """Make the police's register with `count` people."""
    reader = population.load(dsn, generate(7, 100).residents, reader_password="reads-only")
    with psycopg.connect(dsn) as conn:
        conn.execute("ALTER TABLE rkk.ryjbxx DISABLE TRIGGER bg")
        conn.execute("TRUNCATE rkk.ryjbxx")
        conn.execute(_REGISTER.encode(), {"first": 0, "count": count, "stamp": None})
        conn.execute('CREATE INDEX ON rkk.ryjbxx ("GXSJ")')
        conn.execute("ALTER TABLE rkk.ryjbxx ENABLE TRIGGER bg")
    _tidy(dsn)
    return Register(dsn, reader, count)


def change_register(register: Register, turn: int) -> None:
    """Change one in a hundred people, others at each turn below 100 and a day after the last.

    Of a thousand nine move, one is struck off, and one is new. The change log tells of each.
    """
    stamp = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))) + timedelta(days=turn)
    new = register.people // 1000
    parameters = {
        "some": f"%{turn:02d}",
        "few": f"%0{turn:02d}",
        "first": register.people + turn * new,
        "count": new,
        "stamp": stamp.isoformat(timespec="seconds"),
    }
    with psycopg.connect(register.dsn) as conn:
        conn.execute('DELETE FROM rkk.ryjbxx WHERE "LXDH" LIKE %(few)s', parameters)
        conn.execute(_MOVE.encode(), parameters)
        conn.execute(_REGISTER.encode(), parameters)
    _tidy(register.dsn)


_MOVE = """
UPDATE rkk.ryjbxx SET "JZDZ" = "JZDZ" || '新', "GXSJ" = %(stamp)s WHERE "LXDH" LIKE %(some)s
"""


def _tidy(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE rkk.ryjbxx")
        conn.execute("VACUUM ANALYZE rkk.ryjbxx_bg")


def fill_library(owner: psycopg.Connection, count: int) -> list[str]:
    """Put `count` people straight into the library; returns their numbers."""
    rows = owner.execute(_LIBRARY.encode(), {"first": 0, "count": count}).fetchall()
    owner.execute("VACUUM ANALYZE library.population_resident")
    return [str(number) for (number,) in rows]
