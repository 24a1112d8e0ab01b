"""Issuing: three jobs, each one transaction, no license lost or doubled wherever it stops."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from exchange.database import Database, Role
from license_vault import change, checkpoints, issue, sd_jwt, store, types
from license_vault.log import verify_proof_file
from license_vault.record import log_origin, status_list_address
from license_vault.trust import TrustBundle
from license_vault.verify import verify
from schemas import checkpoint, identifiers
from schemas.canonical import b64url, sha256
from schemas.errors import Refused, Unavailable
from schemas.license import Form, License, Status
from tests.license_vault.office import (
    OFFICER,
    UNIT,
    Office,
    business_license,
    certificate,
    numbered,
)

LATER_NUMBER = "浙(2025)永康市不动产权第0009999号"


def issued(vault: Office, *requests: issue.Request) -> list[License]:
    """Issue these."""
    return issue.issue(vault.connect, vault.signer, requests or (business_license(),), vault.place)


def forms(vault: Office, license_id: str) -> dict[Form, bytes]:
    """Every form that was kept of a license."""
    with vault.connect() as conn:
        return {form: store.file(conn, license_id, form) for form in Form}


class TestIssue:
    def test_a_license_has_all_its_files_and_they_speak_of_one_record(self, vault: Office) -> None:
        """PDF and SD-JWT carry identifier, version, digest and status pointer of the record."""
        [held] = issued(vault)

        kept = forms(vault, held.id)
        claims = sd_jwt.read(kept[Form.SD_JWT].decode()).claims
        told = {"id": held.id, "version": "001", "sha256": b64url(sha256(kept[Form.RECORD]))}
        assert told == claims["license"]
        pointer = {"uri": status_list_address(vault.place.public_url, 1), "idx": held.status_index}
        assert {"status_list": pointer} == claims["status"]
        assert sha256(kept[Form.RECORD]) == held.digest
        assert kept[Form.PDF].startswith(b"%PDF-1.7")

    def test_the_identifier_checks_and_names_type_issuer_serial_and_version(
        self, vault: Office
    ) -> None:
        """GB/T 36904-2018, with the check character of GB/T 17710."""
        [held] = issued(vault)

        assert held.id == identifiers.license_id(held.id).value
        root = f"1.2.156.3005.2.{types.BUSINESS_LICENSE}.{held.issuer}.{held.serial}.001."
        assert held.id.startswith(root)

    def test_the_seal_holds_for_a_verifier_with_the_exported_root(self, vault: Office) -> None:
        """Every step of verification passes that needs nobody's answer."""
        [held] = issued(vault, certificate())
        at = datetime.now(UTC)
        keys = vault.signer.certificates()
        origin = log_origin(vault.place.public_url)
        key = checkpoint.vkey(origin, keys.checkpoint_key)
        trust = TrustBundle(vault.place.public_url, (keys.root,), key, at)

        report = verify(forms(vault, held.id)[Form.PDF], trust, at, None)

        # No status list was at hand, and nothing before that was wrong.
        assert "status-unavailable" == report.reason

    def test_the_log_proof_beside_it_stands_on_its_own(self, vault: Office) -> None:
        """A tlog-proof verifies with the record and the log's key, and nothing else."""
        licenses = issued(vault, *numbered(3))
        origin = log_origin(vault.place.public_url)
        vkey = checkpoint.vkey(origin, vault.signer.certificates().checkpoint_key)

        for place, held in enumerate(licenses):
            kept = forms(vault, held.id)
            logged = verify_proof_file(kept[Form.PROOF], record=kept[Form.RECORD], vkey=vkey)
            assert ("issue", place) == (logged.entry["event"], logged.index)

    def test_the_same_key_twice_is_one_license(self, vault: Office) -> None:
        """Asked again, the vault hands out what it issued, and writes nothing."""
        [first] = issued(vault)

        [again] = issued(vault)

        assert first == again
        assert 1 == vault.one("SELECT count(*) FROM vault.sealing")

    def test_two_runs_at_once_issue_every_key_once(self, vault: Office) -> None:
        """Whoever comes second gets the license that the first one made."""
        found: list[list[str]] = []

        def run() -> None:
            client = vault.process.client()
            made = issue.issue(vault.connect, client, numbered(12), vault.place)
            found.append(sorted(each.id for each in made))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert 3 == len(found)
        assert 1 == len({tuple(each) for each in found})
        assert 12 == vault.one("SELECT count(*) FROM vault.license")
        assert 12 == vault.one("SELECT count(*) FROM vault.log_entry")

    def test_a_character_without_a_glyph_refuses_this_license_alone(self, vault: Office) -> None:
        """The one is refused and leaves nothing behind; the others are issued."""
        unwritable = business_license("business/unwritable", "永康市\U00031350饭店")

        outcome = issue.issue_all(
            vault.connect, vault.signer, [unwritable, business_license()], vault.place
        )

        assert ["face-not-made"] == [each.code for each in outcome.not_issued]
        assert ["business/1"] == [self._key(vault)]
        assert 1 == len(outcome.licenses)

    def test_slots_of_a_batch_are_not_neighbours(self, vault: Office) -> None:
        """Random slots: the status list does not tell who was issued a license together."""
        places = sorted(each.status_index for each in issued(vault, *numbered(6)))

        gaps = {after - before for before, after in pairwise(places)}
        assert gaps != {1}

    @staticmethod
    def _key(vault: Office) -> str:
        return str(vault.one("SELECT idempotency_key FROM vault.sealing"))


