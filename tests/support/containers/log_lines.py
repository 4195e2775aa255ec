"""Log lines permitted in an evaluation, each with its reason.

They are at WARNING or above.
"""

from __future__ import annotations

import re

# ERROR, CRITICAL, WARNING, WARN as a level, and Python's own `SomethingWarning:`
LEVEL = re.compile(r"\b(?:WARNING|WARN|ERROR|CRITICAL|FATAL)\b|\b[A-Za-z]*Warning: ")

# pattern -> who prints it and why it is harmless
LISTED: dict[str, str] = {
    r"FutureWarning: `resume_download` is deprecated": "transformers 4.37.2 still passes it to the locked hub client",
    r"UserWarning: TypedStorage is deprecated": "torch 2.1.2 reads .bin shards through its own deprecated class",
    r"UserWarning: Following kwargs received": "VLMEvalKit's wrapper names its own default arguments",
    r"UserWarning: You have modified the pretrained model": "LLaVA's config carries generation values",
    r"UserWarning: `do_sample` is set to `False`\. However, `": "the wrapper asks greedily, with both",
    r"UserWarning: Model CogVlm does not support interleaved input": "CogVLM takes one image; said of each sample",
    r"UserWarning: Note that the results on VisOnlyQA-VLMEvalKit are different": "VLMEvalKit names its own variant",
}


def unlisted(text: str) -> list[str]:
    """Return the unlisted log lines of `text`.

    They are at WARNING or above and match no listed pattern.
    """
    lines = [line for line in text.splitlines() if LEVEL.search(line)]
    return [line for line in lines if not any(re.search(pattern, line) for pattern in LISTED)]
