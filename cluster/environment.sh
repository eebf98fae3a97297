# shellcheck shell=bash
# Sourced by every script in cluster/: reads site.sh, if there is one, and then setup.sh. Installs nothing.

unset CDPATH # makes cd print the folder
CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -f "$CLUSTER_DIR/site.sh" ]; then
    set +eu # the functions of modules fail with them
    source "$CLUSTER_DIR/site.sh"
fi
set -euo pipefail
source "$CLUSTER_DIR/../setup.sh"
