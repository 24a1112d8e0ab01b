"""`yizhan ledger`: recompute it, export it, prove an entry, check a proof without any hub."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import typer

from exchange.database import Role, without_detail
from exchange.ledger import audit as auditing
from exchange.ledger import checkpoints, receipts, volumes
from exchange.ledger import verifier as building
from exchange.settings import Settings
from license_vault.signer.client import SignerClient
from schemas.errors import Invalid, NotFound, Unavailable

PATIENCE = 10.0  # seconds that `prove` waits for an entry to get its place

app = typer.Typer(help="The ledger of calls: verify it, prove an entry.", no_args_is_help=True)


@app.command()
def verify(
    key: Annotated[str | None, typer.Option(help="The ledger's public key (vkey)")] = None,
) -> None:
    """Recompute the whole ledger from its entries; name the first bad one.

    Without --key the running signer is asked for its key: that shows that the ledger is what this
    signer signed, but trusts the signer to say who it is.
    """
    settings = Settings.load()
    origin = checkpoints.origin(settings.public_url)
    vkey = key or _own_vkey(settings, origin)
    with without_detail(), settings.database.connect(Role.LEDGER, autocommit=True) as conn:
        found = auditing.audit(conn, origin, vkey)
    typer.echo(
        f"{found.entries} entries recomputed, {found.signed} of them under "
        f"{found.checkpoints} signed checkpoints; {found.waiting} wait for their place"
    )
    typer.echo(f"root {found.root.hex()}")
    typer.echo("the ledger is whole")


@app.command()
def prove(
    receipt: Annotated[str, typer.Argument(help="The receipt of a call")],
    hub: Annotated[str | None, typer.Option(help="The hub's address")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the proof to a file")] = None,
) -> None:
    """Fetch the proof of an entry."""
    base = hub.rstrip("/") if hub else Settings.load().public_url
    text = json.dumps(_fetched(base, _receipt(receipt)), ensure_ascii=False, indent=2)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text + "\n", "utf-8")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A proof, as `prove` writes it")],
    key: Annotated[str, typer.Option(help="The ledger's public key (vkey)")],
) -> None:
    """Check a proof with nothing but the ledger's public key."""
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    proved = receipts.check(receipts.read(file.read_bytes()), key)
    typer.echo(f"proved: entry {proved.index} of {proved.size} in the ledger {proved.origin}")
    typer.echo(json.dumps(proved.entry, ensure_ascii=False, indent=2))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the volume is written")],
) -> None:
    """Write every entry to one file that the stand-alone verifier recomputes."""
    settings = Settings.load()
    origin = checkpoints.origin(settings.public_url)
    with without_detail(), settings.database.connect(Role.LEDGER, autocommit=True) as conn:
        note = checkpoints.current(conn, origin, _signer(settings))
        typer.echo(volumes.write(conn, folder, 0, note))


@app.command()
def verifier(
    out: Annotated[Path, typer.Option(help="Where the file is written")] = Path(
        "ledger_verifier.py"
    ),
) -> None:
    """Write the stand-alone verifier: one file for whoever checks us, without installing us."""
    out.write_text(building.source(), "utf-8")
    typer.echo(out)


@app.command()
def key() -> None:
    """Print the ledger's public key, to be kept by whoever will check proofs."""
    settings = Settings.load()
    typer.echo(_own_vkey(settings, checkpoints.origin(settings.public_url)))


def _own_vkey(settings: Settings, origin: str) -> str:
    return checkpoints.vkey(origin, _signer(settings))


def _signer(settings: Settings) -> SignerClient:
    return SignerClient(settings.signer_socket, "hub", settings.secret("signer-hub"), patience=5)


def _receipt(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("this is not a receipt") from None


def _fetched(base: str, receipt: UUID) -> object:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            answer = httpx.get(f"{base}/v1/ledger/receipts/{receipt}/proof", timeout=30)
        except httpx.TransportError as err:
            raise Unavailable(f"the hub at {base} does not answer") from err
        if answer.status_code == 200:
            return answer.json()
        if answer.status_code == 404:
            raise NotFound("the ledger has no such receipt")
        if time.monotonic() > until:
            raise Unavailable("the entry has no proof yet; try again")
        time.sleep(0.2)
