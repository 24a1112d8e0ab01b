"""Code lists: the closed sets of values a field may hold, read from `codes/*.yaml`.

An installation's own lists stand beside the packaged ones. A list may be effective-dated, as
divisions are: a code lives from a day until a day and may have a successor. A list says what a code
means; whether an unknown one is refused is the caller's rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from schemas import installation
from schemas.errors import Invalid, NotFound
from schemas.yaml_files import Place, read_yaml, yaml_files

FOLDER = files("schemas") / "codes"


@dataclass(frozen=True)
class Code:
    """One code; it is in force from `since` (none: always was) until the day `until` (none: is)."""

    code: str
    label: str
    since: date | None = None
    until: date | None = None
    successor: str | None = None

    def in_force(self, at: date) -> bool:
        """Say whether the code was in force on that day."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@dataclass(frozen=True)
class CodeList:
    """A named list of codes; `standard` is where they come from."""

    name: str
    label_zh: str
    standard: str
    codes: Mapping[str, Code]
    note: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        """Every code, abolished ones included, in the list's order."""
        return tuple(self.codes)

    @property
    def dated(self) -> bool:
        """Say whether any code has a first or a last day."""
        return any(code.since or code.until for code in self.codes.values())

    def __contains__(self, code: object) -> bool:
        return code in self.codes

    def get(self, code: str) -> Code:
        """Return the code. Raises `NotFound`."""
        if code not in self.codes:
            raise NotFound(f"{self.name} has no such code", zh=f"{self.label_zh}中没有该代码")
        return self.codes[code]

    def label(self, code: str) -> str:
        """Return what the code means. Raises `NotFound`."""
        return self.get(code).label

    def at(self, day: date) -> CodeList:
        """Return the list as it was in force on that day."""
        kept = {code: entry for code, entry in self.codes.items() if entry.in_force(day)}
        return replace(self, codes=MappingProxyType(kept))

    def successor(self, code: str, at: date) -> Code:
        """Follow successors until a code that is in force on that day. Raises `NotFound`."""
        entry = self.get(code)
        while not entry.in_force(at):
            if entry.successor is None:
                raise NotFound(f"{self.name}: the code has no successor on that day")
            entry = self.get(entry.successor)
        return entry


def code_list(name: str) -> CodeList:
    """Return the code list of that name. Raises `NotFound`."""
    lists = all_code_lists()
    if name not in lists:
        raise NotFound(f"there is no code list {name}")
    return lists[name]


def all_code_lists() -> Mapping[str, CodeList]:
    """Return every code list by name. Raises `Invalid` naming the file and what is wrong."""
    return _code_lists(installation.stamp("codes"))


@lru_cache(maxsize=2)
def _code_lists(own: installation.Stamp) -> Mapping[str, CodeList]:
    """Read once for each state of the installation's own files."""
    lists: dict[str, CodeList] = {}
    for folder in (FOLDER, own.folder):
        for file in yaml_files(folder):
            read = _read(file)
            if read.name in lists:
                raise Invalid(f"{file}: a code list {read.name} is packaged with Yizhan already")
            lists[read.name] = read
    return MappingProxyType(lists)


class _Entry(BaseModel):
    """A dated code as the YAML spells it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    since: date | None = Field(None, alias="from")
    until: date | None = Field(None, alias="to")
    successor: str | None = None


class _File(BaseModel):
    """A code list as the YAML spells it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    label: str
    standard: str
    note: str = ""
    codes: dict[str, str | _Entry] = Field(min_length=1)


def _read(file: Traversable) -> CodeList:
    place = Place(str(file))
    parsed = place.shaped(_File, read_yaml(file))
    place.need(f"{parsed.name}.yaml" == file.name, f"it calls itself {parsed.name}")
    codes = {code: _code(code, entry) for code, entry in parsed.codes.items()}
    _check_successors(codes, place)
    return CodeList(
        parsed.name, parsed.label, parsed.standard, MappingProxyType(codes), parsed.note
    )


def _code(code: str, entry: str | _Entry) -> Code:
    if isinstance(entry, str):
        return Code(code, entry)
    return Code(code, entry.name, entry.since, entry.until, entry.successor)


def _check_successors(codes: Mapping[str, Code], place: Place) -> None:
    """A successor is in the list and lives on when its predecessor ends, so following one ends."""
    for entry in codes.values():
        if entry.successor is None:
            continue
        heir = codes.get(entry.successor)
        if entry.until is None or heir is None or not heir.in_force(entry.until):
            at = place.inside(f"code {entry.code}")
            raise at.wrong("its successor is not in force when it ends")
