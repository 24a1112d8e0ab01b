"""The frame of the benches: what it says and writes. Nothing here is timed."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.callers import request
from tests.bench.load import Plan, Told, send
from tests.bench.report import Figure, machine, processor_seconds, write
from tests.bench.requests import different

FIGURE = Figure("query_vs_pgbench", 0.5, "ratio", "pgbench, the same run")
MANY = 64


class TestReport:
    def test_each_figure_says_what_it_was_held_against(self, tmp_path: Path) -> None:
        """Value, unit, peer and machine stand under the figure's name."""
        write([FIGURE], machine(), tmp_path / "bench.json")

        told = json.loads((tmp_path / "bench.json").read_text())
        assert {"query_vs_pgbench"} == set(told)
        assert (0.5, "ratio") == (told[FIGURE.name]["value"], told[FIGURE.name]["unit"])
        assert "pgbench, the same run" == told[FIGURE.name]["against"]
        assert {"python", "system", "cores", "memory_gib", "load"} == set(
            told[FIGURE.name]["machine"]
        )

    def test_processor_time_counts_children_that_ended(self) -> None:
        """What a group starts and ends is in its cost."""
        before = processor_seconds()

        assert processor_seconds() >= before > 0

    def test_every_group_can_be_asked_for(self) -> None:
        """A group is a module with one verb."""
        for group in (*bench.GROUPS, *bench.REHEARSALS):
            assert callable(importlib.import_module(f"tests.bench.{group}").measure)

    def test_an_unknown_group_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """ONLY= takes the groups, the rehearsal and nothing else."""
        monkeypatch.setattr("sys.argv", ["bench", "everything"])

        assert 2 == bench.main()

    def test_one_group_prints_and_writes(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """`make bench ONLY=vault` shows a table and leaves `bench.json` behind."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["bench", "vault"])
        monkeypatch.setattr("tests.bench.vault.measure", lambda folder: [FIGURE])

        assert 0 == bench.main()
        assert FIGURE.name in json.loads((tmp_path / "bench.json").read_text())
        assert FIGURE.name in capsys.readouterr().out

    def test_what_was_measured_survives_what_failed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A group that breaks off leaves the figures before it."""

        def measure(folder: Path) -> Iterator[Figure]:
            yield FIGURE
            raise OSError("the disk is full")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["bench", "vault"])
        monkeypatch.setattr("tests.bench.vault.measure", measure)

        with pytest.raises(OSError, match="disk"):
            bench.main()

        assert {FIGURE.name} == set(json.loads((tmp_path / "bench.json").read_text()))


class TestLoad:
    @pytest.fixture
    def port(self) -> Iterator[int]:
        """A server that answers 200 to whatever has a body `{"n":…}`, and 404 to all else."""
        ready, stop = threading.Event(), threading.Event()
        ports: list[int] = []

        async def serve() -> None:
            server = await asyncio.start_server(_answer, "127.0.0.1", 0)
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.to_thread(stop.wait)
            server.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        ready.wait()
        yield ports[0]
        stop.set()
        thread.join()

    @pytest.mark.parametrize("rate", [None, 1000.0])
    def test_every_request_is_answered_once(self, port: int, rate: float | None) -> None:
        """Closed or open, each request goes out once over one of the connections."""
        requests = [request("/x", {"n": n}) for n in range(MANY)]

        told = send(Plan(port, requests, 4, rate))

        assert MANY == len(told.latencies) == told.statuses[200]
        assert told.seconds > 0

    def test_a_refused_request_is_no_figure(self, port: int) -> None:
        """A rate of errors would be a fast one: it fails the bench instead."""
        with pytest.raises(AssertionError, match="404"):
            send(Plan(port, [request("/x", {"other": 1})], 1))

    def test_shares_are_taken_from_the_sorted_times(self) -> None:
        """p99 of a hundred is the hundredth, the median the fifty-first."""
        told = Told(1.0, [n / 1000 for n in range(1, 101)], {200: 100})

        assert 100.0 == told.milliseconds(0.99)
        assert 51.0 == told.milliseconds(0.5)
        assert 100.0 == told.per_second


class TestDifferent:
    def test_no_two_licenses_are_alike(self) -> None:
        """Typst remembers what it drew: requests that repeat would measure its memory."""
        made = different(MANY)

        assert MANY == len({each.number for each in made}) == len({each.key for each in made})
        assert MANY == len({str(each.face) for each in made})
        assert MANY == len({each.holders[0].id for each in made})


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        status = b"200 OK" if body.startswith(b'{"n"') else b"404 Not Found"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
    writer.close()
