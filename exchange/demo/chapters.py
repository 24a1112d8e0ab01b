"""The chapters of the demo: each lets something happen, then tells what was seen."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.client import CallRefused, Client
from connectors.intake import report
from connectors.testkit.city.truth import Person
from exchange.database import Role
from exchange.demo import checks, waiting
from exchange.demo.clients import HALL, OWN_LOG, RESTAURANT, TAX, TAX_CHECK, WINDOW, credentials
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.trust import ask_hub, trust_of
from license_vault import change, store
from license_vault.verify import Report, verify
from schemas.errors import Unavailable
from schemas.grant import Authority, Subject
from schemas.license import Form

OWNERSHIP = checks.OWNERSHIP
SOURCES = ("residents", "registrations", "units", "rights")
PERSON = "cn.resident_id"
# Each type is issued in a run of its own; the time between two runs is Airflow's.
RATE = """
SELECT sum(licenses)::float / sum(seconds)::float FROM (
    SELECT count(*) AS licenses, extract(epoch FROM max(settled_at) - min(reserved_at)) AS seconds
    FROM vault.sealing WHERE state = 'finished' GROUP BY type_code) AS runs
"""


def collected(demo: Demo, story: Story) -> None:
    """Airflow pulls what the departments hold; the libraries equal the truth."""
    truth = demo.departments.truth
    story.chapter("各部门的数据进入共享库 · Airflow pulls what the departments hold")
    settings = demo.settings
    with story.working("collecting …") as status:
        waiting.wait_until(
            lambda: waiting.libraries(settings), status.update, seconds=480, what="loading"
        )
    with settings.database.connect(Role.OWNER) as owner:
        findings = list(checks.against_truth(owner, truth))
        story.tell("\n".join(finding.line for finding in findings if finding.true))
        for finding in findings:
            if not finding.true:
                story.check(False, finding.line)
        equal = sum(finding.true for finding in findings)
        story.check(
            equal == len(findings),
            f"{equal} of {len(findings)} libraries equal the truth, to the row: "
            f"{len(truth.datasets)} collected, {len(truth.built)} built from them",
        )
        met = checks.loaded(owner, "real_estate.right").notices
        story.check(
            met.get("http_429", 0) > 0 and met.get("http_503", 0) > 0,
            f"the real-estate API answered 429 {met.get('http_429', 0)} times and 503 "
            f"{met.get('http_503', 0)} times, and every row arrived",
        )
    _ran_by_airflow(demo, story)


def _ran_by_airflow(demo: Demo, story: Story) -> None:
    """Airflow itself says who ran what; its runs end a moment after their rows are published."""
    api = demo.airflow.api()
    findings: list[checks.Finding] = []

    def settled() -> waiting.Progress:
        findings[:] = checks.of_airflow(api, SOURCES)
        return all(finding.true for finding in findings), "Airflow's runs are ending"

    with story.working("asking Airflow …") as status, contextlib.suppress(Unavailable):
        waiting.wait_until(settled, status.update, seconds=60, what="the end of Airflow's runs")
    for finding in findings:
        story.check(finding.true, finding.line)


def sealed(demo: Demo, story: Story, limit: int) -> None:
    """Licenses are sealed for those who may have one."""
    story.chapter("电子证照 · Licenses are sealed")
    truth = demo.departments.truth
    wanted = min(-(-limit // 2), len(truth.licensable["business_license"])) + min(
        limit // 2, len(truth.licensable["real_estate_certificate"])
    )
    with story.working("sealing …") as status:
        waiting.wait_until(
            lambda: waiting.licenses(demo.settings, wanted),
            status.update,
            seconds=300,
            what="sealing",
        )
    with demo.settings.database.connect(Role.OWNER) as owner:
        for finding in checks.licenses_against_truth(owner, truth, limit):
            story.check(finding.true, finding.line)
        row = owner.execute(RATE).fetchone()
    assert row is not None
    story.tell(f"{row[0]:.1f} licenses a second, each a PDF, a credential and a log entry")


def asked(demo: Demo, story: Story) -> None:
    """One query is answered; the same client is refused what it was not granted."""
    story.chapter("一次有据可查的调用 · One call answered, one refused")
    owner = demo.departments.truth.cast.owner
    with client(demo, TAX) as tax:
        told = tax.query(
            OWNERSHIP, Subject(PERSON, owner.resident_id), ["area_m2", "holder_name"], TAX_CHECK
        )
        area, name = told["values"]["area_m2"], told["values"]["holder_name"]
        story.tell(
            f"the tax office asked what one person owns: {_first(area['value'])} m², owner "
            f"{_first(name['value'])} (masked), held by {area['source']} as of {area['as_of']}"
        )
        story.tell(f"receipt {told['receipt']}: it was durable before the answer left")
        curious = Authority(**{**_members(TAX_CHECK), "purpose": "marketing"})
        story.check(
            _refused(tax, owner, curious) == "purpose-outside-grant",
            "the same question for marketing was refused: purpose-outside-grant, and recorded",
        )


def resolved(demo: Demo, story: Story) -> None:
    """The owner opens a restaurant in a shop of their own."""
    story.chapter("我要开餐馆 · A restaurant: what the applicant need not bring")
    cast = demo.departments.truth.cast
    told = resolve(demo, cast.owner, cast.owner_entity, cast.unit_no, case=RESTAURANT.case)
    story.tell(report.render(told))
    story.check(
        told["savings"]["supplied_by_hub"] > 0, "materials the government holds were not asked for"
    )


def verified(demo: Demo, story: Story) -> None:
    """A license is verified, revoked, and refused from then on."""
    story.chapter("查验与吊销 · A license verified, then revoked, then refused")
    with demo.settings.database.connect(Role.VAULT) as vault:
        row = vault.execute(
            "SELECT id FROM vault.license WHERE type_name = '营业执照' AND status = 'valid' "
            "ORDER BY subject_id DESC LIMIT 1"
        ).fetchone()
        assert row is not None
        pdf = store.file(vault, row[0], Form.PDF)
        before = judged(demo, pdf)
        story.check(before.verdict == "VALID", f"{row[0]}: {before.verdict}")
        if opinion := pdfsig(pdf):
            story.tell(f"pdfsig says: {opinion}")
        change.revoke(vault, row[0], reason="demo: entity dissolved", by="demo officer")
        vault.commit()
    after = judged(demo, pdf)
    story.check(
        after.verdict == "INVALID", f"revoked: {after.verdict}, {after.reason}: {after.why.en}"
    )
    if opinion := pdfsig(pdf):
        story.tell(f"pdfsig still says: {opinion} (it knows the seal, not the license)")


def resolve(demo: Demo, person: Person, entity: str, unit_no: str, *, case: str) -> dict[str, Any]:
    """One call of the service hall: what must this applicant still bring to open a restaurant?"""
    asked = {
        "bundle": RESTAURANT.item,
        "channel": "hall",
        "subject": {
            "self": {"type": PERSON, "id": person.resident_id},
            "entity": {"type": "cn.uscc", "id": entity},
        },
        "authority": {**_members(RESTAURANT), "case": case},
        "answers": {
            "premises": {"unit_no": unit_no, "tenure": "own", "floor_area_m2": 180},
            "investment_yuan": 400000,
            "public_drain": True,
        },
    }
    with client(demo, HALL) as hall:
        key = {"Idempotency-Key": f"{case}-{datetime.now(UTC):%H%M%S%f}"}
        return hall.post("/v1/resolutions", asked, key)


def accesses(demo: Demo, person: Person) -> list[dict[str, Any]]:
    """A citizen's own log: who looked, when, why, under which law."""
    with client(demo, WINDOW) as window:
        told = window.accesses(Subject(PERSON, person.resident_id), OWN_LOG)
    return list(told["accesses"])


