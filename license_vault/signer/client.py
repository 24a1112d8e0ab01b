"""Ask the signer for signatures.

One connection, kept open and made again when it breaks: a signer that restarts costs its callers a
moment. Only `Unavailable` is retried; a refusal is an answer. Safe to share between threads.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from license_vault.signer import wire
from license_vault.signer.wire import Kind
from schemas.errors import Invalid, Refused, Unauthenticated, Unavailable, YizhanError

PATIENCE_SECONDS = 20.0
_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class ToSign:
    """One thing to be signed; `id` is what the signer looks it up by.

    pdf, sd-jwt: the reservation's id. status-list: the list's number. checkpoint: the tree, `log`
    or `ledger`.
    """

    id: str
    tbs: bytes


@dataclass(frozen=True)
class Certificates:
    """The public side of the signer's keys: DER chains, leaf first, without the root."""

    root: bytes
    seal: tuple[bytes, ...]
    sd_jwt: tuple[bytes, ...]
    status_list: tuple[bytes, ...]
    checkpoint_key: bytes  # raw Ed25519 public key, 32 bytes


class Signer(Protocol):
    """What the vault and the hub need of a signer."""

    def sign(self, kind: str, items: Sequence[ToSign]) -> list[bytes]:
        """One signature an item, in order; all of them or none."""
        ...

    def certificates(self) -> Certificates:
        """The public side of the keys."""
        ...


class SignerClient:
    """A caller of the signer process, known to it by name and secret."""

    def __init__(
        self, path: Path, caller: str, secret: bytes, *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._path = path
        self._caller = caller
        self._secret = secret
        self._patience = patience
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()
        self._certificates: Certificates | None = None

    def sign(self, kind: str, items: Sequence[ToSign]) -> list[bytes]:
        """One signature an item, in order; all of them or none.

        pdf: DER (RFC 3279); sd-jwt, status-list: R‖S, 64 bytes (RFC 7518 3.4); checkpoint: Ed25519.
        Raises `Refused` naming the rule, or `Unavailable` when the signer stays away.
        """
        if not items:
            return []
        asked = [{"id": item.id, "tbs": wire.pack(item.tbs)} for item in items]
        answer = self._ask({"ask": "sign", "kind": str(Kind(kind)), "items": asked})
        return [wire.unpack(each) for each in answer["signatures"]]

    def certificates(self) -> Certificates:
        """The public side of the keys, asked for once."""
        if self._certificates is None:
            told = self._ask({"ask": "certificates"})["certificates"]
            chains = {name: tuple(map(wire.unpack, told[name])) for name in _CHAINS}
            self._certificates = Certificates(
                root=wire.unpack(told["root"]),
                checkpoint_key=wire.unpack(told["checkpoint_key"]),
                **chains,
            )
        return self._certificates

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        with self._lock:
            self._drop()

    def _ask(self, question: Any) -> Any:
        until = time.monotonic() + self._patience
        while True:
            try:
                with self._lock:
                    return self._once(question)
            except Unavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _once(self, question: Any) -> Any:
        try:
            if self._connection is None:
                self._connection = self._connect()
            wire.send(self._connection, question)
            answer = wire.receive(self._connection)
        except YizhanError:
            self._drop()
            raise
        return _value(answer)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(self._path))
        except OSError as err:
            connection.close()
            raise Unavailable("the signer does not answer") from err
        nonce = wire.unpack(wire.receive(connection)["nonce"])
        shown = wire.proof(self._secret, nonce, self._caller)
        wire.send(connection, {"caller": self._caller, "proof": shown})
        _value(wire.receive(connection))
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_CHAINS = ("seal", "sd_jwt", "status_list")
_ERRORS: dict[str, type[YizhanError]] = {
    each.code: each for each in (Invalid, Refused, Unauthenticated, Unavailable)
}


def _value(answer: Any) -> Any:
    """The answer, or the error that it carries, raised here."""
    if "error" in answer:
        told = answer["error"]
        raise _ERRORS.get(told["code"], Refused)(told["message"], rule=told.get("rule"))
    return answer
