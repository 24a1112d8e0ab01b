"""What a verifier beside the hub believes, and how it asks the hub for the status of now."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.settings import Settings
from license_vault import status_list
from license_vault.record import log_origin
from license_vault.trust import TrustBundle
from schemas import checkpoint
from schemas.errors import Unavailable


def trust_of(settings: Settings) -> TrustBundle:
    """What the signer of this home exported. Raises `OSError` when it never ran."""
    roots = x509.load_pem_x509_certificates((settings.trust / "roots.pem").read_bytes())
    key = bytes.fromhex((settings.trust / "log.ed25519").read_text().strip())
    return TrustBundle(
        hub=settings.public_url,
        roots=tuple(root.public_bytes(Encoding.DER) for root in roots),
        log_key=checkpoint.vkey(log_origin(settings.public_url), key),
        made_at=datetime.now(UTC),
    )


def ask_hub(address: str) -> str:
    """Fetch a status list. Raises `Unavailable`; follows no redirect, reads no endless answer."""
    asking = {"accept": status_list.MEDIA_TYPE, "cache-control": "no-cache"}
    try:
        with httpx.stream("GET", address, headers=asking, timeout=10) as answer:
            answer.raise_for_status()
            told = bytearray()
            for part in answer.iter_bytes():
                told += part
                if len(told) > status_list.LONGEST_TOKEN:
                    raise Unavailable("the hub's answer is larger than a status list")
            return told.decode("ascii")
    except (httpx.HTTPError, UnicodeDecodeError) as failed:
        raise Unavailable("the hub does not answer") from failed
