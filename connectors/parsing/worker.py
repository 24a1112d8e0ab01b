"""The child: reads the file that is its standard input, writes an Arrow stream, then a verdict.

It has limits on memory, processor time and open files and may write to no file. Started by `child`
only. What a reader does on hostile bytes, dying included, is an answer there.
"""

from __future__ import annotations

import codecs
import importlib
import json
import os
import re
import resource
import sys
from pathlib import Path

import pyarrow as pa

from connectors.parsing import forms
from connectors.parsing.faults import Fault
from connectors.parsing.spec import MEGABYTE, Spec

MEMORY = {"csv": 512, "jsonl": 768, "xlsx": 3072, "parquet": 1536}
CPU_SECONDS = 120
CPU_SECONDS_PER_MEGABYTE = 4


def main() -> None:
    """Answer one question."""
    spec, verdict = Spec.from_json(sys.argv[1]), int(sys.argv[2])
    file = os.fdopen(0, "rb")
    _warm(spec)
    status = os.open("/proc/self/status", os.O_RDONLY)
    _limit(spec, os.fstat(0).st_size)
    answer = _answer(file, spec)
    answer["peak_kb"] = _peak(os.read(status, 4096))
    os.write(verdict, json.dumps(answer).encode())
    os._exit(0)


def _answer(file: object, spec: Spec) -> dict[str, object]:
    try:
        return {"rows": _written(file, spec)}
    except Fault as fault:
        return {"fault": fault.code, "numbers": fault.numbers}
    except MemoryError:
        return {"fault": "out-of-memory", "numbers": {}}
    except BaseException:  # noqa: BLE001 - a reader's panic on hostile bytes is a verdict
        return {"fault": "unreadable", "numbers": {}}


def _written(file: object, spec: Spec) -> int:
    count = 0
    found = forms.rows(file, spec)  # type: ignore[arg-type]  # a reader of bytes
    schema = pa.schema([(name, pa.string()) for name in found.names])
    with os.fdopen(1, "wb", closefd=False) as out, pa.ipc.new_stream(out, schema) as stream:
        for batch in found.batches:
            stream.write_batch(batch)
            count += batch.num_rows
    return count


def _peak(status: bytes) -> int:
    found = re.search(rb"VmHWM:\s*(\d+)", status)
    return int(found[1]) if found else 0


def _limit(spec: Spec, size: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY[spec.form] * MEGABYTE
    seconds = CPU_SECONDS + size // MEGABYTE * CPU_SECONDS_PER_MEGABYTE
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),  # what is open stays open; nothing else can be opened
    ):
        resource.setrlimit(limit, (value, value))


def _warm(spec: Spec) -> None:
    """Import what reading will need: a limited child can open no file."""
    for name in ("encodings.utf_8_sig", "encodings.cp437", "encodings.gb18030", "encodings.idna"):
        importlib.import_module(name)
    for encoding in ("gb18030", "cp437", spec.encoding):
        codecs.lookup(encoding)
    importlib.import_module((forms.STREAMED | forms.REACHED)[spec.form])
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


if __name__ == "__main__":
    main()
