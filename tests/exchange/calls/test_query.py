"""Asking for fields of one subject."""

from __future__ import annotations

import pytest

from connectors.client import CallRefused, Client
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub


class TestQuery:
    def test_granted_fields_are_answered(self, hub: RunningHub, client: Client) -> None:
        """Each value says whose it is, since when it stands, and that it is as it is."""
        hub.give()

        answer = client.query(RESOURCE, LI, ["name"], AUTHORITY)

        name = answer["values"]["name"]
        assert name["value"] == "李建国"
        assert name["quality"] == "ok"
        assert name["masked"] is False
        assert name["source"]
        assert name["as_of"].endswith("Z")
        assert answer["receipt"]

    def test_no_grant_no_byte(self, client: Client) -> None:
        """Without a grant the rule is named and nothing else."""
        with pytest.raises(CallRefused) as refused:
            client.query(RESOURCE, LI, ["name"], AUTHORITY)

        assert refused.value.rule == "no-grant"
