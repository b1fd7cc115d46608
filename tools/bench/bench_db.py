#!/usr/bin/env python3
"""bench_db.py owns the measurement of the service with a database, compared only within one run.

  a  p99 of /recommend, each a different question, while the catalog is swapped 50 times, against the p99 without
  b  answers that failed while PostgreSQL is killed (SIGKILL) and started again under load
  c  reloading a catalog of 10,000 offers, in its parts
  d  from a price changed in SQL to the last of two services that answers with it: one is told, one asks every 500 ms

  cmake --preset release && cmake --build --preset release --target gpusize bench_reload
  tools/bench/bench_db.py build/release

Times depend on the machine and its load; the ratio of (a), where both take turns, does not much.
"""
import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import Service, new_questions, run_wrk

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "support"))

from live import HOUR_MS, LISTENING, newest  # noqa: E402
from postgres import Cluster, Session  # noqa: E402
from prices import write  # noqa: E402
from waiting import await_true  # noqa: E402

SWAPS, OFFERS, CHANGES = 50, 10000, 20
CHANGE = "update gpusize.offer_price set usd_per_hour = usd_per_hour + 0.001 where to_version is null and offer_id = {}"


class Database:
    """A migrated one, and services on it."""

    def __init__(self, folder):
        self.program = str(Path(folder, "gpusize"))
        self.cluster = Cluster("autovacuum = on\n")
        self.name = self.cluster.database(self.program)
        os.environ["DATABASE_URL"] = self.url = self.cluster.url(self.name)

    def serve(self, *options):
        return Service(self.program, options)

    def sql(self, text):
        return self.cluster.sql(self.name, text)


def row(name, text, target):
    print(f"{name:3}{text}   (target: {target})", flush=True)


def swap_while(database, stop, pause_s):
    """Changes prices at even intervals until told to stop; how often."""
    count, begin = 0, time.monotonic()
    with Session(database.cluster, database.name) as session:
        while not stop.wait(max(0, begin + (count + 0.5) * pause_s - time.monotonic())):
            session.run(CHANGE.format(1 + count % 400))
            count += 1
    return count


def bench_swaps(database, arguments):
    service = database.serve("--database-listen-url", database.url)
    seconds, rounds = arguments.seconds, arguments.rounds
    quiet, swapped, swaps = [], [], 0
    before = int(metric(service, "gpusize_snapshot_reloads_total"))
    run_wrk(service, "/", new_questions(0), arguments.connections, 1)
    for turn in range(rounds):
        quiet.append(run_wrk(service, "/", new_questions(1 + 2 * turn), arguments.connections, seconds))
        stop, counted = threading.Event(), []
        worker = threading.Thread(target=lambda: counted.append(
            swap_while(database, stop, seconds * rounds / SWAPS)))
        worker.start()
        swapped.append(run_wrk(service, "/", new_questions(2 + 2 * turn), arguments.connections, seconds))
        stop.set()
        worker.join()
        swaps += counted[0]
    reloads = int(metric(service, "gpusize_snapshot_reloads_total")) - before
    ratio = statistics.median(b["p99_ms"] / a["p99_ms"] for a, b in zip(quiet, swapped))
    p99 = [statistics.median(one["p99_ms"] for one in group) for group in (quiet, swapped)]
    wrong = sum(one["wrong"] for one in quiet + swapped)
    row("a", f"p99 {p99[0]:.1f} ms without, {p99[1]:.1f} ms over {swaps} changes and {reloads} swaps: ratio {ratio:.2f};"
             f" {sum(one['count'] for one in quiet + swapped)} answers, {wrong} failed", "ratio at most 2")
    service.stop()


def metric(service, name):
    lines = service.fetch("/metrics").decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


def bench_kill(database, arguments):
    service = database.serve()
    result = []
    seconds = 4 * arguments.seconds
    load = threading.Thread(target=lambda: result.append(
        run_wrk(service, "/", new_questions(7000000), arguments.connections, seconds)))
    load.start()
    time.sleep(seconds / 4)
    database.cluster.stop(signal.SIGKILL)
    time.sleep(seconds / 4)
    database.cluster.start()
    load.join()
    failures = int(metric(service, "gpusize_snapshot_load_failures_total"))
    row("b", f"{result[0]['count']} answers while PostgreSQL was killed, away for {seconds / 4:.0f} s, and back:"
             f" {result[0]['wrong']} failed; {failures} looks at the database did", "0 answers")
    service.stop()


def bench_reload(database, arguments, folder):
    have = int(database.sql("select count(*) from gpusize.offer where to_version is null"))
    file = write(Path(folder, "offers.csv"), *({"provider": f"p{n % 40}", "instance_type": f"n{n // 200}",
                                               "region": f"r{n // 8 % 25}", "gpu_count": 1 + n % 8,
                                               "usd_per_hour": 1 + n / 100} for n in range(OFFERS - have)))
    subprocess.run([database.program, "import", "csv", file], check=True, stdout=subprocess.DEVNULL)
    database.sql("analyze")
    done = subprocess.run([Path(arguments.folder, "bench_reload"), database.url], check=True, stdout=subprocess.PIPE,
                          text=True)
    offers, version, query, csv, load = map(float, done.stdout.split())
    row("c", f"{offers:.0f} offers: version {version:.1f} + query {query:.1f} + parse {csv:.1f} + build {load - csv:.1f}"
             f" = {version + query + load:.1f} ms", "200 ms")


def bench_freshness(database):
    told = database.serve("--database-listen-url", database.url, "--poll-interval-ms", HOUR_MS)
    asking = database.serve()
    await_true(lambda: database.sql(LISTENING) == "1")
    path = "/recommend?model=llama-3.1-8b&rps=1"
    waits = {"told": [], "asking": []}
    with Session(database.cluster, database.name) as session:
        for i in range(CHANGES):
            time.sleep(0.1 + 0.37 * i % 0.5)  # at any moment of the interval
            begin = time.monotonic()
            session.run(CHANGE.format(1 + i))
            wanted = f':{newest(database.sql)}"'.encode()
            missing = {"told": told, "asking": asking}
            while missing:
                for name, service in list(missing.items()):
                    if wanted in service.fetch(path):
                        waits[name].append(1000 * (time.monotonic() - begin))
                        del missing[name]
    both = [max(pair) for pair in zip(*waits.values())]
    row("d", "ms from the change to an answer with it, median and most of"
             f" {CHANGES}: " + ", ".join(f"{name} {statistics.median(times):.0f}, {max(times):.0f}"
                                         for name, times in {**waits, "both": both}.items()), "1000 ms")
    told.stop()
    asking.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of the build, with gpusize and bench_reload")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=5, help="of one burst")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    database = Database(arguments.folder)
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench_swaps(database, arguments)
            bench_kill(database, arguments)
            bench_reload(database, arguments, folder)
            bench_freshness(database)
    finally:
        database.cluster.close()


if __name__ == "__main__":
    main()
