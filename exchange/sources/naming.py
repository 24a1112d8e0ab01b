"""What contracts call a column already: short names, Chinese labels and English names, as words.

A column that some contract has is called the same in a new one, so that the same thing has the
same name in every library.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.contract import Contract, Field, all_contracts

CHANGED_AT = "changed_at"
_CHANGED = re.compile(
    r"GXSJ|GXRQ|BGSJ|XGSJ|SJC|更新时间|变更时间|修改时间|最后更新|"
    r"(?:chang|updat|modif)\w*(?:_at|_on|_time|time|date)?$|last_?(?:change|update|modif)\w*",
    re.IGNORECASE,
)
_ENDS: Mapping[str, str] = {
    **dict.fromkeys(("编号", "编码", "代码", "序号", "号码", "文号", "号"), "number"),
    **dict.fromkeys(("名称", "姓名", "名字", "名"), "name"),
    **dict.fromkeys(("类别", "类型", "种类", "性质"), "kind"),
    **dict.fromkeys(("状态", "标识"), "status"),
    **dict.fromkeys(("日期", "时间"), "date"),
    **dict.fromkeys(("地址", "地点", "位置", "住所"), "address"),
    **dict.fromkeys(("电话", "手机"), "phone"),
    **dict.fromkeys(("金额", "费用", "价格", "租金"), "amount"),
    **dict.fromkeys(("备注", "说明"), "remark"),
    **dict.fromkeys(("区划", "地区"), "division"),
    **dict.fromkeys(("数量", "人数", "个数", "次数"), "count"),
    **{
        "面积": "area",
        "单位": "organisation",
        "机关": "authority",
        "比例": "share",
        "等级": "grade",
    },
}
"""What headers end with, for a first name that a person betters."""
_ENGLISH = re.compile(r"[A-Za-z][A-Za-z0-9 _.-]*")


@dataclass(frozen=True)
class Named:
    """What a column is called: by us, in Chinese, and by its short name; how sure that is."""

    name: str
    label_zh: str
    short_name: str
    sure: bool
    code_list: str | None = None


class Words:
    """The words of all contracts."""

    def __init__(self, contracts: Iterable[Contract] | None = None) -> None:
        meanings: dict[str, Counter[str]] = defaultdict(Counter)
        self._fields: dict[str, Field] = {}
        self._kinds: dict[str, Counter[str]] = defaultdict(Counter)
        for contract in all_contracts() if contracts is None else contracts:
            for field in contract.fields:
                self._fields.setdefault(field.name, field)
                self._kinds[field.identifier or ""][field.name] += 1
                for word in words_of(field):
                    meanings[word][field.name] += 1
        self._meanings: Mapping[str, Counter[str]] = meanings

    def meant(self, column: str) -> Field | None:
        """The field that a column of that name most often is."""
        found = self._meanings.get(word(column))
        return self._fields[found.most_common(1)[0][0]] if found else None

    def lists(self, column: str) -> set[str]:
        """The code lists that fields of that name use."""
        found = self._meanings.get(word(column), Counter())
        return {each for name in found if (each := self._fields[name].code_list)}

    def of_kind(self, identifier: str | None) -> str | None:
        """What most contracts call a number of that kind."""
        found = self._kinds.get(identifier or "none")
        return found.most_common(1)[0][0] if found else None

    def named(
        self, column: str, number: int, *, is_time: bool = False, identifier: str | None = None
    ) -> Named:
        """What to call the `number`th column of a source in a new contract."""
        known = self.meant(column)
        if is_time and _CHANGED.search(column):
            label = column if is_chinese(column) else "最近变更时间"
            return Named(CHANGED_AT, label, short(column, "GXSJ"), sure=True)
        if known is not None:
            label = column if is_chinese(column) else known.label_zh
            return Named(known.name, label, short(column, known.short_name), True, known.code_list)
        own = snake(column) or self.of_kind(identifier) or _by_its_end(column)
        own = own or f"column_{number}"
        return Named(own, column, short(column, own.upper()), sure=False)


def _by_its_end(column: str) -> str | None:
    return next((name for end, name in _ENDS.items() if column.endswith(end)), None)


def words_of(field: Field) -> set[str]:
    """Everything that a source may call a field."""
    return {word(field.name), word(field.short_name), word(field.label_zh)}


def word(column: str) -> str:
    """A name without what does not matter: case, blanks, dashes."""
    return re.sub(r"[\s_.-]+", "", column).casefold()


def snake(column: str) -> str:
    """An English name, or initials, as ours are written; empty for anything else."""
    if not _ENGLISH.fullmatch(column):
        return ""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return re.sub(r"[\s.-]+", "_", apart).lower().strip("_")


def short(column: str, otherwise: str) -> str:
    """The column's own short name, where it is one."""
    return column if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", column) else otherwise


def is_chinese(column: str) -> bool:
    """Whether people in the department would read it."""
    return re.search(r"[一-鿿]", column) is not None


def is_change_time(column: str) -> bool:
    """Whether a time of that name says when a row was last changed."""
    return _CHANGED.search(column) is not None
