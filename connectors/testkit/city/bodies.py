"""Entities that the market regulator does not register: public, social and collective ones."""

from __future__ import annotations

from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.bureaus import CIVIL_AFFAIRS, Bureau
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import CANARY, Population
from connectors.testkit.city.register import STRANGER, Register
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Person
from connectors.testkit.city.vital import HOSPITALS

ORGANISATION_OFFICE = Bureau("11330784MB900020X8", "中共永康市委机构编制委员会办公室")
AGRICULTURE = Bureau("11330784MB90002188", "永康市农业农村局")
GOVERNMENT = Bureau("11330784MB800003XR", "永康市人民政府")
FEWEST = 40

_STATES = {"正常": "1", "注销": "3", "撤销": "5"}
_YUAN = {"元": 1, "万元": 10000}
_SCHOOLS = ("小学", "初级中学", "幼儿园", "文化站", "图书馆", "农技推广站", "疾控中心")
_SOCIETIES = (
    ("1", "商会"),
    ("1", "书法家协会"),
    ("1", "志愿者协会"),
    ("2", "养老服务中心"),
    ("2", "民办幼儿园"),
    ("3", "教育基金会"),
)


def bodies(rng: Random, people: int, population: Population) -> tuple[Table, ...]:
    """Institutions, social organisations and village collectives, with their defects."""
    return (
        institutions(rng, people, population),
        societies(rng, people, population),
        collectives(rng, people, population),
    )


def _heads(rng: Random, count: int, population: Population) -> list[Person]:
    """Who represents whom; the canary is at the head of the first."""
    return [population.cast[CANARY], *rng.choices(population.living, k=count - 1)]


