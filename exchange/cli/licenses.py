"""`yizhan verify` and `yizhan license`: check licenses anywhere, and change their state here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from exchange.database import Role, without_detail
from exchange.settings import Settings
from exchange.trust import ask_hub, trust_of
from license_vault import change
from license_vault.trust import TrustBundle, bundle
from license_vault.verify import MOST_BYTES, Outcome, Report, Verdict
from license_vault.verify import verify as judge
from schemas.errors import Invalid, NotFound
from schemas.license import CIVIL_TIME, STATUS_ZH, License, Status

app = typer.Typer(no_args_is_help=True)
out = Console()
err = Console(stderr=True)

COLORS = {
    Verdict.VALID: "green",
    Verdict.INVALID: "red",
    Verdict.INDETERMINATE: "yellow",
    Verdict.UNREADABLE: "yellow",
}
MARKS = {
    Outcome.PASSED: "[green]✓[/green]",
    Outcome.FAILED: "[red]✗[/red]",
    Outcome.UNKNOWN: "[yellow]?[/yellow]",
    Outcome.NOT_REACHED: "·",
    Outcome.ABSENT: "·",
}
PROGRESS_FROM = 5
WIDE = 150  # so that an identifier of 75 characters is never broken, and can be copied

Why = Annotated[str, typer.Option(help="Why, for the record; no personal data.")]
Who = Annotated[str, typer.Option(help="Who decided (default: the user of this machine).")]


def verify(
    files: Annotated[list[Path], typer.Argument(help="Sealed PDFs or SD-JWT credentials.")],
    trust: Annotated[
        Path | None,
        typer.Option(help="A trust bundle (GET /trust). Default: the trust folder of YIZHAN_HOME."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: use the bundle's status lists.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON report a line, to standard output.")
    ] = False,
) -> None:
    """Verify licenses. Exit status: 0 if every one is VALID, 1 if not, 2 for wrong usage.

    A log proof beside a file, named FILE.tlog-proof, is checked as well.
    """
    believed = _trust(trust)
    if missing := [path for path in files if not path.is_file()]:
        raise typer.BadParameter(f"no such file: {', '.join(map(str, missing))}")
    source = None if offline else ask_hub
    verdicts = []
    quiet = len(files) < PROGRESS_FROM or not err.is_terminal
    for path in track(files, "Verifying", console=err, disable=quiet, transient=True):
        report = judge(_read(path), believed, datetime.now(UTC), source, proof=_read_proof(path))
        verdicts.append(report.verdict)
        if as_json:
            typer.echo(json.dumps({"file": str(path), **report.to_json()}, ensure_ascii=False))
        else:
            _show(path, report, steps=quiet or report.verdict is not Verdict.VALID)
    raise typer.Exit(0 if set(verdicts) == {Verdict.VALID} else 1)


@app.command("list")
def list_licenses(
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
) -> None:
    """List licenses, the newest first. Holders are not shown."""
    with _connected() as conn, without_detail():
        rows = conn.execute(
            "SELECT id, type_name, status, valid_to, issued_at FROM vault.license"
            " WHERE %(status)s::text IS NULL OR status = %(status)s"
            " ORDER BY issued_at DESC, id LIMIT %(limit)s",
            {"status": status, "limit": limit},
        ).fetchall()
    table = Table("Identifier 证照标识", "Type 类型", "State 状态", "Issued 颁发")
    for license_id, type_name, held, _, issued_at in rows:
        when = issued_at.astimezone(CIVIL_TIME).strftime("%Y-%m-%d %H:%M")
        table.add_row(license_id, type_name, f"{held} {STATUS_ZH[Status(held)]}", when)
    Console(width=max(out.width, WIDE)).print(table)


@app.command()
def show(
    license_id: Annotated[str, typer.Argument(help="The license's identifier.")],
    save: Annotated[
        Path | None, typer.Option(help="Write its files (pdf, sd-jwt, record, proof) here.")
    ] = None,
) -> None:
    """Show a license's state and history. Raises an error when there is no such license."""
    with _connected() as conn, without_detail():
        row = conn.execute(
            "SELECT type_name, number, issuer_name, status, issued_at, valid_from, valid_to,"
            " reason, supersedes, superseded_by, digest FROM vault.license WHERE id = %s",
            (license_id,),
        ).fetchone()
        if row is None:
            raise NotFound("there is no such license", zh="没有这个证照")
        events = conn.execute(
            'SELECT "index", event, at FROM vault.log_entry WHERE license_id = %s ORDER BY "index"',
            (license_id,),
        ).fetchall()
        if save is not None:
            _save(conn, license_id, save)
    _show_license(license_id, row, events)


