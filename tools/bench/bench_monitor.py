#!/usr/bin/env python3
"""bench_monitor.py owns the measurement of what the reports of hosts cost a service.

  a  reports a second of 5 samples of 8 GPUs, from 200 hosts: in memory, and with a database
  b  bytes of such a sample in the database
  c  statistics of a week of one GPU, read every 10 s: near what a window may have

  cmake --preset release && cmake --build --preset release --target gpusize
  tools/bench/bench_monitor.py build/release

Times depend on the machine and its load; clients and PostgreSQL are on it, too.
"""
import argparse
import json
import os
import statistics
import subprocess
import time
import urllib.request

from bench import Service, run_wrk
from bench_db import Database, row

from samples import gpu, sample  # noqa: E402 (bench_db has set the path)

WEEK_S, STEP_S = 7 * 86400, 10
FIGURES = {"memory_reserved_bytes": 650117120, "busy_percent": 93, "memory_busy_percent": 46, "power_watts": 612,
           "power_limit_watts": 700, "temperature_c": 68, "sm_clock_mhz": 1980, "memory_clock_mhz": 3201,
           "throttle_bits": 4, "energy_joules": 123456789, "ecc_corrected": 0, "ecc_uncorrected": 0, "mig": False}
OPEN = ("--reports-need-key", "off")
REPORTS = """
local n = 0
request = function()
  n = n + 1
  local at, samples = BEGIN + 5 * math.floor(n / 200), {}
  for i = 1, 5 do
    samples[i] = string.format('SAMPLE', os.date("!%Y-%m-%dT%H:%M:%SZ", at + i), (at + i) * 1000)
  end
  return wrk.format("POST", "/v1/monitor/samples", {["Content-Type"] = "application/json"},
    '{"schema":"monitor/1","host":"h' .. n % 200 .. '","samples":[' .. table.concat(samples, ",") .. ']}')
end
"""
# The host's only sample, again and again before itself.
FILL = f"""insert into gpusize.monitor_sample
select host, sampled_at - i * interval '{STEP_S} s', sample || jsonb_build_object(
         'time', to_char((sampled_at - i * interval '{STEP_S} s') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'monotonic_ms', (sample -> 'monotonic_ms')::bigint - i * {STEP_S * 1000})
  from gpusize.monitor_sample, generate_series(1, {WEEK_S // STEP_S - 1}) i where host = 'week'"""


def bench_reports(name, service, arguments):
    text = json.dumps({**sample(0, *(gpu(40 + i, i, **FIGURES) for i in range(8))), "time": "%s", "monotonic_ms": 0})
    text = text.replace('"monotonic_ms": 0', '"monotonic_ms": %d')
    script = REPORTS.replace("SAMPLE", text).replace("BEGIN", str(int(time.time()) - 6 * 86400))
    one = run_wrk(service, "/", script, arguments.connections, arguments.seconds)
    row("a", f"{one['rate']:.0f} reports a second {name}, median {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms,"
             f" {one['wrong']} failed", "0 failed")


def bench_window(database, service):
    key = subprocess.run([database.program, "key", "create", "--name", "bench", "--role", "reader"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout.strip()
    body = {"schema": "monitor/1", "host": "week", "samples": [sample(0, gpu(40, **FIGURES))]}
    service.fetch("/v1/monitor/samples", json.dumps(body))
    database.sql(f"select gpusize.monitor_make_days(current_date - 8, current_date); {FILL}")
    times = []
    for _ in range(3):
        begin = time.monotonic()
        with urllib.request.urlopen(urllib.request.Request(
                service.url(f"/v1/monitor/statistics?host=week&window_minutes={WEEK_S // 60}"),
                headers={"Authorization": f"Bearer {key}"}), timeout=60) as answer:
            count = json.load(answer)["sample_count"]
        times.append(time.monotonic() - begin)
    row("c", f"statistics of {count} samples in {statistics.median(times):.2f} s", "none")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of a release build")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    memory = Service(os.path.join(arguments.folder, "gpusize"), OPEN)
    bench_reports("in memory", memory, arguments)
    memory.stop()
    database = Database(arguments.folder)
    try:
        service = database.serve(*OPEN, "--monitor-keep-days", "8")
        bench_reports("in the database", service, arguments)
        size = database.sql("select round(sum(pg_total_relation_size(relid)) /"
                            " (select count(*) from gpusize.monitor_sample))"
                            " from pg_partition_tree('gpusize.monitor_sample') where isleaf")
        row("b", f"{size} bytes of the database for a sample", "none")
        bench_window(database, service)
        service.stop()
    finally:
        database.cluster.close()


if __name__ == "__main__":
    main()
