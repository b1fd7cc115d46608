"""hook.py owns a real HTTP server on 127.0.0.1 that takes POSTs as a test wants: answers, fails, or hangs."""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hook:
    """statuses: what is answered in turn, the last one from then on; None hangs until the end."""

    def __init__(self, *statuses):
        self.statuses = list(statuses) or [200]
        self.posts = []  # (path, headers, body)
        self.lock = threading.Lock()
        self.released = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hook.lock:
                    hook.posts.append((self.path, self.headers, body))
                    status = hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0]
                if status is None:
                    hook.released.wait(60)
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
