"""Files of a repository at a commit, and those worth having.

The request is ours, not HfApi.model_info's. Seen with huggingface_hub 2.4: HfApi follows a redirect from https to http,
ignores REQUESTS_CA_BUNDLE, sends a hub on this machine through a proxy, refuses under HF_HUB_OFFLINE, and cannot read
a mirror's listing whose LFS entries lack `sha256` or `pointerSize`. A custom client corrects the first four, for every
user of the library in the process and with more lines than are below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any
from urllib.parse import quote

from vldock.common.errors import InputRefused
from vldock.common.hub_cache_layout import BLOB, COMMIT, is_dataset
from vldock.host.downloads.http import Web
from vldock.host.downloads.locked_files import HubFile, LockedRepo
from vldock.host.errors import HostFailed
from vldock.host.util.redaction import clean_message
from vldock.host.util.retry import LOST, RetryableError

# Nothing of the image loads these: other frameworks' weights, images of a model card, git's own file.
FRAMEWORKS = ("*.h5", "*.msgpack", "*.onnx", "*.ot", "*.gguf", "*.tflite")
PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.mp4")
GIT = ".gitattributes"
EXPORTS = ("onnx/*", "openvino/*", "coreml/*", "original/*")
TRAINING = ("runs/*", "*.tfevents.*", "optimizer.pt", "scheduler.pt", "rng_state*.pth", "global_step*/*")
UNUSED = (*FRAMEWORKS, *PICTURES, GIT, *EXPORTS, *TRAINING)
SAFETENSORS = re.compile(r"(.*/)?model(-\d+-of-\d+)?\.safetensors")
SAME_IN_PICKLE = re.compile(r"(.*/)?pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?")
SAME_IN_ONE = re.compile(r"consolidated.*\.(safetensors|pth)")
SAFE_PATH = re.compile(r"(?!/)(?!.*(^|/)\.\.?(/|$))[^\x00\\]+")


def list_repo(web: Web, locked: LockedRepo) -> LockedRepo:
    """Return a repository with its commit and files.

    What the lock records is not requested again.

    Raises DownloadDenied, NotThere, HostFailed; InputRefused for an answer that is no listing.
    """
    revision = locked.revision or locked.reference
    if locked.files is not None and locked.revision:
        return replace(locked, reference=revision)
    api = locked.repo if is_dataset(locked.repo) else f"models/{locked.repo}"
    raw = _ask(web, f"{web.hub.endpoint}/api/{api}/revision/{quote(revision, safe='')}?blobs=true", locked.repo)
    commit = str(raw.get("sha", ""))
    if not COMMIT.fullmatch(commit) or (locked.revision and commit != locked.revision):
        raise InputRefused(
            f"{locked.repo}: the host answers with commit {commit or 'none'}", expected=f"commit {revision}"
        )
    listed = tuple(_file(item, locked.repo) for item in raw.get("siblings") or ())
    whole = is_dataset(locked.repo)
    files = tuple(item for item in listed if item.path != GIT) if whole else worth_having(listed, only=locked.only)
    if not files:
        raise InputRefused(f"{locked.repo} has no file to fetch at {commit}", expected="one file or more")
    known = tuple(item if _known(item) else _asked(web, locked.repo, commit, item) for item in files)
    return replace(locked, revision=commit, files=known, reference=revision)


def file_url(endpoint: str, repo: str, commit: str, path: str) -> str:
    """Return where a file of a repository is downloaded."""
    return f"{endpoint}/{repo}/resolve/{commit}/{quote(path)}"


def worth_having(files: Iterable[HubFile], *, only: tuple[str, ...] | None) -> tuple[HubFile, ...]:
    """Return the files the image can load.

    Of weights in two formats, the one transformers takes (safetensors).
    """
    chosen = [item for item in files if not any(fnmatch(item.path, pattern) for pattern in UNUSED)]
    if only is not None:
        return tuple(item for item in chosen if any(fnmatch(item.path, pattern) for pattern in only))
    if any(SAFETENSORS.fullmatch(item.path) for item in chosen):
        twice = (SAME_IN_PICKLE, SAME_IN_ONE)
        chosen = [item for item in chosen if not any(form.fullmatch(item.path) for form in twice)]
    safe = {item.path.removesuffix(".safetensors") for item in chosen if item.path.endswith(".safetensors")}
    return tuple(item for item in chosen if item.path.removesuffix(".bin") not in safe)


def _ask(web: Web, url: str, repo: str) -> Mapping[str, Any]:
    def ask() -> Any:
        with web.get(url) as response:
            try:
                return json.loads(response.content)
            except LOST as error:
                raise RetryableError(clean_message(error)) from error

    try:
        raw = web.retry(ask, what=f"{repo}: listing")
    except ValueError as error:
        raise HostFailed(
            f"{repo}: the host's listing is no JSON",
            expected="the Hub's API",
            hint="HF_ENDPOINT=URL of a Hub or mirror",
        ) from error
    return raw if isinstance(raw, dict) else {}


def _file(item: Mapping[str, Any], repo: str) -> HubFile:
    path = str(item.get("rfilename", ""))
    if not SAFE_PATH.fullmatch(path):
        raise InputRefused(f"{repo} lists a file named {path!r}", expected="a path inside the repository")
    lfs = item.get("lfs") or {}
    sha256 = lfs.get("sha256") or lfs.get("oid")
    size = lfs.get("size", item.get("size"))
    return HubFile(path, size, sha256, None if sha256 else item.get("blobId"), lfs=bool(sha256))


def _known(item: HubFile) -> bool:
    return bool(item.size is not None and BLOB.fullmatch((item.sha256 if item.lfs else item.git) or ""))


def _asked(web: Web, repo: str, commit: str, item: HubFile) -> HubFile:
    """Request a file's size and checksum by a HEAD.

    The listing of a mirror may lack them.
    """

    def ask() -> tuple[str, str]:
        with web.get(file_url(web.hub.endpoint, repo, commit, item.path), method="HEAD") as response:
            first = response.history[0] if response.history else response
            etag = first.headers.get("X-Linked-Etag") or first.headers.get("ETag") or ""
            length = first.headers.get("X-Linked-Size") or first.headers.get("Content-Length", "")
            return etag.removeprefix("W/").strip('"'), length

    etag, size = web.retry(ask, what=f"{repo}/{item.path}: HEAD")
    if not (BLOB.fullmatch(etag) and size.isdigit()):
        raise InputRefused(
            f"{repo}/{item.path}: the host tells no checksum ({etag or 'no ETag'})",
            expected="X-Linked-Etag and X-Linked-Size, as the Hub sends them",
            hint="fetch from a host that does: HF_ENDPOINT=URL",
        )
    lfs = len(etag) == 64
    return replace(item, size=int(size), sha256=etag if lfs else None, git=None if lfs else etag, lfs=lfs)
