#!/usr/bin/env bash
# Makes the environment that the jobs use. Run it on the login node, once and after each update of the project.
# usage: cluster/install.sh [requirements-gpu.txt | requirements.txt]
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

install "${1:-requirements-gpu.txt}"
check_java || exit 2
echo "the environment is in $VENV"
