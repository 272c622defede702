"""Content Credentials: results that say, signed, of which photo and how they were made.

C2PA 2 (https://spec.c2pa.org), by the library of the Content Authenticity Initiative. Nothing is
asked of the network: neither for manifests that a photo names, nor for the time.
"""

import io
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np

from chromaserve.errors import CannotSign
from chromaserve.photos.formats import MEDIA_TYPES, Format
from chromaserve.photos.metadata import Keep, package_version
from chromaserve.settings import PipelineSettings

log = logging.getLogger("chromaserve.photos")

_CANNOT = (
    "Results are signed here, and the certificate for it cannot sign any more. Whoever runs this"
    " has to put another in its place."
)
_MISSING = "Content Credentials need a package: pip install 'chromaserve[c2pa]'"
_MADE_BY_A_NETWORK = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
"""IPTC's word for a photo that a trained network changed."""
_FORMATS: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "HEIC": "image/heic",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
    "BMP": "image/bmp",
    "PNM": "image/x-portable-anymap",
}
_WITH_CREDENTIALS: Final = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "HEIC", "AVIF"))
_MOST_BEFORE = 4 << 20
"""Bytes of a photo's own credentials that go along."""
_MARK = b"jumdc2pa"
"""Begins the description of credentials in a file, and hardly anything else."""
_OFFLINE: Final[dict[str, dict[str, Any]]] = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}


class CredentialsUnusable(RuntimeError):  # noqa: N818 - reads as a fact
    """There is nothing to sign with, or it cannot be used."""


@dataclass(frozen=True)
class Signature:
    """Who signed a file, and whether that holds."""

    state: Literal["trusted", "valid", "broken", "unchecked"]
    """trusted: by a certificate of somebody who was named; valid: the file is as it was signed;
    broken: it is not; unchecked: the package for it is not installed."""
    signed_by: str | None = None
    """The certificate's name and organisation."""
    made_by: str | None = None
    """What the credentials say of its making."""


def signature_in(data: bytes, kind: str, trust: Path | None = None) -> Signature | None:
    """What a file's Content Credentials are worth; None where it has none.

    Args:
        data: of a file.
        kind: its format, as a header has it.
        trust: certificates (PEM) of those whose word counts.

    Raises:
        CredentialsUnusable: `trust` cannot be read, or the package is missing for it.
    """
    try:
        import c2pa
    except ImportError as error:
        if trust:
            raise CredentialsUnusable(_MISSING) from error
        return Signature("unchecked") if _MARK in data else None
    settings: dict[str, Any] = {**_OFFLINE}
    if trust:
        anchors = {"user_anchors": _read(trust).decode("latin-1")}
        settings |= {"trust": anchors, "verify": {**_OFFLINE["verify"], "verify_trust": True}}
    try:
        context = c2pa.Context.from_dict(settings)
    except c2pa.C2paError as error:
        raise CredentialsUnusable(f"{trust} has no certificate: {error}") from error
    try:
        reader = c2pa.Reader(_FORMATS.get(kind, "image/png"), io.BytesIO(data), context=context)
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError:
        return Signature("broken") if _MARK in data else None
    with reader:
        state, manifest = reader.get_validation_state(), reader.get_active_manifest() or {}
    signed = manifest.get("signature_info", {})
    names = [signed[name] for name in ("common_name", "issuer") if signed.get(name)]
    states: dict[Any, Literal["trusted", "valid"]] = {"Trusted": "trusted", "Valid": "valid"}
    return Signature(states.get(state, "broken"), ", ".join(names) or None, _made_by(manifest))


def _made_by(manifest: dict[str, Any]) -> str | None:
    for assertion in manifest.get("assertions", []):
        for action in assertion.get("data", {}).get("actions", []):
            note = (action.get("parameters") or {}).get("description")
            if note:
                return str(note)
    return None


