#!/usr/bin/env bash
# From videos to verdicts in one command: sets everything up, then runs the steps 00 to 04.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: ./run.sh --scan-only FILE... [OPTION of 05-scan_videos.py...]
       ./run.sh [--videos-dir DIR] [--dataset KIND] [--work-dir DIR] [--out-dir DIR]
                [--model M] [--weights W] [--image-size N] [--epochs N] [--seed N]

With --scan-only, run.sh only installs what a scan needs, and scans the files with the starter.

Without --videos-dir, and without a dataset in ./train_sample_videos, run.sh draws a sample dataset there and trains the
model from scratch. On your own dataset, training starts from ImageNet weights.

  --videos-dir DIR  the dataset (default: train_sample_videos)
  --dataset KIND    auto (default: recognised from its contents), dfdc, faceforensics, celebdf, fakeavceleb, folders,
                    csv, images or faces
  --work-dir DIR    where frames and crops go (default: the dataset's own folder)
  --out-dir DIR     where everything else goes (default: the current folder)
  --model M         such as small-cnn or efficientnet-b4 (default: efficientnet-b0); see 03-train_cnn.py --help
  --weights W       imagenet, noisy-student, none, starter, or a file
  --image-size N    size of the crops in pixels (default: the model's own; 128 for efficientnet-b0)
  --epochs N        maximum number of epochs (default: 20; 6 on the sample)
  --seed N          seed of the sample and of training (default: 0)
TEXT
}

if [ "${1:-}" = --scan-only ]; then
    shift
    [ $# -gt 0 ] || { echo "error: --scan-only needs videos, images or folders; see ./run.sh --help" >&2; exit 2; }
    [ "$1" != --help ] || { usage && exit; }
    case $1 in # before the installation
        -*) ;;
        *) [ -e "$1" ] || { echo "error: $1: no such file or folder" >&2; exit 2; } ;;
    esac
    source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
    install requirements-scan.txt --no-compile # half of what would be compiled is never used
    exec "$PYTHON" "$HOME_DIR/05-scan_videos.py" "$@"
fi

VIDEOS=train_sample_videos DATASET=auto WORK= OUT=. MODEL= WEIGHTS= SIZE= EPOCHS= SEED=0 GIVEN=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --videos-dir | --dataset | --work-dir | --out-dir | --model | --weights | --image-size | --epochs | --seed)
            [ $# -ge 2 ] || { echo "error: $1 needs a value; see ./run.sh --help" >&2; exit 2; }
            case $1 in
                --videos-dir) VIDEOS=$2 GIVEN=yes ;;
                --dataset) DATASET=$2 ;;
                --work-dir) WORK=$2 ;;
                --out-dir) OUT=$2 ;;
                --model) MODEL=$2 ;;
                --weights) WEIGHTS=$2 ;;
                --image-size) SIZE=$2 ;;
                --epochs) EPOCHS=$2 ;;
                --seed) SEED=$2 ;;
            esac
            shift 2
            ;;
        *) echo "error: unknown option $1; see ./run.sh --help" >&2 && exit 2 ;;
    esac
done

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
[ -z "$GIVEN" ] || [ -d "$VIDEOS" ] || fail "$VIDEOS: no such folder; --videos-dir must hold a dataset"
[ "$DATASET" = auto ] || grep -q "^    \"$DATASET\": Kind(" "$HOME_DIR/deepfake/datasets/registry.py" ||
    fail "--dataset $DATASET: not a kind of dataset; see ./run.sh --help"
[[ ${EPOCHS:-1} =~ ^[1-9][0-9]{0,5}$ ]] || fail "--epochs $EPOCHS: not a whole number from 1 to 999999"
[[ $SEED =~ ^[0-9]{1,9}$ ]] || fail "--seed $SEED: not a whole number from 0 to 999999999"
[[ ${SIZE:-32} =~ ^[1-9][0-9]{1,3}$ && ${SIZE:-32} -ge 32 ]] || fail "--image-size $SIZE: not a whole number of at least 32"
for folder in "$OUT" "${WORK:-$VIDEOS}"; do
    [ ! -e "$folder" ] || [ -d "$folder" ] || fail "$folder: is a file; give a folder"
