"""A hub with a planted fault: it answers while the evidence still waits to be written.

    python -m tests.journeys.hasty hasty|careful --port 8123

`careful` is the hub as it is, run in the same way. The patch lives in that process alone.
"""

from __future__ import annotations

import argparse
import asyncio
from unittest.mock import patch

from exchange import app
from exchange.ledger.entries import Entry
from exchange.ledger.writer import Writer
from exchange.settings import Settings

LATE = 2.0  # seconds by which the evidence comes after the answer


class Hasty(Writer):
    """Says that an entry is durable as soon as it is known, and writes it a moment later."""

    async def write(self, entry: Entry) -> None:
        """Return at once: the fault."""
        asyncio.get_running_loop().call_later(LATE, self._later, entry)

    def _later(self, entry: Entry) -> None:
        self._going = asyncio.create_task(super().write(entry))


def main() -> None:
    """Serve until killed."""
    asked = argparse.ArgumentParser(prog="tests.journeys.hasty")
    asked.add_argument("writer", choices=("hasty", "careful"))
    asked.add_argument("--port", type=int, required=True)
    told = asked.parse_args()
    with patch("exchange.hub.Writer", {"hasty": Hasty, "careful": Writer}[told.writer]):
        app.serve(app.create_app(Settings.load()), "127.0.0.1", told.port)


if __name__ == "__main__":
    main()
