"""`make bench`: measure one group or all, print a table, write bench.json.

`city` is measured only when it is asked for: it is a rehearsal, and takes a quarter of an hour.
Every ratio is held against a peer or a limit measured in the same run on the same machine; the
absolute figures of a shared machine mean little.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.bench.report import Figure, machine, show, write

GROUPS = ("libraries", "exchange", "vault", "intake")
REHEARSALS = ("city",)


def main() -> int:
    """Run the groups named on the command line (default: all)."""
    asked = sys.argv[1] if len(sys.argv) > 1 else "all"
    if asked not in (*GROUPS, *REHEARSALS, "all"):
        known = ", ".join((*GROUPS, *REHEARSALS))
        Console(stderr=True).print(f"ONLY must be one of {known}")
        return 2
    on, figures = machine(), list[Figure]()
    try:
        for group in GROUPS if asked == "all" else (asked,):
            Console(stderr=True).print(f"measuring {group} …")
            _measure(group, figures)
    finally:  # what was measured before something failed took long enough
        show(figures)
        write(figures, on, Path("bench.json"))
    return 0


def _measure(group: str, figures: list[Figure]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for figure in importlib.import_module(f"tests.bench.{group}").measure(Path(folder)):
            figures.append(figure)


if __name__ == "__main__":
    sys.exit(main())
