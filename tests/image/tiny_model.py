"""A tiny random LLaVA in a private Hub cache, and synthetic benchmark files."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from preforked_runs import WarmRuns

LLAVA_ROOT = Path(os.environ.get("VLDOCK_LLAVA_ROOT", "/workspace/LLaVA"))
VLMEVAL_ROOT = Path(os.environ.get("VLDOCK_VLMEVAL_ROOT", "/workspace/VLMEvalKit"))
PATCHES = Path(os.environ.get("VLDOCK_PATCHES", "/opt/vldock/patches"))
REVISION = "0" * 40
MODEL, REPO, TOWER = "llava_v1.5_7b", "liuhaotian/llava-v1.5-7b", "openai/clip-vit-large-patch14-336"
# what the published checkpoints say and a fresh config does not
OF_A_CHECKPOINT = {"mm_vision_tower": TOWER, "model_type": "llava", "tokenizer_model_max_length": 2048}
DOOR = "import sys; from vlmeval.run import main; sys.exit(main())"


def python_path(*roots: Path) -> str:
    """Return a PYTHONPATH with `roots` first and this process's import path after them."""
    return os.pathsep.join([*map(str, roots), *(path for path in sys.path if path)])


@dataclass(frozen=True)
class Bench:
    """A run.py with private data and output folders, no network, no GPU; a shared cache, only read."""

    root: Path
    cache: Path
    warm: WarmRuns | None = None

    @property
    def lmu(self) -> Path:
        """Return the folder of the benchmark files."""
        return self.root / "LMUData"

    @property
    def out(self) -> Path:
        """Return the folder of the model's results."""
        return self.root / "out" / MODEL

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment of a run; `more` is added, an empty value removes."""
        cache = str(self.cache)
        base = {name: value for name, value in os.environ.items() if name not in ("OPENAI_API_KEY", "VLDOCK_STANDIN")}
        base |= {"HF_HOME": cache, "HUGGINGFACE_HUB_CACHE": cache, "TRANSFORMERS_CACHE": cache, "HF_HUB_OFFLINE": "1"}
        base |= {"LMUData": str(self.lmu), "VLDOCK_OUTPUTS": str(self.root / "out"), "CUDA_VISIBLE_DEVICES": "-1"}
        base |= {"VLDOCK_ACCEPT_MD5": self.accepted(), "PYTHONPATH": python_path(VLMEVAL_ROOT, LLAVA_ROOT)}
        return {name: value for name, value in (base | more).items() if value}

    def accepted(self) -> str:
        """Return VLDOCK_ACCEPT_MD5 for the present synthetic files."""
        pairs = ((path.stem, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(self.lmu.glob("*.tsv")))
        return ",".join(f"{name}={digest}" for name, digest in pairs)

    def run(
        self, *options: str, model: str = MODEL, data: str = "POPE", before: str | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run run.py's main() in a fork of a process with VLMEvalKit imported.

        `before`: see preforked_runs.rig.
        """
        assert self.warm is not None
        argv = ["--data", *data.split(), "--model", model, *options]
        return self.warm.run(argv, env=self.env(**env), folder=self.root, before=before)

    def run_cold(self, *options: str, data: str = "POPE", **env: str) -> subprocess.CompletedProcess[str]:
        """Run run.py's main() in a fresh Python, as a user would."""
        command = [sys.executable, "-c", DOOR, "--data", *data.split(), "--model", MODEL, *options]
        return subprocess.run(command, env=self.env(**env), cwd=self.root, capture_output=True, text=True)

    def status(self) -> dict[str, dict[str, object]]:
        """Return the datasets of status.json."""
        datasets: dict[str, dict[str, object]] = json.loads((self.out / "status.json").read_text())["datasets"]
        return datasets


