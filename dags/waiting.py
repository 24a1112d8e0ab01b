"""Waiting for news of a source without a process: in the triggerer, which waits for many at once.

`Land` begins in the triggerer and takes a worker only when there is something to land, so a source
that has nothing new costs its own question and no more. A source that does not answer is asked less
and less often and fails nothing: its silence is an alert's business. What is wrong for good is
asked once more after a minute and then given to a worker, where it fails under its own name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TriggerEvent

from dags.duties import duty
from schemas.errors import Unavailable, YizhanError

A_WHILE = 60.0  # seconds after which what seemed wrong is asked once more
LONGEST = 300.0  # seconds between two questions to a source that does not answer
ASKING = ThreadPoolExecutor(16, thread_name_prefix="asking")  # a dead source holds one for long


class NewsTrigger(BaseTrigger):  # type: ignore[misc]  # Airflow's types are skipped
    """Asks one source at its pace until it has news."""

    def __init__(self, source: str, pace: float) -> None:
        super().__init__()
        self.source = source
        self.pace = pace

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the same trigger again in another process."""
        return f"{__name__}.NewsTrigger", {"source": self.source, "pace": self.pace}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, when it is worth a worker."""
        pause, was_wrong = self.pace, False
        while True:
            try:
                if await self._asked():
                    break
                pause, was_wrong = self.pace, False
            except Unavailable as err:
                pause = min(max(LONGEST, self.pace), 2 * pause)
                self.log.warning("%s: %s; asking again in %.0f s", err.code, err.message, pause)
            except YizhanError as err:
                self.log.error("%s: %s", err.code, err.message)
                if was_wrong:
                    break
                pause, was_wrong = max(A_WHILE, self.pace), True
            await asyncio.sleep(pause)
        yield TriggerEvent(self.source)

    async def _asked(self) -> bool:
        return await asyncio.get_running_loop().run_in_executor(ASKING, _ask, self.source)


def _ask(source: str) -> bool:
    from exchange.libraries.news import has_news
    from exchange.settings import Settings

    with duty():
        return has_news(Settings.load(), source)


class Land(BaseOperator):  # type: ignore[misc]  # Airflow's types are skipped
    """Wait until `source` has news, asked every `pace`, then keep its next window."""

    start_from_trigger = True

    def __init__(self, *, source: str, pace: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.pace = pace.total_seconds()
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{__name__}.NewsTrigger",
            trigger_kwargs={"source": source, "pace": self.pace},
            next_method="land",
        )

    def execute(self, context: Any) -> None:
        """Where no scheduler starts the trigger by itself, as in `dag.test()`."""
        self.defer(trigger=NewsTrigger(self.source, self.pace), method_name="land")

    def land(self, context: Any, event: Any = None) -> list[int]:
        """The batch that was landed; none when a held one is in the way or the news is gone."""
        from exchange.libraries import journey
        from exchange.settings import Settings

        with duty():
            batch = journey.land(Settings.load(), self.source)
        return [] if batch is None else [batch]
