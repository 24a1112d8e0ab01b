"""`yizhan demo sell-house`: a clerk enters a sale, and the change arrives everywhere by itself.

The only thing done to the world is the clerk's entry in the real-estate department's own system;
everything after it is watched: Airflow collects, the library keeps history, the old certificate is
superseded, the new one verifies, the buyer's case changes its answer, the seller sees who looked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.testkit import city
from connectors.testkit.city.truth import Person
from exchange.database import Role
from exchange.demo import chapters
from exchange.demo.chapters import OWNERSHIP, PERSON, masked
from exchange.demo.checks import BUILD_DAG
from exchange.demo.clients import TAX, TAX_CHECK
from exchange.demo.running import Demo
from exchange.demo.story import Story
from exchange.issuance import QR_KEY
from license_vault import face, store
from schemas.errors import Unavailable
from schemas.grant import Subject
from schemas.license import Form

RIGHTS = "real_estate.right"
PATIENCE = 120.0
CASE = "WIN-2026-000901"
CERTIFICATE = """
SELECT id FROM vault.license
WHERE subject_id = %s AND type_name = '不动产权证书' AND status = %s ORDER BY log_index DESC LIMIT 1
"""
HISTORY = """
SELECT count(*) FROM library.real_estate_right_history
WHERE unit_no = %s AND kind = 'ownership' AND status = '1'
"""
OWNED = """
SELECT count(*) FROM library.real_estate_registration_ownership
WHERE unit_no = %s AND holder_id = %s
"""
BATCHES = "SELECT count(*) FROM library.batch WHERE dataset = %s AND state = 'published'"


class Sale:
    """One sale, watched from entry to answer."""

    def __init__(self, demo: Demo, story: Story) -> None:
        self.demo = demo
        self.story = story
        cast = demo.departments.truth.cast
        self.unit = cast.unit_no
        # A house is sold once in this story; the second time it goes back.
        people = ((cast.owner, cast.owner_entity), (cast.buyer, cast.buyer_entity))
        owns = self._count(OWNED, self.unit, cast.owner.resident_id)
        (self.seller, _), (self.buyer, self.buyer_entity) = people if owns else people[::-1]

    def watch(self) -> None:
        """Enter the sale, then wait for each consequence and tell when it was seen."""
        self.story.chapter("房子卖了 · A house is sold")
        old = self._certificate("valid")
        before = self._bundle()
        self._tax_check()
        history = self._count(HISTORY, self.unit)
        collected, built = self._count(BATCHES, RIGHTS), self._count(BATCHES, OWNERSHIP)
        self._enter()
        began = time.monotonic()
        steps: list[tuple[str, Callable[[], bool]]] = [
            (
                "Airflow collected the change from the department",
                lambda: self._count(BATCHES, RIGHTS) > collected,
            ),
            (
                "the library keeps the old row as history",
                lambda: self._count(HISTORY, self.unit) > history,
            ),
            (
                f"{BUILD_DAG} ran, triggered by the asset",
                lambda: self._count(BATCHES, OWNERSHIP) > built,
            ),
            (
                f"the library says {masked(self.buyer)} owns it",
                lambda: bool(self._count(OWNED, self.unit, self.buyer.resident_id)),
            ),
            (
                "the old certificate is superseded by a new one",
                lambda: self._certificate("superseded") == old,
            ),
        ]
        for told, seen in steps:
            self._await(told, seen)
            self.story.tell(f"{time.monotonic() - began:5.1f} s  {told}")
        self._compare(old, before)
        self.story.check(
            time.monotonic() - began < 60, "all of it within a minute of the clerk's entry"
        )

    def _compare(self, old: str, before: dict[str, Any]) -> None:
        new = self._certificate("valid")
        self._judge(old, "INVALID")
        self._judge(new, "VALID")
        page = httpx.get(self._printed_address(old), timeout=10).text
        self.story.check(new in page, "the old certificate's printed QR says so, and names the new")
        after = self._bundle()
        self.story.check(
            _changed(before, after) != [],
            f"the buyer's restaurant case changed: {'; '.join(_changed(before, after))}",
        )
        for access in chapters.accesses(self.demo, self.seller)[:3]:
            self.story.tell(
                f"{masked(self.seller)} sees: {access['client_name']} · {access['purpose']} · "
                f"{access['basis']} · {access['decision']}"
            )

    def _tax_check(self) -> None:
        """The tax office looks at the seller's ownership, as it does at every sale."""
        with chapters.client(self.demo, TAX) as tax:
            claims = {"holder_id": self.seller.resident_id}
            told = tax.verify(
                OWNERSHIP, Subject("cn.real_estate_unit", self.unit), claims, TAX_CHECK
            )
            tax.query(OWNERSHIP, Subject(PERSON, self.seller.resident_id), ["area_m2"], TAX_CHECK)
        self.story.tell(
            f"the tax office checks that {masked(self.seller)} owns it: {told['verdicts']}"
        )

    def _enter(self) -> None:
        departments = self.demo.departments
        number = city.transfer(
            departments.estate_url,
            departments.access.clerk_token,
            self.unit,
            self.buyer.resident_id,
            self.buyer.name,
            datetime.now(UTC),
        )
        self.story.tell(
            f"the clerk enters it in the department's own system: {masked(self.seller)} → "
            f"{masked(self.buyer)}, {number}"
        )

    def _bundle(self) -> dict[str, Any]:
        return chapters.resolve(self.demo, self.buyer, self.buyer_entity, self.unit, case=CASE)

    def _judge(self, license_id: str, verdict: str) -> None:
        with self.demo.settings.database.connect(Role.VAULT) as vault:
            pdf = store.file(vault, license_id, Form.PDF)
        report = chapters.judged(self.demo, pdf)
        self.story.check(
            report.verdict == verdict, f"{license_id}: {report.verdict}, {report.reason}"
        )

    def _certificate(self, status: str) -> str:
        with self.demo.settings.database.connect(Role.VAULT) as vault:
            row = vault.execute(CERTIFICATE, (self.unit, status)).fetchone()
        return str(row[0]) if row else ""

    def _printed_address(self, license_id: str) -> str:
        """What the QR on the printed face holds."""
        settings = self.demo.settings
        with settings.database.connect(Role.VAULT) as vault:
            digits = store.get(vault, license_id).digest.hex()[: face.DIGEST_DIGITS]
        signature = face.short_signature(settings.secret(QR_KEY), license_id, digits)
        return f"{settings.public_url}/q/{license_id}?d={digits}&s={signature}"

    def _count(self, query: str, *values: str) -> int:
        with self.demo.settings.database.connect(Role.OWNER) as owner:
            row = owner.execute(query.encode(), values).fetchone()
        assert row is not None
        return int(row[0])

    def _await(self, told: str, seen: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        with self.story.working(f"waiting: {told} …"):
            while not seen():
                if time.monotonic() > until:
                    raise Unavailable(f"not seen within {PATIENCE:.0f} s: {told}")
                time.sleep(0.5)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    was = {material["id"]: material["status"] for material in before["materials"]}
    return [
        f"{material['name']}: {was[material['id']]} → {material['status']}"
        for material in after["materials"]
        if was.get(material["id"]) != material["status"]
    ]


def watch(demo: Demo, story: Story) -> Person:
    """Sell the house of the story; returns the seller."""
    sale = Sale(demo, story)
    sale.watch()
    return sale.seller
