"""Who may act in an agreement: departments follow their successors, superiors may step in.

The source department answers for its data; when it merged, who took over; when it was silent, who
stands above it. Pure, over the tree of departments.
"""

from __future__ import annotations

from datetime import date

from exchange.agreements.evidence import By
from schemas import contract, departments
from schemas.departments import Department
from schemas.errors import NotFound, Refused


class NotYours(Refused):
    """Another department's matter."""

    code = "not-your-department"


def acting(code: str, day: date) -> Department:
    """Who acts for a department on that day: itself, or who took over. Raises `NotFound`."""
    return departments.tree().successor(code, day)


def superior(code: str, day: date) -> Department:
    """Who stands above the department that acts on that day; the highest stands above itself."""
    here = acting(code, day)
    return acting(here.parent, day) if here.parent else here


def jurisdiction(code: str) -> str:
    """The division of a department: digits 3 to 8 of its code (GB 32100-2015 section 4.3)."""
    return code[2:8]


def source_of(resource: str) -> str | None:
    """The department whose data a resource is, by its contract; none where it has no dataset."""
    try:
        return contract.load(resource).authority.code
    except NotFound:
        return None


def check_may_answer(by: By, source: str | None, day: date, *also: str | None) -> None:
    """Check that an officer acts for the source department, or for one that is named besides.

    Raises `NotYours`. Data that is nobody's (the ledger's own log) is the administrator's.
    """
    if source is None:
        return
    allowed = {acting(code, day).code for code in (source, *also) if code is not None}
    if by.department is None or acting(by.department, day).code not in allowed:
        raise NotYours(
            "this is the source department's to decide, or that of whoever took over from it",
            zh="应由数据提供部门办理",
            rule="not-your-department",
        )
