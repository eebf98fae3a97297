#!/usr/bin/env bash
# Runs step 03 on one GPU, or on all GPUs of one node that --gres asks for.
# usage: sbatch 03-train.sh PROJECT --split-dir DIR --out-dir DIR ...
#SBATCH --job-name=deepfake-03
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
source "$1/cluster/job.sh"
source "$1/cluster/slurm/finish.sh"

run_step 03-train_cnn.py "${@:2}" --resume || finish $?
