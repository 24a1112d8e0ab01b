"""Link headers (RFC 8288): which address a page names as the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator

# RFC 8288 3: <target> followed by ;name=value or ;name="quoted", links parted by commas.
_LINK = re.compile(
    r'\s*,?\s*<([^<>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s";,]+))?)*)'
)
_PARAMETER = re.compile(r';\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s";,]+)))?')


def next_of(header: str) -> str | None:
    """The target whose relation is `next`, as it was written; None when there is none.

    A link with an `anchor` speaks of another document (3.2) and is passed over.
    """
    for target, parameters in _links(header):
        if "anchor" not in parameters and "next" in parameters.get("rel", "").lower().split():
            return target
    return None


def _links(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    for found in _LINK.finditer(header):
        parameters: dict[str, str] = {}
        for name, quoted, token in _PARAMETER.findall(found[2]):
            # RFC 8288 3.3: a second rel counts for nothing.
            parameters.setdefault(name.lower(), token or re.sub(r"\\(.)", r"\1", quoted))
        yield found[1], parameters
