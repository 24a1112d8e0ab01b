"""The seal on the page: PAdES B-B (ETSI EN 319 142-1), certified so that nothing may change.

Two halves with the signer between them. `prepare` lays out the document with a gap where the
signature goes, and the signed attributes; both are stored. `seal` fills the gap. No key is here,
and the level that is declared is the level that is made: B-B, without a time-stamp.
"""

from __future__ import annotations

import io
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from asn1crypto import x509 as asn1_x509
from asn1crypto.algos import SignedDigestAlgorithm
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.sign.signers.pdf_cms import ExternalSigner
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from license_vault import cades
from schemas.errors import Invalid

LEVEL = "PAdES B-B"
DIGEST = "sha256"
FIELD = "Seal"
# Two P-256 certificates, the attributes and a signature are some 1,900 bytes; the rest is reserve.
GAP_BYTES = 4096

_T = TypeVar("_T")


@dataclass(frozen=True)
class Prepared:
    """A document that lacks only its signature: `gap` is where it goes, `tbs` what it signs."""

    document: bytes
    gap: int
    digest: bytes
    tbs: bytes


def prepare(page: bytes, chain: Sequence[bytes], *, reason: str) -> Prepared:
    """Lay out the sealed document around a gap; `chain` is the seal's certificates, leaf first."""
    signer = _signer(tuple(chain))
    metadata = PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm=DIGEST,
        subfilter=SigSeedSubFilter.PADES,
        reason=reason,
        # ISO 32000-2 12.8.2.2: a certification signature, P=1, no change is permitted.
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    output = io.BytesIO()
    laid_out, _, _ = _now(
        PdfSigner(metadata, signer).async_digest_doc_for_signing(
            IncrementalPdfFileWriter(io.BytesIO(page)), bytes_reserved=2 * GAP_BYTES, output=output
        )
    )
    tbs = cades.signed_attributes(laid_out.document_digest, chain[0])
    return Prepared(
        output.getvalue(), laid_out.reserved_region_start, laid_out.document_digest, tbs
    )


def seal(prepared: Prepared, signature: bytes, chain: Sequence[bytes]) -> bytes:
    """Fill the gap. Raises `Invalid` if it is too small; the caller has verified the signature."""
    packaged = cades.signed_data(prepared.tbs, signature, chain)
    if len(packaged) > GAP_BYTES:
        raise Invalid("the signature is larger than the gap that was left for it")
    output = io.BytesIO(prepared.document)
    end = prepared.gap + 2 * GAP_BYTES + 2
    PreparedByteRangeDigest(prepared.digest, prepared.gap, end).fill_with_cms(output, packaged)
    return output.getvalue()


def _signer(chain: tuple[bytes, ...]) -> ExternalSigner:
    leaf, others = _certificates(chain)
    return ExternalSigner(
        signing_cert=leaf,
        cert_registry=SimpleCertificateStore.from_certs(others),
        signature_mechanism=SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
    )


@lru_cache(maxsize=8)
def _certificates(chain: tuple[bytes, ...]) -> tuple[Any, list[Any]]:
    """Parsed once: a certificate is the same for every license of a seal."""
    leaf, *others = (asn1_x509.Certificate.load(each) for each in chain)
    return leaf, others


def _now(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that waits for nothing: no time-stamp, no fetching, no loop needed."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is Any
    raise RuntimeError("sealing waited for something; it must not need the network")
