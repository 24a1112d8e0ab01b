"""The signer as a process: who may ask, what survives a kill, what it refuses over its socket."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exchange.database import Database, Role
from license_vault import change, checkpoints, issue, status_list, store
from license_vault.record import log_origin, status_list_address
from license_vault.signer.client import SignerClient, ToSign
from schemas import checkpoint, merkle
from schemas.errors import Refused, Unauthenticated, Unavailable
from schemas.license import License
from tests.license_vault.office import OFFICER, Office, business_license


def issued(vault: Office) -> License:
    """A license, so that there is something to sign about."""
    [held] = issue.issue(vault.connect, vault.signer, [business_license()], vault.place)
    return held


def head(vault: Office) -> bytes:
    """The body of the log's head as committed."""
    with vault.connect() as conn:
        size = store.log_size(conn)
        root = merkle.frontier(size, lambda level, n: store.node(conn, level, n)).root()
    return checkpoint.body(log_origin(vault.place.public_url), size, root)


class TestCallers:
    def test_a_wrong_secret(self, vault: Office) -> None:
        """The name alone opens nothing."""
        stranger = SignerClient(vault.settings.signer_socket, "vault", bytes(32), patience=0)

        with pytest.raises(Unauthenticated):
            stranger.certificates()

    def test_an_unknown_name(self, vault: Office) -> None:
        """Only callers that the signer knows have a secret at all."""
        secret = vault.settings.secret("signer-stranger")
        stranger = SignerClient(vault.settings.signer_socket, "stranger", secret, patience=0)

        with pytest.raises(Unauthenticated):
            stranger.certificates()

    def test_the_hub_may_not_seal(self, vault: Office) -> None:
        """Each caller has its own kinds; the hub serves lists and heads."""
        with pytest.raises(Refused) as refused:
            vault.process.client("hub").sign("pdf", [ToSign("x", b"x")])

        assert "caller-may-not" == refused.value.rule

    def test_the_socket_lies_in_a_folder_of_our_own(self, vault: Office) -> None:
        """0700, and the socket 0600."""
        path = vault.settings.signer_socket

        assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)


