"""Which column of a source feeds which field of a contract that is there already.

By name it is sure: the short name, the Chinese label, the English name, or what another source of
the same dataset calls it. By what the values are it is a guess, and is marked as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from connectors.feeds import Manifest
from exchange.sources import coded
from exchange.sources.coded import Coded
from exchange.sources.naming import is_change_time, is_chinese, word, words_of
from exchange.sources.profile import MOSTLY, Column, Sample
from schemas.contract import Contract, Field, FieldType

SURE = 1.0
_READS_AS: Mapping[FieldType, frozenset[FieldType]] = {
    "string": frozenset({"string", "integer", "decimal", "boolean", "date"}),
    "date": frozenset({"date", "timestamp"}),
    "timestamp": frozenset({"timestamp"}),
    "decimal": frozenset({"decimal", "integer"}),
    "integer": frozenset({"integer"}),
    "boolean": frozenset({"boolean", "string", "integer"}),
    "json": frozenset({"string"}),
}
FACTORS = {"元": 1, "万元": 10_000, "亿元": 100_000_000}


@dataclass(frozen=True)
class Match:
    """A column, the field that it feeds, why, and what a person must look at."""

    column: str
    field: str
    why: str
    sure: bool
    coded: Coded | None = None
    todo: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """The column that says in which unit a field came."""

    field: str
    column: str
    factors: Mapping[str, int]


@dataclass(frozen=True)
class Matching:
    """Every column's field; what feeds nothing, and what nothing feeds."""

    contract: Contract
    matches: tuple[Match, ...]
    unused: tuple[str, ...]
    unfed: tuple[Field, ...]
    units: tuple[Unit, ...] = ()

    @property
    def sure(self) -> float:
        """The share of columns that were matched by name."""
        columns = len(self.matches) + len(self.unused)
        return sum(match.sure for match in self.matches) / columns if columns else 0.0


def matched(
    sample: Sample,
    contract: Contract,
    others: Iterable[Manifest] = (),
    leave_out: frozenset[str] = frozenset(),
) -> Matching:
    """Match the columns of a sample; the surest pairs are taken first."""
    columns = [each for each in sample.columns if each.name not in leave_out]
    told = {
        (column, field)
        for manifest in others
        if manifest.dataset == contract.id
        for column, field in manifest.columns.items()
    }
    pairs = sorted(_pairs(columns, contract, told), key=lambda pair: -pair[0])
    feeds, fed = dict[str, tuple[Field, float, str]](), set[str]()
    for score, column, field, why in pairs:
        if column.name not in feeds and field.name not in fed:
            feeds[column.name] = field, score, why
            fed.add(field.name)
    matches = [_match(each, *feeds[each.name]) for each in columns if each.name in feeds]
    left = [each for each in columns if each.name not in feeds]
    units = tuple(_units(left, feeds, columns))
    used = {unit.column for unit in units}
    return Matching(
        contract,
        tuple(matches),
        tuple(each.name for each in left if each.name not in used),
        tuple(field for field in contract.fields if field.name not in fed),
        units,
    )


def _pairs(
    columns: Iterable[Column], contract: Contract, told: set[tuple[str, str]]
) -> Iterator[tuple[float, Column, Field, str]]:
    for column in columns:
        for field in contract.fields:
            score, why = _score(column, field, told)
            if score:
                yield score, column, field, why


def _score(column: Column, field: Field, told: set[tuple[str, str]]) -> tuple[float, str]:
    if word(column.name) in words_of(field):
        return SURE, "by its name"
    if (column.name, field.name) in told:
        return SURE, "as another source of this dataset has it"
    if column.type not in _READS_AS[field.type]:
        return 0.0, ""
    if field.identifier and column.identifier == field.identifier:
        return 0.7, f"it holds numbers of the kind {field.identifier}"
    if field.type == "timestamp" and is_change_time(column.name):
        return 0.7, "it says when the row was changed"
    both = is_chinese(column.name) and len(column.name) > 1
    if both and (column.name in field.label_zh or field.label_zh in column.name):
        return 0.6, f"it is called like {field.label_zh}"
    if field.code_list and column.values and column.shortest >= coded.TELLING:
        found = coded.against(column, field.code_list)
        if found.unknown <= (1 - MOSTLY) * column.filled:
            return 0.5, f"its values are codes of {field.code_list}"
    return 0.0, ""


def _match(column: Column, field: Field, score: float, why: str) -> Match:
    found = _coded(column, field)
    todo = list[str]()
    if score < SURE:
        todo.append(f"is it {field.label_zh}? {why}")
    if column.type not in _READS_AS[field.type] and column.filled:
        todo.append(f"its values do not read as {field.type}")
    if field.identifier and column.filled and column.identifier != field.identifier:
        todo.append(f"few of its values are numbers of the kind {field.identifier}")
    if found and found.unknown:
        todo.append(
            f"{found.unknown} of {column.filled} rows say something that {found.code_list} does "
            "not know: add them to crosswalk"
        )
    if field.required and not column.full and column.rows:
        todo.append(f"{column.rows - column.filled} of {column.rows} rows leave it empty")
    return Match(column.name, field.name, why, score >= SURE, found, tuple(todo))


def _coded(column: Column, field: Field) -> Coded | None:
    if not field.code_list or not column.filled:
        return None
    if not column.values:  # too many to be written down, and few lists are so long
        return Coded(field.code_list, {})
    return coded.against(column, field.code_list)


def _units(
    left: Iterable[Column], feeds: Mapping[str, tuple[Field, float, str]], columns: list[Column]
) -> Iterator[Unit]:
    """A column of units belongs to the number that it is called like."""
    numbers = [each.name for each in columns if each.name in feeds and _is_number(feeds[each.name])]
    for unit in left:
        if unit.values and set(unit.values) <= FACTORS.keys() and numbers:
            near = max(numbers, key=lambda name: _begins_alike(name, unit.name))
            yield Unit(feeds[near][0].name, unit.name, {u: FACTORS[u] for u in sorted(unit.values)})


def _is_number(fed: tuple[Field, float, str]) -> bool:
    return fed[0].type == "decimal"


def _begins_alike(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 99)
