#!/usr/bin/env bash
# Check report.html in a real browser: no console error, no request, filters and themes work. [RUN_FOLDER] [PICTURES_TO]
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
    echo "error: no Chromium found on PATH" >&2
    echo "hint: apt-get install chromium" >&2
    exit 3
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
run=${1:-$scratch/run}
pictures=${2:-}
[ -n "${1:-}" ] || PYTHONPATH=tests .venv/bin/python -m support.run_folders "$run"
.venv/bin/vldock report "$run"
page=$(realpath "$run/report.html")

look() { # HASH OPTION...: run the browser on the page, fail on anything its console says
    local hash=$1
    shift
    "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
        --enable-logging=stderr --v=0 --window-size=1400,2400 "$@" "file://$page#$hash" 2> "$scratch/log"
    if grep -E 'CONSOLE|Content Security Policy|Uncaught' "$scratch/log" >&2; then
        echo "error: the console has something to say about #$hash" >&2
        exit 1
    fi
}
found() { # HASH: how many samples the page's filters find
    look "$1" --dump-dom | grep -oE '<ul[^>]*id="samples-list"[^>]*>' | grep -oE 'data-found="[0-9]+"' | tr -dc 0-9
}
all=$(found theme=light) right=$(found verdict=right) wrong=$(found verdict=wrong) none=$(found verdict=none)
pope=$(found 'benchmark=POPE') nothing=$(found 'text=no-sample-says-this')
echo "samples: $all, right $right, wrong $wrong, no verdict $none; POPE $pope; text nobody wrote $nothing"
if [ "$((right + wrong + none))" != "$all" ] || [ "$pope" -ge "$all" ] || [ "$pope" -lt 1 ] || [ "$nothing" != 0 ]; then
    echo "error: the filters do not add up" >&2
    exit 1
fi
for theme in light dark; do
    look "theme=$theme" --screenshot="$scratch/$theme.png" > "$scratch/out"
    [ -s "$scratch/$theme.png" ] && [ -z "$pictures" ] || cp "$scratch/$theme.png" "$pictures/report-$theme.png"
done
echo "ok: no console message, filters add up, both themes render"
