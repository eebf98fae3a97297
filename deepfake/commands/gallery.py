"""`python -m deepfake.gallery`: draw originals beside their fakes, once steps 00 and 01a have found the faces."""

from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli
from deepfake.core.messages import log
from deepfake.datasets.registry import add_dataset_option, read_dataset


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument("--rows", type=cli.whole_number(1), default=4, help="originals")
    parser.add_argument("--columns", type=cli.whole_number(1), default=3, help="videos of each, the original included")
    parser.add_argument("--picture", type=Path, default=Path("Gallery.png"), metavar="FILE", help="what to write")
    add_dataset_option(parser)
    args = parser.parse_args(argv)

    from deepfake.explore.gallery import choose_tiles, draw_gallery  # loads matplotlib

    videos = read_dataset(args.videos_dir, args.dataset)
    draw_gallery(choose_tiles(videos, args.work_dir or args.videos_dir, args.rows, args.columns), args.picture)
    log.info(f"gallery: {args.picture}")


if __name__ == "__main__":
    cli.run(main)
