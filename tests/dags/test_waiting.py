"""Waiting without a process: when the trigger fires, and what it does when a source is ill."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from schemas.errors import Invalid, Unavailable


class Source:
    """A source that answers what the test says, one answer after another, the last for ever."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = answers
        self.asked = 0

    def __call__(self, _: str) -> bool:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def waiting(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with a minute that takes a hundredth of a second."""
    from dags import waiting

    monkeypatch.setattr(waiting, "A_WHILE", 0.01)
    monkeypatch.setattr(waiting, "LONGEST", 0.02)
    return waiting


def fired(waiting: Any, source: Source, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trigger says within half a second."""
    monkeypatch.setattr(waiting, "_ask", source)

    async def events() -> list[Any]:
        said = list[Any]()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                said += [event.payload async for event in waiting.NewsTrigger("units", 0.005).run()]
        return said

    return asyncio.run(events())


class TestNewsTrigger:
    def test_fires_once_when_there_is_news(
        self, waiting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After as many questions as it took, with nothing but the source's name."""
        source = Source(False, False, True)

        assert ["units"] == fired(waiting, source, monkeypatch)
        assert 3 == source.asked

    def test_a_source_that_does_not_answer_is_waited_for(
        self, waiting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It fails nothing: it is asked again until it answers."""
        source = Source(*[Unavailable("down")] * 5, True)

        assert ["units"] == fired(waiting, source, monkeypatch)

    def test_what_is_wrong_twice_is_a_workers(
        self, waiting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once may be a file half-way there; twice fails where people look."""
        source = Source(Invalid("shifted columns"))

        assert ["units"] == fired(waiting, source, monkeypatch)
        assert 2 == source.asked

    def test_is_made_again_from_what_it_says(self, waiting: Any) -> None:
        """Another triggerer takes it over with the same arguments."""
        path, arguments = waiting.NewsTrigger("units", 15.0).serialize()

        assert "dags.waiting.NewsTrigger" == path
        assert {"source": "units", "pace": 15.0} == arguments
