"""What can go wrong, in three families that tell the reader what to do next.

    YizhanError
    ├── Invalid              fix it: the input is wrong and will stay wrong
    │   └── NotFound         there is no such thing
    ├── Refused              ask someone: a rule says no (`rule` names it)
    │   ├── Unauthenticated  we do not know who is asking
    │   └── WrongState       the thing is not in a state that allows this
    └── Unavailable          try again: only this family is ever retried

Rooms subclass these beside their own code when a finer stable `code` is worth it. What HTTP status
an error has is the web's business (`exchange/problems.py`); commands and DAGs raise the same ones.
No message repeats a person's number or name.
"""

from __future__ import annotations

from typing import ClassVar


class YizhanError(Exception):
    """An error with a stable code, an English message and, where citizens read it, Chinese."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, zh: str = "", rule: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.zh = zh or message
        self.rule = rule


class Invalid(YizhanError):
    """The input is wrong; the sender must change it."""

    code = "invalid"


class NotFound(Invalid):
    """There is no such thing."""

    code = "not-found"


class Refused(YizhanError):
    """A rule says no; `rule` names it."""

    code = "refused"


class Unauthenticated(Refused):
    """The caller did not prove who it is."""

    code = "unauthenticated"


class WrongState(Refused):
    """The thing is not in a state that allows this."""

    code = "wrong-state"


class Unavailable(YizhanError):
    """A part that is needed does not answer now; the same call may work later."""

    code = "unavailable"
