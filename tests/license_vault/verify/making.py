"""A small authority of the tests: its root, its seal, and licenses made and damaged on purpose.

It makes what the vault makes, and also what the vault never would.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils import embed, generic, writer
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from license_vault import face, pdf, sd_jwt, status_list
from license_vault.record import Request, compose
from license_vault.trust import TrustBundle
from license_vault.types import BUSINESS_LICENSE
from schemas.canonical import canonical, sha256
from schemas.license import Holder, LicenseNumber

HUB = "https://hub.example"
LIST = f"{HUB}/status/1"
LICENSE_ID = "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0"
AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
INDEX = 4711


@dataclass(frozen=True)
class Leaf:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def jws(self, tbs: bytes) -> bytes:
        """Sign as JWS does: raw R and S."""
        r, s = utils.decode_dss_signature(self.key.sign(tbs, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


@dataclass(frozen=True)
class Authority:
    """A root and the leaves under it."""

    name: str = "Test root"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @cached_property
    def root(self) -> x509.Certificate:
        return self._certify(self.name, self.key, ca=True)

    @cached_property
    def seal(self) -> Leaf:
        return self.leaf("Test seal")

    @cached_property
    def trust(self) -> TrustBundle:
        return TrustBundle(HUB, (self.root.public_bytes(Encoding.DER),), None, AT)

    def leaf(self, name: str, *, start: datetime | None = None, days: int = 3650) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        return Leaf(key, self._certify(name, key, start=start, days=days))

    def _certify(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        start: datetime | None = None,
        days: int = 3650,
    ) -> x509.Certificate:
        start = start or AT - timedelta(days=30)
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        usage = x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False)
        return (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, SHA256())
        )


def record(**changes: Any) -> dict[str, Any]:
    """A canonical record as the vault composes them."""
    return {
        "format": "yizhan-license-record/1",
        "identifier": LICENSE_ID,
        "type": {"code": "11100000000013338W009", "name": "试验许可证", "version": 1},
        "number": "2025052201",
        "version": "002",
        "issuer": {"code": "11330105002500287C", "name": "试验局"},
        "issued_on": "2026-11-01",
        "valid_from": "2026-11-01",
        "valid_to": None,
        "holders": [{"id_type": "111", "id": "11010519491231002X", "name": "张三丰"}],
        "face": {"name": "张三丰", "address": "长安街 1 号"},
        "status": {"status_list": {"uri": LIST, "idx": INDEX}},
    } | changes


def rendered(
    told: Mapping[str, Any] | None = None,
    *,
    attached: bytes | None = None,
    keywords: str | None = None,
    touch: Callable[[writer.PdfFileWriter], None] | None = None,
) -> bytes:
    """An unsealed PDF with a record attached; `touch` may spoil it before it is written."""
    data = attached if attached is not None else canonical(told or record())
    made = writer.PdfFileWriter(stream_xrefs=False)
    page = writer.PageObject(
        contents=made.add_object(generic.StreamObject(stream_data=b"0 0 m 100 100 l S")),
        media_box=generic.ArrayObject([generic.NumberObject(each) for each in (0, 0, 300, 400)]),
    )
    made.insert_page(page)
    if data:
        held = embed.EmbeddedFileObject.from_file_data(made, data=data, mime_type="text/json")
        embed.embed_file(made, embed.FileSpec("record.json", "record.json", embedded_data=held))
    identifier = (told or record()).get("identifier")
    told_keywords = f"license_id={identifier}, sha256={sha256(data).hex()}"
    info = generic.DictionaryObject(
        {
            generic.pdf_name("/Keywords"): generic.TextStringObject(
                told_keywords if keywords is None else keywords
            )
        }
    )
    made.set_info(made.add_object(info))
    if touch:
        touch(made)
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def issued(leaf: Leaf, valid_to: date | None = None) -> bytes:
    """A business license made by the vault's own code, only the key being the tests'."""
    request = Request(
        key="test",
        type_code=BUSINESS_LICENSE,
        number="91330105MA27XX0X1X",
        issuer="11330105002500287C",
        issuer_name="长安市市场监督管理局",
        subject_id="91330105MA27XX0X1X",
        holders=(Holder("001", "91330105MA27XX0X1X", "长安驿餐饮有限公司"),),
        face={
            "name": "长安驿餐饮有限公司",
            "entity_type": "有限责任公司",
            "legal_representative": "张三丰",
            "registered_capital": "1000000.00",
            "established_on": "2020-01-01",
            "term": "2020-01-01/",
            "address": "长安市朱雀街 1 号",
            "business_scope": "餐饮服务",
        },
        valid_from=date(2026, 11, 1),
        valid_to=valid_to,
    )
    number = LicenseNumber(BUSINESS_LICENSE, request.issuer, "2026000001")
    made = compose(
        request, number, status_uri=LIST, status_index=INDEX, issued_on=date(2026, 11, 1)
    )
    page = face.render(made, address=face.qr_address(HUB, bytes(32), made), at=AT)
    prepared = pdf.prepare(page, [leaf.der], reason="签发")
    return pdf.seal(prepared, leaf.key.sign(prepared.tbs, ec.ECDSA(SHA256())), [leaf.der])


def sealed(
    leaf: Leaf,
    plain: bytes | None = None,
    *,
    certify: bool = True,
    permission: fields.MDPPerm = fields.MDPPerm.NO_CHANGES,
    subfilter: fields.SigSeedSubFilter = fields.SigSeedSubFilter.PADES,
    field_name: str = "Seal",
) -> bytes:
    """Seal a PDF as the vault does: certified, no change permitted."""
    metadata = signers.PdfSignatureMetadata(
        field_name=field_name,
        md_algorithm="sha256",
        subfilter=subfilter,
        certify=certify,
        docmdp_permissions=permission,
    )
    target = IncrementalPdfFileWriter(io.BytesIO(rendered() if plain is None else plain))
    out = signers.sign_pdf(target, metadata, signer=_signer(leaf))
    return bytes(out.getvalue())


def _signer(leaf: Leaf) -> signers.SimpleSigner:
    der = leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(leaf.der),
        signing_key=keys.PrivateKeyInfo.load(der),
        cert_registry=SimpleCertificateStore(),
    )


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a credential that are always visible."""
    made = sd_jwt.license_claims(
        issuer=HUB,
        license_id=LICENSE_ID,
        type_code="11100000000013338W009",
        type_version=1,
        version="002",
        digest=sha256(canonical(record())),
        status_uri=LIST,
        status_index=INDEX,
        issued_at=AT - timedelta(days=1),
        expires_at=AT + timedelta(days=365),
    )
    return {name: each for name, each in (made | changes).items() if each is not None}


def credential(leaf: Leaf, **changes: Any) -> str:
    """A signed SD-JWT VC of the test license."""
    face = {"name": "张三丰", "address": "长安街 1 号", "area_m2": "88.00"}
    prepared = sd_jwt.prepare(claims(**changes), face, x5c=[leaf.der])
    return sd_jwt.assemble(prepared, leaf.jws(prepared.tbs))


def status_token(
    leaf: Leaf, value: int = 0, *, at: datetime = AT, uri: str = LIST, index: int = INDEX
) -> str:
    """A status list in which the test license has `value`."""
    packed = status_list.pack([(index, value)])
    tbs = status_list.token_tbs(uri, packed, at=at, x5c=[leaf.der])
    return status_list.assemble(tbs, leaf.jws(tbs))