class TestResume:
    def test_a_run_killed_after_any_job_is_completed_with_the_same_bytes(
        self, vault: Office
    ) -> None:
        """Reserved, sealed or finished without its proof: resuming ends at one whole license."""
        for job, request in enumerate(numbered(3)):
            with vault.connect() as conn:
                [held], _ = issue.reserve(conn, [request], vault.signer.certificates(), vault.place)
                conn.commit()
                if job > 0:
                    issue.seal(conn, vault.signer, [held])
                    conn.commit()
                if job > 1:
                    issue.finish(conn, vault.signer.certificates(), [held])

        outcome = issue.resume(vault.connect, vault.signer, vault.place)

        assert () == outcome.not_issued
        assert 3 == vault.one("SELECT count(*) FROM vault.license")
        assert 3 * len(Form) == vault.one("SELECT count(*) FROM vault.file")
        assert 0 == vault.one("SELECT count(*) FROM vault.sealing WHERE state <> 'finished'")

    def test_a_signer_that_is_away_leaves_the_reservation_open(self, guarded: Office) -> None:
        """Nothing is lost: number and bytes are kept until the signer is back."""
        guarded.signer.certificates()
        guarded.process.kill()
        impatient = guarded.process.client(patience=0.1)
        impatient._certificates = guarded.signer.certificates()
        with pytest.raises(Unavailable):
            issue.issue(guarded.connect, impatient, [business_license()], guarded.place)
        reserved = guarded.one("SELECT license_id FROM vault.sealing WHERE state = 'reserved'")

        guarded.process.start()
        [held] = issue.resume(guarded.connect, guarded.signer, guarded.place).licenses

        assert reserved == held.id

    def test_bytes_that_are_not_what_was_reserved_are_voided(
        self, vault: Office, database: Database
    ) -> None:
        """The signer refuses them; the number stays taken, the slot is invalid, the key is free."""
        with vault.connect() as conn:
            issue.reserve(conn, [business_license()], vault.signer.certificates(), vault.place)
        with database.connect(Role.OWNER) as owner:
            owner.execute("UPDATE vault.sealing SET pdf_digest = sha256('other')")

        outcome = issue.resume(vault.connect, vault.signer, vault.place)
        [held] = issued(vault)

        assert ["digest-differs"] == [each.code for each in outcome.not_issued]
        voided = "SELECT {} FROM vault.sealing WHERE state = 'voided'"
        assert held.id != vault.one(voided.format("license_id"))
        index = vault.one(voided.format("status_index"))
        assert 1 == vault.one('SELECT value FROM vault.status_slot WHERE "index" = %s', index)


class TestSupersede:
    def test_the_same_number_goes_on_as_the_next_version(self, vault: Office) -> None:
        """Other facts under the same printed number: same serial, version 002, linked both ways."""
        [old] = issued(vault, certificate())
        again = certificate("certificate/2", remarks="已设立抵押。")

        [new] = issued(vault, replace(again, supersedes=old.id))

        assert (old.serial, "002") == (new.serial, new.version)
        with vault.connect() as conn:
            replaced = store.get(conn, old.id)
        assert (Status.SUPERSEDED, new.id) == (replaced.status, replaced.superseded_by)
        assert old.id == new.supersedes

    def test_another_number_is_another_license(self, vault: Office) -> None:
        """A transfer: new serial, version 001, and the old one's slot says invalid at once."""
        [old] = issued(vault, certificate())

        [new] = issued(
            vault, replace(certificate("certificate/2", LATER_NUMBER), supersedes=old.id)
        )

        assert "001" == new.version
        assert old.serial != new.serial
        with vault.connect() as conn:
            version, slots = store.slots(conn, 1)
        assert [(old.status_index, 1)] == slots
        assert version == 1

    def test_nothing_takes_the_place_of_a_revoked_license(self, vault: Office) -> None:
        """It is voided, says why, and the revoked one stays as it was."""
        [old] = issued(vault, certificate())
        with vault.connect() as conn:
            change.revoke(conn, old.id, reason="court order", by=OFFICER)
        new = replace(certificate("certificate/2", LATER_NUMBER), supersedes=old.id)

        with pytest.raises(Refused) as refused:
            issued(vault, new)

        assert "license-moves" == refused.value.rule
        with vault.connect() as conn:
            assert [Status.REVOKED] == [each.status for each in store.of_subject(conn, UNIT)]


class TestCheckpoints:
    def test_one_head_is_signed_once(self, vault: Office) -> None:
        """The same head is handed out again as it was signed."""
        issued(vault)
        with vault.connect() as conn:
            first = checkpoints.current(conn, vault.signer, vault.place.public_url)
            again = checkpoints.current(conn, vault.signer, vault.place.public_url)

        assert (1, first) == (first.size, again)
