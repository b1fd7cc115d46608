"""postgres.py owns a private PostgreSQL: a cluster of its own on a unix socket, databases made from a migrated template,
and the ways in which a server goes away."""
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from waiting import await_true

START_LIMIT_S = 60
SETTINGS = """
listen_addresses = ''
port = {port}
unix_socket_directories = '{folder}'
fsync = off
full_page_writes = off
shared_buffers = 32MB
autovacuum = off
"""


def tool(name):
    """Path of a program of PostgreSQL, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [shutil.which(name)]
    assert found[-1], f"needs {name}: install the package postgresql-15"
    return str(found[-1])


def free_port():
    """Of those that the kernel gives to nobody who asks for any: one of these may be taken before its server starts."""
    given_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(min(10000, given_from // 2), given_from), 100):
        with socket.socket() as own:
            if own.connect_ex(("127.0.0.1", port)):  # nobody is there
                return port
    raise AssertionError("no free port")


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    """A program in a folder of its own, as user postgres where we are root: neither PostgreSQL nor pgbouncer wants
    root. It ends with this process."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gpusize-pg-", dir="/tmp")  # short: a socket's path has 107 bytes
        self.server = None
        rights = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.prefix = ["setpriv", *rights, "--pdeathsig=QUIT"]
        if rights:
            shutil.chown(self.folder, "postgres", "postgres")

    def run(self, command):
        done = subprocess.run([*self.prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd="/")
        assert done.returncode == 0, done.stdout

    def launch(self, *command):
        """Starts it and waits until it lets us in."""
        with open(f"{self.folder}/log", "ab") as log:
            self.server = subprocess.Popen([*self.prefix, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd="/")
        deadline = time.monotonic() + START_LIMIT_S
        while subprocess.run([tool("psql"), *self.options("postgres"), "-c", "select 1"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode:
            assert self.server.poll() is None and time.monotonic() < deadline, Path(self.folder, "log").read_text()
            time.sleep(0.02)

    def processes(self):
        """Ids of the server and of those that it started."""
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children", encoding="ascii") as children:
            return [self.server.pid, *map(int, children.read().split())]

    def stop(self, how=signal.SIGQUIT):
        """SIGQUIT is an immediate shutdown: no goodbye to anybody, recovery at the next start. SIGKILL leaves orphans,
        which end when they see it: a new server must wait for them."""
        before = self.processes()
        self.server.send_signal(how)
        self.server.wait()
        await_true(lambda: not any(is_alive(pid) for pid in before))

    def close(self):
        if self.server.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)

    def options(self, database):
        return ["-h", self.folder, "-p", str(self.port), "-U", "postgres", "-d", database, "-XqAt",
                "-v", "ON_ERROR_STOP=1"]

    def sql(self, database, text):
        """What psql prints: a line a row, fields apart by |."""
        done = subprocess.run([tool("psql"), *self.options(database), "-c", text], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self, database, user="postgres"):
        return f"postgresql:///{database}?host={self.folder}&port={self.port}&user={user}"


class Session:
    """A psql that keeps its transactions and their locks until they end, or it does."""

    def __init__(self, server, database):
        self.process = subprocess.Popen([tool("psql"), *server.options(database)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, text):
        """Returns what it printed when it is done."""
        self.process.stdin.write(f"{text};\n\\echo done\n")
        self.process.stdin.flush()
        lines = []
        while not lines or lines[-1] != "done\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], lines
        return "".join(lines[:-1]).strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()


class Cluster(Server):
    """settings: further lines of postgresql.conf. primary: what it is a hot standby of."""

    def __init__(self, settings="", primary=None, port=5432):
        super().__init__()
        self.port = port
        self.template = False
        self.count = 0
        self.data = f"{self.folder}/data"
        self.run([tool("pg_basebackup"), "-d", primary.url("postgres"), "-D", self.data, "-R", "-c", "fast", "--no-sync"]
                 if primary else [tool("initdb"), "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                                  "--locale=C.UTF-8", "--no-sync"])
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(folder=self.folder, port=self.port) + settings)
        self.start()

    def start(self):
        self.launch(tool("postgres"), "-D", self.data)

    def migrate(self, program, database, user="postgres"):
        environment = {**os.environ, "DATABASE_URL": self.url(database, user)}
        done = subprocess.run([program, "migrate"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout

    def database(self, program):
        """A new database with the built-in catalog; the name of it."""
        if self.server.poll() is not None:  # a test that failed left it so
            self.start()
        if not self.template:
            self.sql("postgres", "create database template_gpusize")
            self.migrate(program, "template_gpusize")
            self.template = True
        return self.empty_database("template_gpusize")

    def empty_database(self, template="template1", owner="postgres"):
        self.count += 1
        name = f"test_{self.count}"
        self.sql("postgres", f"create database {name} template {template} owner {owner}")
        return name
