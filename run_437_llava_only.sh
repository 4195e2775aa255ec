#!/usr/bin/env bash
# The comprehensive test, 2 models x 20 benchmarks: scripts/run_437_llava_only.sh, with the same options.
exec "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/scripts/run_437_llava_only.sh" "$@"
