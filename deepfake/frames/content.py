"""Detect a file's type from its first bytes, since file names from phones and messengers are often wrong."""

from pathlib import Path

from deepfake.core.errors import VideoError
from deepfake.datasets.video import IMAGE_SUFFIXES, is_image
from deepfake.frames.read import check_file

HEAD = 4096  # bytes that suffice to detect the type; page.js sends the same number

# ISO base media boxes that FFmpeg accepts at the start of a video; PIECES are those of live stream segments
PIECES = (b"styp", b"moof", b"sidx", b"ssix", b"prft", b"emsg")
BOXES = (
    *(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"udta", b"uuid", b"junk", b"pict", b"prfl"),
    *PIECES,
)
# (offset, signature, suffix); the first match counts
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
# Every packet of a transport stream begins with "G". Packets have 188 bytes, 192 on camera discs, 204 in broadcasts.
TRANSPORT_PACKETS = (188, 192, 204)
MIN_PACKETS = 3
PROGRAM_PACK = b"\0\0\1\xba"

# brands of ISO image files: AV1, other codecs, and image sequences, which FFmpeg reads as videos
AVIF = {b"avif", b"avis"}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"heif", b"mif1", b"mif2", b"msf1", b"miaf", b"avci", b"jpeg"}
HEIF_VIDEOS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avcs"}

HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
PICTURES = (*IMAGE_SUFFIXES, *HEIF_SUFFIXES)  # read by Pillow; other images, including GIF, are read by FFmpeg
JPEG_STREAMS = (".mjpg", ".mjpeg")  # same signature as a JPEG


def suffix_of(head: bytes) -> str | None:
    """Return the usual suffix of a file that begins with these bytes (up to HEAD); None if the type is unknown."""
    if head[4:8] == b"ftyp" and (suffix := _suffix_of_brands(head)):
        return suffix
    for place, signature, suffix in SIGNATURES:
        if head.startswith(signature, place):
            return suffix
    if any(_are_packets(head, size) for size in TRANSPORT_PACKETS):
        return ".ts"
    return ".mpg" if PROGRAM_PACK in head else None  # a program stream may begin in the middle of a packet


def _suffix_of_brands(head: bytes) -> str | None:
    """Return the suffix of an ISO image file from its major and compatible brands; None if it is not one."""
    end = min(int.from_bytes(head[:4]), len(head))
    own, brands = head[8:12], {head[8:12], *(head[place : place + 4] for place in range(16, end - 3, 4))}
    if own not in AVIF | HEIF | HEIF_VIDEOS:
        return None
    if brands & AVIF:
        return ".avif"
    return ".mp4" if brands & HEIF_VIDEOS else ".heic"


def _are_packets(head: bytes, size: int) -> bool:
    """Whether the bytes are packets of this size, wherever the file was cut."""
    return any(
        len(marks) >= MIN_PACKETS and marks.count(b"G") == len(marks)
        for marks in (head[start::size] for start in range(size))
    )


def read_suffix(path: Path) -> str | None:
    """Return the usual suffix for a file's content, whatever its name; None if the type is unknown.

    Raises:
        VideoError, OSError: the file is empty, missing, not a regular file, or cannot be read.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    with path.open("rb") as file:
        return suffix_of(file.read(HEAD))


def is_piece(path: Path) -> bool:
    """Whether a file is a segment of a live stream, which cannot be decoded without the stream's first file."""
    with path.open("rb") as file:
        return file.read(8)[4:] in PIECES


def is_picture(path: Path) -> bool:
    """Whether to read a file as an image rather than a video, by its content, or by its name if that is unknown.

    Raises:
        VideoError, OSError: as `read_suffix`.
    """
    if path.name.lower().endswith(JPEG_STREAMS):
        return False
    return (read_suffix(path) or (".jpg" if is_image(path.name) else path.suffix.lower())) in PICTURES
