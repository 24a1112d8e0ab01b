"""A person whom everybody handled is nowhere but where a person may stand.

After the whole demo, a sale and many calls that fail, two seeded canaries, the seller and the buyer
are looked for everywhere else: logs, paths, error bodies, metrics, Airflow's own database, our
tables that hold no persons, command lines. Each way of looking must find a leak that is planted.

Left out: the tables that are there to hold persons, and the departments' own systems with the truth
about them. Landed files are looked through as they lie, encrypted.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from urllib.parse import quote

import httpx
import psycopg
import pytest

from connectors.client import Client
from connectors.testkit.city.truth import Person
from exchange.database import Role
from exchange.demo import chapters
from exchange.demo.clients import HALL, OWN_LOG, RESTAURANT, TAX, TAX_CHECK, WINDOW
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.roles import AIRFLOW
from exchange.settings import AIRFLOW_DATABASE
from schemas.contract import all_contracts
from tests.exchange.hubs import raw
from tests.journeys import leaks
from tests.journeys.leaks import Leak, Needles

RESIDENT = "/v1/resources/population.resident/query"
# Tables whose purpose is to hold persons (their contracts say so), and the sealed documents.
LIBRARIES = frozenset(
    f"library.{contract.table}{kind}"
    for contract in all_contracts()
    if any(field.classification in ("S3", "S4") for field in contract.fields)
    for kind in ("", "_history")
)
HOLDERS = LIBRARIES | {
    "library.alias",
    "library.canonical",
    "library.link_candidate",
    "vault.license",
    "vault.license_holder",
    "vault.sealing",
    "vault.file",
}


@pytest.fixture(scope="module")
def people(demo: Demo) -> dict[str, Person]:
    """Who is looked for."""
    cast = demo.departments.truth.cast
    sound, refused = cast.canaries
    return {"canary": sound, "refused canary": refused, "owner": cast.owner, "buyer": cast.buyer}


@pytest.fixture(scope="module")
def wanted(people: dict[str, Person]) -> Needles:
    """Every spelling of them."""
    return leaks.needles(people)


@pytest.fixture(scope="module")
def aftermath(
    demo: Demo, sold: Story, people: dict[str, Person], wanted: Needles
) -> tuple[list[httpx.Response], set[Leak]]:
    """Answers to failing calls about everybody, and whom command lines named meanwhile."""
    with leaks.watching_processes(wanted) as seen:
        answers = [answer for person in people.values() for answer in _failing(demo, person)]
        for person in people.values():
            _blunder(demo, person)
    return answers, seen


@pytest.fixture(scope="module")
def refused(aftermath: tuple[list[httpx.Response], set[Leak]]) -> list[httpx.Response]:
    """Answers to calls that fail, each with a person in it, after everything else happened."""
    return aftermath[0]


def _blunder(demo: Demo, person: Person) -> None:
    """What an administrator mistypes, in the database's own words a repetition of the row."""
    number = person.resident_id
    again = "INSERT INTO library.population_resident SELECT * FROM library.population_resident"
    for statement in (f"{again} WHERE resident_id = '{number}'", f"SELECT '{number}' FROM nowhere"):
        with (
            demo.settings.database.connect(Role.OWNER, autocommit=True) as owner,
            contextlib.suppress(psycopg.Error),
        ):
            owner.execute(statement.encode())


def _failing(demo: Demo, person: Person) -> Iterator[httpx.Response]:
    number = person.resident_id
    with chapters.client(demo, TAX) as tax:
        yield from _bad_questions(tax, person)
    with chapters.client(demo, WINDOW) as window:
        subject = {"type": "cn.person", "id": number}
        body = {"subject": subject, "authority": asdict(OWN_LOG)}
        yield window.request("POST", "/v1/subjects/accesses", body)
    with chapters.client(demo, HALL) as hall:
        case = {
            "bundle": "no-such-bundle",
            "subject": {"self": {"type": chapters.PERSON, "id": number}},
            "authority": {**asdict(RESTAURANT), "case": number},
            "answers": {person.name: number},
        }
        for key in (number, "WIN-1"):
            yield hall.request("POST", "/v1/resolutions", case, {"Idempotency-Key": key})
    yield from _bad_addresses(demo.settings.public_url, person)


