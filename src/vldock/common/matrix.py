"""Models, benchmarks and cells: the evaluation matrix, declared once.

A cell is one model on one benchmark. Names are VLMEvalKit's own. `md5` is the checksum VLMEvalKit (ms-vlmeval
0.0.20) declares for the benchmark's TSV. `headline` names the one figure that is reported, in the raw metrics of
VLMEvalKit's status.json (glob patterns, the first that matches wins); `scale` turns it into 0-100:
"fraction" (0-1), "percent" (0-100), "count" (correct answers out of the samples evaluated) or "points" (MME:
200 for each category evaluated). The arithmetic is in image/evaluation/metrics.py.

VLMEvalKit's own "primary metric" is not used: it is 0-1 or 0-100 for the same benchmark, depending on whether its
TSV has a split column, and for MME it is whichever category sorts first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Scale = Literal["fraction", "percent", "count", "points"]

# VLMEvalKit prefers the splits in this order (dataset/image_base.py, _choose_primary_metric_key).
BY_SPLIT = tuple(f"split={split}|Overall" for split in ("test", "validation", "val", "dev", "*"))


@dataclass(frozen=True)
class Model:
    """A model of the image: VLMEvalKit's name, Hub repositories, requirements.

    `tower` and `tokenizer` are repositories of their own, None where `repo` holds these files. Sizes are in GB:
    `gigabytes` of the weights in half precision, `working` of activations, logits and keys and values of the largest
    prompt of one image in the benchmarks below, by arithmetic (docs/use/models.md). `attention` is what runs in this
    image in the language model, `vision_attention` in a vision tower that differs. `remote_code`: its classes are in
    its repository (trust_remote_code); the others are LLaVA's.
    """

    name: str
    repo: str
    family: Literal["LLaVA", "InternVL2", "MiniCPM-V", "CogVLM"]
    gigabytes: float
    working: float
    attention: Literal["SDPA", "eager"] = "SDPA"
    vision_attention: Literal["eager", "xformers"] | None = None
    tower: str | None = None
    tokenizer: str | None = None
    remote_code: bool = False
    standin: bool = True
    in_matrix: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The other repositories that loading it reads."""
        return tuple(repo for repo in (self.tower, self.tokenizer) if repo)

    @property
    def attentions(self) -> str:
        """Attention of the language model, then after a slash a vision tower's own."""
        return f"{self.attention}/{self.vision_attention}" if self.vision_attention else self.attention

    @property
    def tried(self) -> tuple[str, ...]:
        """What it was run with when this was written; never its real weights."""
        published = ("a tiny random instance of its published code on a CPU",) if self.remote_code else ()
        return (*(("its stand-in",) if self.standin else ()), *published)

    @property
    def gpu_memory(self) -> float:
        """GB of GPU memory in half precision."""
        return self.gigabytes + self.working

    @property
    def cpu_memory(self) -> float:
        """GB of memory on a CPU, where weights are float32."""
        return 2 * self.gigabytes + self.working


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: VLMEvalKit's name and TYPE, headline figure and its scale.

    `rows` is the approximate number of its samples: for estimates, never for a result.
    """

    name: str
    kind: Literal["MCQ", "VQA", "Y/N"]
    scale: Scale
    rows: int
    md5: str
    headline: tuple[str, ...] = BY_SPLIT
    extra: bool = False


CLIP = "openai/clip-vit-large-patch14-336"
SHAREGPT4V_TOWER = "Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12"
LLAVA_7B, LLAVA_13B = "liuhaotian/llava-v1.5-7b", "liuhaotian/llava-v1.5-13b"

MODELS: tuple[Model, ...] = (
    Model("llava_v1.5_7b", LLAVA_7B, "LLaVA", 13.6, 2.4, vision_attention="eager", tower=CLIP, in_matrix=True),
    Model("llava_v1.5_13b", LLAVA_13B, "LLaVA", 26.1, 3.9, vision_attention="eager", tower=CLIP, in_matrix=True),
    Model(
        "sharegpt4v_7b", "Lin-Chen/ShareGPT4V-7B", "LLaVA", 13.5, 2.4, vision_attention="eager", tower=SHAREGPT4V_TOWER
    ),
    Model("InternVL2-2B", "OpenGVLab/InternVL2-2B", "InternVL2", 4.4, 8.0, "eager", remote_code=True),
    Model("InternVL2-8B", "OpenGVLab/InternVL2-8B", "InternVL2", 16.2, 15.0, "eager", remote_code=True),
    Model("MiniCPM-V-2_6", "openbmb/MiniCPM-V-2_6", "MiniCPM-V", 16.2, 4.8, vision_attention="eager", remote_code=True),
    Model(
        "cogvlm-chat",
        "THUDM/cogvlm-chat-hf",
        "CogVLM",
        35.3,
        2.7,
        vision_attention="xformers",
        tokenizer="lmsys/vicuna-7b-v1.5",
        remote_code=True,
    ),
)

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("MMBench_DEV_EN", "MCQ", "fraction", 4329, "b6caf1133a01c6bb705cf753bb527ed8"),
    Benchmark("TextVQA_VAL", "VQA", "percent", 5000, "b233b31f551bbf4056f2f955da3a92cd", ("Overall",)),
    Benchmark("GQA_TestDev_Balanced", "VQA", "percent", 12578, "99b62f22e224d9b2f32dcbe41359d1c9", ("Overall",)),
    Benchmark("MMMU_DEV_VAL", "MCQ", "fraction", 1050, "585e8ad75e73f75dcad265dfd0417d64"),
    Benchmark("DocVQA_VAL", "VQA", "percent", 5349, "d5ee77e1926ff10690d469c56b73eabf", ("Overall",)),
    Benchmark("ChartQA_TEST", "VQA", "percent", 2500, "c902e0aa9be5582a7aad6dcf52734b42", ("Overall",)),
    Benchmark("InfoVQA_VAL", "VQA", "percent", 2801, "2342e9c225222f0ef4dec545ebb126fe", ("Overall",)),
    Benchmark("OCRBench", "VQA", "count", 1000, "e953d98a987cc6e26ef717b61260b778", ("Final Score",)),
    Benchmark("AI2D_TEST", "MCQ", "fraction", 3088, "0f593e0d1c7df9a3d69bf1f947e71975"),
    Benchmark("ScienceQA_VAL", "MCQ", "fraction", 2097, "96320d05e142e585e7204e72affd29f3"),
    Benchmark("POPE", "Y/N", "percent", 5127, "c12f5acb142f2ef1f85a26ba2fbe41d5", ("split=Overall|Overall",)),
    Benchmark("HallusionBench", "Y/N", "percent", 951, "0c23ac0dc9ef46832d7a24504f2a0c7c", ("split=Overall|aAcc",)),
    Benchmark("MMStar", "MCQ", "fraction", 1500, "e1ecd2140806c1b1bbf54b43372efb9e"),
    Benchmark("RealWorldQA", "MCQ", "fraction", 765, "4de008f55dc4fd008ca9e15321dc44b7"),
    Benchmark("VisOnlyQA-VLMEvalKit", "MCQ", "fraction", 900, "cf460a31d2acb8d3a7cecd0e69298bfa"),
    Benchmark("VizWiz", "VQA", "percent", 4319, "fa4ac4164467563ed2fac6eac6631bd0", ("Overall",)),
    Benchmark("SEEDBench_IMG", "MCQ", "fraction", 14232, "68017231464752261a2526d6ca3a10c0"),
    Benchmark("BLINK", "MCQ", "fraction", 1901, "3b6649b6a662184ea046908e5506260e"),
    Benchmark("MMBench_DEV_KO", "MCQ", "fraction", 4329, "72e1cde9124b5015be6d0dd5c9b5500d"),
    Benchmark("SEEDBench_IMG_KO", "MCQ", "fraction", 14232, "b354a9ac3493f3ccf294e69b216bfab3"),
    Benchmark(
        "MME", "Y/N", "points", 2374, "b36b43c3f09801f5d368627fb92187c3", ("perception", "reasoning"), extra=True
    ),
    Benchmark("NaturalBenchDataset", "MCQ", "fraction", 7600, "e5f724932972eaeb8a9099e6979606ec", ("Acc",), extra=True),
    Benchmark("MMStar_KO", "MCQ", "fraction", 1500, "cc6049c7314bb54b9ac5e247a2bfb357", extra=True),
    Benchmark(
        "CCOCR_MultiLanOcr_Korean", "VQA", "fraction", 150, "0f55dbd24eba5edc189c91e124411641", ("lan_ocr",), extra=True
    ),
)


def matrix_models() -> tuple[Model, ...]:
    """Return the models of the 40-cell matrix."""
    return tuple(model for model in MODELS if model.in_matrix)


def matrix_benchmarks(*, extra: bool = False) -> tuple[Benchmark, ...]:
    """Return the 20 benchmarks of the matrix, or all 24 with `extra`."""
    return tuple(benchmark for benchmark in BENCHMARKS if extra or not benchmark.extra)


def find_model(name: str) -> Model | None:
    """Return the declared model of that name, or None."""
    return next((model for model in MODELS if model.name == name), None)


def find_remote_code(*names: str | None) -> Model | None:
    """Return the first model with remote code that one of `names` names.

    By its own name, its repository, or the repository's last part, as a folder is called.
    """
    asked = set(names)
    return next(
        (m for m in MODELS if m.remote_code and asked & {m.name, m.repo, m.repo.rpartition("/")[2]}),
        None,
    )


def find_benchmark(name: str) -> Benchmark | None:
    """Return the declared benchmark of that name, or None."""
    return next((benchmark for benchmark in BENCHMARKS if benchmark.name == name), None)


def cells(models: Iterable[str], benchmarks: Iterable[str]) -> list[tuple[str, str]]:
    """Return (model, benchmark) pairs, all benchmarks of one model before the next model."""
    names = list(benchmarks)
    return [(model, benchmark) for model in models for benchmark in names]
