"""The lines of step 03 in a log: when they come, and what they say of speed and time left."""

import pytest

from deepfake.training.log import TrainingLog, in_hours

LOGS = {"loss": 0.5123, "accuracy": 0.7408}


def epoch_of(log, now, number, steps, seconds_a_step, validation):
    """Show a log an epoch in which the first step takes a minute and a half."""
    log.set_params({"steps": steps})
    log.on_epoch_begin(number)
    for batch in range(steps):
        now[0] += seconds_a_step if batch else 90
        log.on_train_batch_end(batch, LOGS)
    log.on_test_begin()
    now[0] += validation
    log.on_epoch_end(number, LOGS | {"val_loss": 0.6, "val_accuracy": 0.7})


@pytest.fixture
def lines(capsys):
    """What is printed of two epochs of ten steps, of four, each of 16 crops in 20 seconds, and half an hour more."""
    now = [1000.0]
    log = TrainingLog(4, batch_size=16, clock=lambda: now[0])
    for number in range(2):
        epoch_of(log, now, number, steps=10, seconds_a_step=20, validation=1800)
    return capsys.readouterr().out.splitlines()


def test_there_is_a_line_a_minute_and_one_after_each_epoch(lines):
    steps = [line.partition(":")[2].partition(":")[0].strip() for line in lines]
    first = [f"epoch 1 of 4, step {step} of 10" for step in (1, 4, 7)]
    assert steps == [*first, "epoch 1 of 4", *(line.replace("epoch 1", "epoch 2") for line in first), "epoch 2 of 4"]


def test_a_line_tells_how_well_and_how_fast_and_the_time_that_is_left(lines):
    # six steps, and three epochs of ten, without what is not known yet
    assert lines[1] == "03: epoch 1 of 4, step 4 of 10: loss 0.512, accuracy 0.741, 0.8 crops/s, 12 min left"
    # and three times half an hour
    assert lines[3] == (
        "03: epoch 1 of 4: loss 0.512, accuracy 0.741; in validation loss 0.600, accuracy 0.700; "
        "2070 s, 0.8 crops/s, 1 h 40 min left"
    )
    assert lines[5].endswith("0.8 crops/s, 1 h 39 min left")


def test_an_epoch_that_goes_on_counts_from_where_it_was(capsys):
    now = [0.0]
    log = TrainingLog(2, batch_size=4, first_step=6, items="sequences", alone=True, clock=lambda: now[0])
    epoch_of(log, now, 1, steps=4, seconds_a_step=70, validation=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("03: epoch 2 of 2, step 8 of 10: ")
    assert lines[1].endswith(" 0.1 sequences/s, 2 min left of the head alone")
    assert lines[-1].endswith(" 0 min left of the head alone")


def test_an_epoch_of_one_step_has_a_speed_too(capsys):
    now = [0.0]
    log = TrainingLog(1, batch_size=9, clock=lambda: now[0])
    epoch_of(log, now, 0, steps=1, seconds_a_step=1, validation=1)
    assert capsys.readouterr().out.endswith("; 91 s, 0.1 crops/s, 0 min left\n")


def test_a_long_validation_has_a_line_a_minute_too(capsys):
    now = [0.0]
    log = TrainingLog(1, batch_size=9, clock=lambda: now[0])
    log.set_params({"steps": 1})
    log.on_epoch_begin(0)
    log.on_test_begin()
    for batch in range(4):
        now[0] += 31
        log.on_test_batch_end(batch, LOGS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"03: epoch 1 of 1, validation, batch {n}: loss 0.512, accuracy 0.741" for n in (2, 4)]


@pytest.mark.parametrize(("seconds", "words"), [(10, "0 min"), (3590, "1 h 0 min"), (4320, "1 h 12 min")])
def test_times_are_said_in_hours_and_minutes(seconds, words):
    assert in_hours(seconds) == words
