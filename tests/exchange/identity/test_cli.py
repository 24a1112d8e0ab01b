"""`yizhan identity …`: what a person who decides types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.cli import identity
from exchange.database import Role
from exchange.identity import review
from exchange.identity.review import Pair
from exchange.settings import Settings
from schemas.errors import Invalid, WrongState
from tests.exchange.identity.conftest import number

ADA, BEN = number(2), number(4)
WHY = ("--by", "李科长", "--reason", "经核实")


@pytest.fixture
def clerk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type a command; get what it printed."""
    monkeypatch.setattr(Settings, "load", lambda: settings)

    def types(*words: str, stdin: str = "") -> str:
        result = CliRunner().invoke(identity.app, words, input=stdin, catch_exceptions=False)
        assert 0 == result.exit_code, result.output
        return result.stdout

    return types


class TestCommands:
    def test_merge_look_unmerge(self, clerk: Any) -> None:
        """Numbers by standard input; what was decided is shown with who and why."""
        assert "merge" in clerk("merge", *WHY, stdin=f"{BEN}\n{ADA}\n")
        told = json.loads(clerk("aliases", "--json", stdin=BEN))
        assert (ADA, 1, ["merge"]) == (
            told["subject"],
            len(told["through"]),
            [each["deed"] for each in told["decisions"]],
        )
        merged_at = told["decisions"][0]["at"]

        clerk("unmerge", *WHY, stdin=BEN)

        assert f"stands for {BEN}" in clerk("aliases", stdin=BEN)
        assert (
            ADA
            == json.loads(clerk("aliases", "--at", _after(merged_at), "--json", stdin=BEN))[
                "subject"
            ]
        )

    def test_a_proposal_is_shown_without_its_numbers(self, clerk: Any, settings: Settings) -> None:
        """They are printed when asked for; judging needs only the proposal's own number."""
        first, second = self._proposed(settings)
        shown = clerk("review", "--json")
        assert ADA not in shown
        assert BEN not in shown
        assert "name: same" in clerk("review")
        assert BEN in clerk("review", "--numbers", "--json")

        clerk("confirm", str(first), *WHY)
        clerk("reject", str(second), *WHY)

        assert [] == json.loads(clerk("review", "--json"))
        assert [second] == [
            each["id"] for each in json.loads(clerk("review", "--state", "rejected", "--json"))
        ]
        assert ADA == json.loads(clerk("aliases", "--json", stdin=BEN))["subject"]
        with pytest.raises(WrongState):
            clerk("reject", str(first), *WHY)

    def _proposed(self, settings: Settings) -> tuple[int, int]:
        pairs = [
            Pair("resident", BEN, ADA, 0.99, {"name": "same"}),
            Pair("resident", number(6), number(8), 0.95, {"name": "same"}),
        ]
        with settings.database.connect(Role.INGEST) as conn:
            review.propose(conn, "residents", pairs)
            conn.commit()
            first, second = review.waiting(conn)
        return first.id, second.id

    def test_linking_an_empty_library(self, clerk: Any) -> None:
        """There is nobody, and that is no error."""
        found = json.loads(clerk("link", "--json"))

        assert [("residents", 0, 0, 0), ("holders", 0, 0, 0)] == [
            tuple(each.values()) for each in found
        ]

    def test_half_a_pair(self, clerk: Any) -> None:
        """What is missing is said, and no number repeated."""
        with pytest.raises(Invalid, match="must hold 2 numbers"):
            clerk("merge", *WHY, stdin=BEN)


def _after(moment: str) -> str:
    """A moment just after, when the alias of that decision had been made."""
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(moment) + timedelta(milliseconds=20)).isoformat()
