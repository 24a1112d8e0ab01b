"""The generated city: the same from the same seed, of any size, and true to its truth.

The judge here is the vocabulary's own checks (`schemas.identifiers`), which the generator does not
use: where the two agree on every row, neither is wrong alone.
"""

from __future__ import annotations

import ast
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.feeds import load_manifests
from connectors.testkit import city as package
from connectors.testkit.city import SOURCES, City, Truth, generate
from connectors.testkit.city.lots import Row
from connectors.testkit.city.truth import Expected
from schemas.codes import code_list
from schemas.contract import load as contract_of
from schemas.identifiers import InvalidIdentifier, Normalised, real_estate_unit, resident, uscc

DATASETS = {
    "population.resident": "residents",
    "legal_entity.registration": "registrations",
    "real_estate.unit": "units",
    "real_estate.right": "rights",
}


@pytest.fixture(scope="module")
def city() -> City:
    return generate(seed=7, people=3000)


class TestRepeatable:
    def test_the_same_seed_is_the_same_city(self, city: City) -> None:
        assert city == generate(seed=7, people=3000)

    def test_another_seed_is_another(self, city: City) -> None:
        assert city.residents[9] != generate(seed=8, people=3000).residents[9]

    def test_a_hundred_thousand_in_ten_seconds(self) -> None:
        """Processor time, so that a busy machine does not decide."""
        began = time.process_time()

        grown = generate(seed=7, people=100_000)

        assert 10 > time.process_time() - began
        told = ("population.resident", "legal_entity.registration", "real_estate.unit")
        assert [100_000, 10_000, 33_333] == [
            expected.library_rows + expected.quarantined.total() - torn(expected)
            for expected in (grown.truth.datasets[name] for name in told)
        ]

    def test_too_small_to_hold_its_defects(self) -> None:
        with pytest.raises(ValueError, match="at least"):
            generate(seed=7, people=10)

    @pytest.mark.parametrize("people", [100, 1000])
    def test_small_cities_hold_every_defect(self, people: int) -> None:
        truth = generate(seed=7, people=people).truth

        for name in DATASETS:
            expected = truth.datasets[name]
            assert expected.duplicates
            assert expected.quarantined["conflicting-duplicate"]
            assert expected.quarantined["identifier"]
            assert expected.quarantined["unknown-code"]

    @pytest.mark.parametrize("people", [100, 1000])
    def test_every_table_holds_some(self, people: int) -> None:
        """Refused rows of more than one kind, and something that is mended, doubled or flagged."""
        for table in generate(seed=7, people=people).tables.values():
            expected = table.expected

            assert len(+expected.quarantined) > 1, table.dataset
            assert expected.normalised or expected.duplicates or expected.planted, table.dataset


class TestTruth:
    def test_every_row_has_one_fate(self, city: City) -> None:
        for dataset, rows in DATASETS.items():
            sent: list[Row] = getattr(city, rows)

            assert len(sent) == city.truth.datasets[dataset].rows_sent
        for dataset, table in city.tables.items():
            assert len(table.rows) == city.truth.datasets[dataset].rows_sent
        for expected in city.truth.datasets.values():
            assert expected.rows_sent == (
                expected.library_rows + expected.duplicates + expected.quarantined.total()
            )

    @pytest.mark.parametrize(
        ("rows", "column", "check", "dataset"),
        [
            ("residents", "GMSFHM", resident, "population.resident"),
            ("registrations", "UNISCID", uscc, "legal_entity.registration"),
            ("units", "BDCDYH", real_estate_unit, "real_estate.unit"),
        ],
    )
    def test_the_vocabulary_agrees_on_every_key(
        self,
        city: City,
        rows: str,
        column: str,
        check: Callable[[str], Normalised],
        dataset: str,
    ) -> None:
        """As many fail as were spoiled, and what is mended is what was disguised."""
        expected = city.truth.datasets[dataset]
        changes, failed = Counter[str](), 0
        for row in getattr(city, rows):
            try:
                changes.update(check(str(row[column])).changes)
            except InvalidIdentifier:
                failed += 1

        assert failed == expected.quarantined["identifier"]
        assert changes["15-digit"] == expected.normalised["15-digit"]
        assert changes["full-width"] == expected.normalised["full-width"]
        assert changes["blanks"] == expected.normalised["blanks"]

    def test_library_rows_by_another_way(self, city: City) -> None:
        """Throw out what fails, then what is torn; count what is left by key."""
        fates = Counter[str]()
        by_key: dict[str, set[tuple[str | None, ...]]] = {}
        for row in city.residents:
            if row["XBDM"] == "其他" or row["HJXZQH"] not in code_list("divisions"):
                fates["unknown-code"] += 1
                continue
            try:
                number = resident(str(row["GMSFHM"])).value
            except InvalidIdentifier:
                continue
            by_key.setdefault(number, set()).add(tuple(row.values()))
        expected = city.truth.datasets["population.resident"]

        assert fates["unknown-code"] == expected.quarantined["unknown-code"]
        assert expected.library_rows == sum(1 for told in by_key.values() if len(told) == 1)

    def test_who_may_have_a_license_by_another_way(self, city: City) -> None:
        """From the rows alone: owners now, not seized, not dead, in key order, one a unit."""
        dead = {row["GMSFHM"] for row in city.residents if row["SWBS"] == "1"}
        refused = refused_rights(city)
        now = [row for row in city.rights if row["QSZT"] == "1" and row["YWH"] not in refused]
        seized = {row["BDCDYH"] for row in now if row["QLLX"] == "CFDJ"}
        owned = {row["BDCDYH"] for row in now if row["QLLX"] == "4"}
        left = {row["BDCDYH"] for row in now if row["QLLX"] == "4" and row["ZJH"] in dead}

        assert city.truth.licensable["real_estate_certificate"] == sorted(
            str(unit) for unit in owned - seized - left
        )

    def test_it_survives_being_written(self, city: City, tmp_path: Path) -> None:
        path = tmp_path / "truth.json"
        city.truth.write(path)

        assert city.truth == Truth.read(path)
        assert 0o600 == path.stat().st_mode & 0o777


