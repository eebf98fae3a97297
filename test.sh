#!/usr/bin/env bash
# Sets everything up, then checks the style and runs the tests; arguments go to pytest, such as -m "not slow".
# With --quick first: the tests that take a minute in all and need no Java, browser or queue.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$HOME_DIR"
install requirements-dev.txt

check_style() {
    "$PYTHON" -m ruff check
    "$PYTHON" -m ruff format --check
    "$PYTHON" -m mypy
}

if [ "${1:-}" = --quick ]; then
    check_style
    exec "$PYTHON" -m pytest -m quick -n 2 --dist worksteal -q "${@:2}"
fi

ensure_java
ensure_chromium

ensure_queues() { # what tests/cluster starts where root may: a Slurm and a Grid Engine
    local queues=("slurmctld slurmd slurm-client munge" "gridengine-master gridengine-exec gridengine-client") packages
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    for packages in "${queues[@]}"; do # a distribution may lack one of them
        # shellcheck disable=SC2086 # they are several words
        dpkg -s $packages >/dev/null 2>&1 && continue
        echo "== installing $packages for the tests (once)"
        apt-get update -qq || true
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 ||
            echo "   cannot be installed; their tests are skipped"
    done
}
case "$*" in *"not slurm"*) ;; *) ensure_queues ;; esac

check_style
"$PYTHON" -m pytest "$@"
