#!/usr/bin/env python3
"""All of DFDC, 115,000 videos and 1.3 million crops: what docs/scale.md says of it, measured or simulated.

list        the dataset readers and step 02 on a drawn list of 1/16, 1/4 and all of it: seconds, memory, exponents
durations   seconds of a core for each video through 01a --from-videos, and the bytes of its crops
simulate    the Spark job of step 01a on 1, 16 and 64 nodes, with stragglers and lost executors
actual      that job for 2,000 small videos on a real cluster of this machine, beside its simulation
plan        core hours, GPU hours, disk, network and money, from a few figures
"""

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path

import clone  # noqa: F401
import numpy as np

from deepfake.core.cli import number, whole_number
from deepfake.core.files import write_json

VIDEOS = 115_000
NODES = (1, 16, 64)
NODES_DRAWN = (1, 2, 4, 8, 16, 32, 64, 128)
DATASET_GB = 472
STORAGE = (1, 5)  # GB/s, of the lines in the picture


def measure_list(args: argparse.Namespace) -> list[dict]:
    """The subcommand list."""
    from list_speed import run_list, table

    results = run_list(args.shares, args.kinds, args.rounds, args.dir)
    print("\n".join(table(results)))
    return results


def measure_durations(args: argparse.Namespace) -> list[dict]:
    """The subcommand durations."""
    from durations import report, time_videos, videos_of

    with tempfile.TemporaryDirectory() as name:
        rows = time_videos(videos_of(args.clips, Path(name)), args.rounds)
    print("\n".join(report(rows)), f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", sep="\n")
    return [asdict(row) for row in rows]


def measure_actual(args: argparse.Namespace) -> dict[str, float]:
    """The subcommand actual."""
    from actual_run import report, run_actual

    with tempfile.TemporaryDirectory(dir=args.dir) as name:
        figures = run_actual(args.videos, Path(name), args.seed)
    print(
        "\n".join(report(figures)), f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", sep="\n"
    )
    return figures


def print_plan(args: argparse.Namespace) -> dict[str, float]:
    """The subcommand plan."""
    from plan import Plan, report

    plan = Plan(**{each.name: getattr(args, each.name) for each in fields(Plan)})
    print("\n".join(report(plan, args.nodes)))
    return asdict(plan)


def run_simulation(args: argparse.Namespace) -> list[dict]:
    """The subcommand simulate."""
    from simulation import Cluster, Durations, simulate

    durations = Durations(args.median, args.sigma, args.stragglers, args.slower)
    seconds = durations.draw(args.videos, args.seed)
    deadly = np.random.default_rng(args.seed).choice(args.videos, round(args.deadly * args.videos), replace=False)
    print(f"{args.videos:,} videos, {seconds.sum() / 3600:.1f} core hours, {seconds.mean():.2f} s each on average")
    # as step 01a hands the videos out, unless told otherwise
    handed_out = {key: value for key in ("jobs", "tasks_a_core") if (value := getattr(args, key)) is not None}
    print("nodes  slots  floor s  makespan s  utilisation  work lost  executors lost  given up")
    rows = []
    for nodes in NODES_DRAWN if args.picture else args.nodes:
        cluster = Cluster(nodes, args.cores, args.losses, args.replaced, args.launch, **handed_out)
        result = simulate(seconds, cluster, args.seed, deadly.tolist())
        floor = seconds.sum() / cluster.slots
        print(
            f"{nodes:5}{cluster.slots:7}{floor:9.0f}{result.makespan:12.0f}{result.utilisation:13.3f}"
            f"{result.share_lost:11.4%}{result.executors_lost:16}{result.given_up:10}"
        )
        rows.append({"nodes": nodes, "floor": floor, "utilisation": result.utilisation} | asdict(result))
    if args.picture:
        draw_picture(rows, args)
    return rows


def draw_picture(rows: list[dict], args: argparse.Namespace) -> None:
    """Draw the makespan by nodes, below it what reading the videos and starting the tasks takes at least."""
    from scale_plot import plot_makespan

    limits = {f"reading {DATASET_GB} GB at {speed:g} GB/s": DATASET_GB / speed for speed in STORAGE}
    limits["one driver starting every task"] = args.launch * args.videos
    columns = ([row[key] for row in rows] for key in ("nodes", "floor", "makespan"))
    plot_makespan(*columns, limits, args.picture)


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="list|durations|actual|plan|simulate")
    commands.add_parser("list").set_defaults(run=measure_list)
    commands.add_parser("durations").set_defaults(run=measure_durations)
    commands.add_parser("actual").set_defaults(run=measure_actual)
    commands.add_parser("plan").set_defaults(run=print_plan)
    commands.add_parser("simulate").set_defaults(run=run_simulation)
    add_list_options(commands.choices["list"])
    add_duration_options(commands.choices["durations"])
    add_actual_options(commands.choices["actual"])
    add_plan_options(commands.choices["plan"])
    add_simulation_options(commands.choices["simulate"])
    for each in commands.choices.values():
        each.formatter_class = argparse.ArgumentDefaultsHelpFormatter
        each.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser


