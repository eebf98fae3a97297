#!/usr/bin/env bash
# Runs step 03 on one GPU, or on all GPUs of one node that -l gpus asks for.
# usage: qsub 03-train.sh PROJECT --split-dir DIR --out-dir DIR ...
#$ -S /bin/bash
#$ -N deepfake-03
#$ -j y
#$ -l gpus=1
#$ -l s_rt=23:55:00,h_rt=24:00:00
#$ -r y
source "$1/cluster/job.sh"
source "$1/cluster/gridengine/finish.sh"

run_step 03-train_cnn.py "${@:2}" --resume || finish $?
