"""What is compared of two persons, and how much each level of likeness is assumed to say.

Data, and two pure functions over it. A comparison is a list of levels from alike to unlike; of each
the model knows how often it is met in one person (m) and by chance (u). The m here are assumptions
to start from; `linkage.py` learns both. A level's name is what a reviewer reads, so it says what
was seen and never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Model = Mapping[str, Any]  # settings as Splink reads and writes them


@dataclass(frozen=True, slots=True)
class Level:
    """One level of likeness: its name, its condition on columns `…_l` and `…_r`, the assumed m."""

    name: str
    condition: str
    m: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing that is compared, from alike to unlike; what is empty says nothing."""

    column: str
    levels: tuple[Level, ...]
    weigh_rare: bool = False


def _same(column: str, m: float) -> Level:
    return Level("same", f"{column}_l = {column}_r", m)


def _near(column: str, m: float) -> Level:
    near = f"damerau_levenshtein({column}_l, {column}_r) <= 1"
    return Level("one digit differs, or two are swapped", near, m)


def _else(m: float) -> Level:
    return Level("different", "ELSE", m)


COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        "name",
        (
            _same("name", 0.93),
            Level("one character differs", "levenshtein(name_l, name_r) <= 1", 0.05),
            _else(0.02),
        ),
        weigh_rare=True,
    ),
    Comparison("birth_date", (_same("birth_date", 0.85), _near("birth_date", 0.13), _else(0.02))),
    Comparison(
        "address",
        (
            _same("address", 0.6),
            Level("one or two characters differ", "levenshtein(address_l, address_r) <= 2", 0.15),
            _else(0.25),
        ),
    ),
    Comparison("phone", (_same("phone", 0.6), _near("phone", 0.1), _else(0.3))),
    # Division and sequence: the number without its date of birth, which is compared above.
    Comparison("tail", (_same("tail", 0.45), _near("tail", 0.35), _else(0.2))),
)
NAMES: Mapping[str, str] = {"tail": "number"}  # how a comparison is called where it is shown

RAREST = 1e-6  # what no pair of the sample had by chance is assumed to be this rare

# Pairs that are compared at all: each rule finds doubles that the others' mistakes would hide.
HOLDER_BLOCKS = (
    ("name", "birth_date"),
    ("name", "address"),
    ("name", "digits"),
    ("name", "tail"),
    ("birth_date", "address"),
)
RESIDENT_BLOCKS = (*HOLDER_BLOCKS, ("name", "phone"), ("birth_date", "phone"))
# What one training may not learn about, because all its pairs agree in it, another one does.
TRAINING_BLOCKS = (("name", "birth_date"), ("phone", "name"), ("birth_date", "address"))


def settings_of(
    link_type: Literal["dedupe_only", "link_only"],
    blocks: Sequence[Sequence[str]],
    chance: float,
    learned: Model | None = None,
) -> dict[str, Any]:
    """Splink's settings; `chance` is how likely two random persons are one."""
    comparisons = learned["comparisons"] if learned else [_settings(each) for each in COMPARISONS]
    return {
        "link_type": link_type,
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": chance,
        "blocking_rules_to_generate_predictions": [{"blocking_rule": rule(b)} for b in blocks],
        "comparisons": comparisons,
        "retain_matching_columns": True,  # with them Splink keeps the levels, which we read
    }


def rule(columns: Sequence[str]) -> str:
    """The condition that two rows agree in `columns`."""
    return " AND ".join(f"l.{column} = r.{column}" for column in columns)


def sound(learned: Model) -> Model:
    """What was learned, where it makes sense.

    A comparison whose levels came out of order, or that nothing was learned of, keeps what is
    assumed of one person; and a level that is less alike never speaks for more, as one seems to
    that was met by chance in no pair of the sample.
    """
    found = {each["output_column_name"]: each for each in learned["comparisons"]}
    return {"comparisons": [_sound(found[each.column], each) for each in COMPARISONS]}


def _sound(found: Model, assumed: Comparison) -> Model:
    levels = [level for level in found["comparison_levels"] if not level.get("is_null_level")]
    by_chance = [max(level.get("u_probability") or 0.0, RAREST) for level in levels]
    in_one = [level.get("m_probability") or 0.0 for level in levels]
    if not in_one[0] / by_chance[0] > 1 > in_one[-1] / by_chance[-1] > 0:
        in_one = [level.m for level in assumed.levels]
    for at in range(1, len(levels)):
        before = by_chance[at - 1] / in_one[at - 1]
        in_one[at] = in_one[at] or assumed.levels[at].m
        by_chance[at] = max(by_chance[at], before * in_one[at])
    for level, m, u in zip(levels, in_one, by_chance, strict=True):
        level.update(m_probability=m, u_probability=u)
    return found


def _settings(comparison: Comparison) -> dict[str, Any]:
    column = comparison.column
    empty = {
        "sql_condition": f"{column}_l IS NULL OR {column}_r IS NULL",
        "label_for_charts": "unknown",
        "is_null_level": True,
    }
    levels = [
        {"sql_condition": each.condition, "label_for_charts": each.name, "m_probability": each.m}
        for each in comparison.levels
    ]
    if comparison.weigh_rare:
        levels[0]["tf_adjustment_column"] = column
    return {"output_column_name": column, "comparison_levels": [empty, *levels]}


def explained(levels: Mapping[str, int]) -> dict[str, str]:
    """The name of the level that each comparison came to, given Splink's numbers of them."""
    return {
        NAMES.get(each.column, each.column): _level(each, levels[each.column])
        for each in COMPARISONS
    }


def _level(comparison: Comparison, number: int) -> str:
    """Splink counts levels from the unlike one, which is 0; -1 is unknown."""
    return "unknown" if number < 0 else comparison.levels[-1 - number].name
