"""Read YAML files that people write: what is wrong is said with the file and the place in it.

A key that is there twice is refused, where YAML's own reader keeps the last one in silence.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from schemas.errors import Invalid

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Place:
    """Where in which file something stands."""

    file: str
    at: str = ""

    def inside(self, at: str) -> Place:
        """A place in the same file."""
        return replace(self, at=at)

    def __str__(self) -> str:
        return f"{self.file}: {self.at}" if self.at else self.file

    def wrong(self, what: str) -> Invalid:
        """The error that something here is not as it must be."""
        return Invalid(f"{self}: {what}")

    def need(self, holds: bool, otherwise: str) -> None:
        """Raise `Invalid` unless it holds."""
        if not holds:
            raise self.wrong(otherwise)

    def shaped(self, model: type[Model], document: Any) -> Model:
        """What was said here, in that shape. Raises `Invalid` that repeats nothing of it."""
        try:
            return model.model_validate(document)
        except ValidationError as err:
            wrongs = (_wrong(each["loc"], each["msg"]) for each in err.errors(include_input=False))
            raise self.wrong(f"not well formed: {'; '.join(dict.fromkeys(wrongs))}") from err


def _wrong(steps: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, steps))}: {message}" if steps else message


def read_yaml(file: Traversable) -> Any:
    """Return what the file says. Raises `Invalid` naming the file, the line and what is wrong."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Reader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as err:  # ValueError: bytes or dates that are none
        raise Invalid(f"{file}: not well formed: {err}") from err


def yaml_files(folder: Traversable) -> Iterable[Traversable]:
    """The YAML files of a folder by name; none where there is no folder."""
    if not folder.is_dir():
        return []
    found = (file for file in folder.iterdir() if file.name.endswith(".yaml"))
    return sorted(found, key=lambda file: file.name)


class _Reader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # either is one
    """The safe reader (in C where there is one), which refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping of distinct keys."""
        seen = set[str]()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise ConstructorError(None, None, f"{name} is there twice", key.start_mark)
            seen.add(name)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made
