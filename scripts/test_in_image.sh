#!/usr/bin/env bash
# Run tests/image in a container of the promoted image, no network. pytest comes from locks/test.lock, mounted beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
kit=.vldock/testkit-$(sha256sum locks/test.lock | cut -c1-12)
if [ ! -d "$kit" ]; then
    .venv/bin/pip install --quiet --quiet --no-compile --require-hashes --no-deps --target "$kit.part" -r locks/test.lock
    mv "$kit.part" "$kit"
fi
docker=$(.venv/bin/python -c 'from vldock.host.engine import find_build_cli; print(find_build_cli().path)')
gpus=()
[ -z "${VLDOCK_REQUIRE_GPU:-}" ] || gpus=(--gpus all)
exec "$docker" run --rm --network none --label vldock.role=test --shm-size=1g "${gpus[@]}" \
    -v "$PWD/$kit:/opt/test:ro" -v "$PWD/tests/image:/opt/test-image:ro" -e PYTHONPATH=/opt/test \
    "${VLDOCK_IMAGE:-vldock:4.37}" python -m pytest -q -p no:cacheprovider --rootdir=/opt/test-image /opt/test-image "$@"
