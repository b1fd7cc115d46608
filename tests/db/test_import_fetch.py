"""test_import_fetch.py owns the tests of gpusize import --fetch against a server of our own on 127.0.0.1 that does what
servers do: pages, pauses, failures, redirects, cuts."""
import gzip
import http.server
import os
import re
import threading
import zipfile

import pytest

from price_lists import GPUHUNT, SKYPILOT, azure_item, azure_page
from waiting import finish

STATE = ("select (select count(*) from gpusize.offer) || ' ' || (select count(*) from gpusize.offer_price) || ' '"
         " || (select count(*) from gpusize.import_run) || ' ' || (select count(*) from gpusize.catalog_version)")
STALL_LIMIT_S = 60


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        script = self.server.scripts[self.path.split("?")[0]]
        script.pop(0)(self) if len(script) > 1 else script[0](self)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    own = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.daemon_threads = True
    own.scripts, own.asked, own.over = {}, [], threading.Event()
    own.url = f"http://127.0.0.1:{own.server_port}"
    thread = threading.Thread(target=own.serve_forever, daemon=True)
    thread.start()
    yield own
    own.over.set()
    own.shutdown()
    own.server_close()
    thread.join()


def reply(body=b"", status=200, kind="text/plain", length=None, **headers):
    """A step of a script; `length`: announce another one than the body has."""
    body = body.encode() if isinstance(body, str) else body

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = length is not None

    return answer


def without_length(handler):
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(SKYPILOT.encode())
    handler.close_connection = True


def drop(handler):
    handler.close_connection = True


