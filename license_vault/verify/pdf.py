"""The judgement on a sealed PDF, in the numbered steps of `report.PDF_STEPS`.

Run inside the sandbox. It proves everything that the file alone can prove: status and log are added
by `conclude`, which can ask somebody.
"""

from __future__ import annotations

import re
from datetime import datetime

from license_vault.trust import OutOfTime, TrustBundle, UntrustedChain, check_chain
from license_vault.verify import cms, license_facts
from license_vault.verify.pdf_reading import READ_ERRORS, Document, Signature
from license_vault.verify.report import Examined, Stopped, Trail, stop
from schemas.canonical import sha256

SUBFILTER = "/ETSI.CAdES.detached"
# How our licenses are made. In a document of somebody else they mean only that it is not ours.
SHAPE = frozenset({"several-seals", "not-whole-document", "not-certified", "interactive-content"})


def examine(data: bytes, trust: TrustBundle, at: datetime) -> Examined:
    """Take steps 1 to 10; the first that does not pass ends the examination."""
    trail = Trail("pdf")
    subject = license_facts.Subject()
    document = None
    try:
        document = _form(data, trail)
        signature = _one_seal(document, trail)
        ranges = _whole_file(data, signature, trail)
        _certified(signature, trail)
        _inert(document, trail)
        sealed = _signature(signature, ranges, trail)
        subject = _read_record(document)
        _issuer(sealed, trust, at, subject, trail)
        _record(document, subject, trail)
        license_facts.check_identifier(subject, trust, trail)
        license_facts.check_period(subject, at, trail)
    except Stopped as stopped:
        reason = stopped.reason
        if reason in SHAPE and document is not None and not _is_ours(document, trust, at):
            reason = "not-a-license"
        trail.ended(Stopped(reason, stopped.evidence))
        return Examined("pdf", tuple(trail.steps), reason, subject.facts)
    return Examined("pdf", tuple(trail.steps), None, subject.facts, subject.pointer, subject.record)


def _form(data: bytes, trail: Trail) -> Document:
    try:
        document = Document(data)
        if document.encrypted:
            stop("encrypted", "the document is encrypted")
    except READ_ERRORS as err:
        _say_if_changed(data)
        stop("damaged", f"not a PDF that follows its standard: {type(err).__name__}")
    revisions = document.revisions
    trail.passed("form", f"{len(data)} bytes, {revisions} revision{'s' * (revisions > 1)}")
    return document


def _say_if_changed(data: bytes) -> None:
    """A file too damaged to parse may still show its seal, and that it does not fit any more."""
    found = re.findall(rb"/ByteRange\s*\[\s*0\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s*\]", data)
    if len(found) == 1:
        first, resumed, rest = (int(each) for each in found[0])
        if resumed + rest != len(data):
            stop("not-whole-document", f"the seal ends at byte {resumed + rest} of {len(data)}")
        hole = data[first + 1 : resumed - 1]
        if re.fullmatch(rb"(?:[0-9A-Fa-f]{2})+", hole):
            cms.check(bytes.fromhex(hole.decode()), [data[:first], data[resumed : resumed + rest]])


def _one_seal(document: Document, trail: Trail) -> Signature:
    count = document.signatures
    if count == 0:
        stop("seal-missing" if document.records() else "no-seal", "there is no signature")
    if count > 1:
        stop("several-seals", f"there are {count} signatures")
    try:
        signature = document.signature()
    except READ_ERRORS as err:
        stop("damaged", f"the signature's dictionary is broken: {err}")
    if signature.subfilter != SUBFILTER:
        stop("unsupported-seal", f"the signature is {signature.subfilter or 'of no kind'}")
    trail.passed("one-seal", "one signature, ETSI.CAdES.detached")
    return signature


