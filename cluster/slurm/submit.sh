#!/usr/bin/env bash
# Submits all steps to a Slurm queue; see docs/clusters.md.
set -euo pipefail

SUBMITTER='sbatch'
QUEUE_SYNOPSIS='
       [--partition P] [--gpu-partition P] [--account A]'
QUEUE_HELP='
  --partition P          partition of all steps (default: SBATCH_PARTITION, or the default of the cluster)
  --gpu-partition P      partition of step 03 (default: the same)
  --account A            account that the time is charged to (default: SBATCH_ACCOUNT, or the default of the cluster)'
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
submit() { # submit OPTION... SCRIPT ARGUMENT...: submits a job and adds its number to JOBS
    local job after=()
    # if a step fails, Slurm removes the jobs after it from the queue
    [ ${#JOBS[@]} = 0 ] || after=("--dependency=afterok:${JOBS[-1]}" --kill-on-invalid-dep=yes)
    if ! job=$(sbatch --parsable ${after[@]+"${after[@]}"} "$@"); then
        [ ${#JOBS[@]} = 0 ] || scancel "${JOBS[@]}"
        fail "sbatch refused a job and no job remains submitted; see its message above"
    fi
    JOBS+=("${job%%;*}") # without the name of the cluster
}

cd "$CLUSTER_DIR/slurm"
if [ "$KIND" != faces ]; then # already crops
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
