"""The receipt as a file: a DSSE envelope, signed with Ed25519 or unsigned.

DSSE, in-toto's envelope: https://github.com/secure-systems-lab/dsse. Any in-toto tool with Ed25519 can verify it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey  # type: ignore[attr-defined]  # its own __init__

from vldock.common.errors import UsageError
from vldock.common.filesystem.atomic import write_json
from vldock.host.errors import BadSignature, ReceiptUnreadable, UnknownKey, Unsigned
from vldock.host.receipts.statement import Receipt

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PRIVATE_KEY, PUBLIC_KEY = "vldock-receipt.key", "vldock-receipt.pub"
PASSWORD_VARIABLE = "VLDOCK_KEY_PASSWORD"
Parts = tuple[str, ...]


@dataclass(frozen=True)
class SealedReceipt:
    """A receipt in its envelope, and the bytes of its file.

    Nothing is verified yet.
    """

    receipt: Receipt
    envelope: Envelope
    raw: bytes

    @property
    def keys(self) -> Parts:
        """Ids of the keys that signed, as the file claims."""
        return tuple(self.envelope.signatures)

    @property
    def digest(self) -> str:
        """'sha256:...' of the file."""
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"


def keygen(folder: Path) -> tuple[Path, Path, str]:
    """Write a new Ed25519 key pair in `folder`.

    Return private path, public path, key id.

    The private key is encrypted where VLDOCK_KEY_PASSWORD is set. Raises UsageError where a key is there already.
    """
    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    existing = next((path for path in (private, public) if path.exists()), None)
    if existing:
        raise UsageError(
            f"{existing} exists", expected="a folder without a key", hint="vldock receipt keygen --out OTHER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    password = _password()
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(secret)
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    public.write_bytes(public_pem)
    return private, public, str(SSlibKey.from_crypto(key.public_key()).keyid)


def _password() -> bytes | None:
    return os.environ.get(PASSWORD_VARIABLE, "").encode() or None


def load_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises UsageError for another file, another kind of key, or a wrong password.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=_password())
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"--key {path}: {error}",
            expected="an Ed25519 private key in PEM",
            hint=f"vldock receipt keygen --out DIR; an encrypted key's password is read from {PASSWORD_VARIABLE}",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"--key {path}: {type(key).__name__}", expected="an Ed25519 private key")
    return key


def load_public(path: Path) -> Key:
    """Read a public key.

    Raises UsageError for another file or another kind of key.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--key {path}: {error}", expected=f"an Ed25519 public key in PEM ({PUBLIC_KEY} of vldock receipt keygen)"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"--key {path}: {type(key).__name__}", expected="an Ed25519 public key")
    return SSlibKey.from_crypto(key)


def seal(receipt: Receipt, key: Ed25519PrivateKey | None) -> SealedReceipt:
    """Return the receipt in an envelope, signed where a key is given.

    The receipt states which.
    """
    stated = replace(receipt, signing="ed25519" if key else "unsigned")
    envelope = Envelope(stated.to_bytes(), PAYLOAD_TYPE, {})
    if key:
        envelope.sign(CryptoSigner(key))
    raw = (json.dumps(envelope.to_dict(), indent=2) + "\n").encode()
    return SealedReceipt(stated, envelope, raw)


def save(sealed: SealedReceipt, path: Path) -> Path:
    """Write the file atomically."""
    return write_json(path, sealed.envelope.to_dict())


def load(path: Path) -> SealedReceipt:
    """Read a receipt file; raises ReceiptUnreadable where it is missing or no receipt."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReceiptUnreadable(
            f"no receipt: {path}: {error.strerror}",
            expected="the receipt.json that `vldock verify` writes",
            hint="vldock verify, which prints where its receipt is; or name another --receipt",
        ) from error
    return parse(raw, name=str(path))


def parse(raw: bytes, *, name: str) -> SealedReceipt:
    """Read the bytes of a receipt file called `name`; raises ReceiptUnreadable."""
    try:
        envelope = Envelope.from_dict(json.loads(raw))
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ValueError(f"payload of type {envelope.payload_type}, not {PAYLOAD_TYPE}")
        return SealedReceipt(Receipt.from_bytes(envelope.payload), envelope, raw)
    except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        raise ReceiptUnreadable(
            f"{name} is not a receipt: {error}", expected="a DSSE envelope of a vldock receipt", hint="vldock verify"
        ) from error


def verify(sealed: SealedReceipt, keys: Sequence[Key], *, name: str, allow_unsigned: bool = False) -> str:
    """Verify the signature, and describe it in a phrase.

    A signature must be by one of `keys`.

    Raises BadSignature, UnknownKey, Unsigned; UsageError where it is signed and no key was given to verify it with.
    """
    claimed = ", ".join(key[:12] for key in sealed.keys)
    if not sealed.keys and sealed.receipt.signing != "unsigned":
        raise BadSignature(f"{name}: the signature was cut off", expected="the signature it says it carries")
    if not sealed.keys and not allow_unsigned:
        raise Unsigned(
            f"{name} is not signed",
            expected="a signature by a key you know",
            hint=f"vldock receipt sign {name} --key PRIVATE.key, or --allow-unsigned",
        )
    if not sealed.keys:
        return "unsigned: anybody could have written it"
    if not keys and allow_unsigned:
        return f"signed by {claimed}, not verified: no --key was given"
    if not keys:
        raise UsageError(f"{name} is signed by {claimed}", expected="its public key", hint="add --key FILE.pub")
    if not any(key.keyid in sealed.keys for key in keys):
        known = ", ".join(key.keyid[:12] for key in keys)
        raise UnknownKey(f"{name} is signed by {claimed}", expected=f"a signature by {known}")
    try:
        accepted = sealed.envelope.verify(list(keys), 1)
    except VerificationError as error:
        raise BadSignature(
            f"{name}: the signature of {claimed} does not fit its content: it was changed after it was signed",
            expected="the file as it was signed",
            hint="take it from where it was made, or run vldock verify again",
        ) from error
    return f"signed by {', '.join(key[:12] for key in accepted)}"
