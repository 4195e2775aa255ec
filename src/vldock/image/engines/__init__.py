"""The engines that answer a benchmark's questions: VLMEvalKit's own loop, or ours, in batches.

Standard library only until an engine is made: the command line's options live here too.
"""

from __future__ import annotations

import os
from typing import Any

from vldock.common import inference_options
from vldock.image.answering.types import AnswersQuestions


def engine_of(model: Any) -> AnswersQuestions | None:
    """Return what answers for `model`, a wrapper of VLMEvalKit's; None: its own loop does.

    A resident worker's engine (`model._vldock_engine`) comes first, then the batched engine where VLDOCK_ENGINE asks
    for it. Where it is asked for and cannot be, one line says why.
    """
    resident: AnswersQuestions | None = getattr(model, "_vldock_engine", None)
    if resident is not None:
        return resident
    wanted = inference_options.asked(os.environ)
    if wanted.batch_size is None:
        return None
    from vldock.image.engines import eligibility

    reason = eligibility.refusal(model)
    if reason:
        print(f"engine {wanted.describe()}: VLMEvalKit's own loop answers instead: {reason}", flush=True)
        return None
    from vldock.image.engines import disk_features, memory_features
    from vldock.image.engines.batched import BatchedEngine

    return BatchedEngine(
        model, batch_size=wanted.batch_size, features=memory_features.shared(), kept=disk_features.open_for(model)
    )
