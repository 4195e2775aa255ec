"""The image's files: nothing hidden in lower layers, unreadable, left over, or secret."""

from __future__ import annotations

import pytest

HIDDEN = 60_000_000  # bytes that layers carry and no container sees
WRITABLE = {"/tmp", "/var/tmp", "/run/lock", "/workspace/outputs", "/workspace/LMUData", "/workspace/.cache"}
FIND = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o"
# patterns of tokens that do not occur by chance: Hugging Face, GitHub, AWS, PEM
SECRETS = r"\bhf_[A-Za-z0-9]{30,}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bAKIA[0-9A-Z]{16}\b|BEGIN [A-Z ]*PRIVATE KEY"
# folders in which installers leave files; each must be empty
LEFTOVERS = ("/root", "/tmp", "/var/tmp", "/var/log", "/var/cache/apt", "/var/lib/apt/lists", "/build", "/opt/test",
             "/editable", "/rootfs", "/stage", "/wheels", "/workspace/outputs", "/workspace/LMUData")  # fmt: skip
# what Debian itself puts there, all of it empty: removing it in a later layer would only hide it
SKELETON = {"/root/.bashrc", "/root/.profile", "/var/log/apt", "/var/log/btmp", "/var/log/faillog", "/var/log/lastlog",
            "/var/log/wtmp", "/var/cache/apt/archives", "/var/cache/apt/archives/lock",
            "/var/cache/apt/archives/partial", "/var/lib/apt/lists/lock", "/var/lib/apt/lists/partial"}  # fmt: skip


@pytest.fixture(scope="module")
def listing(container_factory):
    """Run a shell line as root, without the entrypoint; return its lines."""
    container = container_factory(["sleep", "600"], entrypoint="")

    def run(script: str) -> list[str]:
        done = container.exec(["bash", "-c", script], user="0")
        assert done.exit_code in (0, 1), done.text
        return done.stdout.splitlines()

    return run


def test_every_file_can_be_read_by_any_user(listing):
    places = "/opt /workspace /usr/local /usr/lib/python3.11"
    assert listing(f"find {places} ! -type l \\( ! -perm -o+r -o -type d ! -perm -o+x \\)") == []


def test_only_the_user_s_own_folders_can_be_written_by_any_user(listing):
    found = listing(f"{FIND} -perm -o+w ! -type l ! -type c ! -type s -print")
    assert set(found) - WRITABLE == set()


def test_no_file_that_runs_as_another_user_is_ours(listing):
    assert listing("find /opt /workspace /usr/local -xdev -perm /6000") == []


@pytest.mark.parametrize("folder", LEFTOVERS)
def test_no_leftover_of_the_build_is_in(listing, folder):
    assert set(listing(f"find {folder} -mindepth 1 -maxdepth 2 2>/dev/null")) - SKELETON == set()


def test_no_file_looks_like_a_secret(listing):
    # the certificates' own folder has none, and no library's own tests are in the image
    assert listing(f"grep -rIlE '{SECRETS}' /etc /root /opt/vldock /workspace /usr/local 2>/dev/null") == []


def test_no_file_names_a_package_index_or_a_proxy(listing):
    names = "pip.conf|pydistutils.cfg|.netrc|.pypirc|.gitconfig|.npmrc|uv.toml|01proxy"
    assert listing(f"{FIND} -regextype egrep -regex '.*/({names})' -print") == []
    assert listing("grep -rilE '^ *Acquire::.*proxy' /etc/apt 2>/dev/null") == []


def test_no_link_leads_nowhere(listing):
    broken = "find /opt /workspace -xtype l"
    assert listing(broken) == []


def test_little_of_the_image_is_hidden_by_a_later_layer(image, listing):
    visible = sum(map(int, listing(f"{FIND} -type f -printf '%D:%i %s\\n' | sort -u | cut -d' ' -f2")))
    assert image.attrs["Size"] - visible <= HIDDEN
