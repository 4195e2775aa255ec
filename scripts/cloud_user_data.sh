#!/usr/bin/env bash
# Prepare a fresh cloud GPU machine (Debian or Ubuntu) for evaluation: disk, cache, engine, toolkit, image, doctor.
# As root, or as cloud user data with the variables set above it. --dry-run prints the commands and runs none.
#   VLDOCK_DISK=/dev/nvme1n1  the data disk, mounted at VLDOCK_MOUNT; unset: the root disk is used
#   VLDOCK_FORMAT=1           make ext4 on it; only ever on a disk that holds nothing
#   VLDOCK_MOUNT=/data        VLDOCK_USER=ubuntu (owner of the caches; default: uid 1000, else root)
#   VLDOCK_REPOSITORY=URL     cloned to VLDOCK_MOUNT/vldock; unset: this checkout
#   VLDOCK_IMAGE=HOST/vldock@sha256:...   pulled; unset: built here
set -euo pipefail

dry=0
if [ "${1:-}" = --dry-run ]; then
    dry=1
elif [ $# -gt 0 ]; then
    echo "usage: cloud_user_data.sh [--dry-run]" >&2
    exit 2
fi
mount=${VLDOCK_MOUNT:-/data} disk=${VLDOCK_DISK:-} image=${VLDOCK_IMAGE:-} repository=${VLDOCK_REPOSITORY:-}
user=${VLDOCK_USER:-$(id -nu 1000 2> /dev/null || echo root)}

step() { printf '\n== %s\n' "$*"; }
run() { printf '+ %s\n' "${*@Q}" && { [ "$dry" = 1 ] || "$@"; }; }
refuse() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2 && { [ "$dry" = 1 ] || exit 3; }; }
[ "$(id -u)" = 0 ] || refuse "this is uid $(id -u), not root" "sudo -E bash $0"

step "1/6 disk: ${disk:-the root disk} at $mount"
if [ -n "$disk" ] && ! findmnt --source "$disk" --mountpoint "$mount" > /dev/null 2>&1; then
    [ -b "$disk" ] || refuse "$disk is no disk of this machine" "lsblk names them"
    holds=$(wipefs --noheadings --output TYPE "$disk" 2> /dev/null || true) # every signature: file systems, partitions
    case "$holds" in
        "") [ "${VLDOCK_FORMAT:-0}" = 1 ] || refuse "$disk holds no file system" "VLDOCK_FORMAT=1 makes one" ;;
        *gpt* | *dos*) refuse "$disk has partitions" "lsblk $disk; set VLDOCK_DISK to one of them" ;;
    esac
    [ -n "$holds" ] || run mkfs.ext4 -q -L vldock "$disk"
    run mkdir -p "$mount"
    run mount -o relatime "$disk" "$mount"
    uuid=$(blkid -o value -s UUID "$disk" 2> /dev/null || echo '<uuid>')
    grep -qs "UUID=$uuid " /etc/fstab || run bash -c "echo 'UUID=$uuid $mount auto relatime,nofail 0 2' >> /etc/fstab"
fi
step "2/6 caches below $mount, for $user"
run install -d -o "$user" "$mount" "$mount/cache" "$mount/LMUData" "$mount/outputs"
step "3/6 vldock and a Docker engine"
run apt-get update -qq
run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq git make python3-venv
checkout=$mount/vldock
if [ -z "$repository" ]; then checkout=$(cd "$(dirname "$0")/.." && pwd); fi
[ -z "$repository" ] || [ -d "$checkout/.git" ] || run git clone --depth 1 "$repository" "$checkout"
run "$checkout/scripts/setup_host.sh"
run "$checkout/.venv/bin/vldock" engine up
step "4/6 GPU"
if ! nvidia-smi -L 2> /dev/null; then
    echo "hint: no NVIDIA driver answers: choose the provider's GPU image, or install driver 525.60.13 or newer"
elif ! command -v nvidia-container-cli > /dev/null && ! command -v nvidia-ctk > /dev/null; then
    echo "hint: the NVIDIA container toolkit is missing: apt-get install nvidia-container-toolkit (NVIDIA's repository),"
    echo "      nvidia-ctk runtime configure --runtime=docker && systemctl restart docker"
fi
step "5/6 image ${image:-built here}"
if [ -n "$image" ]; then
    run docker pull "$image"
    run docker tag "$image" vldock:4.37
else
    run "$checkout/.venv/bin/vldock" build
fi
step "6/6 doctor"
run "$checkout/.venv/bin/vldock" cache doctor --cache "$mount/cache" --data "$mount/LMUData"
run "$checkout/.venv/bin/vldock" doctor
