"""VLMEvalKit: a benchmark file is the declared one or refused; downloads are atomic."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/dataset/image_base.py": (
        Edit(
            """\
        update_flag = False
        file_name_legacy""",
            """\
        from vldock.image.vlmeval_hooks.files import tsv
        file_md5 = tsv.ensure(self.dataset_name, url, file_md5, data_root)  # None: it is checked
        update_flag = False
        file_name_legacy""",
        ),
        Edit(
            "            self.meta_only = False\n",
            """\
            self.meta_only = False
            from vldock.image.vlmeval_hooks.files import tsv
            self.img_root = tsv.image_root(self.img_root, getattr(self, 'data_path', None))
""",
        ),
    ),
    "vlmeval/smp/file.py": (
        Edit(
            """\
    import urllib.request

    from tqdm import tqdm
""",
            """\
    from tqdm import tqdm

    from vldock.image.vlmeval_hooks.files import download
""",
        ),
        Edit(
            "            urllib.request.urlretrieve(url, filename=filename, reporthook=t.update_to)\n",
            "            download.retrieve(url, filename, t.update_to)\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_tsv_integrity",
    package=VLMEVAL,
    reason=(
        "a TSV of another md5 is silently downloaded over, a broken download stays, and images of "
        "another TSV are reused"
    ),
    upstream=(
        "open-compass/VLMEvalKit #92 #1217: prepare_tsv() in dataset/image_base.py, download_file() in smp/file.py"
    ),
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
