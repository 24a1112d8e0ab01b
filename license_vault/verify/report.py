"""What a verification says: one verdict, one stable reason, numbered steps with their evidence.

`REASONS` is the whole vocabulary, and `PDF_STEPS` and `CREDENTIAL_STEPS` are all the steps there
are. A `Trail` collects them in order; the first step that fails ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn


class Verdict(StrEnum):
    """VALID is said only when every step was proved."""

    VALID = "VALID"
    INVALID = "INVALID"
    INDETERMINATE = "INDETERMINATE"
    UNREADABLE = "UNREADABLE"


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_REACHED = "not-reached"
    ABSENT = "absent"


@dataclass(frozen=True)
class Reason:
    """A reason code's meaning: the verdict it leads to, in English and in Chinese."""

    verdict: Verdict
    en: str
    zh: str


def _invalid(en: str, zh: str) -> Reason:
    return Reason(Verdict.INVALID, en, zh)


def _open(en: str, zh: str) -> Reason:
    return Reason(Verdict.INDETERMINATE, en, zh)


def _unreadable(en: str, zh: str) -> Reason:
    return Reason(Verdict.UNREADABLE, en, zh)


REASONS: Mapping[str, Reason] = {
    "proved": Reason(Verdict.VALID, "Every step was proved.", "各项核验全部通过。"),
    # The document is not what was sealed.
    "document-changed": _invalid(
        "The document was changed after it was sealed.", "文件在盖章后被改动。"
    ),
    "not-whole-document": _invalid(
        "The seal does not cover the whole file: something was added.",
        "印章未覆盖整个文件，文件被追加过内容。",
    ),
    "several-seals": _invalid(
        "There is more than one signature; our licenses carry one.", "文件含有多个签名。"
    ),
    "seal-missing": _invalid(
        "It carries a license's record, and the seal is gone.", "文件带有证照数据，但印章已缺失。"
    ),
    "not-certified": _invalid(
        "The seal does not forbid changes (DocMDP P=1).", "印章未锁定文件（DocMDP P=1）。"
    ),
    "interactive-content": _invalid(
        "It holds scripts, forms, links or layers; our licenses hold none.",
        "文件含有脚本、表单、链接或图层。",
    ),
    "bad-signature": _invalid("The signature does not hold.", "签名无效。"),
    "not-our-seal": _invalid(
        "It says it is a license of this hub, and was not sealed by it.",
        "文件自称由本平台签发，但印章并非本平台所盖。",
    ),
    "record-mismatch": _invalid(
        "Face and record of the license do not agree.", "证照票面与证照数据不一致。"
    ),
    "bad-identifier": _invalid(
        "The license identifier fails its check character.", "证照标识校验位错误。"
    ),
    "bad-credential": _invalid(
        "The credential breaks the rules of its format.", "凭证不符合格式规定。"
    ),
    "bad-disclosure": _invalid(
        "A disclosed field was not signed by the issuer.", "披露的字段未经签发机关签名。"
    ),
    "bad-log-proof": _invalid("The log proof does not fit this license.", "日志证明与证照不符。"),
    # The document is genuine, and the license does not hold now.
    "revoked": _invalid(
        "Genuine, but no longer in force: revoked, annulled or superseded.",
        "证照属实，但已吊销、注销或换发，不再有效。",
    ),
    "suspended": _invalid("Genuine, but suspended.", "证照属实，但已暂扣。"),
    "expired": _invalid("Genuine, but its validity has ended.", "证照属实，但已过有效期。"),
    "not-yet-valid": _invalid("Genuine, but not yet in force.", "证照属实，但尚未生效。"),
    # We cannot say.
    "no-seal": _open("It carries no seal that could be verified.", "文件没有可核验的印章。"),
    "unknown-issuer": _open(
        "It was sealed by somebody who is not trusted here.", "签章人不在本信任列表中。"
    ),
    "certificate-out-of-time": _open(
        "The seal's certificate is not valid at this time, and nothing proves when it was used.",
        "签章证书不在有效期内，且无可信时间证明。",
    ),
    "unsupported-seal": _open(
        "The seal is of a kind that is not known here.", "印章类型不受支持。"
    ),
    "not-a-license": _open(
        "A trusted seal, on something that is not one of our licenses.",
        "印章可信，但文件不是本平台证照。",
    ),
    "foreign-identifier": _open(
        "The identifier of a foreign license fails its check character.",
        "外部证照的标识校验位不符。",
    ),
    "status-unavailable": _open(
        "The seal holds; whether the license was revoked could not be asked.",
        "印章有效，但暂时无法查询证照状态。",
    ),
    "status-stale": _open(
        "The seal holds; the only status list at hand is too old.",
        "印章有效，但手头的状态列表已过期。",
    ),
    "bad-status-list": _open(
        "The seal holds; the status list that was served is not the hub's own.",
        "印章有效，但取得的状态列表并非本平台签发。",
    ),
    "encrypted": _open("The document is encrypted.", "文件已加密，无法核验。"),
    # There is nothing to judge.
    "empty": _unreadable("The file is empty.", "文件为空。"),
    "too-large": _unreadable("The file is larger than any license.", "文件过大。"),
    "unknown-format": _unreadable(
        "It is neither a PDF nor an SD-JWT credential.", "文件既不是 PDF，也不是 SD-JWT 凭证。"
    ),
    "damaged": _unreadable("The file is damaged.", "文件已损坏。"),
    "reader-out-of-time": _unreadable(
        "Reading the file took longer than any license takes.", "读取文件超时。"
    ),
    "reader-died": _unreadable(
        "Reading the file took more than any license takes.", "读取文件超出资源限制。"
    ),
    "reader-unavailable": _open("The verifier is busy; ask again.", "核验服务繁忙，请稍后再试。"),
}


