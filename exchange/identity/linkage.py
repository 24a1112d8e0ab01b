"""Pairs of persons that may be one, found by Splink on DuckDB, for people to judge.

    residents  two rows of the population library under different numbers
    holders    an owner of real estate whose number no resident has, and a resident

Nothing is merged here. The model learns how often values agree by chance from random pairs and how
often they agree in one person by expectation maximisation, both reproducible by `SEED`; where a
library has too few doubles to learn from, what is assumed of each level (`model.py`) stays. Two
that are alike in everything, such as twins with a phone in common, are proposed too: a person can
see what a model cannot. Rows leave PostgreSQL for this process's memory and no further; what comes
back are two numbers, a score and the name of a level for each comparison.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import duckdb

from exchange.database import Database, Role, without_detail
from exchange.identity import review
from exchange.identity.model import (
    COMPARISONS,
    HOLDER_BLOCKS,
    RESIDENT_BLOCKS,
    TRAINING_BLOCKS,
    Model,
    explained,
    rule,
    settings_of,
    sound,
)
from exchange.identity.review import Pair
from schemas.errors import Invalid

SEED = 20260101
LIKELY = 0.9  # below this a pair is not worth a person's time
FEW = 20  # pairs; fewer teach nothing
RANDOM_PAIRS = 1_000_000
MEMORY = "2GB"
DOUBLES = 0.002  # assumed: one person in a thousand has a second number, so 2/1000 of n a pair

# What is compared of a person: the number's parts apart, because the date of birth is in it twice.
PERSON = """
SELECT {number} AS unique_id, {name} AS name, {born} AS birth_date, {address} AS address,
       {phone} AS phone, {changed} AS changed_at,
       substr({number}, 1, 6) || substr({number}, 15, 3) AS tail
FROM {source}
"""
RESIDENTS = PERSON.format(
    number="r.resident_id",
    name="r.name",
    born="to_char(r.birth_date, 'YYYYMMDD')",
    address="coalesce(r.residence_address, r.household_address)",
    phone="r.phone",
    changed="r.changed_at",
    source="library.population_resident r WHERE NOT EXISTS (SELECT FROM library.canonical c"
    " WHERE c.kind = 'resident' AND c.number = r.resident_id) ORDER BY 1",
)
HOLDERS = PERSON.format(
    number="r.holder_id",
    name="min(r.holder_name)",
    born="substr(r.holder_id, 7, 8)",
    address="min(u.location)",
    phone="NULL::text",
    changed="max(r.changed_at)",
    source="library.real_estate_right r LEFT JOIN library.real_estate_unit u USING (unit_no)"
    " WHERE r.kind = 'ownership' AND r.holder_id_type = '111' AND length(r.holder_id) = 18"
    " AND NOT EXISTS (SELECT FROM library.population_resident p"
    "   WHERE p.resident_id = r.holder_id)"
    " AND NOT EXISTS (SELECT FROM library.canonical c"
    "   WHERE c.kind = 'resident' AND c.number = r.holder_id)"
    " GROUP BY r.holder_id ORDER BY 1",
)
# Two numbers whose digits were swapped have the same digits in order of size.
DIGITS = "array_to_string(list_sort(string_split(substr(unique_id, 1, 17), '')), '') AS digits"
NEWER = """
SELECT p.*, l.changed_at > r.changed_at AS left_is_newer FROM {pairs} p
JOIN {left} l ON l.unique_id = p.unique_id_l JOIN {right} r ON r.unique_id = p.unique_id_r
ORDER BY p.match_probability DESC, p.unique_id_l, p.unique_id_r
"""


@dataclass(frozen=True, slots=True)
class Found:
    """How many pairs a study found likely, and how many of them are new in the queue."""

    study: str
    persons: int
    likely: int
    proposed: int


def link(database: Database, *, likely: float = LIKELY) -> list[Found]:
    """Look for persons with two numbers and queue them for review; safe to repeat.

    Raises `Invalid` when Splink is not installed.
    """
    with _desk(database) as desk:
        residents, trained = residents_alike(desk, likely)
        holders = holders_alike(desk, trained, likely)
        counts = {name: _count(desk, name) for name in ("residents", "holders")}
    with without_detail(), database.connect(Role.INGEST) as conn:
        found = [
            Found(study, counts[study], len(pairs), review.propose(conn, study, pairs))
            for study, pairs in (("residents", residents), ("holders", holders))
        ]
        conn.commit()
        return found


def residents_alike(desk: duckdb.DuckDBPyConnection, likely: float) -> tuple[list[Pair], Model]:
    """Pairs within the table `residents`, and the model that was learned on it."""
    persons = _count(desk, "residents")
    if persons < 2:
        return [], {}
    chance = DOUBLES / persons
    linker = _linker(desk, ["residents"], settings_of("dedupe_only", RESIDENT_BLOCKS, chance))
    learned = _learned(desk, linker)
    described = settings_of("dedupe_only", RESIDENT_BLOCKS, chance, learned)
    linker = _linker(desk, ["residents"], described)
    return _pairs(desk, linker, "residents", "residents", likely), learned


def holders_alike(desk: duckdb.DuckDBPyConnection, learned: Model, likely: float) -> list[Pair]:
    """Pairs between the tables `holders` and `residents`: the resident's number would stay."""
    persons = _count(desk, "residents")
    if not learned or not _count(desk, "holders"):
        return []
    # Assumed: of two unknown holders one is a resident.
    described = settings_of("link_only", HOLDER_BLOCKS, 0.5 / persons, learned)
    linker = _linker(desk, ["holders", "residents"], described)
    return _pairs(desk, linker, "holders", "residents", likely)


