"""Command lines of LLaVA's train.py, as settings.

    --model_name_or_path lmsys/vicuna-7b-v1.5 --bits 4   ->   model.base=lmsys/vicuna-7b-v1.5 model.method=qlora

What is not given keeps the default of `train --print-config`, not train.py's.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

from vldock.common.errors import UsageError
from vldock.image.training.config import Config
from vldock.image.training.llava_argument_table import (
    DECIDED,
    FIXED,
    INTEGER,
    MAPPED,
    NAMES,
    NUMBER,
    REASONS,
    SETTINGS,
    SWITCH,
)

OWN = {"config": True, "check": False, "no_check": False, "print_config": False, "help": False}  # True: has a value
SWITCHES = {
    word: value for value, words in ((True, "yes true t y 1"), (False, "no false f n 0")) for word in words.split()
}
VERSIONS = {
    "plain": "plain", "v1": "llava_v1", "vicuna_v1": "llava_v1", "llava_v1": "llava_v1",
    "llava_llama_2": "llava_llama_2", "mistral_instruct": "mistral_instruct",
}  # fmt: skip
TRAINED_ON = "data.accept=[duplicate-id,gpt-first,image-count,cmyk]"  # flaws that train.py trains on
AT_THE_END = 10**9  # steps between saves


def _own_settings() -> dict[str, str]:
    """Return the settings by their last name and by their whole one; an ambiguous last name is left out."""
    sections = [(each.name, getattr(Config(), each.name)) for each in fields(Config)]
    paths = [f"{name}.{each.name}" for name, section in sections if is_dataclass(section) for each in fields(section)]
    last = Counter(path.partition(".")[2] for path in paths)
    short = {path.partition(".")[2]: path for path in paths if last[path.partition(".")[2]] == 1}
    return short | {path: path for path in paths} | {"out": "out"}


OWN_SETTINGS = _own_settings()


@dataclass(frozen=True)
class Translation:
    """Arguments of `train`: own options, then KEY=VALUE words; `notes` are for the user, a line each."""

    arguments: tuple[str, ...]
    notes: tuple[str, ...] = ()


def translate(argv: Sequence[str]) -> Translation:
    """Return a command line with train.py's arguments turned into settings.

    Own options and KEY=VALUE words stay; of two for one setting the later wins.

    Raises UsageError for an unknown argument (the nearest is named), a value that is none, or one with no setting.
    """
    options: list[str] = []
    words: list[str] = []
    given: dict[str, str] = {}
    for name, values in _split(argv):
        if name is None:
            words += values
        elif name in OWN:
            options += [f"--{name.replace('_', '-')}", *values]
        else:
            given[name] = " ".join(values)
            words += _words(name, given[name])
    if not given:
        return Translation((*options, *words))
    decided, notes = _decide(given, has_file="--config" in options)
    notes += [f"--{name} {value}: no effect here; {REASONS[name]}" for name, value in given.items() if name in REASONS]
    return Translation((*options, *decided, *words), tuple(notes))


def _split(argv: Sequence[str]) -> Iterator[tuple[str | None, list[str]]]:
    """Yield (name, values) of each argument; the name of a KEY=VALUE word is None."""
    left = ["--help" if word == "-h" else word for word in argv]
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            yield None, [word]
            continue
        written, equals, value = word[2:].partition("=")
        name = written.replace("-", "_")
        if name not in OWN and name not in NAMES:
            if name in OWN_SETTINGS and (equals or left):
                yield None, [f"{OWN_SETTINGS[name]}={value if equals else left.pop(0)}"]
                continue
            name, value, equals = _negated(name, word), "False", "="
        values = [value] if equals else _following(name, left)
        if not values and OWN.get(name, name not in REASONS):
            raise UsageError(f"--{name} has no value", expected=MAPPED[name].kind if name in MAPPED else "a value")
        yield name, values


def _following(name: str, left: list[str]) -> list[str]:
    """Take an argument's values from the words after it."""
    if OWN.get(name) is False:
        return []
    switch = (name in MAPPED and MAPPED[name].kind == SWITCH) or FIXED.get(name, ("",))[0] in ("True", "False")
    if switch and (not left or left[0].startswith("--") or "=" in left[0]):
        return ["True"]
    found: list[str] = []
    while left and not left[0].startswith("--") and (not found or (name in REASONS and "=" not in left[0])):
        found.append(left.pop(0))
    return found


def _negated(name: str, word: str) -> str:
    """Return the switch of --no_NAME, transformers' second spelling of `--NAME False`."""
    positive = name.removeprefix("no_")
    if positive != name and positive in MAPPED and MAPPED[positive].kind == SWITCH:
        return positive
    close = difflib.get_close_matches(name, [*NAMES, *OWN, *OWN_SETTINGS], n=1, cutoff=0.6)
    raise UsageError(
        f"unknown argument {word.partition('=')[0]}",
        expected="an argument of LLaVA's train.py, an option of train, or KEY=VALUE",
        hint=f"did you mean --{close[0]}?" if close else "--help lists them; --print-config lists the settings",
    )


