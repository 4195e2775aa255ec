"""VLMEvalKit: tables are checked before their first question.

A broken image fails its sample only.
"""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/dataset/image_base.py": (
        Edit(
            "        data = self.load_data(dataset)\n",
            """\
        data = self.load_data(dataset)
        from vldock.image.vlmeval_hooks.files import table_check, table_images
        data = table_check.prepare_table(self, data)
""",
        ),
        # a picture may be that short: a GIF of one pixel
        Edit(
            """\
                if len(image_map[k]) <= 64:
                    idx = image_map[k]
                    assert idx in image_map and len(image_map[idx]) > 64
                    image_map[k] = image_map[idx]
""",
            "                image_map[k] = table_images.resolve_image(image_map, k)\n",
        ),
    ),
    "vlmeval/dataset/text_base.py": (
        Edit(
            "        data = self.load_data(dataset)\n",
            """\
        data = self.load_data(dataset)
        from vldock.image.vlmeval_hooks.files import table_check
        data = table_check.prepare_table(self, data)
""",
        ),
    ),
    "vlmeval/inference.py": (
        Edit(
            "        if idx in res:\n",
            """\
        from vldock.image.vlmeval_hooks.files import table_images
        if idx in res or table_images.record_if_lost(dataset, data.iloc[i], res):
""",
        ),
    ),
    "vlmeval/smp/vlm.py": (
        Edit(
            """\
    image_data = base64.b64decode(base64_string)
    image = Image.open(io.BytesIO(image_data))
    if image.mode in ('RGBA'""",
            """\
    from vldock.image.vlmeval_hooks.files import table_images
    image = table_images.decode_image(base64_string)
    if image.mode in ('RGBA'""",
        ),
    ),
    "vlmeval/smp/file.py": (
        Edit(
            """\
        if isinstance(im, str) and len(im) > 64:
            decode_base64_to_image_file(im, p)
""",
            """\
        if isinstance(im, str):
            from vldock.image.vlmeval_hooks.files import table_images
            table_images.dump_if_whole(decode_base64_to_image_file, im, p)
""",
        ),
        Edit(
            """\
            if len(image_map[i]) <= 64 and isinstance(image_map[i], str):
                idx = image_map[i]
                assert idx in image_map and len(image_map[idx]) > 64
""",
            """\
            from vldock.image.vlmeval_hooks.files import table_images
            if table_images.is_reference(image_map[i], image_map):
                idx = image_map[i]
""",
        ),
        Edit(
            "    root = osp.join(root, 'images', dname)\n",
            """\
    from vldock.image.vlmeval_hooks.files import tsv
    root = tsv.image_root(osp.join(root, 'images', dname), osp.join(root, f'{dname}.tsv'))
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_table_look",
    package=VLMEVAL,
    reason=(
        "one CMYK or damaged picture ends a benchmark, a table of one's own has no file in the identity, "
        "a short picture is taken for an index"
    ),
    upstream=(
        "open-compass/VLMEvalKit #108 #336 #696 #856: dataset/image_base.py, text_base.py, infer_data() in "
        "inference.py, smp/vlm.py, smp/file.py"
    ),
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
