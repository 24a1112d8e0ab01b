"""A second opinion on our contracts: `datacontract lint`, the tool that other teams read them with.

It lives in an environment of its own (`requirements/datacontract.txt`), for the product needs
nothing of it. `YIZHAN_DATACONTRACT` names a `datacontract` that is there already; without it one is
built, which needs a package index the first time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from schemas.contract_files import FOLDER

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "datacontract.txt"
CONTRACTS = sorted(Path(str(FOLDER)).rglob("*.yaml"))
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
UNREACHABLE = ("error sending request", "dns error", "Network connectivity is disabled")

# One process for all of them: starting the tool takes longer than what it does.
LINT = """
import json, sys
from datacontract.data_contract import DataContract

def findings(file):
    checks = DataContract(data_contract_file=file, all_errors=True).lint().checks
    return [f"{each.result.value}: {each.reason}" for each in checks if each.result != "passed"]

print(json.dumps({file: findings(file) for file in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def datacontract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's command, which has its Python beside it."""
    given = os.environ.get("YIZHAN_DATACONTRACT")
    if given:
        return Path(given)
    place = tmp_path_factory.mktemp("datacontract") / "venv"
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
    _run([*uv, "venv", "--python", sys.executable, str(place)])
    python = str(place / "bin" / "python")
    _run([*uv, "pip", "install", "--python", python, "--require-hashes", "-r", str(LOCK)])
    return place / "bin" / "datacontract"


def _run(command: list[str]) -> None:
    own = {"UV_SYSTEM_CERTS": "true"} if any(Path(each).exists() for each in CERTIFICATES) else {}
    done = subprocess.run(command, env={**own, **os.environ}, capture_output=True, text=True)
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip(
            "no package index can be reached, and YIZHAN_DATACONTRACT names no datacontract"
        )
    assert 0 == done.returncode, done.stderr


@pytest.fixture(scope="module")
def findings(datacontract: Path) -> Mapping[str, list[str]]:
    """What the tool says of every contract, by file."""
    return lint(datacontract, *CONTRACTS)


def lint(datacontract: Path, *files: Path) -> Mapping[str, list[str]]:
    command = [str(datacontract.with_name("python")), "-c", LINT, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    found: Mapping[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


class TestLint:
    @pytest.mark.parametrize("file", CONTRACTS, ids=lambda file: f"{file.parent.name}.{file.stem}")
    def test_finds_nothing_in_our_contracts(
        self, file: Path, findings: Mapping[str, list[str]]
    ) -> None:
        """Every contract is one that other tools can read."""
        assert [] == findings[str(file)]

    def test_the_command_says_the_same(self, datacontract: Path) -> None:
        """As a person would ask it."""
        done = subprocess.run([str(datacontract), "lint", str(CONTRACTS[0])], capture_output=True)

        assert 0 == done.returncode

    def test_finds_a_broken_one(self, datacontract: Path, tmp_path: Path) -> None:
        """The judge can say no."""
        broken = yaml.safe_load(CONTRACTS[0].read_text("utf-8"))
        broken["schema"][0]["quality"][0]["dimension"] = "beauty"
        file = tmp_path / "broken.yaml"
        file.write_text(yaml.safe_dump(broken, allow_unicode=True))

        (said,) = lint(datacontract, file)[str(file)]

        assert "beauty" in said
