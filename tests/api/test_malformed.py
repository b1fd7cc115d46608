"""test_malformed.py sends the requests of malformed.txt to a real process: each must be refused exactly as the file
says, and the process must go on, on the same connection where HTTP allows it."""
import http.client
import re
import socket
from pathlib import Path

import pytest

from contract import parse_json

CASES = Path(__file__).parent / "malformed.txt"
REASONABLE_S = 60


class Case:
    def __init__(self, block):
        title, *lines = block.strip("\n").split("\n")
        end = lines.index(next(line for line in lines if line.startswith("---")))
        self.name = title
        self.status, *self.notes = lines[end].split()[1:] or ["?"]
        self.errors = lines[end + 1:]
        self.method, target = lines[0].split(" ", 1)
        self.headers = dict(line[2:].split(": ", 1) for line in lines[1:end] if line.startswith("> "))
        rest = b"".join(expand(line) for line in lines[1:end] if not line.startswith("> "))
        self.target = target.encode() + (rest if self.method == "GET" else b"")
        self.body = rest if self.method != "GET" else b""


def expand(line):
    if line.startswith("@repeat "):
        _, count, text = line.split(" ", 2)
        return text.encode() * int(count)
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), line.encode())


def cases():
    blocks = re.split(r"^=== ", CASES.read_text(encoding="utf-8"), flags=re.M)
    return [Case(block) for block in blocks[1:]]


class Connection:
    """One connection on which requests follow each other, spelt out byte by byte."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=REASONABLE_S)

    def ask(self, method, target, headers, body=b""):
        lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1"]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        try:
            self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was sent: the answer is there
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        return response, response.read()

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


def send(connection, case):
    headers = dict(case.headers)
    if case.method != "GET":
        headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Content-Length", str(len(case.body)))
    return connection.ask(case.method, case.target, headers, case.body)


def told(answer):
    """The errors of a problem, a line each, as malformed.txt has them."""
    lines = (f"{error['field'] or '-'} {error['code']}: {error['detail']}" for error in answer["errors"])
    return [line.replace("\n", "\\n") for line in lines]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_refused_exactly(service, contract, case):
    connection = Connection(service.address)
    try:
        response, body = send(connection, case)
        assert response.status == int(case.status), body[:500]
        closes = response.headers.get("Connection", "").lower() == "close"
        assert closes == ("close" in case.notes)
        if "bare" not in case.notes:  # refused by the HTTP library
            answer = parse_json(body.decode())
            contract.check_schema({"$ref": "#/components/schemas/Problem"}, answer)
            assert response.headers["Content-Type"] == "application/problem+json"
            assert answer["status"] == response.status
            assert answer["request_id"] == response.headers["X-Request-Id"]
            assert told(answer) == case.errors
        if closes:
            assert connection.is_closed()
            connection.close()
            connection = Connection(service.address)
        again, body = connection.ask("GET", b"/v1/memory?model=8B&gpu=l40s", {})
        assert again.status == 200 and parse_json(body.decode())["gpu"] == "l40s"
    finally:
        connection.close()


def test_there_are_enough_cases():
    names = [case.name for case in cases()]
    assert len(names) >= 90 and len(names) == len(set(names))


def test_body_shorter_than_its_length(start_service):
    service = start_service("--request-deadline-s", "2")
    answer = service.raw(b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                         b'Content-Length: 1000\r\n\r\n{"model": "70B"}', quiet_s=REASONABLE_S)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ") or head == b"", head
    if body:
        assert parse_json(body.decode())["errors"][0]["code"] == "request_timeout"
    assert service.call("GET", "/livez").status == 200


def test_client_that_goes_away_in_the_middle(service):
    for sent in (b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le",
                 b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                 b'Content-Length: 1000\r\n\r\n{"model": "70B"}'):
        with socket.create_connection(service.address, timeout=REASONABLE_S) as connection:
            connection.sendall(sent)
        assert service.call("GET", "/livez").status == 200
