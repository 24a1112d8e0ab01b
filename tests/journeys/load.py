"""Load for the kill rounds: clients in processes of their own, each with its journal.

    python -m tests.journeys.load queries|licenses|sales|moves --home HOME --journal FILE

A client survives whatever is killed around it, tries again and goes on until SIGTERM. A line goes
into its journal only after the product, or the department, acknowledged: what is in the journal
must be there at the end, and once. The fields of a line are parted by tabs.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import psycopg

from connectors.client import Client, ProblemAnswer
from connectors.testkit import city
from exchange.database import Role
from exchange.demo import departments
from exchange.demo.clients import TAX, TAX_CHECK, credentials
from exchange.issuance import CALLER, QR_KEY, due_requests
from exchange.settings import Settings
from license_vault import change, store, types
from license_vault.issue import Place, issue_all
from license_vault.record import Request
from license_vault.signer.client import SignerClient
from schemas.errors import Refused, Unavailable, WrongState, YizhanError
from schemas.grant import Subject
from schemas.license import Status
from tests.journeys.journal import Journal

PATIENCE = 180.0  # seconds until a client gives up: nothing here stays killed for so long
SURVIVED = (YizhanError, psycopg.Error, httpx.HTTPError, OSError)
PEOPLE = "SELECT resident_id, name FROM library.population_resident WHERE NOT deceased ORDER BY 1"
UNITS = """
SELECT unit_no FROM library.real_estate_registration_ownership
GROUP BY unit_no HAVING NOT bool_or(seized) ORDER BY unit_no
"""
NOBODY = ("11010519491231002X", "李建国")  # the example of GB 11643-1999
PROVED_OF = 20  # of so many calls one asks for its proof, and so for a signed head
REVOKED_OF = 4  # of so many licenses one is revoked again
AT_ONCE = 3  # licenses in a batch

Result = TypeVar("Result")


def queries(settings: Settings, journal: Journal, stop: threading.Event) -> None:
    """Ask about people; every receipt, of an answer or of a refusal, is an acknowledgement."""
    people = [person for person, _ in acknowledged(partial(_rows, settings, PEOPLE))] or [NOBODY[0]]
    with Client.open(credentials(settings.home, TAX)) as hub:
        for number in count():
            receipt = _asked(hub, people[number % len(people)])
            if receipt:
                journal.acknowledged(receipt)
            if receipt and number % PROVED_OF == 0:
                with suppress(*SURVIVED):
                    hub.get(f"/v1/ledger/receipts/{receipt}/proof")
            if stop.wait(0.03 if receipt else 0.1):
                return


def licenses(settings: Settings, journal: Journal, stop: threading.Event) -> None:
    """Issue under keys of our own, each until it is acknowledged; revoke some. Every client of
    this kind uses the same keys, so two of them ask for the same licenses at the same time."""
    requests = acknowledged(partial(_requests, settings))
    signer = SignerClient(settings.signer_socket, CALLER, settings.secret(f"signer-{CALLER}"))
    for start in count(step=AT_ONCE):
        if stop.wait(0.5):
            return
        wanted = [
            replace(requests[number % len(requests)], key=f"load/{number:06}")
            for number in range(start, start + AT_ONCE)
        ]
        issued = acknowledged(partial(_issued, settings, signer, wanted))
        for key, license_id in issued.items():
            journal.acknowledged(f"issued\t{key}\t{license_id}")
        for key in list(issued)[::REVOKED_OF]:
            acknowledged(partial(_revoke, settings, issued[key]))
            journal.acknowledged(f"revoked\t{key}\t{issued[key]}")


def sales(settings: Settings, journal: Journal, stop: threading.Event) -> None:
    """A clerk of the land registry enters sales; the buyers are drawn."""
    registry = departments.found(settings.home)
    units = [unit for (unit,) in acknowledged(partial(_rows, settings, UNITS))]
    people = acknowledged(partial(_rows, settings, PEOPLE))
    dice = Random(0)
    for number in count():
        if stop.wait(1.0):
            return
        unit, (buyer, name) = units[number % len(units)], dice.choice(people)
        with suppress(Refused):  # the buyer owns it already
            certificate = city.transfer(
                registry.estate_url,
                registry.access.clerk_token,
                unit,
                buyer,
                name,
                datetime.now(UTC),
            )
            journal.acknowledged(f"{unit}\t{buyer}\t{certificate}")


def moves(settings: Settings, journal: Journal, stop: threading.Event) -> None:
    """A clerk of the police enters new residences, one for each person."""
    police = departments.found(settings.home).police_dsn
    for number, (person, _) in enumerate(acknowledged(partial(_rows, settings, PEOPLE))):
        if stop.wait(0.8):
            return
        address = f"永康市新居路 {number} 号"
        if city.population.move(police, person, address=address, at=datetime.now(UTC)):
            journal.acknowledged(f"{person}\t{address}")
    stop.wait()


CLIENTS: Mapping[str, Callable[[Settings, Journal, threading.Event], None]] = {
    "queries": queries,
    "licenses": licenses,
    "sales": sales,
    "moves": moves,
}


def acknowledged(deed: Callable[[], Result]) -> Result:
    """Do it again until it is acknowledged. Raises what it met last when that never happens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return deed()
        except SURVIVED as err:
            if time.monotonic() > until:
                raise
            print(f"{datetime.now():%H:%M:%S} {type(err).__name__}: {err}", flush=True)
            time.sleep(0.1)


def _asked(hub: Client, person: str) -> str | None:
    try:
        fields = ["name", "sex", "household_division"]
        subject = Subject("cn.resident_id", person)
        answer: Mapping[str, Any] = hub.query("population.resident", subject, fields, TAX_CHECK)
    except ProblemAnswer as err:
        answer = getattr(err, "problem", {})
    return answer.get("receipt")


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with settings.database.connect(Role.OWNER) as owner:
        return owner.execute(query.encode()).fetchall()


def _requests(settings: Settings) -> list[Request]:
    """Requests that are good but for their keys: of entities that the demo gave no license."""
    with settings.database.connect(Role.VAULT) as vault:
        due = due_requests(vault, 1_000_000)
    return [each for each in due if each.type_code == types.BUSINESS_LICENSE]


def _issued(settings: Settings, signer: SignerClient, wanted: Sequence[Request]) -> dict[str, str]:
    """The license of each key, once all of them are acknowledged."""
    place = Place(settings.public_url, settings.secret(QR_KEY))
    outcome = issue_all(partial(settings.database.connect, Role.VAULT), signer, wanted, place)
    if outcome.not_issued:
        raise Unavailable(f"not issued: {outcome.not_issued}")
    of_number = {each.number: each.id for each in outcome.licenses}
    return {each.key: of_number[each.number] for each in wanted}


def _revoke(settings: Settings, license_id: str) -> None:
    with settings.database.connect(Role.VAULT) as vault:
        try:
            change.revoke(vault, license_id, reason="the kill rounds take it back", by="load")
        except WrongState:  # somebody did it before us: an attempt of our own, or the other client
            vault.rollback()
            if store.get(vault, license_id).status is not Status.REVOKED:
                raise


def main() -> None:
    """Run one client until SIGTERM; it leaves when what it began is acknowledged."""
    asked = argparse.ArgumentParser(prog="tests.journeys.load", description=__doc__)
    asked.add_argument("client", choices=CLIENTS)
    asked.add_argument("--home", type=Path, required=True)
    asked.add_argument("--journal", type=Path, required=True)
    told = asked.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    CLIENTS[told.client](Settings.load(told.home), Journal(told.journal), stop)


if __name__ == "__main__":
    main()
