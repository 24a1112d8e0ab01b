"""An SFTP server of a folder, speaking the real protocol over a socket, with faults to order."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

USER, PASSWORD = "yizhan", "a long password"


@dataclass
class Faults:
    """What is to go wrong: the connection, after so many bytes of a file, so many times."""

    cut_after: int | None = None
    cuts: int = 0
    deaf: bool = False
    served: list[int] = field(default_factory=list)
    """The offsets that were asked for."""


class _Login(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko ships no types
    def __init__(self, keys: set[bytes]) -> None:
        self._keys = keys

    def get_allowed_auths(self, _username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        right = (USER, PASSWORD) == (username, password)
        return int(paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: Any) -> int:
        right = username == USER and key.asbytes() in self._keys
        return int(paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED)

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class _Handle(paramiko.SFTPHandle):  # type: ignore[misc]  # paramiko ships no types
    def __init__(self, path: Path, flags: int, faults: Faults, transport: Any) -> None:
        super().__init__(flags)
        self._faults, self._transport = faults, transport
        self._descriptor = os.open(path, flags, 0o600)
        self._sent = 0

    def close(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes | int:
        faults = self._faults
        faults.served.append(offset)
        self._sent += length
        if faults.cuts and faults.cut_after is not None and self._sent > faults.cut_after:
            faults.cuts -= 1
            self._transport.sock.close()
        return os.pread(self._descriptor, length, offset)

    def write(self, offset: int, data: bytes) -> int:
        os.pwrite(self._descriptor, data, offset)
        return int(paramiko.SFTP_OK)

    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self._descriptor))


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]  # paramiko ships no types
    def __init__(self, server: _Login, root: Path, faults: Faults, transport: Any) -> None:
        super().__init__(server)
        self._root, self._faults, self._transport = root, faults, transport

    def list_folder(self, path: str) -> Any:
        return self._tried(
            lambda: [
                paramiko.SFTPAttributes.from_stat(entry.lstat(), entry.name)
                for entry in self._at(path).iterdir()
            ]
        )

    def stat(self, path: str) -> Any:
        return self._tried(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).stat()))

    def lstat(self, path: str) -> Any:
        return self._tried(lambda: paramiko.SFTPAttributes.from_stat(self._at(path).lstat()))

    def open(self, path: str, flags: int, _attributes: Any) -> Any:
        return self._tried(lambda: _Handle(self._at(path), flags, self._faults, self._transport))

    def rename(self, old: str, new: str) -> Any:
        """As OpenSSH does it: a name that is taken is never overwritten."""
        if self._at(new).exists():
            return paramiko.SFTP_FAILURE
        return self._tried(lambda: self._at(old).rename(self._at(new)))

    def mkdir(self, path: str, _attributes: Any) -> Any:
        return self._tried(self._at(path).mkdir)

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _tried(self, deed: Any) -> Any:
        try:
            done = deed()
        except OSError as err:
            return paramiko.SFTPServer.convert_errno(err.errno)
        return paramiko.SFTP_OK if done is None or isinstance(done, Path) else done


class SftpServer:
    """A server on a port of its own. `host_key` is what it shows."""

    def __init__(self, root: Path, keys: set[bytes] | None = None) -> None:
        self.root = root
        self.faults = Faults()
        self.host_key = paramiko.ECDSAKey.generate()
        self._keys = keys or set()
        self._transports: list[Any] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def known_as(self) -> str:
        """Its line in known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}"

    def close(self) -> None:
        """End it and every connection."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for transport in self._transports:
            transport.close()
        self._thread.join(timeout=60)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self.faults.deaf:
                connection.close()
                continue
            transport = paramiko.Transport(connection)
            self._transports.append(transport)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler(
                "sftp", paramiko.SFTPServer, _Files, self.root, self.faults, transport
            )
            transport.start_server(event=threading.Event(), server=_Login(self._keys))
