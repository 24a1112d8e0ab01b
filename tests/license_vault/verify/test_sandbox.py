"""Hostile bytes: whatever they do to their reader, a verdict comes back, and soon."""

from __future__ import annotations

import os
import random
import signal
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from license_vault.verify import Sandbox, Verdict, verify
from license_vault.verify.report import REASONS
from license_vault.verify.sandbox import MOST_BYTES, detect, from_json
from schemas.canonical import b64url
from tests.license_vault.verify.making import AT, Authority


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(wall_seconds=2)
    yield made
    made.close()


def pdf_of(*objects: bytes) -> bytes:
    """A PDF of these objects with a right cross-reference table."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n"
    return data + table + end % (len(places) + 1, len(data))


def bomb() -> bytes:
    """An object stream that unpacks to a gigabyte of spaces."""
    packed = zlib.compress(bytes(1 << 26), 9)
    twice = zlib.compress(packed, 9)
    head = b"<</Type/ObjStm/N 1/First 4/Filter[/FlateDecode/FlateDecode]/Length %d>>" % len(twice)
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", head + b"stream\n" + twice + b"\nendstream")


HOSTILE = {
    "nothing": b"",
    "one byte": b"%",
    "zeros": bytes(4096),
    "only a header": b"%PDF-1.7\n",
    "a header and noise": b"%PDF-1.7\n" + random.Random(7).randbytes(50_000),
    "arrays in arrays": pdf_of(b"<</Type/Catalog/X " + b"[" * 50_000 + b"]" * 50_000 + b">>"),
    "dictionaries in dictionaries": pdf_of(b"<</Type/Catalog/X " + b"<</A " * 40_000 + b">>"),
    "an object that is itself": pdf_of(b"1 0 R"),
    "pages that are their own parent": pdf_of(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm 2 0 R>>",
        b"<</Type/Pages/Kids[2 0 R]/Fields[2 0 R]/Parent 2 0 R/Count 1>>",
    ),
    "a cross-reference table that is its own predecessor": (
        b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n"
        b"<</Root 1 0 R/Size 1/Prev 9>>\nstartxref\n9\n%%EOF\n"
    ),
    "a bomb": bomb(),
    "a length without end": pdf_of(b"<</Length 99999999999>>stream\nx\nendstream"),
    "a byte range of nonsense": pdf_of(
        b"<</Type/Catalog/X 2 0 R>>", b"<</ByteRange[0 -5 9 /A]/Contents(x)>>"
    ),
    "a huge number": pdf_of(b"<</Type/Catalog/X " + b"9" * 400_000 + b">>"),
    "a credential of tildes": b"e30.e30.AA" + b"~" * 100_000,
    "a credential nested without end": b64url(b'{"alg":' + b"[" * 90_000).encode() + b".e30.AA~",
    "a credential of one huge part": b"A" * 60_000 + b".e30.AA~",
}


class TestHostile:
    @pytest.mark.parametrize("name", sorted(HOSTILE))
    def test_ends_in_a_verdict(self, sandbox: Sandbox, authority: Authority, name: str) -> None:
        """Never VALID, never an exception, and within the wall clock."""
        begun = time.monotonic()

        examined = sandbox.examine(HOSTILE[name], authority.trust, AT)

        assert examined.stopped is not None
        assert Verdict.VALID is not REASONS[examined.stopped].verdict
        assert time.monotonic() - begun < 6

    def test_too_large_is_not_even_read(self, authority: Authority) -> None:
        """No license is larger than ten megabytes."""
        report = verify(b"%PDF-1.7\n" + bytes(MOST_BYTES), authority.trust, AT)

        assert (Verdict.UNREADABLE, "too-large") == (report.verdict, report.reason)

    def test_noise(self, sandbox: Sandbox, authority: Authority, sealed_pdf: bytes) -> None:
        """A genuine license with stretches of it overwritten at random."""
        chance = random.Random(3)
        for _ in range(15):
            spoiled = bytearray(sealed_pdf)
            at, length = chance.randrange(len(spoiled)), chance.randrange(1, 400)
            spoiled[at : at + length] = chance.randbytes(length)
            assert sandbox.examine(bytes(spoiled), authority.trust, AT).stopped is not None


class TestLimits:
    @pytest.fixture
    def confined(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
        """A sandbox whose reader does what the first line of the document says."""
        (tmp_path / "misbehaving.py").write_text(MISBEHAVING)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr("license_vault.verify.sandbox.WORKER", "misbehaving")
        made = Sandbox(wall_seconds=1)
        yield made
        made.close()

    @pytest.mark.parametrize(
        ("deed", "reason"),
        [
            ("loop", "reader-out-of-time"),
            ("sleep", "reader-out-of-time"),
            ("memory", "reader-died"),
            ("write", "damaged"),
            ("open", "damaged"),
            ("exit", "reader-died"),
            ("kill", "reader-died"),
            ("chatter", "reader-died"),
            ("lie", "reader-died"),
            ("deep", "damaged"),
        ],
    )
    def test_a_reader_that_was_taken_over(
        self, confined: Sandbox, authority: Authority, deed: str, reason: str
    ) -> None:
        """It cannot loop, hoard, write, open, or answer nonsense that is believed."""
        begun = time.monotonic()

        examined = confined.examine(b"%PDF-" + deed.encode(), authority.trust, AT)

        assert reason == examined.stopped
        assert time.monotonic() - begun < 5

    def test_after_every_death_the_next_is_answered(
        self, confined: Sandbox, authority: Authority
    ) -> None:
        """One document's harm ends with it."""
        confined.examine(b"%PDF-kill", authority.trust, AT)

        assert "damaged" == confined.examine(b"%PDF-open", authority.trust, AT).stopped


