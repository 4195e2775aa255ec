"""Ways to spoil the prompt: wrong frames, lost pieces, misplaced images.

`Frame` rebuilds a prompt from the wrapper's system text and the question; FRAMES are trained against, HELD_OUT only
measured. LLaVA's own frame (a newline after <image>, no space after "ASSISTANT:") is in neither: another option of
the harness uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

MARK = " <image> "
USER, ASSISTANT = "USER: ", " ASSISTANT: "
WORDS = tuple(
    word
    for line in (
        "you are a helpful honest language and vision model please answer as short as possible think step by step",
        "be safe never lie user robot expert reads pictures carefully says only facts in english korean",
    )
    for word in line.split()
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before the images, for each image, and after the question; `{system}` is the right system text."""

    head: str = "{system}" + USER
    mark: str = MARK
    tail: str = ASSISTANT
    image_first: bool = True

    def fill(self, system: str, text: str, images: int) -> str:
        """Return the prompt for `text` with so many images."""
        marks = self.mark * images
        middle = marks + text if self.image_first else text + marks
        return self.head.replace("{system}", system) + middle + self.tail


LLAMA_2 = "[INST] <<SYS>>\nYou are a helpful language and vision assistant. <</SYS>>\n\n"
CHATML = "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n"
FRAMES: Mapping[str, Frame] = {
    "no system prompt": Frame(head=USER),
    "system prompt: helpful assistant": Frame(head="You are a helpful assistant. " + USER),
    "system prompt: language and vision": Frame(head="You are a helpful language and vision assistant. " + USER),
    "Human and Assistant": Frame(head="{system}Human: ", tail=" Assistant: "),
    "### Human": Frame(head="{system}###Human: ", mark="<image>\n", tail="###Assistant:"),
    "LLaMA-2 chat": Frame(head=LLAMA_2, mark="<image>\n", tail=" [/INST]"),
    "ChatML": Frame(head=CHATML, mark="<image>\n", tail="<|im_end|><|im_start|>assistant\n"),
    "plain": Frame(head="", mark="<image>\n", tail=""),
    "no USER": Frame(head="{system}"),
    "no ASSISTANT": Frame(tail=""),
    "ASSISTANT in lower case": Frame(tail=" assistant: "),
    "roles swapped": Frame(head="{system}ASSISTANT: ", tail=" USER: "),
    "Question and Answer": Frame(head="{system}Question: ", tail=" Answer: "),
    "image after the question": Frame(image_first=False),
    "no image mark": Frame(mark=""),
    "answer already closed": Frame(tail=" ASSISTANT: </s>"),
}
HELD_OUT: Mapping[str, Frame] = {
    "system prompt: pirate": Frame(head="You are a pirate who hates questions. " + USER),
    "system prompt twice": Frame(head="{system}{system}" + USER),
    "Q and A": Frame(head="{system}Q: ", tail=" A: "),
    "only the image and ASSISTANT": Frame(head=""),
    "Mistral": Frame(head="[INST] ", mark="<image>\n", tail=" [/INST]"),
    "RESPONSE": Frame(tail=" RESPONSE: "),
    "Gemma": Frame(head="<start_of_turn>user\n", mark="<image>\n", tail="<end_of_turn>\n<start_of_turn>model\n"),
    "USER in lower case": Frame(head="{system}user: "),
    "tail twice": Frame(tail=ASSISTANT + ASSISTANT),
}


def strip_instruction(text: str) -> str:
    """Drop the benchmark's last line ("Answer with the option's letter ..."), where there is more than one."""
    return text.rstrip().rsplit("\n", 1)[0]


def strip_question(text: str) -> str:
    """Drop all but the benchmark's last line."""
    return text.rstrip().rsplit("\n", 1)[-1] if "\n" in text.rstrip() else ""


TEXTS: Mapping[str, Callable[[str], str]] = {"no instruction": strip_instruction, "no question": strip_question}
TEXTS_HELD_OUT: Mapping[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "no options": lambda t: "\n".join(line for line in t.split("\n") if line[1:3] != ". "),
    "words reversed": lambda t: " ".join(reversed(t.split(" "))),
}


def corrupt_system(system: str, rng: Random) -> str:
    """Return the system text with words lost, moved or replaced, or another text altogether."""
    words = system.split()
    way = rng.randrange(5)
    if way == 0:
        words = [word for word in words if rng.random() < rng.uniform(0.2, 0.8)]
    elif way == 1:
        rng.shuffle(words)
    elif way == 2:
        words = [word if rng.random() < 0.6 else rng.choice(WORDS) for word in words]
    elif way == 3:
        words = rng.choices(WORDS, k=rng.randint(3, 30))
    else:
        words = words[: rng.randrange(1, len(words) - 4)] if rng.random() < 0.5 else words[rng.randrange(4, 20) :]
    return " ".join(words) + rng.choice((" ", ". ", "\n"))


def corrupt_roles(rng: Random) -> Frame:
    """Return a frame in which the user's mark, the assistant's, or both are wrong or missing."""
    user = rng.choice(("", "User: ", "USER ", "HUMAN: ", "Human: ", "### Instruction: ", "ASSISTANT: ", "Me: "))
    tail = rng.choice(("", " Assistant: ", " ASSISTANT ", " AI: ", " GPT: ", "### Response: ", " USER: ", " Answer: "))
    wrong = rng.randrange(3)
    return Frame(head="{system}" + (user if wrong != 1 else USER), tail=tail if wrong != 0 else ASSISTANT)
