"""What an installation adds of its own: contracts, code lists and departments."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas import installation
from schemas.codes import all_code_lists, code_list
from schemas.contract import all_contracts, load
from schemas.departments import tree
from schemas.errors import Invalid, NotFound
from tests.schemas.cities import code_list as write_codes
from tests.schemas.cities import custom, document, field, renamed, write

PETS = "pets.dog"
COLOURS = {"1": "黑", "2": "白"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it."""
    for kind in ("CONTRACTS", "CODES", "DEPARTMENTS"):
        monkeypatch.delenv(f"YIZHAN_{kind}", raising=False)
    monkeypatch.setenv("YIZHAN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def dogs(home: Path) -> Path:
    """A contract of the city's own."""
    return write(home / "contracts", renamed(document("population.resident"), PETS))


class TestContracts:
    def test_stand_beside_the_packaged(self, dogs: Path) -> None:
        """One of ours more, and everything else as it was."""
        assert "library.pets_dog" == load(PETS).relation
        assert {PETS, "population.resident", "license.holding"} <= {e.id for e in all_contracts()}

    def test_are_gone_when_the_file_is(self, dogs: Path) -> None:
        """No restart is needed to see it."""
        load(PETS)

        dogs.unlink()

        with pytest.raises(NotFound):
            load(PETS)

    def test_change_with_the_file(self, dogs: Path, home: Path) -> None:
        """What was read is what is there."""
        load(PETS)
        said = renamed(document("population.resident"), PETS)
        said["schema"][0]["businessName"] = "犬只登记"

        write(home / "contracts", said)

        assert "犬只登记" == load(PETS).name_zh

    def test_may_live_elsewhere(
        self, dogs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder that is named is looked into instead."""
        elsewhere = tmp_path_factory.mktemp("contracts")
        write(elsewhere, renamed(document("population.resident"), "pets.cat"))
        monkeypatch.setenv("YIZHAN_CONTRACTS", str(elsewhere))

        assert load("pets.cat")
        with pytest.raises(NotFound):
            load(PETS)

    def test_of_a_packaged_id(self, home: Path) -> None:
        """Nobody redefines what a resident is; the error names both files."""
        file = write(home / "contracts", document("population.resident"))

        with pytest.raises(Invalid) as refused:
            all_contracts()

        assert str(file) in refused.value.message
        assert "schemas/contracts/population/resident.yaml" in refused.value.message

    def test_with_a_rule_that_nobody_can_read(self, home: Path) -> None:
        """A rule over a column that is not there is found before the first batch is."""
        said = renamed(document("population.resident"), PETS)
        said["schema"][0]["quality"][0]["implementation"] = "tail_length > 0"
        write(home / "contracts", said)

        with pytest.raises(Invalid, match=r"dog\.yaml: rule death-after-birth: .*tail_length"):
            load(PETS)

    def test_with_a_rule_that_is_no_question(self, home: Path) -> None:
        """A rule says yes or no."""
        said = renamed(document("population.resident"), PETS)
        said["schema"][0]["quality"][0]["implementation"] = "LENGTH(name)"
        write(home / "contracts", said)

        with pytest.raises(Invalid, match="not a yes or a no"):
            load(PETS)

    def test_with_a_key_twice(self, dogs: Path) -> None:
        """YAML keeps the last in silence; we ask which was meant."""
        dogs.write_text(dogs.read_text("utf-8") + "version: 9.9.9\n", "utf-8")

        with pytest.raises(Invalid, match=r"dog\.yaml: .*version is there twice"):
            load(PETS)


class TestCodeLists:
    def test_serve_the_installations_contracts(self, home: Path) -> None:
        """A code list of one's own is one that a contract may name."""
        write_codes(home / "codes", "fur", COLOURS)
        said = renamed(document("population.resident"), PETS)
        custom(field(said, "name"), "codeList", "fur")
        write(home / "contracts", said)

        assert "fur" == load(PETS).field("name").code_list
        assert "黑" == code_list("fur").label("1")

    def test_that_comes_late(self, home: Path) -> None:
        """The contract loads as soon as its list is there."""
        said = renamed(document("population.resident"), PETS)
        custom(field(said, "name"), "codeList", "fur")
        write(home / "contracts", said)
        with pytest.raises(Invalid, match="unknown code list fur"):
            load(PETS)

        write_codes(home / "codes", "fur", COLOURS)

        assert load(PETS)

    def test_of_a_packaged_name(self, home: Path) -> None:
        """Nobody redefines the sexes."""
        file = write_codes(home / "codes", "sex", COLOURS)

        with pytest.raises(Invalid, match=rf"{file}: .*packaged with Yizhan"):
            all_code_lists()

    def test_with_an_heir_that_is_not_there(self, home: Path) -> None:
        """The error names file and code."""
        file = home / "codes" / "wards.yaml"
        file.parent.mkdir()
        file.write_text(
            "name: wards\nlabel: 区\nstandard: own\n"
            'codes:\n  "1": {name: 甲, to: 2020-01-01, successor: "2"}\n',
            "utf-8",
        )

        with pytest.raises(Invalid, match=r"wards\.yaml: code 1: its successor"):
            code_list("wards")


class TestDepartments:
    def test_stand_under_the_packaged(self, home: Path) -> None:
        """A city's own office may hang on a department that is packaged."""
        folder = home / "departments"
        folder.mkdir()
        (folder / "own.yaml").write_text(
            "departments:\n"
            "  - {code: 11330784MB90005176, name: 永康市宠物办, level: county,"
            " parent: 11330784MB900055XE}\n",
            "utf-8",
        )

        path = tree().path("11330784MB90005176", date(2026, 1, 1))

        assert ["永康市民政局", "永康市宠物办"] == [each.name_zh for each in path[-2:]]


class TestStamp:
    def test_of_nothing(self, home: Path) -> None:
        """A folder that is not there is empty."""
        assert installation.Stamp(home / "codes", ()) == installation.stamp("codes")

    def test_sees_a_file_in_a_library(self, dogs: Path) -> None:
        """Two levels down, as contracts stand."""
        names = [entry[0] for entry in installation.stamp("contracts").entries]

        assert str(dogs) in names
