"""Licenses sealed by the vault satisfy a case, until they are revoked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.client import Client
from exchange.intake import needed_grants
from exchange.settings import Settings
from license_vault import types
from license_vault.change import revoke
from license_vault.issue import issue
from schemas import contract
from schemas.codes import code_list
from schemas.license import Holder
from tests.connectors.intake.holdings import BUNDLE, COMPANY, OWNER, UNIT, a_request, who
from tests.exchange.hubs import RunningHub
from tests.exchange.intake.conftest import set_owner
from tests.exchange.intake.test_resolutions import PATH, statuses
from tests.license_vault.office import Office, business_license, certificate, office


def issued(vault: Office) -> dict[str, str]:
    """Issue the company's license and the owner's certificate; their ids by type."""
    company = replace(
        business_license(),
        number=COMPANY.id,
        subject_id=COMPANY.id,
        holders=(Holder("001", COMPANY.id, "示范餐饮有限公司"),),
    )
    owner = replace(
        certificate(holders=(Holder("111", OWNER.id, "张三"),), unit_no=UNIT.id),
        subject_id=UNIT.id,
    )
    made = issue(vault.connect, vault.signer, [company, owner], vault.place)
    return {each.type_code: each.id for each in made}


def ask(client: Client, key: str) -> dict[str, Any]:
    """The case of a company whose representative owns the premises."""
    request = a_request()
    request["subject"]["entity"] = who(COMPANY)
    return client.post(PATH, request, {"Idempotency-Key": key})


def option(told: dict[str, Any], material: str) -> Any:
    """By which option a material stands."""
    return next(one for one in told["materials"] if one["id"] == material)["by"]["option"]


class TestLicenses:
    def test_stand_until_they_are_revoked(
        self, settings: Settings, hub: RunningHub, intake: Client
    ) -> None:
        """With no register to ask, certificate and license carry the case; revoking is felt at
        the next call."""
        with office(settings) as vault:
            ids = issued(vault)
            with hub.owner() as conn:
                conn.execute("DELETE FROM library.real_estate_registration_ownership")

            before = ask(intake, "a")
            with vault.connect() as conn:
                revoke(conn, ids[types.BUSINESS_LICENSE], reason="注销", by="officer-7")
            after = ask(intake, "b")

        assert ("license", "own-certificate") == (
            option(before, "M-BIZ-LICENSE"),
            option(before, "M-TITLE"),
        )
        assert 21 == before["savings"]["listed"]
        assert "示范餐饮有限公司" == before["fields"]["entity.name"]["value"]
        assert ("missing", "not_valid") == statuses(after)["M-BIZ-LICENSE"]
        assert ("satisfied", "held") == statuses(after)["M-TITLE"]

    def test_a_certificate_does_not_stand_against_the_register(
        self, settings: Settings, hub: RunningHub, intake: Client
    ) -> None:
        """The house is sold and the paper is still out: the register is believed."""
        with office(settings) as vault:
            issued(vault)
            set_owner(hub, "110105198512124567")

            told = ask(intake, "a")

        assert ("missing", "holder_differs") == statuses(told)["M-TITLE"]


class TestBundleAgainstTheHouse:
    def test_fields_that_it_asks_for_are_in_the_contracts(self) -> None:
        """What a grant must name exists, for the types of subject that are asked about."""
        for needed in needed_grants(BUNDLE):
            described = contract.load(needed.resource)
            assert set(needed.fields) <= set(described.columns)
            source = BUNDLE.source_by_resource[needed.resource]
            assert set(source.subjects) <= set(described.subjects)

    def test_license_codes_are_the_vault_s(self) -> None:
        """Types are named by the code under which the vault issues them."""
        codes = {kind: held.code for kind, held in BUNDLE.licenses.items()}

        assert {
            "business-license": types.BUSINESS_LICENSE,
            "real-estate-certificate": types.REAL_ESTATE_CERTIFICATE,
        } == codes

    def test_codes_mean_what_the_rules_take_them_for(self) -> None:
        """1 is an active entity, 0 is sole ownership."""
        assert "存续" == code_list("entity_status").label("1")
        assert "单独所有" == code_list("co_ownership").label("0")
