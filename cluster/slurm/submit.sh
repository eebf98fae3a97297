#!/usr/bin/env bash
# Submits all steps to a Slurm queue; see docs/clusters.md.
set -euo pipefail

SUBMITTER='sbatch'
QUEUE_SYNOPSIS='
       [--partition P] [--gpu-partition P] [--account A]'
QUEUE_HELP='
  --partition P          of all steps; without it, and without the next two, what SBATCH_PARTITION and
  --gpu-partition P      of step 03                             SBATCH_ACCOUNT say, else the defaults of the cluster
  --account A            that the time is charged to'
queue_option() {
    case $1 in
        --partition) CPU_OPTIONS="--partition=$2 $CPU_OPTIONS" GPU_OPTIONS="--partition=$2 $GPU_OPTIONS" ;;
        --gpu-partition) GPU_OPTIONS+=" --partition=$2" ;;
        --account) CPU_OPTIONS+=" --account=$2" GPU_OPTIONS+=" --account=$2" ;;
        *) return 1 ;;
    esac
}
# shellcheck source=../chain.sh
source "$(dirname "${BASH_SOURCE[0]}")/../chain.sh"

JOBS=()
submit() { # submit OPTION... SCRIPT ARGUMENT...: adds the number of the job to JOBS
    local job after=()
    # what can never start, because a step before it has failed, is to leave the queue
    [ ${#JOBS[@]} = 0 ] || after=("--dependency=afterok:${JOBS[-1]}" --kill-on-invalid-dep=yes)
    if ! job=$(sbatch --parsable ${after[@]+"${after[@]}"} "$@"); then
        [ ${#JOBS[@]} = 0 ] || scancel "${JOBS[@]}"
        fail "sbatch has refused a job, see its message above; nothing is submitted"
    fi
    JOBS+=("${job%%;*}") # what may follow is the name of the cluster
}

cd "$CLUSTER_DIR/slurm"
if [ "$KIND" != faces ]; then # which are there already
    submit --array="0-$((SHARDS - 1))" --output="$LOGS/%x-%A_%a.out" ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} \
        01a-faces.sh "$HOME_DIR" "$SHARDS" "${FACES[@]}"
    echo "01a faces:    job ${JOBS[-1]}, tasks 0 to $((SHARDS - 1))"
fi
submit --output="$LOGS/%x-%j.out" ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} 02-split.sh "$HOME_DIR" "${SPLIT[@]}"
echo "02 split:     job ${JOBS[-1]}"
submit --output="$LOGS/%x-%j.out" ${GPU_OPTIONS[@]+"${GPU_OPTIONS[@]}"} 03-train.sh "$HOME_DIR" "${TRAIN[@]}"
echo "03 training:  job ${JOBS[-1]}"
submit --output="$LOGS/%x-%j.out" ${CPU_OPTIONS[@]+"${CPU_OPTIONS[@]}"} 04-verdicts.sh "$HOME_DIR" "${VERDICTS[@]}"
echo "04 verdicts:  job ${JOBS[-1]}"
tell "squeue --jobs=$(IFS=,; echo "${JOBS[*]}")" "scancel ${JOBS[*]}"