def slow(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(SKYPILOT.encode())
    handler.wfile.flush()
    handler.server.over.wait(STALL_LIMIT_S)
    handler.close_connection = True


@pytest.fixture
def fetch(run, server):
    """fetch(*script, status=0): the import of what the script answers, one step a request, the last for ever."""

    def call(*script, arguments=("skypilot", "--provider", "aws"), status=0):
        server.scripts["/list"] = list(script)
        return run(*arguments, "--fetch", server.url + "/list?key=secret", status=status)

    return call


def test_a_file_is_imported_once(fetch, server, sql):
    report = fetch(reply(SKYPILOT))
    assert (report["new_rows"], report["source"]) == (3, f"skypilot {server.url}/list")  # without the query
    again = fetch(reply(SKYPILOT))
    assert (again["unchanged_rows"], again["catalog_version"]) == (3, None)
    assert server.asked == ["/list?key=secret"] * 2
    assert sql("select count(*) from gpusize.offer_price where source like '%secret%'") == "0"


@pytest.mark.parametrize("before", [
    [reply("busy", 429, Retry_After="1")],
    [reply("wait", 503), reply("wait", 500)],
    [drop],
    [reply(SKYPILOT[:100], length=len(SKYPILOT))],
], ids=["429", "5xx", "dropped", "cut"])
def test_failures_that_pass(fetch, server, before):
    assert fetch(*before, reply(SKYPILOT))["new_rows"] == 3
    assert len(server.asked) == len(before) + 1


def test_packed_and_redirected(fetch, server):
    server.scripts["/moved"] = [reply(gzip.compress(SKYPILOT.encode()), Content_Encoding="gzip")]
    assert fetch(reply(status=302, Location="/moved"))["new_rows"] == 3
    assert server.asked == ["/list?key=secret", "/moved"]


@pytest.mark.parametrize("make,expected", [
    (os.openpty, r"\r\[#+\] 0\.6 of 0\.6 MiB, [0-9.]+ MiB/s \r +\r"),
    (os.pipe, ""),
])
def test_progress_shows_on_a_terminal_only(start, server, make, expected):
    server.scripts["/list"] = [reply(SKYPILOT + "n1,,,1,1,,1,,x,x\n" * 40000)]
    ours, theirs = make()
    finish(start("skypilot", "--provider", "aws", "--fetch", server.url + "/list", stderr=theirs))
    os.write(theirs, b"end")
    shown = ""
    while not shown.endswith("end"):
        shown += os.read(ours, 10000).decode()
    os.close(ours)
    os.close(theirs)
    assert re.search(f"{expected}end$", shown), shown
    assert expected or shown == "end"


@pytest.mark.parametrize("step,said,times", [
    (reply("gone", 404), "the server answers 404", 1),
    (reply("no", 500), "the server answers 500", 4),
    (reply("busy", 429, Retry_After="3600"), "busy (429) and asks to come back in 3600 s", 1),
    (reply("<html>Sign in</html>", kind="text/html; charset=utf-8"), "a web page (text/html) and no price list", 1),
    (reply(SKYPILOT[:200], length=len(SKYPILOT)), "cut off: less came than was announced", 4),
    (drop, "closed the connection without a reply", 4),
    (without_length, "does not say how long it is", 1),
    (reply(status=302, Location="/list"), "redirects more than 5 times", 6),
    (reply(status=302, Location="ftp://127.0.0.1/list"), "not http or https", 1),
    (reply(status=302, Location="file:///etc/passwd"), "not http or https", 1),
    (reply(b"not gzip", Content_Encoding="gzip"), "cannot be unpacked", 1),
    (reply("x" * (2 << 20)), "larger than the limit", 1),
    (reply(gzip.compress(bytes(64 << 20)), Content_Encoding="gzip"), "larger than the limit", 1),
], ids=lambda value: value if isinstance(value, str) else "")
def test_failures_that_stay_change_nothing(fetch, server, sql, step, said, times):
    before = sql(STATE)
    error = fetch(step, arguments=("skypilot", "--provider", "aws", "--size-max-mib", "1"), status=3)
    assert said in error and "secret" not in error, error
    assert len(server.asked) == times
    assert sql(STATE) == before


def test_a_slow_server_is_given_up(fetch, server, sql):
    before = sql(STATE)
    error = fetch(slow, arguments=("skypilot", "--provider", "aws", "--stall-s", "1"), status=3)
    assert "too slow" in error and len(server.asked) == 1
    assert sql(STATE) == before


def test_what_is_no_price_list(fetch, sql):
    before = sql(STATE)
    assert "the column 'InstanceType' is missing" in fetch(reply("a,b\n1,2\n"), status=2)
    assert sql(STATE) == before


PAGES = [[azure_item()], [azure_item(meter="NC24ads A100 v4 Spot", price=1.2)], [azure_item("Standard_ND96isr_H100_v5",
                                                                                        98.32)]]


def link(server, number):
    return f"{server.url}/list?$skip={number * 1000}"


@pytest.fixture
def fetch_pages(fetch):
    def call(*following, before=(), status=0, arguments=()):
        steps = [reply(azure_page(*PAGES[i], following=following[i]), kind="application/json")
                 for i in range(len(following))]
        return fetch(*before, *steps, arguments=("azure-retail", *arguments), status=status)

    return call


def test_pages(fetch_pages, server):
    report = fetch_pages(link(server, 1), link(server, 2), None, before=[reply("busy", 429, Retry_After="1")],
                         arguments=["--complete"])
    assert (report["new_rows"], report["rejected_rows"]) == (3, 0)
    assert server.asked[1:] == ["/list?key=secret", "/list?$skip=1000", "/list?$skip=2000"]


@pytest.mark.parametrize("where", ["http://127.0.0.2:1/list", "https://{}/list", "file:///etc/passwd",
                                   "http://{}/list?key=secret"])
def test_pages_stay_on_their_server(fetch_pages, server, sql, where):
    before = sql(STATE)
    error = fetch_pages(where.format(server.url[7:]), status=3)
    assert "page 1 names" in error and "not on the same server, or itself" in error
    assert sql(STATE) == before


def test_a_page_that_is_none(fetch, server, sql):
    before = sql(STATE)
    steps = [reply(azure_page(*PAGES[0], following=link(server, 1)), kind="application/json"), reply("{\"error\": {}}")]
    assert 'it has no list "Items"' in fetch(*steps, arguments=("azure-retail",), status=2)
    assert sql(STATE) == before


@pytest.mark.parametrize("arguments,said", [
    (["skypilot", "--fetch"], "name the provider"),
    (["skypilot", "--provider", "a/../b", "--fetch"], "cannot stand for {provider}"),
    (["csv", "--fetch"], "published nowhere"),
    (["csv", "a.csv", "--fetch", "http://127.0.0.1/"], "not both"),
    (["csv", "a.csv", "--stall-s", "5"], "--fetch"),
    (["csv", "--fetch", "ftp://127.0.0.1/x"], "no URL of http or https"),
    (["csv", "--fetch", "file:///etc/passwd"], "no URL of http or https"),
    (["csv", "--fetch", "not a url"], "no URL of http or https"),
    (["csv", "--fetch", "http://user:s3cret@127.0.0.1/x"], "would be kept and shown"),
    (["csv", "--fetch", "http://127.0.0.1/x", "--size-max-mib", "0"], "out of range"),
    (["csv", "--url"], "needs a value"),
])
def test_arguments(run, arguments, said):
    error = run(*arguments, status=2)
    assert said in error and "s3cret" not in error


def test_a_zip(fetch, run, server, tmp_path):
    with zipfile.ZipFile(tmp_path / "catalog.zip", "w") as file:
        file.writestr("acme.csv", GPUHUNT + "one,eu-1,0.6,8,32.0,1,L4,24.0,False\n")
    body = (tmp_path / "catalog.zip").read_bytes()
    server.scripts["/v2/version"], server.scripts["/v2/20261101-7/catalog.zip"] = [reply("20261101-7\n")], [reply(body)]
    report = run("gpuhunt", "--fetch", server.url + "/v2/{version}/catalog.zip", "--dry-run")
    assert (report["new_rows"], report["source"]) == (1, f"gpuhunt {server.url}/v2/20261101-7/catalog.zip")
    server.scripts["/v2/version"] = [reply("../../etc")]
    error = run("gpuhunt", "--fetch", server.url + "/v2/{version}/catalog.zip", status=2)
    assert "cannot stand for {version}" in error
    assert fetch(reply(body, kind="application/zip"), arguments=("gpuhunt",))["new_rows"] == 1
