"""The options of step 03: what a model brings along, what cannot go together, and the phases that follow."""

import pytest
from conftest import refused_options

from deepfake.core.errors import UserError
from deepfake.models.backbones import build_backbone
from deepfake.models.model import SequenceKind, build_model
from deepfake.models.runtime import keras
from deepfake.training.options import Options
from deepfake.training.schedule import Phase, phases
from deepfake.training.start import resolved

SIZE = 32


@pytest.fixture(scope="module")
def frame_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("options") / "frames.keras"
    build_model(SIZE, "none", name="meso4").save(path)
    return str(path)


def test_a_model_brings_its_size_and_whether_there_are_weights_for_it():
    found = resolved(Options())
    assert (found.model, found.weights, found.image_size, found.batch_size) == ("efficientnet-b0", "imagenet", 128, 32)
    found = resolved(Options(model="meso4"))
    assert (found.model, found.weights, found.image_size) == ("meso4", "none", 256)


def test_what_is_given_stays():
    given = Options(
        "xception", "none", sequence="lstm", sequence_frames=5, augment="strong", image_size=64, batch_size=3
    )
    assert resolved(given) == given


def test_a_step_takes_fewer_sequences_than_crops():
    assert resolved(Options(model="meso4", sequence="gru")).batch_size == 8


def test_a_trained_model_to_start_from_brings_its_name_and_size(frame_model):
    found = resolved(Options(weights=frame_model))
    assert (found.model, found.weights, found.image_size) == ("meso4", frame_model, SIZE)


def test_frames_are_those_of_the_sequence_or_none():
    assert Options().frames is Options(sequence_frames=5).frames is None
    assert (Options(sequence="lstm").frames, Options(sequence="lstm", sequence_frames=5).frames) == (10, 5)


def test_a_frozen_backbone_has_one_phase_at_the_full_rate_whatever_it_starts_from():
    frozen = {"sequence": "lstm", "freeze_backbone": True, "epochs": 5, "learning_rate": 0.01}
    for weights in ("imagenet", "frames.keras"):
        assert phases(Options(weights=weights, **frozen)) == [Phase(0, 5, 0.01)]


@pytest.mark.parametrize(
    ("given", "says"), [({"weights": "none"}, "goes with"), ({"model": "meso4"}, "needs")], ids=str
)
def test_a_backbone_that_knows_nothing_is_not_frozen(given, says):
    with pytest.raises(UserError, match=f"--freeze-backbone {says} .*--init-from"):
        resolved(Options(sequence="lstm", freeze_backbone=True, **given))


def test_a_backbone_that_was_trained_may_be_frozen(frame_model):
    frozen = {"sequence": "lstm", "freeze_backbone": True}
    found = resolved(Options(weights=frame_model, **frozen))
    assert found.freeze_backbone and found.augment == "none"
    assert resolved(Options(**frozen)).weights == "imagenet"


def test_a_new_head_goes_on_a_whole_frame_model_only(frame_model, tmp_path):
    assert resolved(Options(weights=frame_model, new_head=True)).model == "meso4"
    backbone, sequences = tmp_path / "backbone.weights.h5", tmp_path / "sequences.keras"
    build_backbone("meso4", SIZE, "none").save_weights(backbone)
    build_model(SIZE, "none", name="meso4", sequence=SequenceKind("gru", 2)).save(sequences)
    for weights, found in [
        (tmp_path / "nothere.keras", "not found"),
        ("imagenet", "not found"),
        (backbone, "not a whole frame model"),
        (sequences, "not a whole frame model"),
    ]:
        with pytest.raises(UserError, match=f"--init-from {weights}: {found}.*; give the best_model.keras"):
            resolved(Options(weights=str(weights), new_head=True))


def test_another_projects_model_is_not_started_from(tmp_path):
    crop = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(crop)
    path = tmp_path / "other.keras"
    keras.Model(crop, keras.layers.Dense(1, activation="sigmoid", name="p_real")(pooled)).save(path)
    options = resolved(Options(weights=str(path), model="meso4"))
    with pytest.raises(UserError, match="not a frame model of this project"):
        build_model(options.image_size, options.weights, name=options.model)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sequence": "lstm", "freeze_backbone": True, "augment": "strong"}, "leave --augment out"),
        ({"ema": 0.9, "average_start": 0.5}, "two ways to average weights"),
        ({"sequence_frames": 5}, "--sequence-frames goes with --sequence"),
        ({"self_blend": "only", "balance": "equal"}, "leave --balance out"),
        ({"mixup": 0.2, "sequence": "gru"}, "--mixup is for frame models"),
    ],
    ids=str,
)
def test_options_from_python_that_do_not_go_together_are_refused_too(given, says):
    with pytest.raises(UserError, match=says):
        resolved(Options(**given))


def test_zero_switches_off_what_is_off_by_default():
    assert resolved(Options(ema=0, average_start=0, mixup=0)) == resolved(Options())


# as a user gives them


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--freeze-backbone"], "--freeze-backbone goes with --sequence"),
        (["--freeze-backbone", "--sequence", "lstm", "--weights", "none"], "--freeze-backbone goes with --sequence"),
        (["--self-blend", "--sequence", "gru"], "--self-blend is for frame models"),
        (["--self-blend", "--balance", "weights"], "leave --balance out"),
        (["--self-blend", "--balance", "equal"], "leave --balance out"),
        (["--self-blend", "add", "--sequence", "gru"], "--self-blend is for frame models"),
        (["--self-blend", "all"], "--self-blend"),
        (["--mixup", "0.2", "--sequence", "gru"], "--mixup is for frame models"),
        (["--mixup", "0.2", "--balance", "weights"], "use --balance equal"),
        (["--ema", "1"], "--ema"),
        (["--weights", "none", "--init-from", "model.keras"], "not allowed with argument --weights"),
        (["--init-from", ""], "--init-from: is empty"),
        (["--sequence", "rnn"], "--sequence"),
        (["--sequence", "lstm", "--sequence-frames", "1"], "--sequence-frames"),
        (["--sequence-frames", "5"], "--sequence-frames goes with --sequence"),
        (["--freeze-backbone", "--sequence", "lstm", "--augment", "strong"], "leave --augment out"),
    ],
    ids=str,
)
def test_options_of_step_03_that_do_not_go_together_are_refused_before_all_work(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused_options("03", *arguments).splitlines()[-1]
    assert not list(tmp_path.iterdir())
