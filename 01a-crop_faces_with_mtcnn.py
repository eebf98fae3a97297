#!/usr/bin/env python3
"""Step 01a: the faces in the frames, found by MTCNN.

Reads:  <work-dir>/<id>/frames.json and the frames that step 00 wrote
Writes: <work-dir>/<id>/faces/<id>-FFF-NN.png, <work-dir>/<id>/faces.json, <work-dir>/failures.csv
"""

from deepfake import cli


def main() -> int:
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument("--min-confidence", type=cli.number(0, 1), default=0.95, help="least confidence of a face")
    parser.add_argument("--margin", type=cli.number(0, 10), default=0.3, help="on each side, as a share of the box")
    parser.add_argument(
        "--no-rescue",
        action="store_true",
        help="in a frame where no face is that sure, keep none (by default the surest one is kept, marked rescued)",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video had a problem")
    args = parser.parse_args()

    from deepfake.faces import Options, crop_all_faces

    options = Options(args.min_confidence, args.margin, rescue=not args.no_rescue)
    return crop_all_faces(args.work_dir or args.videos_dir, options, args.quiet, args.strict)


if __name__ == "__main__":
    cli.run(main)
