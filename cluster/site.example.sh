# shellcheck shell=bash
# What is particular to your cluster. Copy it to cluster/site.sh and change it there: the jobs read it before they start,
# and so do submit.sh and install.sh.

# Where `module` is not known to scripts:
# source /etc/profile.d/modules.sh

# Python 3.11 to 3.13, and Java 17 or 21 for step 04; `module avail` lists what your cluster has. CUDA is not needed: it
# comes with the environment, and only the driver of the GPU nodes is used.
# module load python/3.12 java/21

# Where the environment lives, if not in .venv in the project's folder: some 6 GB in 50,000 files.
# export DEEPFAKE_VENV=/scratch/$USER/deepfake-venv

# Where ImageNet weights are kept, if not in ~/.keras. All nodes must see it.
# export KERAS_HOME=/scratch/$USER/keras

# A disk of the node itself, for Spark's temporary files.
# export SPARK_LOCAL_DIRS=${TMPDIR:-/tmp}
