"""Jurisdictions: whose rules hold where, by the division code, and the files that say them.

A county's rules stand before its city's, these before the province's, and those before the
country's (`cn`). The rules themselves are `schemas/calendars.py`'s and `schemas/limits.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.errors import Invalid

COUNTRY = "cn"


def chain(jurisdiction: str) -> tuple[str, ...]:
    """The jurisdiction and those above it, the nearest first: 330784, 3307, 33, cn.

    Raises `Invalid` for what is neither `cn` nor a division code of two, four or six digits.
    """
    if jurisdiction == COUNTRY:
        return (COUNTRY,)
    if not (jurisdiction.isascii() and jurisdiction.isdigit() and len(jurisdiction) in (2, 4, 6)):
        raise Invalid("a jurisdiction is `cn` or a division code of two, four or six digits")
    codes = [jurisdiction[:length] for length in (6, 4, 2) if length <= len(jurisdiction)]
    return (*codes, COUNTRY)


def nearest_first(jurisdiction: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """Those of the chain that have rules of their own."""
    return tuple(code for code in chain(jurisdiction) if code in known)
