"""JSON as a source wrote it: numbers stay their text, and what can be read two ways is refused.

RFC 8259 leaves open what a member named twice means (4) and knows no NaN (6); readers differ, so a
checksum over such a document proves nothing. `Unreadable` says which of these was met.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

MISSING = object()
"""What `at` gives where a document has no such place."""


class Unreadable(ValueError):
    """The bytes are not a JSON document that everybody reads alike."""


def parsed(body: bytes) -> Any:
    """The document; numbers are text. Raises `Unreadable`."""
    try:
        # 89.50 is not 89.5, and 10000000000000000000001 is not 1e22.
        return json.loads(
            body.decode("utf-8-sig"),
            parse_float=str,
            parse_int=str,
            parse_constant=_no_number,
            object_pairs_hook=_object,
        )
    except Unreadable:
        raise
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8") from None
    except RecursionError:
        raise Unreadable("is nested too deep") from None
    except ValueError:
        raise Unreadable("is no JSON") from None


def at(document: object, path: str) -> Any:
    """What stands at `path`, or `MISSING`."""
    if path == ".":
        return document
    for name in path.split("."):
        document = _member(document, name)
    return document


def text(value: object) -> str | None:
    """A cell as text. Raises `TypeError` for an object or a list."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise TypeError("a cell holds a list or an object")


def whole(value: object, digits: int = 18) -> int | None:
    """A whole number not below zero of so many digits at most, or None when it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= digits:
        return int(value)
    return None


def _member(document: object, name: str) -> object:
    if isinstance(document, Mapping):
        return document.get(name, MISSING)
    if isinstance(document, Sequence) and not isinstance(document, str) and name.isdigit():
        return document[int(name)] if int(name) < len(document) else MISSING
    return MISSING


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("names a member twice")
    return found


def _no_number(_name: str) -> NoReturn:
    raise Unreadable("holds NaN or Infinity, which are no numbers of JSON")
