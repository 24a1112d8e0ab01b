"""Ports: remembered, free, and never moved from under what was sealed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from exchange import ports
from exchange.ports import PortTaken
from tests.conftest import free_port


class TestClaim:
    def test_a_port_is_remembered(self, tmp_path: Path) -> None:
        """The same process gets the same port at the next start."""
        assert ports.claim(tmp_path, "hub") == ports.claim(tmp_path, "hub")

    def test_a_port_that_somebody_took_is_replaced(self, tmp_path: Path) -> None:
        """What nobody sealed may move."""
        first = ports.claim(tmp_path, "airflow")
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", first))
            stranger.listen()

            assert first != ports.claim(tmp_path, "airflow")


class TestClaimFixed:
    def test_the_holder_of_a_taken_port_is_named(self, tmp_path: Path) -> None:
        """An address inside sealed bytes cannot move, so the start is refused."""
        port = free_port()
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", port))
            stranger.listen()

            with pytest.raises(PortTaken, match=f"pid {os.getpid()}"):
                ports.claim_fixed(tmp_path, "hub", port)
