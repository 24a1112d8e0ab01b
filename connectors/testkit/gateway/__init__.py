"""An exchange platform's gateway, small and real: signatures, authorisation, limits, pages.

    open_gateway(folder, {"s_permit": rows})     the folder that the process serves
    gateway_argv(port, folder)                   its command line; `/health` answers when it is up
    append_rows(folder, "s_permit", rows)        a department adds rows

It speaks any dialect of `connectors/feeds/dialects.yaml`. It is for demos and tests of whoever
calls such platforms; it proves nothing about a real one, and it has no TLS of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.testkit.gateway.folder import Access, append_rows, open_gateway

__all__ = ["Access", "append_rows", "gateway_argv", "open_gateway"]


def gateway_argv(port: int, folder: Path) -> list[str]:
    """The command line of the gateway's process."""
    module = "connectors.testkit.gateway"
    return [sys.executable, "-m", module, "--port", str(port), "--data", str(folder)]
