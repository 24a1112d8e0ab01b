"""`yizhan agent`: sign and verify for a system that can do neither."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from connectors import agent as agents


def agent(
    credentials: Annotated[Path, typer.Option(help="The client's credentials file (JSON)")],
    host: Annotated[str, typer.Option(help="An address of loopback")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where the old system asks")] = agents.PORT,
    receipts: Annotated[Path | None, typer.Option(help="A folder to keep receipts in")] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="A secret that callers must show as a Bearer token")
    ] = None,
) -> None:
    """Take plain HTTP on loopback; sign it, ask the hub, verify the answer, keep the receipt."""
    typer.echo(f"http://{host}:{port} passes on to the hub; Ctrl-C stops it", err=True)
    agents.serve(credentials, host, port, receipts, secret_file)
