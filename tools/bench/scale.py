#!/usr/bin/env python3
"""scale.py owns the figures of docs/scaling.md: what one process with one HTTP thread and one computing thread spends on an
answer, of the kinds that make a mix. CPU time is of the service alone, so that it holds on a machine that others use too;
rates are what was reached beside them.

  tools/bench/scale.py build/release/gpusize
"""
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SECONDS = 5
AS_OF = "as_of=2026-11-23"
NEW = 'local n = 0\nrequest = function() n = n + 1; return wrk.format("GET", "{path}" .. (1 + n / 10000)) end\n'
KINDS = [  # name, path, encoding, whether each request is another question
    ("recommend, repeated", f"/v1/recommend?model=llama-3.1-70b&rps=5&budget=100000&{AS_OF}", "br", False),
    ("recommend, repeated, not compressed", f"/v1/recommend?model=llama-3.1-70b&rps=5&budget=100000&{AS_OF}", "identity", False),
    ("recommend, one value as .txt", f"/v1/recommend.txt?model=llama-3.1-70b&rps=5&field=recommended.gpu_count&{AS_OF}",
     "identity", False),
    ("recommend, 304", f"/v1/recommend?model=llama-3.1-70b&rps=5&budget=100000&{AS_OF}", "etag", False),
    ("recommend, new", f"/v1/recommend?model=llama-3.1-70b&budget=100000&{AS_OF}&rps=", "identity", True),
    ("recommend, new, compressed", f"/v1/recommend?model=llama-3.1-70b&budget=100000&{AS_OF}&rps=", "br", True),
    ("throughput, new", "/v1/throughput?model=llama-3.1-70b&gpu=h100-sxm&gpu_count=4&rps=", "identity", True),
    ("memory, new", "/v1/memory?model=llama-3.1-70b&gpu=h100-sxm&gpu_used_gib=", "identity", True),
]


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def resident_mib(pid):
    return int(open(f"/proc/{pid}/statm", encoding="ascii").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def measure(address, pid, path, encoding, new):
    probe = path + ("1.5" if new else "")
    request = urllib.request.Request(address + probe, headers={"Accept-Encoding": encoding.replace("etag", "identity")})
    with urllib.request.urlopen(request) as answer:
        size, etag = len(answer.read()), answer.headers["ETag"]
    header = f"If-None-Match: {etag}" if encoding == "etag" else f"Accept-Encoding: {encoding}"
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}", "--latency", "-H", header, address + probe]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if new:
            script.write(NEW.format(path=path))
            script.flush()
            command[1:1] = ["-s", script.name]
        before = cpu_s(pid)
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        spent = cpu_s(pid) - before
    count = int(re.search(r"(\d+) requests in", said)[1])
    assert encoding == "etag" or "Non-2xx" not in said, said
    return count / SECONDS, spent / count * 1e6, 0 if encoding == "etag" else size


def main(program):
    service = subprocess.Popen([program, "serve", "--port", "0", "--threads", "1", "--workers", "1", "--access-log", "0"],
                               stderr=subprocess.PIPE, text=True)
    address = None
    while not address:
        found = re.search(r"listening on (http://\S+)", service.stderr.readline())
        address = found and found[1]
    print(f"{'':38} requests/s  CPU us  bytes")
    for name, path, encoding, new in KINDS:
        rate, cost_us, size = measure(address, service.pid, path, encoding, new)
        print(f"{name:38} {rate:10.0f}  {cost_us:6.1f}  {size:5}")
    print(f"memory of the process: {resident_mib(service.pid):.0f} MiB")
    service.terminate()
    service.wait()


if __name__ == "__main__":
    main(sys.argv[1])