def _bad_questions(tax: Client, person: Person) -> Iterator[httpx.Response]:
    number = person.resident_id
    subject = {"type": chapters.PERSON, "id": number}
    good = {"subject": subject, "fields": ["name"], "authority": asdict(TAX_CHECK)}
    spellings = (number.lower(), number[:6] + number[8:17], number[:-1] + "*", person.name)
    bodies: list[dict[str, object]] = [
        {**good, "fields": [number]},
        {**good, "fields": ["phone"]},
        {**good, person.name: person.phone},
        {**good, "subject": number},
        {**good, "authority": asdict(replace(TAX_CHECK, purpose="marketing"))},
        {**good, "authority": {**asdict(TAX_CHECK), "officer": number}},
        {**good, "subject": {"type": number, "id": number}},
    ]
    bodies += [{**good, "subject": {"type": chapters.PERSON, "id": id}} for id in spellings]
    for body in bodies:
        yield tax.request("POST", RESIDENT, body)
    yield raw(tax, RESIDENT, f'{{"subject": "{number}", "{person.name}'.encode())
    yield raw(tax, RESIDENT, f"{number}".encode("utf-16"))
    yield raw(tax, RESIDENT, number.encode() * 20_000)


def _bad_addresses(url: str, person: Person) -> Iterator[httpx.Response]:
    number, name = person.resident_id, quote(person.name)
    with httpx.Client(base_url=url, timeout=30) as http:
        yield http.get(f"/v1/resources/{number}/query")
        yield http.get(f"/q/{number}?d={name}")
        yield http.get(f"/{name}/{number}", headers={"User-Agent": number})
        yield http.get(f"/v1/ledger/receipts/{number}/proof")
        yield http.get(f"/v1/resolutions/{number}", headers={"Authorization": f"DPoP {number}"})
        yield http.get(f"/status/{number}")
        yield http.get(f"/log/tile/{number}")
        yield http.get(f"/static/{number}")
        yield http.post("/v1/token", data={"client_id": number, "client_assertion": person.name})
        yield http.post(f"/v1/resources/{number}/query", content=number.encode())
        file = (f"{person.name}.pdf", f"%PDF-1.7 {number}".encode(), "application/pdf")
        yield http.post("/verify", files={"file": file})
        yield http.post("/v1/verifications", files={person.phone: file})


class TestAnswers:
    def test_no_error_names_anybody(self, refused: list[httpx.Response], wanted: Needles) -> None:
        """Neither body nor header of a refusal repeats what was sent.

        Pages that show an uploader the name of their own file are no refusals.
        """
        found: list[Leak] = []
        errors = [answer for answer in refused if answer.is_error]
        for answer in errors:
            said = b"\n".join([*(b"%s: %s" % pair for pair in answer.headers.raw), answer.content])
            found += leaks.in_bytes(f"{answer.status_code} {answer.request.method}", said, wanted)

        assert [] == found
        assert all(answer.status_code < 500 for answer in errors)
        assert len(errors) > 80

    def test_no_metric_does(
        self, demo: Demo, refused: list[httpx.Response], wanted: Needles
    ) -> None:
        """Counts by route and status say how many, never who or where exactly."""
        metrics = httpx.get(f"{demo.settings.public_url}/metrics", timeout=60).content

        assert b"yizhan_calls_total" in metrics
        assert [] == list(leaks.in_bytes("/metrics", metrics, wanted))


