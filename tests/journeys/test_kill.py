"""kill -9 under load, again and again: nothing acknowledged is lost, nothing happens twice.

Clients in processes of their own write down what the product acknowledged, while the hub, the
signer, PostgreSQL, Airflow's scheduler and its tasks are killed at random moments. Then everything
settles by itself, and an oracle compares. YIZHAN_KILL_SEED repeats the order and the delays of an
earlier run; the moments themselves are the machine's.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from exchange.database import Role
from exchange.demo.running import Demo
from exchange.ledger import checkpoints
from exchange.settings import Settings
from license_vault.record import log_origin
from schemas import checkpoint
from tests.conftest import LONG
from tests.journeys import journal, killing, settling
from tests.journeys.killing import Target
from tests.journeys.oracle import evidence, libraries, vault
from tests.journeys.size import LICENSES

ROUNDS = 50 if LONG else 8


@pytest.fixture
def hurt(demo: Demo) -> Demo:
    """The shared demo at rest; this is its last test, so what is done to it is done to nobody."""
    settling.wait(demo, LICENSES)
    return demo


class TestKill:
    @pytest.mark.long
    @pytest.mark.timeout(3000 if LONG else 600)
    def test_nothing_is_lost_and_nothing_happens_twice(self, hurt: Demo, tmp_path: Path) -> None:
        """Whatever is killed at whatever moment, what was acknowledged is there, and once."""
        dice = _dice()
        journals = tmp_path / "journals"
        journals.mkdir()
        with hurt.settings.database.connect(Role.OWNER) as owner:
            refused = {
                book.dataset: book.absent(owner) for book in libraries.books(hurt.departments)
            }
            last = libraries.last_batch(owner)

        played = Counter[Target]()
        with killing.under_load(hurt.settings.home, journals):
            for target in killing.plan(ROUNDS, dice):
                print(killing.play(hurt, target, dice), flush=True)
                played[target] += 1
        settling.wait(hurt, LICENSES)

        said = {name: journal.read(journals / name) for name in killing.CLIENTS}
        print({name: len(lines) for name, lines in said.items()})
        assert [] == list(_findings(hurt, said, refused, last))
        assert min(len(lines) for lines in said.values()) > ROUNDS
        assert set(Target) == set(played)
        assert min(played.values()) >= ROUNDS // len(Target)


def _findings(
    demo: Demo, said: dict[str, list[str]], refused: dict[str, set[str]], last: int
) -> Iterator[str]:
    settings = demo.settings
    origins = checkpoints.origin(settings.public_url), log_origin(settings.public_url)
    ledger_key, log_key = (checkpoint.vkey(each, _public_key(settings)) for each in origins)
    with settings.database.connect(Role.OWNER, autocommit=True) as owner:
        yield from evidence.receipts(owner, said["queries"])
        yield from evidence.ledger(owner, origins[0], ledger_key)
        yield from vault.licenses(owner, said["licenses-1"] + said["licenses-2"])
        yield from vault.vault(owner)
        yield from vault.log(owner, origins[1], log_key)
        yield from vault.documents(owner, settings)
        for book in libraries.books(demo.departments):
            yield from book.compared(owner, refused[book.dataset])
        yield from libraries.history(owner)
        yield from libraries.ownership(owner)
        yield from libraries.batches(owner, after=last)
        yield from libraries.sales(owner, said["sales"])
        yield from libraries.moves(owner, said["moves"])


def _public_key(settings: Settings) -> bytes:
    """The signer's key for signed heads, as it was exported for verifiers."""
    return bytes.fromhex((settings.trust / "log.ed25519").read_text().strip())


def _dice() -> Random:
    seed = int(os.environ.get("YIZHAN_KILL_SEED") or secrets.randbelow(1_000_000))
    print(f"YIZHAN_KILL_SEED={seed}")
    return Random(seed)
