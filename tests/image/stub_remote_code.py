"""A model and tokenizer with the interfaces of InternVL's, MiniCPM-V 2.6's and CogVLM's remote code.

`write(folder)` lays them out as a checkpoint whose remote code is this file. An answer is `StubModel.said`; `asked`
holds what each call received.
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizer

VOCABULARY = ("<|im_start|>", "<|endoftext|>", "</s>", "\n", *map(chr, range(32, 127)))
ANSWER = "A cat"
WRAPPERS = {"InternVLChat": {"version": "V2.0"}, "MiniCPM_V_2_6": {}, "CogVlm": {}}  # VLMEvalKit's, with arguments
CLASSES = {"AutoConfig": "StubConfig", "AutoModel": "StubModel", "AutoModelForCausalLM": "StubModel"}


class StubConfig(PretrainedConfig):
    """Configuration without settings of its own."""

    model_type = "stub"


class StubTokenizer(PreTrainedTokenizer):
    """Tokenizer with a token for each printable character."""

    def __init__(self, **settings):
        self.ids = {word: i for i, word in enumerate(VOCABULARY)}
        super().__init__(bos_token="<|im_start|>", eos_token="</s>", **settings)
        self.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]})

    @property
    def vocab_size(self):
        """Number of tokens."""
        return len(VOCABULARY)

    def get_vocab(self):
        """Return {token: id}."""
        return dict(self.ids)

    def _tokenize(self, text):
        return list(text)

    def _convert_token_to_id(self, token):
        return self.ids[token]

    def _convert_id_to_token(self, index):
        return VOCABULARY[index]

    def convert_tokens_to_string(self, tokens):
        """Join tokens."""
        return "".join(tokens)

    def save_vocabulary(self, *_arguments, **_settings):
        """Return no file: the vocabulary is in this module."""
        return ()


class StubModel(PreTrainedModel):
    """One linear layer behind the three interfaces."""

    config_class = StubConfig

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Linear(2, 2)
        self.loaded_as = (self.weight.weight.device.type, self.weight.weight.dtype)
        self.register_buffer("cosine", torch.ones(2), persistent=False)
        self.llm = SimpleNamespace(generation_config=GenerationConfig(bos_token_id=1))
        self.asked, self.said = [], ANSWER

    def chat(self, tokenizer=None, **asked):
        """Answer as InternVL does to pixel_values, and as MiniCPM-V does to msgs.

        MiniCPM-V's answer begins with the start token of its language model; it strips the tokenizer's.
        """
        self.asked.append(asked)
        start = self.llm.generation_config.bos_token_id if "msgs" in asked else tokenizer.bos_token_id
        return self.said if start == tokenizer.bos_token_id else VOCABULARY[start] + self.said

    def build_conversation_input_ids(self, tokenizer, *, query, history, images):
        """Return CogVLM's inputs of one question."""
        ids = torch.tensor(tokenizer(query, add_special_tokens=False)["input_ids"])
        pixels = torch.ones(3, 4, 4)
        return {"input_ids": ids, "token_type_ids": ids * 0, "attention_mask": ids * 0 + 1, "images": [pixels]}

    def generate(self, input_ids, **asked):
        """Answer as CogVLM does: the prompt's ids and those of `said`."""
        self.asked.append({"input_ids": input_ids, **asked})
        said = torch.tensor([[VOCABULARY.index(letter) for letter in self.said]], device=input_ids.device)
        return torch.cat([input_ids, said], dim=1)


def write(folder):
    """Write the checkpoint and return its path."""
    torch.manual_seed(0)
    StubModel(StubConfig()).save_pretrained(folder)
    module = Path(__file__).stem
    shutil.copy(__file__, folder)
    config = json.loads((Path(folder) / "config.json").read_text())
    config["auto_map"] = {auto: f"{module}.{name}" for auto, name in CLASSES.items()}
    (Path(folder) / "config.json").write_text(json.dumps(config))
    tokenizer = {"auto_map": {"AutoTokenizer": [f"{module}.StubTokenizer", None]}, "tokenizer_class": "StubTokenizer"}
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return str(folder)
