"""The fixed catalogue of yes-or-no questions: `predicates.yaml`, read and looked up.

A grant names a question whole, its argument included (`age_at_least(18)`), as a field in the form
`predicate`. So nobody finds a birthday by asking every age: an age that was not granted is not
answered. How a question becomes SQL is `exchange/modes/predicates.py`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.codes import code_list
from schemas.contract import Contract
from schemas.errors import Invalid, NotFound
from schemas.yaml_files import Place, read_yaml

FILE = files("schemas") / "predicates.yaml"
ASKED = re.compile(r"([a-z][a-z0-9_]{2,60})(?:\(([0-9A-Za-z_.]{1,40})\))?")
Absent = Literal["yes", "no", "cannot_say"]
Quantifier = Literal["any", "none", "newest"]


def _number(most: int) -> Callable[[str], bool]:
    return lambda text: bool(re.fullmatch(r"0|[1-9][0-9]{0,3}", text)) and int(text) <= most


ARGUMENTS: Mapping[str, Callable[[str], bool]] = {
    "age": _number(150),
    "years": _number(100),
    "count": _number(1200),
    "division": lambda text: bool(re.fullmatch(r"[0-9]{2}|[0-9]{4}|[0-9]{6}", text)),
    "license_type": lambda text: bool(re.fullmatch(r"[0-9A-Za-z_.]{1,40}", text)),
}


@dataclass(frozen=True)
class Predicate:
    """One kind of question: over which rows, what must hold of how many, and what silence says."""

    name: str
    label_zh: str
    argument: str | None
    subjects: frozenset[str]
    reads: tuple[str, ...]
    of: str | None
    quantifier: Quantifier
    holds: str
    by: str | None
    absent: Absent

    def takes(self, argument: str | None) -> bool:
        """Say whether it may be asked with that argument."""
        if self.argument is None or argument is None:
            return self.argument is argument
        if self.argument.startswith("code:"):
            return argument in code_list(self.argument.removeprefix("code:")).values
        return ARGUMENTS[self.argument](argument)


@dataclass(frozen=True)
class Asked:
    """One question as it is asked and granted: `owns_no_home_in(330784)`."""

    text: str
    predicate: Predicate
    argument: str | None


def asked(resource: Contract, text: str) -> Asked:
    """Read a question to that resource. Raises `NotFound`: the catalogue has no such question."""
    written = ASKED.fullmatch(text)
    found = of(resource).get(written[1]) if written else None
    if written is None or found is None or not found.takes(written[2]):
        raise NotFound(
            "the catalogue has no such question for this resource",
            zh="谓词目录中没有此项",
            rule="predicate-unknown",
        )
    return Asked(text, found, written[2])


def of(resource: Contract) -> Mapping[str, Predicate]:
    """The questions that a resource answers, by name."""
    said = catalogue().get(resource.id, {})
    return {name: _made(resource, name, each) for name, each in said.items()}


def is_question(resource: Contract, text: str) -> bool:
    """Say whether the catalogue has this question for the resource."""
    try:
        asked(resource, text)
    except Invalid:
        return False
    return True


class Written(BaseModel):
    """A question as the file says it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    zh: Annotated[str, StringConstraints(min_length=1)]
    argument: str | None = None
    subjects: list[str] | None = None
    reads: list[str]
    of: str | None = None
    any: str | None = None
    none: str | None = None
    newest: str | None = None
    by: str | None = None
    absent: Absent


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Mapping[str, Written]]:
    """The file, in its shape. Raises `Invalid` with the place of what is wrong."""
    place = Place(FILE.name)
    said: Mapping[str, Mapping[str, Any]] = read_yaml(FILE)
    return {
        code: {
            name: place.inside(f"{code}.{name}").shaped(Written, each)
            for name, each in questions.items()
        }
        for code, questions in said.items()
    }


def _made(resource: Contract, name: str, said: Written) -> Predicate:
    place = Place(FILE.name, f"{resource.id}.{name}")
    all_of: Mapping[Quantifier, str | None] = {
        "any": said.any,
        "none": said.none,
        "newest": said.newest,
    }
    given = {kind: text for kind, text in all_of.items() if text is not None}
    place.need(len(given) == 1, "says one of any, none and newest")
    ((quantifier, holds),) = given.items()
    place.need(
        (said.by is None) == (quantifier != "newest"), "the newest is the newest by a column"
    )
    place.need(set(said.reads) <= set(resource.columns), "reads a column that is not there")
    subjects = frozenset(said.subjects or resource.subjects)
    place.need(subjects <= set(resource.subjects), "is about a subject that is not there")
    known = said.argument is None or said.argument.startswith("code:")
    place.need(known or said.argument in ARGUMENTS, "takes an argument of a kind that is not there")
    return Predicate(
        name,
        said.zh,
        said.argument,
        subjects,
        tuple(said.reads),
        said.of,
        quantifier,
        holds,
        said.by,
        said.absent,
    )