class TestPeople:
    def test_numbers_carry_the_division_of_their_day(self, city: City) -> None:
        """永康 was a county (330722) until 1992-08-24 and is a city (330784) since."""
        divisions = code_list("divisions")
        local = [
            row
            for row in city.residents
            if str(row["GMSFHM"])[:6] in ("330722", "330784") and str(row["GMSFHM"])[6:8].isdigit()
        ]

        for row in local:
            number = str(row["GMSFHM"])
            if len(number) == 18 and number.isascii():
                since = divisions.get("330784").since
                assert since is not None
                assert ("330784" == number[:6]) == (str(row["CSRQ"]) >= since.isoformat())

    def test_rare_characters_and_dots_are_among_the_names(self, city: City) -> None:
        names = [str(row["XM"]) for row in city.residents]

        assert any("𠮷" in name for name in names[4:])
        assert any("·" in name for name in names)


class TestRows:
    @pytest.mark.parametrize("rows", DATASETS.values())
    def test_columns_are_those_of_the_manifest_in_its_order(self, city: City, rows: str) -> None:
        """Checksums of both sides are over the columns in this order."""
        manifests = {manifest.source: manifest for manifest in load_manifests(SOURCES)}

        assert manifests[rows].source_columns == tuple(getattr(city, rows)[0])

    def test_sources_are_asked_as_often_as_contracts_promise(self) -> None:
        """A value is no older than its contract says, if only the department entered it."""
        late = {
            manifest.source
            for manifest in load_manifests(SOURCES)
            if manifest.interval is None
            or manifest.interval > contract_of(manifest.dataset).freshness
        }
        assert set() == late

    def test_manifests_say_what_the_departments_mean(self, city: City) -> None:
        """Owner, columns, codes and units of each table are in its manifest, and nothing else."""
        manifests = {manifest.dataset: manifest for manifest in load_manifests(SOURCES)}

        for dataset, table in city.tables.items():
            said = manifests[dataset]
            assert table.owner == said.owner, dataset
            assert table.columns == said.source_columns, dataset
            assert table.fields == said.columns, dataset
            assert table.crosswalk == said.crosswalk, dataset
            assert {
                field: {name: Decimal(factor) for name, factor in unit["factors"].items()}
                for field, unit in table.units.items()
            } == {field: dict(unit.factors) for field, unit in said.units.items()}, dataset


class TestIndependence:
    def test_no_check_of_the_product_is_used(self) -> None:
        """The generator must not agree with the product by sharing its mistakes."""
        folder = Path(str(package.__file__)).parent
        imported = {
            name
            for path in folder.glob("*.py")
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for name in names_imported(node)
            if name.split(".")[0] in ("schemas", "exchange", "license_vault")
        }

        assert {"schemas.errors"} == imported


def names_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def torn(expected: Expected) -> int:
    """How many rows are the second story of a key."""
    return expected.quarantined["conflicting-duplicate"] // 2


def refused_rights(city: City) -> set[str | None]:
    """Numbers of rights whose holder fails the check, or that tell two stories."""
    told: dict[str | None, set[tuple[str | None, ...]]] = {}
    refused = set()
    for row in city.rights:
        told.setdefault(row["YWH"], set()).add(tuple(row.values()))
        try:
            (resident if row["ZJZL"] == "1" else uscc)(str(row["ZJH"]))
        except InvalidIdentifier:
            refused.add(row["YWH"])
    return refused | {number for number, stories in told.items() if len(stories) > 1}
