#!/usr/bin/env bash
# Remake the stand-ins from this checkout's recipe, in a container of the image, without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
kit=.vldock/standinkit-$(sha256sum locks/standin.lock | cut -c1-12)
if [ ! -d "$kit" ]; then
    .venv/bin/pip install --quiet --quiet --no-compile --require-hashes --no-deps --only-binary :all: \
        --python-version 3.11 --platform manylinux_2_28_x86_64 --target "$kit.part" -r locks/standin.lock
    mv "$kit.part" "$kit"
fi
assets=src/vldock/image/standin/assets new=.vldock/standin-new
rm -rf "$new" && mkdir -p "$new"
docker=$(.venv/bin/python -c 'from vldock.host.docker_engine.docker_cli import require_builder; print(require_builder().path)')
"$docker" run --rm --network none --label vldock.role=standin --user "$(id -u):$(id -g)" --shm-size=1g \
    -v "$PWD/$kit:/opt/standinkit:ro" -v "$PWD/src/vldock:/opt/vldock/vldock:ro" -v "$PWD/$new:/out" \
    -e PYTHONPATH=/opt/standinkit "${VLDOCK_IMAGE:-vldock:4.37}" \
    python -m vldock.image.standin.make --out /out "$@"
# Only once every sample is answered; until then the old ones remain.
rm -rf "$assets.old" && mv "$assets" "$assets.old" && mv "$new" "$assets" && rm -rf "$assets.old"
exec scripts/make_remote_standins.sh  # ShareGPT4V's is derived from the 7B's
