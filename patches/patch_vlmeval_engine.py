"""VLMEvalKit: vldock's engine can replace the one-sample loop (--engine, --batch-size, --no-worker)."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/inference.py": (
        Edit(
            "    else:\n        model.set_dump_image(dataset.dump_image)\n",
            """\
    else:
        model.set_dump_image(dataset.dump_image)
        from vldock.image.engines import vlmeval_loop
        if vlmeval_loop.answer_rows(
                model, dataset, data, res, folder=work_dir, name=model_name, out_file=out_file):
            res = {k: res[k] for k in data_indices}
            dump(res, out_file)
            return model
""",
        ),
    ),
    "vlmeval/run.py": (
        Edit(
            "    args = parser.parse_args()\n",
            """\
    from vldock.image.answering import options
    options.add(parser)
    args = parser.parse_args()
    options.resolve(args)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_engine",
    package=VLMEVAL,
    reason="infer_data() answers one sample at a time, decodes images in between, and looks at each image every time",
    upstream="ms-vlmeval 0.0.20: infer_data() in inference.py, parse_args() in run.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
