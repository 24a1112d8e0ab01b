"""From what an engineer types to the source itself: a feed that is only looked at.

A feed shows the values of the columns that were agreed on, and of a new source none are. So it is
looked at twice: once for its columns, then as if all of them were agreed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, get_args, get_origin, get_type_hints

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from connectors.feeds import Manifest, open_feed
from connectors.feeds.feed_settings import EnvName
from schemas.errors import Invalid

Said = Mapping[str, Any]
"""The `feed` part of a manifest, as YAML would give it."""

LOOKING = {"deleted_at_most": 0, "quarantined_at_most": 0}


def looking(source: str, owner: str, feed: Said, columns: Iterable[str] = ()) -> Manifest:
    """A manifest that serves for looking only: every column feeds a field of its own name."""
    said = {
        "source": source,
        "dataset": "none.yet",
        "owner": owner,
        "feed": feed,
        "schedule": "1d",
        "columns": {column: column for column in columns},
        "guards": LOOKING,
        "may_evolve": True,
    }
    try:
        return Manifest.model_validate(said)
    except ValidationError as err:
        raise Invalid(f"{source}: {'; '.join(_wrongs(err))}") from None


def _wrongs(err: ValidationError) -> Iterator[str]:
    for each in err.errors(include_input=False, include_url=False):
        place = ".".join(str(step) for step in each["loc"])
        yield f"{place}: {each['msg']}" if place else each["msg"]


def sampled(manifest: Manifest, secrets: Mapping[str, str], limit: int) -> pa.Table:
    """The source's first rows, every column with its values. Raises as a feed does."""
    names = _sample(manifest, secrets, 1).schema.names
    whole = looking(manifest.source, manifest.owner, said_of(manifest), names)
    return _sample(whole, secrets, limit)


def _sample(manifest: Manifest, secrets: Mapping[str, str], limit: int) -> pa.Table:
    with closing(open_feed(manifest, only_named(manifest, secrets))) as feed:
        return feed.sample(limit)


def said_of(manifest: Manifest) -> dict[str, Any]:
    """The `feed` part as it was said, without what was left out."""
    return manifest.feed.model_dump(mode="json", exclude_unset=True)


def only_named(manifest: Manifest, secrets: Mapping[str, str]) -> dict[str, str]:
    """Of all variables, those that the manifest names: a look keeps nothing in our home."""
    return {name: secrets[name] for name in variables(manifest) if name in secrets}


def variables(manifest: Manifest) -> tuple[str, ...]:
    """The variables that a manifest names, in the order of its settings."""
    return tuple(dict.fromkeys(_named_in(manifest.feed)))


def _named_in(model: BaseModel) -> Iterator[str]:
    hints = get_type_hints(type(model), include_extras=True)
    for name in type(model).model_fields:
        yield from _named(hints[name], getattr(model, name))


def _named(hint: Any, value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from _named_in(value)
    elif isinstance(value, str) and (hint == EnvName or EnvName in get_args(hint)):
        yield value
    elif isinstance(value, Mapping) and get_origin(hint) is Mapping:
        for each in value.values():
            yield from _named(get_args(hint)[1], each)
