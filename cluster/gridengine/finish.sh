# shellcheck shell=bash
# Sourced by the job scripts of Grid Engine.

# finish CODE: ends the job. 99, where its time was over, has Grid Engine start it again, and it goes on where it was;
# 100 keeps it in the queue with an error, so that the steps after it go on waiting: -hold_jid by itself would let them
# start after whatever end.
finish() {
    case $1 in
        "$OUT_OF_TIME") echo "$(date): the time of the job is over; started again, it goes on where it was" && exit 99 ;;
        *) echo "$(date): failed with exit code $1; after qmod -cj $JOB_ID it is tried again" && exit 100 ;;
    esac
}
