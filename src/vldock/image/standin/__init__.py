"""Stand-ins: tiny LLaVA-1.5 models, their CLIP tower, and ten samples of every benchmark, to try the whole pipeline on.

A score of a stand-in says nothing about a real model. It says that the pipeline works: prompt template, image
preprocessing, insertion of the image, decoding and scoring must all be right for a high one, because the stand-ins
were trained to answer their samples when everything is right and to say "unsure" when something is broken.

    activate(os.environ)     before torch, transformers or vlmeval are imported
    load_manifest()          what the assets are: digests, seed, versions, how training ended
    check_assets(manifest)   that they still are

`python -m vldock.image.standin.make --out DIR` makes them (README.md tells how and how well). This module and what it
imports are standard library only; the recipe's modules need the image's packages and locks/standin.nodeps.in.
"""

from __future__ import annotations

from vldock.image.standin.activate import StandinRoot, activate
from vldock.image.standin.manifest import ASSETS, Manifest, check_assets, load_manifest

__all__ = ["ASSETS", "Manifest", "StandinRoot", "activate", "check_assets", "load_manifest"]
