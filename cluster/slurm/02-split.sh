#!/usr/bin/env bash
# Runs step 02: balances the crops and splits them into train, val and test.
# usage: sbatch 02-split.sh PROJECT --videos-dir DIR --work-dir DIR ...
#SBATCH --job-name=deepfake-02
#SBATCH --cpus-per-task=2
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
source "$1/cluster/job.sh"

run_step 02-prepare_fake_real_dataset.py "${@:2}"
