#!/usr/bin/env bash
# ./test.sh [--quick | --clusters] [PYTEST_OPTION...]: sets everything up, checks the style and runs the tests.
#
#   --quick     only tests that need no Java, browser or queue; they take a minute
#   --clusters  only tests that start a Spark cluster, Slurm or Grid Engine, one after the other
#
# By default: all tests that need no cluster, on two cores. Other options go to pytest, such as -k calibration.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$HOME_DIR"
install requirements-dev.txt

check_style() {
    "$PYTHON" -m ruff check
    "$PYTHON" -m ruff format --check
    "$PYTHON" -m mypy
}

ensure_queues() { # installs Slurm and Grid Engine for tests/cluster, if run as root
    local queues=("slurmctld slurmd slurm-client munge" "gridengine-master gridengine-exec gridengine-client") packages
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    for packages in "${queues[@]}"; do # a distribution may lack one of them
        # shellcheck disable=SC2086 # they are several words
        dpkg -s $packages >/dev/null 2>&1 && continue
        echo "== installing $packages for the tests (once)"
        apt-get update -qq || true
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 ||
            echo "   could not be installed; their tests are skipped"
    done
}

check_style
PARALLEL=(-n 2 --dist worksteal)
case "${1:-}" in
    --quick)
        CHOSEN=(-m quick) && shift
        ;;
    --clusters) # they take the machine for themselves; other files are not even imported
        shift
        ensure_java
        ensure_queues
        mapfile -t FILES < <(grep -rlE --include='test_*.py' 'mark\.(cluster|slurm)\b' tests)
        CHOSEN=(-m "cluster or slurm" "${FILES[@]}") PARALLEL=()
        ;;
    *)
        ensure_java
        ensure_chromium
        CHOSEN=(-m "not cluster and not slurm")
        ;;
esac
[ ${#PARALLEL[@]} = 0 ] || export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 # of each of two tests at a time
exec "$PYTHON" -m pytest ${PARALLEL[@]+"${PARALLEL[@]}"} "${CHOSEN[@]}" "$@"
