"""Adding a source by files alone: by an engineer's commands, and by the page that teaches them."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from exchange.cli import mounted
from exchange.settings import Settings
from schemas.grant import Form, Mode, Subject
from tests.conftest import RunningCluster
from tests.exchange.hubs import AUTHORITY, running_hub
from tests.schemas.numbers import RESIDENTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-a-data-source.md"
DATASET = "market.stall"
OWNER = "永康市综合行政执法局"
HEADER = "摊位编号,摊位名称,经营类别,经营者身份证号,面积,起租日期,更新时间"
KINDS = ("小吃", "百货", "鲜花")
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOME = ".yizhan/demo"
VARYING = (
    (r"\bbatch \d+", "batch N"),
    (r'"_batch":\d+', '"_batch":N'),
    (r"\w+ on 127\.0\.0\.1:\d+ is", "ours is"),
    (r"─+", ""),
    (r"\d{4}-\d\d-\d\d +stalls", "a day, stalls"),
    (r"\b\d+ (min|h|days) old", "a while old"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "a moment"),
)


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment of an engineer: a home, and a database of one's own."""
    where = settings.database
    (settings.home / "secrets").mkdir(mode=0o700)
    for role, password in where.passwords.items():
        (settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(settings.home))
    monkeypatch.setenv(
        "YIZHAN_DATABASE_URL", f"postgresql://{where.host}:{where.port}/{where.name}"
    )
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(settings.home.parent)
    return settings


def types(*words: str, stdin: str = "", status: int = 0) -> str:
    """Type a command; get what it printed."""
    result = CliRunner().invoke(mounted(words[0]), words, input=stdin, catch_exceptions=False)
    assert status == result.exit_code, result.output
    return result.stdout


