#!/usr/bin/env bash
# Runs step 02: balances the crops and splits them into train, val and test.
# usage: qsub 02-split.sh PROJECT --videos-dir DIR --work-dir DIR ...
#$ -S /bin/bash
#$ -N deepfake-02
#$ -j y
#$ -l h_rt=12:00:00
#$ -r y
source "$1/cluster/job.sh"
source "$1/cluster/gridengine/finish.sh"

run_step 02-prepare_fake_real_dataset.py "${@:2}" || finish $?
