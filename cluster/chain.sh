# shellcheck shell=bash disable=SC2034
# Sourced by slurm/submit.sh and gridengine/submit.sh: their options, the checks before anything is submitted, and the
# arguments of each step. The jobs are the same on both queues; each submit.sh has the commands of its queue.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

chain_usage() {
    cat <<TEXT
usage: $0 --videos-dir DIR [--work-dir DIR] [--out-dir DIR] [--dataset KIND] [--shards N]
       [--model M] [--weights W] [--epochs N] [--train-options "..."]
       [--cpu-options "..."] [--gpu-options "..."]$QUEUE_SYNOPSIS

Submits the steps 01a (with 00 in the same pass) as an array, 02, 03 and 04, each waiting for the one before.

  --videos-dir DIR       the dataset
  --work-dir DIR         where the crops go (default: the dataset's own folder)
  --out-dir DIR          where everything else goes (default: the current folder)
  --dataset KIND         auto (default: recognised), dfdc, faceforensics, celebdf, fakeavceleb, folders or csv
  --shards N             tasks of the array, each with every N-th video (default: 16)
  --model M              such as small-cnn or efficientnet-b4 (default: efficientnet-b0)
  --weights W            imagenet, noisy-student, none, starter, or a file
  --epochs N             maximum number of epochs (default: 20; 6 on the sample)
  --train-options "..."  more options of 03-train_cnn.py, such as "--augment strong"
  --cpu-options "..."    more options of $SUBMITTER for steps 01a, 02 and 04
  --gpu-options "..."    the same for step 03$QUEUE_HELP
TEXT
}

VIDEOS='' WORK='' OUT=. DATASET=auto SHARDS=16 MODEL='' WEIGHTS='' EPOCHS='' TRAIN_OPTIONS='' CPU_OPTIONS='' GPU_OPTIONS=''
while [ $# -gt 0 ]; do
    case $1 in -h | --help) chain_usage && exit ;; esac
    [ $# -ge 2 ] || fail "$1: an unknown option, or it needs a value; see $0 --help"
    case $1 in
        --videos-dir) VIDEOS=$2 ;;
        --work-dir) WORK=$2 ;;
        --out-dir) OUT=$2 ;;
        --dataset) DATASET=$2 ;;
        --shards) SHARDS=$2 ;;
        --model) MODEL=$2 ;;
        --weights) WEIGHTS=$2 ;;
        --epochs) EPOCHS=$2 ;;
        --train-options) TRAIN_OPTIONS=$2 ;;
        --cpu-options) CPU_OPTIONS+=" $2" ;;
        --gpu-options) GPU_OPTIONS+=" $2" ;;
        *) queue_option "$1" "$2" || fail "unknown option $1; see $0 --help" ;;
    esac
    shift 2
done

command -v "$SUBMITTER" >/dev/null || fail "$SUBMITTER: not found; run this on a login node of the cluster"
[ -x "$PYTHON" ] || fail "$PYTHON: not found; run cluster/install.sh first"
[ -n "$VIDEOS" ] || fail "--videos-dir is missing; see $0 --help"
[ -d "$VIDEOS" ] || fail "$VIDEOS: no such folder; --videos-dir must hold a dataset"
[[ $SHARDS =~ ^[1-9][0-9]{0,2}$ ]] || fail "--shards $SHARDS: not a whole number from 1 to 999"

whole_path() { # the absolute path of a file; anything else is printed unchanged
    case $1 in
        /*) echo "$1" ;;
        *) if [ -f "$1" ]; then echo "$PWD/$1"; else echo "$1"; fi ;;
    esac
}

# jobs start in other folders, so make paths absolute; check now what would fail in a job hours later
VIDEOS=$(cd "$VIDEOS" && pwd)
mkdir -p "${WORK:-$VIDEOS}" "$OUT/logs" || fail "give another --work-dir or --out-dir"
WORK=$(cd "${WORK:-$VIDEOS}" && pwd) OUT=$(cd "$OUT" && pwd) LOGS=$OUT/logs
[[ $LOGS != *[:%\\]* ]] || fail "$OUT: contains a : or % or \\, which have a special meaning in queues; give another --out-dir"
read -ra MORE <<<"$TRAIN_OPTIONS"
WEIGHTS=$(whole_path "$WEIGHTS") START=$WEIGHTS # what training starts from
for at in "${!MORE[@]}"; do
    if [ "${MORE[at]}" = --init-from ] && [ $((at + 1)) -lt ${#MORE[@]} ]; then
        START=$(whole_path "${MORE[at + 1]}") MORE[at + 1]=$START
    fi
done
if [ -e "$VIDEOS/sample.json" ]; then
    EPOCHS=${EPOCHS:-6}
    [ -n "$START" ] || WEIGHTS=none START=none
fi
read -ra CPU_OPTIONS <<<"$CPU_OPTIONS"
read -ra GPU_OPTIONS <<<"$GPU_OPTIONS"
TRAIN=(--split-dir "$OUT/split_dataset" --out-dir "$OUT")
[ -z "$MODEL" ] || TRAIN+=(--model "$MODEL")
[ -z "$WEIGHTS" ] || TRAIN+=(--weights "$WEIGHTS")
[ -z "$EPOCHS" ] || TRAIN+=(--epochs "$EPOCHS")
TRAIN+=(${MORE[@]+"${MORE[@]}"})
check_training_options "${TRAIN[@]}"
check_java || exit 2
KIND=$(find_kind "$VIDEOS" "$DATASET")
if [ -n "$MODEL" ] || [ "$START" != none ]; then
    check_start "$MODEL" "$START" ''
fi
FACES=(--videos-dir "$VIDEOS" --work-dir "$WORK" --dataset "$KIND")
SPLIT=("${FACES[@]}" --prepared-dir "$OUT/prepared_dataset" --split-dir "$OUT/split_dataset")
VERDICTS=(--predictions "$OUT/cnn_preds_values.parquet" --manifest "$OUT/split_dataset/manifest.csv"
    --model-info "$OUT/tmp_checkpoint/best_model.json" --out-dir "$OUT")

tell() { # tell STATE_COMMAND CANCEL_COMMAND: prints what to do after all jobs are submitted
    echo "state:    $1"
    echo "cancel:   $2"
    echo "logs:     $LOGS"
    echo "pictures, when step 04 has ended:"
    local picture
    for picture in Loss Accuracy Confusion Curves ConfusionVideo CurvesVideo Errors; do
        echo "  $OUT/$picture.png"
    done
}
