"""The signer's socket: who may connect, who may ask for what, and the one place that uses keys.

A caller is the same OS user (SO_PEERCRED), or root, knows its secret, and may ask for its own kinds
only. A batch is signed whole or not at all.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from license_vault.signer import checks, wire
from license_vault.signer.client import ToSign
from license_vault.signer.heads import Heads
from license_vault.signer.keystore import Keystore
from license_vault.signer.sight import Sight
from license_vault.signer.wire import Kind
from schemas.errors import Invalid, Refused, Unauthenticated, Unavailable, YizhanError

# The vault seals and proves, the hub serves lists and heads, the ledger has its own tree.
CALLERS: Mapping[str, frozenset[Kind]] = {
    "vault": frozenset({Kind.PDF, Kind.SD_JWT, Kind.CHECKPOINT}),
    "hub": frozenset({Kind.STATUS_LIST, Kind.CHECKPOINT}),
    "ledger": frozenset({Kind.CHECKPOINT}),
}
MOST_ITEMS = 1000
Secret = Callable[[str], bytes]


class SignerServer:
    """Accepts callers on a Unix socket, a thread for each."""

    def __init__(self, path: Path, keystore: Keystore, heads: Heads, dsn: str, secret: Secret):
        self._keystore = keystore
        self._heads = heads
        self._one_head_at_a_time = threading.Lock()
        self._dsn = dsn
        self._secret = secret
        self._listener = _listen(path)

    def serve(self) -> None:
        """Accept until the socket is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._caller, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        self._listener.close()

    def _caller(self, connection: socket.socket) -> None:
        sight = Sight(self._dsn)
        with connection:
            try:
                caller = self._admit(connection)
                while True:
                    wire.send(connection, self._answer(caller, wire.receive(connection), sight))
            except YizhanError:
                return  # gone, or not speaking our language: there is nobody to tell
            finally:
                sight.close()

    def _admit(self, connection: socket.socket) -> str:
        _check_peer(connection)
        nonce = secrets.token_bytes(wire.NONCE_BYTES)
        wire.send(connection, {"nonce": wire.pack(nonce)})
        shown = wire.receive(connection)
        caller, proof = str(shown.get("caller")), str(shown.get("proof"))
        if caller not in CALLERS or not hmac.compare_digest(
            wire.proof(self._secret(caller), nonce, caller).encode(), proof.encode()
        ):
            error = Unauthenticated("the signer does not know this caller", rule="caller-unknown")
            wire.send(connection, _told(error))
            raise error
        wire.send(connection, {"welcome": caller})
        return caller

    def _answer(self, caller: str, question: Any, sight: Sight) -> Any:
        try:
            match question:
                case {"ask": "certificates"}:
                    return {"certificates": self._certificates()}
                case {"ask": "sign", "kind": str(kind), "items": list(items)}:
                    signed = self._sign(caller, kind, _items(items), sight)
                    return {"signatures": [wire.pack(each) for each in signed]}
            return _told(Invalid("the signer does not know this question"))
        except YizhanError as err:
            return _told(err)
        except Exception as err:  # noqa: BLE001  # a process edge: no request may end the signer
            print(f"signer: {type(err).__name__} while answering {caller}", file=sys.stderr)  # noqa: T201 - its log is standard error
            return _told(Invalid(f"the signer cannot read this: {type(err).__name__}"))

    def _certificates(self) -> dict[str, Any]:
        held = self._keystore.certificates
        return {
            "root": wire.pack(held.root),
            "seal": [wire.pack(each) for each in held.seal],
            "sd_jwt": [wire.pack(each) for each in held.sd_jwt],
            "status_list": [wire.pack(each) for each in held.status_list],
            "checkpoint_key": wire.pack(held.checkpoint_key),
        }

    def _sign(self, caller: str, asked: str, items: Sequence[ToSign], sight: Sight) -> list[bytes]:
        try:
            kind = Kind(asked)
        except ValueError:
            raise Refused("the signer does not sign this", rule="unknown-kind") from None
        if kind not in CALLERS[caller]:
            raise Refused(f"{caller} may not have {kind} signed", rule="caller-may-not")
        match kind:
            case Kind.PDF:
                return self._seal(items, sight)
            case Kind.SD_JWT:
                return self._credentials(items, sight)
            case Kind.STATUS_LIST:
                return [self._status_list(item, sight) for item in items]
            case Kind.CHECKPOINT:
                return [self._checkpoint(item, sight) for item in items]

    def _seal(self, items: Sequence[ToSign], sight: Sight) -> list[bytes]:
        reserved = sight.reserved([item.id for item in items])
        for item in items:
            certificate = self._keystore.certificates.seal[0]
            checks.check_pdf(item.tbs, reserved.get(item.id), certificate)
        return [self._keystore.seal(item.tbs) for item in items]

    def _credentials(self, items: Sequence[ToSign], sight: Sight) -> list[bytes]:
        reserved = sight.reserved([item.id for item in items])
        for item in items:
            certificate = self._keystore.certificates.sd_jwt[0]
            checks.check_sd_jwt(item.tbs, reserved.get(item.id), certificate)
        return [self._keystore.sd_jwt(item.tbs) for item in items]

    def _status_list(self, item: ToSign, sight: Sight) -> bytes:
        number = int(item.id)
        certificate = self._keystore.certificates.status_list[0]
        checks.check_status_list(item.tbs, number, sight.slots(number), certificate)
        return self._keystore.status_list(item.tbs)

    def _checkpoint(self, item: ToSign, sight: Sight) -> bytes:
        with self._one_head_at_a_time:
            last = self._heads.last(item.id)
            sizes = {checks.claimed_size(item.tbs), last.size if last else 0}
            head = checks.check_checkpoint(item.tbs, last, sight.nodes(item.id, *sizes))
            if head != last:
                self._heads.remember(item.id, head)
            return self._keystore.checkpoint(item.tbs)


def _items(told: list[Any]) -> list[ToSign]:
    if len(told) > MOST_ITEMS:
        raise Invalid(f"at most {MOST_ITEMS} items at once")
    return [ToSign(str(each["id"]), wire.unpack(each["tbs"])) for each in told]


def _told(err: YizhanError) -> dict[str, Any]:
    family = next(
        each for each in (Unavailable, Unauthenticated, Refused, Invalid) if isinstance(err, each)
    )
    return {"error": {"code": family.code, "message": err.message, "rule": err.rule}}


def _listen(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    return listener


def _check_peer(connection: socket.socket) -> None:
    # unix(7): SO_PEERCRED gives pid, uid and gid of whoever called connect.
    shown = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", shown)
    if uid not in (0, os.getuid()):
        raise Unauthenticated("another OS user calls", rule="caller-unknown")
