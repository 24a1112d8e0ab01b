"""A contract for a dataset that nobody has described yet: every decision, with what is unsure.

Sensitivity is proposed high (S3, shared on conditions), for a person can lower it, and nobody can
take back what was given away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exchange.sources import coded, keys
from exchange.sources.coded import Coded
from exchange.sources.keys import Key
from exchange.sources.naming import CHANGED_AT, Named, Words, short
from exchange.sources.profile import MOSTLY, Column, Sample
from exchange.subjects import IDENTIFIERS
from schemas.contract import Field, FieldType, IdentifierBy, all_contracts
from schemas.identifier_columns import valid

SUBJECT_OF: Mapping[str, str] = {kind: subject for subject, kind in IDENTIFIERS.items()}
ENOUGH = 100  # rows that must be full before a field is said to be always there
LENGTHS = (50, 100, 200, 500, 1000, 2000, 4000, 10000)
SQL_TYPES: Mapping[FieldType, str] = {
    "string": "text",
    "date": "date",
    "timestamp": "timestamptz",
    "boolean": "boolean",
    "integer": "bigint",
}
REFERENCES = {"resident": "population.resident", "uscc": "legal_entity.registration"}


@dataclass(frozen=True)
class Proposed:
    """A field, the column that feeds it, its codes, and what a person must still say of it."""

    field: Field
    column: str
    coded: Coded | None = None
    todo: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Dataset:
    """A dataset as it is proposed; `other_keys` are what else tells its rows apart."""

    id: str
    title: str
    owner: str
    authority: str
    fields: tuple[Proposed, ...]
    key: Key
    other_keys: tuple[Key, ...]
    repeats: int
    subjects: Mapping[str, str]
    rows: int
    todo: tuple[str, ...] = field(default=())

    @property
    def cardinality(self) -> str:
        """One row a subject, or many."""
        alone = len(self.key) == 1 and self.key[0] in self.subjects.values()
        return "one" if alone else "many"


def dataset(
    id: str,
    title: str,
    owner: str,
    authority: str,
    sample: Sample,
    *,
    key: Sequence[str] = (),
    codes: Sequence[str] = (),
    called: Mapping[str, str] = {},
    leave_out: frozenset[str] = frozenset(),
) -> Dataset:
    """Propose a dataset for a sample. Raises `Invalid` when no key is found."""
    key_columns, others = keys.chosen(sample, key, id)
    words = Words(each for each in all_contracts() if each.id != id)
    taken = set[str]()
    fields: list[Proposed] = []
    for number, column in enumerate(sample.columns, 1):
        if column.name in leave_out:
            continue
        is_time = column.type == "timestamp"
        named = words.named(column.name, number, is_time=is_time, identifier=column.identifier)
        if ours := called.get(column.name):
            named = replace(
                named, name=ours, short_name=short(column.name, ours.upper()), sure=True
            )
        named = _free(named, taken)
        fields.append(_field(id, column, named, words, column.name in key_columns, codes))
    fields = [_by_kind(sample, each, fields) for each in fields]
    name_of = {each.column: each.field.name for each in fields}
    return Dataset(
        id,
        title,
        owner,
        authority,
        tuple(fields),
        tuple(name_of[column] for column in key_columns),
        tuple(tuple(name_of[column] for column in other) for other in others),
        sample.rows.num_rows - sample.distinct(*key_columns),
        _subjects(fields, [name_of[column] for column in key_columns]),
        sample.rows.num_rows,
    )


def _free(named: Named, taken: set[str]) -> Named:
    """A name that no other column of ours has."""
    name, number = named.name, 1
    while name in taken:
        number += 1
        name = f"{named.name}_{number}"
    taken.add(name)
    return replace(named, name=name, sure=named.sure and number == 1)


def _field(
    dataset_id: str, column: Column, named: Named, words: Words, in_key: bool, codes: Sequence[str]
) -> Proposed:
    todo = [] if named.sure else ["the name and the Chinese label"]
    found, note = _codes(dataset_id, column, named, words, codes)
    is_change = named.name == CHANGED_AT and column.type == "timestamp"
    least, most = _lengths(column, found)
    proposed = Field(
        name=named.name,
        type=column.type,
        sql_type=_sql_type(column),
        label_zh=named.label_zh,
        short_name=named.short_name,
        required=in_key or (column.full and column.rows >= ENOUGH),
        classification="S2" if is_change else "S3",
        share_class="unconditional" if is_change else "conditional",
        identifier=column.identifier,
        code_list=found.code_list if found else None,
        min_length=least,
        max_length=most,
        precision=column.precision,
        scale=column.scale,
        description="when the source last changed the row" if is_change else "",
    )
    todo += [] if is_change else ["the level and the share class"]
    if column.other_dates:
        todo.append("its dates are written in a way that is not read; it stays text")
    if found and found.own:
        todo.append(f"the code list {found.code_list}")
    return Proposed(proposed, column.name, found, tuple(todo), _noted(column, note))


def _codes(
    dataset_id: str, column: Column, named: Named, words: Words, wanted: Sequence[str]
) -> tuple[Coded | None, str]:
    """The column's code list, and what to say where there might be one."""
    found, maybe = coded.known_list(column, words)
    if found is not None:
        return found, ""
    own_name = f"{dataset_id.replace('.', '_')}_{named.name}"
    asked = column.name in wanted or named.name in wanted
    if column.values and (asked or (not maybe and coded.may_be_own(column))):
        return coded.own_list(column, own_name), ""
    if maybe:
        return None, f"its values are also those of the code lists {', '.join(maybe)}"
    few = column.type == "string" and not column.kinds and 1 < column.distinct <= coded.OWN_MOST
    if few and column.distinct <= column.filled / coded.OWN_EACH:
        return None, f"{column.distinct} different values: --codes {column.name} makes a code list"
    return None, ""


