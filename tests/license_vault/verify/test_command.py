"""`yizhan verify` and `yizhan license`, with real licenses of a real vault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from exchange.cli import app as command
from schemas.license import Form
from tests.license_vault.verify.city import City


class TestVerify:
    def run(self, standing: City, *arguments: str | Path) -> Result:
        return CliRunner().invoke(command, [str(each) for each in arguments])

    @pytest.fixture
    def files(self, standing: City, tmp_path: Path) -> dict[str, Path]:
        """Two licenses, a proof beside one of them, a spoiled one and a trust bundle."""
        house, business = (
            standing.file(each, Form.PDF) for each in (standing.house, standing.business)
        )
        made = {
            "house.pdf": house,
            "house.pdf.tlog-proof": standing.file(standing.house, Form.PROOF),
            "business.pdf": business,
            "spoiled.pdf": house + b"\n",
            "trust.json": standing.hub.get("/trust").content,
        }
        for name, content in made.items():
            (tmp_path / name).write_bytes(content)
        return {name: tmp_path / name for name in made}

    def test_all_valid_is_zero(self, standing: City, files: dict[str, Path]) -> None:
        """Offline, with a bundle and a proof."""
        asked = ("verify", "--offline", "--trust", files["trust.json"])

        done = self.run(standing, *asked, files["house.pdf"], files["business.pdf"])

        assert 0 == done.exit_code, done.output
        assert 2 == done.output.count("VALID")
        assert "entry 1 of 2" in done.output

    def test_one_that_is_not_is_one(self, standing: City, files: dict[str, Path]) -> None:
        """One bad file among good ones decides the exit status."""
        asked = ("verify", "--offline", "--json", "--trust", files["trust.json"])

        done = self.run(standing, *asked, files["house.pdf"], files["spoiled.pdf"])

        assert 1 == done.exit_code
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert ["VALID", "INVALID"] == [each["verdict"] for each in told]

    def test_usage_is_two(self, standing: City, files: dict[str, Path]) -> None:
        """A file that is not there, a bundle that is none, no file at all."""
        trust = files["trust.json"]
        for asked in (
            ("--trust", trust, "nowhere.pdf"),
            ("--trust", files["house.pdf"], files["house.pdf"]),
            (),
        ):
            assert 2 == self.run(standing, "verify", "--offline", *asked).exit_code

    def test_a_hub_that_is_down(self, standing: City, files: dict[str, Path]) -> None:
        """Online is the default; nobody listens at this test's address, and it says so."""
        done = self.run(standing, "verify", "--trust", files["trust.json"], files["house.pdf"])

        assert 1 == done.exit_code
        assert "status-unavailable" in done.output
