#!/usr/bin/env bash
# Runs steps 00 and 01a in one pass on the videos of one shard: a task of an array. Tasks are counted from 1.
# usage: qsub -t 1-16 01a-faces.sh PROJECT 16 --videos-dir DIR --work-dir DIR ...
#$ -S /bin/bash
#$ -N deepfake-01a
#$ -j y
#$ -l s_rt=11:55:00,h_rt=12:00:00
#$ -r y
source "$1/cluster/job.sh"
source "$1/cluster/gridengine/finish.sh"

run_step 01a-crop_faces_with_mtcnn.py --from-videos --shard "$((SGE_TASK_ID - 1))/$2" \
    --workers "${NSLOTS:-1}" "${@:3}" || finish $?
