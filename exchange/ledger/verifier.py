"""The build step of the stand-alone verifier: our own modules, word for word, as one file.

An auditor should not have to install us to check us. Nothing is written twice: the file holds the
source of the modules below in their order, without their imports of each other, and needs nothing
but Python and `cryptography`. A top-level name may stand once in all of them, or there is no file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import Invalid

MODULES = (
    "schemas.errors",
    "schemas.merkle",
    "schemas.checkpoint",
    "schemas.cosignature",
    "schemas.trust_policy",
    "schemas.tiles",
    "schemas.ledger_volume",
    "exchange.ledger.continuity",
    "exchange.ledger.receipts",
    "exchange.ledger.standalone",
)
OURS = ("schemas", "exchange")
NEEDED = "cryptography"
HEAD = '''#!/usr/bin/env python3
"""{docstring}

It needs Python 3.11 and the package `cryptography`, and trusts only the key or policy it is given.
This file was written by `yizhan ledger verifier` from the modules named in it; change those.
"""

from __future__ import annotations

'''


@dataclass(frozen=True)
class Module:
    """A module's source in its parts."""

    name: str
    docstring: str
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    names: frozenset[str]
    rest: str


def source() -> str:
    """The verifier's one file. Raises `Invalid` when the modules do not fit into one."""
    modules = [_module(name) for name in MODULES]
    _check_names(modules)
    docstring = modules[-1].docstring.strip()
    parts = [HEAD.format(docstring=docstring) + _foreign_imports(modules)]
    for module in modules:
        said = "".join(f"# {line}".rstrip() + "\n" for line in module.docstring.split("\n"))
        parts.append(f"# ---- {module.name}\n#\n{said.rstrip()}\n\n{module.rest.strip()}\n")
    return "\n\n".join(parts)


def _module(name: str) -> Module:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text("utf-8")
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = text.splitlines(keepends=True)
    for node in (tree.body[0], *imports):
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
    names = frozenset(_defined(tree))
    return Module(name, ast.get_docstring(tree) or "", tuple(imports), names, "".join(lines))


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _check_names(modules: list[Module]) -> None:
    """Every name of ours means one thing, and is there before it is asked for."""
    known = set[str]()
    for module in modules:
        if twice := known & module.names:
            raise Invalid(f"{module.name} defines {sorted(twice)}, which another module has too")
        for node in module.imports:
            if _is_ours(node):
                asked = {alias.asname or alias.name for alias in node.names}
                if lacking := asked - known:
                    raise Invalid(f"{module.name} takes {sorted(lacking)} from no earlier module")
        known |= module.names


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS


def _foreign_imports(modules: list[Module]) -> str:
    """What is taken from elsewhere: the standard library, then `cryptography`; each name once."""
    plain, named = set[str](), dict[str, set[str]]()
    for node in (node for module in modules for node in module.imports if not _is_ours(node)):
        names = {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            plain |= names
        elif node.module != "__future__":
            named.setdefault(node.module or "", set()).update(names)
    lines = [f"import {name}" for name in sorted(plain)]
    standard = [name for name in sorted(named) if not name.startswith(NEEDED)]
    lines += [_from(name, named[name]) for name in standard]
    needed = [_from(name, named[name]) for name in sorted(named) if name.startswith(NEEDED)]
    return "\n".join([*lines, "", *needed]) + "\n"


def _from(module: str, names: set[str]) -> str:
    return f"from {module} import {', '.join(sorted(names))}"