class TestSight:
    def test_the_signers_role_sees_no_record(self, vault: Office, database: Database) -> None:
        """Its database role reads digests and bits; what is personal is refused by PostgreSQL."""
        for query in (
            "SELECT record FROM vault.sealing",
            "SELECT * FROM vault.license",
            "SELECT bytes FROM vault.file",
            "UPDATE vault.sealing SET state = 'voided'",
        ):
            with (
                database.connect(Role.SIGNER) as conn,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                conn.execute(query.encode())

    def test_a_reservation_that_is_not_there(self, vault: Office) -> None:
        """Nobody can have sealed what the vault did not commit."""
        with pytest.raises(Refused) as refused:
            vault.signer.sign("pdf", [ToSign("00000000-0000-0000-0000-000000000000", b"x")])

        assert "not-reserved" == refused.value.rule


class TestStatusList:
    def test_a_revocation_that_is_left_out_is_not_signed(self, vault: Office) -> None:
        """The token over yesterday's bits is refused the moment the revocation is committed."""
        held = issued(vault)
        hub = vault.process.client("hub")
        chain = hub.certificates().status_list
        address = status_list_address(vault.place.public_url, 1)
        empty = status_list.token_tbs(
            address, status_list.pack([]), at=datetime.now(UTC), x5c=chain
        )
        assert 64 == len(hub.sign("status-list", [ToSign("1", empty)])[0])
        with vault.connect() as conn:
            change.revoke(conn, held.id, reason="closed", by=OFFICER)

        with pytest.raises(Refused) as refused:
            hub.sign("status-list", [ToSign("1", empty)])

        assert "status-list-differs" == refused.value.rule


class TestCheckpoint:
    def test_a_head_is_remembered_over_a_kill(self, guarded: Office) -> None:
        """After kill -9 the signer still refuses a smaller log than it has signed."""
        issued(guarded)
        small = head(guarded)
        with guarded.connect() as conn:
            change.suspend(
                conn, guarded.one("SELECT id FROM vault.license"), reason="x", by=OFFICER
            )
            conn.commit()
            checkpoints.current(conn, guarded.signer, guarded.place.public_url)
        guarded.process.kill()
        guarded.process.start()

        with pytest.raises(Refused) as refused:
            guarded.signer.sign("checkpoint", [ToSign("log", small)])

        assert "log-rolled-back" == refused.value.rule

    def test_a_rewritten_log_is_not_signed(self, vault: Office, database: Database) -> None:
        """Whoever owns the database and rewrites an entry gets no signature on it."""
        held = issued(vault)
        with vault.connect() as conn:
            change.suspend(conn, held.id, reason="x", by=OFFICER)
        with vault.connect() as conn:
            checkpoints.current(conn, vault.signer, vault.place.public_url)
            change.restore(conn, held.id, reason="x", by=OFFICER)
        with database.connect(Role.OWNER) as owner:
            leaf = merkle.leaf_hash(b"another entry")
            owner.execute(
                'UPDATE vault.log_node SET hash = %s WHERE level = 0 AND "index" = 0', (leaf,)
            )
            sibling = owner.execute(
                'SELECT hash FROM vault.log_node WHERE level = 0 AND "index" = 1'
            ).fetchone()
            assert sibling is not None
            owner.execute(
                "UPDATE vault.log_node SET hash = %s WHERE level = 1",
                (merkle.node_hash(leaf, bytes(sibling[0])),),
            )

        with pytest.raises(Refused) as refused:
            vault.signer.sign("checkpoint", [ToSign("log", head(vault))])

        assert "log-inconsistent" == refused.value.rule

    def test_the_signature_is_of_the_exported_key(self, vault: Office) -> None:
        """What a verifier was handed verifies what the signer signs."""
        issued(vault)
        body = head(vault)

        [signature] = vault.signer.sign("checkpoint", [ToSign("log", body)])

        exported = bytes.fromhex((vault.settings.trust / "log.ed25519").read_text())
        Ed25519PublicKey.from_public_bytes(exported).verify(signature, body)

    def test_heads_are_on_disk_before_the_signature_leaves(self, vault: Office) -> None:
        """The file names the very head that was signed."""
        issued(vault)

        told = json.loads((vault.settings.home / "signer" / "heads.json").read_text())
        assert checkpoint.parse(head(vault)).root.hex() == told["log"]["root"]


class TestKeystore:
    def test_keys_are_encrypted_and_for_nobody_else(self, vault: Office) -> None:
        """PKCS#8 under a passphrase; folder 0700, files 0600; no key in clear."""
        folder = vault.settings.home / "signer" / "keys"

        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
        for path in folder.glob("*.key"):
            assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
            assert 0o600 == stat.S_IMODE(path.stat().st_mode)

    def test_keys_survive_a_restart(self, guarded: Office) -> None:
        """The same certificates after kill -9, and a chain that leads to the exported root."""
        before = guarded.signer.certificates()
        guarded.process.kill()
        guarded.process.start()

        again = guarded.process.client().certificates()

        assert before == again
        root = x509.load_pem_x509_certificate((guarded.settings.trust / "roots.pem").read_bytes())
        for chain in (again.seal, again.sd_jwt, again.status_list):
            x509.load_der_x509_certificate(chain[0]).verify_directly_issued_by(root)

    def test_a_client_outlives_a_restart_of_the_signer(self, guarded: Office) -> None:
        """The same client, the same connection object, a signer that was killed in between."""
        guarded.signer.certificates()
        guarded.process.kill()
        guarded.process.start()

        assert issued(guarded)

    def test_a_signer_that_stays_away_is_unavailable(self, guarded: Office) -> None:
        """The one family that is worth trying again."""
        guarded.process.kill()

        with pytest.raises(Unavailable):
            guarded.process.client(patience=0.1).certificates()