def _noted(column: Column, note: str) -> str:
    """What the sample showed that is not seen in the file."""
    said = [note] if note else []
    if column.wrong:
        what = f"no {column.identifier}" if column.identifier else f"no {column.type}"
        said.append(f"{column.wrong} of {column.filled} values are {what}: quarantine keeps them")
    if column.rows and not column.filled:
        said.append("nothing in it yet")
    return "; ".join(said)


def _sql_type(column: Column) -> str:
    if column.type == "decimal":
        return f"numeric({column.precision},{column.scale})"
    return SQL_TYPES[column.type]


def _lengths(column: Column, found: Coded | None) -> tuple[int | None, int | None]:
    """Of a number of a kind, what contracts say of that kind; of text, room for twice as much."""
    if column.type != "string" or found:
        return None, None
    if column.identifier:
        for contract in all_contracts():
            for known in contract.fields:
                if known.identifier == column.identifier:
                    return known.min_length, known.max_length
    return None, next((most for most in LENGTHS if most >= 2 * column.longest), None)


def _by_kind(sample: Sample, proposed: Proposed, fields: Sequence[Proposed]) -> Proposed:
    """A column of numbers of several kinds, with the column that tells which."""
    column = sample.column(proposed.column)
    if not column.mixed:
        return proposed
    for other in fields:
        told = _tells_kind(sample, column, sample.column(other.column))
        if told:
            table = other.coded.crosswalk if other.coded else {}
            kinds = {table.get(said, said): kind for said, kind in told.items()}
            by = replace(proposed.field, identifier_by=IdentifierBy(other.field.name, kinds))
            return replace(proposed, field=by)
    unsure = f"numbers of several kinds ({', '.join(column.mixed)}), and nothing tells which"
    return replace(proposed, todo=(*proposed.todo, unsure))


def _tells_kind(sample: Sample, numbers: Column, teller: Column) -> dict[str, str]:
    """What each value of the teller says about the kind of number; empty when it tells nothing."""
    few = min(coded.OWN_MOST, teller.filled // coded.OWN_EACH)
    if teller.name == numbers.name or not 2 <= teller.distinct <= few:
        return {}
    frame = sample.frame.select(numbers.name, teller.name).drop_nulls()
    shares = frame.group_by(teller.name, maintain_order=True).agg(
        valid(kind, numbers.name).mean().alias(kind) for kind in numbers.mixed
    )
    told = dict[str, str]()
    for row in shares.iter_rows(named=True):
        best = max(numbers.mixed, key=lambda kind: row[kind])
        if row[best] >= MOSTLY:
            told[str(row[teller.name])] = best
    return dict(sorted(told.items())) if set(told.values()) == set(numbers.mixed) else {}


def _subjects(fields: Sequence[Proposed], key: Sequence[str]) -> dict[str, str]:
    """Under which field a person, an entity or a unit is looked up: the key where it is one."""
    ranked = sorted(fields, key=lambda each: each.field.name not in key)
    found = dict[str, str]()
    for each in ranked:
        by = each.field.identifier_by
        kinds = set(by.kinds.values()) if by else {each.field.identifier}
        for kind in sorted(kind for kind in kinds if kind and kind in SUBJECT_OF):
            found.setdefault(SUBJECT_OF[kind], each.field.name)
    return found
