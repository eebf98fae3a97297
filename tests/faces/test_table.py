"""Addresses of crop tables: on any filesystem, with one-line errors."""

import http.server
import importlib
import threading
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_faces, table_rows, write_metadata, write_table

from deepfake.core.errors import UserError
from deepfake.faces.table import absolute, hint_at_table, open_rows
from deepfake.split.store import FolderStore, TableStore, open_store, write_mark
from deepfake.split.table_reader import find_places, list_crops, read_places


@pytest.fixture
def table(tmp_path):
    make_faces(tmp_path / "work", "a", frames=3)
    make_faces(tmp_path / "work", "b", frames=4)
    return write_table(tmp_path / "_my .crops" / "table", *table_rows(tmp_path / "work"))


def refused(address, kind="crop", columns=("video", "png")):
    with pytest.raises(UserError) as error:
        open_rows(str(address), kind, columns)
    assert "\n" not in str(error.value) and str(address) in str(error.value)
    return str(error.value)


def test_a_path_is_an_address_and_so_is_its_uri(table, monkeypatch):
    uri = table.as_uri()
    for address in (str(table), uri, f"file:{uri.removeprefix('file://')}", f"file://{table}", f"file:{table}/"):
        assert open_rows(address, "crop", ("video", "png")).count_rows() == 7
        assert open_rows(address, "video", ("video",)).schema.names == ["video"]
    monkeypatch.chdir(table.parent)
    assert absolute("table") == absolute("./table/") == str(table)
    odd = table.rename(table.with_name("a [1] #2? 50%"))
    assert open_rows(f"file://{odd}", "crop", ("video",)).count_rows() == 7
    assert absolute("s3a://bucket/x") == "s3a://bucket/x"


def test_an_address_with_a_password_is_refused():
    with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID") as error:
        absolute("s3a://me:secret@bucket/x")
    assert "secret" not in str(error.value)


def test_a_folder_without_crops_is_a_one_line_error(tmp_path, table):
    assert "no kind=crop/" in refused(tmp_path / "nowhere")
    assert "no kind=crop/" in refused(tmp_path)
    (tmp_path / "empty/kind=crop").mkdir(parents=True)
    (tmp_path / "empty/kind=crop/_SUCCESS").touch()
    assert "no Parquet file" in refused(tmp_path / "empty")
    (tmp_path / "other/kind=crop").mkdir(parents=True)
    pq.write_table(pa.table({"video": ["a"]}), tmp_path / "other/kind=crop/part.parquet")
    assert "no column png" in refused(tmp_path / "other")
    (tmp_path / "text/kind=crop").mkdir(parents=True)
    (tmp_path / "text/kind=crop/notes.txt").write_text("mine")
    assert "cannot be read" in refused(tmp_path / "text")
    pq.write_table(
        pa.table({"video": ["a"], "png": ["a"], "landmarks": ["x"]}), tmp_path / "other/kind=crop/part.parquet"
    )
    with pytest.raises(UserError, match="cannot be read"):
        open_rows(str(tmp_path / "other"), "crop", ("landmarks",))


def test_an_unavailable_filesystem_is_a_one_line_error(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "cannot be opened" in refused("ftp://host/crops")
    for address in ("hdfs://namenode:8020/crops", "hdfs:///crops"):
        reason = refused(address)
        assert "cannot be opened" in reason and "hadoop classpath" in reason
    assert "no kind=crop/" in refused("mock:///crops")


def test_the_address_of_a_split_folder_is_in_one_small_file(tmp_path, table):
    assert open_store(tmp_path) == FolderStore(tmp_path)
    write_mark(TableStore(tmp_path, str(table)))
    assert open_store(tmp_path) == TableStore(tmp_path, str(table))
    for text in ("[", "[]", '{"crops": 5}', '{"crop_rule": {"margin": "wide"}}'):
        (tmp_path / "crops.json").write_text(text)
        with pytest.raises(UserError, match=r"crops\.json: .*run step 02 again"):
            open_store(tmp_path)


def test_only_a_folder_with_a_table_is_said_to_hold_one(tmp_path, table):
    assert hint_at_table(tmp_path) == "" and "--crops" in hint_at_table(table)


@pytest.mark.parametrize("tool", ["explore.__main__", "commands.gallery"])
def test_steps_that_read_files_say_that_they_read_no_parquet(tool, table, tmp_path, monkeypatch):
    write_metadata(tmp_path, {"a.mp4": "REAL", "b.mp4": {"label": "FAKE", "original": "a.mp4"}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [tool, "--videos-dir", str(tmp_path), "--work-dir", str(table)])
    with pytest.raises(UserError, match=r"table: .* in Parquet, which only steps 02 .*--crops instead of --work-dir"):
        importlib.import_module(f"deepfake.{tool}").main()


# an object store: what pyarrow's own client asks of one to list and read, from files


class Store(http.server.BaseHTTPRequestHandler):
    root: Path

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        path = self.root / unquote(urlsplit(self.path).path).strip("/")
        if not path.is_file():
            return self.answer(404)
        return self.answer(200, Content_Length=path.stat().st_size)

    def do_GET(self):
        url = urlsplit(self.path)
        query, path = parse_qs(url.query), self.root / unquote(url.path).strip("/")
        if "list-type" in query:
            return self.answer(200, self.listing(path, query.get("prefix", [""])[0]), Content_Type="application/xml")
        if not path.is_file():
            return self.answer(404)
        data, first = path.read_bytes(), 0
        if wanted := self.headers.get("Range"):
            first, last = (int(text) for text in wanted.removeprefix("bytes=").split("-"))
            part = data[first : last + 1]
            return self.answer(206, part, Content_Range=f"bytes {first}-{last}/{len(data)}")
        return self.answer(200, data)

    def listing(self, bucket, prefix):
        files = [path for path in sorted(bucket.rglob("*")) if path.is_file()]
        keys = {path.relative_to(bucket).as_posix(): path.stat().st_size for path in files}
        found = [
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size></Contents>"
            for key, size in keys.items()
            if key.startswith(prefix)
        ]
        return f"<ListBucketResult><KeyCount>{len(found)}</KeyCount>{''.join(found)}</ListBucketResult>".encode()


@pytest.mark.slow
def test_crops_of_an_object_store_are_read_as_those_of_a_folder(table, tmp_path, monkeypatch):
    class OfTable(Store):
        root = tmp_path / "_my .crops"

    for name, value in {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfTable)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"s3a://table?scheme=http&endpoint_override=127.0.0.1:{server.server_port}"
    try:
        there, here = list_crops(address), list_crops(str(table))
        assert there.rows == here.rows and there.people == here.people
        for at in (address, str(table)):
            ((numbers, pngs),) = read_places(find_places(at, [("b", 3, 0)]), at)
            assert (numbers.tolist(), pngs) == ([0], [(tmp_path / "work/b/faces/b-003-00.png").read_bytes()])
    finally:
        server.shutdown()
    with pytest.raises(UserError, match=r"s3a://.*cannot be read"):
        list_crops("s3a://table?scheme=http&endpoint_override=127.0.0.1:9")
