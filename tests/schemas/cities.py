"""Contracts of an installation of its own, written where it would keep them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from schemas.contract_files import FOLDER

Document = dict[str, Any]
Change = Callable[[Document], object]

PACKAGED = Path(str(FOLDER))


def document(dataset: str) -> Document:
    """What a packaged contract says."""
    library, name = dataset.split(".")
    text = (PACKAGED / library / f"{name}.yaml").read_text("utf-8")
    found: Document = yaml.safe_load(text)
    return found


def renamed(said: Document, dataset: str) -> Document:
    """The same contract under another id."""
    library, name = dataset.split(".")
    said.update(id=dataset, domain=library, name=name)
    said["schema"][0]["name"] = name
    return said


def write(folder: Path, said: Document, *, sql: str | None = None) -> Path:
    """Put the contract where its id says; returns the file."""
    library, name = str(said["id"]).split(".")
    place = folder / library
    place.mkdir(parents=True, exist_ok=True)
    if sql is not None:
        (place / f"{name}.sql").write_text(sql, "utf-8")
    file = place / f"{name}.yaml"
    file.write_text(yaml.safe_dump(said, allow_unicode=True, sort_keys=False), "utf-8")
    return file


def write_text(folder: Path, said: Document) -> Path:
    """Put whatever this is where the contract of residents would be; returns the file."""
    file = folder / "population" / "resident.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    return file


def field(said: Document, name: str) -> Document:
    """A field of the contract."""
    found: Document = next(each for each in said["schema"][0]["properties"] if each["name"] == name)
    return found


def custom(entry: Document, name: str, value: Any) -> None:
    """Say one of our own properties, or say it anew."""
    others = [each for each in entry["customProperties"] if each["property"] != name]
    entry["customProperties"] = [*others, {"property": name, "value": value}]


def promise(said: Document, name: str, value: Any, unit: str) -> None:
    """Say a promise, or say it anew."""
    others = [each for each in said["slaProperties"] if each["property"] != name]
    said["slaProperties"] = [*others, {"property": name, "value": value, "unit": unit}]


def thematic(dataset: str, base: str, parents: list[Any]) -> Document:
    """A thematic dataset with the fields of a base one."""
    said = renamed(document(base), dataset)
    name = dataset.split(".")[1]
    for key, value in {"kind": "thematic", "parents": parents, "sql": f"{name}.sql"}.items():
        custom(said, key, value)
    return said


def key_only(said: Document, *names: str) -> None:
    """Make these fields the key, and no others."""
    for each in said["schema"][0]["properties"]:
        each.pop("primaryKey", None)
        each.pop("primaryKeyPosition", None)
    for position, name in enumerate(names, start=1):
        field(said, name).update(required=True, primaryKey=True, primaryKeyPosition=position)


def code_list(folder: Path, name: str, codes: Mapping[str, str]) -> Path:
    """Put a code list there; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    said = {"name": name, "label": name, "standard": "this city's own", "codes": dict(codes)}
    file.write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    return file
