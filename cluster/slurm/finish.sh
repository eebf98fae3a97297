# shellcheck shell=bash
# Sourced by the job scripts of Slurm.

# finish CODE: ends the job. If its time was over, it is requeued under the same number and continues later.
finish() {
    [ "$1" = "$OUT_OF_TIME" ] || exit "$1"
    echo "$(date): the time of the job is over; it is requeued and will continue (start $((${SLURM_RESTART_COUNT:-0} + 2)))"
    scontrol requeue "$SLURM_JOB_ID" || fail "the job could not be requeued; submit it again, and it will continue"
    exit "$1"
}
