"""Step 01b (optional): copy the crops, with eyes, nose and corners of the mouth marked in red.

Reads:  <work-dir>/<id>/faces.json and faces/ of step 01a
Writes: <work-dir>/<id>/marked_faces/<id>-FFF-NN.png; give --faces marked_faces to step 02 to train on them
"""

from collections.abc import Sequence

from deepfake.core import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video had a problem")
    args = parser.parse_args(argv)

    from deepfake.faces.files import mark_all_landmarks
    from deepfake.jobs.work import Run

    work_dir = args.work_dir or args.videos_dir
    return mark_all_landmarks(Run("01b", "marked faces", work_dir, quiet=args.quiet, strict=args.strict))
