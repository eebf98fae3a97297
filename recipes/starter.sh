#!/usr/bin/env bash
# Makes a model file like models/starter.keras from face crops.
set -euo pipefail

TRAINED_ON=DFDC
WEIGHTS=imagenet
EPOCHS=5 # of each of the two trainings
OPTIONS=(--head-epochs 0 --batch-size 16) # of 03-train_cnn.py, in both
FIRST=(--augment standard --learning-rate 6e-3)
SECOND=(--augment strong --learning-rate 3e-3 --average-start 0.75)

usage() {
    cat <<TEXT
usage: recipes/starter.sh FACES_DIR [WEIGHTS] [--out-dir DIR] [--to FILE] [--trained-on TEXT]
                          [--epochs N] [--no-figures] [-- OPTION...]

Trains twice: with standard augmentation from the start weights, then with strong augmentation from the result.
FACES_DIR holds crops from another tool, unpacked or as zip files: a folder of images for each video, and tables with
the labels. The same command continues a run that was stopped.

  WEIGHTS            where training starts: imagenet, noisy-student, none, starter, or a file (default: $WEIGHTS)
  --out-dir DIR      where unpacked crops, sets and training go (default: starter_run)
  --to FILE          the model to write (default: starter.keras in --out-dir; models/starter.keras replaces the
                     starter of the project)
  --trained-on TEXT  the training data that every verdict names (default: $TRAINED_ON)
  --epochs N         maximum number of epochs of each training (default: $EPOCHS)
  --no-figures       do not measure the model at the end
  -- OPTION...       more options of 03-train_cnn.py for both trainings, such as --model small-cnn; if an option is given
                     twice, the last one counts
TEXT
}

FACES='' OUT=starter_run TO='' FIGURES=yes GIVEN=() GIVEN_OPTIONS=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --no-figures) FIGURES='' && shift ;;
        --) shift && GIVEN_OPTIONS=("$@") && break ;;
        --out-dir | --to | --trained-on | --epochs)
            [ $# -ge 2 ] || { echo "error: $1 needs a value; see recipes/starter.sh --help" >&2; exit 2; }
            case $1 in
                --out-dir) OUT=$2 ;;
                --to) TO=$2 ;;
                --trained-on) TRAINED_ON=$2 ;;
                --epochs) EPOCHS=$2 ;;
            esac
            shift 2
            ;;
        -*) echo "error: unknown option $1; see recipes/starter.sh --help" >&2 && exit 2 ;;
        *) GIVEN+=("$1") && shift ;;
    esac
done

source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ ${#GIVEN[@]} -ge 1 ] && [ ${#GIVEN[@]} -le 2 ] || fail "give FACES_DIR, and perhaps WEIGHTS; see recipes/starter.sh --help"
FACES=${GIVEN[0]} WEIGHTS=${GIVEN[1]:-$WEIGHTS} TO=${TO:-$OUT/starter.keras}
case " ${GIVEN_OPTIONS[*]-} " in
    *" --ema"* | *" --weights"* | *" --init-from"* | *" --sequence"* | *" --average-start"*)
        fail "the recipe itself sets --ema, --weights, --init-from, --sequence and --average-start; leave them out after --" ;;
esac
[ -d "$FACES" ] || fail "$FACES: no such folder; FACES_DIR must hold crops, or zip files of them"
[[ $EPOCHS =~ ^[1-9][0-9]{0,5}$ ]] || fail "--epochs $EPOCHS: not a whole number from 1 to 999999"
[[ $TO == *.keras ]] || fail "--to $TO: give it a name that ends in .keras"
install_for_this_machine

TOTAL=$SECONDS
run() { PYTHONPATH=$HOME_DIR "$PYTHON" "$HOME_DIR/$1" "${@:2}"; }
module() { PYTHONPATH=$HOME_DIR "$PYTHON" -m "deepfake.$1" "${@:2}"; }

if compgen -G "$FACES/*.zip" >/dev/null; then
    step "unpacking" module unpack "$FACES" --to "$OUT/faces"
    FACES=$OUT/faces
fi
step "02: balance and split" run 02-prepare_fake_real_dataset.py --videos-dir "$FACES" --work-dir "$FACES" \
    --dataset faces --prepared-dir "$OUT/prepared_dataset" --split-dir "$OUT/split_dataset"
train() { # TITLE OUT_DIR WEIGHTS OPTION...
    step "$1" run 03-train_cnn.py --split-dir "$OUT/split_dataset" --out-dir "$2" --weights "$3" --epochs "$EPOCHS" \
        "${@:4}" ${GIVEN_OPTIONS[@]+"${GIVEN_OPTIONS[@]}"} --resume
}
train "03: first training" "$OUT/first" "$WEIGHTS" "${OPTIONS[@]}" "${FIRST[@]}"
train "03: second training" "$OUT" "$OUT/first/tmp_checkpoint/best_model.keras" "${OPTIONS[@]}" "${SECOND[@]}"
NAME=$(basename "$TO" .keras)
step "the model to pass on" module publish "$OUT/tmp_checkpoint/best_model.keras" --to "$TO" --name "$NAME" \
    --trained-on "$TRAINED_ON"

echo
echo "Done in $((SECONDS - TOTAL)) s: $TO"
echo "For a verdict on a video: source $VENV/bin/activate; python $HOME_DIR/05-scan_videos.py VIDEO --model $TO"
# last, because it fails on a dataset without its own test set
[ -z "$FIGURES" ] || step "figures" run benchmarks/real_faces.py "$FACES" --model "$TO" --work "$OUT"
