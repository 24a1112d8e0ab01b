"""Permits and penalties in the columns of the national feeds (双公示): XK_ and CF_."""

from __future__ import annotations

from connectors.testkit.city import bureaus, words
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER, Hall, later
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.table import Table

_DECIDING = (bureaus.MARKET, bureaus.ENFORCEMENT, bureaus.HOUSING, bureaus.EDUCATION)
_PERMITTED = (
    "食品经营许可",
    "特种设备使用登记",
    "排污许可",
    "城市道路占用挖掘许可",
    "劳务派遣许可",
)
_WRONGS = (
    ("无证经营食品案", "《食品安全法》第一百二十二条"),
    ("占道经营案", "《浙江省城市市容和环境卫生管理条例》第四十条"),
    ("违规发布广告案", "《广告法》第五十五条"),
    ("未批先建案", "《城乡规划法》第六十四条"),
)
_KINDS = {"通报批评": "1", "罚款": "2", "吊销许可证件": "3", "责令停产停业": "4"}


def _parties(hall: Hall, index: int, prefix: str) -> Row:
    """The columns that the feeds have about whom a decision is."""
    name, code, resident, representative = hall.party(index)
    return {
        f"{prefix}_XDR": name,
        f"{prefix}_XDR_SHXYM": code,
        f"{prefix}_XDR_ZDM": f"{code[8:16]}-{code[16]}" if code and index % 3 == 0 else None,
        f"{prefix}_XDR_GSDJ": None,
        f"{prefix}_XDR_SWDJ": code if code and index % 5 == 0 else None,
        f"{prefix}_XDR_SFZ": resident,
        f"{prefix}_FR": representative,
    }


_PARTY_FIELDS = {
    **{"XDR": "party_name", "XDR_SHXYM": "uscc", "XDR_ZDM": "organisation_code"},
    **{"XDR_GSDJ": "old_registration_no", "XDR_SWDJ": "tax_no", "XDR_SFZ": "resident_id"},
    "FR": "legal_representative",
}


def _party_fields(prefix: str) -> dict[str, str]:
    return {f"{prefix}_{column}": field for column, field in _PARTY_FIELDS.items()}


def permits(hall: Hall, count: int) -> Plot:
    """Permits, with their defects."""
    plot = Plot(hall.rng, [_permit(hall, index) for index in range(count)], spared=1)
    plot.spoil("XK_XDR_SHXYM")
    plot.misname("XK_SPLB", "备案")
    plot.scrawl("XK_JDRQ", "2024-02-30")
    plot.contradict(lambda row: {"XK_XDR_SHXYM": None, "XK_XDR_SFZ": None})
    plot.contradict(lambda row: {"XK_JZQ": "2001-01-01"})
    plot.double()
    plot.tear({"XK_NR": "内容待核实"})
    plot.lower("XK_XDR_SHXYM")
    plot.widen("XK_XDR_SHXYM")
    plot.estrange("XK_XDR_SHXYM", STRANGER)
    plot.hyphenated("XK_XDR_ZDM")
    return plot


def _permit(hall: Hall, index: int) -> Row:
    day, item = hall.day(), hall.rng.choice(_PERMITTED)
    endless = hall.rng.random() < 0.2
    return {
        "XK_WSH": f"永许〔{day[:4]}〕第{index + 1:06d}号",
        "XK_XMMC": item,
        "XK_SPLB": hall.rng.choice(("普通", "普通", "核准", "登记")),
        "XK_NR": f"准予{item}",
        **_parties(hall, index, "XK"),
        "XK_JDRQ": day,
        "XK_JZQ": "2099-12-31" if endless else later(day, 5),
        "XK_XZJG": hall.rng.choice(_DECIDING).name,
        "XK_ZT": "0" if hall.rng.random() < 0.95 else hall.rng.choice("123"),
        "DFBM": words.NOW,
        "SJC": f"{day} 17:30:00",
    }


def permit_table(plot: Plot) -> Table:
    """The feed of permits."""
    return plot.table(
        "credit.permit",
        bureaus.DEVELOPMENT,
        {
            **{"XK_WSH": "decision_no", "XK_XMMC": "item_name", "XK_SPLB": "kind"},
            "XK_NR": "content",
            **_party_fields("XK"),
            **{"XK_JDRQ": "decided_on", "XK_JZQ": "valid_to", "XK_XZJG": "authority_name"},
            **{"XK_ZT": "status", "DFBM": "division_code", "SJC": "changed_at"},
        },
        crosswalk={"kind": {"普通": "1", "特许": "2", "认可": "3", "核准": "4", "登记": "5"}},
    )


def penalties(hall: Hall, count: int) -> Plot:
    """Penalties, with their defects."""
    plot = Plot(hall.rng, [_penalty(hall, index) for index in range(count)], spared=1)
    plot.spoil("CF_XDR_SHXYM")
    plot.misname("CF_CFLB", "约谈")
    plot.strip_unit("CF_NR_FK", "FKDW")
    plot.leave_out("CF_AJMC")
    plot.contradict(lambda row: {"CF_XDR_SHXYM": None, "CF_XDR_SFZ": None})
    plot.double()
    plot.tear({"CF_SY": "事由待核实"})
    plot.widen("CF_XDR_SHXYM")
    plot.estrange("CF_XDR_SHXYM", STRANGER)
    plot.hyphenated("CF_XDR_ZDM")
    return plot


def _penalty(hall: Hall, index: int) -> Row:
    rng, day = hall.rng, hall.day()
    (case, basis), kind = rng.choice(_WRONGS), rng.choice(("罚款", "罚款", *_KINDS))
    fine, in_yuan = rng.randrange(1, 40), rng.random() < 0.5
    amount = (f"{fine}000.00" if in_yuan else f"{fine / 10:.1f}") if kind == "罚款" else None
    return {
        "CF_WSH": f"永罚决〔{day[:4]}〕第{index + 1:06d}号",
        "CF_AJMC": case,
        "CF_CFLB": kind,
        "CF_SY": f"当事人涉嫌{case[:-1]}",
        "CF_YJ": basis,
        **_parties(hall, index, "CF"),
        "CF_JG": kind,
        "CF_NR_FK": amount,
        "CF_JDRQ": day,
        "CF_GSJZQ": later(day, 3),
        "CF_XZJG": rng.choice(_DECIDING).name,
        "CF_ZT": "0" if rng.random() < 0.93 else rng.choice("123"),
        "DFBM": words.NOW,
        "SJC": f"{day} 17:30:00",
        "FKDW": None if amount is None else "元" if in_yuan else "万元",
    }


def penalty_table(plot: Plot) -> Table:
    """The feed of penalties."""
    return plot.table(
        "credit.penalty",
        bureaus.DEVELOPMENT,
        {
            **{"CF_WSH": "decision_no", "CF_AJMC": "case_name", "CF_CFLB": "kind"},
            **{"CF_SY": "facts", "CF_YJ": "basis"},
            **_party_fields("CF"),
            **{"CF_JG": "result", "CF_NR_FK": "fine_yuan", "CF_JDRQ": "decided_on"},
            **{"CF_GSJZQ": "published_to", "CF_XZJG": "authority_name", "CF_ZT": "status"},
            **{"DFBM": "division_code", "SJC": "changed_at"},
        },
        crosswalk={"kind": _KINDS},
        units={"fine_yuan": {"column": "FKDW", "factors": {"元": 1, "万元": 10000}}},
    )
