"""pooler.py owns a pgbouncer of our own before a cluster: transaction mode, few connections to the server."""
import shutil
import signal

from postgres import Server

SETTINGS = """
[databases]
* = host={cluster} port={cluster_port} user=postgres
[pgbouncer]
unix_socket_dir = {folder}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""


class Pooler(Server):
    def __init__(self, cluster, size):
        super().__init__()
        self.port = 6432
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
        assert program, "needs pgbouncer: install the package pgbouncer"
        with open(f"{self.folder}/settings", "w", encoding="utf-8") as file:
            file.write(SETTINGS.format(cluster=cluster.folder, cluster_port=cluster.port, folder=self.folder,
                                       port=self.port, size=size))
        self.command = program, f"{self.folder}/settings"
        self.start()

    def start(self):
        self.launch(*self.command)

    def close(self):
        if self.server.poll() is None:
            self.stop(signal.SIGTERM)
        shutil.rmtree(self.folder)
