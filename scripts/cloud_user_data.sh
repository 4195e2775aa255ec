#!/usr/bin/env bash
# Prepare a fresh cloud GPU machine (Debian or Ubuntu) for evaluation and training: disk, caches and their environment,
# engine, toolkit, image, checks. As root, or as user data of cloud-init with the variables set above it. Twice is once.
# --dry-run prints the commands and runs none. Everything printed is also in VLDOCK_LOG.
#   VLDOCK_REPOSITORY=URL     cloned to VLDOCK_MOUNT/vldock; unset: the checkout this script is in
#   VLDOCK_DISK=/dev/nvme1n1  the data disk, mounted at VLDOCK_MOUNT; unset: the root disk is used
#   VLDOCK_FORMAT=1           make ext4 on it; only ever on a disk that holds nothing
#   VLDOCK_MOUNT=/data        VLDOCK_USER=ubuntu (owner of the caches; default: uid 1000, else root)
#   VLDOCK_IMAGE=HOST/vldock@sha256:...   pulled unless it is here; unset: built here
#   VLDOCK_PROFILE=/etc/profile.d/vldock.sh  VLDOCK_LOG=/var/log/vldock-user-data.log
set -euo pipefail
export HOME=${HOME:-/root} PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

dry=0
if [ "${1:-}" = --dry-run ]; then
    dry=1
elif [ $# -gt 0 ]; then
    echo "usage: cloud_user_data.sh [--dry-run]" >&2
    exit 2
fi
mount=${VLDOCK_MOUNT:-/data} disk=${VLDOCK_DISK:-} image=${VLDOCK_IMAGE:-} repository=${VLDOCK_REPOSITORY:-}
profile=${VLDOCK_PROFILE:-/etc/profile.d/vldock.sh} log=${VLDOCK_LOG:-/var/log/vldock-user-data.log}
user=${VLDOCK_USER:-$(id -nu 1000 2> /dev/null || echo root)}

step() { printf '\n== %s\n' "$*"; }
run() { printf '+ %s\n' "${*@Q}" && { [ "$dry" = 1 ] || "$@"; }; }
refuse() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2 && { [ "$dry" = 1 ] || exit 3; }; }

write() { # write FILE < TEXT: only where it differs, so that a second run changes nothing
    local text
    text=$(cat)
    printf '+ write %s\n' "$1"
    [ "$dry" = 1 ] || [ "$(cat "$1" 2> /dev/null)" = "$text" ] || {
        printf '%s\n' "$text" > "$1.new" && chmod 644 "$1.new" && mv "$1.new" "$1"; }
}

link() { # link TARGET NAME: unless something is there, which is kept
    [ -e "$2" ] || [ -L "$2" ] || run ln -s "$1" "$2"
}

mount_disk() {
    step "1/7 disk: ${disk:-the root disk} at $mount"
    [ -n "$disk" ] || return 0
    findmnt --source "$disk" --mountpoint "$mount" > /dev/null 2>&1 && return 0
    [ -b "$disk" ] || refuse "$disk is no disk of this machine" "lsblk names them"
    local holds uuid
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
}

make_caches() {
    # One cache, cache/huggingface; hf_home and transformers_cache are other names of it unless they are there already.
    step "2/7 caches below $mount, for $user; their variables in $mount/vldock.env and $profile"
    local folder
    for folder in "$mount" "$mount"/{cache,cache/huggingface{,/datasets},hf_home,LMUData,outputs}; do
        [ -d "$folder" ] || run install -d -o "$user" "$folder"
    done
    link ../cache/huggingface "$mount/hf_home/hub"
    link ../cache/huggingface/datasets "$mount/hf_home/datasets"
    link cache/huggingface "$mount/transformers_cache"
    # HF_DATASETS_OFFLINE is not set: vldock.image.offline reads the cache first, whatever it is
    printf '%s\n' "HF_HOME=$mount/hf_home" "HF_HUB_CACHE=$mount/hf_home/hub" \
        "TRANSFORMERS_CACHE=$mount/transformers_cache" | write "$mount/vldock.env"
    printf '%s\n' "export HF_HOME='$mount/hf_home' HF_HUB_CACHE='$mount/hf_home/hub'" \
        "export TRANSFORMERS_CACHE='$mount/transformers_cache'" | write "$profile"
}

install_vldock() {
    step "3/7 vldock and a Docker engine"
    if [ "$dry" = 1 ] || ! dpkg -s git make python3-venv > /dev/null 2>&1; then
        run apt-get update -qq
        run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq git make python3-venv
    fi
    [ -z "$repository" ] || [ -d "$checkout/.git" ] || run git clone -q --depth 1 "$repository" "$checkout"
    run "$checkout/scripts/setup_host.sh"
    run "$checkout/.venv/bin/vldock" engine up
}

look_at_gpu() {
    step "4/7 GPU"
    if ! nvidia-smi -L 2> /dev/null; then
        echo "hint: no NVIDIA driver answers: choose the provider's GPU image, or install driver 525.60.13 or newer"
    elif ! command -v nvidia-container-cli > /dev/null && ! command -v nvidia-ctk > /dev/null; then
        echo "hint: the NVIDIA container toolkit is missing: apt-get install nvidia-container-toolkit (NVIDIA's repository),"
        echo "      nvidia-ctk runtime configure --runtime=docker && systemctl restart docker"
    fi
}

get_image() {
    step "5/7 image ${image:-built here}"
    if [ -z "$image" ]; then
        run "$checkout/.venv/bin/vldock" build
        return
    fi
    { [ "$dry" = 0 ] && docker image inspect "$image" > /dev/null 2>&1; } || run docker pull "$image"
    [ "$image" = vldock:4.37 ] || run docker tag "$image" vldock:4.37
}

check() {
    step "6/7 data sets in the cache"
    if [ "$dry" = 1 ] || compgen -G "$mount/hf_home/hub/datasets--*" > /dev/null ||
        compgen -G "$mount/hf_home/datasets/*/*/*/*/dataset_info.json" > /dev/null; then
        run docker run --rm --network none --user "$(id -u "$user"):$(id -g "$user")" --env-file "$mount/vldock.env" \
            -v "$mount:$mount:ro" vldock:4.37 python /workspace/test_hf_cache.py --all --no-copy
    else
        echo "none: once there are any, the check is"
        echo "docker run --rm --env-file $mount/vldock.env -v $mount:$mount vldock:4.37 python /workspace/test_hf_cache.py"
    fi
    step "7/7 doctor"
    run "$checkout/.venv/bin/vldock" cache doctor --cache "$mount/cache" --data "$mount/LMUData"
    run "$checkout/.venv/bin/vldock" doctor
}

prepare() {
    mount_disk
    make_caches
    install_vldock
    look_at_gpu
    get_image
    check
}

[ "$(id -u)" = 0 ] || refuse "this is uid $(id -u), not root" "sudo -E bash $0"
checkout=$mount/vldock
if [ -z "$repository" ]; then
    checkout=$(cd "$(dirname "$0")/.." && pwd)
    [ -x "$checkout/scripts/setup_host.sh" ] ||
        refuse "$0 is in no checkout of vldock" "set VLDOCK_REPOSITORY=URL above it, of vldock's git repository"
fi
if [ "$dry" = 1 ]; then
    prepare
else
    { prepare 2>&1 >&3 3>&- | tee -a "$log" >&2; } 3>&1 | tee -a "$log" # each stream where it was, and in the log
fi
