"""service.py owns one running `gpusize serve`: starts it on a free port, talks to it, ends it by its process id, and
fails if a sanitizer has spoken."""
import http.client
import json as json_module
import re
import socket
import subprocess
import threading
import urllib.parse

from contract import parse_json

START_LIMIT_S = 60
STOP_LIMIT_S = 60
ANSWER_LIMIT_S = 120
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return parse_json(self.text)


class Service:
    """log: the lines that the process has printed on standard output and standard error."""

    def __init__(self, program, contract, *arguments, env=None):
        self.contract = contract
        self.log = []
        self.listening = threading.Event()
        self.address = None
        self.process = subprocess.Popen(
            [program, "serve", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
            text=True, encoding="utf-8", errors="replace",
        )
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.listening.wait(START_LIMIT_S)
        if not self.address:
            self.process.kill()
            self.reader.join()
            raise AssertionError("the service did not start:\n" + "".join(self.log))

    def read_log(self):
        for line in self.process.stdout:
            self.log.append(line)
            found = re.search(r"listening on http://([^:/\s\"]+|\[[^\]]+\]):(\d+)", line)
            if found and not self.address:
                self.address = (found[1].strip("[]"), int(found[2]))
                self.listening.set()
        self.listening.set()  # it has ended

    def call(self, method, path, *, query=None, json=None, body=None, headers=None, check=True):
        """One request on a connection of its own; the answer is checked against the contract. `query` is a mapping or
        a list of pairs; `json` is sent as application/json, `body` (bytes) as it is."""
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        headers = dict(headers or {})
        if json is not None:
            body = json_module.dumps(json).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(*self.address, timeout=ANSWER_LIMIT_S)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            answer = Answer(response, response.read())
        finally:
            connection.close()
        if check and "Content-Encoding" not in answer.headers:
            self.contract.check(method, path.split("?")[0], answer)
        return answer

    def raw(self, request, quiet_s=2):
        """Sends bytes as they are. Returns what comes back until the service closes the connection or says nothing
        more for `quiet_s`."""
        received = b""
        with socket.create_connection(self.address, timeout=ANSWER_LIMIT_S) as connection:
            try:
                connection.sendall(request)
                connection.settimeout(quiet_s)
                while chunk := connection.recv(65536):
                    received += chunk
            except (ConnectionError, socket.timeout):
                pass
        return received

    def stop(self):
        """Ends it as a service manager does; a crash, a sanitizer's report or a hang fails."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "none: it had to be killed"
        self.reader.join()
        output = "".join(self.log)
        assert not SANITIZER.search(output), output[-20000:]
        assert status == 0, f"exit status {status}\n{output[-4000:]}"
