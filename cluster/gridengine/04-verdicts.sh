#!/usr/bin/env bash
# Runs step 04: the verdicts on the test videos.
# usage: qsub 04-verdicts.sh PROJECT --predictions FILE --out-dir DIR ...
#$ -S /bin/bash
#$ -N deepfake-04
#$ -j y
#$ -l h_rt=02:00:00
#$ -r y
source "$1/cluster/job.sh"
source "$1/cluster/gridengine/finish.sh"

run_step 04-mapreduce_video_preds.py --master "local[${NSLOTS:-1}]" "${@:2}" || finish $?