def make(root: Path) -> Bench:
    """Build cache and data under `root` and return the bench."""
    verifier = _verifier()
    snapshots = [make_snapshot(root / "cache", repo) for repo in (TOWER, REPO)]
    verifier.make_tower(snapshots[0])
    verifier.make_checkpoint(snapshots[1], snapshots[0])
    config = json.loads((snapshots[1] / "config.json").read_text())
    (snapshots[1] / "config.json").write_text(json.dumps(config | OF_A_CHECKPOINT))
    # every token ends the answer: a random model would otherwise go on for 2048 of them
    generation = json.loads((snapshots[1] / "generation_config.json").read_text())
    vocabulary = json.loads((snapshots[1] / "config.json").read_text())["vocab_size"]
    generation |= {"eos_token_id": list(range(vocabulary)), "pad_token_id": 0}
    (snapshots[1] / "generation_config.json").write_text(json.dumps(generation))
    (root / "LMUData").mkdir()
    bench = Bench(root, root / "cache")
    write_pope(bench, 12)
    write_mmbench(bench, 3)
    write_ocrbench(bench, 4)
    return bench


def make_snapshot(cache: Path, repo: str) -> Path:
    """Return the empty folder of a repository's snapshot in a Hub cache, made by this."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    return folder / "snapshots" / REVISION


def _verifier() -> object:
    spec = importlib.util.spec_from_file_location("verify_llava", PATCHES / "verify_llava.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(PATCHES / "verify_llava.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(seed: int) -> str:
    """Return a small PNG, a different one for each seed, in base64."""
    from PIL import Image

    image = Image.new("RGB", (48, 32), ((seed * 53) % 256, (seed * 97) % 256, (seed * 193) % 256))
    for x in range(16):
        image.putpixel((x, seed % 32), (255, x * 16, 0))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def write_tsv(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as the TSV VLMEvalKit reads."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def write_pope(bench: Bench, count: int, *, shade: int = 0) -> None:
    """Write POPE: yes/no questions with comma-separated categories."""
    rows = [
        {"index": i, "image": picture(i + shade), "question": "Is there a cat?", "answer": "Yes" if i % 2 else "No",
         "category": "random,popular"} for i in range(count)
    ]  # fmt: skip
    write_tsv(bench.lmu / "POPE.tsv", rows)


def write_mmbench(bench: Bench, count: int) -> None:
    """Write MMBench_DEV_EN: each question and one rotation of it, which refers to the image by index."""
    rows = []
    for i in range(count):
        row = {"index": i, "image": picture(i), "question": "Which?", "hint": "", "A": "red", "B": "blue",
               "answer": "A", "category": "colour", "l2-category": "perception", "split": "dev"}  # fmt: skip
        rows += [row, row | {"index": i + 1_000_000, "image": str(i), "A": "blue", "B": "red", "answer": "B"}]
    write_tsv(bench.lmu / "MMBench_DEV_EN.tsv", rows)


def write_ocrbench(bench: Bench, count: int) -> None:
    """Write OCRBench: answers are list literals."""
    rows = [
        {"index": i, "image": picture(i), "question": "What is written?", "answer": "['word']",
         "category": "Regular Text Recognition"} for i in range(count)
    ]  # fmt: skip
    write_tsv(bench.lmu / "OCRBench.tsv", rows)


def write_extras(bench: Bench) -> None:
    """Write five rows of each of the four extra benchmarks.

    An odd number, so that pairs and groups are cut.
    """
    choice = {"A": "red", "B": "blue", "answer": "A", "category": "colour", "l2-category": "x"}
    own: dict[str, dict[str, object]] = {
        "MME": {"answer": "Yes", "category": "existence", "image_path": ""},
        "NaturalBenchDataset": {"answer": "Yes", "type": "yes_no"},
        "MMStar_KO": choice,
        "CCOCR_MultiLanOcr_Korean": {"answer": "word", "category": "multi_lan_ocr", "l2-category": "Korean",
                                     "split": "Korean_150", "image_name": ""},
    }  # fmt: skip
    for name, columns in own.items():
        rows = [{"index": i, "image": picture(i), "question": "Is it red?", **columns} for i in range(5)]
        for i, row in enumerate(rows):
            row |= {"image_path": f"existence/{i // 2}.png"} if name == "MME" else {}
            row |= {"image_name": f"{i}.png"} if "image_name" in columns else {}
        write_tsv(bench.lmu / f"{name}.tsv", rows)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
