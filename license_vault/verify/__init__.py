"""Verify a license: one call, one report, one vocabulary; it trusts nobody but the trust bundle.

    verify(data, trust, at)            offline: with the status lists of a dated bundle
    verify(data, trust, at, online)    the status is asked of the hub

`examine` (the document by itself, in the sandbox) and `conclude` (status and log) are the halves of
it, for a caller that must fetch the status in its own way. A report says what it proved; what it
does *not* say: that the person who shows the license is its holder.
"""

from __future__ import annotations

import threading
from datetime import datetime

from license_vault.trust import TrustBundle
from license_vault.verify.conclude import StatusEvidence, StatusSource, conclude, evidence_for
from license_vault.verify.report import Examined, Facts, Outcome, Report, Step, Verdict
from license_vault.verify.sandbox import MOST_BYTES, Sandbox

_shared: Sandbox | None = None
_sharing = threading.Lock()


def verify(
    data: bytes,
    trust: TrustBundle,
    at: datetime,
    online: StatusSource | None = None,
    *,
    proof: bytes | None = None,
) -> Report:
    """Judge a sealed PDF or an SD-JWT VC as of `at`; any input ends in a report, never in a raise.

    `proof` is the C2SP tlog-proof file that travels beside a license, if it is at hand.
    """
    examined = examine(data, trust, at)
    status = None
    if examined.stopped is None and examined.pointer is not None:
        status = evidence_for(examined.pointer, trust, online)
    return conclude(examined, trust, at, status, proof)


def examine(data: bytes, trust: TrustBundle, at: datetime) -> Examined:
    """Judge the document by itself, in the shared sandbox. Safe to call from many threads."""
    return _sandbox().examine(data, trust, at)


def _sandbox() -> Sandbox:
    global _shared
    with _sharing:
        if _shared is None:
            _shared = Sandbox()
        return _shared


__all__ = [
    "MOST_BYTES",
    "Examined",
    "Facts",
    "Outcome",
    "Report",
    "Sandbox",
    "StatusEvidence",
    "StatusSource",
    "Step",
    "TrustBundle",
    "Verdict",
    "conclude",
    "evidence_for",
    "examine",
    "verify",
]
