"""kill -9 over whoever issues and over the signer: no license lost, none doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exchange.database import Role
from license_vault import issue
from schemas.license import Form
from tests.conftest import LONG
from tests.license_vault.office import Office

COUNT = 40
ROUNDS = 25 if LONG else 4


def child(guarded: Office, journal: Path) -> subprocess.Popen[bytes]:
    """A process that issues, one after the other."""
    arguments = [str(guarded.settings.home), guarded.place.public_url, str(journal), str(COUNT)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.license_vault.issue.issuing_child", *arguments],
        env={**os.environ, "VAULT_DSN": guarded.settings.database.dsn(Role.VAULT)},
        stderr=subprocess.DEVNULL,
    )


def wait_for_more(journal: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the journal grows, so that every round kills work that is under way."""
    before = journal.stat().st_size
    until = time.monotonic() + 60
    while journal.stat().st_size == before and process.poll() is None:
        assert time.monotonic() < until, "nothing is issued"
        time.sleep(0.01)


@pytest.mark.long
class TestKill:
    def test_every_key_is_one_whole_license_and_every_acknowledgement_is_kept(
        self, guarded: Office, tmp_path: Path
    ) -> None:
        """Random moments, the issuing process and the signer in turn; then one run to the end."""
        dice = random.Random(20261122)
        journal = tmp_path / "journal"
        journal.touch()
        for number in range(ROUNDS):
            process = child(guarded, journal)
            wait_for_more(journal, process)
            time.sleep(dice.random() * 0.3)
            if number % 2:
                guarded.process.kill()
                guarded.process.start()
                wait_for_more(journal, process)
            process.kill()
            process.wait()
        assert 0 == child(guarded, journal).wait(timeout=120)

        issue.resume(guarded.connect, guarded.signer, guarded.place)

        acknowledged = {tuple(line.split()) for line in journal.read_text().splitlines()}
        with guarded.connect() as conn:
            rows = conn.execute(
                "SELECT idempotency_key, license_id FROM vault.sealing WHERE state = 'finished'"
            ).fetchall()
        assert set(rows) == acknowledged
        assert COUNT == len(rows) == len({key for key, _ in rows})
        assert COUNT == guarded.one("SELECT count(*) FROM vault.log_entry WHERE event = 'issue'")
        assert COUNT - 1 == guarded.one('SELECT max("index") FROM vault.log_entry')
        assert COUNT * len(Form) == guarded.one("SELECT count(*) FROM vault.file")
        assert 0 == guarded.one(
            "SELECT count(*) FROM vault.sealing WHERE state IN ('reserved', 'sealed')"
        )
