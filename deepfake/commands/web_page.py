"""Step 06: a page in the browser: drop a video or an image there, and see the verdict and the evidence.

Only this computer can open the page. Uploads are deleted after their scan; the last scans are kept in memory.

Reads:  a saved model and the .json beside it: your own, or the starter that comes with the project
Writes: nothing that stays
"""

from collections.abc import Sequence

from deepfake.core import cli
from deepfake.faces.options import add_crop_options, said_of_crops
from deepfake.models.info import Given
from deepfake.models.options import add_aggregate_option, add_model_option


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__)
    add_model_option(parser)
    parser.add_argument("--port", type=cli.whole_number(0, 65535), default=7860, help="0: any that is free")
    parser.add_argument("--max-mb", type=cli.number(0.001), default=200, help="megabytes of an upload")
    parser.add_argument("--max-seconds", type=cli.number(0), default=300, help="length of a video")
    parser.add_argument("--timeout", type=cli.number(0.1), default=120, help="seconds that a scan may take")
    add_crop_options(parser)
    cli.add_options(parser, Given, "min_face_pixels", "threshold", "pixel_max", "positive")
    add_aggregate_option(parser)
    args = parser.parse_args(argv)

    from deepfake.models.starter import choose_model
    from deepfake.web.app import serve_page
    from deepfake.web.uploads import Limits

    given = cli.options_of(Given, args, said=said_of_crops(args))
    limits = Limits(args.max_mb, args.max_seconds)
    serve_page(choose_model(args.model, "06"), args.port, limits, args.timeout, given, args.aggregate)
