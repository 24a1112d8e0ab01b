"""Which columns tell rows apart, and which column tells what is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from exchange.sources.naming import is_change_time
from exchange.sources.profile import CODE_NAME, Column, Sample
from schemas.contract import FieldType
from schemas.errors import Invalid

NEARLY = 0.98  # of the rows; duplicates enter once, and rows that contradict each other stay out
PAIRS_OF = 12
_TELLS_APART: frozenset[FieldType] = frozenset({"string", "integer"})
_IN_PAIRS = _TELLS_APART | {"date"}

Key = tuple[str, ...]


def candidates(sample: Sample) -> tuple[Key, ...]:
    """What could be the key, the likeliest first: single columns, else pairs."""
    single = [(each.name,) for each in _ranked(sample.columns) if _alone(sample, each)]
    return tuple(single) if single else tuple(_pairs(sample))


def _alone(sample: Sample, column: Column) -> bool:
    named = column.type in _TELLS_APART and column.filled >= NEARLY * column.rows > 0
    return named and column.distinct >= NEARLY * column.filled


def _pairs(sample: Sample) -> Iterator[Key]:
    filled = [
        each
        for each in _ranked(sample.columns)
        if each.type in _IN_PAIRS and each.filled >= NEARLY * each.rows > 0 and each.distinct > 1
    ]
    for one, other in combinations(filled[:PAIRS_OF], 2):
        if sample.distinct(one.name, other.name) >= NEARLY * sample.rows.num_rows:
            yield one.name, other.name


def _ranked(columns: Sequence[Column]) -> list[Column]:
    """Numbers of things come before names of things."""

    def rank(column: Column) -> tuple[bool, bool, bool]:
        numbered = bool(column.kinds) or CODE_NAME.search(column.name) is not None
        integer = column.type == "integer"
        return not column.full, not (numbered or integer), column.wrong > 0

    return sorted(columns, key=rank)


def chosen(sample: Sample, said: Sequence[str], source: str) -> tuple[Key, tuple[Key, ...]]:
    """The key: what was said, else the likeliest; and what else it could be.

    Raises `Invalid` when nothing tells the rows apart.
    """
    if said:
        known = {each.name for each in sample.columns}
        if odd := [name for name in said if name not in known]:
            raise Invalid(f"{source} has no column {odd[0]}; it has {', '.join(sorted(known))}")
        return tuple(said), ()
    found = candidates(sample)
    if not found:
        raise Invalid(
            f"no column of {source}, and no two of them, tell its {sample.rows.num_rows} rows "
            "apart; say which ones should with --key COLUMN,COLUMN"
        )
    return found[0], found[1:]


def cursors(sample: Sample) -> tuple[str, ...]:
    """The columns that may say what is new, the likeliest first: times, then rising numbers."""
    times = [each for each in sample.columns if each.type == "timestamp"]
    numbers = [
        each
        for each in sample.columns
        if each.type == "integer" and each.full and each.distinct == each.filled
    ]
    times.sort(key=lambda each: (not is_change_time(each.name), not each.full))
    return tuple(each.name for each in (*times, *numbers))
