"""Signatures: the signer, later changes, a removed signature."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.receipts import receipt, sealed

from vldock.common.errors import UsageError
from vldock.host.errors import BadSignature, ReceiptUnreadable, UnknownKey, Unsigned
from vldock.host.receipts import envelope as receipt_sign


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key pair: private, public."""
    return receipt_sign.keygen(tmp_path_factory.mktemp("keys"))[:2]


def verify(path: Path, *public: Path, allow_unsigned: bool = False) -> str:
    """Verify the receipt at `path` with these keys."""
    known = [receipt_sign.load_public(key) for key in public]
    return receipt_sign.verify(receipt_sign.load(path), known, name=path.name, allow_unsigned=allow_unsigned)


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the envelope in place."""
    envelope = json.loads(path.read_text())
    change(envelope)
    path.write_text(json.dumps(envelope))


def edit_payload(old: bytes, new: bytes) -> Callable[[dict[str, Any]], None]:
    """Return a change of the signed text."""

    def change(envelope: dict[str, Any]) -> None:
        payload = base64.b64decode(envelope["payload"])
        assert old in payload
        envelope["payload"] = base64.b64encode(payload.replace(old, new)).decode()

    return change


def test_a_signed_receipt_is_verified_by_its_public_key(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    made = sealed(tmp_path / "receipt.json", key=keys[0])

    assert verify(tmp_path / "receipt.json", keys[1]) == f"signed by {made.keys[0][:12]}"


def test_the_file_is_the_bytes_whose_digest_is_told(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    made = sealed(tmp_path / "receipt.json", key=keys[0])

    assert receipt_sign.load(tmp_path / "receipt.json").digest == made.digest


def test_signing_the_same_receipt_twice_gives_the_same_file(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    first, second = (sealed(tmp_path / name, key=keys[0]) for name in ("a", "b"))

    assert first.digest == second.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"status":"passed"', b'"status":"failed"'), (b"2026-11-01", b"2026-11-02"), (b"vldock:4.37", b"vldock:4.38")],
    ids=["a group", "the time", "the name"],
)
def test_an_edited_receipt_is_refused(tmp_path: Path, keys: tuple[Path, Path], old: bytes, new: bytes) -> None:
    path = tmp_path / "receipt.json"
    sealed(path, key=keys[0])
    edit(path, edit_payload(old, new))

    with pytest.raises(BadSignature, match="changed after it was signed"):
        verify(path, keys[1])


def test_a_signature_that_was_cut_off_is_missed(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = tmp_path / "receipt.json"
    sealed(path, key=keys[0])
    edit(path, lambda envelope: envelope.update(signatures=[]))

    with pytest.raises(BadSignature, match="cut off"):
        verify(path, keys[1], allow_unsigned=True)


def test_another_key_is_unknown(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    sealed(tmp_path / "receipt.json", key=keys[0])
    other = receipt_sign.keygen(tmp_path / "other")[1]

    with pytest.raises(UnknownKey):
        verify(tmp_path / "receipt.json", other)


def test_one_of_several_keys_is_enough(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    sealed(tmp_path / "receipt.json", key=keys[0])
    other = receipt_sign.keygen(tmp_path / "other")[1]

    assert verify(tmp_path / "receipt.json", other, keys[1]).startswith("signed by")


def test_another_key_under_our_keys_name_is_a_bad_signature(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = tmp_path / "receipt.json"
    sealed(path, key=receipt_sign.keygen(tmp_path / "other")[0])
    ours = receipt_sign.load_public(keys[1]).keyid
    edit(path, lambda envelope: envelope["signatures"][0].update(keyid=ours))

    with pytest.raises(BadSignature):
        verify(path, keys[1])


def test_an_unsigned_receipt_needs_leave_and_says_so(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = tmp_path / "receipt.json"
    assert sealed(path).receipt.signing == "unsigned"

    with pytest.raises(Unsigned):
        verify(path, keys[1])
    assert verify(path, allow_unsigned=True).startswith("unsigned")


def test_a_signed_receipt_without_a_key_asks_for_one(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    sealed(tmp_path / "receipt.json", key=keys[0])

    with pytest.raises(UsageError, match="is signed by"):
        verify(tmp_path / "receipt.json")


def test_signing_an_unsigned_one_makes_it_say_so(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    there = sealed(tmp_path / "receipt.json").receipt

    assert receipt_sign.seal(there, receipt_sign.load_private(keys[0])).receipt.signing == "ed25519"


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"payload": "e30=", "payloadType": "text/plain", "signatures": []}'],
    ids=["empty", "object", "list", "null", "other payload"],
)
def test_a_file_that_is_no_receipt_is_told_as_such(tmp_path: Path, content: str) -> None:
    (tmp_path / "receipt.json").write_text(content)

    with pytest.raises(ReceiptUnreadable, match="is not a receipt"):
        receipt_sign.load(tmp_path / "receipt.json")


def test_a_receipt_cut_in_the_middle_is_told_as_such(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = tmp_path / "receipt.json"
    sealed(path, key=keys[0])
    path.write_bytes(path.read_bytes()[:400])

    with pytest.raises(ReceiptUnreadable):
        receipt_sign.load(path)


def test_no_file_is_no_receipt(tmp_path: Path) -> None:
    with pytest.raises(ReceiptUnreadable, match="no receipt"):
        receipt_sign.load(tmp_path / "receipt.json")


def test_a_private_key_is_its_owners_and_never_written_over(tmp_path: Path) -> None:
    private, _, _ = receipt_sign.keygen(tmp_path)

    assert private.stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="exists"):
        receipt_sign.keygen(tmp_path)


def test_a_key_with_a_password_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(receipt_sign.PASSWORD_VARIABLE, "secret")
    private, _, _ = receipt_sign.keygen(tmp_path)
    assert receipt_sign.load_private(private)

    monkeypatch.setenv(receipt_sign.PASSWORD_VARIABLE, "wrong")
    with pytest.raises(UsageError):
        receipt_sign.load_private(private)


def test_a_public_key_is_no_private_one(keys: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError):
        receipt_sign.load_private(keys[1])
    with pytest.raises(UsageError):
        receipt_sign.load_public(keys[0])


def test_any_dsse_reader_verifies_it(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """DSSE's pre-authentication encoding, written out, with the plain Ed25519 of `cryptography`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    sealed(tmp_path / "receipt.json", key=keys[0])
    envelope = json.loads((tmp_path / "receipt.json").read_text())
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    public = load_pem_public_key(keys[1].read_bytes())

    assert isinstance(public, Ed25519PublicKey)
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    assert payload == receipt(signing="ed25519").to_bytes()
