# shellcheck shell=bash
# Sourced by the job scripts of Grid Engine.

# finish CODE: ends the job. After exit code 99 (its time was over), Grid Engine starts it again, and it continues. After
# 100, Grid Engine keeps it in the queue with an error, so that the steps after it keep waiting: -hold_jid alone would
# let them start after a failure too.
finish() {
    case $1 in
        "$OUT_OF_TIME") echo "$(date): the time of the job is over; it is started again and will continue" && exit 99 ;;
        *) echo "$(date): failed with exit code $1; qmod -cj $JOB_ID tries again" && exit 100 ;;
    esac
}
