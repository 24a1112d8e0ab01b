"""A folder on an SFTP server, of which one host key is agreed and no other is ever accepted.

A file is fetched whole to a private file that has no name, so nothing of it outlives the process. A
connection that breaks is made again and the fetching goes on where it stopped, unless the file has
changed meanwhile. What the server says is believed as little as what a file says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EDQUOT, ENOSPC
from pathlib import Path
from threading import RLock
from typing import IO, Any, TypeVar

import paramiko

from connectors.feeds.places import Lying, PlaceAway, PlaceRefuses, free_names

_CONNECT_SECONDS = 20.0
_SILENT_SECONDS = 60.0
_ATTEMPTS = 5  # without a byte of progress between them
_CHUNK = 1 << 20
_IN_FLIGHT = 64
_MOST_FILES = 100_000
_BROKEN = (paramiko.SSHException, EOFError, OSError)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Server:
    """Whom to ask, as whom, and by which host keys it is known."""

    host: str
    port: int
    user: str
    fingerprints: frozenset[str]
    key_types: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    key: paramiko.PKey | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        *,
        host: str,
        user: str,
        host_key: str,
        password: str | None = None,
        key: str | None = None,
        passphrase: str | None = None,
    ) -> Server:
        """From what the environment holds. Raises `PlaceRefuses` for what cannot be understood."""
        name, port = _address(host)
        fingerprints, types = _pinned(host_key)
        return cls(
            name,
            port,
            user,
            fingerprints,
            types,
            password,
            None if key is None else _private_key(key, passphrase),
        )

    def connected(self) -> paramiko.Transport:
        """A connection to the server whose key was agreed, and to no other."""
        connection = socket.create_connection((self.host, self.port), _CONNECT_SECONDS)
        transport = paramiko.Transport(connection)
        try:
            if self.key_types:
                transport.get_security_options().key_types = self.key_types
            transport.start_client(timeout=_CONNECT_SECONDS)
            self._check_host(transport.get_remote_server_key())
            self._log_in(transport)
        except BaseException:
            transport.close()
            raise
        return transport

    def _check_host(self, shown: paramiko.PKey) -> None:
        found = fingerprint(shown.asbytes())
        if not any(hmac.compare_digest(found, agreed) for agreed in self.fingerprints):
            raise PlaceRefuses("the SFTP server shows another host key than the agreed one")

    def _log_in(self, transport: paramiko.Transport) -> None:
        try:
            if self.key is not None:
                transport.auth_publickey(self.user, self.key)
            else:
                transport.auth_password(self.user, self.password or "")
        except paramiko.AuthenticationException:
            raise PlaceRefuses("the SFTP server does not let us in") from None


def fingerprint(key: bytes) -> str:
    """A public key's fingerprint, as `ssh-keygen -l` prints it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


