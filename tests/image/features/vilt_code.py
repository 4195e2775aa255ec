# vilt.py: an image and an instruction read by ViLT; other models of transformers go the same way
import json
import os

import numpy
import torch
import transformers

from vldock.image.weights import model_files

NAME = os.environ.get("VILT", "dandelin/vilt-b32-mlm")  # a repository in the cache, or a folder


class Raw:
    """Processor: ViLT's own wants image and text together, so that the pixels stay as they are."""

    def settings(self):
        return json.dumps({"pixels": "RGB, 0 to 255", "transformers": transformers.__version__})

    def __call__(self, image):
        return torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float()


class Vilt:
    """PromptedModel: the mean of the last hidden states, (1, width)."""

    layer = "last hidden state, mean"

    def __init__(self, device):
        self.identity = model_files.facts(NAME)["sha256"]  # over the weights' files
        self.computed = f"float32, torch {torch.__version__}"
        self.processor = transformers.ViltProcessor.from_pretrained(NAME)
        self.model = transformers.ViltModel.from_pretrained(NAME).to(device).eval()

    @torch.inference_mode()
    def encode_prompted(self, pixels, prompt):
        image = pixels.byte().permute(1, 2, 0).numpy()
        inputs = self.processor(images=image, text=prompt, return_tensors="pt").to(self.model.device)
        return self.model(**inputs).last_hidden_state.mean(dim=1)


def open_model(device):
    return Vilt(device), Raw()