@dataclass(frozen=True)
class StepKind:
    """A step that every document of a form goes through, and the clause that asks for it."""

    name: str
    en: str
    zh: str
    clause: str


PDF_STEPS: Sequence[StepKind] = (
    StepKind("form", "The file can be read as one PDF", "文件可读", "ISO 32000-2 7.5"),
    StepKind("one-seal", "Exactly one signature", "仅有一个签名", "ISO 32000-2 12.8.1"),
    StepKind(
        "whole-file", "The seal covers every byte", "印章覆盖整个文件", "ETSI EN 319 142-1 5.1"
    ),
    StepKind("certified", "Certified, no change permitted", "锁定文件", "ISO 32000-2 12.8.2.2"),
    StepKind("inert", "Nothing interactive inside", "无交互内容", "ISO 19005-3 6.5, 6.6"),
    StepKind("signature", "Digest and signature", "摘要与签名", "RFC 5652 5.4, 5.6"),
    StepKind("issuer", "The seal's chain is trusted", "签章证书链", "RFC 5280 6.1"),
    StepKind("record", "Face and record agree", "票面与数据一致", "RFC 8785"),
    StepKind("identifier", "The identifier's check", "证照标识校验", "GB/T 36904-2018"),
    StepKind("period", "In its period of validity", "有效期", "GB/T 36903-2018"),
    StepKind("status", "Not revoked or suspended", "证照状态", "Token Status List 8.3"),
    StepKind("log", "Entered in the public log", "公开日志", "C2SP tlog-proof"),
)

CREDENTIAL_STEPS: Sequence[StepKind] = (
    StepKind("form", "The file can be read as an SD-JWT VC", "凭证可读", "RFC 9901 4"),
    StepKind("disclosures", "Every disclosure was signed", "披露字段已签名", "RFC 9901 7.1"),
    StepKind("signature", "Signature", "签名", "RFC 7515 5.2"),
    StepKind("issuer", "The issuer's chain is trusted", "签发证书链", "RFC 5280 6.1"),
    StepKind("identifier", "The identifier's check", "证照标识校验", "GB/T 36904-2018"),
    StepKind("period", "In its period of validity", "有效期", "RFC 7519 4.1.4, 4.1.5"),
    StepKind("status", "Not revoked or suspended", "证照状态", "Token Status List 8.3"),
)