class Credentials:
    """A certificate and its key, by which results are signed."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both, and try them.

        Args:
            certificate: PEM, the certificate and those that vouch for it, without the root.
            key: its private key, PEM (PKCS #8), not encrypted.

        Raises:
            CredentialsUnusable: they cannot be read, do not belong together, are expired or of a
                kind that C2PA does not allow; or the package is missing.
        """
        try:
            import c2pa
        except ImportError as error:
            raise CredentialsUnusable(_MISSING) from error
        self._c2pa = c2pa
        self._context = c2pa.Context.from_dict(_OFFLINE)
        self._files = certificate, key
        self.read()

    def read(self) -> None:
        """Sign by what the files have now, and try it.

        Raises:
            CredentialsUnusable: as at first.
        """
        certificate, key = self._files
        signs, private = _read(certificate), _read(key)
        told = self._c2pa.C2paSignerInfo(_algorithm(private, key), signs, private, None)
        try:
            self.signer = self._c2pa.Signer.from_info(told)
            """Signs, from any thread."""
            tried = self.of(None, "PNG", b"", "none").signed(_EMPTY, "png", "tried", True)
            state = signature_in(tried, "PNG")
        except self.error as error:
            raise CredentialsUnusable(f"{certificate} cannot sign: {error}") from error
        if state is None or state.state != "valid":
            raise CredentialsUnusable(
                f"What {certificate} signs is not valid: is {key} its key, is it in its time, and"
                " is it for signing documents?"
            )

    def of(self, name: str | None, kind: str, data: bytes, keep: Keep) -> "Signing":
        """What signs the result of one photo.

        Args:
            name: the photo's.
            kind: its format, as a header has it.
            data: its file; its own credentials go along where all does.
            keep: what goes along with the result.
        """
        before = data if keep == "all" and kind in _WITH_CREDENTIALS and _MARK in data else None
        told = {"title": name} if name and keep != "none" else {}
        parent = {**told, "format": _FORMATS.get(kind, "image"), "relationship": "parentOf"}
        return Signing(self, parent, before)

    @property
    def error(self) -> type[Exception]:
        """What is raised where it cannot be signed."""
        found: type[Exception] = self._c2pa.C2paError
        return found

    def builder(self, claim: dict[str, Any]) -> Any:  # noqa: ANN401 - c2pa's
        """Puts a claim together."""
        made = self._c2pa.Builder(claim, context=self._context)
        made.set_intent(self._c2pa.C2paBuilderIntent.EDIT)
        return made


@dataclass(frozen=True)
class Signing:
    """Signs the result of one photo."""

    credentials: Credentials
    parent: dict[str, str]
    before: bytes | None
    """The photo's file, where its own credentials go along."""

    def sign(self, data: bytes, format: Format, made: str, *, recoloured: bool) -> bytes:
        """A result with its credentials.

        Args:
            data: its file.
            format: of that.
            made: what made it, as `software` says it.
            recoloured: whether its colours are the network's.

        Raises:
            CannotSign: the certificate has ended, say, and its file has no other.
        """
        try:
            return self.signed(data, format, made, recoloured)
        except self.credentials.error:
            log.warning("a result cannot be signed: the certificate is read again")
        try:
            self.credentials.read()
        except CredentialsUnusable as error:
            log.error("results cannot be signed: %s", error)
            raise CannotSign(_CANNOT) from error
        return self.signed(data, format, made, recoloured)

    def signed(self, data: bytes, format: Format, made: str, recoloured: bool) -> bytes:
        """As `sign`, by the certificate that was read last."""
        if self.before:
            with suppress(self.credentials.error):  # what it brings is broken
                signed = self._built(data, format, made, recoloured, self.before)
                if len(signed) - len(data) <= _MOST_BEFORE:
                    return signed
        return self._built(data, format, made, recoloured, None)

    def _built(
        self, data: bytes, format: Format, made: str, recoloured: bool, before: bytes | None
    ) -> bytes:
        action: dict[str, Any] = {
            "action": "c2pa.edited" if recoloured else "c2pa.transcoded",
            "softwareAgent": {"name": "chromaserve", "version": package_version()},
            "parameters": {"description": made},
        }
        if recoloured:
            action["digitalSourceType"] = _MADE_BY_A_NETWORK
        claim = {
            "claim_generator_info": [action["softwareAgent"]],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
        # Of a photo whose credentials do not go along nothing is read, and any picture will do.
        kind = self.parent["format"] if before else "image/png"
        signed = io.BytesIO()
        with self.credentials.builder(claim) as builder:
            builder.add_ingredient(self.parent, kind, io.BytesIO(before or _EMPTY))
            builder.sign(self.credentials.signer, MEDIA_TYPES[format], io.BytesIO(data), signed)
        return signed.getvalue()


_EMPTY = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsUnusable(f"{path} cannot be read: {error.strerror}") from error


def _algorithm(key: bytes, path: Path) -> str:
    """How COSE calls what the key signs by (C2PA, 13.2)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise CredentialsUnusable(
            f"{path} has no private key in PEM, or it is encrypted"
        ) from error
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    curves = {256: "es256", 384: "es384", 521: "es512"}
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.key_size in curves:
        return curves[private.key_size]
    raise CredentialsUnusable(f"{path} is of a kind that C2PA does not sign by")


def credentials_of(settings: PipelineSettings) -> Credentials | None:
    """What results are signed by, where the settings name it.

    Raises:
        CredentialsUnusable: it cannot be used.
    """
    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CredentialsUnusable("a certificate and its key go together, and one is missing")
    return Credentials(certificate, key)
