"""A vault that works: a signer process of its own, the vault's role, and requests to issue."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from exchange.database import Role
from exchange.settings import Settings
from license_vault import types
from license_vault.issue import Place
from license_vault.record import Request
from license_vault.signer.__main__ import start
from license_vault.signer.client import SignerClient
from license_vault.signer.server import SignerServer
from schemas.license import Holder

ISSUER = "11330784MB90003307"
ISSUER_NAME = "永康市自然资源和规划局"
ENTITY = "91350100M000100Y43"
UNIT = "370105012002GB00001F00010751"
OFFICER = "officer-7"


@dataclass
class SignerProcess:
    """A signer as it runs in production, started and killed at will."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its socket."""
        dsn = self.settings.database.dsn(Role.SIGNER)
        self.settings.signer_socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "license_vault.signer", "--home", str(self.settings.home)],
            env={**os.environ, "YIZHAN_SIGNER_DSN": dsn},
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while not self.settings.signer_socket.exists():
            assert self.process.poll() is None, "the signer did not start"
            assert time.monotonic() < until, "the signer is slow"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self, caller: str = "vault", *, patience: float = 20.0) -> SignerClient:
        """A caller with its secret."""
        secret = self.settings.secret(f"signer-{caller}")
        return SignerClient(self.settings.signer_socket, caller, secret, patience=patience)


@dataclass
class SignerThread(SignerProcess):
    """The same server in a thread of the test: as quick as its keys are, and cannot be killed."""

    server: SignerServer | None = None

    def start(self) -> None:
        """Serve from now on."""
        self.server = start(self.settings.home, self.settings.database.dsn(Role.SIGNER))
        threading.Thread(target=self.server.serve, daemon=True).start()

    def kill(self) -> None:
        """Accept nobody any more."""
        assert self.server is not None
        self.server.close()


@dataclass
class Office:
    """Everything that issuing needs."""

    settings: Settings
    process: SignerProcess
    signer: SignerClient
    place: Place

    @contextlib.contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the vault's role."""
        with self.settings.database.connect(Role.VAULT) as conn:
            yield conn

    def one(self, query: str, *values: object) -> Any:
        """The first column of the first row, as the vault's role sees it."""
        with self.connect() as conn:
            row = conn.execute(query.encode(), values).fetchone()
        assert row is not None
        return row[0]


@contextlib.contextmanager
def office(settings: Settings, kind: type[SignerProcess] = SignerProcess) -> Iterator[Office]:
    """Open an office with a running signer; close it."""
    process = kind(settings)
    process.start()
    client = process.client()
    try:
        yield Office(settings, process, client, place(settings))
    finally:
        client.close()
        process.kill()


def place(settings: Settings) -> Place:
    """Where the tests issue."""
    return Place(settings.public_url, settings.secret("qr.key"))


def business_license(key: str = "business/1", name: str = "永康市𠮷祥餐饮有限公司") -> Request:
    """A request for a 营业执照 whose name has a character beyond the basic plane."""
    return Request(
        key=key,
        type_code=types.BUSINESS_LICENSE,
        number=ENTITY,
        issuer=ISSUER,
        issuer_name="永康市市场监督管理局",
        subject_id=ENTITY,
        holders=(Holder("001", ENTITY, name),),
        face={
            "name": name,
            "entity_type": "有限责任公司",
            "legal_representative": "应𠮷",
            "registered_capital": "1000000.00",
            "established_on": "2020-01-05",
            "term": "2020-01-05/",
            "address": "浙江省永康市东城街道金城路1号",
            "business_scope": "许可项目：餐饮服务。一般项目：外卖递送服务。",
        },
        valid_from=date(2020, 1, 5),
    )


def certificate(
    key: str = "certificate/1",
    number: str = "浙(2024)永康市不动产权第0001234号",
    holders: tuple[Holder, ...] = (Holder("111", "11010519491231002X", "应𠮷"),),
    **face: str,
) -> Request:
    """A request for a 不动产权证书."""
    return Request(
        key=key,
        type_code=types.REAL_ESTATE_CERTIFICATE,
        number=number,
        issuer=ISSUER,
        issuer_name=ISSUER_NAME,
        subject_id=UNIT,
        holders=holders,
        face={
            "holders": "、".join(each.name for each in holders),
            "co_ownership": "单独所有",
            "location": "永康市东城街道金城路6号2单元301室",
            "unit_no": UNIT,
            "right_type": "国有建设用地使用权／房屋（构筑物）所有权",
            "use": "住宅",
            "area_m2": "89.57",
            "registered_on": "2024-03-09",
            **face,
        },
        valid_from=date(2024, 3, 9),
    )


def numbered(count: int) -> list[Request]:
    """Different requests, as many as asked for."""
    made = [business_license(f"business/{n}", f"永康市第{n}餐饮有限公司") for n in range(count)]
    return [replace(each, subject_id=f"{each.subject_id}") for each in made]


def poppler(page: bytes, folder: Path, tool: str, *arguments: str) -> str | None:
    """What a tool of poppler-utils says of a PDF; None where it is not installed."""
    path = folder / "page.pdf"
    path.write_bytes(page)
    try:
        done = subprocess.run([tool, *arguments, str(path)], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout
