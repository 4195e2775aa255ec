"""Speed of LLaVA-1.5-7B's language half on a GPU: `python benchmarks/speed/gpu.py`.

Needs torch, transformers 4.37 and this checkout only; weights are random, dimensions real (7B, float16). First two
ceilings of this very card: matrix products, and copying memory. Then, for SDPA and eager attention and 1 to 64 rows:
reading prompts of 640 tokens (an image and a question) through the batched engine's own code, and decoding after them.
MFU is the arithmetic the model needs at the least, over time and the first ceiling; bandwidth is what a step must read
at the least (weights once, every row's keys and values), over time and the second. Writes gpu.json and RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

import table  # noqa: E402
import torch  # noqa: E402

from vldock.image.engines.kv_cache import AlignedCache  # noqa: E402
from vldock.image.engines.language_model import LanguageModel, Segment  # noqa: E402

ROWS = (1, 2, 4, 8, 16, 32, 64)
STEPS = 16  # tokens decoded, after two that are not timed
REPEATS = 3


@dataclass(frozen=True)
class Size:
    """Dimensions of a language model, by default LLaVA-1.5-7B's (Vicuna 7B)."""

    width: int = 4096
    inner: int = 11008
    layers: int = 32
    heads: int = 32
    vocabulary: int = 32000
    prompt: int = 640  # 576 patches and a question

    @property
    def products(self) -> int:
        """Weights multiplied for every token: attention and MLP, without embeddings and lm_head."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.inner)

    def reading_flops(self, rows: int) -> float:
        """Return the operations of prefilling `rows` prompts.

        Products, causal attention, logits of the last token.
        """
        attention = 2 * 2 * self.layers * self.width * self.prompt**2 / 2
        head = 2 * self.width * self.vocabulary
        return float(rows * (2 * self.products * self.prompt + attention + head))

    def step_bytes(self, rows: int, *, columns: int, item: int) -> float:
        """Return the bytes read for one token per row.

        All weights, and keys and values of `columns` tokens a row.
        """
        cache = 2 * self.layers * self.width * columns * rows
        return float(item * (self.products + self.width * self.vocabulary + cache))


TINY = Size(width=64, inner=128, layers=2, heads=4, vocabulary=256, prompt=48)


class Decoder(torch.nn.Module):
    """LLaMA of random weights with LanguageModel's required interface.

    It is the interface vldock's LanguageModel needs of a LLaVA.
    """

    def __init__(self, size: Size, attention: str, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            intermediate_size=size.inner,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            max_position_embeddings=4096,
            attn_implementation=attention,
        )
        kept = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                self.inner = LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(kept)
        self.inner.model.mm_projector = torch.nn.Identity()
        self.lm_head, self.config, self.device = self.inner.lm_head, self.inner.config, device

    def get_model(self) -> Any:
        """Return the decoder without its head."""
        return self.inner.model


def time_work(work: Callable[[], Any], *, device: torch.device, repeats: int = REPEATS) -> float:
    """Return the shortest of several timings of `work` in seconds.

    One call before them warms up. Each waits for the device.
    """
    work()
    best = float("inf")
    for _ in range(repeats):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - begun)
    return best


def wait(device: torch.device) -> None:
    """Wait for all work queued on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceilings(device: torch.device, dtype: torch.dtype, *, side: int, size: int) -> tuple[float, float]:
    """Return the peak FLOP/s and bytes/s of the device.

    FLOP/s of the product of two [side, side]; bytes/s read and written by copying `size` bytes.
    """
    left, right = (torch.randn(side, side, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
    product = time_work(lambda: left @ right, device=device, repeats=10)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = time_work(lambda: target.copy_(source), device=device, repeats=10)
    return 2 * side**3 / product, 2 * size / copy


def read_and_step(language: LanguageModel, size: Size, rows: int) -> tuple[float, float]:
    """Return seconds of prefilling `rows` prompts and of one step.

    A step is one token for each prompt after that.
    """
    device = language.device
    segments = [Segment(language.embed(range(row, row + size.prompt))) for row in range(rows)]
    reading = time_work(lambda: language.prefill(segments), device=device)
    _, pieces = language.prefill(segments)
    cache = AlignedCache.gather(list(pieces), like=language.shape, room=STEPS + 8)
    del pieces
    lengths = [size.prompt] * rows

    def steps(count: int) -> None:
        for _ in range(count):
            language.decode(cache, [1] * rows, lengths)
            lengths[:] = [length + 1 for length in lengths]

    steps(2)
    wait(device)
    begun = time.perf_counter()
    steps(STEPS)
    wait(device)
    return reading, (time.perf_counter() - begun) / STEPS


def measure_step(
    language: LanguageModel, size: Size, attention: str, rows: int, roof: tuple[float, float]
) -> dict[str, Any]:
    """Return the figures of one attention and number of rows.

    Where the rows do not fit, a note is returned.
    """
    item = language.shape.sample.element_size()
    try:
        with torch.inference_mode():
            reading, step = read_and_step(language, size, rows)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return {"attention": attention, "rows": rows, "note": "out of memory"}
    flops = size.reading_flops(rows) / reading
    read = size.step_bytes(rows, columns=size.prompt + STEPS // 2, item=item) / step
    return {
        **{"attention": attention, "rows": rows, "prefill_seconds": reading, "decode_seconds": step},
        **{"prefill_tflops": flops / 1e12, "mfu": flops / roof[0]},
        **{"decode_gbps": read / 1e9, "bandwidth_used": read / roof[1], "tokens_per_second": rows / step},
    }


def measure(size: Size, rows: tuple[int, ...], *, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Return ceilings and the figures of every attention and number of rows."""
    big = device.type == "cuda"
    roof = ceilings(device, dtype, side=8192 if big else 512, size=2**32 if big else 2**24)
    steps = []
    for attention in ("sdpa", "eager"):
        language = LanguageModel(Decoder(size, attention, device=device, dtype=dtype))
        for count in rows:
            steps.append(measure_step(language, size, attention, count, roof))
            print(json.dumps(steps[-1]), flush=True)
        del language
        if big:
            torch.cuda.empty_cache()
    name = torch.cuda.get_device_name(device) if big else "this processor"
    return {
        "what": f"{name}, {str(dtype).removeprefix('torch.')}, torch {torch.__version__}; {size}",
        "ceilings": {"matrix products": f"{roof[0] / 1e12:.1f} TFLOP/s", "memory": f"{roof[1] / 1e9:.0f} GB/s"},
        "steps": steps,
    }


def main() -> int:
    """Measure, print, and write gpu.json; on a CPU only with --tiny, writing nothing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny dimensions, to try this script anywhere")
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.tiny:
        print("error: no GPU is visible here\nhint: --tiny tries the script on a CPU", file=sys.stderr)
        return 3
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    found = measure(TINY if args.tiny else Size(), tuple(args.rows), device=device, dtype=dtype)
    print("\n".join(table.gpu(found)))
    if not args.tiny:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if (args.out / "results.json").is_file():
            table.write(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
