"""`yizhan verify` and `yizhan license`, with real licenses of a real vault."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from exchange.app import create_app
from exchange.cli import mounted
from exchange.settings import Settings
from schemas.errors import NotFound, WrongState
from schemas.license import Form
from tests.license_vault.office import SignerProcess
from tests.license_vault.verify.city import City


class TestVerify:
    def run(self, standing: City, *arguments: str | Path) -> Result:
        return CliRunner().invoke(mounted("verify"), [str(each) for each in arguments])

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

    def test_online(self, standing: City, files: dict[str, Path]) -> None:
        """The status is asked of the hub that the bundle names."""
        with listening(standing.office.settings):
            done = self.run(standing, "verify", "--trust", files["trust.json"], files["house.pdf"])

        assert 0 == done.exit_code, done.output


class TestLicense:
    @pytest.fixture(autouse=True)
    def here(self, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command's home is this city's."""
        monkeypatch.setattr(Settings, "load", lambda: city.office.settings)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(
            mounted("license"), ["license", *arguments], env={"COLUMNS": "200"}
        )

    def test_list_names_no_holder(self, city: City) -> None:
        """Identifiers, types and states."""
        done = self.run("list", "--status", "valid")

        assert 0 == done.exit_code, done.output
        assert city.house.id in done.output
        assert "应" not in done.output

    def test_show_and_save(self, city: City, tmp_path: Path) -> None:
        """The state, the log entries, and the files, which verify as they were handed out."""
        done = self.run("show", city.house.id, "--save", str(tmp_path / "saved"))

        assert 0 == done.exit_code, done.output
        assert "issue at" in done.output
        saved = {each.name for each in (tmp_path / "saved").iterdir()}
        names = {"license.pdf", "license.sd-jwt", "record.json", "license.pdf.tlog-proof"}
        assert names == saved
        assert "VALID" == city.judged((tmp_path / "saved" / "license.pdf").read_bytes())["verdict"]

    def test_suspend_restore_revoke(self, city: City) -> None:
        """Each is seen by the next verification."""
        pdf = city.file(city.house, Form.PDF)
        seen = []
        for deed in ("suspend", "restore", "revoke"):
            done = self.run(deed, city.house.id, "--reason", "test")
            assert 0 == done.exit_code, done.output
            seen.append(city.judged(pdf)["reason"])

        assert ["suspended", "proved", "revoked"] == seen

    def test_there_is_no_way_back_from_revoked(self, city: City) -> None:
        """The table of moves says so, and nothing is changed."""
        self.run("revoke", city.house.id, "--reason", "test")

        done = self.run("restore", city.house.id, "--reason", "test")

        assert isinstance(done.exception, WrongState)

    def test_no_such_license(self, city: City) -> None:
        """An error of ours, not a traceback."""
        assert isinstance(self.run("show", "1.2.3").exception, NotFound)


@contextmanager
def listening(settings: Settings) -> Iterator[None]:
    """The hub, served at the address that its licenses name."""
    port = int(settings.public_url.rpartition(":")[2])
    signer = SignerProcess(settings).client("hub")
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, signer), port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        signer.close()
