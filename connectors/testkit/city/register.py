"""A register under construction: a plot of rows some of which are loaded and remarked on."""

from __future__ import annotations

from collections.abc import Callable

from connectors.testkit.city import numbers, words
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import Population
from connectors.testkit.city.planting import FEW, Plot
from connectors.testkit.city.truth import BROKEN_REFERENCE, Person

STRANGER = numbers.resident("110105", "19491231", 998)
"""A sound number of nobody in this city."""

FOREIGNER = "E88005{:03d}"
"""A passport that nobody has."""

OWN = "01"
FOREIGN = "03"
ID_TYPES = {OWN: "111", FOREIGN: "414"}
SEXES = {"男性": "1", "女性": "2", "未知": "0"}


class Register(Plot):
    """A plot that also plants what a warning finds."""

    def remark(
        self,
        rule: str,
        changes: Callable[[Row], Row],
        share: float = FEW,
        fits: Callable[[Row], bool] = lambda _row: True,
    ) -> None:
        """Rows that break a rule of severity `warning` alone: loaded, and counted."""
        for index in self._lots.draw(share, lambda index: fits(self.rows[index])):
            changed = changes(self.rows[index])
            self.rows[index].update(changed)
            self._meant[index].update(changed)
            self.expected.planted[f"rule:{rule}"] += 1

    def count_strangers(self, column: str, known: set[str]) -> None:
        """The loaded rows whose number in `column` is of somebody whom the police do not know."""
        strange = sum(1 for row in self.sound if row[column] and row[column] not in known)
        self.expected.planted[BROKEN_REFERENCE] += strange

    def count_aliases(self, column: str, name: str) -> None:
        """The older numbers of the rows that are loaded."""
        self.expected.aliases[name] += sum(1 for row in self.sound if row[column])


def born(person: Person) -> str:
    """The date of birth as the number has it."""
    return person.resident_id[6:14]


def is_man(number: str) -> bool:
    """Whether the number is a man's."""
    return number[16] in "13579"


def children(population: Population, since: str) -> list[Row]:
    """The rows of those born since a day that are loaded as they stand, the youngest first."""
    counts: dict[str, int] = {}
    for row in population.rows:
        number = str(row["GMSFHM"])
        counts[number] = counts.get(number, 0) + 1
    young = [
        row
        for row in population.rows
        if str(row["CSRQ"]) >= since and counts[str(row["GMSFHM"])] == 1 and _stands(row)
    ]
    return sorted(young, key=lambda row: (str(row["CSRQ"]), str(row["GMSFHM"])), reverse=True)


def _stands(row: Row) -> bool:
    """Whether nothing in the row keeps it out of the library, nor is its number disguised."""
    number = str(row["GMSFHM"])
    known = row["XBDM"] in ("男", "女") and row["HJXZQH"] != words.UNKNOWN_DIVISION
    plain = len(number) == 18 and number.isascii()
    return known and plain and numbers.resident_check(number[:17]) == number[17]
