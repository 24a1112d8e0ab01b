"""Where everything is: one frozen value, read once from the environment and the home folder.

    YIZHAN_HOME          the data folder (default ./.yizhan)
    YIZHAN_DATABASE_URL  a PostgreSQL server of your own, ≥ 15 (default: the embedded one)
    YIZHAN_PUBLIC_URL    the only base of anything signed; fixed at the first start
    YIZHAN_SOURCES       the folder of source manifests (default: <home>/sources)

Secrets are files of <home>/secrets (folder 0700, files 0600), made when first asked for.
"""

from __future__ import annotations

import json
import os
import secrets as random
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from exchange.database import Database
from exchange.roles import ROLES
from schemas.errors import Invalid

DATABASE = "yizhan"
AIRFLOW_DATABASE = "yizhan_airflow"


@dataclass(frozen=True)
class Settings:
    """Everything a process of ours must know about its place."""

    home: Path
    public_url: str
    database: Database
    sources: Path

    @classmethod
    def load(cls, home: Path | None = None) -> Settings:
        """Read the environment and the home folder. Raises `Invalid` when something is missing."""
        home = (home or Path(os.environ.get("YIZHAN_HOME", ".yizhan"))).resolve()
        return cls(
            home=home,
            public_url=_public_url(home),
            database=_database(home),
            sources=Path(os.environ.get("YIZHAN_SOURCES", home / "sources")).resolve(),
        )

    @property
    def secrets(self) -> Path:
        """The folder of keys and passwords."""
        return self.home / "secrets"

    @property
    def landing(self) -> Path:
        """The folder of landed batches, encrypted Parquet."""
        return self.home / "landing"

    @property
    def trust(self) -> Path:
        """The folder of what a verifier needs: roots and log keys."""
        return self.home / "trust"

    @property
    def signer_socket(self) -> Path:
        """The signer's Unix socket, in a 0700 folder."""
        return self.home / "run" / "signer.sock"

    def secret(self, name: str) -> bytes:
        """The 32 bytes of secret `name`; made at the first asking."""
        return bytes.fromhex(secret_text(self.home, name))


def secret_text(home: Path, name: str) -> str:
    """The text of a secret file: 64 hex digits, the same for whoever asks first or second."""
    folder = home / "secrets"
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / name
    if not path.exists():
        fresh = folder / f".{name}.{os.getpid()}.{random.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(random.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # atomic, and fails where somebody was first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()


def passwords(home: Path) -> dict[str, str]:
    """The password of every database role."""
    return {role: secret_text(home, f"{role}.password") for role in ROLES}


def remembered_ports(home: Path) -> dict[str, int]:
    """The ports that earlier starts used, by process name."""
    path = home / "ports.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _database(home: Path) -> Database:
    url = os.environ.get("YIZHAN_DATABASE_URL")
    if url:
        return database_at(url, home)
    port = remembered_ports(home).get("postgres")
    if port is None:
        raise Invalid(
            f"there is no database in {home} yet: start one with `make demo` or `yizhan start`, "
            "or name your own server in YIZHAN_DATABASE_URL"
        )
    return Database("127.0.0.1", port, DATABASE, passwords(home))


def database_at(url: str, home: Path) -> Database:
    """The database that a URL names; user and password in it are not used: roles have their own."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
        raise Invalid("YIZHAN_DATABASE_URL must look like postgresql://host:5432/yizhan")
    name = unquote(parts.path.lstrip("/")) or DATABASE
    return Database(parts.hostname, parts.port or 5432, name, passwords(home), parts.query)


def _public_url(home: Path) -> str:
    path = home / "public_url"
    fixed = path.read_text().strip() if path.exists() else ""
    asked = os.environ.get("YIZHAN_PUBLIC_URL", "").rstrip("/")
    if fixed and asked and fixed != asked:
        raise Invalid(
            f"YIZHAN_PUBLIC_URL is {asked}, but licenses in {home} were sealed for {fixed}; "
            "an address inside sealed bytes cannot move: set it back, or take a new YIZHAN_HOME"
        )
    return fixed or asked or "http://127.0.0.1:8000"