def row(number: int, **changes: str) -> dict[str, str]:
    """One stall of the market office."""
    usual = {
        "摊位编号": f"T{number:03d}",
        "摊位名称": f"第{number}号摊",
        "经营类别": KINDS[number % 3],
        "经营者身份证号": RESIDENTS[number % len(RESIDENTS)],
        "面积": f"{5 + number / 4:.2f}",
        "起租日期": f"2024-0{1 + number % 9}-15",
        "更新时间": f"{datetime.now(SHANGHAI) - timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }
    return {**usual, **changes}


@dataclass(frozen=True)
class Office:
    """The market office: where it puts its deliveries."""

    folder: Path

    def delivers(self, day: int, rows: Sequence[Mapping[str, str]]) -> None:
        """A whole delivery with its control file."""
        name = f"tanwei_202611{day:02d}"
        lines = [HEADER, *(",".join(each.values()) for each in rows)]
        content = "".join(f"{line}\r\n" for line in lines).encode("gb18030")
        (self.folder / f"{name}.csv").write_bytes(content)
        (self.folder / f"{name}.ctl").write_text(f"ROWS={len(rows)}\n")


@pytest.fixture
def office(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office that has delivered thirty stalls."""
    folder = tmp_path / "drop"
    folder.mkdir()
    monkeypatch.setenv("YIZHAN_SOURCE_STALLS_FOLDER", str(folder))
    opened = Office(folder)
    opened.delivers(22, [row(number) for number in range(30)])
    return opened


def added(*more: str) -> dict[str, Any]:
    """What `source new` says of the office's stalls."""
    said: dict[str, Any] = json.loads(
        types(
            *("source", "new", "stalls", "--kind", "file_drop", "--dataset", DATASET),
            *("--owner", OWNER, "--title", "便民摊位", "--call", "摊位编号=stall_no", "--json"),
            *more,
        )
    )
    return said


class TestByFilesAlone:
    def test_from_a_folder_to_an_answer(self, office: Office, home: Settings) -> None:
        """A CSV in GB18030 becomes a dataset that the hub answers about: no line of code."""
        new = added()
        checked = {each["what"]: each for each in json.loads(_check(status=1))}
        assert ["stall_no"] == new["key"]
        assert (30, 0) == (new["sample"]["rows"], new["sample"]["quarantined"])
        assert {"tables"} == {what for what, each in checked.items() if each["state"] == "wrong"}
        assert "yizhan db upgrade" == checked["tables"]["next"]

        types("db", "upgrade")
        assert [] == [each for each in json.loads(_check()) if each["state"] != "right"]
        ran = json.loads(types("library", "run", "stalls", "--json"))

        assert ("published", 30) == (ran["state"], ran["counts"]["inserted"])
        with running_hub(home) as hub, hub.client() as client:
            hub.give(
                resource=DATASET,
                fields={"stall_no": Form.PLAIN, "name": Form.PLAIN, "resident_id": Form.MASKED},
                modes=frozenset({Mode.QUERY}),
            )
            subject = Subject("cn.resident_id", RESIDENTS[3])
            answer = client.query(DATASET, subject, ["stall_no", "resident_id"], AUTHORITY)
        assert ["T003", "T013", "T023"] == answer["values"]["stall_no"]["value"]
        assert answer["values"]["resident_id"]["masked"]
        assert OWNER == answer["values"]["stall_no"]["source"]

    def test_the_next_delivery_removes_and_refuses(self, office: Office) -> None:
        """A row that is gone leaves the library; a wrong one stays out, and what was right in."""
        added()
        types("db", "upgrade")
        types("library", "run", "stalls")
        rows = [row(number) for number in range(1, 30)]
        rows[4]["经营者身份证号"] = RESIDENTS[5][:-1] + ("0" if RESIDENTS[5][-1] != "0" else "1")
        rows[5]["经营类别"] = "杂技"
        office.delivers(23, rows)

        counts = json.loads(types("library", "run", "stalls", "--json"))["counts"]

        assert (1, 2) == (counts["deleted"], counts["quarantined"])
        assert {"kind:unknown-code": 1, "resident_id:check-character": 1} == counts["reasons"]
        before, after = "2000-01-01T00:00:00+08:00", "2100-01-01T00:00:00+08:00"
        assert (
            "T005"
            == json.loads(types("library", "as-of", DATASET, after, stdin="T005\n"))["stall_no"]
        )
        types("library", "as-of", DATASET, after, stdin="T000\n", status=1)
        types("library", "as-of", DATASET, before, stdin="T005\n", status=1)

    def test_airflow_sees_it(self, office: Office, home: Settings, tmp_path: Path) -> None:
        """The DAG is made from the files, with its pool, its pace and its page."""
        added("--schedule", "15m")
        asked = """
import json
from dags import collect
dag = collect.collect__stalls
land, load = dag.get_task("land"), dag.get_task("load")
print(json.dumps([dag.dag_id, land.pool, str(dag.schedule), dag.doc_md]))
"""
        done = subprocess.run(
            [sys.executable, "-c", asked],
            env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

        assert 0 == done.returncode, done.stderr
        name, pool, pace, page = json.loads(done.stdout.splitlines()[-1])
        assert ("collect__stalls", "system:stalls", "0:15:00") == (name, pool, pace)
        assert OWNER in page
        assert "wrong" not in page.splitlines()[0]


def _check(*more: str, status: int = 0) -> str:
    return types("source", "check", "stalls", "--json", *more, status=status)


class TestThePage:
    def test_says_what_its_commands_do(self, home: Settings, department: str) -> None:
        """Every command of the page runs in its order, and prints what the page says it prints."""
        blocks = commands(PAGE.read_text("utf-8"))
        said = ran([command for command, _ in blocks], department, home.home)

        for (command, expected), printed in zip(blocks, said, strict=True):
            assert plain(expected, home.home) == plain(printed, home.home), command
        assert 3 == len(json.loads(types("library", "list", "--json")))
        types("library", "alerts")


@pytest.fixture
def department(cluster: RunningCluster) -> Iterator[str]:
    """A database of a department: its clerk's address."""
    name = f"office_{secrets.token_hex(4)}"
    cluster.create(name)
    with cluster.admin(name) as admin:
        dsn = f"{admin.info.dsn} password={admin.info.password}"
    yield dsn
    cluster.drop(name)


def commands(page: str) -> list[tuple[str, str]]:
    """The page's commands, each with what the page says that it prints."""
    found = re.finditer(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", page, re.M | re.S)
    return [(each[1], each[2] or "") for each in found]


def ran(commands: Sequence[str], dsn: str, home: Path) -> list[str]:
    """What each command prints when one shell runs them all."""
    script = "".join(f"{command}\nprintf '\\036'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={
            **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
            "YIZHAN_SOURCE_MARKETS_DSN": dsn,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    return done.stdout.split("\x1e")[:-1]


def plain(printed: str, home: Path) -> list[str]:
    """The words without what differs from run to run: places, batches, ages, rules of tables."""
    text = printed.replace(str(home), HOME)
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text.split()