@contextmanager
def _desk(database: Database) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory that never writes to disk, with the two tables of persons."""
    with duckdb.connect(":memory:") as desk, adbc.connect(database.dsn(Role.INGEST)) as source:
        desk.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = ''")
        for table, query in (("residents", RESIDENTS), ("holders", HOLDERS)):
            with source.cursor() as cursor:
                cursor.execute(query)
                lay_out(desk, table, cursor.fetch_record_batch())
        yield desk


def lay_out(desk: duckdb.DuckDBPyConnection, table: str, persons: Any) -> None:
    """Put persons, as Arrow, on the desk as one of the two tables."""
    desk.register("arriving", persons)
    desk.execute(f"CREATE TABLE {table} AS SELECT *, {DIGITS} FROM arriving")  # noqa: S608 -- ours
    desk.unregister("arriving")


def _linker(desk: duckdb.DuckDBPyConnection, tables: list[str], described: Model) -> Any:
    try:
        from splink import DuckDBAPI, Linker
    except ImportError as err:
        raise Invalid("linking needs Splink: install yizhan[identity]") from err
    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(desk)
    frames = [api.register(table, dataset_display_name=f"{table}_") for table in tables]
    return Linker(frames if len(frames) > 1 else frames[0], dict(described), log_level=None)


def _learned(desk: duckdb.DuckDBPyConnection, linker: Any) -> Model:
    """How often each level is met by chance and, where doubles are enough, in one person."""
    from splink.internals.exceptions import EMTrainingException

    desk.execute("SET threads = 1")  # a sample is the same again only when one thread draws it
    training = linker.training
    training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=SEED)
    by_chance = linker.misc.save_model_to_json()
    try:
        for columns in TRAINING_BLOCKS:
            if _agreeing(desk, columns) >= FEW:
                training.estimate_parameters_using_expectation_maximisation(rule(columns))
        return sound(linker.misc.save_model_to_json())
    except EMTrainingException:
        return sound(by_chance)
    finally:
        desk.execute("RESET threads")


def _agreeing(desk: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> int:
    """How many pairs of residents agree in `columns`."""
    same = rule(columns)
    query = (
        f"SELECT count(*) FROM residents l JOIN residents r ON {same} AND l.unique_id < r.unique_id"  # noqa: S608 -- ours
    )
    ((pairs,),) = desk.execute(query).fetchall()
    return int(pairs)


def _pairs(
    desk: duckdb.DuckDBPyConnection, linker: Any, left: str, right: str, likely: float
) -> list[Pair]:
    predicted = linker.inference.predict(threshold_match_probability=likely)
    query = NEWER.format(pairs=predicted.physical_name, left=left, right=right)
    rows = desk.sql(query).to_arrow_table().to_pylist()
    return [_pair(row, fixed=left != right) for row in rows]


def _pair(row: dict[str, Any], *, fixed: bool) -> Pair:
    """The number that was changed last would stay; a resident's stays before a holder's."""
    number, subject = row["unique_id_l"], row["unique_id_r"]
    if row["left_is_newer"] and not fixed:
        number, subject = subject, number
    levels = {each.column: row[f"gamma_{each.column}"] for each in COMPARISONS}
    return Pair("resident", number, subject, row["match_probability"], explained(levels))


def _count(desk: duckdb.DuckDBPyConnection, table: str) -> int:
    ((persons,),) = desk.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 -- ours
    return int(persons)
