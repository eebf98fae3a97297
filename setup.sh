# shellcheck shell=bash
# Sourced by run.sh, test.sh, recipes/ and cluster/: makes .venv beside this file (or DEEPFAKE_VENV), installs missing
# packages into it, and finds Java. Sets PYTHON. Installs again only if the requirements change.

unset CDPATH # makes cd print the folder
HOME_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV=${DEEPFAKE_VENV:-$HOME_DIR/.venv}
PYTHON=$VENV/bin/python

fail() {
    echo "error: $*" >&2
    exit 2
}

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        # run it, since a name on the PATH may be a shim of a version that is not installed
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found (python3 is $(python3 --version 2>&1 || echo missing)); install one of them"
}

install() { # install REQUIREMENTS_FILE [PIP_OPTION...]
    local stamp=$VENV/installed-$1 wanted
    wanted=$(cat "$HOME_DIR"/requirements*.txt)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then # missing, or left incomplete by an interrupted run
        local python
        python=$(find_python) || exit 2
        echo "== making $VENV with $("$python" --version)"
        "$python" -m venv --clear "$VENV" || fail "$python cannot make $VENV; on Debian and Ubuntu: sudo apt-get install python3-venv"
    fi
    echo "== installing $1 into $VENV (once; takes some minutes)"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$HOME_DIR/$1" "${@:2}" ||
        fail "pip could not install $HOME_DIR/$1; see its message above"
    echo "$wanted" >"$stamp"
}

install_for_this_machine() { # TensorFlow with CUDA if there is an NVIDIA GPU
    if nvidia-smi -L >/dev/null 2>&1; then
        install requirements-gpu.txt
    else
        install requirements.txt
    fi
}

step() { # step TITLE COMMAND...: prints the title, runs the command, prints its time
    local title=$1 start=$SECONDS
    shift
    echo "== $title"
    "$@"
    echo "   $((SECONDS - start)) s"
}

check_java() {
    (cd "$HOME_DIR" && "$PYTHON" -c 'from deepfake.core import cli; from deepfake.jobs import spark_session; cli.run(spark_session.check_java)')
}

ensure_java() {
    check_java 2>/dev/null && return
    local sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if command -v apt-get >/dev/null && $sudo true 2>/dev/null; then
        echo "== installing Java for Spark (once)"
        $sudo apt-get update -qq || true
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-21-jre-headless >/dev/null 2>&1 ||
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null 2>&1 || true
    fi
    check_java || exit 2
}

find_kind() { # find_kind VIDEOS_DIR KIND: reads the dataset and prints its kind
    PYTHONPATH=$HOME_DIR "$PYTHON" -c \
        'import sys; from deepfake.core import cli; from deepfake.datasets import registry; cli.run(lambda: registry.print_kind(*sys.argv[1:]))' "$@" |
        tail -n 1
}

check_start() { # check_start MODEL WEIGHTS IMAGE_SIZE, "" for the default: fails if training could not start
    PYTHONPATH=$HOME_DIR "$PYTHON" -c \
        'import sys; from deepfake.core import cli; from deepfake.training import start; cli.run(lambda: start.check_start(*sys.argv[1:]))' "$@"
}

check_training_options() { # check_training_options ARGUMENT...: fails if 03-train_cnn.py would refuse them
    PYTHONPATH=$HOME_DIR "$PYTHON" -c \
        'import sys; from deepfake.core import cli; from deepfake.commands.train_cnn import arguments; sys.argv[0] = "03-train_cnn.py"; cli.run(lambda: arguments() and None)' "$@"
}

ensure_chromium() { # tests in a browser are skipped without it
    command -v chromium >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || {
        echo "== installing Chromium for the tests in a browser (once)"
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 || true
    }
}
