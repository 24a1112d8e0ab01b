"""Terms judged: do they keep within a resource's version, and are they less than others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from exchange.catalogue.lint import cites
from schemas import contract, predicates
from schemas.application import Terms
from schemas.errors import Invalid, NotFound, Refused
from schemas.grant import Form
from schemas.resource import Metadata

LONGEST = timedelta(days=3 * 366)
"""No agreement is for ever: after three years it is looked at again."""


class OutsideVersion(Refused):
    """The terms ask for what the resource's version does not give; the message says what."""

    code = "outside-version"


def check(terms: Terms, said: Metadata) -> None:
    """Check terms by themselves and against a version. Raises `Invalid` or `OutsideVersion`."""
    _check_whole(terms)
    wrong = [*_outside(terms, said)]
    if wrong:
        raise OutsideVersion(
            f"{said.code} {said.version} does not give this: {'; '.join(wrong)}",
            zh="申请内容超出资源目录的共享范围",
            rule="outside-version",
        )


def narrower(new: Terms, old: Terms) -> bool:
    """Say whether nothing is allowed by `new` that `old` does not allow."""
    return (
        new.purposes <= old.purposes
        and new.bases <= old.bases
        and new.items <= old.items
        and new.modes <= old.modes
        and all(_less(form, old.fields.get(name)) for name, form in new.fields.items())
        and _fewer_rows(new.row_filter, old.row_filter)
        and new.per_minute <= old.per_minute
        and new.per_day <= old.per_day
        and old.valid_from <= new.valid_from
        and new.valid_to <= old.valid_to
        and (old.max_uses is None or (new.max_uses is not None and new.max_uses <= old.max_uses))
    )


def share_class(terms: Terms, said: Metadata) -> str:
    """The class whose clock runs: the strictest among the fields that are asked for."""
    read = {name for each in terms.fields.items() for name in _reads(said.code, *each)}
    classes = {each.share_class for each in said.fields if each.name in read}
    return "conditional" if "conditional" in classes else "unconditional"


def _check_whole(terms: Terms) -> None:
    parts: Iterable[object] = (
        terms.purposes,
        terms.bases,
        terms.items,
        terms.fields,
        terms.modes,
    )
    if not all(parts):
        raise Invalid("name at least one purpose, basis, item, field and mode", zh="申请要素不全")
    if not all(map(cites, terms.bases)):
        raise Invalid(
            "a basis cites a law or a numbered document: 《…》第…条",
            zh="使用依据须引用法律法规条款",
        )
    if not terms.valid_from < terms.valid_to <= terms.valid_from + LONGEST:
        raise Invalid("the period ends after it begins, within three years", zh="使用期限不合要求")
    if min(terms.per_minute, terms.per_day, terms.max_uses or 1) < 1:
        raise Invalid("a quota is at least one", zh="调用额度须大于零")


def _outside(terms: Terms, said: Metadata) -> Iterator[str]:
    for asked, form in sorted(terms.fields.items()):
        for name in _reads(said.code, asked, form):
            field = said.field(name)
            if field is None:
                yield f"{asked}: there is no such field or question"
            elif field.share_class == "withheld":
                yield f"{asked}: {name} is withheld by {field.withheld_by}"
            elif form not in field.forms:
                yield f"{asked}: {name} is not given {form}"
    for name in sorted(terms.row_filter):
        if said.field(name) is None:
            yield f"rows cannot be chosen by {name}: there is no such field"


def _reads(resource: str, asked: str, form: Form) -> tuple[str, ...]:
    """The fields behind what is asked for: itself, or what a question of the catalogue reads."""
    if form is not Form.PREDICATE:
        return (asked,)
    try:
        return predicates.asked(contract.load(resource), asked).predicate.reads
    except NotFound:
        return (asked,)


def _less(form: Form, than: Form | None) -> bool:
    """A plain value says all that the other forms say; these say different things."""
    return than is not None and than in (Form.PLAIN, form)


def _fewer_rows(new: Mapping[str, tuple[str, ...]], old: Mapping[str, tuple[str, ...]]) -> bool:
    return all(name in new and set(new[name]) <= set(values) for name, values in old.items())
