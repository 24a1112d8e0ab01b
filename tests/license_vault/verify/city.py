"""An office that has issued, and the hub beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.testclient import TestClient

from exchange.app import create_app
from license_vault import change, face, issue, store
from schemas.license import Form, License
from tests.license_vault.office import OFFICER, Office, business_license, certificate

PDF = {"content-type": "application/pdf"}
CREDENTIAL = {"content-type": "application/dc+sd-jwt"}


@dataclass(frozen=True)
class City:
    """An office that has issued, and the hub beside it."""

    office: Office
    hub: TestClient
    business: License
    house: License

    def file(self, held: License, form: Form) -> bytes:
        with self.office.connect() as conn:
            return store.file(conn, held.id, form)

    def scan(self, held: License, **altered: str) -> Any:
        """Open the address in the QR of a face, perhaps altered."""
        digits = held.digest.hex()[: face.DIGEST_DIGITS]
        key = self.office.settings.secret("qr.key")
        asked = {"d": digits, "s": face.short_signature(key, held.id, digits)} | altered
        return self.hub.get(f"/q/{held.id}", params=asked)

    def revoke(self, held: License) -> None:
        with self.office.connect() as conn:
            change.revoke(conn, held.id, reason="closed", by=OFFICER)

    def judged(self, data: bytes, headers: dict[str, str] = PDF) -> dict[str, Any]:
        answer = self.hub.post("/v1/verifications", content=data, headers=headers)
        assert 200 == answer.status_code, answer.text
        told: dict[str, Any] = answer.json()
        return told


@contextmanager
def city_of(vault: Office) -> Iterator[City]:
    """Issue one license of each type and open the hub."""
    made = issue.issue(
        vault.connect, vault.signer, [business_license(), certificate()], vault.place
    )
    signer = vault.process.client("hub")
    with TestClient(create_app(vault.settings, signer)) as hub:
        yield City(vault, hub, *made)
    signer.close()
