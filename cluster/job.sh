# shellcheck shell=bash
# Sourced by the job scripts: runs the numbered scripts, and hands them the queue's warning of the time limit.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
[ -x "$PYTHON" ] || fail "$PYTHON: not found; run cluster/install.sh on the login node first"

OUT_OF_TIME=99 # the exit code of a step that the warning has ended
GRACE=90       # seconds in which it must have ended; the queue gives 120
WARNED=

# run_step SCRIPT ARGUMENT...: returns the step's exit code, OUT_OF_TIME also where it had to be killed
run_step() {
    local code=0 deadline
    "$PYTHON" "$HOME_DIR/$1" "${@:2}" --quiet &
    STEP=$!
    trap 'WARNED=yes; kill -USR1 "$STEP" 2>/dev/null || true' USR1
    wait "$STEP" || code=$?
    if [ -n "$WARNED" ]; then # which has ended the waiting, not yet the step
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
