#!/bin/sh
# Stand-in for `python -m vldock.image session ...` and run.py in the tiny image: the same words, events, exit codes.
# sharegpt4v_7b fails to load, InternVL2-2B loads for ever, InternVL2-8B ends the session; an evaluation of
# TextVQA_VAL waits to be interrupted.
set -eu
folder=/tmp/tiny-session
requests=$folder/requests pids=$folder/pids

serve() {
    mkdir -p $requests $pids
    echo '{"event": "starting"}'
    names=''
    while [ $# -gt 0 ]; do
        case $1 in
            --model)
                echo "{\"event\": \"model_loading\", \"model\": \"$2\"}"
                case $2 in
                    sharegpt4v_7b) echo "{\"event\": \"model_failed\", \"model\": \"$2\", \"error\": \"no weights\"}" ;;
                    InternVL2-2B) sleep 3600 ;;
                    InternVL2-8B) echo 'error: no room for it' >&2 && echo 'hint: make room' >&2 && exit 3 ;;
                    *) names="$names${names:+, }\"$2\"" ;;
                esac
                shift 2
                ;;
            --idle) shift 2 ;;
        esac
    done
    echo "$names" > $folder/models
    echo "{\"event\": \"ready\", \"models\": [$names]}"
    trap 'exit 0' TERM
    while [ ! -e $folder/stop ]; do sleep 0.1; done
}

status() {
    [ -d $requests ] || { echo 'error: no session answers' >&2 && exit 3; }
    running=''
    for path in "$requests"/*; do
        [ -e "$path" ] || continue
        running="$running${running:+, }{\"id\": \"${path##*/}\", \"argv\": [\"$(cat "$path")\"]}"
    done
    models=''
    for name in $(tr , ' ' < $folder/models); do
        models="$models${models:+, }{\"name\": $name, \"state\": \"ready\"}"
    done
    printf '{"state": "ready", "models": [%s], "running": [%s], "idle_seconds": 60, "idle_limit": null, ' "$models" "$running"
    printf '"evals": 0, "worker_restarts": 0, "rss_bytes": 1000000}\n'
}

cancel() {
    [ -e "$requests/$1" ] || exit 1
    kill -s INT "$(cat "$pids/$1")"
}

run_py() {
    case "$*" in
        *TextVQA_VAL*) ;;
        *) echo "evaluated $*" && echo "progress" >&2 && exit 7 ;;
    esac
    id=${VLDOCK_REQUEST:-none}
    echo $$ > "$pids/$id"
    echo "$*" > "$requests/$id"
    trap 'rm -f "$requests/$id" "$pids/$id"; echo interrupted >&2; exit 130' INT
    echo waiting
    while :; do sleep 0.1; done
}

case $1 in
    serve | status | cancel)
        action=$1
        shift
        $action "$@"
        ;;
    stop) touch $folder/stop ;;
    run_py) shift && run_py "$@" ;;
esac
