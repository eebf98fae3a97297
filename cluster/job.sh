# shellcheck shell=bash
# Sourced by the job scripts: runs the numbered scripts and forwards the queue's warning of the time limit to them.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
[ -x "$PYTHON" ] || fail "$PYTHON: not found; run cluster/install.sh on the login node first"

OUT_OF_TIME=99 # the exit code of a step that ended because of the warning
GRACE=90       # seconds that the step has to end; the queue gives 120
WARNED=

# run_step SCRIPT ARGUMENT...: returns the step's exit code, or OUT_OF_TIME if it had to be killed
run_step() {
    local code=0 deadline
    "$PYTHON" "$HOME_DIR/$1" "${@:2}" --quiet &
    STEP=$!
    trap 'WARNED=yes; kill -USR1 "$STEP" 2>/dev/null || true' USR1
    wait "$STEP" || code=$?
    if [ -n "$WARNED" ]; then # the warning ends `wait`, but the step is still running
        deadline=$((SECONDS + GRACE))
        while kill -0 "$STEP" 2>/dev/null; do
            [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$STEP" || true
            sleep 1
        done
        code=0
        wait "$STEP" || code=$?
        [ "$code" -le 128 ] || code=$OUT_OF_TIME
    fi
    return "$code"
}
