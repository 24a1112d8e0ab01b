"""The departments of the city beside those of the story: who holds what, by name and credit code.

The codes are made up; their check characters are right.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bureau:
    """A department."""

    code: str
    name: str


POLICE = Bureau("11330784MB9000111W", "永康市公安局")
MARKET = Bureau("11330784MB90002263", "永康市市场监督管理局")
LAND = Bureau("11330784MB90003307", "永康市自然资源和规划局")
CIVIL_AFFAIRS = Bureau("11330784MB900055XE", "永康市民政局")
DEVELOPMENT = Bureau("11330784MB90008832", "永康市发展和改革局")
HOUSING = Bureau("11330784MB90009988", "永康市住房和城乡建设局")
MEDICAL_INSURANCE = Bureau("11330784MB90001032", "永康市医疗保障局")
EDUCATION = Bureau("11330784MB900012XL", "永康市教育局")
ENFORCEMENT = Bureau("11330784MB9000154A", "永康市综合行政执法局")
CIVIL_DEFENCE = Bureau("11330784MB90001625", "永康市国防动员办公室")
WATER = Bureau("11330784MB90001700", "永康市水务局")
ARCHIVES = Bureau("12330784MB9000189R", "永康市城建档案馆")
REGISTRATION = Bureau("12330784MB9000197L", "永康市不动产登记服务中心")

SURVEYED_ONCE = (LAND, REGISTRATION, HOUSING, CIVIL_DEFENCE, ENFORCEMENT, WATER, ARCHIVES)
"""The seven that use a joint survey instead of having a building measured again."""