def add_list_options(parser: argparse.ArgumentParser) -> None:
    kinds = ["dfdc", "csv", "folders", "faceforensics", "celebdf", "faces"]
    parser.add_argument("--shares", type=number(0.001, 1), nargs="+", default=[1 / 16, 1 / 4, 1], help="of DFDC")
    parser.add_argument("--kinds", nargs="*", choices=kinds, default=kinds, help="which readers")
    parser.add_argument("--rounds", type=whole_number(1), default=1, help="of each reader; the median counts")
    parser.add_argument(
        "--dir", type=Path, help="where to draw: 3 million links at a time (default: the temporary one)"
    )


def add_duration_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="videos or folders (default: four are drawn)")
    parser.add_argument("--rounds", type=whole_number(1), default=5, help="times each video")


def add_actual_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=whole_number(1), default=2000, help="tiny ones, of which ten differ")
    parser.add_argument("--dir", type=Path, help="where to draw them (default: the temporary folder)")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the tasks that are foretold")


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    from plan import Plan

    for each in fields(Plan):
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(name, type=number(1e-6), default=each.default, help=each.metadata["help"])
    parser.add_argument("--nodes", type=whole_number(1), nargs="+", default=list(NODES))


def add_simulation_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=whole_number(1), default=VIDEOS, help="tasks, one each")
    parser.add_argument("--median", type=number(0.001), default=1.14, help="core seconds a video")
    parser.add_argument("--sigma", type=number(0), default=0.2, help="of the log-normal distribution")
    parser.add_argument("--stragglers", type=number(0, 1), default=0.03, help="share of the tasks")
    parser.add_argument("--slower", type=number(1), default=5, help="times that a straggler takes")
    parser.add_argument("--deadly", type=number(0, 1), default=0.0001, help="share of videos that kill their worker")
    parser.add_argument("--nodes", type=whole_number(1), nargs="+", default=list(NODES), help="executors, one on each")
    parser.add_argument("--cores", type=whole_number(1), default=16, help="of a node: its tasks at a time")
    parser.add_argument("--losses", type=number(0), default=0.1, help="executors lost a node and hour")
    parser.add_argument("--replaced", type=number(0), default=30, help="seconds until another one is there")
    parser.add_argument("--launch", type=number(0), default=0.0026, help="seconds of the driver for each task")
    parser.add_argument("--jobs", type=whole_number(1), help="of Spark at a time (default: as step 01a)")
    parser.add_argument(
        "--tasks-a-core", type=whole_number(0), help="of a job (default: as step 01a); 0: all in one job"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, help="the same seed gives the same figures")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw 1 to 128 nodes")


def main() -> None:
    args = command_line().parse_args()
    results = args.run(args)
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    sys.exit(main())
