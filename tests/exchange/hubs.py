"""A real hub in a thread, a signer of checkpoints, a client with a key, a grant: for tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.client import Client, Credentials, new_key, public_half
from exchange import clients, grants
from exchange.app import create_app
from exchange.database import Role
from exchange.settings import Settings
from license_vault.signer.client import Certificates, ToSign
from schemas.grant import Authority, Form, Grant, Mode, Subject
from tests.conftest import free_port

CLIENT_ID = "housing-bureau"
RESOURCE = "population.resident"
LI = Subject("cn.resident_id", "11010519491231002X")
AUTHORITY = Authority(
    "不动产登记核验", "不动产登记暂行条例第十八条", "0100301000", "2026-0007", "W-12"
)


class LocalSigner:
    """Signs checkpoints in this process, with a key of the test's home."""

    def __init__(self, settings: Settings) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(settings.secret("test.checkpoint"))

    def sign(self, kind: str, items: Sequence[ToSign]) -> list[bytes]:
        """Sign bodies of checkpoints, nothing else."""
        assert kind == "checkpoint"
        return [self._key.sign(item.tbs) for item in items]

    def certificates(self) -> Certificates:
        """Only the checkpoint key is of use."""
        return Certificates(b"", (), (), (), self._key.public_key().public_bytes_raw())


@dataclass(frozen=True)
class RunningHub:
    """A hub that answers at `url`."""

    settings: Settings
    signer: LocalSigner
    server: uvicorn.Server

    @property
    def url(self) -> str:
        """Its public address."""
        return self.settings.public_url

    def owner(self) -> Any:
        """The administrator's connection."""
        return self.settings.database.connect(Role.OWNER, autocommit=True)

    def client(self, client_id: str = CLIENT_ID, **more: Any) -> Client:
        """Register a client with a new key and open it."""
        key = new_key()
        with self.owner() as conn:
            clients.register(conn, client_id, "住建局", public_half(key))
        return Client(Credentials.of(self.url, client_id, key), **more)

    def give(self, **changes: Any) -> Grant:
        """Give the usual grant, with changes."""
        given = replace(grant(), **changes)
        with self.owner() as conn:
            grants.give(conn, given)
        return given

    def entries(self) -> list[dict[str, Any]]:
        """What the ledger says, in the order of writing."""
        with self.owner() as conn:
            rows = conn.execute(
                "SELECT convert_from(body, 'UTF8')::jsonb FROM hub.ledger_entry ORDER BY seq"
            ).fetchall()
        return [row[0] for row in rows]


def grant() -> Grant:
    """A grant for the usual client: name plain, address masked, birth date for comparing."""
    now = datetime.now(UTC)
    return Grant(
        id="grant-1",
        client=CLIENT_ID,
        resource=RESOURCE,
        purposes=frozenset({AUTHORITY.purpose}),
        bases=frozenset({AUTHORITY.basis}),
        items=frozenset({AUTHORITY.item}),
        fields={
            "name": Form.PLAIN,
            "resident_id": Form.MASKED,
            "residence_address": Form.MASKED,
            "birth_date": Form.COMPARE,
        },
        modes=frozenset(Mode),
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=30),
        per_minute=100_000,
        per_day=1_000_000,
        file_number="数据局〔2026〕7号",
    )


@contextlib.contextmanager
def running_hub(settings: Settings) -> Iterator[RunningHub]:
    """Serve on a free port until the end of the block."""
    port = free_port()
    settings = replace(settings, public_url=f"http://127.0.0.1:{port}")
    signer = LocalSigner(settings)
    config = uvicorn.Config(
        create_app(settings, signer),
        port=port,
        loop="asyncio",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _wait(server, thread)
        yield RunningHub(settings, signer, server)
    finally:
        server.should_exit = True
        thread.join(timeout=60)


def _wait(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the hub did not start"
        assert time.monotonic() < until, "the hub did not start in time"
        time.sleep(0.02)


def add_resident(hub: RunningHub, subject: Subject = LI, name: str = "李建国") -> None:
    """Put a resident into the library."""
    with hub.owner() as conn:
        conn.execute(
            "INSERT INTO library.population_resident (resident_id, name, sex, ethnicity,"
            " birth_date, household_division, household_address, residence_address, deceased,"
            " changed_at, _batch, _since) VALUES (%s, %s, '1', '01', '1949-12-31', '110105',"
            " '北京市朝阳区建国路1号', '北京市朝阳区建国路1号', false, now(), 1, now())",
            (subject.id, name),
        )


def raw(client: Client, path: str, content: bytes, **headers: str) -> httpx.Response:
    """Post bytes as they are, with a good token, proof and signature."""
    url = client.credentials.base_url + path
    small = {name.lower(): value for name, value in headers.items()}
    signed = client.signed("POST", url, content, client.token(), **small)
    return httpx.post(url, content=content, headers=signed | small, timeout=30)
