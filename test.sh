#!/usr/bin/env bash
# Sets everything up, then checks the style and runs the tests; arguments go to pytest, such as -m "not slow".
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$HOME_DIR"
install requirements-dev.txt
ensure_java

ensure_queues() { # of tests/cluster, which start a real Slurm and a real Grid Engine where root may
    local packages=(slurmctld slurmd slurm-client munge gridengine-master gridengine-exec gridengine-client)
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || dpkg -s "${packages[@]}" >/dev/null 2>&1; then
        return
    fi
    echo "== installing Slurm and Grid Engine for the tests (once)"
    local package
    for package in "${packages[*]:0:4}" "${packages[*]:4}"; do # one of them may be missing in a distribution
        # shellcheck disable=SC2086 # these are several words
        DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y -qq --no-install-recommends $package >/dev/null 2>&1 || true
    done
}
ensure_queues

"$PYTHON" -m ruff check
"$PYTHON" -m ruff format --check
"$PYTHON" -m pytest "$@"
