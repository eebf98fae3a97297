# shellcheck shell=bash
# Sourced by everything in cluster/: what site.sh says of this cluster, then setup.sh. Nothing is installed.

unset CDPATH # with which cd prints where it goes
CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -f "$CLUSTER_DIR/site.sh" ]; then
    set +eu # which the functions of modules do not stand
    source "$CLUSTER_DIR/site.sh"
fi
set -euo pipefail
source "$CLUSTER_DIR/../setup.sh"
