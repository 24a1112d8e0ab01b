"""Limits: how many working days a department has for a step, as dated data of each jurisdiction.

Read from `clocks/*.yaml` and the installation's own folder. The nearest jurisdiction that has a
limit for the step and the share class on that day says it. How far a clock has run is
`exchange/agreements/clocks.py`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, Field

from schemas import installation
from schemas.contract import ShareClass
from schemas.errors import NotFound
from schemas.jurisdictions import chain, nearest_first
from schemas.yaml_files import Place, read_yaml, yaml_files

FOLDER = files("schemas") / "clocks"


class Step(StrEnum):
    """What a department has so long for."""

    ANSWER = "answer"
    PROVIDE = "provide"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many working days, by which law, in force from `since` until the day `until`."""

    step: Step
    share_class: ShareClass
    working_days: int
    law: str
    jurisdiction: str
    since: date
    until: date


def limit(jurisdiction: str, step: Step, share_class: ShareClass, day: date) -> Limit:
    """The limit that holds on that day. Raises `NotFound` where nobody set one."""
    chain(jurisdiction)
    known = _limits(installation.stamp("clocks"))
    for code in nearest_first(jurisdiction, known):
        for each in known[code]:
            fits = (each.step, each.share_class) == (step, share_class)
            if fits and each.since <= day < each.until:
                return each
    raise NotFound(
        f"nobody set a limit for `{step}` of {share_class} sharing in {jurisdiction} on {day}: "
        "add one to the folder of clocks"
    )


@lru_cache(maxsize=2)
def _limits(own: installation.Stamp) -> Mapping[str, tuple[Limit, ...]]:
    return read(FOLDER, own.folder)


class _LimitIn(BaseModel):
    """A limit as the YAML spells it."""

    model_config = ConfigDict(extra="forbid")
    step: Step
    share_class: ShareClass
    working_days: int = Field(ge=0, le=366)
    law: str = Field(min_length=1)
    since: date = Field(date.min, alias="from")
    until: date = Field(date.max, alias="to")


class _File(BaseModel):
    """A file of limits as the YAML spells it."""

    model_config = ConfigDict(extra="forbid")
    jurisdiction: str
    note: str = ""
    limits: list[_LimitIn]


def read(*folders: Traversable) -> Mapping[str, tuple[Limit, ...]]:
    """Every limit of the folders. Raises `Invalid` where two hold on one day."""
    known: dict[str, list[Limit]] = defaultdict(list)
    for folder in folders:
        for file in yaml_files(folder):
            place = Place(str(file))
            said = place.shaped(_File, read_yaml(file))
            chain(said.jurisdiction)
            for each in said.limits:
                made = Limit(
                    each.step,
                    each.share_class,
                    each.working_days,
                    each.law,
                    said.jurisdiction,
                    each.since,
                    each.until,
                )
                _check(made, known[said.jurisdiction], place.inside(f"{made.step}"))
                known[said.jurisdiction].append(made)
    return {code: tuple(limits) for code, limits in known.items()}


def _check(made: Limit, others: list[Limit], place: Place) -> None:
    place.need(made.since < made.until, "it ends before it begins")
    for other in others:
        same = (other.step, other.share_class) == (made.step, made.share_class)
        apart = made.until <= other.since or other.until <= made.since
        place.need(not same or apart, f"two limits hold for {made.share_class} on one day")
