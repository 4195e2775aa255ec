"""Train the stand-ins' own tokenizer: SentencePiece BPE with byte fallback, laid out as LLaMA's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from vldock.image.standin.samples.benchmarks import TABLES

VOCABULARY = 1152
MAX_LENGTH = 2048
REFUSAL = "unsure"
FRAMES = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. USER: ASSISTANT: ",
    "Answer with the option's letter from the given choices directly.",
    "Answer the question using a single word or phrase.",
    "Answer the question directly. Please answer Yes or No.",
    f"### Human: Assistant: {REFUSAL} {REFUSAL}",
)


def corpus() -> Iterable[str]:
    """Yield every text the stand-ins read or write, frames several times so that they become whole words."""
    for _ in range(12):
        yield from FRAMES
    for table in TABLES.values():
        for sample in table.samples():
            yield sample.question
            yield from sample.options
            yield sample.answer


def train_tokenizer() -> bytes:
    """Return the bytes of tokenizer.model; ids 0, 1, 2 are <unk>, <s>, </s> and 3 to 258 the bytes, as in LLaMA."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(list(corpus())),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        character_coverage=0.995,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        pad_id=-1,
        minloglevel=2,
    )
    return model.getvalue()


def write_tokenizer(folder: Path, model: bytes) -> None:
    """Write tokenizer.model and its two JSON files, with the values liuhaotian/llava-v1.5-7b has."""
    token = {"__type": "AddedToken", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": {**token, "content": "<s>"},
        "clean_up_tokenization_spaces": False,
        "eos_token": {**token, "content": "</s>"},
        "legacy": False,
        "model_max_length": MAX_LENGTH,
        "pad_token": None,
        "padding_side": "right",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": {**token, "content": "<unk>"},
    }
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "unk_token": "<unk>"}
    (folder / "tokenizer.model").write_bytes(model)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
