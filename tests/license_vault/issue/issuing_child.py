"""Issue the numbered requests and write each acknowledgement to a journal; made to be killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

from license_vault.issue import Place, issue
from license_vault.signer.client import SignerClient
from tests.license_vault.office import numbered


def main() -> None:
    """Home, address and journal come as arguments, the database in the environment."""
    home, public_url, journal = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

    def secret(name: str) -> bytes:
        return bytes.fromhex((home / "secrets" / name).read_text())

    signer = SignerClient(home / "run" / "signer.sock", "vault", secret("signer-vault"))
    place = Place(public_url, secret("qr.key"))
    for request in numbered(int(sys.argv[4])):
        [held] = issue(lambda: psycopg.connect(os.environ["VAULT_DSN"]), signer, [request], place)
        with journal.open("a") as file:
            file.write(f"{request.key} {held.id}\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main()
