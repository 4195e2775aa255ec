"""Stand-in for MiniCPM-V 2.6: its chat() over a vision tower, a resampler and a memory decoder."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, PreTrainedModel

from .configuration_minicpm import MiniCPMVConfig
from .memory_decoder import MemoryDecoder
from .modeling_navit_siglip import SiglipVisionTransformer
from .resampler import Resampler

PICTURE = "(<image>./</image>)"
PADDING = 0
BEAMS = {"num_beams": 3, "repetition_penalty": 1.2}
SAMPLING = {"top_p": 0.8, "top_k": 100, "temperature": 0.7, "do_sample": True, "repetition_penalty": 1.05}


class MiniCPMVPreTrainedModel(PreTrainedModel):  # type: ignore[misc]
    """What transformers asks of a model class."""

    config_class = MiniCPMVConfig
    base_model_prefix = "llm"
    _no_split_modules = ["SiglipVisionTransformer", "Attention", "Memory"]  # noqa: RUF012 - as transformers declares it

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Keep each module's own first weights."""


class MiniCPMV(MiniCPMVPreTrainedModel):
    """The model as VLMEvalKit's MiniCPM_V_2_6 calls it."""

    def __init__(self, config: MiniCPMVConfig) -> None:
        super().__init__(config)
        self.llm = MemoryDecoder(config)
        self.vpm = SiglipVisionTransformer(config.vision_config)
        self.resampler = Resampler(config.query_num, config.hidden_size, self.vpm.embed_dim, config.output_size)
        self.terminators = ["<|im_end|>", "<|endoftext|>"]
        # as the real model does: a config.json that was loaded knows from where
        self.processor = None
        if config._name_or_path:
            self.processor = AutoProcessor.from_pretrained(config._name_or_path, trust_remote_code=True)

    def get_input_embeddings(self) -> torch.nn.Module:
        """Return the decoder's."""
        return self.llm.get_input_embeddings()

    def encode_pictures(self, pictures: list[torch.Tensor], tgt_sizes: torch.Tensor) -> torch.Tensor:
        """Return (pictures, query_num, hidden_size) of `pictures`, each (3, patch, patches x patch)."""
        dtype = self.get_input_embeddings().weight.dtype
        counts = tgt_sizes.prod(dim=1).tolist()
        longest = max(counts)
        pixels = pictures[0].new_zeros(len(pictures), *pictures[0].shape[:2], longest * self.config.patch_size)
        mask = torch.zeros(len(pictures), longest, dtype=torch.bool, device=pixels.device)
        for number, (picture, count) in enumerate(zip(pictures, counts, strict=True)):
            pixels[number, :, :, : picture.shape[2]] = picture
            mask[number, :count] = True
        pixels = pixels.to(dtype)
        step = self.config.vision_batch_size
        states = [self.vpm(pixels[at : at + step], mask[at : at + step]) for at in range(0, len(pictures), step)]
        return self.resampler(torch.cat(states), tgt_sizes)

    def get_vllm_embedding(self, data: dict[str, Any]) -> tuple[torch.Tensor, list[Any]]:
        """Return the prompts' embeddings with the pictures' in their places, and the pictures' alone."""
        embeddings = self.get_input_embeddings()(data["input_ids"]).clone()
        pictures_of: list[Any] = []
        for row, (pictures, sizes) in enumerate(zip(data["pixel_values"], data["tgt_sizes"], strict=True)):
            states = self.encode_pictures(pictures, sizes) if len(pictures) else []
            for (start, end), state in zip(data["image_bound"][row].tolist(), states, strict=True):
                embeddings[row, start:end] = state.to(embeddings.dtype)
            pictures_of.append(states)
        return embeddings, pictures_of

    def _decode_text(self, rows: torch.Tensor, tokenizer: Any) -> list[str]:
        """Return each row's text without padding, a first `bos_id` and a terminator, and nothing else left out."""
        ends = [tokenizer.convert_tokens_to_ids(one) for one in self.terminators]
        texts = []
        for row in rows:
            ids = row[row != PADDING].tolist()
            if ids and ids[0] == tokenizer.bos_id:
                ids = ids[1:]
            if ids and ids[-1] in ends:
                ids = ids[:-1]
            texts.append(tokenizer.decode(ids).strip())
        return texts

    def generate(
        self,
        input_ids: torch.Tensor,
        pixel_values: Any = None,
        tgt_sizes: Any = None,
        image_bound: Any = None,
        attention_mask: torch.Tensor | None = None,
        tokenizer: Any = None,
        decode_text: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the answers' token ids, or their texts if `decode_text`."""
        data = {
            "input_ids": input_ids,
            "pixel_values": pixel_values,
            "tgt_sizes": tgt_sizes,
            "image_bound": image_bound,
        }
        with torch.inference_mode():
            rows = self.llm.generate(
                inputs_embeds=self.get_vllm_embedding(data)[0],
                pad_token_id=PADDING,
                eos_token_id=[tokenizer.convert_tokens_to_ids(one) for one in self.terminators],
                attention_mask=attention_mask,
                **kwargs,
            )
        return self._decode_text(rows, tokenizer) if decode_text else rows

    def chat(
        self,
        image: Image.Image | None,
        msgs: list[Any],
        tokenizer: Any,
        processor: Any = None,
        max_new_tokens: int = 2048,
        min_new_tokens: int = 0,
        sampling: bool = True,
        max_inp_length: int = 8192,
        system_prompt: str = "",
        max_slice_nums: int | None = None,
        use_image_id: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the answer to one conversation, or the answers to a list of them.

        Args:
            image: put before the first message, if it is a text alone.
            msgs: messages {"role", "content"}; a content is a text, or a list of texts and pictures.
            sampling: draw tokens; otherwise search with beams. `kwargs` change the values of either.
        """
        processor = processor or self.processor
        several = isinstance(msgs[0], list)
        prompts, pictures = [], []
        for messages in msgs if several else [msgs]:
            texts, found = read_messages(messages, image)
            if system_prompt:
                texts.insert(0, {"role": "system", "content": system_prompt})
            prompts.append(processor.tokenizer.apply_chat_template(texts, tokenize=False, add_generation_prompt=True))
            pictures.append(found)
        inputs = processor(
            prompts, pictures, max_slice_nums=max_slice_nums, use_image_id=use_image_id, max_length=max_inp_length
        ).to(self.device)
        inputs.pop("image_sizes")
        settings = dict(SAMPLING if sampling else BEAMS)
        settings.update((name, kwargs[name]) for name in settings.keys() & kwargs.keys())
        if min_new_tokens > 0:
            settings["min_new_tokens"] = min_new_tokens
        answers = self.generate(
            **inputs, tokenizer=tokenizer, max_new_tokens=max_new_tokens, decode_text=True, **settings
        )
        return answers if several else answers[0]


def read_messages(messages: list[Any], image: Image.Image | None) -> tuple[list[dict[str, str]], list[Image.Image]]:
    """Return `messages` as texts with a mark for every picture, and the pictures."""
    texts: list[dict[str, str]] = []
    pictures: list[Image.Image] = []
    for message in messages:
        content = message["content"]
        parts = [content] if isinstance(content, str) else list(content)
        if not texts and image is not None and isinstance(content, str):
            parts = [image, *parts]
        pictures += [part for part in parts if isinstance(part, Image.Image)]
        lines = [PICTURE if isinstance(part, Image.Image) else part for part in parts]
        texts.append({"role": message["role"], "content": "\n".join(lines)})
    return texts, pictures
