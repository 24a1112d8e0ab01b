"""The stand-alone verifier: one file, our own modules, and nothing passes that was not signed."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from exchange.database import Database, Role
from exchange.ledger import verifier, volumes
from schemas import merkle
from schemas.errors import Invalid
from schemas.ledger_volume import Reader, block_bytes, header_bytes
from tests.conftest import LONG
from tests.exchange.ledger.made import (
    LOG,
    VKEY,
    WITNESS_VKEYS,
    alone,
    cosignature,
    entries,
    entry,
    head,
    insert,
    placed,
    signed,
    volume,
)

MUTATIONS = 5000 if LONG else 150


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The verifier as an auditor has it: loaded from the one file."""
    return alone(tmp_path_factory.mktemp("tool"))


class TestOneFile:
    def test_it_needs_only_cryptography(self) -> None:
        """Whatever it imports is Python's own or `cryptography`."""
        tree = ast.parse(verifier.source())

        roots = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
        }

        assert {"cryptography"} == roots - sys.stdlib_module_names

    def test_it_is_our_own_merkle_module(self) -> None:
        """Every function and class of the tree's arithmetic stands in it word for word."""
        made = verifier.source()
        text = Path(merkle.__file__).read_text("utf-8")

        parts = [
            ast.get_source_segment(text, node)
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]

        assert len(parts) > 10
        assert all(part is not None and part in made for part in parts)

    def test_it_computes_what_we_compute(self, tool: ModuleType) -> None:
        """Roots and proofs of both, for every size up to seventy."""
        leaves = [merkle.leaf_hash(bytes([n])) for n in range(70)]
        nodes = {(n[0], n[1]): n[2] for n in merkle.Frontier().append(leaves)[1]}

        for size in range(1, 71):
            assert merkle.root(leaves[:size]) == tool.root(leaves[:size])
            path = tool.inclusion_path(size // 2, size, lambda lv, at: nodes[lv, at])
            root = merkle.root(leaves[:size])
            assert root == merkle.verify_inclusion(leaves[size // 2], size // 2, size, path, root)

    def test_the_build_is_the_same_each_time(self) -> None:
        """So that a digest of the file says which one it is."""
        assert verifier.source() == verifier.source()

    def test_a_name_that_stands_twice_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In one file one of the two would silently win."""
        monkeypatch.setattr(verifier, "MODULES", (*verifier.MODULES, "schemas.merkle"))

        with pytest.raises(Invalid, match="another module"):
            verifier.source()

    def test_it_runs_alone(self, tmp_path: Path) -> None:
        """Isolated, in an empty folder, as a command."""
        (tmp_path / "v.py").write_text(verifier.source(), "utf-8")
        volume(tmp_path, entries(5))
        command = [sys.executable, "-I", "v.py", "volumes", ".", "--key", VKEY]

        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

        assert (0, "") == (ran.returncode, ran.stderr)
        assert ran.stdout.startswith("PROVED entries 0 to 4")


def judged(tool: ModuleType, *paths: Path, heads: Any = (), policy: str = "") -> Any:
    """What the verifier says of volumes."""
    trusted = tool.parse_policy(policy) if policy else tool.of_log(VKEY)
    return tool.whole(paths, trusted, heads)


class TestVolumes:
    @pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 600])
    def test_a_whole_ledger_is_proved(self, tool: ModuleType, tmp_path: Path, count: int) -> None:
        """Every entry under the signed root, and every kept head on the way."""
        bodies = entries(count)
        kept = [head(bodies[:size]) for size in range(1, count + 1, 97)]

        found = judged(tool, volume(tmp_path, bodies), heads=kept)

        assert (0, count, len(kept)) == (found.first, found.end, found.heads - 1)

    def test_volumes_continue_each_other(self, tool: ModuleType, tmp_path: Path) -> None:
        """In whatever order the files are given."""
        first, second, _ = _three(tmp_path)

        assert 700 == judged(tool, tmp_path, heads=[head(entries_of(tmp_path)[:300])]).end
        assert 600 == judged(tool, second, first).end

    def test_what_is_left_after_older_volumes_went(self, tool: ModuleType, tmp_path: Path) -> None:
        """A later volume is proved alone: its edge is below its signed root."""
        _, second, third = _three(tmp_path)

        assert (250, 700) == (lambda w: (w.first, w.end))(judged(tool, second, third))

    def test_a_missing_volume_is_named(self, tool: ModuleType, tmp_path: Path) -> None:
        """Between two others."""
        first, _, third = _three(tmp_path)

        with pytest.raises(tool.LedgerBroken, match="after entry 250 is missing"):
            judged(tool, first, third)

    def test_a_replaced_volume_is_named(self, tool: ModuleType, tmp_path: Path) -> None:
        """Even by one that proves the same entries: the chain names the file."""
        first, second, _ = _three(tmp_path)
        bodies = entries_of(tmp_path)[:250]
        first.write_bytes(first.read_bytes() + cosignature(_text(head(bodies)), 0).encode())

        with pytest.raises(tool.LedgerBroken, match="before entry 250 was replaced"):
            judged(tool, first, second)

    def test_no_changed_byte_passes(self, tool: ModuleType, tmp_path: Path) -> None:
        """Whichever bit of a volume is turned, and wherever it is cut."""
        path = volume(tmp_path, entries(300))
        whole, rounds = path.read_bytes(), random.Random(4)

        for _ in range(MUTATIONS):
            path.write_bytes(_mutated(whole, rounds))
            with pytest.raises(tool.YizhanError):
                judged(tool, path)

    def test_an_entry_that_is_not_canonical(self, tool: ModuleType, tmp_path: Path) -> None:
        """Signed or not, two readings of one entry are refused where they are asked for."""
        path = volume(tmp_path, [*entries(3), b'{"b":1,"a":2}'])
        asked = ["volumes", str(path), "--key", VKEY]

        assert 0 == tool.main(asked)
        assert 1 == tool.main([*asked, "--canonical"])


def _three(folder: Path) -> tuple[Path, Path, Path]:
    bodies = entries(700)
    first = volume(folder, bodies[:250])
    second = volume(folder, bodies[:600], first=250, previous=volumes.digest(first))
    third = volume(folder, bodies, first=600, previous=volumes.digest(second))
    return first, second, third


def entries_of(folder: Path) -> list[bytes]:
    """All entries of the volumes of a folder."""
    found = list[bytes]()
    for path in sorted(folder.glob("*.volume")):
        with path.open("rb") as file:
            found += [body for block in Reader(file).blocks() for body in block.entries]
    return found


def _text(note: bytes) -> bytes:
    return note.partition(b"\n\n")[0] + b"\n"


def _mutated(data: bytes, rounds: random.Random) -> bytes:
    at = rounds.randrange(len(data))
    match rounds.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + 1 :]
        case 2:
            return data[:at] + bytes([rounds.randrange(256)]) + data[at:]
    return data[:at] + bytes([data[at] ^ 1 << rounds.randrange(8)]) + data[at + 1 :]


POLICY = (
    f"log {VKEY}\n"
    + "".join(f"witness w{n} {key}\n" for n, key in enumerate(WITNESS_VKEYS))
    + "group some 2 w0 w1 w2\nquorum some\n"
)


class TestWitnessed:
    def test_a_quorum_is_asked_for(self, tool: ModuleType, tmp_path: Path) -> None:
        """Two of three cosigned, and say when."""
        bodies = entries(4)

        found = judged(tool, volume(tmp_path, bodies, head(bodies, [0, 2])), policy=POLICY)

        assert {"w0", "w2"} == set(found.newest.cosigned)

    @pytest.mark.parametrize("cosigners", [[], [1], [1, 1]])
    def test_too_few_is_refused(
        self, tool: ModuleType, tmp_path: Path, cosigners: list[int]
    ) -> None:
        """One witness that signs twice is one."""
        bodies = entries(4)
        path = volume(tmp_path, bodies, head(bodies, cosigners))

        with pytest.raises(tool.BadCheckpoint, match="too few witnesses"):
            judged(tool, path, policy=POLICY)

    def test_a_forged_cosignature_condemns(self, tool: ModuleType, tmp_path: Path) -> None:
        """A line that claims to be a known witness's and is not."""
        bodies = entries(4)
        other = cosignature(_text(head(bodies[:3])), 0).encode()
        path = volume(tmp_path, bodies, head(bodies, [1, 2]) + other)

        with pytest.raises(tool.BadCheckpoint, match="does not fit"):
            judged(tool, path, policy=POLICY)

    def test_a_fork_is_shown_by_two_heads(self, tool: ModuleType, tmp_path: Path) -> None:
        """Two heads of one size: whoever signed them is caught, whatever the volume holds."""
        bodies = entries(4)
        kept = [head(bodies[:3]), signed(3, bytes(32))]

        with pytest.raises(tool.LedgerBroken, match="a fork"):
            judged(tool, volume(tmp_path, bodies), heads=kept)


SIZE = 520


@pytest.fixture(scope="module")
def honest() -> list[Any]:
    """Entries that were placed and whose head a witness keeps."""
    return [entry(number) for number in range(SIZE)]


class TestAnAdministrator:
    """Who may do anything in the database, has taken the triggers away and holds the log's key."""

    @pytest.fixture
    def owner(self, database: Database, honest: list[Any]) -> Any:
        """The owner's connection to a ledger of entries that all have their place."""
        with database.connect(Role.HUB) as hub:
            insert(hub, honest)
        with database.connect(Role.LEDGER, autocommit=True) as conn:
            assert SIZE == placed(conn)
        with database.connect(Role.OWNER, autocommit=True) as conn:
            yield conn

    def test_every_fault_is_found(
        self, tool: ModuleType, owner: psycopg.Connection, tmp_path: Path
    ) -> None:
        """Each planted fault, alone and with the tree and its signature made to fit."""
        witnessed = _note(_exported(owner, tmp_path / "before", LOG))
        assert SIZE == judged(tool, tmp_path / "before", heads=[witnessed]).end

        for name, statements in FAULTS.items():
            for rebuilt in (False, True):
                folder = tmp_path / f"{name}-{rebuilt}"
                with owner.transaction(force_rollback=True):
                    _tamper(owner, statements, rebuilt)
                    _exported(owner, folder, LOG)
                with pytest.raises(tool.LedgerBroken):
                    judged(tool, folder, heads=[witnessed])

    def test_a_rewriting_with_the_key_shows_only_against_a_witness(
        self, tool: ModuleType, owner: psycopg.Connection, tmp_path: Path
    ) -> None:
        """Without the kept checkpoint the forged history is proved: that is what witnesses are
        for, and that the test above can fail."""
        with owner.transaction(force_rollback=True):
            _tamper(owner, FAULTS["edited"], rebuilt=True)
            _exported(owner, tmp_path, LOG)

        assert SIZE == judged(tool, tmp_path).end

    def test_the_entry_is_named(
        self, tool: ModuleType, owner: psycopg.Connection, tmp_path: Path
    ) -> None:
        """Where the tree was left alone."""
        for name, said in (("edited", "entry 300 was changed"), ("deleted", "entry 300 was rem")):
            with owner.transaction(force_rollback=True):
                _tamper(owner, FAULTS[name], rebuilt=False)
                _exported(owner, tmp_path / name, LOG)
            with pytest.raises(tool.LedgerBroken, match=said):
                judged(tool, tmp_path / name)


AT_300 = "(SELECT receipt FROM hub.ledger_leaf WHERE position = 300)"
EDIT = (
    "UPDATE hub.ledger_entry SET body = convert_to(replace(convert_from(body, 'UTF8'),"
    " 'client-300', 'client-7'), 'UTF8')"
)
SWAP = (
    "UPDATE hub.ledger_leaf SET position = -1 WHERE position = 300",
    "UPDATE hub.ledger_leaf SET position = 300 WHERE position = 301",
    "UPDATE hub.ledger_leaf SET position = 301 WHERE position = -1",
)
FAULTS: dict[str, tuple[str, ...]] = {
    "edited": (EDIT,),
    "deleted": (f"DELETE FROM hub.ledger_entry WHERE receipt = {AT_300}",),
    "deleted-with-leaf": (
        f"DELETE FROM hub.ledger_entry WHERE receipt = {AT_300}",
        "DELETE FROM hub.ledger_leaf WHERE position = 300",
    ),
    "reordered": SWAP,
    "last-removed": (
        f"DELETE FROM hub.ledger_leaf WHERE position = {SIZE - 1}",
        f"UPDATE hub.ledger_head SET size = {SIZE - 1}",
    ),
    "cut": (
        "DELETE FROM hub.ledger_leaf WHERE position >= 256",
        "UPDATE hub.ledger_head SET size = 256",
    ),
    "slipped-in": (
        "UPDATE hub.ledger_leaf SET position = position + 100000 WHERE position >= 300",
        "UPDATE hub.ledger_leaf SET position = position - 99999 WHERE position >= 300",
        "INSERT INTO hub.ledger_entry (receipt, at, body) VALUES"
        " ('00000000-0000-7000-8000-000000000000', now(), '{}')",
        "INSERT INTO hub.ledger_leaf VALUES (300, '00000000-0000-7000-8000-000000000000', '')",
        f"UPDATE hub.ledger_head SET size = {SIZE + 1}",
    ),
    "swapped-bodies": (
        "UPDATE hub.ledger_entry e SET body = o.body FROM hub.ledger_entry o"
        f" WHERE e.receipt = {AT_300} AND o.receipt ="
        " (SELECT receipt FROM hub.ledger_leaf WHERE position = 5)",
    ),
}
TABLES = ("ledger_entry", "ledger_leaf", "ledger_inner")


def _tamper(owner: psycopg.Connection, statements: tuple[str, ...], rebuilt: bool) -> None:
    for table in TABLES:
        owner.execute(f"ALTER TABLE hub.{table} DISABLE TRIGGER USER".encode())
    for statement in statements:
        owner.execute(statement.encode())
    if rebuilt:
        _rebuild(owner)


def _rebuild(owner: psycopg.Connection) -> None:
    """Make places, hashes and nodes fit the entries that are there."""
    rows = owner.execute(
        "SELECT l.receipt, e.body FROM hub.ledger_leaf l JOIN hub.ledger_entry e USING (receipt)"
        " ORDER BY l.position"
    ).fetchall()
    for table in ("ledger_leaf", "ledger_inner"):
        owner.execute(f"DELETE FROM hub.{table}".encode())
    hashes = [merkle.leaf_hash(bytes(body)) for _, body in rows]
    leaves = [(n, receipt, hashes[n]) for n, (receipt, _) in enumerate(rows)]
    inner = [node for node in merkle.Frontier().append(hashes)[1] if node[0]]
    with owner.cursor() as cursor:
        cursor.executemany("INSERT INTO hub.ledger_leaf VALUES (%s, %s, %s)", leaves)
        cursor.executemany("INSERT INTO hub.ledger_inner VALUES (%s, %s, %s)", inner)
    owner.execute("UPDATE hub.ledger_head SET size = %s", (len(rows),))


def _note(path: Path) -> bytes:
    with path.open("rb") as file:
        reader = Reader(file)
        assert all(block.entries for block in reader.blocks())
        return reader.checkpoint()


def _exported(owner: psycopg.Connection, folder: Path, key: Any) -> Path:
    """Export what is there, under a head of what is there."""
    found = owner.execute("SELECT hash FROM hub.ledger_leaf ORDER BY position").fetchall()
    edge = merkle.Frontier().append(bytes(digest) for (digest,) in found)[0]
    note = signed(edge.size, edge.root(), key=key).decode()
    return volumes.write(owner, folder, 0, note)


class TestReading:
    def test_a_header_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        """With its edge."""
        bodies = entries(13)
        path = volume(tmp_path, bodies, first=11, previous="0" * 64)
        with path.open("rb") as file:
            read = Reader(file)

        assert path.read_bytes().startswith(header_bytes(read.header))
        assert (11, 2, 3) == (read.header.first, read.header.count, len(read.header.edge))

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: data.replace(b"volume/1", b"volume/2", 1),
            lambda data: data.replace(b"0 3\n", b"0 03\n", 1),
            lambda data: data.replace(b"\n-\n", b"\nnone\n", 1),
            lambda data: data.replace(b"\n-\n\n\n", b"\n-\nAAAA\n\n", 1),
            lambda data: data + b"x" * (1 << 16),
            lambda data: b"\xff" * 100,
        ],
    )
    def test_what_is_no_volume(
        self, tool: ModuleType, tmp_path: Path, spoil: Callable[[bytes], bytes]
    ) -> None:
        """Said so, not raised through."""
        path = volume(tmp_path, entries(3))
        path.write_bytes(spoil(path.read_bytes()))

        with pytest.raises(tool.Invalid):
            judged(tool, path)

    def test_a_block_is_bounded(self, tool: ModuleType, tmp_path: Path) -> None:
        """A length that would fill the memory is refused before it is read."""
        path = volume(tmp_path, entries(1))
        data = path.read_bytes()
        at = data.index(block_bytes(entries_of(tmp_path), [b""])[:4])
        path.write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])

        with pytest.raises(tool.BadVolume, match="too long"):
            judged(tool, path)
