"""nginx.py owns an nginx of our own before services: which ones may change while it runs."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from postgres import free_port
from waiting import await_true

START_LIMIT_S = 30
SETTINGS = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream gpusize {{
{servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        add_header X-Upstream $upstream_addr always;
        location / {{
            proxy_pass http://gpusize;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            # A connection that an ending process closes while the next request is on its way is used once more elsewhere.
            proxy_next_upstream error timeout http_503;
            proxy_next_upstream_tries 3;
        }}
    }}
}}
"""


class Nginx:
    """before: (host, port) of each service."""

    def __init__(self, before):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
        assert program, "needs nginx: install the package nginx-light"
        self.folder = tempfile.mkdtemp(prefix="gpusize-nginx-")
        self.port = free_port()
        self.configure(before)
        self.process = subprocess.Popen([program, "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def log(self):
        file = Path(self.folder, "error.log")
        return file.read_text() if file.exists() else ""

    def configure(self, before):
        servers = "\n".join(f"        server {host}:{port} max_fails=0;" for host, port in before)
        text = SETTINGS.format(folder=self.folder, port=self.port, servers=servers,
                               user="user root;" if os.geteuid() == 0 else "")
        Path(self.folder, "nginx.conf").write_text(text)

    def workers(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as children:
            return set(children.read().split())

    def lead_to(self, before):
        """As a list of endpoints changes: returns when new requests go to these only."""
        old = self.workers()
        self.configure(before)
        self.process.send_signal(signal.SIGHUP)
        await_true(lambda: self.workers() and not self.workers() & old)

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder)