def _words(name: str, value: str) -> list[str]:
    """Return the KEY=VALUE words of one argument; those of DECIDED come later."""
    if name in FIXED:
        accepted, instead = FIXED[name]
        if not _same(value, accepted):
            raise UsageError(f"--{name} {value}: not here", expected=accepted or "nothing", hint=instead)
    if name in DECIDED:
        _checked(name, value)
    if name not in SETTINGS:
        return []
    checked, setting = _checked(name, value), SETTINGS[name].setting
    if name == "max_steps":
        checked = str(max(0, int(value)))
    if name == "freeze_mm_mlp_adapter":
        checked = "false" if checked == "true" else "true"
    if name == "data_path":
        return ["data.source=json", f"{setting}={checked}"]
    return [f"{setting}={checked}"]


def _checked(name: str, value: str) -> str:
    """Return a value as a setting holds it; text is quoted, so that no sign of it is read as YAML."""
    kind = MAPPED[name].kind
    if kind == SWITCH:
        if value.casefold() not in SWITCHES:
            raise UsageError(f"--{name} {value}", expected=SWITCH)
        return str(SWITCHES[value.casefold()]).lower()
    if kind in (INTEGER, NUMBER):
        try:
            return str(int(value) if kind == INTEGER else float(value))
        except ValueError:
            raise UsageError(f"--{name} {value}", expected=f"a value of kind {kind}") from None
    return json.dumps(value, ensure_ascii=False)


def _same(value: str, accepted: str) -> bool:
    with contextlib.suppress(ValueError):
        return float(value) == float(accepted)
    one, other = value.casefold(), accepted.casefold()
    return one == other or (one in SWITCHES and SWITCHES[one] is SWITCHES.get(other))


def _decide(given: Mapping[str, str], *, has_file: bool) -> tuple[list[str], list[str]]:
    """Return the words that need several arguments, or their values, and notes about them.

    A file of settings is not overridden by defaults.
    """
    words = [] if has_file or "data_path" not in given else [TRAINED_ON]
    method, notes = _method(given, has_file=has_file)
    words += [f"model.method={method}"] if method else []
    words += _precision(given)
    if version := given.get("version"):
        if version not in VERSIONS:
            raise UsageError(
                f"--version {version}: its template is not trained here",
                expected=", ".join(VERSIONS),
                hint="--version v1; the pretraining of a projector: --version plain",
            )
        words.append(f"model.template={VERSIONS[version]}")
    strategy = given.get("evaluation_strategy")
    if strategy == "no":
        words += ["data.heldout_fraction=1e-6", "train.patience=0"]
    elif strategy:
        notes.append(f"--evaluation_strategy {strategy}: held-out answers are scored at each save")
    match given.get("save_strategy", "steps"):
        case "no":
            words.append(f"train.save_every={AT_THE_END}")
        case "steps":
            pass
        case other:
            raise UsageError(
                f"--save_strategy {other}", expected="steps or no", hint="--save_strategy steps --save_steps N"
            )
    return words, notes


def _precision(given: Mapping[str, str]) -> list[str]:
    asked = {name: SWITCHES[given[name].casefold()] for name in ("bf16", "fp16") if name in given}
    chosen = [name for name, value in asked.items() if value]
    if len(chosen) > 1:
        raise UsageError("--bf16 True and --fp16 True", expected="one of them", hint="--bf16 True --fp16 False")
    return [f"train.precision={chosen[0] if chosen else 'fp32'}"] if asked else []


def _method(given: Mapping[str, str], *, has_file: bool) -> tuple[str, list[str]]:
    """Return model.method, "" where nothing decides it, and notes."""
    switches = {
        name: SWITCHES[given[name].casefold()] for name in ("lora_enable", "tune_mm_mlp_adapter") if name in given
    }
    lora, bits = switches.get("lora_enable"), int(given.get("bits", "16"))
    if bits not in (4, 16):
        raise UsageError(f"--bits {bits}", expected="4 or 16", hint="--bits 4 (QLoRA), or leave it out")
    if switches.get("tune_mm_mlp_adapter"):
        return "projector", []
    if bits == 4:
        if lora is False:
            raise UsageError("--bits 4 --lora_enable False", expected="adapters", hint="--bits 4 --lora_enable True")
        return "qlora", [] if lora else [
            "--bits 4: model.method=qlora; 4-bit weights are trained through adapters only"
        ]
    if lora is not None:
        return ("lora" if lora else "full"), []
    if given.get("deepspeed") or given.get("fsdp"):
        return "full", ["model.method=full: as train.py with --deepspeed and without --lora_enable"]
    if has_file or given.keys().isdisjoint(("model_name_or_path", "data_path")):
        return "", []
    return "lora", ["model.method=lora; the whole language model: --lora_enable False, 4 bits: --bits 4"]
