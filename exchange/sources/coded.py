"""Which columns hold codes, of which list, and what a source says for each code.

A list is recognised by its codes or by what they mean, and by the column's name where single digits
would fit any list. A list of the source's own is proposed only where its values repeat and cannot
be anybody's name or number, for it is written into a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.sources.naming import Words
from exchange.sources.profile import MOSTLY, Column
from schemas.codes import CodeList, all_code_lists

OWN_MOST, OWN_EACH, OWN_LONGEST = 20, 3, 20
TELLING = 4  # codes that are so long are hardly those of another list
_SOMEBODYS = re.compile(
    r"名|人|员|者|联系|电话|手机|地址|住址|住所|身份|证件号|备注|说明|账号|卡号|邮箱|"
    r"name|person|people|phone|mobile|tel|addr|contact|mail|remark|note|comment|"
    r"(?:XM|MC|DH|DZ|LXR|LXDH|BZ)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Coded:
    """A column's code list; `crosswalk` says what the source's words are in it.

    `own` is a list to be written: code and meaning. `unknown` rows say what the list does not know.
    """

    code_list: str
    crosswalk: Mapping[str, str]
    unknown: int = 0
    own: Mapping[str, str] | None = None


def known_list(column: Column, words: Words) -> tuple[Coded | None, tuple[str, ...]]:
    """The list that a column's values are from; or the names of those that they may be from."""
    if not column.values or column.type != "string" or column.kinds:
        return None, ()
    fits = [each for each in all_code_lists().values() if _fit(column, each) is not None]
    hinted = words.lists(column.name)
    for each in fits:
        if each.name in hinted:
            return _fit(column, each), ()
    telling = [each for each in fits if _tells(column, each)]
    if len(telling) == 1:
        return _fit(column, telling[0]), ()
    return None, tuple(each.name for each in telling)


def against(column: Column, name: str) -> Coded:
    """A column held against the list that its field has."""
    return _coded(column, all_code_lists()[name])


def _fit(column: Column, known: CodeList) -> Coded | None:
    coded = _coded(column, known)
    return coded if column.filled - coded.unknown >= MOSTLY * column.filled else None


def _coded(column: Column, known: CodeList) -> Coded:
    """By its codes where they say more, else by what they mean."""
    codes = sum(count for said, count in column.values.items() if said in known)
    meant = {each.label: each.code for each in known.codes.values()}
    table = {said: meant[said] for said in column.values if said in meant}
    by_meaning = sum(column.values[said] for said in table)
    if codes >= by_meaning:
        return Coded(known.name, {}, column.filled - codes)
    kept = {said: said for said in column.values if said in known}
    told = by_meaning + sum(column.values[said] for said in kept)
    return Coded(known.name, {**table, **kept}, column.filled - told)


def _tells(column: Column, known: CodeList) -> bool:
    """Whether such values are hardly anything else than these codes."""
    coded = _coded(column, known)
    if coded.crosswalk:
        return len(coded.crosswalk) > 1
    return column.distinct > 1 and column.shortest >= TELLING


def may_be_own(column: Column) -> bool:
    """Whether a column's values are few, repeat, and cannot be somebody's."""
    if column.type != "string" or column.kinds or not column.values or column.distinct < 2:
        return False
    small = column.distinct <= OWN_MOST and column.longest <= OWN_LONGEST
    repeat = min(column.values.values()) >= OWN_EACH
    return small and repeat and not _SOMEBODYS.search(column.name)


def own_list(column: Column, name: str) -> Coded:
    """A list of the source's own values. Where they are words, codes are made for them."""
    said = sorted(column.values)
    if all(re.fullmatch(r"[A-Za-z0-9]{1,8}", each) for each in said):
        return Coded(name, {}, own={each: each for each in said})
    width = len(str(len(said)))
    codes = {each: f"{number:0{width}d}" for number, each in enumerate(said, 1)}
    return Coded(name, codes, own={code: each for each, code in codes.items()})
