"""Explore a dataset before training: counts, sizes, brightness, outliers, and pairs of originals and fakes."""

from pathlib import Path

from deepfake.core import cli
from deepfake.datasets.registry import add_dataset_option


def main() -> None:
    """Explore a dataset after steps 00 and 01a, or external crops."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument(
        "--out-dir", type=Path, default=Path("exploration"), metavar="PATH", help="folder for the pictures and texts"
    )
    add_dataset_option(parser)
    args = parser.parse_args()

    from deepfake.core.files import whole_file
    from deepfake.datasets.registry import OF_OTHERS, find_kind, read_dataset
    from deepfake.explore.pairs import choose_pairs, draw_pairs
    from deepfake.explore.plots import draw_exploration
    from deepfake.explore.video_stats import describe, fakes_of_originals, find_outliers, look_at_all, write_outliers

    kind = find_kind(args.videos_dir, args.dataset)
    videos, crops_of_others = read_dataset(args.videos_dir, kind), kind in OF_OTHERS
    work_dir = args.videos_dir if crops_of_others else args.work_dir or args.videos_dir
    facts = look_at_all(videos, work_dir, args.quiet, crops_of_others)
    outliers = find_outliers(facts)
    text = describe(videos, facts, outliers)
    print(text, end="")
    with whole_file(args.out_dir / "exploration.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_outliers(outliers, args.out_dir / "outliers.csv")
    draw_exploration(facts, fakes_of_originals(videos), outliers, args.out_dir / "Exploration.png")
    if pairs := choose_pairs(videos, work_dir):
        draw_pairs(pairs, args.out_dir / "Pairs.png")
    else:
        (args.out_dir / "Pairs.png").unlink(missing_ok=True)  # from an earlier run on another dataset
        print("no Pairs.png: no fake has an original in the dataset with a face at the same place of the same frame")
    print(f"written to {args.out_dir}")


if __name__ == "__main__":
    cli.run(main)
