#!/bin/sh
# Stand-in for `python -m vldock.image evaluate` in the tiny image: the same arguments, events and files, no model.
# /workspace/LMUData/behaviour, if present, holds lines "WORD BENCHMARK": kill, fail, hang, hold (until the line is
# removed); or "once kill BENCHMARK", the first time only. `--data -` reads benchmark names up to an empty line.
set -eu

if [ "${3:-}" = session ]; then
    shift 3
    exec tiny_session "$@"
fi
case ${1:-} in */run.py) shift && exec tiny_session run_py "$@" ;; esac
if [ "${3:-}" != evaluate ]; then
    echo "tiny python: $*"
    exit 0
fi
shift 3

limit=null data='' log=''
while [ $# -gt 0 ]; do
    case $1 in
        --json) shift ;;
        --model) model=$2 && shift 2 ;;
        --limit) limit=$2 && shift 2 ;;
        --out) out=$2 && shift 2 ;;
        --log) log=$2 && shift 2 ;;
        --data)
            shift
            while [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; do
                data="$data $1"
                shift
            done
            ;;
        *) echo "error: unknown argument $1" >&2 && exit 2 ;;
    esac
done
standin=false
[ -z "${VLDOCK_STANDIN:-}" ] || standin=true
mkdir -p "$out/logs"
log=$out/logs/${log:-$model.log}

behaves() {
    grep -qx "$1 $benchmark" /workspace/LMUData/behaviour 2> /dev/null && return 0
    grep -qx "once $1 $benchmark" /workspace/LMUData/behaviour 2> /dev/null || return 1
    mkdir "$out/once-$1-$benchmark" 2> /dev/null # only one container can
}

if [ "$data" != " -" ]; then
    for benchmark in $data; do echo "$benchmark"; done > /tmp/names
    exec < /tmp/names
fi

cell() { # status score error
    time=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
    printf '"model": "%s", "benchmark": "%s", "status": "%s", "standin": %s, "samples": 2, "predictions": 2,' \
        "$model" "$benchmark" "$1" "$standin"
    printf '"score": %s, "metric": "Overall", "metrics": {}, "judge": "exact_matching", "error": %s,' "$2" "$3"
    printf '"limit": %s, "seconds": 0.1, "started": "%s", "finished": "%s", "attempt": 1, "device": "cpu",' \
        "$limit" "$time" "$time"
    printf '"dtype": "float32", "attention": "sdpa", "identity": {}, "schema": 1'
}

echo "{\"event\": \"start\", \"model\": \"$model\", \"device\": \"cpu\", \"standin\": $standin}"
echo "{\"event\": \"model_loaded\", \"model\": \"$model\", \"seconds\": 0.1}"
while read -r benchmark && [ -n "$benchmark" ]; do
    echo "===== $model x $benchmark, attempt 1 =====" >> "$log"
    echo "{\"event\": \"cell_start\", \"model\": \"$model\", \"benchmark\": \"$benchmark\", \"samples\": 2}"
    mkdir -p "$out/$model/$benchmark"
    echo run >> "$out/$model/$benchmark/runs"
    if behaves kill; then exit 137; fi # process 1 cannot kill itself
    if behaves hang; then sleep 3600; fi
    while behaves hold; do sleep 0.1; done
    record=$(cell succeeded 87.5 null)
    if behaves fail; then record=$(cell failed null '"the evaluator broke"'); fi
    echo "{$record}" > "$out/$model/$benchmark/cell.json"
    echo "{\"event\": \"cell_end\", $record}"
done
echo "{\"event\": \"end\", \"model\": \"$model\", \"succeeded\": 0, \"failed\": 0, \"kept\": 0}"
