"""Compare runs of step 03 on their test videos, and test which differences are more than chance.

Intervals and p values cover the choice of the test videos, not the training seed.
"""

from pathlib import Path

from deepfake.core import cli


def main() -> None:
    """Parse the command line and compare runs of step 03."""
    parser = cli.parser(__doc__, "--out-dir")
    parser.add_argument("runs", nargs="+", type=Path, metavar="run.json", help="a run.json of step 03, or its folder")
    args = parser.parse_args()

    from deepfake.core.files import whole_file
    from deepfake.evaluation.compare_plot import plot_runs
    from deepfake.evaluation.compare_runs import as_text, compare_all, read_runs, write_table

    runs = read_runs(args.runs)
    text = as_text(runs, compare_all(runs))
    print(text, end="")
    with whole_file(args.out_dir / "comparison.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_table(runs, args.out_dir / "comparison.csv")
    plot_runs({run.name: run.figures for run in runs}, args.out_dir / "Comparison.png")
    print(f"\nwritten: comparison.txt, comparison.csv and Comparison.png in {args.out_dir}")