@app.command()
def revoke(license_id: str, reason: Why, by: Who = "") -> None:
    """Revoke a license: verifiers refuse it from their next question on. There is no way back."""
    _change(change.revoke, license_id, reason, by)


@app.command()
def suspend(license_id: str, reason: Why, by: Who = "") -> None:
    """Suspend a license until it is restored or revoked."""
    _change(change.suspend, license_id, reason, by)


@app.command()
def restore(license_id: str, reason: Why, by: Who = "") -> None:
    """Put a suspended license back in force."""
    _change(change.restore, license_id, reason, by)


def _trust(path: Path | None) -> TrustBundle:
    try:
        return bundle(path.read_bytes()) if path else trust_of(Settings.load())
    except (OSError, Invalid) as failed:
        told = failed.message if isinstance(failed, Invalid) else str(failed)
        raise typer.BadParameter(f"{told}; get a bundle from the hub's /trust") from failed


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _read_proof(path: Path) -> bytes | None:
    beside = path.with_name(f"{path.name}.tlog-proof")
    return beside.read_bytes()[:MOST_BYTES] if beside.is_file() else None


def _show(path: Path, report: Report, *, steps: bool) -> None:
    told = report.to_json()
    color = COLORS[report.verdict]
    out.print(
        f"[bold {color}]{report.verdict}[/bold {color}] {escape(str(path))}"
        f"  [dim]{report.reason}[/dim]\n  {report.why.en} {report.why.zh}",
        highlight=False,
    )
    for step, kind in zip(report.steps if steps else (), told["steps"], strict=False):
        line = f"  {MARKS[step.outcome]} {step.number:>2} {kind['title']['en']}"
        out.print(f"{line} [dim]{escape(step.evidence)}[/dim]", highlight=False, soft_wrap=True)


def _connected() -> closing[psycopg.Connection]:
    return closing(Settings.load().database.connect(Role.VAULT))


def _change(deed: Callable[..., License], license_id: str, reason: str, by: str) -> None:
    with _connected() as conn, without_detail(), conn.transaction():
        now = deed(conn, license_id, reason=reason, by=by or os.environ.get("USER", "operator"))
    out.print(f"{license_id} is {now.status} {STATUS_ZH[now.status]}", highlight=False)


def _save(conn: psycopg.Connection, license_id: str, folder: Path) -> None:
    names = {
        "pdf": "license.pdf",
        "sd-jwt": "license.sd-jwt",
        "record": "record.json",
        "proof": "license.pdf.tlog-proof",
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = conn.execute(
        "SELECT form, bytes FROM vault.file WHERE license_id = %s", (license_id,)
    ).fetchall()
    for form, content in files:
        (folder / names[form]).write_bytes(content)
        out.print(f"wrote {folder / names[form]}", highlight=False)


def _show_license(license_id: str, row: tuple[Any, ...], events: list[tuple[Any, ...]]) -> None:
    names = ("type", "number", "issuer", "status", "issued", "from", "until", "reason")
    table = Table(show_header=False, box=None)
    table.add_row("identifier", license_id)
    for name, value in zip((*names, "supersedes", "superseded by", "sha256"), row, strict=True):
        if value is not None:
            table.add_row(name, value.hex() if isinstance(value, bytes) else str(value))
    for index, event, at in events:
        table.add_row(f"log entry {index}", f"{event} at {at.isoformat(timespec='seconds')}")
    out.print(table, highlight=False)
