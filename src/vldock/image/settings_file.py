"""Settings as frozen dataclasses, read from a YAML file.

KEY=VALUE arguments override the file.
Called by training.config and heads.config. A field is a section (a dataclass), a tuple of texts, or a str, int, float
or bool, each with a default. A name that is no field is refused, and the nearest one is suggested. Not on pydantic: the
host's tests of the data read a configuration, and the host's environment does not have it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vldock.common.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class SettingsFile(Generic[T]):
    """Reader of one kind of settings.

    `example` (train.epochs=3) and `hint` appear in its errors.
    """

    kind: type[T]
    example: str
    hint: str

    def read(self, path: Path | None, words: Sequence[str] = ()) -> T:
        """Return the settings of a file, overridden by KEY=VALUE arguments.

        Without a file (None) they are the defaults.
        Raises UsageError for a file that cannot be read, an unknown key or a value of another type.
        """
        values: dict[str, Any] = {}
        if path is not None:
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise UsageError(f"{path} cannot be read: {error}", expected="a YAML file of settings") from error
            if not isinstance(content, dict):
                raise UsageError(f"{path} holds a {type(content).__name__}", expected=f"settings: {self._section()}")
            values = content
        for word in words:
            self._put(values, word)
        made: T = self._build(self.kind, values, "")
        return made

    def _put(self, values: dict[str, Any], word: str) -> None:
        key, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"{word}: no =", expected=f"KEY=VALUE, such as {self.example}")
        *sections, last = key.split(".")
        for name in sections:
            values = values.setdefault(name, {})
            if not isinstance(values, dict):
                known = [each.name for each, kind in _fields(self.kind) if dataclasses.is_dataclass(kind)]
                expected = f"{', '.join(known[:-1])} or {known[-1]}"
                raise UsageError(f"{key}: {name} is no section", expected=expected)
        try:
            values[last] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise UsageError(f"{word}: {error}", expected=f"KEY=VALUE, such as {self.example}") from error

    def _build(self, kind: type, values: Any, above: str) -> Any:
        if not isinstance(values, dict):
            raise UsageError(f"{above.rstrip('.')} is {values!r}", expected=f"a section: {self._section()}")
        known = {each.name: hint for each, hint in _fields(kind)}
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(f"{above}{name}", list(_keys(self.kind)), n=1, cutoff=0.4)
                hint = f"did you mean {close[0]}?" if close else self.hint
                raise UsageError(f"unknown setting {above}{name}", expected=", ".join(known), hint=hint)
        return kind(**{name: self._value(known[name], value, f"{above}{name}") for name, value in values.items()})

    def _value(self, kind: Any, value: Any, name: str) -> Any:
        if dataclasses.is_dataclass(kind):
            return self._build(kind, value, f"{name}.")  # type: ignore[arg-type]
        if get_origin(kind) is tuple:
            items = value if isinstance(value, list) else [value] if value != "" else []
            return tuple(self._value(get_args(kind)[0], item, name) for item in items)
        if kind is str and value is None:
            return ""
        if kind is float and type(value) in (int, str):  # YAML 1.1 reads 1e-5 as text
            with contextlib.suppress(ValueError):
                value = float(value)
        if type(value) is not kind:
            raise UsageError(f"{name} is {value!r}", expected=f"a value of type {kind.__name__}")
        return value

    def _section(self) -> str:
        key, _, value = self.example.partition("=")
        section, _, name = key.partition(".")
        return f"`{section}: {{{name}: {value}}}`"


def as_dict(settings: Any) -> dict[str, Any]:
    """Return plain values, lists for tuples, as YAML holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def to_yaml(settings: Any) -> str:
    """Return every setting as YAML, defaults too."""
    return str(yaml.safe_dump(as_dict(settings), sort_keys=False))


def _fields(kind: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = get_type_hints(kind)
    return [(each, hints[each.name]) for each in dataclasses.fields(kind)]


def _keys(kind: type, above: str = "") -> Iterator[str]:
    for each, inner in _fields(kind):
        yield f"{above}{each.name}"
        if dataclasses.is_dataclass(inner):
            yield from _keys(inner, f"{above}{each.name}.")  # type: ignore[arg-type]