class ServerFolder:
    """A folder on a server: see `Place`. It connects when it is first asked."""

    def __init__(self, server: Server, folder: str) -> None:
        self._server = server
        self._folder = folder.rstrip("/") or "/"
        self._lock = RLock()
        self._transport: paramiko.Transport | None = None
        self._client: paramiko.SFTPClient | None = None

    def files(self) -> list[Lying]:
        """See `Place`."""
        entries = self._asked(lambda client: client.listdir_attr(self._folder), "the drop folder")
        if len(entries) > _MOST_FILES:
            raise PlaceRefuses(f"the drop folder holds more than {_MOST_FILES} files")
        return [_lying(entry) for entry in entries if stat.S_ISREG(entry.st_mode or 0)]

    def small(self, name: str, most: int) -> bytes:
        """See `Place`."""

        def read(client: paramiko.SFTPClient) -> bytes:
            with client.open(self._path(name), "rb") as file:
                return bytes(file.read(most))

        return self._asked(read, name)

    @contextmanager
    def opened(self, name: str) -> Iterator[Fetched]:
        """See `Place`. The file is fetched before it is handed out."""
        with tempfile.TemporaryFile() as file:
            self._fetch(name, file)
            file.seek(0)
            yield Fetched(file)

    def move(self, name: str, folder: str) -> None:
        """See `Place`."""

        def moved(client: paramiko.SFTPClient) -> None:
            self._make(client, folder)
            for free in free_names(name):
                if not _is_there(client, self._path(folder, free)):
                    # The plain rename of the protocol fails where a name is taken.
                    client.rename(self._path(name), self._path(folder, free))
                    return

        self._asked(moved, name)

    def put(self, folder: str, name: str, content: Iterable[bytes]) -> None:
        """See `Place`."""

        def added(client: paramiko.SFTPClient) -> None:
            self._make(client, folder)
            target, partial = self._path(folder, name), self._path(folder, f".{name}.part")
            if _is_there(client, target):
                raise PlaceRefuses(f"{folder} already has a file {name}")
            with client.open(partial, "wb") as file:
                file.set_pipelined(True)
                for chunk in content:
                    file.write(chunk)
            client.rename(partial, target)

        self._asked(added, folder)

    def close(self) -> None:
        """See `Place`."""
        with self._lock:
            client, self._client = self._client, None
            transport, self._transport = self._transport, None
            for one in (client, transport):
                if one is not None:
                    with suppress(*_BROKEN):
                        one.close()

    def _fetch(self, name: str, file: IO[bytes]) -> None:
        first = self._asked(lambda client: _regular(client, self._path(name)), name)
        failures = 0
        while (at := file.tell()) < first.size:
            try:
                self._asked(lambda client: self._go_on(client, name, first, file), name)
            except _Over:
                raise
            except PlaceAway:
                failures = failures + 1 if file.tell() == at else 0
                if failures == _ATTEMPTS:
                    raise
        if self._asked(lambda client: _regular(client, self._path(name)), name) != first:
            raise _Over(f"{name} was written while it was fetched")

    def _go_on(self, client: paramiko.SFTPClient, name: str, first: Lying, file: IO[bytes]) -> None:
        """Fetch what is still missing."""
        if _regular(client, self._path(name)) != first:
            raise _Over(f"{name} was written while it was fetched")
        with client.open(self._path(name), "rb") as source:
            source.seek(file.tell())
            source.prefetch(first.size, _IN_FLIGHT)
            while file.tell() < first.size:
                chunk = source.read(min(_CHUNK, first.size - file.tell()))
                if not chunk:
                    raise EOFError
                file.write(chunk)

    def _asked(self, ask: Callable[[paramiko.SFTPClient], Answer], what: str) -> Answer:
        with self._lock:
            try:
                return ask(self._connected())
            except FileNotFoundError:
                raise PlaceAway(f"{what} is not there") from None
            except PermissionError:
                raise PlaceRefuses(f"the SFTP server keeps {what} from us") from None
            except _BROKEN as err:
                if isinstance(err, OSError) and err.errno in (ENOSPC, EDQUOT):
                    raise _Over(f"there is no room to fetch {what}") from None
                self.close()
                raise PlaceAway(f"the SFTP server does not answer for {what}") from None

    def _connected(self) -> paramiko.SFTPClient:
        if self._client is None:
            self._transport = self._server.connected()
            client = paramiko.SFTPClient.from_transport(self._transport)
            assert client is not None
            channel = client.get_channel()
            assert channel is not None
            channel.settimeout(_SILENT_SECONDS)
            self._client = client
        return self._client

    def _path(self, *parts: str) -> str:
        return "/".join((self._folder.rstrip("/"), *parts))

    def _make(self, client: paramiko.SFTPClient, folder: str) -> None:
        if not _is_there(client, self._path(folder)):
            client.mkdir(self._path(folder), 0o770)


class _Over(PlaceAway):
    """Fetching on at once would be of no use."""


class Fetched:
    """A file of which we hold a copy of our own: what happens to the other does not matter."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def unchanged(self) -> bool:
        """See `Opened`."""
        return True


def _lying(entry: Any) -> Lying:
    return Lying(entry.filename, entry.st_size or 0, float(entry.st_mtime or 0))


def _regular(client: paramiko.SFTPClient, path: str) -> Lying:
    seen = client.lstat(path)
    if not stat.S_ISREG(seen.st_mode or 0) or seen.st_size is None:
        raise FileNotFoundError
    return Lying(path, seen.st_size, float(seen.st_mtime or 0))


def _is_there(client: paramiko.SFTPClient, path: str) -> bool:
    try:
        client.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _address(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if not colon or name.endswith(":") or (":" in name and not name.endswith("]")):
        return host.strip("[]"), 22
    if not port.isdecimal():
        raise PlaceRefuses("the SFTP server's address is neither host nor host:port")
    return name.strip("[]"), int(port)


def _pinned(host_key: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Fingerprints and key types of lines as known_hosts and ssh-keyscan have them."""
    fingerprints, types = set[str](), list[str]()
    for line in host_key.replace(",SHA256:", "\nSHA256:").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("SHA256:"):
            fingerprints |= {word.rstrip("=") for word in words if word.startswith("SHA256:")}
            continue
        try:
            at = next(at for at, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-")))
            fingerprints.add(fingerprint(base64.b64decode(words[at + 1], validate=True)))
        except (StopIteration, IndexError, ValueError):
            raise PlaceRefuses("the agreed host key is no SSH public key") from None
        types += _RSA if words[at] == "ssh-rsa" else (words[at],)
    if not fingerprints:
        raise PlaceRefuses("no host key of the SFTP server is agreed")
    only_keys = len(fingerprints) == len({*types} - {_RSA[1]})
    return frozenset(fingerprints), tuple(types) if only_keys else ()


def _private_key(path: str, passphrase: str | None) -> paramiko.PKey:
    # Bytes: paramiko hands them to cryptography, which takes no text.
    secret = None if passphrase is None else passphrase.encode()
    try:
        key: paramiko.PKey = paramiko.PKey.from_path(Path(path), secret)
    except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.UnknownKeyType):
        raise PlaceRefuses("our private key for the SFTP server cannot be read") from None
    return key
