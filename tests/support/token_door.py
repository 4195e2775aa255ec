"""A command beside a Hub that refuses everything: what the Hub was asked with, and what was printed, as JSON.

It runs in a container, `token_door.py COMMAND...`, with fake_hub.py beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from fake_hub import running


def main(command: list[str]) -> None:
    """Run the command; print the Authorization headers the Hub got, and the command's output."""
    with running() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        requests = [{name.lower(): value for name, value in headers.items()} for _, _, headers in hub.requests]
    seen = sorted({headers.get("authorization", "") for headers in requests})
    print(json.dumps({"seen": seen, "printed": done.stdout + done.stderr}))


if __name__ == "__main__":
    main(sys.argv[1:])
