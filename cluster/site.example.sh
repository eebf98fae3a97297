# shellcheck shell=bash
# The settings of your cluster. Copy this file to cluster/site.sh and edit it there. submit.sh, install.sh and every job
# read it first.

# If scripts do not know `module`:
# source /etc/profile.d/modules.sh

# Python 3.11 to 3.13, and Java 17 or 21 for step 04; `module avail` lists the modules of your cluster. You need no CUDA
# module: CUDA comes with the environment, which uses only the driver of the GPU nodes.
# module load python/3.12 java/21

# The folder of the environment, if not .venv in the project's folder: about 6 GB in 50,000 files.
# export DEEPFAKE_VENV=/scratch/$USER/deepfake-venv

# The folder of ImageNet weights, if not ~/.keras. All nodes must see it.
# export KERAS_HOME=/scratch/$USER/keras

# A local disk of the node, for Spark's temporary files.
# export SPARK_LOCAL_DIRS=${TMPDIR:-/tmp}
