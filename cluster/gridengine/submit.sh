#!/usr/bin/env bash
# Submits all steps to a Grid Engine queue; see docs/clusters.md.
set -euo pipefail

SUBMITTER='qsub'
QUEUE_SYNOPSIS='
       [--queue Q] [--gpu-queue Q] [--project P]'
QUEUE_HELP='
  --queue Q              queue of all steps (default: Grid Engine chooses)
  --gpu-queue Q          queue of step 03
  --project P            project that the time is charged to'
queue_option() {
    case $1 in
        --queue) CPU_OPTIONS="-q $2 $CPU_OPTIONS" GPU_OPTIONS="-q $2 $GPU_OPTIONS" ;;
        --gpu-queue) GPU_OPTIONS+=" -q $2" ;;
        --project) CPU_OPTIONS+=" -P $2" GPU_OPTIONS+=" -P $2" ;;
        *) return 1 ;;
    esac
}
# shellcheck source=../chain.sh
source "$(dirname "${BASH_SOURCE[0]}")/../chain.sh"

JOBS=()
submit() { # submit OPTION... SCRIPT ARGUMENT...: submits a job and adds its number to JOBS
    local job options=(-terse -o "$LOGS/")
    [ ${#JOBS[@]} = 0 ] || options+=(-hold_jid "${JOBS[-1]}")
    # jobs do not inherit the environment
    [ -z "${DEEPFAKE_VENV:-}" ] || options+=(-v "DEEPFAKE_VENV=$DEEPFAKE_VENV")
    if ! job=$(qsub "${options[@]}" "$@"); then
        [ ${#JOBS[@]} = 0 ] || qdel "${JOBS[@]}"
        fail "qsub refused a job and no job remains submitted; see its message above"
    fi
    JOBS+=("${job%%.*}") # without the tasks of an array
}

cd "$CLUSTER_DIR/gridengine"
if [ "$KIND" != faces ]; then # already crops
    submit -t "1-$SHARDS" ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} 01a-faces.sh "$HOME_DIR" "$SHARDS" "${FACES[@]}"
    echo "01a faces:    job ${JOBS[-1]}, tasks 1 to $SHARDS"
fi
submit ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} 02-split.sh "$HOME_DIR" "${SPLIT[@]}"
echo "02 split:     job ${JOBS[-1]}"
submit ${GPU_OPTIONS[@]+"${GPU_OPTIONS[@]}"} 03-train.sh "$HOME_DIR" "${TRAIN[@]}"
echo "03 training:  job ${JOBS[-1]}"
submit ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} 04-verdicts.sh "$HOME_DIR" "${VERDICTS[@]}"
echo "04 verdicts:  job ${JOBS[-1]}"
tell "qstat (Eqw: failed, see its log; qmod -cj NUMBER tries again)" "qdel ${JOBS[*]}"
