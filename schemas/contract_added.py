"""What Yizhan adds to the Open Data Contract Standard, as `customProperties` spell it.

Of a dataset:

    kind             base (collected), thematic (built) or view (read where it lives)
    cardinality      one or many rows a subject
    sourceAuthority  {code, name}: the one department that answers for it
    subjects         {type: field}: under which field a subject of that type is looked up
    parents          of a thematic dataset: ids, or {dataset, scope: {our field: its field}}
    sql              the file beside the contract that builds it, or reads it
    relation         where a view lives

Of a field:

    shortName        the standard short name (GMSFHM)
    shareClass       unconditional, conditional, or withheld; `withheldBy` then names the law
    identifier       the kind of number it is; `identifierBy` {column, kinds} where a column tells
    codeList         the list that its values are from
    references       {dataset, column} that should know the value; by code with `identifierBy`
    formerNumber     true: an older number of the row's own subject
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from schemas.contract import Cardinality, Kind, ShareClass

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
DatasetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AuthorityProperty(_Strict):
    """The one source, by code and name."""

    code: str
    name: str


class ParentProperty(_Strict):
    """A parent, and which of its columns are which of ours; left out where names agree."""

    dataset: DatasetId
    scope: dict[Word, Word] = Field(default_factory=dict)


class DatasetProperties(_Strict):
    """What is added to a dataset. A parent may be a plain id."""

    kind: Kind
    cardinality: Cardinality
    sourceAuthority: AuthorityProperty
    subjects: dict[str, Word]
    parents: list[Annotated[ParentProperty, BeforeValidator(lambda said: _parent(said))]] = []
    sql: str | None = None
    relation: str | None = None


def _parent(said: Any) -> Any:
    return {"dataset": said} if isinstance(said, str) else said


class IdentifierByProperty(_Strict):
    """The column that tells a number's kind, and what its codes mean."""

    column: Word
    kinds: dict[str, str]


class ReferenceProperty(_Strict):
    """The column of another dataset that should know the value."""

    dataset: DatasetId
    column: Word


def _references(said: Any) -> Any:
    return {None: said} if isinstance(said, dict) and "dataset" in said else said


References = Annotated[dict[str | None, ReferenceProperty], BeforeValidator(_references)]


class FieldProperties(_Strict):
    """What is added to a field. `references` is one, or one for each code of `identifierBy`."""

    shortName: str
    shareClass: ShareClass
    withheldBy: str | None = None
    identifier: str | None = None
    identifierBy: IdentifierByProperty | None = None
    codeList: str | None = None
    references: References = Field(default_factory=dict)
    formerNumber: bool = False


class TypeOptions(_Strict):
    """What the standard lets a type say of its values, as far as it is checked here.

    Anything else is refused rather than passed over: a rule says it.
    """

    minLength: Annotated[int, Field(ge=0)] | None = None
    maxLength: Annotated[int, Field(ge=1)] | None = None
    minimum: int | float | None = None
