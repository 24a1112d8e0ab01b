"""Promises about the shape of the code that no single room can keep alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exchange.identity import review
from exchange.libraries import batches, quarantine
from exchange.problems import KINDS, kind_of
from license_vault import change
from schemas import application as applications
from schemas import grant as grants
from schemas import license as licenses
from schemas.errors import YizhanError

ROOT = Path(__file__).parent.parent
ROOMS = ("schemas", "connectors", "license_vault", "exchange")
TABLES: tuple[tuple[Any, Any], ...] = (
    (licenses.Status, licenses.MOVES),
    (licenses.SealingState, licenses.SEALING_MOVES),
    (batches.State, batches.MOVES),
    (quarantine.State, quarantine.MOVES),
    (review.State, review.MOVES),
    (grants.GrantState, grants.GRANT_MOVES),
    (applications.State, applications.MOVES),
)


def our_errors() -> list[type[YizhanError]]:
    """Every error class of the product."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not found.name.endswith(("__main__", "migrations.env")):
                importlib.import_module(found.name)
    return sorted(set(_below(YizhanError)), key=lambda cls: cls.__qualname__)


def _below(cls: type[YizhanError]) -> Iterator[type[YizhanError]]:
    for sub in cls.__subclasses__():
        if sub.__module__.split(".")[0] in ROOMS:
            yield sub
            yield from _below(sub)


class TestStates:
    @pytest.mark.parametrize(("states", "moves"), TABLES, ids=lambda x: getattr(x, "__name__", ""))
    def test_every_state_says_where_it_may_go(self, states: Any, moves: Any) -> None:
        """No state was forgotten, and no move leads nowhere."""
        assert set(states) == set(moves)
        assert set().union(*moves.values()) <= set(states)

    def test_revoked_and_superseded_are_final(self) -> None:
        """There is no way back."""
        for status in (licenses.Status.REVOKED, licenses.Status.SUPERSEDED):
            assert frozenset() == licenses.MOVES[status]


class TestErrors:
    def test_every_error_has_a_stable_code(self) -> None:
        """Lower-case words with hyphens; clients match on them."""
        for cls in our_errors():
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.code), cls

    def test_every_error_has_a_row_in_the_table_of_problems(self) -> None:
        """None of ours becomes an unforeseen 500."""
        for cls in our_errors():
            if cls.__subclasses__():
                continue  # nobody raises a family
            kind = kind_of(cls.__new__(cls))

            assert kind.status < 500 or kind.retry, cls

    def test_only_what_may_be_retried_says_so(self) -> None:
        """`retry` goes with 429 and 503 and with nothing else."""
        assert {429, 503} == {kind.status for kind in KINDS.values() if kind.retry}


class TestChanges:
    @pytest.mark.parametrize(
        "deed", [change.revoke, change.suspend, change.restore, change.annul, change.supersede]
    )
    def test_every_change_of_a_license_says_why_and_who(self, deed: Any) -> None:
        """A write takes its audit event as parameters; none can be made without."""
        parameters = inspect.signature(deed).parameters

        for name in ("reason", "by"):
            assert inspect.Parameter.KEYWORD_ONLY == parameters[name].kind
            assert inspect.Parameter.empty is parameters[name].default


class TestDags:
    @pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=lambda p: p.name)
    def test_a_dag_is_thin_and_explains_itself(self, path: Path) -> None:
        """With a docstring, and under 80 lines where it makes a DAG: a task is one call."""
        text = path.read_text("utf-8")

        assert "DAG(" not in text or 80 > len(text.splitlines())
        assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))


class TestDocuments:
    def test_every_setting_is_in_the_readme(self) -> None:
        """A variable that the code reads is a variable that the README explains."""
        readme = (ROOT / "README.md").read_text("utf-8")
        code = "".join(p.read_text("utf-8") for p in (ROOT / "exchange").rglob("*.py"))

        read = set(re.findall(r"environ(?:\.get\(|\[)\"(YIZHAN_[A-Z_]+)\"", code))

        assert read
        assert set() == {name for name in read if f"`{name}`" not in readme}

    def test_the_lock_names_hashes_and_no_address(self) -> None:
        """Whoever installs fetches from where they trust, and gets what was locked."""
        for lock in (ROOT / "requirements").glob("*.txt"):
            text = lock.read_text("utf-8")

            assert "://" not in text
            assert len(re.findall(r"^[a-z0-9_.-]+==", text, re.MULTILINE)) <= text.count("sha256:")

    def test_no_contract_is_said_twice(self) -> None:
        """One file a dataset, and its id is its place."""
        for path in (ROOT / "schemas" / "contracts").rglob("*.yaml"):
            said = yaml.safe_load(path.read_text("utf-8"))

            assert f"{path.parent.name}.{path.stem}" == said["id"]
