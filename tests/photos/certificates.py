"""Certificates to sign with, as an archive's own authority would give them."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KEYS: dict[str, Callable[[], Key]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass(frozen=True)
class Files:
    """Where a certificate, its key and the authority's certificate are."""

    certificate: Path
    key: Path
    authority: Path

    @property
    def settings(self) -> dict[str, object]:
        return {"c2pa_certificate": self.certificate, "c2pa_key": self.key}


def certified(folder: Path, kind: str = "es256", ends_in_s: float = 30 * 86400) -> Files:
    """A certificate of the archive's, from yesterday on."""
    folder.mkdir(parents=True, exist_ok=True)
    root, own = ec.generate_private_key(ec.SECP256R1()), KEYS[kind]()
    authority, name = _name("Archive's authority"), _name("Photo archive")
    now = datetime.datetime.now(datetime.UTC)
    began, ends = now - datetime.timedelta(1), now + datetime.timedelta(seconds=ends_in_s)
    top = _built(authority, authority, root.public_key(), began, now + datetime.timedelta(3650))
    top = top.add_extension(x509.BasicConstraints(True, None), True)
    top = top.add_extension(_usage(signs=False), True)
    leaf = _built(name, authority, own.public_key(), began, ends)
    leaf = leaf.add_extension(x509.BasicConstraints(False, None), True)
    leaf = leaf.add_extension(_usage(signs=True), True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)
    identity = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    leaf = leaf.add_extension(identity, False)
    pem = serialization.Encoding.PEM
    made = [each.sign(root, hashes.SHA256()).public_bytes(pem) for each in (leaf, top)]
    files = Files(*(folder / name for name in ("chain.pem", "key.pem", "authority.pem")))
    files.certificate.write_bytes(b"".join(made))
    files.authority.write_bytes(made[1])
    files.key.write_bytes(
        own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Archive"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _built(
    subject: x509.Name,
    issuer: x509.Name,
    key: object,
    began: datetime.datetime,
    ends: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(ends)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=not signs,
        crl_sign=not signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
