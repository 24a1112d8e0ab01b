"""Which part of an XLSX package holds a sheet (ECMA-376 part 1, 18.2.19 and part 2, 9.3)."""

from __future__ import annotations

import posixpath
import zipfile
from xml.etree import ElementTree

from connectors.parsing.faults import Fault
from connectors.parsing.spec import MEGABYTE

_MOST = 8 * MEGABYTE


def sheet_part(archive: zipfile.ZipFile, name: str) -> str:
    """The path of a sheet's XML. Raises `Fault` for a package that has none."""
    book = _related(archive, "", "officeDocument")[0]
    folder, file = posixpath.split(book)
    targets = _targets(archive, f"{folder}/_rels/{file}.rels".lstrip("/"), folder)
    for sheet in _parsed(archive, book).iter():
        if _local(sheet.tag) == "sheet" and sheet.get("name") == name:
            ids = (value for key, value in sheet.attrib.items() if _local(key) == "id")
            if (part := targets.get(next(ids, ""))) is not None:
                return part
    raise Fault("not-xlsx")


def _related(archive: zipfile.ZipFile, folder: str, kind: str) -> list[str]:
    found = [
        _resolved(folder, relation.get("Target", ""))
        for relation in _parsed(archive, "_rels/.rels")
        if relation.get("Type", "").endswith("/" + kind)
    ]
    if not found:
        raise Fault("not-xlsx")
    return found


def _targets(archive: zipfile.ZipFile, path: str, folder: str) -> dict[str, str]:
    return {
        relation.get("Id", ""): _resolved(folder, relation.get("Target", ""))
        for relation in _parsed(archive, path)
    }


def _resolved(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")


def _parsed(archive: zipfile.ZipFile, path: str) -> ElementTree.Element:
    try:
        with archive.open(path) as part:
            data = part.read(_MOST)
        if b"<!DOCTYPE" in data:  # the standard forbids it (part 2, 8.1.1), and bombs need it
            raise Fault("not-xlsx")
        return ElementTree.fromstring(data)  # noqa: S314 - in the child, without a DTD
    except (KeyError, zipfile.BadZipFile, ElementTree.ParseError, NotImplementedError):
        raise Fault("not-xlsx") from None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
