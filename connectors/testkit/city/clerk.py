"""What a clerk of the land registry does there, and how the registry is opened for business."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import httpx

from connectors.testkit.city.estate_access import Access
from connectors.testkit.city.estate_store import Store
from connectors.testkit.city.generate import City
from schemas.errors import Invalid, Refused, Unavailable


def open_registry(folder: Path, city: City) -> Access:
    """Fill the registry's database in `folder` with the city's land, units and rights.

    Its secrets are made at the first opening and stay the same.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    Store(folder).fill(
        {
            "units": city.units,
            "rights": city.rights,
            "parcels": city.tables["space.parcel"].as_rows(),
            "buildings": city.tables["space.building"].as_rows(),
        }
    )
    try:
        return Access.read(folder)
    except FileNotFoundError:
        access = Access.made()
        access.write(folder)
        return access


def estate_argv(port: int, folder: Path) -> list[str]:
    """The command line of the registry's process; `/health` answers when it is up."""
    module = "connectors.testkit.city.estate"
    return [sys.executable, "-m", module, "--port", str(port), "--data", str(folder)]


def transfer(
    base_url: str, clerk_token: str, unit_no: str, buyer_id: str, buyer_name: str, at: datetime
) -> str:
    """Enter a sale: the owners of now become history, the buyer gets a certificate.

    Returns the new certificate's number. Raises `Refused` when the registry does not allow it
    (seized, nobody's, the buyer's already), `Unavailable` when it does not answer.
    """
    sale = {
        "unit_no": unit_no,
        "buyer_id": buyer_id,
        "buyer_name": buyer_name,
        "at": at.isoformat(timespec="seconds"),
    }
    headers = {"Authorization": f"Bearer {clerk_token}"}
    try:
        answer = httpx.post(
            f"{base_url}/clerk/v1/transfers", json=sale, headers=headers, timeout=10
        )
    except httpx.TransportError:
        raise Unavailable("the land registry does not answer") from None
    if answer.status_code in (401, 404, 409):
        raise Refused(f"the land registry refused the transfer ({answer.status_code})")
    if answer.status_code != 201:
        raise Invalid(f"the land registry did not understand the transfer ({answer.status_code})")
    return str(answer.json()["certificate_no"])