done
install_for_this_machine
ensure_java

TOTAL=$SECONDS
run() { "$PYTHON" "$HOME_DIR/$1" "${@:2}"; }
draw_sample() { PYTHONPATH=$HOME_DIR "$PYTHON" -m deepfake.sample --videos-dir "$VIDEOS" --seed "$SEED"; }

if [ -z "$GIVEN" ] && { [ ! -e "$VIDEOS/metadata.json" ] || [ -e "$VIDEOS/sample.json" ]; }; then
    step "drawing a sample dataset" draw_sample
fi
if [ -e "$VIDEOS/sample.json" ]; then
    WEIGHTS=${WEIGHTS:-none} EPOCHS=${EPOCHS:-6}
fi
# check the dataset and the weights before hours of frames and faces
KIND=$(find_kind "$VIDEOS" "$DATASET") || exit 2
echo "== the dataset: $KIND"
WORK=${WORK:-$VIDEOS}
[ -z "$MODEL" ] && [ "$WEIGHTS" = none ] || step "checking the model and its weights" check_start "$MODEL" "$WEIGHTS" "$SIZE"
PREPARED=(--prepared-dir "$OUT/prepared_dataset" --split-dir "$OUT/split_dataset")
DATA=(--videos-dir "$VIDEOS" --work-dir "$WORK" --dataset "$KIND")
case $KIND in
    faces | images) ;; # already crops
    *)
        step "00: frames" run 00-convert_video_to_image.py "${DATA[@]}"
        step "01a: faces" run 01a-crop_faces_with_mtcnn.py --work-dir "$WORK"
        ;;
esac
step "02: balance and split" run 02-prepare_fake_real_dataset.py "${DATA[@]}" "${PREPARED[@]}"
TRAINING=(--epochs "${EPOCHS:-20}" --seed "$SEED")
[ -z "$MODEL" ] || TRAINING+=(--model "$MODEL")
[ -z "$WEIGHTS" ] || TRAINING+=(--weights "$WEIGHTS")
[ -z "$SIZE" ] || TRAINING+=(--image-size "$SIZE")
[ ! -e "$OUT/tmp_checkpoint/last_epoch.npz" ] || TRAINING+=(--resume)
step "03: training" run 03-train_cnn.py --split-dir "$OUT/split_dataset" --out-dir "$OUT" "${TRAINING[@]}"
step "04: video verdicts" run 04-mapreduce_video_preds.py --predictions "$OUT/cnn_preds_values.json" \
    --manifest "$OUT/split_dataset/manifest.csv" --model-info "$OUT/tmp_checkpoint/best_model.json" --out-dir "$OUT" \
    --report --model "$OUT/tmp_checkpoint/best_model.keras" --work-dir "$WORK"

echo
echo "Done in $((SECONDS - TOTAL)) s. Look at:"
for picture in Augmentation Loss Accuracy Confusion Curves ConfusionVideo CurvesVideo Errors; do
    echo "  $OUT/$picture.png"
done
echo "  $OUT/mapreduce_res.txt, metrics_videos.txt, video_verdicts.csv"
echo "  $OUT/report.html: the test videos with the evidence, in a browser"
echo "Accuracy by video: $(sed -n 's/^accuracy: //p' "$OUT/mapreduce_res.txt") ($(sed -n 's/^videos: //p' "$OUT/mapreduce_res.txt") test videos)"
FOLDER=$HOME_DIR/ OWN=" --model $OUT/tmp_checkpoint/best_model.keras"
[ "$HOME_DIR" != "$PWD" ] || FOLDER=
[ ! -e "$VIDEOS/sample.json" ] || OWN= # use the starter: a model of the sample has never seen a real person
echo "For a verdict on your own video: source ${VENV#"$PWD"/}/bin/activate; python ${FOLDER}05-scan_videos.py VIDEO$OWN"
