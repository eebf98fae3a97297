"""The plan for all of DFDC: the drawn list, the simulation of the Spark job, and the arithmetic."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT

from deepfake.core.crop_rule import CropRule
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.registry import find_kind, read_dataset
from deepfake.datasets.video import source_groups
from deepfake.faces.records import landmarks_in_crop, read_faces_json
from deepfake.split.manifest import read_manifest
from deepfake.split.options import Splitting
from deepfake.split.prepare import prepare_dataset

sys.path.append(str(ROOT / "benchmarks"))  # as for a script that is started there

import actual_run
import drawn_list
import list_speed
from plan import Plan
from simulation import Cluster, Durations, fit_durations, simulate

SHARE = 1 / 1000


@pytest.mark.parametrize("kind", drawn_list.WRITERS)
def test_a_drawn_list_is_read_as_a_dataset_of_each_kind(tmp_path, kind):
    listed = drawn_list.draw_list(SHARE)
    drawn_list.WRITERS[kind](listed, tmp_path / "videos")
    assert find_kind(tmp_path / "videos") == kind
    videos = read_dataset(tmp_path / "videos")
    reals = sum(video.original is None for video in listed)
    assert [sum(video.label == label for video in videos) for label in (REAL, FAKE)] == [reals, len(listed) - reals]
    assert {video.original for video in videos if video.label == FAKE} <= {video.id for video in videos}
    groups = {"faceforensics": reals // 2 + reals % 2, "celebdf": 1}
    assert len(set(source_groups(videos).values())) == groups.get(kind, reals)


def test_the_whole_list_has_the_size_of_dfdc():
    listed = drawn_list.draw_list()
    assert len(listed) == len({video.name for video in listed}) == 115_000
    assert sum(video.original is None for video in listed) == 19_000
    assert len({video.part for video in listed}) == 50
    assert 1_290_000 < drawn_list.count_crops(listed) < 1_310_000


def test_step_02_takes_a_drawn_list_for_what_step_01a_leaves(tmp_path):
    listed = drawn_list.draw_list(SHARE)
    drawn_list.write_dfdc(listed, tmp_path / "videos")
    drawn_list.write_crops(listed, tmp_path / "work")
    folders = (tmp_path / "work", tmp_path / "prepared", tmp_path / "split")
    prepare_dataset(tmp_path / "videos", *folders, Splitting(balance="none"), quiet=True)
    entries = read_manifest(tmp_path / "split")
    assert len(entries) == drawn_list.count_crops(listed)
    assert {entry.person for entry in entries} == {"0", "1"}
    faces = read_faces_json(tmp_path / "work" / listed[0].name).faces
    assert len(faces) == 2 * drawn_list.FRAMES
    assert all(0 <= value < 400 for face in faces for point in landmarks_in_crop(face, CropRule()) for value in point)


def test_the_exponent_is_the_power_that_seconds_grow_by():
    sizes = [100, 1000, 4000]
    assert list_speed.exponent(sizes, [0.02 * size for size in sizes]) == pytest.approx(1)
    assert list_speed.exponent(sizes, [1e-4 * size**2 for size in sizes]) == pytest.approx(2)


def test_the_memory_of_a_process_and_its_time_are_watched():
    usage = list_speed.watch([sys.executable, "-c", "import time; held = bytearray(10**8); time.sleep(0.4)"])
    assert usage.seconds > 0.4 > usage.processor and 100 < usage.megabytes < 200
    with pytest.raises(SystemExit, match="no such thing"):
        list_speed.watch([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_fitted_distribution_has_the_quantiles_of_what_was_measured():
    drawn = Durations(1.5, 0.4).draw(100_000)
    fitted = fit_durations(drawn)
    assert (fitted.median, fitted.sigma) == pytest.approx((1.5, 0.4), rel=0.02)
    slow = Durations(1.5, 0.4, stragglers=0.1, slower=5).draw(100_000)
    assert slow.mean() / drawn.mean() == pytest.approx(1.4, rel=0.02)


def test_without_losses_a_job_ends_within_a_task_of_the_work_shared_out():
    seconds = Durations(1, 0.5).draw(20_000)
    for nodes in (1, 16, 64):
        result = simulate(seconds, Cluster(nodes, 16, tasks_a_core=0))
        assert 0 <= result.makespan - seconds.sum() / result.slots <= seconds.max()  # Graham 1969
        assert result.useful == pytest.approx(seconds.sum()) and result.lost == 0


def test_tasks_of_one_length_run_in_waves():
    result = simulate([2.0] * 33, Cluster(2, 4, tasks_a_core=0))
    assert result.makespan == 10 and result.utilisation == pytest.approx(33 / 40)
    # one job at a time waits for its last task: jobs of 8 tasks on 8 slots are whole waves, of 8 seconds each here
    assert simulate([1.0, *[8.0, *[1.0] * 7] * 3], Cluster(2, 4, jobs=1, tasks_a_core=1)).makespan == 25


def test_a_driver_that_starts_few_tasks_a_second_is_what_the_job_waits_for():
    result = simulate([0.01] * 1000, Cluster(8, 16, launch=0.005))
    assert result.makespan == pytest.approx(1000 * 0.005 + 0.01, abs=0.01)


def test_lost_executors_cost_what_they_were_at_and_the_time_until_they_are_replaced():
    seconds = np.full(40_000, 10.0)
    calm, stormy = (simulate(seconds, Cluster(4, 8, losses, replaced=60), seed=3) for losses in (0, 2))
    expected = 2 * 4 * stormy.makespan / 3600
    assert abs(stormy.executors_lost - expected) < 4 * np.sqrt(expected)
    # each of them took with it 8 tasks, half done on average
    assert stormy.lost == pytest.approx(stormy.executors_lost * 8 * 5, rel=0.3)
    down = stormy.executors_lost * 60 / 4
    assert stormy.makespan == pytest.approx(calm.makespan + stormy.lost / 32 + down, rel=0.02)
    assert stormy.useful + 10 * stormy.given_up == pytest.approx(calm.useful)
    assert simulate(seconds, Cluster(4, 8, 2, 60), seed=3) == stormy


def test_a_video_that_kills_its_worker_costs_itself_twice_and_nothing_else():
    result = simulate([1.0] * 100, Cluster(1, 4, tasks_a_core=0), deadly=[0, 50])
    assert (result.given_up, result.useful, result.lost) == (2, 98, 4)
    assert result.makespan == 26


def test_the_tasks_of_an_event_log_are_those_that_ended_in_the_order_of_their_launch(tmp_path):
    ended = [
        {"Launch Time": 3000, "Finish Time": 4000, "Failed": True},
        {"Launch Time": 1000, "Finish Time": 3500, "Failed": False},
    ]
    events = [{"Event": "SparkListenerTaskEnd", "Task Info": info} for info in ended]
    events[1]["Task Metrics"] = {"Executor Run Time": 2400}
    events.append({"Event": "SparkListenerTaskStart", "Task Info": {"Launch Time": 5000}})
    (tmp_path / "log").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    first, second = actual_run.read_tasks(tmp_path / "log")
    assert (first.seconds, first.ran, first.failed) == (2.5, 2.4, False)
    assert (second.seconds, second.failed) == (1.0, True)


def test_a_plan_is_what_its_figures_multiply_to():
    plan = Plan(videos=3600, reals=900, gigabytes=7.2, crops=36_000, core_seconds=2, crop_bytes=10_000, cores=4)
    assert plan.core_hours == 2
    assert plan.reading(nodes=10) == pytest.approx(40 / 2 * 0.002)  # 40 cores, a video of 2 MB each two seconds
    assert plan.crops_gigabytes == pytest.approx(0.36)
    assert plan.balanced_crops == 18_000
    plan = Plan(images_a_second=100, efficiency=0.5)
    assert plan.epoch_minutes(75_000) == 10 and plan.epoch_minutes(75_000, gpus=8) == 2.5
