#!/usr/bin/env bash
# Make the stand-ins with remote code again, from this checkout, in a container of the image, without a network (2 min).
set -euo pipefail
cd "$(dirname "$0")/.."
assets=src/vldock/image/standin/assets new=.vldock/standin-new
rm -rf "$new" && mkdir -p .vldock && cp -a "$assets" "$new"
docker=$(.venv/bin/python -c 'from vldock.host.docker_engine.docker_cli import require_builder; print(require_builder().path)')
"$docker" run --rm --network none --label vldock.role=standin --user "$(id -u):$(id -g)" --shm-size=1g \
    -v "$PWD/src/vldock:/opt/vldock/vldock:ro" -v "$PWD/$new:/out" "${VLDOCK_IMAGE:-vldock:4.37}" \
    python -m vldock.image.remote_standins.make --out /out "$@"
# Only once all are made; until then the old ones remain.
rm -rf "$assets.old" && mv "$assets" "$assets.old" && mv "$new" "$assets" && rm -rf "$assets.old"
