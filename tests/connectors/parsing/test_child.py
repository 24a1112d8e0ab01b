"""The child: whatever it does, the parent has rows or a name for what went wrong, and soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pytest

from connectors.parsing.child import Child
from connectors.parsing.faults import Fault
from connectors.parsing.spec import MEGABYTE, Packing, Spec
from tests.connectors.parsing.test_archives import bomb
from tests.connectors.parsing.test_formats import PACK, parquet
from tests.connectors.parsing.workbooks import DATE, error, number, sheet, table, text, workbook


@contextmanager
def lying(data: bytes) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file


def read(data: bytes, spec: Spec) -> list[dict[str, str | None]]:
    with lying(data) as file, closing(Child(file, spec)) as child:
        return [row for batch in child for row in batch.to_pylist()]


class TestReading:
    @pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
    @pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx", "parquet"])
    def test_every_form_under_limits(self, form: str, packing: Packing) -> None:
        """Nothing that reading needs is loaded late, when no file can be opened any more."""
        data, spec = {
            "csv": ("A\n一\n".encode("gb18030"), Spec("csv", packing, "gb18030")),
            "jsonl": ('{"A":"一"}\n'.encode(), Spec("jsonl", packing)),
            "xlsx": (table(["A"], [["一"]]), Spec("xlsx", packing)),
            "parquet": (parquet({"A": pa.array(["一"])}), Spec("parquet", packing)),
        }[form]

        assert [{"A": "一"}] == read(PACK[packing](data), spec)

    def test_the_rare_ways_under_limits(self) -> None:
        """The strict reader, the slow reader, dates and errors of cells, times of columns."""
        lines = "".join(f'{{"A": {at}, "B": "{"x" * 200}"}}\n' for at in range(9000))
        cells = {1: [text("A"), text("B")], 2: [number("46027", DATE), error("#N/A")]}

        assert [{"A": "1\n2"}] == read(b'A\n"1\n2"\n', Spec("csv"))
        assert "8999" == read(lines.encode(), Spec("jsonl"))[-1]["A"]
        assert "8999.5" == read(lines.encode()[:-1] + b'\n{"A": 8999.5}\n', Spec("jsonl"))[-1]["A"]
        assert [{"A": "2026-01-05", "B": "#N/A"}] == read(
            workbook({"a": sheet(cells)}), Spec("xlsx")
        )

    def test_a_file_without_rows_has_columns(self) -> None:
        with lying(b"A,B\n") as file, closing(Child(file, Spec("csv"))) as child:
            [batch] = child

        assert (["A", "B"], 0) == (batch.schema.names, batch.num_rows)

    def test_memory_does_not_grow_with_the_file(self) -> None:
        """Ten times the rows, the same peak: it is read by the stream."""
        line = ("330102199001011234," + "永康市" * 20 + "\n").encode("gb18030")
        few, many = (peak_of(b"A,B\n" + line * rows) for rows in (100_000, 1_000_000))

        assert many < few + 100 * 1024
        assert many < 300 * 1024

    def test_one_that_has_seen_enough_ends_the_child(self) -> None:
        with lying(b"A\n" + b"1\n" * 20_000_000) as file:
            child = Child(file, Spec("csv"))
            next(iter(child))
            child.close()

        assert not Path(f"/proc/{child.pid}").exists()


def peak_of(data: bytes) -> int:
    with lying(data) as file, closing(Child(file, Spec("csv", encoding="gb18030"))) as child:
        assert sum(batch.num_rows for batch in child)
        return child.peak_kb


class TestHostile:
    @pytest.mark.parametrize(
        ("limit", "codes"),
        [
            ("worker.MEMORY['csv'] = 4", {"out-of-memory", "died"}),
            (
                "worker.CPU_SECONDS = 1; worker._written = lambda *_: any(iter(int, 1))",
                {"out-of-time"},
            ),
        ],
    )
    def test_limits_end_in_a_name(
        self, monkeypatch: pytest.MonkeyPatch, limit: str, codes: set[str]
    ) -> None:
        """The child, not the machine, runs out of memory or of time."""
        taken_over(monkeypatch, f"from connectors.parsing import worker; {limit}; worker.main()")

        assert fault(bomb(20 * MEGABYTE), Spec("csv", "zip")) in codes

    @pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV])
    def test_a_child_that_dies(self, by: int) -> None:
        with (
            lying(b"A\n" + b"1\n" * 20_000_000) as file,
            closing(Child(file, Spec("csv"))) as child,
        ):
            batches = iter(child)
            next(batches)
            os.kill(child.pid, by)

            with pytest.raises(Fault, match=r"died|out-of-time"):
                list(batches)

    @pytest.mark.parametrize(
        "code",
        [
            "import os; os.write(1, b'nonsense')",
            "import os, sys; os.write(int(sys.argv[2]), b'[]')",
            "import os, sys; os.write(int(sys.argv[2]), b'{\"rows\": 0}')",
            'import os, sys; os.write(int(sys.argv[2]), b\'{"fault": "secret 330102"}\')',
            "import os; os.abort()",
            "raise SystemExit(3)",
        ],
    )
    def test_a_child_that_was_taken_over(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        """It may say what it likes: nothing of it is believed or repeated."""
        taken_over(monkeypatch, code)

        assert "died" == fault(b"A\n1\n", Spec("csv"))

    def test_rows_that_are_no_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken_over(
            monkeypatch,
            "import os, sys, pyarrow as pa\n"
            "out = os.fdopen(1, 'wb')\n"
            "batch = pa.RecordBatch.from_pydict({'a': [1]})\n"
            "stream = pa.ipc.new_stream(out, batch.schema); stream.write_batch(batch)\n"
            "stream.close(); out.close(); os.write(int(sys.argv[2]), b'{\"rows\": 1}')",
        )

        assert "died" == fault(b"A\n1\n", Spec("csv"))

    def test_fewer_rows_than_it_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The verdict vouches for the stream: a planted loss shows."""
        taken_over(
            monkeypatch,
            "import os, sys, pyarrow as pa\n"
            "out = os.fdopen(1, 'wb')\n"
            "batch = pa.RecordBatch.from_pydict({'a': ['1']})\n"
            "stream = pa.ipc.new_stream(out, batch.schema); stream.write_batch(batch)\n"
            "stream.close(); out.close(); os.write(int(sys.argv[2]), b'{\"rows\": 2}')",
        )

        assert "died" == fault(b"A\n1\n", Spec("csv"))

    def test_one_that_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken_over(monkeypatch, "import time; time.sleep(60)")
        begun = time.monotonic()
        with (
            lying(b"A\n1\n") as file,
            closing(Child(file, Spec("csv"), silent=0.2)) as child,
            pytest.raises(Fault, match=r"out-of-time"),
        ):
            list(child)

        assert time.monotonic() - begun < 15

    def test_it_finds_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing of our environment, and none of our open files."""
        monkeypatch.setenv("YIZHAN_SOURCE_PASSWORD", "secret")
        with (
            lying(b"A\n" + b"1\n" * 20_000_000) as file,
            closing(Child(file, Spec("csv"))) as child,
        ):
            next(iter(child))
            environment = Path(f"/proc/{child.pid}/environ").read_bytes()
            opened = len(list(Path(f"/proc/{child.pid}/fd").iterdir()))
            limits = Path(f"/proc/{child.pid}/limits").read_text()

        assert b"YIZHAN" not in environment
        assert opened < 12
        assert ["0", "0"] == next(
            line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")
        )


def taken_over(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have a child run other code, as one that a parser's error took over."""

    def started(command: list[str], **how: object) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", code, *command[3:]], **how)  # type: ignore[call-overload,no-any-return]  # the same arguments

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", started)


def fault(data: bytes, spec: Spec) -> str:
    with (
        lying(data) as file,
        closing(Child(file, spec)) as child,
        pytest.raises(Fault) as raised,
    ):
        for _ in child:
            pass
    return raised.value.code
