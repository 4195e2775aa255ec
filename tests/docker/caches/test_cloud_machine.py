"""scripts/cloud_user_data.sh as cloud-init runs it: root, no HOME, no terminal, in /, no systemd, a short PATH.

The machine is the image itself, which is a Debian: without a network apt, PyPI and an engine of its own are impossible,
so a `dpkg` that has all, a checkout of two recorders and a `docker run` that runs its command here stand for them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.paths import ROOT

PART = "/var/lib/cloud/instance/scripts/part-001"
CLOUD_INIT = f"cd / && exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setsid --wait {PART} < /dev/null"
TREE = "find /data /etc -printf '%p %y %m %u %s %T@ %l\\n' | sort"
DOCKER = """#!/bin/bash
echo "docker $*" >> /recorded
[ "$1" = run ] || exit 0
while [ "$1" != vldock:4.37 ]; do [ "$1" != --env-file ] || file=$2; shift; done
shift
mapfile -t variables < "$file"
exec env -i "${variables[@]}" LANG=C.UTF-8 PATH=/opt/venv/bin:/usr/bin:/bin "$@"
"""
RECORDER = '#!/bin/sh\necho "$0 $*" >> /recorded\n'


@pytest.fixture
def machine(start_container, tmp_path):
    """A machine whose user data sets a repository that is cloned already, and an image that is here."""
    script = (ROOT / "scripts/cloud_user_data.sh").read_text(encoding="utf-8")
    given = "export VLDOCK_REPOSITORY=https://host/vldock.git VLDOCK_IMAGE=vldock:4.37\n"
    files = {
        "scripts/part-001": f"#!/bin/bash\n{given}{script}",
        "scripts/part-002": f"#!/bin/bash\n{script}",
        "bin/docker": DOCKER,
        "bin/dpkg": RECORDER,
        "vldock/scripts/setup_host.sh": RECORDER,
        "vldock/.venv/bin/vldock": RECORDER,
        "vldock/.git/HEAD": "",
    }
    for name, text in files.items():
        path: Path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    return start_container(
        mounts={
            tmp_path / "scripts": f"{Path(PART).parent}:ro",
            tmp_path / "bin/docker": "/usr/bin/docker:ro",
            tmp_path / "bin/dpkg": "/usr/bin/dpkg:ro",
            tmp_path / "vldock": "/data/vldock:ro",
            ROOT / "tests/docker/given": "/opt/given:ro",
        },
        user="0:0",
    )


def test_user_data_prepares_a_machine_checks_its_data_set_and_changes_nothing_the_second_time(machine):
    assert machine.exec(["python", "/opt/given/cached_flowers.py"]).exit_code == 0

    first = machine.exec(["bash", "-c", CLOUD_INIT])
    tree = machine.exec(["bash", "-c", TREE]).stdout
    second = machine.exec(["bash", "-c", CLOUD_INIT])

    assert (first.exit_code, second.exit_code) == (0, 0), first.text + second.text
    assert "Found nelorth/oxford-flowers cache: /data/hf_home/hub/datasets--nelorth--oxford-flowers" in first.stdout
    assert "ALL TESTS PASSED!" in machine.exec(["cat", "/var/log/vldock-user-data.log"]).stdout
    assert machine.exec(["bash", "-c", TREE]).stdout == tree
    recorded = machine.exec(["cat", "/recorded"]).stdout.splitlines()
    assert [line for line in recorded if line.endswith(("/setup_host.sh ", "engine up", " doctor"))][:3] == [
        "/data/vldock/scripts/setup_host.sh ",
        "/data/vldock/.venv/bin/vldock engine up",
        "/data/vldock/.venv/bin/vldock doctor",
    ]


def test_the_environment_is_the_document_s_and_a_login_has_it(machine):
    machine.exec(["bash", "-c", CLOUD_INIT])

    file = machine.exec(["cat", "/data/vldock.env"]).stdout
    login = machine.exec(["env", "-i", "bash", "-c", ". /etc/profile && env"]).stdout

    variables = [
        "HF_HOME=/data/hf_home",
        "HF_HUB_CACHE=/data/hf_home/hub",
        "TRANSFORMERS_CACHE=/data/transformers_cache",
    ]
    assert file.split() == variables
    assert set(variables) <= set(login.split())
    assert "OFFLINE" not in login


def test_weights_data_sets_and_the_host_s_commands_share_one_cache(machine):
    machine.exec(["bash", "-c", CLOUD_INIT])

    cache, hub, weights = (
        machine.exec(["bash", "-c", f"cd /data && touch cache/huggingface/x && stat -L -c '%n %i' {name}/x"]).stdout
        for name in ("cache/huggingface", "hf_home/hub", "transformers_cache")
    )
    arrow = machine.exec(["readlink", "-f", "/data/hf_home/datasets"]).stdout

    assert len({said.split()[1] for said in (cache, hub, weights)}) == 1
    assert arrow.strip() == "/data/cache/huggingface/datasets"


def test_user_data_without_a_repository_is_refused_before_anything_is_done(machine):
    done = machine.exec(["bash", "-c", CLOUD_INIT.replace("part-001", "part-002")])

    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {PART.replace('part-001', 'part-002')} is in no checkout of vldock\n")
    assert "hint: set VLDOCK_REPOSITORY=URL" in done.stderr
    assert machine.exec(["ls", "/data"]).stdout.split() == ["vldock"]


def test_a_step_that_fails_ends_it_with_its_exit_code_and_stands_in_the_log(machine):
    machine.exec(["python", "/opt/given/cached_flowers.py"])
    machine.exec(["bash", "-c", "echo broken > $(readlink -f /data/hf_home/hub/*/snapshots/*/data/train*)"])

    done = machine.exec(["bash", "-c", CLOUD_INIT])

    assert done.exit_code == 4
    assert "cannot be read" in done.stderr
    assert "cannot be read" in machine.exec(["cat", "/var/log/vldock-user-data.log"]).stdout
