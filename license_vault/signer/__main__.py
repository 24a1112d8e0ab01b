"""Run the signer: `python -m license_vault.signer --home .yizhan`.

The address of the database, as the signer's own read-only role, comes in YIZHAN_SIGNER_DSN, because
it holds a password and arguments are seen by everybody.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from license_vault.signer import keystore, secret_files
from license_vault.signer.heads import Heads
from license_vault.signer.server import SignerServer
from schemas.errors import YizhanError


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    asked = argparse.ArgumentParser(prog="license_vault.signer", description=__doc__)
    asked.add_argument("--home", type=Path, required=True, help="the data folder")
    home: Path = asked.parse_args().home.resolve()
    dsn = os.environ.get("YIZHAN_SIGNER_DSN")
    if not dsn:
        print("signer: YIZHAN_SIGNER_DSN is not set", file=sys.stderr)  # noqa: T201 - its log is standard error
        return 2
    try:
        server = start(home, dsn)
    except YizhanError as err:
        print(f"signer: {err.message}", file=sys.stderr)  # noqa: T201 - its log is standard error
        return 1
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _leave)
    server.serve()
    return 0


def start(home: Path, dsn: str) -> SignerServer:
    """Open the keys and the socket; say loudly what kind of keys they are."""
    keys = keystore.open_or_make(home)
    keystore.export_roots(keys, home / "trust")
    print(keystore.WARNING, file=sys.stderr, flush=True)  # noqa: T201 - its log is standard error
    return SignerServer(
        home / "run" / "signer.sock",
        keys,
        Heads(home / keystore.FOLDER / "heads.json"),
        dsn,
        lambda caller: secret_files.secret(home, f"signer-{caller}"),
    )


def _leave(*_: Any) -> None:
    # Nothing is ever half done here: heads are on disk before their signatures leave.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
