"""The 20 benchmarks of the matrix, and the four the field had dropped, with ten samples each (NaturalBench: eight).

`TABLES` says how each one's TSV spells its answers and which columns it has; the schema is the one that
vlmeval's dataset classes read (image_base.py, image_mcq.py, image_vqa.py, image_yorn.py, image_ccocr.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vldock.image.standin.samples import korean, multiple_choice, open_answer, yes_no
from vldock.image.standin.samples.sample import Sample


@dataclass(frozen=True, slots=True)
class Table:
    """How one benchmark is written.

    Attributes:
        samples: makes the rows, in file order.
        answers: "plain" (the answer itself), "list" (a literal list of one), or "ten" (ten annotators, one list).
        column: the answer column's name.
        options: how many option columns the file has.
        lists: True where image and image_path are literal lists even for one picture (MMMU, BLINK).
    """

    samples: Callable[[], list[Sample]]
    answers: str = "plain"
    column: str = "answer"
    options: int = 0
    lists: bool = False


TABLES: Mapping[str, Table] = {
    "MMBench_DEV_EN": Table(multiple_choice.mmbench, options=4),
    "TextVQA_VAL": Table(open_answer.textvqa, "ten"),
    "GQA_TestDev_Balanced": Table(open_answer.gqa),
    "MMMU_DEV_VAL": Table(multiple_choice.mmmu, options=4, lists=True),
    "DocVQA_VAL": Table(open_answer.docvqa, "list"),
    "ChartQA_TEST": Table(open_answer.chartqa, "list"),
    "InfoVQA_VAL": Table(open_answer.infovqa, "list"),
    "OCRBench": Table(open_answer.ocrbench, "list"),
    "AI2D_TEST": Table(multiple_choice.ai2d, options=5),
    "ScienceQA_VAL": Table(multiple_choice.scienceqa, options=5),
    "POPE": Table(yes_no.pope),
    "HallusionBench": Table(yes_no.hallusionbench),
    "MMStar": Table(multiple_choice.mmstar, options=4),
    "RealWorldQA": Table(multiple_choice.realworldqa, options=4),
    "VisOnlyQA-VLMEvalKit": Table(multiple_choice.visonlyqa, options=5),
    "VizWiz": Table(open_answer.vizwiz, "ten", column="answers"),
    "SEEDBench_IMG": Table(multiple_choice.seedbench, options=4),
    "BLINK": Table(multiple_choice.blink, options=4, lists=True),
    "MMBench_DEV_KO": Table(korean.mmbench_ko, options=4),
    "SEEDBench_IMG_KO": Table(korean.seedbench_ko, options=4),
    "MME": Table(yes_no.mme),
    "NaturalBenchDataset": Table(yes_no.naturalbench),
    "MMStar_KO": Table(korean.mmstar_ko, options=4),
    "CCOCR_MultiLanOcr_Korean": Table(open_answer.ccocr_korean),
}
