#!/usr/bin/env bash
# Runs steps 00 and 01a in one pass on the videos of one shard: a task of an array.
# usage: sbatch --array=0-15 01a-faces.sh PROJECT 16 --videos-dir DIR --work-dir DIR ...
#SBATCH --job-name=deepfake-01a
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
source "$1/cluster/job.sh"
source "$1/cluster/slurm/finish.sh"

run_step 01a-crop_faces_with_mtcnn.py --from-videos --shard "$SLURM_ARRAY_TASK_ID/$2" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "${@:3}" || finish $?
