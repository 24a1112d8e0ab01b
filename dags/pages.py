"""The page of a DAG in Airflow: what a person on duty wants to know, from manifest and contract."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.feeds.manifest import Manifest
from schemas.contract import Contract

SOURCE = """\
## {contract.name_zh} · `{contract.id}` from `{manifest.source}`

{contract.purpose}

| | |
|---|---|
| owner | {manifest.owner}{contact} |
| feed | `{manifest.feed.kind}`, system `{system}`, at most {manifest.pool} at once |
| asked every | `{manifest.schedule}`{expected} |
| promised freshness | {contract.freshness} |
| key | {key} |
| held when | more than {guards.deleted_at_most:.0%} deleted, or more than \
{guards.quarantined_at_most:.0%} of {guards.judged_from} rows or more quarantined |
| a new column | {evolves} |

**Held?** `yizhan library show {contract.id}` says why. Then
`yizhan library release BATCH --reason …` lets it pass, `yizhan library reject BATCH --reason …`
asks the source again.

**Wrong rows?** `yizhan library quarantine {manifest.source}`: every reason of every row.

**Load again?** `yizhan library replay BATCH`, or days by
`airflow backfill create --dag-id replay --from-date DAY --to-date DAY
--dag-run-conf '{{"sources": ["{manifest.source}"]}}'`; both leave alone what came later.

{how}
"""
BUILT = """\
## {contract.name_zh} · `{contract.id}`

{contract.purpose}

| | |
|---|---|
| owner | {contract.owner} |
| built from | {parents} |
| promised freshness | {contract.freshness} |
| key | {key} |

**Build again?** Replay a batch of a parent; what it touches is built anew. A build that was missed
is made by the sweep within a minute.

{how}
"""
REFUSED = """\
## `{stem}.yaml` is wrong

    {why}

Nothing is collected from this source until it is repaired; every other source goes on.
`yizhan source check {stem}` says the same and more.

{how}
"""


def of_refused(stem: str, why: str, how: str | None) -> str:
    """The page of a DAG whose manifest is wrong."""
    return REFUSED.format(stem=stem, why=why, how=how)


def of_source(manifest: Manifest, contract: Contract, how: str | None) -> str:
    """The page of a collecting DAG; `how` is how all of them work."""
    return SOURCE.format(
        manifest=manifest,
        contract=contract,
        contact=f", {manifest.contact}" if manifest.contact else "",
        system=manifest.system or manifest.source,
        expected=f", a batch expected every `{manifest.expected.every}`"
        if manifest.expected
        else "",
        key=_named(contract.key),
        guards=manifest.guards,
        evolves="is let in" if manifest.may_evolve else "stops the batch with a diff",
        how=how,
    )


def of_build(contract: Contract, how: str | None) -> str:
    """The page of a building DAG."""
    return BUILT.format(
        contract=contract, parents=_named(contract.parents), key=_named(contract.key), how=how
    )


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
