"""Reader of .env files: one grammar for host and container, python-dotenv's.

    # comment
    export NAME=value          # a comment after a blank; blanks around the value do not count
    NAME="a # b\\n${OTHER}"     # escapes, ${OTHER} and ${OTHER:-default}, more than one line
    NAME='as it is'

A byte-order mark, line ends of Windows and the block of a workspace's paths do not count: env_files.py writes the block
for bash and `docker run --env-file`, and a container that mounts the file has other paths. `docker run --env-file`
itself reads otherwise: all after the first =.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vldock.common.image_paths import TOKEN_VARIABLES

BEGIN = "# >>> vldock workspace (setup_workspace_cache.py writes these lines anew; yours go above)"
END = "# <<< vldock workspace"
_BLANKS = r"[^\S\n]*"
_LINE = re.compile(
    rf"^{_BLANKS}(?:export[^\S\n]+)?([A-Za-z_]\w*){_BLANKS}={_BLANKS}"
    rf"""(?:'((?:\\'|[^'])*)'{_BLANKS}(?:\#.*)?$|"((?:\\.|[^"\\])*)"{_BLANKS}(?:\#.*)?$|(.*)$)""",
    re.MULTILINE,
)
_COMMENT = re.compile(r"(?:^|\s+)#.*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


def parse_dot_env(content: bytes, environ: Mapping[str, str]) -> dict[str, str]:
    """Return {name: value} of a file's bytes.

    `environ` gives the value of ${NAME} where the file does not set it.

    What is no line of a variable is left out. Raises UnicodeDecodeError for what is not UTF-8.
    """
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    above, _, rest = text.partition(BEGIN)
    values: dict[str, str] = {}
    for match in _LINE.finditer(above + rest.partition(END)[2]):
        name, single, double, bare = match.groups()
        if single is not None:
            value = re.sub(r"\\([\\'])", r"\1", single)
        elif double is not None:
            value = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), double)
        else:
            value = _COMMENT.sub("", bare).strip()
        values[name] = _filled(value, {**environ, **values})
    return values


def find_token(environ: Mapping[str, str]) -> str | None:
    """Return the Hub's token of these variables, under any of its names."""
    return next((environ[name] for name in TOKEN_VARIABLES if environ.get(name)), None)


def _filled(value: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: known.get(found[1], found[2] or ""), value)
