"""Files that refer to other files or URLs: only the file itself is opened."""

import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import make_video, number_in, picture

from deepfake.core.errors import VideoError
from deepfake.frames import streams
from deepfake.frames.decoding import read_frames, read_packets
from deepfake.frames.streams import open_video

SECRET = 201  # the number in the picture that another file of this disk shows

# what FFmpeg is told in order that such files work at all: each of these is on by default in some version or program
GULLIBLE = {
    "protocol_whitelist": "file,http,tcp,concat,rtp,udp,data",
    "extension_picky": "0",
    "allowed_extensions": "ALL",
    "safe": "0",
    "enable_drefs": "1",
    "use_absolute_path": "1",
}


@pytest.fixture
def secret(tmp_path) -> Path:
    """A video elsewhere on the disk, which hostile files try to show; all its frames have one known value."""
    path = tmp_path / "private" / "secret.ts"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(SECRET, 64, 48), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def address(secret) -> Iterator[tuple[str, list[str]]]:
    """The URL of the same video on a local server, and the list of requests to it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(secret.stat().st_size))
            self.end_headers()
            self.wfile.write(secret.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret.ts", asked
    server.shutdown()
    thread.join()
    server.server_close()


def hls(target: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"


def ffconcat(target: str) -> str:
    return f"ffconcat version 1.0\nfile '{target}'\n"


def gullible(path: Path, name: str | None = None) -> list[int]:
    """The numbers that a video of all rights shows, opened by a program that follows whatever it says."""
    with av.open(name or f"file:{path}", container_options=GULLIBLE) as container:
        return [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a"])
@pytest.mark.parametrize("make", [hls, ffconcat])
@pytest.mark.parametrize("where", ["file", "http"])
def test_a_playlist_opens_neither_another_file_nor_an_address(tmp_path, secret, address, make, where, name):
    url, asked = address
    path = tmp_path / name
    path.write_text(make(url if where == "http" else f"file://{secret}" if make is hls else str(secret)))
    # FFmpeg takes HLS for such by its name only
    if make is ffconcat or name == "a.m3u8":
        assert set(gullible(path)) == {SECRET} and bool(asked) == (where == "http")
    asked.clear()
    with pytest.raises((VideoError, av.InvalidDataError)):
        read_packets(path)
    assert not asked


@pytest.mark.parametrize("name", ["concat:private/secret.ts", "http:secret.ts", "private%2Fsecret.ts", "%d.mp4"])
def test_a_name_like_a_url_is_opened_as_a_file(tmp_path, monkeypatch, secret, name):
    monkeypatch.chdir(tmp_path)
    if name.startswith("concat:"):
        assert set(gullible(secret, name)) == {SECRET}
    path = Path(name)
    with pytest.raises(FileNotFoundError):
        open_video(path)
    make_video(tmp_path / "own.mp4", frames=2)
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "own.mp4").rename(path)
    assert [number_in(frame.image) for frame in read_frames(path, [0, 1], read_packets(path))] == [0, 1]


def test_an_image_named_like_a_pattern_opens_no_other_images(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", picture(SECRET, 64, 48))[1])
    path = tmp_path / "%d.png"
    path.write_bytes(cv2.imencode(".png", picture(7, 64, 48))[1])
    assert gullible(path) == [SECRET] * 3
    with pytest.raises(VideoError):
        read_packets(path)


def test_a_movie_does_not_read_frames_from_another_file(tmp_path):
    shown = make_video(tmp_path / "shown.mp4", frames=5, codec="mpeg4")
    hostile = tmp_path / "hostile.mp4"
    hostile.write_bytes(with_external_data(shown.read_bytes(), shown))
    assert gullible(hostile) == [0, 1, 2, 3, 4]
    table = read_packets(hostile)
    assert read_frames(hostile, range(table.frames), table) == []


def with_external_data(data: bytes, other: Path) -> bytes:
    """An mp4 as it is, but empty of pictures, and with an alias to another file that has them at the same places."""
    place = data.index(b"mdat")
    end = place - 4 + int.from_bytes(data[place - 4 : place])
    changed = bytearray(data[: place + 4] + bytes(end - place - 4) + data[end:])
    # an alias record: volume and file name, left empty, then its one tag: the path on the disk, and the end of the tags
    name = str(other).encode() + b"\0" * (len(str(other)) % 2)
    alias = bytes(150) + struct.pack(">HH", 2, len(name)) + name + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", len(alias) + 12, b"alis", 0) + alias
    place = changed.index(b"dref") - 4
    (size,) = struct.unpack_from(">I", changed, place)
    changed[place + 16 : place + size] = entry  # instead of `url `, which says: in this file
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = changed.index(box) - 4
        (before,) = struct.unpack_from(">I", changed, place)
        struct.pack_into(">I", changed, place, before + 16 + len(entry) - size)
    return bytes(changed)


NO_VIDEOS: dict[str, Callable[[], bytes]] = {
    "subtitles": lambda: b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "sdp": lambda: b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n",
    "text": lambda: b"This is no video.\n" * 100,
    "page": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "dash": lambda: b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>',
    "noise": lambda: np.random.default_rng(0).bytes(10_000),
}


@pytest.mark.parametrize("kind", NO_VIDEOS)
@pytest.mark.parametrize("suffix", [".mp4", ".txt", ".svg", ".sdp", ""])
def test_a_file_that_is_not_a_video_is_refused_whatever_its_name(tmp_path, kind, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(NO_VIDEOS[kind]())
    with pytest.raises((VideoError, av.InvalidDataError)):
        open_video(path)


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("libvpx", "a.webm"), ("libx264", "a.ts")])
def test_frames_too_large_for_memory_are_not_decoded(tmp_path, monkeypatch, codec, name):
    path = make_video(tmp_path / name, frames=3, size=(320, 240), codec=codec)
    table = read_packets(path)
    assert len(read_frames(path, [0, 1, 2], table)) == 3
    monkeypatch.setattr(streams, "MAX_PIXELS", 320 * 240 - 1)
    with pytest.raises(VideoError, match="too large: 320 x 240"):
        read_packets(path)


def test_frames_larger_than_the_header_says_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MAX_PIXELS", 320 * 240)
    large = make_video(tmp_path / "large.ts", frames=3, size=(640, 480))
    small = make_video(tmp_path / "small.ts", frames=3, size=(320, 240))
    small.write_bytes(small.read_bytes() + large.read_bytes())
    table = read_packets(small)
    assert {frame.image.shape for frame in read_frames(small, range(table.frames), table)} == {(240, 320, 3)}
