"""Byte-level tokenizer of Qwen2's kind for the stand-in of MiniCPM-V-2_6."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vldock.image.remote_standins.base import TOKEN, write_json
from vldock.image.standin.recipe.tokenizer import corpus as sample_texts

VOCABULARY = 1152
MAX_LENGTH = 32768
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "</image>", "<ref>", "</ref>", "<box>", "</box>",
    "<quad>", "</quad>", "<point>", "</point>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<unk>",
)  # fmt: skip
SYSTEM = "You are a helpful assistant."
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def corpus() -> Iterator[str]:
    """Yield every text that the stand-in reads or writes, but for VLMEvalKit's own words."""
    for _ in range(12):
        yield f"system\n{SYSTEM}\nuser\nassistant\n"
    yield from sample_texts()


def train_tokenizer() -> Any:
    """Return a byte-level tokenizer of Qwen2's kind, whose id 0 is "!" and whose last ids are SPECIAL."""
    from tokenizers import (  # type: ignore[import-not-found]
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=alphabet, min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(one, normalized=False, special=True) for one in SPECIAL])
    return tokenizer


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write tokenizer.json and what goes with it; the bos token is <|im_start|>, unlike config.json's."""
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
    write_json(folder / "special_tokens_map.json", names)
    write_json(
        folder / "tokenizer_config.json",
        {
            **names,
            "add_prefix_space": False,
            "added_tokens_decoder": {tokenizer.token_to_id(one): {"content": one, **TOKEN} for one in SPECIAL},
            "auto_map": {"AutoTokenizer": [None, "tokenization_minicpmv_fast.MiniCPMVTokenizerFast"]},
            "chat_template": TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "model_max_length": MAX_LENGTH,
            "split_special_tokens": False,
            "tokenizer_class": "MiniCPMVTokenizer",
        },
    )
