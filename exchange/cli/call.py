"""`yizhan call`: ask the exchange from a shell, exactly as a department's system would.

A personal number given as an argument stays in the shell's history and in the list of processes;
`--subject cn.resident_id:-` reads it from standard input instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from connectors.client import Client, Credentials, ProblemAnswer
from schemas.errors import Invalid
from schemas.grant import Authority, Subject

SECRETS = ("authorization", "dpop")


def call(
    resource: Annotated[str, typer.Argument(help="What is asked, e.g. population.resident")],
    client: Annotated[Path, typer.Option(help="The client's credentials file (JSON)")],
    subject: Annotated[str, typer.Option(help="type:id, or type:- to read the id from stdin")],
    purpose: Annotated[str, typer.Option(help="What the answer is for")],
    basis: Annotated[str, typer.Option(help="The law that allows asking")],
    item: Annotated[str, typer.Option(help="The service item's code")],
    case: Annotated[str, typer.Option(help="The case's number")],
    officer: Annotated[str, typer.Option(help="The acting officer's code")],
    field: Annotated[list[str] | None, typer.Option(help="A field to ask for; repeat")] = None,
    claim: Annotated[
        list[str] | None, typer.Option(help="field=value to compare instead; repeat")
    ] = None,
    show: Annotated[bool, typer.Option(help="Show the HTTP that is sent")] = False,
) -> None:
    """Ask for fields of one subject, or compare claims about it, and print the answer."""
    about = _subject(subject)
    authority = Authority(purpose, basis, item, case, officer)
    hooks: dict[str, Any] = {"request": [_show_request], "response": [_show_response]}
    http = httpx.Client(timeout=30, event_hooks=hooks if show else None)
    with Client(Credentials.read(client), http=http) as opened:
        try:
            if claim:
                answer = opened.verify(resource, about, _claims(claim), authority)
            else:
                answer = opened.query(resource, about, field or [], authority)
        except ProblemAnswer as err:
            typer.echo(_pretty(getattr(err, "problem", {"message": err.message})), err=True)
            raise typer.Exit(3 if err.rule else 1) from None
    typer.echo(_pretty(answer))


def _subject(text: str) -> Subject:
    kind, colon, identifier = text.partition(":")
    if not colon:
        raise Invalid("a subject is written type:id, e.g. cn.uscc:91…")
    return Subject(kind, sys.stdin.readline().strip() if identifier == "-" else identifier)


def _claims(pairs: list[str]) -> dict[str, object]:
    claims = dict[str, object]()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Invalid("a claim is written field=value")
        claims[name] = value
    return claims


def _show_request(request: httpx.Request) -> None:
    typer.echo(f"> {request.method} {request.url}", err=True)
    for name, value in request.headers.items():
        shown = f"{value[:24]}… ({len(value)} characters)" if name in SECRETS else value
        typer.echo(f"> {name}: {shown}", err=True)
    body = request.content.decode()
    if "client_assertion=" in body:
        body = body.partition("client_assertion=")[0] + "client_assertion=…"
    typer.echo(f">\n> {body}\n", err=True)


def _show_response(response: httpx.Response) -> None:
    typer.echo(f"< {response.status_code} {response.headers.get('content-type', '')}\n", err=True)


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
