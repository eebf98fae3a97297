#!/usr/bin/env python3
"""Step 00: a few frames of each video.

Reads:  <videos-dir>/metadata.json and the videos that it lists
Writes: <work-dir>/<id>/<id>-000.png to -010.png, <work-dir>/<id>/frames.json, <work-dir>/failures.csv
"""

from deepfake import cli


def main() -> int:
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument("--frames", type=cli.whole_number(1), default=11, help="frames a video")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video had a problem")
    args = parser.parse_args()

    from deepfake.frames import convert_videos

    return convert_videos(args.videos_dir, args.work_dir, args.frames, args.quiet, args.strict)


if __name__ == "__main__":
    cli.run(main)
