"""The closed vocabulary of an answer: how each material stands, why, and how the whole case stands.

`WHYS` is the one table of which reason may go with which status.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """How one material stands."""

    SATISFIED = "satisfied"
    NEEDS_CONFIRMATION = "needs_confirmation"
    PENDING = "pending"
    UNAVAILABLE = "unavailable"
    MISSING = "missing"
    TOLERABLE = "tolerable"
    CONTESTED = "contested"
    NOT_APPLICABLE = "not_applicable"


class Why(StrEnum):
    """The reason for a status; `WHYS` says which goes with which."""

    HELD = "held"
    COMMITTED = "committed"

    FORM_TO_CONFIRM = "form_to_confirm"
    TEXT_TO_SIGN = "text_to_sign"
    COMMITMENT_TO_SIGN = "commitment_to_sign"

    AWAITS_ITEM = "awaits_item"

    SOURCE_DOWN = "source_down"
    QUOTA_SPENT = "quota_spent"

    ANSWER_NEEDED = "answer_needed"
    PERSON_DECEASED = "person_deceased"
    NAME_DIFFERS = "name_differs"
    HOLDER_DIFFERS = "holder_differs"
    NOT_VALID = "not_valid"
    DISPUTED_AT_SOURCE = "disputed_at_source"
    REFUSED_BY_GRANT = "refused_by_grant"
    NO_RECORD = "no_record"
    NO_SOURCE_HOLDS_IT = "no_source_holds_it"
    ONLY_APPLICANT_HAS_IT = "only_applicant_has_it"

    MAY_FOLLOW = "may_follow"

    APPLICANT_DISAGREES = "applicant_disagrees"

    ITEM_DONE = "item_done"
    ITEM_NOT_NEEDED = "item_not_needed"
    BELOW_THRESHOLD = "below_threshold"
    OTHER_VARIANT = "other_variant"
    NO_AGENT = "no_agent"
    OWN_PREMISES = "own_premises"


class State(StrEnum):
    """How a whole case stands: nothing left, something left, or a part that nobody can say."""

    COMPLETE = "complete"
    OPEN = "open"
    PARTIAL = "partial"


WHYS: Mapping[Status, frozenset[Why]] = {
    Status.SATISFIED: frozenset({Why.HELD, Why.COMMITTED}),
    Status.NEEDS_CONFIRMATION: frozenset(
        {Why.FORM_TO_CONFIRM, Why.TEXT_TO_SIGN, Why.COMMITMENT_TO_SIGN}
    ),
    Status.PENDING: frozenset({Why.AWAITS_ITEM}),
    Status.UNAVAILABLE: frozenset({Why.SOURCE_DOWN, Why.QUOTA_SPENT}),
    Status.MISSING: frozenset(
        {
            Why.ANSWER_NEEDED,
            Why.PERSON_DECEASED,
            Why.NAME_DIFFERS,
            Why.HOLDER_DIFFERS,
            Why.NOT_VALID,
            Why.REFUSED_BY_GRANT,
            Why.NO_RECORD,
            Why.NO_SOURCE_HOLDS_IT,
            Why.ONLY_APPLICANT_HAS_IT,
        }
    ),
    Status.TOLERABLE: frozenset({Why.MAY_FOLLOW}),
    Status.CONTESTED: frozenset({Why.APPLICANT_DISAGREES, Why.DISPUTED_AT_SOURCE}),
    Status.NOT_APPLICABLE: frozenset(
        {
            Why.ITEM_DONE,
            Why.ITEM_NOT_NEEDED,
            Why.BELOW_THRESHOLD,
            Why.OTHER_VARIANT,
            Why.NO_AGENT,
            Why.OWN_PREMISES,
        }
    ),
}

# When several options of a rule fail, the reason told is the first of these: what the applicant can
# mend before what nobody can.
TELLING_FIRST: tuple[Why, ...] = (
    Why.ANSWER_NEEDED,
    Why.PERSON_DECEASED,
    Why.NAME_DIFFERS,
    Why.HOLDER_DIFFERS,
    Why.NOT_VALID,
    Why.REFUSED_BY_GRANT,
    Why.NO_RECORD,
    Why.NO_SOURCE_HOLDS_IT,
    Why.ONLY_APPLICANT_HAS_IT,
)

LABELS: Mapping[Status, tuple[str, str]] = {
    Status.SATISFIED: ("已由政府部门提供", "supplied by the government"),
    Status.NEEDS_CONFIRMATION: ("待本人确认或签名", "to be confirmed or signed"),
    Status.PENDING: ("待前一事项办结后自动获取", "follows from an earlier item"),
    Status.UNAVAILABLE: ("数据来源暂不可用", "source does not answer now"),
    Status.MISSING: ("需申请人提供", "to be brought"),
    Status.TOLERABLE: ("可容缺后补", "may follow later"),
    Status.CONTESTED: ("有异议，待核实", "contested"),
    Status.NOT_APPLICABLE: ("本次无需", "not needed here"),
}
