"""test_live.py owns the tests of the service with a database: changes show, and outages do not."""
import os
import subprocess
import threading

import pytest

from live import (CUT, HOUR_MS, LISTENING, LLAMA, RAISE_PRICES, ask, await_ready, await_version, cost, metric, newest,
                  number, ready)
from waiting import LIMIT_S, await_true

ASKERS, SWAPS = 3, 50


def test_a_price_changed_in_sql_shows_on_every_replica(cluster, database, serve):
    told = serve(database, "--database-listen-url", cluster.url(database), "--poll-interval-ms", HOUR_MS)
    asking = serve(database)
    await_true(lambda: cluster.sql(database, LISTENING) == "1")
    before = ask(told)
    assert ask(told) == before == ask(asking) == ask(asking)  # the second answers are those of the answer cache
    cluster.sql(database, RAISE_PRICES)
    version = cluster.sql(database, "select id || ':' || (select max(number) from gpusize.catalog_version)"
                                    " from gpusize.database")
    for service in (told, asking):
        await_true(lambda: ask(service)["catalog_version"] != before["catalog_version"])
        after = ask(service)
        assert after["catalog_version"] == version == service.call("GET", "/readyz").json["catalog_version"]
        assert after["id"] != before["id"]
        assert cost(after) == pytest.approx(2 * cost(before))
        assert metric(service, "gpusize_snapshot_reloads_total") == [2]


def test_a_change_while_the_notifier_is_cut_off(cluster, database, serve):
    service = serve(database, "--database-listen-url", cluster.url(database), "--poll-interval-ms", HOUR_MS)
    await_true(lambda: cluster.sql(database, CUT) == "1")
    before = ready(service), ask(service)["catalog_version"]
    cluster.sql(database, RAISE_PRICES)
    await_true(lambda: ask(service)["catalog_version"] != before[1])
    assert (before[0], ready(service)) == ("ready", "ready")
    assert metric(service, "gpusize_snapshot_load_failures_total") == [0]


def test_many_swaps_under_load(cluster, database, serve, sql):
    service = serve(database, "--database-listen-url", cluster.url(database), "--access-log", "0")
    done, failures, versions = threading.Event(), [], [[] for _ in range(ASKERS)]

    def work(seen):
        try:
            for i in range(100000):
                if done.is_set():
                    return
                answer = ask(service, input_tokens=1000 + i % 3)
                seen.append(number(answer["catalog_version"]))
        except Exception as problem:  # pylint: disable=broad-except
            failures.append(problem)

    threads = [threading.Thread(target=work, args=(seen,)) for seen in versions]
    for thread in threads:
        thread.start()
    try:
        for i in range(SWAPS):
            sql("update gpusize.offer_price set usd_per_hour = usd_per_hour + 0.01"
                f" where to_version is null and offer_id % 50 = {i}")
            await_version(service, newest(sql))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
    for seen in versions:
        assert seen == sorted(seen) and len(set(seen)) > 2
    assert metric(service, "gpusize_snapshot_reloads_total") == [SWAPS + 1]


def test_no_read_fails_while_the_database_is_killed(cluster, database, serve):
    service = serve(database, "--poll-interval-ms", "50")
    version = ask(service)["catalog_version"]
    for i in range(300):
        if i == 50:
            cluster.stop()
        assert ask(service, input_tokens=1000 + i)["catalog_version"] == version
    await_ready(service, "degraded")
    state = service.call("GET", "/readyz").json
    assert state["since"].endswith("Z") and "database" in state["reason"] and state["snapshot_age_seconds"] >= 0
    assert metric(service, "gpusize_database_up") == [0]
    assert metric(service, "gpusize_snapshot_load_failures_total")[0] > 0
    cluster.start()
    await_ready(service, "ready")
    assert metric(service, "gpusize_database_up") == [1]
    cluster.sql(database, RAISE_PRICES)
    await_true(lambda: ask(service)["catalog_version"] != version)
    assert "reason" not in service.call("GET", "/readyz").json


def test_starts_while_the_database_is_away(cluster, database, serve, tmp_path):
    cache, damaged = str(tmp_path / "cache"), tmp_path / "damaged"
    first = serve(database, "--snapshot-cache", cache)
    before = ask(first)
    first.stop()
    damaged.write_bytes((tmp_path / "cache").read_bytes()[:-100])
    cluster.stop()
    again, refused, without = (serve(database, "--snapshot-cache", cache),
                               serve(database, "--snapshot-cache", str(damaged)), serve(database))
    assert ready(again) == "degraded" and ask(again) == before
    assert any("is damaged" in line and str(damaged) in line for line in refused.log)
    for service in (refused, without):
        for path, query in (("/readyz", None), ("/recommend", LLAMA), ("/v1/gpus", None)):
            answer = service.call("GET", path, query=query)
            assert answer.status == 503 and answer.headers["Retry-After"] == "1"
            assert answer.json["errors"][0]["code"] == "database_away"
        assert service.call("GET", "/livez").status == 200
        assert metric(service, "gpusize_snapshot_age_seconds") == []
    cluster.start()
    for service in (again, refused, without):
        await_ready(service, "ready")
        assert ask(service)["catalog_version"] == before["catalog_version"]
    whole, kept = (file.read_bytes().split(b"\n", 4) for file in (damaged, tmp_path / "cache"))
    assert (whole[0], whole[2], whole[4]) == (kept[0], kept[2], kept[4])  # line 2 is the checksum, line 4 the time


def test_waits_for_the_tables(cluster, program, serve):
    database = cluster.empty_database()
    service = serve(database)
    assert ready(service) == 503 and "gpusize migrate" in service.call("GET", "/readyz").text
    cluster.migrate(program, database)
    await_ready(service, "ready")


def test_passwords_are_not_told(program, serve):
    secret = "a-secret-word"
    url = f"postgresql://somebody:{secret}@127.0.0.1:1/gpusize"  # nobody listens there
    service = serve(None, "--database-listen-url", url, url=url)
    answer = service.call("GET", "/readyz")
    assert answer.status == 503 and secret not in answer.text
    for arguments, environment in ((["--databse-url=" + url], {}), ([], {"DATABASE_URL": url + "?nonsense"})):
        done = subprocess.run([program, "serve", "--port", "0", *arguments], env={**os.environ, **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=LIMIT_S)
        assert done.returncode in (2, 3) and done.stdout and secret not in done.stdout
    service.stop()
    assert secret not in "".join(service.log)
