"""The zoo: manifest, finding files, and downloads against a server on this machine."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.errors import DownloadError, ModelError
from edgecnn.importers import import_model
from edgecnn.zoo import cache, download, labels
from edgecnn.zoo.manifest import FileEntry

CONTENT = np.random.default_rng(5).integers(0, 256, 300_000).astype(np.uint8).tobytes()
FILE = FileEntry("model.weights", "https://example.invalid/w", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves ``files``; the attributes make it misbehave."""

    daemon_threads = True
    files: dict[str, bytes]
    ranges = True  # understands Range
    cut_after: int | None = None  # closes the connection after so many bytes of a body, once
    requests: list[tuple[str, str | None]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        name = self.path.lstrip("/")
        self.server.requests.append((name, wanted))
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and self.server.ranges else 0  # type: ignore[union-attr]
        if start and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        part = body[start:]
        if self.server.cut_after is not None:
            part, self.server.cut_after = part[: self.server.cut_after], None
            self.close_connection = True
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with ThreadedServer() as running:
        monkeypatch.setenv("EDGECNN_MODELS_URL", running.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield running


class ThreadedServer:
    def __enter__(self) -> Server:
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.files, self._server.requests = {FILE.name: CONTENT}, []
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and home folder of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGECNN_MODELS", raising=False)
    return tmp_path


def published(data_dir: Path, home: Path, name: str) -> Path:
    """A folder with the files of a published model under the zoo's names, taken from the data folder by checksum."""
    by_digest = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for path in (data_dir / "darknet").glob("*/*")
        if path.stat().st_size < 5_000_000
    }
    folder = home / "offline"
    folder.mkdir()
    entry = next(entry for entry in zoo.list_models() if entry.name == name)
    for file in entry.files:
        (folder / file.name).write_bytes(by_digest[file.sha256].read_bytes())
    return folder


class TestManifest:
    def test_entries(self) -> None:
        entries = zoo.list_models()
        assert len({entry.name for entry in entries}) == len(entries)
        assert {"digits", "lenet-digits", "yolo-lite-voc", "yolo-fastest-1.1"} <= {entry.name for entry in entries}
        for entry in entries:
            assert entry.task in ("detect", "classify") and entry.labels and entry.licence
            for file in entry.files:
                assert file.name.startswith(entry.name)
                if not entry.shipped:
                    assert re.fullmatch(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/\S+", file.url)
                    assert file.size > 0 and re.fullmatch(r"[0-9a-f]{64}", file.sha256)

    @pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/b", "", ".hidden", "a\\b"])
    def test_file_names_are_plain(self, name: str) -> None:
        with pytest.raises(ModelError, match="plain file name"):
            FileEntry(name)

    def test_default_labels(self) -> None:
        assert labels.default_labels(20) == labels.VOC and labels.default_labels(80) == labels.COCO
        assert labels.default_labels(2) == ("class 0", "class 1")
        assert len(labels.VOC) == 20 and len(labels.COCO) == 80


class TestResolve:
    @pytest.mark.parametrize("name", ["digits", "lenet-digits"])
    def test_shipped(self, home: Path, name: str) -> None:
        files = zoo.resolve(name)
        graph = import_model(files.model, files.weights)
        entry = next(entry for entry in zoo.list_models() if entry.name == name)
        assert graph.metadata.task == entry.task
        assert graph.input_specs[0].shape[2:] == entry.input[::-1]
        assert graph.metadata.preprocess == files.preprocess
        assert len(files.labels) == 10

    def test_unknown(self) -> None:
        with pytest.raises(ModelError, match="did you mean yolo-lite-voc"):
            zoo.resolve("yolo-lite-vok")
        with pytest.raises(ModelError, match="The zoo has digits"):
            zoo.resolve("../../etc/passwd")

    def test_not_here(self, home: Path) -> None:
        with pytest.raises(ModelError, match="edgecnn models pull yolo-lite-voc"):
            zoo.resolve("yolo-lite-voc")
        assert not zoo.is_available("yolo-lite-voc")

    @pytest.mark.parametrize("subfolder", [False, True])
    def test_offline_folder(self, home: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, subfolder: bool) -> None:
        folder = published(data_dir, home, "yolo-lite-voc")
        if subfolder:
            folder.rename(home / "yolo-lite-voc")
        monkeypatch.setenv("EDGECNN_MODELS", str(home if subfolder else folder))
        files = zoo.resolve("yolo-lite-voc")
        assert files.labels == labels.VOC and files.preprocess.resize == "stretch"
        assert import_model(files.model, files.weights).output_specs[0].shape == (1, 125, 7, 7)
        assert zoo.pull("yolo-lite-voc") == files  # there already, so nothing is fetched

    def test_another_file_under_the_name(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / "yolo-lite-voc.cfg").write_text("[net]\n")
        monkeypatch.setenv("EDGECNN_MODELS", str(home))
        with pytest.raises(DownloadError, match=r"yolo-lite-voc\.cfg: 6 bytes instead of 1262"):
            zoo.resolve("yolo-lite-voc")

    def test_cache_without_platformdirs(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "platformdirs", None)
        assert cache.cache_folder() == home / "cache" / "edgecnn" / "models"
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache.cache_folder() == home / "home" / ".cache" / "edgecnn" / "models"


class TestFetch:
    """Whatever goes wrong, nothing but the right file ever has the final name."""

    def test_whole(self, server: Server, tmp_path: Path) -> None:
        seen: list[tuple[str, int, int]] = []
        path = download.fetch(FILE, tmp_path / "new" / "folder", lambda *row: seen.append(row))
        assert path.read_bytes() == CONTENT
        assert [p.name for p in path.parent.iterdir()] == [FILE.name]
        assert seen[0] == (FILE.name, 0, FILE.size) and seen[-1] == (FILE.name, FILE.size, FILE.size)

    def test_resumes(self, server: Server, tmp_path: Path) -> None:
        server.cut_after = 100_000
        with pytest.raises(DownloadError, match="after 100000 of 300000 bytes"):
            download.fetch(FILE, tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == [f"{FILE.name}.part"]
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT
        assert server.requests == [(FILE.name, None), (FILE.name, "bytes=100000-")]
        assert [p.name for p in tmp_path.iterdir()] == [FILE.name]

    def test_server_that_cannot_resume(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT[:1000])
        server.ranges = False
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT

    def test_part_of_another_file(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{FILE.name}.part").write_bytes(b"x" * 1000)
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT
        assert [request[1] for request in server.requests] == ["bytes=1000-", None]

    def test_part_longer_than_the_file(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT + b"x")
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT

    @pytest.mark.parametrize(
        ("body", "mentions"),
        [
            (CONTENT[:-1] + b"!", "sha256"),
            (CONTENT + b"!", "instead of 300000"),
            (b"<html>sign in</html>", "after 20 of 300000 bytes"),
            (b"", "after 0 of 300000"),
        ],
    )
    def test_wrong_content(self, server: Server, tmp_path: Path, body: bytes, mentions: str) -> None:
        server.files[FILE.name] = body
        with pytest.raises(DownloadError, match=mentions):
            download.fetch(FILE, tmp_path)
        assert not (tmp_path / FILE.name).exists()
        server.files[FILE.name] = CONTENT
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT

    def test_not_found(self, server: Server, tmp_path: Path) -> None:
        server.files.clear()
        with pytest.raises(DownloadError, match="404"):
            download.fetch(FILE, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_offline(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGECNN_MODELS_URL", "http://127.0.0.1:9")
        with pytest.raises(DownloadError, match=r"Offline\? Put model\.weights .* EDGECNN_MODELS"):
            download.fetch(FILE, tmp_path)

    @pytest.mark.parametrize("base", ["ftp://127.0.0.1", "file:///etc", "127.0.0.1"])
    def test_other_schemes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
        monkeypatch.setenv("EDGECNN_MODELS_URL", base)
        with pytest.raises(DownloadError, match="must start with https"):
            download.fetch(FILE, tmp_path)

    def test_only_https_without_override(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EDGECNN_MODELS_URL", raising=False)
        with pytest.raises(DownloadError, match="only https"):
            download.fetch(FileEntry("a.cfg", "http://127.0.0.1/a.cfg", 1, "0" * 64), tmp_path)

    def test_unwritable_folder(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DownloadError, match="cannot be written"):
            download.fetch(FILE, tmp_path / "file" / "below")

    def test_interrupted_by_the_user(self, server: Server, tmp_path: Path) -> None:
        def interrupt(name: str, have: int, total: int) -> None:
            if have >= 65536:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download.fetch(FILE, tmp_path, interrupt)
        (part,) = tmp_path.iterdir()
        assert part.name == f"{FILE.name}.part" and CONTENT.startswith(part.read_bytes())

    def test_part_of_a_killed_process(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        orphan = tmp_path / f"{FILE.name}.0123abcd.part"
        orphan.write_bytes(CONTENT[:5000])
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT  # it may be in use: left alone
        assert orphan.exists()
        (tmp_path / FILE.name).unlink()
        monkeypatch.setattr(download, "ABANDONED_SECONDS", -1.0)
        assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT
        assert server.requests[-1] == (FILE.name, "bytes=5000-") and not orphan.exists()

    def test_two_at_once(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT[:1000])
        failures: list[BaseException] = []

        def work() -> None:
            try:
                assert download.fetch(FILE, tmp_path).read_bytes() == CONTENT
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert [p.name for p in tmp_path.iterdir()] == [FILE.name]


def test_pull(server: Server, home: Path, data_dir: Path) -> None:
    folder = published(data_dir, home, "yolo-lite-voc")
    server.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files = zoo.pull("yolo-lite-voc")
    assert zoo.resolve("yolo-lite-voc") == files
    assert files.model == cache.cache_folder() / "yolo-lite-voc" / "yolo-lite-voc.cfg"
    assert len(server.requests) == 2
    zoo.pull("yolo-lite-voc")
    assert len(server.requests) == 2  # there already

    assert files.weights is not None
    files.weights.write_bytes(files.weights.read_bytes()[:-4])  # damaged on disk: said, and fetched anew
    with pytest.raises(DownloadError, match="2289280 bytes instead of 2289284"):
        zoo.resolve("yolo-lite-voc")
    zoo.pull("yolo-lite-voc")
    assert zoo.resolve("yolo-lite-voc") == files


def test_pull_of_a_shipped_model(home: Path) -> None:
    assert zoo.pull("digits") == zoo.resolve("digits")