class TestFiles:
    def test_none_holds_anybody_nor_is_named_after_them(
        self, demo: Demo, refused: list[httpx.Response], wanted: Needles
    ) -> None:
        """Every file below the home: logs of every process, tasks' logs, landed rows, the story."""
        assert [] == _in_home(demo, wanted)

    def test_landed_rows_are_encrypted(self, demo: Demo, sold: Story) -> None:
        """Not one can be read without the key: all begin as encrypted Parquet does."""
        landed = list(demo.settings.landing.rglob("*.parquet"))

        assert len(landed) > 4
        assert {b"PARE"} == {path.read_bytes()[:4] for path in landed}

    @pytest.mark.parametrize("spelling", ["text", "JSON escapes", "a part of a URL", "sha256"])
    def test_a_planted_line_is_found(self, demo: Demo, wanted: Needles, spelling: str) -> None:
        """One line in one log, in the words of another program."""
        held = wanted[f"canary: {'number' if spelling == 'sha256' else 'name'} as {spelling}"]
        path = demo.settings.home / "logs" / "planted.log"
        path.write_bytes(b"12:00:01 GET /" + held + b" 404\n")
        try:
            found = _in_home(demo, wanted)
        finally:
            path.unlink()

        assert {"logs/planted.log"} == {leak.place for leak in found}

    def test_a_planted_name_of_a_file_is_found(self, demo: Demo, wanted: Needles) -> None:
        """An empty file can give somebody away too."""
        path = demo.settings.landing / wanted["buyer: number as text"].decode()
        path.touch()
        try:
            found = _in_home(demo, wanted)
        finally:
            path.unlink()

        assert "buyer: number as text" in {leak.what for leak in found}


class TestDatabases:
    def test_airflow_knows_nobody(
        self, demo: Demo, refused: list[httpx.Response], wanted: Needles
    ) -> None:
        """Every table of its own: XComs, rendered fields, run configurations, events, logs."""
        with _airflow(demo) as conn:
            assert [] == list(leaks.in_database(conn, wanted))

    def test_ours_know_people_only_where_they_must(
        self, demo: Demo, refused: list[httpx.Response], wanted: Needles
    ) -> None:
        """The ledger, the batches, the quarantine, the cases: nothing of anybody in clear."""
        with demo.settings.database.connect(Role.OWNER) as conn:
            found = {leak.place for leak in leaks.in_database(conn, wanted)}

        assert found <= HOLDERS
        assert "library.population_resident" in found

    def test_a_planted_xcom_is_found(self, demo: Demo, wanted: Needles) -> None:
        """A task that hands a person's number to the next."""
        with _airflow(demo) as conn:
            conn.execute(
                "UPDATE xcom SET value = to_jsonb(%s::text) WHERE ctid ="
                " (SELECT ctid FROM xcom LIMIT 1)",
                (wanted["canary: number as text"].decode(),),
            )
            found = list(leaks.in_database(conn, wanted))
            conn.rollback()

        assert [Leak("public.xcom", "canary: number as text")] == found[:1]


class TestProcesses:
    def test_no_command_line_names_anybody(
        self, aftermath: tuple[list[httpx.Response], set[Leak]]
    ) -> None:
        """Whoever may list processes sees them, however short they live."""
        assert set() == aftermath[1]

    def test_a_planted_argument_is_found(self, wanted: Needles) -> None:
        """A program that is given a name as an argument."""
        name = wanted["owner: name as text"].decode()
        words = [sys.executable, "-c", "import sys; sys.stdin.read()", name]
        with (
            leaks.watching_processes(wanted) as seen,
            subprocess.Popen(words, stdin=subprocess.PIPE) as planted,
        ):
            time.sleep(0.5)

        assert Leak(f"the command line of {planted.pid}", "owner: name as text") in seen


def _in_home(demo: Demo, wanted: Needles) -> list[Leak]:
    home = demo.settings.home
    kept_apart = (home / "departments", home / "postgres" / "data")
    return list(leaks.in_files(home, wanted, apart_from=kept_apart))


@contextmanager
def _airflow(demo: Demo) -> Iterator[psycopg.Connection]:
    database = replace(demo.settings.database, name=AIRFLOW_DATABASE)
    with database.connect(AIRFLOW) as conn:
        yield conn
