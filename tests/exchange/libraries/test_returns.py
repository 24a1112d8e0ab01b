"""Quarantine as files: out to who must mend it, and back."""

from __future__ import annotations

import csv
import stat
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from exchange.libraries import journey, repair, returns
from schemas.errors import Invalid
from tests.exchange.libraries.conftest import ADA, BEN, City, Loosen, resident

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture
def refused(city_of: City, loosened: Loosen) -> City:
    """A batch of two residents, one of whom may not enter: row 2."""
    loosened("residents")
    spoiled = resident(BEN, "欧阳\n娜娜", XBDM="?", LXDH=None, HJDZ='路"1",号')
    city_of["residents"].sends("1", [resident(ADA), spoiled])
    journey.collect(city_of.settings, "residents")
    return city_of


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class TestExport:
    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    def test_only_its_owner_reads_it(self, refused: City, tmp_path: Path, suffix: str) -> None:
        """It is personal data in clear."""
        path = tmp_path / f"out{suffix}"

        assert 1 == returns.export(refused.settings, "residents", path)
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)

    def test_a_spreadsheet_shows_it(self, refused: City, tmp_path: Path) -> None:
        """With the mark, every reason, and every column as it was sent."""
        path = tmp_path / "out.csv"
        returns.export(refused.settings, "residents", path)

        (row,) = table(path)

        assert b"\xef\xbb\xbf" == path.read_bytes()[:3]
        assert ("1", "2", "sex:unknown-code") == (row["batch"], row["row_number"], row["reasons"])
        assert (BEN, "欧阳\n娜娜", "", '路"1",号') == tuple(
            row[name] for name in ("GMSFHM", "XM", "LXDH", "HJDZ")
        )

    def test_parquet_holds_the_same(self, refused: City, tmp_path: Path) -> None:
        """Texts stay texts, and what was absent is absent."""
        path = tmp_path / "out.parquet"
        returns.export(refused.settings, "residents", path)

        (row,) = pq.read_table(path).to_pylist()

        assert (1, 2, BEN, None) == tuple(
            row[name] for name in ("batch", "row_number", "GMSFHM", "LXDH")
        )

    def test_nothing_is_overwritten(self, refused: City, tmp_path: Path) -> None:
        """A file that is there stays as it is."""
        path = tmp_path / "out.csv"
        path.write_text("mine")

        with pytest.raises(Invalid, match=r"out\.csv is there already"):
            returns.export(refused.settings, "residents", path)

        assert "mine" == path.read_text()

    def test_what_is_settled_is_left_out(self, refused: City, tmp_path: Path) -> None:
        """A batch that was repaired has nothing to return."""
        path = tmp_path / "out.csv"
        row = {**resident(BEN), "SWRQ": None}
        given = repair.Repaired(1, 2, {k: None if v is None else str(v) for k, v in row.items()})
        repair.repair(refused.settings, "residents", [given], by="李", reason="核实")

        assert 0 == returns.export(refused.settings, "residents", path)


class TestGiveBack:
    def test_a_department_without_a_drop_gets_a_file_to_be_carried(self, refused: City) -> None:
        """It lies in a folder that nobody else enters."""
        given = returns.give_back(refused.settings, "residents", AT)

        path = Path(given.place)
        assert (1, "residents-20261120-173000.csv") == (given.rows, path.name)
        assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
        assert [BEN] == [row["GMSFHM"] for row in table(path)]

    def test_a_drop_gets_it_as_the_department_writes(
        self, city_of: City, loosened: Loosen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In its folder, in its encoding; and what comes back of it is read."""
        loosened("registrations")
        monkeypatch.setenv("YIZHAN_SOURCE_REGISTRATIONS_FOLDER", str(tmp_path))
        manifest = journey.manifest_of(city_of.settings, "registrations")
        row = dict.fromkeys(manifest.source_columns, "错")
        city_of["registrations"].sends("1", [row])
        journey.collect(city_of.settings, "registrations")

        given = returns.give_back(city_of.settings, "registrations", AT)

        (back,) = returns.repaired(tmp_path / given.place)
        assert (1, 1, row) == (back.batch, back.row_number, back.row)
        assert "错".encode("gb18030") in (tmp_path / given.place).read_bytes()

    def test_nothing_open_is_no_file(self, city_of: City) -> None:
        """A department with nothing to mend is left in peace."""
        city_of["residents"].sends("1", [resident(ADA)])
        journey.collect(city_of.settings, "residents")

        assert returns.Returned("", 0) == returns.give_back(city_of.settings, "residents", AT)
        assert [] == list((city_of.settings.home / "returns" / "residents").iterdir())


class TestComingBack:
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
    @pytest.mark.parametrize("delimiter", [",", ";"])
    def test_the_file_filled_in_is_the_repair(
        self, refused: City, tmp_path: Path, encoding: str, delimiter: str
    ) -> None:
        """The department mends what it was given and hands it back, as its programs write."""
        path = tmp_path / "out.csv"
        returns.export(refused.settings, "residents", path)
        (row,) = table(path)
        with (tmp_path / "back.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, row, delimiter=delimiter)
            writer.writeheader()
            writer.writerow({**row, "XBDM": "女"})

        outcome = repair.repair(
            refused.settings,
            "residents",
            returns.repaired(tmp_path / "back.csv"),
            by="李",
            reason="核实",
        )

        assert 1 == outcome.counts["inserted"]
        assert [("欧阳\n娜娜",)] == refused.rows(
            f"SELECT name FROM library.population_resident WHERE resident_id = '{BEN}'"
        )

    def test_parquet_and_json_lines_come_back_too(self, refused: City, tmp_path: Path) -> None:
        """All three say the same."""
        for name in ("out.csv", "out.parquet"):
            returns.export(refused.settings, "residents", tmp_path / name)
        rows = returns.repaired(tmp_path / "out.parquet")
        told = [{"batch": r.batch, "row_number": r.row_number, **r.row} for r in rows]
        (tmp_path / "out.jsonl").write_bytes(b"\n".join(map(orjson.dumps, told)))

        assert (
            returns.repaired(tmp_path / "out.csv")
            == rows
            == returns.repaired(tmp_path / "out.jsonl")
        )

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.csv", b"batch,row_number,XM\n1,2\n", "line 2 has not as many columns"),
            ("a.csv", b"batch,row_number,XM\n1,2,a,b\n", "line 2 has not as many columns"),
            ("a.csv", b"XM\na\n", "line 2 does not say which row"),
            ("a.csv", b"batch,row_number,XM\n1,\xff\xff\xff,b\n", "cannot be read as csv"),
            ("a.jsonl", b"{", "line 1 is no JSON object"),
            ("a.jsonl", b'{"batch": "eins", "row_number": 2}', "line 1 does not say which row"),
            ("a.parquet", b"PAR1", "cannot be read as parquet"),
            ("a.xlsx", b"", "ends neither"),
        ],
    )
    def test_a_broken_file_is_said_by_its_line(
        self, tmp_path: Path, name: str, content: bytes, said: str
    ) -> None:
        """The line is named and not repeated."""
        (tmp_path / name).write_bytes(content)

        with pytest.raises(Invalid, match=said):
            returns.repaired(tmp_path / name)
