#!/usr/bin/env python3
"""bench.py owns the measurement of the running service: how fast it answers, compared only within one run.

Starts `gpusize serve` on a free port of 127.0.0.1 and drives it with wrk, taking turns between
  new       /recommend, a different question each time
  GET, POST the same question again and again: answers from the cache
  static    a page of the same service whose size is within 20 % of that answer
Prints requests per second, p50, p99, CPU microseconds of the service per answer, and the ratios to `static`
(median over the rounds). Rates depend on the machine and its load; the ratios and the CPU time do not much.

  tools/bench/bench.py build/release/gpusize
  tools/bench/bench.py build/release/gpusize --fair          four clients on the slowest question, 16 on a quick one
  tools/bench/bench.py build/release/gpusize --soak 1000000  memory of the process after a million requests
"""
import argparse
import json
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

MODEL = "meta-llama/Llama-3.1-70B-Instruct"
SIZE_TOLERANCE = 0.2
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
# (name, path, POST body of the repeated question, static page of about the size of its answer)
PAIRS = [
    ("large", "/recommend", {"model": MODEL, "alternatives": 23}, "/docs"),
    ("small", "/v1/throughput", {"model": MODEL, "gpu": "h100-sxm", "layout": {"tensor_parallel": 4, "gpu_count": 4}},
     "/docs.css"),
]
NEW_LUA = """
local n = SEED
request = function()
  n = n + 1
  return wrk.format("GET", string.format("/recommend?model=%s&in=%d&out=%d&rps=%d", "MODEL", 64 + n % 4000,
                                         16 + math.floor(n / 4000) % 1000, 1 + math.floor(n / 4000000)))
end
"""
POST_LUA = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [==[BODY]==]\n'
SLOW_PATH = "/recommend?model=deepseek-ai/DeepSeek-V3&concurrency=4000&objective=latency&weight_dtype=any" \
            "&max_gpus=100000&in={}&out={}"


