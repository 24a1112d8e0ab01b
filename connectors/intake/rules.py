"""Judge a material's rule: any of its options, each with all of its proofs. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.intake.asking import Question
from connectors.intake.bundle import Option, Rule
from connectors.intake.conditions import holds, named
from connectors.intake.findings import Finding, best, no, worst
from connectors.intake.proofs import Scene, judge, questions
from connectors.intake.words import Status, Why


@dataclass(frozen=True)
class Tried:
    """One option and what it came to."""

    option: str
    finding: Finding


@dataclass(frozen=True)
class Conclusion:
    """What a rule comes to, by which option, and everything that was tried."""

    finding: Finding
    option: str = ""
    tried: tuple[Tried, ...] = ()


ONLY_APPLICANT = Conclusion(no(Why.ONLY_APPLICANT_HAS_IT))


def rule_questions(rule: Rule, scene: Scene) -> Iterator[Question]:
    """Yield what must be asked to judge a rule in this case."""
    for option in rule.any_:
        if _applies(option, scene):
            for proof in option.all_:
                yield from questions(proof, scene)


def concluded(rule: Rule | None, scene: Scene) -> Conclusion:
    """Judge a rule. An option that prevails and whose record says no ends the matter."""
    tried = tuple(_tried(rule, scene)) if rule else ()
    if rule is None or not tried:
        return ONLY_APPLICANT
    prevailing = {option.id for option in rule.any_ if option.prevails}
    against = (one for one in tried if one.option in prevailing and _says_no(one.finding))
    chosen = next(against, None) or _best(tried)
    return Conclusion(chosen.finding, chosen.option, tried)


def _tried(rule: Rule, scene: Scene) -> Iterator[Tried]:
    for option in rule.any_:
        finding = _option(option, scene)
        if finding is not None:
            yield Tried(option.id, finding)


def _option(option: Option, scene: Scene) -> Finding | None:
    applies = _applies(option, scene)
    if applies is None:
        return no(Why.ANSWER_NEEDED, needs=", ".join(named(option.when)))
    if not applies:
        return None
    findings = [judge(proof, scene) for proof in option.all_]
    known = [finding for finding in findings if finding is not None]
    return worst(known) if len(known) == len(findings) else None


def _best(tried: tuple[Tried, ...]) -> Tried:
    chosen = best([one.finding for one in tried])
    return next(one for one in tried if one.finding is chosen)


def _applies(option: Option, scene: Scene) -> bool | None:
    return holds(option.when, scene.case.answers, scene.thresholds)


def _says_no(finding: Finding) -> bool:
    return finding.status is Status.MISSING and bool(finding.evidence)
