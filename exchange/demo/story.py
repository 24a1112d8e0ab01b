"""The story in the terminal and on the hub's page: chapters of lines, written as they happen."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent

from rich.console import Console
from rich.status import Status

from exchange.overview import Chapter, read_story


class Story:
    """Tells chapters to the console, and keeps them in `<home>/story.json` for the page."""

    def __init__(self, home: Path, console: Console, *, goes_on: bool = False) -> None:
        self._path = home / "story.json"
        self._console = console
        self._began = time.monotonic()
        self.chapters: list[Chapter] = list(read_story(home)) if goes_on else []
        self.failures: list[str] = []

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.chapters.append(Chapter(title, ()))
        elapsed = time.monotonic() - self._began
        self._console.print(f"\n[bold]{title}[/bold] [dim]{elapsed:.0f} s[/dim]")

    def tell(self, line: str) -> None:
        """One line of the chapter."""
        last = self.chapters[-1]
        self.chapters[-1] = Chapter(last.title, (*last.lines, line))
        self._console.print(indent(line, "  "), highlight=False, markup=False, soft_wrap=True)
        self._write()

    def check(self, true: bool, line: str) -> None:
        """A line that must be true; where it is not, the demo ends with status 1."""
        if not true:
            self.failures.append(line)
        self.tell(f"{'✓' if true else '✗ FAILED:'} {line}")

    @contextmanager
    def working(self, what: str) -> Iterator[Status]:
        """Show that something goes on; `.update(…)` says how far it is."""
        with self._console.status(what) as status:
            yield status

    def _write(self) -> None:
        fresh = self._path.with_suffix(f".{os.getpid()}")
        told = [{"title": c.title, "lines": list(c.lines)} for c in self.chapters]
        fresh.write_text(json.dumps(told, ensure_ascii=False, indent=1))
        fresh.replace(self._path)
