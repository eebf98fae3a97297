#!/usr/bin/env bash
# Runs step 04: the verdicts on the test videos.
# usage: sbatch 04-verdicts.sh PROJECT --predictions FILE --out-dir DIR ...
#SBATCH --job-name=deepfake-04
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
source "$1/cluster/job.sh"

run_step 04-mapreduce_video_preds.py --master "local[${SLURM_CPUS_PER_TASK:-1}]" "${@:2}"
