"""Model of the CogVLM stand-in: vision tokens after <s>, then the question; a MemoryDecoder answers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision import transforms
from transformers import PreTrainedModel

from .configuration_cogvlm import CogVLMConfig
from .memory_decoder import MemoryDecoder
from .visual import EVA2CLIPModel

LANGUAGE_TOKEN_TYPE, VISION_TOKEN_TYPE = 0, 1
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
ANSWER = {"chat": "Answer:", "vqa": "Short answer:"}


def format_query(version: str, history: list[tuple[str, str]], query: str) -> str:
    """Return the conversation as text, open for the last answer; "base" is the query alone."""
    if version == "base":
        return query
    word = ANSWER[version]
    past = "".join(f"Question: {asked} {word} {answered}\n" for asked, answered in history)
    return f"{past}Question: {query} {word}"


class CogVLMModel(nn.Module):  # type: ignore[misc]
    """Vision part and decoder."""

    def __init__(self, config: CogVLMConfig) -> None:
        super().__init__()
        self.vision = EVA2CLIPModel(config)
        self.decoder = MemoryDecoder(config)

    def embed(self, input_ids: Tensor, images: list[list[Tensor]] | None, token_type_ids: Tensor | None) -> Tensor:
        """Return the embedded prompt, image features in the places of type VISION_TOKEN_TYPE."""
        embedded: Tensor = self.decoder.get_input_embeddings()(input_ids)
        given = [image for row in images or [] for image in row]
        places = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        seen = places == VISION_TOKEN_TYPE
        if not given:
            assert not bool(seen.any()), f"{int(seen.sum())} vision tokens and no image"
            return embedded
        features = self.vision(torch.stack(given)).flatten(0, 1)
        assert int(seen.sum()) == len(features), f"{int(seen.sum())} vision tokens for {len(features)} features"
        return embedded.index_put((seen,), features.to(embedded.device, embedded.dtype))


class CogVLMForCausalLM(PreTrainedModel):  # type: ignore[misc]
    """CogVLM's interface: build_conversation_input_ids(), generate()."""

    config_class = CogVLMConfig
    base_model_prefix = "model"
    _no_split_modules = ["EVA2CLIPModel", "Attention", "Memory"]  # noqa: RUF012 - as transformers declares it

    def __init__(self, config: CogVLMConfig) -> None:
        super().__init__(config)
        self.model = CogVLMModel(config)

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the values as constructed."""

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embedding."""
        return self.model.decoder.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """Return the layer that scores tokens."""
        return self.model.decoder.get_output_embeddings()

    def forward(
        self,
        input_ids: Tensor | None = None,
        images: list[list[Tensor]] | None = None,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        **ignored: Any,
    ) -> Any:
        """Return logits and cache; with a cache, the image is in it and `images` is not read."""
        assert input_ids is not None
        inputs = {"input_ids": input_ids}
        if past_key_values is None:
            inputs = {"inputs_embeds": self.model.embed(input_ids, images, token_type_ids)}
        return self.model.decoder(
            **inputs,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
            return_dict=return_dict,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        images: list[list[Tensor]] | None = None,
        past_key_values: Any = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Return forward's arguments: the whole prompt at first, then the last token."""
        if past_key_values is not None:
            input_ids, token_type_ids = input_ids[:, -1:], token_type_ids[:, -1:]
        return {
            "input_ids": input_ids,
            "token_type_ids": token_type_ids,
            "images": images,
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "use_cache": options.get("use_cache"),
        }

    def _update_model_kwargs_for_generation(
        self, outputs: Any, model_kwargs: dict[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Add a language token's type for the token just said."""
        types = model_kwargs.pop("token_type_ids")
        model_kwargs = super()._update_model_kwargs_for_generation(outputs, model_kwargs, **options)
        said = types.new_full((len(types), 1), LANGUAGE_TOKEN_TYPE)
        return {**model_kwargs, "token_type_ids": torch.cat((types, said), 1)}

    _reorder_cache = staticmethod(MemoryDecoder._reorder_cache)

    def build_conversation_input_ids(
        self,
        tokenizer: Any,
        *,
        query: str,
        history: list[tuple[str, str]] | None = None,
        images: list[Any] | None = None,
        template_version: str | None = None,
    ) -> dict[str, Any]:
        """Return input_ids, token_type_ids, attention_mask (length) and images, [(3, side, side)] for one PIL image."""
        vision = self.config.vision_config
        assert images is None or len(images) <= 1, "CogVLM takes one image"
        ids, types = [tokenizer.bos_token_id], [LANGUAGE_TOKEN_TYPE]
        if images:
            side = vision["image_size"]
            prepare = transforms.Compose(
                (
                    transforms.Resize((side, side), interpolation=transforms.InterpolationMode.BICUBIC),
                    transforms.ToTensor(),
                    transforms.Normalize(MEAN, DEVIATION),
                )
            )
            images = [prepare(images[0])]
            count = vision["grid_size"] ** 2 + 2
            ids += [tokenizer.pad_token_id] * count
            types += [VISION_TOKEN_TYPE] * count
        text = format_query(template_version or self.config.template_version, history or [], query)
        said = tokenizer.encode(text, add_special_tokens=False)
        ids, types = ids + said, types + [LANGUAGE_TOKEN_TYPE] * len(said)
        return {
            "input_ids": torch.tensor(ids),
            "token_type_ids": torch.tensor(types),
            "attention_mask": torch.ones(len(ids), dtype=torch.long),
            "images": images,
        }