def client(demo: Demo, name: str) -> Client:
    """A client system of the demo."""
    return Client.open(credentials(demo.settings.home, name))


def judged(demo: Demo, pdf: bytes) -> Report:
    """The verdict of our verifier, asking the hub for the status of now."""
    return verify(pdf, trust_of(demo.settings), datetime.now(UTC), ask_hub)


def pdfsig(pdf: bytes) -> str:
    """What poppler's pdfsig thinks of the seal; empty where it is not installed."""
    program = shutil.which("pdfsig")
    if program is None:
        return ""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        Path(file.name).write_bytes(pdf)
        said = subprocess.run(  # noqa: S603 - a program of the system, our own file
            [program, "-nocert", file.name], capture_output=True, text=True, check=False
        ).stdout
    wanted = ("Signature Validation", "Total document", "Not total document")
    return "; ".join(
        line.strip(" -") for line in said.splitlines() if line.strip(" -").startswith(wanted)
    )


def masked(person: Person) -> str:
    """A person's name as a page may show it."""
    return person.name[0] + "*" * (len(person.name) - 1)


def _refused(tax: Client, person: Person, authority: Authority) -> str:
    try:
        tax.query(OWNERSHIP, Subject(PERSON, person.resident_id), ["area_m2"], authority)
    except CallRefused as err:
        return err.rule or ""
    return ""


def _members(authority: Authority) -> dict[str, str]:
    names = ("purpose", "basis", "item", "case", "officer")
    return {name: getattr(authority, name) for name in names}


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value
