"""VLMEvalKit: TLS certificates are verified."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/__init__.py": (
        Edit(
            """\
import ssl
import warnings
""",
            "import warnings\n",
        ),
        Edit(
            """\
# Temporarily bypass SSL certificate verification to download files from oss.
ssl._create_default_https_context = ssl._create_unverified_context
""",
            "# TLS verification stays on: a server whose certificate fails is an error to see.\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_tls",
    package=VLMEVAL,
    reason="importing vlmeval switches TLS verification off for the whole process",
    upstream="open-compass/VLMEvalKit: vlmeval/__init__.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