UNKNOWN_STEPS: Sequence[StepKind] = (StepKind("form", "The file can be read", "文件可读", ""),)

STEPS: Mapping[str, Sequence[StepKind]] = {
    "pdf": PDF_STEPS,
    "sd-jwt": CREDENTIAL_STEPS,
    "": UNKNOWN_STEPS,
}


@dataclass(frozen=True)
class Step:
    """What one step found. `evidence` is facts, not opinion."""

    number: int
    name: str
    outcome: Outcome
    evidence: str


@dataclass(frozen=True)
class Facts:
    """What the document says of its license; persons are masked. Worth as much as the verdict."""

    license_id: str
    version: str
    type_name: str = ""
    issuer_name: str = ""
    number: str = ""
    holder: str = ""
    issued_at: str = ""
    valid_from: str = ""
    valid_to: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Pointer:
    """Where the license's status stands."""

    uri: str
    index: int


@dataclass(frozen=True)
class Examined:
    """What the document alone could tell: everything but status and log.

    `stopped` is the reason that ended the examination, or None when the document holds. `record`
    is the canonical record, for the log proof.
    """

    form: str
    steps: tuple[Step, ...]
    stopped: str | None
    facts: Facts | None = None
    pointer: Pointer | None = None
    record: bytes = b""


@dataclass(frozen=True)
class Report:
    """The answer. `status_as_of` is when the status that was used had been signed."""

    verdict: Verdict
    reason: str
    form: str
    steps: tuple[Step, ...]
    license: Facts | None
    at: datetime
    status_as_of: datetime | None = None

    @property
    def why(self) -> Reason:
        return REASONS[self.reason]

    def to_json(self) -> dict[str, Any]:
        """The report as the hub and `yizhan verify --json` give it."""
        kinds = {kind.name: kind for kind in STEPS[self.form]}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "message": {"en": self.why.en, "zh": self.why.zh},
            "form": self.form or None,
            "at": self.at.isoformat(),
            "status_as_of": self.status_as_of.isoformat() if self.status_as_of else None,
            "license": asdict(self.license) if self.license else None,
            "steps": [
                {
                    **asdict(step),
                    "title": {"en": kinds[step.name].en, "zh": kinds[step.name].zh},
                    "clause": kinds[step.name].clause,
                }
                for step in self.steps
            ],
        }


class Stopped(Exception):
    """A step did not pass; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, evidence: str) -> None:
        super().__init__(f"{reason}: {evidence}")
        self.reason = reason
        self.evidence = evidence


def stop(reason: str, evidence: str) -> NoReturn:
    raise Stopped(reason, evidence)


@dataclass
class Trail:
    """The steps of one examination, taken in the order of its form."""

    form: str
    steps: list[Step] = field(default_factory=list)

    @property
    def next(self) -> StepKind:
        return STEPS[self.form][len(self.steps)]

    def passed(self, name: str, evidence: str, *, outcome: Outcome = Outcome.PASSED) -> None:
        """Record a step; it must be the one whose turn it is."""
        if self.next.name != name:
            raise AssertionError(f"step {name} is out of order")
        self.steps.append(Step(len(self.steps) + 1, name, outcome, evidence))

    def ended(self, stopped: Stopped) -> None:
        """Record the step that did not pass and those that were not reached."""
        unknown = REASONS[stopped.reason].verdict is Verdict.INDETERMINATE
        outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
        self.passed(self.next.name, stopped.evidence, outcome=outcome)
        for kind in STEPS[self.form][len(self.steps) :]:
            self.passed(kind.name, "", outcome=Outcome.NOT_REACHED)