class Service:
    """The process under test."""

    def __init__(self, binary, options):
        self.process = subprocess.Popen([binary, "serve", "--port", "0", "--access-log", "0", *options],
                                        stderr=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stderr:
            found = re.search(r"listening on http://\S+:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        sys.exit("bench: the service did not start")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_us(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def memory_mib(self, name):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name + ":"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def fetch(self, path, body=None):
        headers = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(self.url(path), data=body.encode() if body else None, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


def flat(question):
    """The GET form of a question: groups have no prefixes."""
    leaves = {}
    for name, value in question.items():
        leaves.update(value if isinstance(value, dict) else {name: value})
    return "&".join(f"{name}={value}" for name, value in leaves.items())


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def run_wrk(service, path, script, connections, seconds):
    """One burst; returns rate, latencies, CPU per answer and how many answers were wrong."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", service.url(path)]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        if script:
            lua.write(script)
            lua.flush()
            command[1:1] = ["-s", lua.name]
        before = service.cpu_us()
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu = service.cpu_us() - before
    count = int(re.search(r"(\d+) requests in", text).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {
        "count": count,
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
        "p50_ms": milliseconds(re.search(r"^\s+50%\s+(\S+)", text, re.M).group(1)),
        "p99_ms": milliseconds(re.search(r"^\s+99%\s+(\S+)", text, re.M).group(1)),
        "cpu_us": cpu / max(count, 1),
        "wrong": (int(refused.group(1)) if refused else 0) + (sum(map(int, errors.groups())) if errors else 0),
    }


def cases_of(service):
    """(name, path, script, name of the static case it is compared with)"""
    cases = []
    for name, path, question, page in PAIRS:
        body = json.dumps(question)
        size, static_size = len(service.fetch(path, body)), len(service.fetch(page))
        if abs(static_size / size - 1) > SIZE_TOLERANCE:
            sys.exit(f"bench: {page} has {static_size} bytes and the answer of {path} {size}: choose another pair")
        print(f"{name}: {path} answers {size} bytes, {page} has {static_size}")
        cases += [(f"static {name}", page, None, None),
                  (f"GET {name}", f"{path}?{flat(question)}", None, f"static {name}"),
                  (f"POST {name}", path, POST_LUA.replace("BODY", body), f"static {name}")]
    return cases


def new_questions(seed):
    return NEW_LUA.replace("SEED", str(seed)).replace("MODEL", MODEL)


def compare(service, arguments):
    cases = cases_of(service)
    results = {name: [] for name, *_ in cases} | {"new": []}
    for round_number in range(arguments.rounds):
        for name, path, script, _ in cases:
            results[name].append(run_wrk(service, path, script, arguments.connections, arguments.seconds))
        results["new"].append(run_wrk(service, "/", new_questions(round_number * 1000000), arguments.connections,
                                      arguments.seconds))
    print(f"\n{arguments.connections} connections, {arguments.rounds} rounds of {arguments.seconds} s, medians\n"
          f"{'':14}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'ratio':>7}{'wrong':>7}")
    against = {name: static for name, _, _, static in cases}
    for name, rows in results.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        base = results.get(against.get(name), [])
        ratio = statistics.median(row["rate"] / other["rate"] for row, other in zip(rows, base)) if base else None
        print(f"{name:14}{middle['rate']:11.0f}{middle['p50_ms']:9.2f}{middle['p99_ms']:9.2f}{middle['cpu_us']:9.1f}"
              f"{'' if ratio is None else format(ratio, '.2f'):>7}{sum(row['wrong'] for row in rows):7}")
    many = run_wrk(service, cases[0][1], None, 1000, arguments.seconds)
    print(f"1000 connections: {many['rate']:.0f} requests/s, p99 {many['p99_ms']:.1f} ms, {many['wrong']} errors")
    print(f"resident memory: {service.memory_mib('VmRSS'):.1f} MiB, at most {service.memory_mib('VmHWM'):.1f} MiB")


def soak(service, total):
    """Turns of new and repeated questions until `total` requests are answered; the memory should stay flat."""
    done, turn, reported = 0, 0, 0
    repeated = f"/recommend?{flat(PAIRS[0][2])}"
    while done < total:
        done += run_wrk(service, "/", new_questions(turn * 1000000), 64, 2)["count"]
        done += run_wrk(service, repeated, None, 64, 2)["count"]
        done += run_wrk(service, "/docs.css", None, 256, 2)["count"]
        turn += 1
        if done - reported >= total / 10:
            reported = done
            print(f"{done:9} requests: {service.memory_mib('VmRSS'):.1f} MiB resident", flush=True)
    print(f"after {done} requests: {service.memory_mib('VmRSS'):.1f} MiB resident, at most "
          f"{service.memory_mib('VmHWM'):.1f} MiB")


class Client:
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, port, next_path):
        self.next_path = next_path
        self.answers = 0
        self.buffer = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.ask()

    def ask(self):
        self.socket.sendall(f"GET {self.next_path()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def receive(self):
        self.buffer += self.socket.recv(1 << 18)
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(re.search(rb"Content-Length: (\d+)", self.buffer[:head]).group(1))
        if len(self.buffer) < head + 4 + length:
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            sys.exit(f"bench: {self.buffer[:200]!r}")
        self.buffer = b""
        self.answers += 1
        self.ask()


def share(port, slow_count, seconds, seed):
    numbers = iter(range(seed, seed + 1000000))
    slow = [Client(port, lambda: SLOW_PATH.format(*(16 + part for part in divmod(next(numbers), 3000))))
            for _ in range(slow_count)]
    fast = [Client(port, lambda: "/docs.css") for _ in range(16)]
    clients = {client.socket: client for client in slow + fast}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for ready in select.select(list(clients), [], [], 0.1)[0]:
            clients[ready].receive()
    for opened in clients:
        opened.close()
    return [client.answers for client in fast], sum(client.answers for client in slow)


def fairness(service, arguments):
    """Answers per quick connection with four clients on the slowest question, against none, taking turns."""
    medians, worst = [], []
    for round_number in range(arguments.rounds):
        alone, _ = share(service.port, 0, arguments.seconds, 0)
        beside, slow = share(service.port, 4, arguments.seconds, round_number * 1000000)
        medians.append(statistics.median(beside) / statistics.median(alone))
        worst.append(min(beside) / statistics.median(alone))
        print(f"quick answers per connection: median {statistics.median(alone):.0f} alone, "
              f"{statistics.median(beside):.0f} (least {min(beside)}) beside {slow} slow answers")
    print(f"share kept: median {statistics.median(medians):.2f}, least {min(worst):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=int, default=2, help="of one burst")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--fair", action="store_true")
    parser.add_argument("--soak", type=int, metavar="REQUESTS")
    parser.add_argument("options", nargs="*", help="after --: more options of `gpusize serve`")
    arguments = parser.parse_args()
    service = Service(arguments.binary, arguments.options)
    try:
        if arguments.soak:
            soak(service, arguments.soak)
        elif arguments.fair:
            fairness(service, arguments)
        else:
            compare(service, arguments)
    finally:
        service.stop()


if __name__ == "__main__":
    main()
