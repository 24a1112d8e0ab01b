"""Drawing many pages at once: child processes that render and lay out, one a core.

A page costs a core some 30 ms, and rendering holds the interpreter. A child does nothing but turn
drafts into documents around a gap; it has no database, no key, and ends when its input ends, so it
never outlives who started it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from license_vault import face, pdf
from license_vault.record import Record
from schemas.errors import Unavailable

WORTHWHILE = 30
"""Fewer pages than this are drawn here: a child needs a second to start."""


@dataclass(frozen=True)
class Draft:
    """What is drawn: a record, the address of its QR, the time, and under whose seal."""

    record: Record
    address: str
    at: datetime
    chain: tuple[bytes, ...]
    reason: str


Drawn = pdf.Prepared | face.FaceNotMade


def draw(draft: Draft) -> Drawn:
    """The document around its gap, or why its face cannot be made."""
    try:
        page = face.render(draft.record, address=draft.address, at=draft.at)
    except face.FaceNotMade as err:
        return face.FaceNotMade(err.message, zh=err.zh)
    return pdf.prepare(page, draft.chain, reason=draft.reason)


class Drawers:
    """As many children as there are cores, for the time of a `with`; none for a small job."""

    def __init__(self, expected: int, *, children: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0))
        count = cores if children is None else children
        self._count = count if expected >= WORTHWHILE else 0
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Drawers:
        if self._count > 1:
            self._children = [_child() for _ in range(self._count)]
            self._threads = ThreadPoolExecutor(self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
        for child in self._children:
            child.wait(timeout=30)

    def draw(self, drafts: Sequence[Draft]) -> list[Drawn]:
        """Draw them all, in order."""
        if self._threads is None:
            return [draw(each) for each in drafts]
        count = len(self._children)
        shares = [drafts[number::count] for number in range(count)]
        drawn = list(self._threads.map(_ask, self._children, shares))
        return [drawn[place % count][place // count] for place in range(len(drafts))]


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # our own module, with this interpreter
        [sys.executable, "-m", "license_vault.drafting"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )


def _ask(child: subprocess.Popen[bytes], drafts: Sequence[Draft]) -> list[Drawn]:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        _write(child.stdin, list(drafts))
        answer: list[Drawn] = _read(child.stdout)
    except (OSError, EOFError) as err:
        raise Unavailable("a drawing process died") from err
    return answer


def _write(pipe: IO[bytes], value: Any) -> None:
    pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _read(pipe: IO[bytes]) -> Any:
    # The pipe leads to a process of our own that this one started, or was started by.
    return pickle.load(pipe)  # noqa: S301 - nobody else writes to that pipe


def _serve() -> None:
    """Answer on standard output until standard input ends."""
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while True:
        try:
            drafts = _read(asked)
        except EOFError:
            return
        _write(told, [draw(each) for each in drafts])


if __name__ == "__main__":
    _serve()
