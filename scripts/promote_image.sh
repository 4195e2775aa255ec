#!/usr/bin/env bash
# make promote [TO=HOST/NAME] [KEY=signing.key] [PUB=signing.pub] [CONFIRM=1]: build, list, verify, copy by digest.
# Without TO it stops with a verified image and its receipt; without CONFIRM the plan is printed and nothing moves.
set -euo pipefail
cd "$(dirname "$0")/.."
vldock=.venv/bin/vldock image=vldock:4.37
out=outputs/promote
step() { printf '\n== %s\n' "$*"; }

step "1/4 build"
"$vldock" build
step "2/4 bill of materials"
"$vldock" sbom "$image" --out "$out/sbom.json"
step "3/4 verify"
"$vldock" verify "$image" --sbom "$out/sbom.json" --reports "$out/verify" ${KEY:+--key "$KEY"}
step "4/4 promote"
if [ -z "${TO:-}" ]; then
    echo "$image is verified; receipt: $out/verify/receipt.json"
    echo "hint: make promote TO=HOST/NAME KEY=signing.key PUB=signing.pub prints the plan; CONFIRM=1 does it"
    exit 0
fi
trust=(--allow-unsigned)
[ -z "${PUB:-}" ] || trust=(--key "$PUB")
exec "$vldock" promote "$image" --to "$TO" --receipt "$out/verify/receipt.json" --sbom "$out/sbom.json" \
    "${trust[@]}" ${CONFIRM:+--confirm}