class TestServing:
    def test_a_dead_server_is_started_again(self, authority: Authority, credential: bytes) -> None:
        """Killing the fork server costs a moment, not an answer."""
        sandbox = Sandbox()
        assert sandbox.examine(credential, authority.trust, AT).stopped is None
        assert sandbox.server is not None
        os.kill(sandbox.server, signal.SIGKILL)
        time.sleep(0.1)

        assert sandbox.examine(credential, authority.trust, AT).stopped is None
        sandbox.close()

    def test_many_at_once(self, sandbox: Sandbox, authority: Authority, credential: bytes) -> None:
        """Threads share it; every one gets its own answer."""
        with ThreadPoolExecutor(8) as threads:
            answers = [
                threads.submit(sandbox.examine, credential, authority.trust, AT) for _ in range(24)
            ]

        assert {None} == {each.result().stopped for each in answers}

    def test_a_verification_takes_tens_of_milliseconds(
        self, sandbox: Sandbox, authority: Authority, sealed_pdf: bytes
    ) -> None:
        """Warm: the parser is imported once."""
        sandbox.examine(sealed_pdf, authority.trust, AT)
        begun = time.monotonic()
        for _ in range(5):
            sandbox.examine(sealed_pdf, authority.trust, AT)

        assert (time.monotonic() - begun) / 5 < 0.5


class TestAnswers:
    def test_an_answer_cannot_stop_with_a_proof(self) -> None:
        """A child that says `proved` where it should say why it stopped is not believed."""
        told: dict[str, Any] = {
            "form": "",
            "steps": [],
            "stopped": "proved",
            "facts": None,
            "pointer": None,
        }

        with pytest.raises(ValueError, match="never a proof"):
            from_json({**told, "record": ""})

    @pytest.mark.parametrize(
        ("data", "form"),
        [(b"", "empty"), (b"MZ", "unknown-format"), (b"\n%PDF-2.0", "pdf"), (b"a.b.c~", "sd-jwt")],
    )
    def test_forms(self, data: bytes, form: str) -> None:
        """A document is what its first bytes say, whatever its name or media type was."""
        assert form == detect(data)


MISBEHAVING = """
import os, signal, sys, time
from license_vault.verify import worker

def misbehave(data, bundle, at):
    deed = data[5:].decode()
    if deed == "loop":
        while True:
            pass
    if deed == "sleep":
        time.sleep(60)
    if deed == "memory":
        hoard = [bytes(1 << 20) for _ in range(4096)]
    if deed == "write":
        os.write(os.memfd_create("x"), b"x" * 10)
    if deed == "open":
        open("/etc/passwd")
    if deed == "exit":
        os._exit(0)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "chatter":
        os._exit(len([os.write(fd, b"x" * 900_000) for _ in range(4) for fd in [socket_of()]]))
    if deed == "lie":
        os.write(socket_of(), b'{"form": "pdf", "stopped": null, "steps": [{"number": 1}]}')
        os._exit(0)
    if deed == "deep":
        def down(n):
            return down(n + 1)
        down(0)
    raise ValueError(deed)

def socket_of():
    import stat
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass

worker.EXAMINERS["pdf"] = misbehave
import socket
worker.serve(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2]))
"""
