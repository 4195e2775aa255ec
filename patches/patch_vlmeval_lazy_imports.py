"""VLMEvalKit: models, judges and benchmarks are imported on first use."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

PUT_OFF = 'from vldock.image.process import lazy_imports as _lazy\n_lazy.defer_imports(__name__, """\n'

EDITS = {
    "vlmeval/vlm/__init__.py": (
        Edit("from .aki import AKI\n", f"{PUT_OFF}from .aki import AKI\n"),
        Edit("from .yi_vl import Yi_VL\n", 'from .yi_vl import Yi_VL\n""", before={"oryx": "ola"})\n'),
    ),
    "vlmeval/api/__init__.py": (
        Edit("from .arm_thinker import ARM_thinker\n", f"{PUT_OFF}from .arm_thinker import ARM_thinker\n"),
        Edit(
            "from .video_chat_online_v2 import VideoChatOnlineV2API\n",
            'from .video_chat_online_v2 import VideoChatOnlineV2API\n""")\n',
        ),
    ),
    "vlmeval/dataset/__init__.py": (
        Edit("from .asclepius import Asclepius\n", f"{PUT_OFF}from .asclepius import Asclepius\n"),
        Edit(
            "from .xstest import XSTestDataset\n",
            """\
from .xstest import XSTestDataset
\""")
from .image_base import ImageBaseDataset, img_root_map
from vldock.image.vlmeval_hooks.models import benchmark_index as _benchmark_index
""",
        ),
        Edit(
            "# Add new supported dataset class here\n",
            '_lazy.defer_statements(__name__, """\n# Add new supported dataset class here\n',
        ),
        Edit(
            "    SUPPORTED_DATASETS.extend(DATASET_CLS.supported_datasets())\n",
            """\
    SUPPORTED_DATASETS.extend(DATASET_CLS.supported_datasets())
\""", known={"SUPPORTED_DATASETS": _benchmark_index.list_supported})
""",
        ),
        Edit(
            """\
    for cls in DATASET_CLASSES:
        if dataset in cls.supported_datasets():
            if hasattr(cls, 'TYPE'):
""",
            """\
    for cls in _benchmark_index.classes_for(dataset):
        if dataset in cls.supported_datasets():
            if hasattr(cls, 'TYPE'):
""",
        ),
        Edit(
            """\
    for cls in DATASET_CLASSES:
        if dataset in cls.supported_datasets():
            if hasattr(cls, 'MODALITY'):
""",
            """\
    for cls in _benchmark_index.classes_for(dataset):
        if dataset in cls.supported_datasets():
            if hasattr(cls, 'MODALITY'):
""",
        ),
        Edit(
            "    for cls in DATASET_CLASSES:\n        if dataset_name in",
            "    for cls in _benchmark_index.classes_for(dataset_name):\n        if dataset_name in",
        ),
        Edit("__all__ = [\n", '_lazy.defer_statements(__name__, """\n__all__ = [\n'),
        Edit(
            "__all__.extend([cls.__name__ for cls in DATASET_CLASSES])\n",
            '__all__.extend([cls.__name__ for cls in DATASET_CLASSES])\n""")\n',
        ),
    ),
    "vlmeval/dataset/video_dataset_config.py": (
        Edit(
            "from vlmeval.dataset import *\n",
            """\
from vldock.image.vlmeval_hooks.models import factories as _factories
_factories.insert_references(__name__, 'vlmeval.dataset')
""",
        ),
        Edit(
            "    supported_video_datasets.update(grp)\n",
            "    supported_video_datasets.update(grp)\n_factories.remove_references(__name__, 'vlmeval.dataset')\n",
        ),
    ),
    "vlmeval/config.py": (
        Edit(
            """\
from functools import partial

import vlmeval.api as api
import vlmeval.vlm as vlm
""",
            """\
from vldock.image.vlmeval_hooks.models import factories as _factories
api, vlm, partial = _factories.import_references('vlmeval.api', 'vlmeval.vlm')
""",
        ),
        Edit(
            "for grp in model_groups:\n    supported_VLM.update(grp)\n",
            """\
for grp in model_groups:
    supported_VLM.update(grp)

from functools import partial
import vlmeval.api as api
import vlmeval.vlm as vlm
""",
        ),
    ),
    "vlmeval/smp/status_report.py": (
        Edit(
            "                for dataset_cls in dataset_module.DATASET_CLASSES:\n",
            """\
                from vldock.image.vlmeval_hooks.models import benchmark_index
                for dataset_cls in benchmark_index.classes_for(dataset_name):
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_lazy_imports",
    package=VLMEVAL,
    reason="each run imported 130 models, 40 judges and 250 benchmarks with all they need, to use one of each",
    upstream="open-compass/VLMEvalKit: vlmeval/{vlm,api,dataset}/__init__.py, config.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
