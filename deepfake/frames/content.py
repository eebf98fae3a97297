"""What a file is, by its first bytes: phones, messengers and users give files names that say something else."""

from pathlib import Path

from deepfake.core.errors import VideoError
from deepfake.datasets.video import IMAGE_SUFFIXES, is_image
from deepfake.frames.read import check_file

HEAD = 4096  # bytes that tell what a file is; page.js sends as many

# of ISO's base media format, as FFmpeg takes them for the beginning of a video; others are those of live streams
PIECES = (b"styp", b"moof", b"sidx", b"ssix", b"prft", b"emsg")
BOXES = (
    *(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"udta", b"uuid", b"junk", b"pict", b"prfl"),
    *PIECES,
)
# (place, bytes, the suffix of such files); the first that fits counts
SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (8, b"WEBP", ".webp"),
    (0, b"BM", ".bmp"),
    (0, b"GIF8", ".gif"),
    *((0, mark, ".tif") for mark in (b"II*\0", b"MM\0*")),
    *((4, box, ".mp4") for box in BOXES),
    (0, b"\x1aE\xdf\xa3", ".mkv"),
    (8, b"AVI", ".avi"),
    (0, b"FLV\1", ".flv"),
    (0, b"0&\xb2u\x8ef\xcf\x11", ".wmv"),
    (0, b"OggS", ".ogv"),
    (0, b".RMF", ".rm"),
    (0, b"\x06\x0e\x2b\x34", ".mxf"),
    (0, b"\x1f\x07\0", ".dv"),
    (0, b"\xb7\xd8\0 7I\xda\x11", ".wtv"),
    (0, b"nut/multimedia", ".nut"),
    (0, b"DKIF", ".ivf"),
    (0, b"\x12\0\x0a", ".obu"),
    (0, b"YUV4MPEG2", ".y4m"),
    (0, b"\0\0\x80", ".h263"),
    *((0, mark, ".mpg") for mark in (b"\0\0\1", b"\0\0\0\1")),  # program streams, and bare ones of many codecs
)
# every packet of a transport stream begins with a G: of 188 bytes, of 192 on cameras' discs, of 204 off the air
TRANSPORT_PACKETS = (188, 192, 204)
FEWEST_PACKETS = 3
PROGRAM_PACK = b"\0\0\1\xba"

# brands of ISO's image format, of AV1 and of other codecs; and of moving ones, which FFmpeg reads as videos
AVIF = {b"avif", b"avis"}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"heif", b"mif1", b"mif2", b"msf1", b"miaf", b"avci", b"jpeg"}
HEIF_VIDEOS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avcs"}

HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
PICTURES = (*IMAGE_SUFFIXES, *HEIF_SUFFIXES)  # that Pillow reads; other images, GIFs among them, FFmpeg does
JPEG_STREAMS = (".mjpg", ".mjpeg")  # begin as JPEGs do


def suffix_of(head: bytes) -> str | None:
    """The usual suffix of files that begin with these HEAD bytes (less, where there are no more); None for others."""
    if head[4:8] == b"ftyp" and (suffix := _suffix_of_brands(head)):
        return suffix
    for place, signature, suffix in SIGNATURES:
        if head.startswith(signature, place):
            return suffix
    if any(_are_packets(head, size) for size in TRANSPORT_PACKETS):
        return ".ts"
    return ".mpg" if PROGRAM_PACK in head else None  # a program stream that begins in the middle of a packet


def _suffix_of_brands(head: bytes) -> str | None:
    """The suffix of an image in ISO's format by its brands: its own, and those that it is compatible with."""
    end = min(int.from_bytes(head[:4]), len(head))
    own, brands = head[8:12], {head[8:12], *(head[place : place + 4] for place in range(16, end - 3, 4))}
    if own not in AVIF | HEIF | HEIF_VIDEOS:
        return None
    if brands & AVIF:
        return ".avif"
    return ".mp4" if brands & HEIF_VIDEOS else ".heic"


def _are_packets(head: bytes, size: int) -> bool:
    """Whether packets of this size (bytes) follow each other, wherever the file was cut."""
    return any(
        len(marks) >= FEWEST_PACKETS and marks.count(b"G") == len(marks)
        for marks in (head[start::size] for start in range(size))
    )


def read_suffix(path: Path) -> str | None:
    """The usual suffix of what a file holds, whatever it is called; None if that is not known.

    Raises:
        VideoError, OSError: it is empty, no file, or cannot be read.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    with path.open("rb") as file:
        return suffix_of(file.read(HEAD))


def is_piece(path: Path) -> bool:
    """Whether a file begins as the pieces of a live stream do, whose first file tells how to decode them."""
    with path.open("rb") as file:
        return file.read(8)[4:] in PIECES


def is_picture(path: Path) -> bool:
    """Whether a file is to be read as an image, rather than as a video; raises as `read_suffix`.

    That goes by what it holds, and only where that is not known by its name.
    """
    if path.name.lower().endswith(JPEG_STREAMS):
        return False
    return (read_suffix(path) or (".jpg" if is_image(path.name) else path.suffix.lower())) in PICTURES