def _whole_file(data: bytes, signature: Signature, trail: Trail) -> list[bytes]:
    """The signed ranges: from the first byte to the last, but for the hole of /Contents."""
    if len(signature.byte_range) != 4:
        stop("not-whole-document", "the byte range has not two parts")
    start, first, resumed, rest = signature.byte_range
    if start != 0 or not 0 < first < resumed or rest <= 0 or resumed + rest != len(data):
        stop("not-whole-document", f"bytes {first + rest} of {len(data)} are covered")
    # The hole must be this signature's own /Contents and nothing else, or it can hide things.
    hole = data[first:resumed]
    if not re.fullmatch(rb"<[0-9A-Fa-f]+>", hole) or len(hole) % 2:
        stop("not-whole-document", "the gap in the byte range is not a signature")
    if bytes.fromhex(hole[1:-1].decode()) != signature.contents:
        stop("not-whole-document", "the gap in the byte range is not this signature")
    trail.passed(
        "whole-file", f"bytes 0 to {first} and {resumed} to {len(data)}; between them the seal"
    )
    return [data[:first], data[resumed:]]


def _certified(signature: Signature, trail: Trail) -> None:
    if not signature.certifies or signature.permissions != 1:
        stop("not-certified", f"DocMDP permission {signature.permissions or 'absent'}")
    trail.passed("certified", "DocMDP P=1")


def _inert(document: Document, trail: Trail) -> None:
    try:
        found = sorted(set(document.active_content()))
    except READ_ERRORS as err:
        stop("damaged", f"an object cannot be read: {type(err).__name__}")
    if found:
        stop("interactive-content", ", ".join(found[:5]))
    trail.passed("inert", "no script, form, link, layer or action")


def _signature(signature: Signature, ranges: list[bytes], trail: Trail) -> cms.Sealed:
    sealed = cms.check(signature.contents, ranges)
    trail.passed("signature", sealed.evidence)
    return sealed


def _read_record(document: Document) -> license_facts.Subject:
    """The attached record, if there is one of ours; *not* yet compared with the face."""
    try:
        records = document.records()
    except READ_ERRORS as err:
        raise Stopped("damaged", f"the attached record cannot be read: {err}") from err
    if len(records) > 1:
        stop("record-mismatch", f"{len(records)} records are attached")
    return license_facts.from_record(records[0]) if records else license_facts.Subject()


def _issuer(
    sealed: cms.Sealed,
    trust: TrustBundle,
    at: datetime,
    subject: license_facts.Subject,
    trail: Trail,
) -> None:
    try:
        path = check_chain(sealed.chain, trust.roots, at)
    except OutOfTime as err:
        stop("certificate-out-of-time", err.message)
    except UntrustedChain as err:
        ours = subject.pointer is not None and trust.answers_for(subject.pointer.uri)
        stop("not-our-seal" if ours else "unknown-issuer", err.message)
    names = [each.subject.rfc4514_string() for each in path]
    trail.passed("issuer", " ← ".join(names))


def _record(document: Document, subject: license_facts.Subject, trail: Trail) -> None:
    if not subject.record or subject.facts is None:
        stop("not-a-license", "no canonical record is attached")
    digest = sha256(subject.record).hex()
    keywords = document.keywords()
    told = dict(re.findall(r"(license_id|sha256)=([0-9A-Za-z.]+)", keywords))
    if told.get("sha256") != digest or told.get("license_id") != subject.facts.license_id:
        stop("record-mismatch", f"the record's SHA-256 is {digest}; the face names another")
    trail.passed("record", f"record.json, SHA-256 {digest}")


def _is_ours(document: Document, trust: TrustBundle, at: datetime) -> bool:
    """Whether a document has our record, or any signature of a certificate that is trusted here."""
    try:
        if document.records():
            return True
        contents = document.all_contents()
    except READ_ERRORS:
        return False
    return any(_names_trusted(each, trust, at) for each in contents)


def _names_trusted(contents: bytes, trust: TrustBundle, at: datetime) -> bool:
    try:
        check_chain(cms.certificates(contents), trust.roots, at)
    except OutOfTime:
        return True
    except (UntrustedChain, Stopped):
        return False
    return True
