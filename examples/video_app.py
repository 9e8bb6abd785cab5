"""Finds objects in a video, camera or stream, draws them, and shows the pictures to every browser that asks.

    python examples/video_app.py 0 --model digits            # then open http://localhost:8000
    python examples/video_app.py street.mp4 --model yolov2-tiny.cfg --port 8080

Needs edgecnn with its extra [vision]. Each browser gets the newest picture; a slow one misses some.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

import edgecnn

BOUNDARY = "frame"
PAGE = b"<!doctype html><title>edgecnn</title><img src='/stream' alt='what the camera sees'>"


class Newest:
    """The newest picture, for one who makes them and any number who wait for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jpeg = b""
        self._number = 0
        self._ended = False

    def put(self, jpeg: bytes) -> None:
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes]:
        """A picture that came after *number*, with its own number; no bytes when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._number > number)
            return self._number, self._jpeg if self._number > number else b""


def make_handler(newest: Newest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in ("/", "/stream") else 404)
            if self.path != "/stream":
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(PAGE if self.path == "/" else b"not here")
                return
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            number, jpeg = newest.after(0)
            try:
                while jpeg:
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number, jpeg = newest.after(number)
                self.wfile.write(f"--{BOUNDARY}--\r\n".encode())
            except ConnectionError:  # the browser is gone
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def to_jpeg(bgr: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])).save(file, "JPEG", quality=80)
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video file, index of a camera, or URL")
    parser.add_argument("--model", default="digits", help="name of the zoo, or model file")
    parser.add_argument("--conf", type=float, default=0.25, help="least score of a box")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 shows the pictures to the whole network")
    parser.add_argument("--port", type=int, default=8000, help="0 chooses a free one")
    options = parser.parse_args()
    newest = Newest()
    with ThreadingHTTPServer((options.host, options.port), make_handler(newest)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://{options.host}:{server.server_port}", flush=True)
        try:
            with edgecnn.Detector(options.model, conf=options.conf) as detector:
                for found in detector.stream(options.source):
                    newest.put(to_jpeg(found.plot()))
                    print(f"{found.source}: {len(found)} boxes, {found.speed['inference']:.1f} ms", flush=True)
        except edgecnn.EdgeCNNError as error:
            print(f"video_app: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass
        finally:
            newest.end()
            server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
