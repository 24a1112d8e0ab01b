"""Disability, social insurance and assistance as the city's offices for them keep it."""

from __future__ import annotations

from random import Random

from connectors.testkit.city import words
from connectors.testkit.city.bureaus import CIVIL_AFFAIRS, Bureau
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import CANARY, Population
from connectors.testkit.city.register import STRANGER, Register, born, is_man
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Person

FEDERATION = Bureau("13330784MB9000250D", "永康市残疾人联合会")
LABOUR = Bureau("11330784MB9000779X", "永康市人力资源和社会保障局")
FEWEST = 40

_CATEGORIES = {
    **{"视力": "1", "听力": "2", "言语": "3", "肢体": "4"},
    **{"智力": "5", "精神": "6", "多重": "7"},
}
_GRADES = {"一级": "1", "二级": "2", "三级": "3", "四级": "4"}
_BIRTH_YEAR = slice(0, 4)


def welfare(
    rng: Random, people: int, population: Population, entities: Registrations
) -> tuple[Table, ...]:
    """Who is entitled to what, with the defects of such registers and the truth of it."""
    return (
        disabled(rng, people, population),
        insured(rng, people, population, entities),
        assisted(rng, people, population),
    )


def disabled(rng: Random, people: int, population: Population) -> Table:
    """The disability certificates of three in a hundred."""
    count = min(max(FEWEST, people * 3 // 100), len(population.living))
    persons = [population.cast[CANARY], *rng.sample(population.living, count)]
    register = Register(rng, [_certificate(rng, p, population) for p in persons], spared=1)
    register.spoil("GMSFHM")
    register.misname("CJLB", "其他残疾")
    register.contradict(lambda _row: {"YXQZ": "1988-01-01"})
    register.leave_out("XM")
    register.scrawl("FZRQ", "2021-00-12")
    register.double()
    register.tear({"ZCYY": "待核实"})
    register.widen("GMSFHM")
    register.lower("GMSFHM")
    register.estrange("JHRGMSFHM", STRANGER)
    register.remark("number-says-category-and-grade", _another_grade)
    return register.table(
        "population.disability",
        FEDERATION,
        {
            **{"CJRZH": "certificate_no", "GMSFHM": "resident_id", "XM": "name"},
            **{"XBDM": "sex", "CJLB": "category", "CJDJ": "grade", "ZCYY": "cause"},
            **{"JHRGMSFHM": "guardian_id", "JHRXM": "guardian_name"},
            **{"JHRLXDH": "guardian_phone", "SCFZRQ": "first_issued_on"},
            **{"FZRQ": "issued_on", "YXQZ": "valid_to", "PZCLDM": "issuer"},
            **{"PZCLMC": "issuer_name", "ZZZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={
            "category": _CATEGORIES,
            "grade": _GRADES,
            "status": {"有效": "1", "冻结": "2", "过期": "3", "注销": "4"},
        },
    )


def _certificate(rng: Random, person: Person, population: Population) -> Row:
    category, grade = rng.choice(list(_CATEGORIES)), rng.choice(list(_GRADES))
    guardian = rng.choice(population.living) if category in ("智力", "精神") else None
    if guardian == person:
        guardian = None
    year, month = rng.randrange(2012, 2025), rng.randrange(1, 13)
    issued = f"{year}-{month:02d}-15"
    return {
        "CJRZH": person.resident_id + _CATEGORIES[category] + _GRADES[grade],
        "GMSFHM": person.resident_id,
        "XM": person.name,
        "XBDM": "1" if is_man(person.resident_id) else "2",
        "CJLB": category,
        "CJDJ": grade,
        "ZCYY": rng.choice(("先天", "疾病", "工伤", "交通事故", None)),
        "JHRGMSFHM": guardian.resident_id if guardian else None,
        "JHRXM": guardian.name if guardian else None,
        "JHRLXDH": guardian.phone if guardian else None,
        "SCFZRQ": issued if rng.random() < 0.7 else "2010-06-01",
        "FZRQ": issued,
        "YXQZ": f"{year + 10}-{month:02d}-15" if rng.random() < 0.9 else None,
        "PZCLDM": FEDERATION.code,
        "PZCLMC": FEDERATION.name,
        "ZZZT": rng.choices(("有效", "冻结", "过期", "注销"), (92, 2, 3, 3))[0],
        "GXSJ": f"{issued} 14:20:00",
    }


def _another_grade(row: Row) -> Row:
    return {"CJDJ": "一级" if row["CJDJ"] != "一级" else "四级"}


def insured(rng: Random, people: int, population: Population, entities: Registrations) -> Table:
    """The insurances of a fifth of the city: those of work, or that of residents."""
    count = min(max(FEWEST, people // 5), len(population.living))
    persons = [population.cast[CANARY], *rng.sample(population.living, count)]
    rows = [row for person in persons for row in _insurances(rng, person, entities)]
    register = Register(rng, rows, spared=3)
    register.spoil("GMSFHM")
    register.misname("CBZT", "待审核")
    register.contradict(lambda _row: {"JFSSQ": "202513"})
    register.leave_out("XM")
    register.scrawl("CBRQ", "2015-06-31")
    register.double()
    register.tear({"JBJGMC": "待核实"})
    register.widen("GMSFHM")
    register.lower("GMSFHM")
    register.estrange("GMSFHM", STRANGER, 0)
    register.remark("payer-has-paid", lambda _row: {"CBZT": "正常参保", "JFSSQ": None})
    return register.table(
        "population.social_insurance",
        LABOUR,
        {
            **{"GMSFHM": "resident_id", "XZ": "insurance_kind", "XM": "name", "CBZT": "status"},
            **{"DWTYXYDM": "employer_code", "DWMC": "employer_name", "CBRQ": "joined_on"},
            **{"JFSSQ": "paid_to", "LJJFYS": "months_paid", "JFJS": "base_yuan"},
            **{"DYXSKSRQ": "benefit_from", "CBDXZQH": "division", "JBJGDM": "agency"},
            **{"JBJGMC": "agency_name", "GXSJ": "changed_at"},
        },
        crosswalk={
            "insurance_kind": {"01": "110", "02": "120", "03": "170", "04": "210", "05": "410"},
            "status": {"正常参保": "1", "暂停参保": "2", "终止参保": "3", "待遇领取": "4"},
        },
    )


def _insurances(rng: Random, person: Person, entities: Registrations) -> list[Row]:
    birth_year = int(born(person)[_BIRTH_YEAR])
    retired = birth_year < 1964
    employed = not retired and rng.random() < 0.6 and bool(entities.active)
    code, name = rng.choice(entities.active) if employed else (None, None)
    kinds = ("01", "04", "05") if employed else ("03",) if rng.random() < 0.7 else ("01",)
    year = max(birth_year + rng.randrange(18, 30), 1992)
    joined = f"{min(year, 2024)}-{rng.randrange(1, 13):02d}-01"
    paying = not retired and rng.random() < 0.9
    return [
        {
            "GMSFHM": person.resident_id,
            "XZ": kind,
            "XM": person.name,
            "CBZT": "待遇领取" if retired else "正常参保" if paying else "暂停参保",
            "DWTYXYDM": code,
            "DWMC": name,
            "CBRQ": joined,
            "JFSSQ": "202510" if paying else f"{joined[:4]}12",
            "LJJFYS": str(rng.randrange(1, 240)),
            "JFJS": f"{rng.randrange(45, 250) * 100}.00" if employed else None,
            "DYXSKSRQ": f"{birth_year + 60}-01-01" if retired else None,
            "CBDXZQH": words.NOW,
            "JBJGDM": LABOUR.code,
            "JBJGMC": LABOUR.name,
            "GXSJ": f"2025-11-{rng.randrange(1, 16):02d} 20:00:00",
        }
        for kind in kinds
    ]


def assisted(rng: Random, people: int, population: Population) -> Table:
    """The families that live on assistance: one in a hundred people applies."""
    wanted = min(max(FEWEST // 2, people // 100), len(population.living) // 4)
    persons = rng.sample(population.living, min(4 * wanted, len(population.living)))
    applicants = [population.cast[CANARY], *persons[:wanted]]
    others = iter(persons[wanted:])
    rows: list[Row] = []
    for index, applicant in enumerate(applicants):
        members = [next(others) for _ in range(rng.randrange(0, 3))]
        _case(rng, rows, index, applicant, members)
    register = Register(rng, rows, spared=3)
    register.spoil("GMSFHM")
    register.misname("JZDXLB", "其他救助")
    register.contradict(lambda _row: {"ZZRQ": "1999-09-28"})
    register.leave_out("XM")
    register.scrawl("PZRQ", "2022-02-29")
    register.double()
    register.tear({"SZZJ": "待核实"})
    register.widen("GMSFHM")
    register.remark("ended-has-its-day", lambda _row: {"JZZT": "终止", "ZZRQ": None})
    register.remark("family-is-plausible", lambda _row: {"BZRKS": "88"})
    return register.table(
        "population.low_income",
        CIVIL_AFFAIRS,
        {
            **{"JZZH": "case_no", "GMSFHM": "resident_id", "XM": "name"},
            **{"YSQRGX": "relation", "SQRGMSFHM": "applicant_id", "SQRXM": "applicant_name"},
            **{"JZDXLB": "category", "JZZT": "status", "BZRKS": "household_size"},
            **{"YJZJE": "allowance_yuan", "RJYSR": "income_per_head_yuan"},
            **{"PZRQ": "approved_on", "ZZRQ": "ended_on", "SZXZQH": "division", "SZZJ": "town"},
            **{"SPJGDM": "authority", "SPJGMC": "authority_name", "GXSJ": "changed_at"},
        },
        crosswalk={
            "relation": {"本人": "0", "配偶": "1", "儿子": "2", "女儿": "3", "父母": "5"},
            "category": {"低保": "1", "特困": "2", "低边": "3", "支出型困难": "4"},
            "status": {"在享": "1", "停发": "2", "终止": "3"},
        },
    )


def _case(
    rng: Random, rows: list[Row], index: int, applicant: Person, members: list[Person]
) -> None:
    year, month = rng.randrange(2016, 2025), rng.randrange(1, 13)
    ended = f"2025-{rng.randrange(1, 10):02d}-28" if rng.random() < 0.1 else None
    size = 1 + len(members)
    common: Row = {
        "JZZH": f"{words.NOW}{year}{index:06d}",
        "SQRGMSFHM": applicant.resident_id,
        "SQRXM": applicant.name,
        "JZDXLB": rng.choices(("低保", "特困", "低边", "支出型困难"), (6, 1, 2, 1))[0],
        "JZZT": "终止" if ended else "在享",
        "BZRKS": str(size),
        "YJZJE": f"{size * rng.randrange(400, 1100)}.00",
        "RJYSR": f"{rng.randrange(0, 1000)}.00",
        "PZRQ": f"{year}-{month:02d}-20",
        "ZZRQ": ended,
        "SZXZQH": words.NOW,
        "SZZJ": rng.choice(words.TOWNS),
        "SPJGDM": CIVIL_AFFAIRS.code,
        "SPJGMC": CIVIL_AFFAIRS.name,
        "GXSJ": f"{year}-{month:02d}-20 11:00:00",
    }
    for member in (applicant, *members):
        relation = "本人" if member is applicant else _relation(rng, member)
        person: Row = {"GMSFHM": member.resident_id, "XM": member.name, "YSQRGX": relation}
        rows.append({**common, **person})


def _relation(rng: Random, member: Person) -> str:
    return rng.choice(("配偶", "儿子" if is_man(member.resident_id) else "女儿", "父母"))
