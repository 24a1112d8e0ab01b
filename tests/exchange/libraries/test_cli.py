"""`yizhan library …`: what an engineer types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.cli import library
from exchange.libraries.batches import Held
from exchange.settings import Settings
from tests.exchange.libraries.conftest import ADA, BEN, City, resident


@pytest.fixture
def engineer(city_of: City, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type a command; get what it printed."""
    monkeypatch.setattr(Settings, "load", lambda: city_of.settings)

    def types(*words: str, stdin: str = "", status: int = 0) -> str:
        result = CliRunner().invoke(library.app, words, input=stdin, catch_exceptions=False)
        assert status == result.exit_code, result.output
        return result.stdout

    return types


class TestCommands:
    def test_run_list_show_replay_reconcile(self, city_of: City, engineer: Any) -> None:
        """A batch's life without a scheduler, for people and for programs."""
        city_of["residents"].sends("1", [resident(ADA), resident(ADA), resident(BEN)])

        ran = json.loads(engineer("run", "residents", "--json"))
        assert ("published", 2, 1) == (
            ran["state"],
            ran["counts"]["inserted"],
            ran["counts"]["duplicate"],
        )
        assert "nothing new" in engineer("run", "residents")
        (listed,) = json.loads(engineer("list", "--json"))
        assert 1 == listed["id"]
        assert "residents" in engineer("list")
        assert {} == json.loads(engineer("show", "1", "--json"))["quarantine"]
        assert 0 == json.loads(engineer("replay", "1", "--json"))["counts"]["inserted"]
        assert "adds up" in engineer("reconcile", "1")

    def test_a_held_batch_is_looked_at_and_released(self, city_of: City, engineer: Any) -> None:
        """Reasons first; rows only when asked for; then a decision with a name and a reason."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, XBDM="?")])
        with pytest.raises(Held):
            engineer("run", "residents")

        looked = engineer("quarantine", "1")
        assert "sex:unknown-code" in looked
        assert BEN not in looked
        assert BEN in engineer("quarantine", "1", "--rows", "5", "--json")
        released = engineer("release", "1", "--reason", "样本", "--by", "李", "--json")
        assert "published" == json.loads(released)["state"]

    def test_as_of_reads_the_key_from_standard_input(self, city_of: City, engineer: Any) -> None:
        """A number on the command line would be seen by every user of the machine."""
        city_of["residents"].sends("1", [resident(ADA, "某人")])
        engineer("run", "residents")

        moment = "2100-01-01T00:00:00+08:00"
        assert (
            "某人"
            == json.loads(engineer("as-of", "population.resident", moment, stdin=f"{ADA}\n"))[
                "name"
            ]
        )
        engineer("as-of", "population.resident", moment, stdin=f"{BEN}\n", status=1)