def institutions(rng: Random, people: int, population: Population) -> Table:
    """Hospitals, schools and stations."""
    heads = _heads(rng, max(FEWEST, people // 300), population)
    register = Register(
        rng, [_institution(rng, index, head) for index, head in enumerate(heads)], spared=3
    )
    _plant(register, unit=("KBZJ", "KBZJDW"))
    register.misname("JFLY", "捐赠")
    register.contradict(lambda row: {"JBDWDM": row["TYSHXYDM"]})
    register.remark("certified-after-establishment", lambda _row: {"YXQQ": "1948-01-01"})
    register.count_aliases("YSZH", "old-certificate")
    return register.table(
        "legal_entity.institution",
        ORGANISATION_OFFICE,
        {
            **_HEAD,
            **{"ZZHYWFW": "purpose_scope", "JFLY": "funding", "KBZJ": "opening_fund_yuan"},
            **{"JBDWDM": "organiser", "JBDWMC": "organiser_name", "FRZSH": "certificate_no"},
            **{"SLRQ": "established_on", "YSZH": "old_certificate_no"},
            **_TAIL,
        },
        crosswalk={
            "funding": {"全额拨款": "1", "差额拨款": "2", "自收自支": "3"},
            "status": _STATES,
        },
        units={"opening_fund_yuan": {"column": "KBZJDW", "factors": _YUAN}},
    )


def _institution(rng: Random, index: int, head: Person) -> Row:
    year = rng.randrange(1985, 2022)
    code = numbers.credit_code("12", words.NOW, 8_100_000 + index)
    name = f"永康市{rng.choice(words.TOWNS)}第{index}{rng.choice(_SCHOOLS)}"
    if index < len(HOSPITALS):
        code, name = HOSPITALS[index].code, HOSPITALS[index].name
    amount, unit = _amount(rng, rng.choice((5, 20, 50, 300)))
    return {
        **_common(rng, code, name, head, ORGANISATION_OFFICE, year),
        "ZZHYWFW": "面向社会提供公益服务",
        "JFLY": rng.choice(("全额拨款", "差额拨款", "自收自支")),
        "KBZJ": amount,
        "KBZJDW": unit,
        "JBDWDM": GOVERNMENT.code,
        "JBDWMC": GOVERNMENT.name,
        "FRZSH": f"事证第{words.NOW}{index:05d}号",
        "SLRQ": f"{year}-03-01",
        "YSZH": f"1{words.NOW[:5]}{index:06d}" if year < 2015 else None,
    }


def societies(rng: Random, people: int, population: Population) -> Table:
    """Associations, private service providers and foundations."""
    heads = _heads(rng, max(FEWEST, people // 250), population)
    register = Register(
        rng, [_society(rng, index, head) for index, head in enumerate(heads)], spared=1
    )
    _plant(register, unit=("ZCZJ", "ZCZJDW"))
    register.misname("SHZZLB", "国际组织")
    register.contradict(lambda _row: {"NJND": "1950"})
    register.remark("inspection-has-its-result", lambda _row: {"NJJL": None})
    register.count_aliases("YDJZH", "old-registration")
    return register.table(
        "legal_entity.social_organization",
        CIVIL_AFFAIRS,
        {
            **_HEAD,
            **{"SHZZLB": "kind", "YWFW": "business_scope", "ZCZJ": "registered_capital_yuan"},
            **{"YWZGDWDM": "supervisor", "YWZGDWMC": "supervisor_name", "SFCSZZ": "charity"},
            **{"CLDJRQ": "established_on", "NJND": "inspection_year"},
            **{"NJJL": "inspection_result", "YDJZH": "old_registration_no"},
            **_TAIL,
        },
        crosswalk={
            "kind": {"社会团体": "1", "民非": "2", "基金会": "3"},
            "charity": {"是": "true", "否": "false"},
            "inspection_result": {"合格": "1", "基本合格": "2", "不合格": "3", "未参检": "4"},
            "status": _STATES,
        },
        units={"registered_capital_yuan": {"column": "ZCZJDW", "factors": _YUAN}},
    )


def _society(rng: Random, index: int, head: Person) -> Row:
    kind, what = _SOCIETIES[index % len(_SOCIETIES)]
    year = rng.randrange(1995, 2023)
    code = numbers.credit_code(f"5{kind}", words.NOW, 8_200_000 + index)
    name = f"永康市{rng.choice(words.BRANDS)}{index}号{what}"
    amount, unit = _amount(rng, rng.choice((3, 5, 10, 200)))
    return {
        **_common(rng, code, name, head, CIVIL_AFFAIRS, year),
        "SHZZLB": {"1": "社会团体", "2": "民非", "3": "基金会"}[kind],
        "YWFW": "按章程开展活动",
        "ZCZJ": amount,
        "ZCZJDW": unit,
        "YWZGDWDM": CIVIL_AFFAIRS.code,
        "YWZGDWMC": CIVIL_AFFAIRS.name,
        "SFCSZZ": "是" if kind == "3" else "否",
        "CLDJRQ": f"{year}-03-01",
        "NJND": str(rng.choice((2023, 2024))),
        "NJJL": rng.choice(("合格", "合格", "合格", "基本合格", "不合格")),
        "YDJZH": f"永民证字第{index:05d}号" if year < 2016 else None,
    }


def collectives(rng: Random, people: int, population: Population) -> Table:
    """The economic collectives of the villages."""
    heads = _heads(rng, max(FEWEST, people // 500), population)
    register = Register(
        rng, [_collective(rng, index, head) for index, head in enumerate(heads)], spared=1
    )
    _plant(register, unit=("ZCZE", "ZCZEDW"))
    register.misname("ZZCJ", "县级")
    register.contradict(lambda _row: {"CYRS": "0"})
    register.remark("village-in-its-division", lambda _row: {"XZCDM": "110105001001"})
    return register.table(
        "legal_entity.village_collective",
        AGRICULTURE,
        {
            **_HEAD,
            **{"ZZCJ": "level", "YWFW": "business_scope", "XZCDM": "village_code"},
            **{"XZCMC": "village_name", "CYHS": "households", "CYRS": "members"},
            **{"JTTDMJ": "land_m2", "ZCZE": "assets_yuan", "CLRQ": "established_on"},
            **_TAIL,
        },
        crosswalk={"level": {"组级": "1", "村级": "2", "镇级": "3"}, "status": _STATES},
        units={
            "assets_yuan": {"column": "ZCZEDW", "factors": _YUAN},
            "land_m2": {"column": "TDDW", "factors": {"平方米": 1, "亩": "666.6667"}},
        },
    )


def _collective(rng: Random, index: int, head: Person) -> Row:
    code = numbers.credit_code("N2", words.NOW, 8_300_000 + index)
    village = f"{rng.choice(words.TOWNS)}镇示例{index}村"
    households = rng.randrange(80, 900)
    amount, unit = _amount(rng, rng.randrange(50, 9000))
    return {
        **_common(
            rng,
            code,
            f"永康市{village}股份经济合作社",
            head,
            AGRICULTURE,
            rng.randrange(2013, 2020),
        ),
        "ZZCJ": "村级",
        "YWFW": "集体资产经营与管理",
        "XZCDM": f"{words.NOW}{1 + index // 200:03d}{200 + index % 200:03d}",
        "XZCMC": village,
        "CYHS": str(households),
        "CYRS": str(households * 3 + rng.randrange(100)),
        "JTTDMJ": str(rng.randrange(300, 4000)),
        "TDDW": "亩",
        "ZCZE": amount,
        "ZCZEDW": unit,
        "CLRQ": "2013-01-01",
    }


_HEAD = {
    **{"TYSHXYDM": "uscc", "MC": "name", "FDDBR": "legal_representative"},
    **{"FDDBRZJHM": "representative_id", "ZS": "address", "ZSXZQH": "division"},
}
_TAIL = {
    **{"DJGLJGDM": "registration_authority", "DJGLJGMC": "registration_authority_name"},
    **{"YXQQ": "valid_from", "YXQZ": "valid_to", "DJZT": "status", "GXSJ": "changed_at"},
}


def _common(rng: Random, code: str, name: str, head: Person, registrar: Bureau, year: int) -> Row:
    """What the three registers keep alike."""
    since = rng.randrange(max(year, 2018) + 1, 2025)
    return {
        "TYSHXYDM": code,
        "MC": name,
        "FDDBR": head.name,
        "FDDBRZJHM": head.resident_id,
        "ZS": f"永康市{rng.choice(words.TOWNS)}{rng.choice(words.STREETS)}路{rng.randrange(400)}号",
        "ZSXZQH": words.NOW,
        "DJGLJGDM": registrar.code,
        "DJGLJGMC": registrar.name,
        "YXQQ": f"{since}-04-01",
        "YXQZ": f"{since + 5}-03-31",
        "DJZT": rng.choices(("正常", "注销", "撤销"), (94, 4, 2))[0],
        "GXSJ": f"{since}-04-01 15:00:00",
    }


def _amount(rng: Random, ten_thousands: int) -> tuple[str, str]:
    """In ten thousands or in yuan, as whoever typed it thought."""
    if rng.random() < 0.6:
        return str(ten_thousands), "万元"
    return f"{ten_thousands * 10_000}.00", "元"


def _plant(register: Register, *, unit: tuple[str, str]) -> None:
    """The defects that all three registers have."""
    register.spoil("TYSHXYDM")
    register.leave_out("MC")
    register.scrawl("YXQZ", "2026-04-31")
    register.strip_unit(*unit)
    register.double()
    register.tear({"ZS": "地址待核实"})
    register.widen("TYSHXYDM")
    register.lower("TYSHXYDM")
    register.estrange("FDDBRZJHM", STRANGER)
