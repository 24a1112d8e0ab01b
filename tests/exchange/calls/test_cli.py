"""`yizhan call`: the same call from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from connectors.client import Client, new_key, public_half
from exchange import clients
from exchange.cli.call import call
from schemas.errors import Invalid, NotFound
from tests.exchange.hubs import AUTHORITY, CLIENT_ID, LI, RESOURCE, RunningHub

APP = typer.Typer()
APP.command()(call)
WHY = [
    *("--purpose", AUTHORITY.purpose, "--basis", AUTHORITY.basis, "--item", AUTHORITY.item),
    *("--case", AUTHORITY.case, "--officer", AUTHORITY.officer),
]


@pytest.fixture
def file(hub: RunningHub, tmp_path: Path) -> Path:
    """A credentials file of a client with the usual grant."""
    key = new_key()
    with hub.owner() as conn:
        clients.register(conn, CLIENT_ID, "住建局", public_half(key))
    hub.give()
    path = tmp_path / "client.json"
    path.write_text(json.dumps({"base_url": hub.url, "client_id": CLIENT_ID, "private_jwk": key}))
    return path


def _arguments(file: Path, subject: str, *more: str) -> list[str]:
    return [RESOURCE, "--client", str(file), "--subject", subject, *more]


class TestCall:
    def test_the_number_comes_from_standard_input(self, file: Path) -> None:
        """So that it stands in no history and no list of processes; the answer is JSON."""
        said = CliRunner().invoke(
            APP,
            _arguments(file, "cn.resident_id:-", "--field", "name", *WHY),
            input=f"{LI.id}\n",
        )

        assert said.exit_code == 0
        assert json.loads(said.stdout)["values"]["name"]["value"] == "李建国"

    def test_show_shows_the_http(self, file: Path) -> None:
        """What was sent and to where; tokens and the assertion shortened."""
        said = CliRunner().invoke(
            APP,
            _arguments(file, f"{LI.type}:{LI.id}", "--claim", "name=李建国", "--show", *WHY),
        )

        assert json.loads(said.stdout)["verdicts"] == {"name": "match"}
        assert f"/v1/resources/{RESOURCE}/verify" in said.stderr
        assert "client_assertion=…" in said.stderr
        assert "dpop: eyJ" in said.stderr

    def test_a_refusal_is_shown_with_its_rule(self, file: Path) -> None:
        """The problem document on standard error, and a status of its own."""
        said = CliRunner().invoke(
            APP,
            _arguments(file, f"{LI.type}:{LI.id}", "--field", "phone", *WHY),
        )

        assert said.exit_code == 3
        assert json.loads(said.stderr)["rule"] == "field-outside-grant"


class TestCredentials:
    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        """A missing or broken credentials file is named."""
        broken = tmp_path / "broken.json"
        broken.write_text("{}")

        with pytest.raises(NotFound, match="no credentials file"):
            Client.open(tmp_path / "missing.json")
        with pytest.raises(Invalid, match=r"broken\.json"):
            Client.open(broken)
