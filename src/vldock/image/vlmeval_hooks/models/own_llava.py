"""VLMEvalKit's LLaVA wrapper for a custom model (LLaVA-NeXT too).

Questions are worded and images preprocessed as in training.
"""

from __future__ import annotations

from typing import Any

import torch
from llava.constants import IMAGE_TOKEN_INDEX
from llava.mm_utils import process_images, tokenizer_image_token
from PIL import Image
from vlmeval.vlm import LLaVA

from vldock.image.llava_hooks import markers, wording


class OwnLLaVA(LLaVA):  # type: ignore[misc]
    """LLaVA wrapper with the template of the model's config.

    Anyres images are tiled.
    """

    def generate_inner(self, message: list[dict[str, Any]], dataset: str | None = None) -> str:
        """Return the answer to one message of images and texts, decoded greedily."""
        config, model = self.model.config, self.model
        images = [Image.open(item["value"]).convert("RGB") for item in message if item["type"] == "image"]
        text = "".join(
            wording.IMAGE if item["type"] == "image" else markers.disguise(str(item["value"])) for item in message
        )
        prompt = wording.render_conversation([("human", text), ("gpt", None)], wording.template_of(config))
        ids = tokenizer_image_token(prompt, self.tokenizer, IMAGE_TOKEN_INDEX, return_tensors="pt")
        made = [process_images([image], self.image_processor, config)[0] for image in images]
        tensors: Any = [tensor.to(model.device, dtype=model.dtype) for tensor in made]
        if tensors and getattr(config, "image_aspect_ratio", None) != "anyres":
            tensors = torch.stack(tensors)
        with torch.inference_mode():
            answer = model.generate(
                ids.unsqueeze(0).to(model.device),
                images=tensors if images else None,
                image_sizes=[image.size for image in images] if images else None,
                **self.kwargs,
            )
        return str(self.tokenizer.batch_decode(answer, skip_special_tokens=True)[0].strip())
