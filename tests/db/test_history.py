"""test_history.py owns the tests of former prices on a real database: what held on a day, and how prices went."""
import csv
import os
import signal
import subprocess
import threading

import pytest

from live import HOUR_MS, LLAMA
from postgres import Session
from prices import write
from waiting import LIMIT_S, await_true

LOCK = "begin; lock table gpusize.offer in access exclusive mode"  # whoever reads offers from the database waits
MINE = {"providers": "acme,beta"}
# Price lists, imported in this order.
FIELDS = ("provider", "instance_type", "region", "gpu_id", "gpu_count", "usd_per_hour", "as_of")
LISTS = [
    [("acme", "n1", "north", "l4", 1, 1.0, "2026-01-10"), ("acme", "n2", "north", "l4", 2, 4.0, "2026-01-10"),
     ("beta", "b1", "", "l4", 1, 3.0, "2026-01-10"), ("acme", "n3", "north", "l40s", 1, 2.0, "2026-01-10")],
    [("acme", "n1", "north", "l4", 1, 1.5, "2026-02-10")],
]
# Then, each a version: SQL, and the day on which it was done.
CHANGES = [
    ("update gpusize.offer_price p set usd_per_hour = 1.6, source = 'corrected' from gpusize.offer o"
     " where p.live_offer_id = o.live_id and o.instance_type = 'n1' and o.provider = 'acme'", "2026-02-20"),
    ("delete from gpusize.offer where provider = 'acme' and instance_type in ('n2', 'n3')", "2026-03-05"),
    ("insert into gpusize.offer (provider, instance_type, region, gpu_id, gpu_count, purchase)"
     " values ('acme', 'N3', 'north', 'l40s', 1, 'on_demand');"
     "insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source) select max(id), 2.5,"
     " 'instance_total', '2026-04-01', 'again' from gpusize.offer", "2026-04-02"),
    ("update gpusize.offer_price p set usd_per_hour = 5, as_of = '2100-01-01' from gpusize.offer o"
     " where p.live_offer_id = o.live_id and o.provider = 'beta'", "2026-05-01"),
]


@pytest.fixture
def database(cluster, database, gpusize, tmp_path):
    """The lists and changes above."""
    for lines in LISTS:
        file = write(tmp_path / "list.csv", *(dict(zip(FIELDS, line)) for line in lines))
        gpusize(cluster.url(database), "import", "csv", file)
    for change, day in CHANGES:
        cluster.sql(database, change)
        cluster.sql(database, f"update gpusize.catalog_version set created_at = '{day} 23:30:00Z'"
                              " where number = (select max(number) from gpusize.catalog_version)")
    return database


@pytest.fixture
def serve(serve):
    return lambda database, *arguments: serve(database, "--poll-interval-ms", HOUR_MS, *arguments)


def offers_on(service, day, **more):
    """(instance type, USD per hour, day of the price) in the order of the answer."""
    answer = service.call("GET", "/v1/offers", query={**MINE, "as_of": day, "limit": 1000, **more})
    assert answer.status == 200, answer.text
    assert answer.json["as_of"] == day
    return [(offer["instance_type"], offer["usd_per_hour"], offer["as_of"]) for offer in answer.json["offers"]]


def history(service, status=200, **query):
    answer = service.call("GET", "/v1/offers/history", query={**MINE, **query})
    assert answer.status == status, answer.text
    return answer.json


def spans(answer):
    return [(point["instance_type"], point["from"], point["until"], point["usd_per_hour"])
            for point in answer["points"]]


def days(answer):
    return [(point["day"], point["min_usd_per_gpu_hour"], point["median_usd_per_gpu_hour"],
             point["max_usd_per_gpu_hour"], point["provider_count"], point["offer_count"])
            for point in answer["points"]]


def test_the_prices_that_held_on_a_day(database, serve):
    service = serve(database)
    assert offers_on(service, "1999-01-01") == offers_on(service, "2026-01-09") == []
    first = [("n1", 1.0, "2026-01-10"), ("b1", 3.0, "2026-01-10"), ("n2", 4.0, "2026-01-10"),
             ("n3", 2.0, "2026-01-10")]
    assert offers_on(service, "2026-01-10") == offers_on(service, "2026-02-09") == first
    second = [("n1", 1.6, "2026-02-10"), *first[1:]]  # of two prices of one day the one that was entered last
    assert offers_on(service, "2026-02-10") == offers_on(service, "2026-03-04") == second
    assert offers_on(service, "2026-03-05") == offers_on(service, "2026-03-31") == second[:2]  # ended on that day
    assert offers_on(service, "2026-04-01") == [*second[:2], ("N3", 2.5, "2026-04-01")]
    assert offers_on(service, "2026-11-01", gpus="l4") == second[:2]  # not the price of the future
    assert offers_on(service, "2100-01-01", gpus="l4") == [second[0], ("b1", 5.0, "2100-01-01")]
    assert offers_on(service, "2026-02-10", regions="north", gpus="l4") == [second[0], second[2]]
    assert offers_on(service, "2026-02-10", max_price_age_days=0) == second[:1]


def test_an_answer_belongs_to_its_version(cluster, database, serve):
    service = serve(database)
    before = offers_on(service, "2026-02-10"), history(service, group="offer")
    cluster.sql(database, "update gpusize.offer_price set usd_per_hour = 9, as_of = '2026-01-15' where offer_id in"
                          " (select id from gpusize.offer where instance_type = 'n1') and to_version is null;"
                          "delete from gpusize.offer where provider = 'beta'")
    after = offers_on(service, "2026-02-10", limit=999), history(service, group="offer", limit=99)
    assert (after[0], after[1]["points"]) == (before[0], before[1]["points"])
    newer = serve(database)
    assert ("n1", 1.6, "2026-02-10") in offers_on(newer, "2026-02-10")
    assert ("n1", 9.0, "2026-01-15") in offers_on(newer, "2026-01-15")
    versions = {history(one)["catalog_version"] for one in (service, newer)}
    assert len(versions) == 2


def test_parts_and_places_that_are_gone(cluster, program, serve):
    database = cluster.database(program)
    cluster.sql(database, """
        insert into gpusize.gpu (id, name, family, vendor, architecture, memory_nominal_gb, memory_bandwidth_gb_per_s,
            interconnect, link_domain_gpus, node_gpus, source, as_of)
        select 'old-part', 'Old Part', 'old', vendor, architecture, memory_nominal_gb, memory_bandwidth_gb_per_s,
            interconnect, link_domain_gpus, node_gpus, 'test', as_of from gpusize.gpu where id = 'l4';
        insert into gpusize.provider values ('gone');
        insert into gpusize.provider_region (provider, region, country, continent, source, as_of)
        values ('gone', 'nowhere', 'no', 'eu', 'test', '2026-01-01');
        insert into gpusize.offer (provider, instance_type, region, gpu_id, gpu_count, purchase)
        values ('gone', 'i', 'nowhere', 'old-part', 4, 'on_demand');
        insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source)
        select max(id), 8, 'instance_total', '2026-01-01', 'test' from gpusize.offer""")
    cluster.sql(database, "delete from gpusize.offer where provider = 'gone';"
                          "delete from gpusize.gpu where id = 'old-part';"
                          "delete from gpusize.provider_region where provider = 'gone'")
    service = serve(database)
    for filters in ({"gpus": "old-part"}, {"gpus": "Old Part"}, {"regions": "nowhere"}, {"providers": "gone"}):
        answer = service.call("GET", "/v1/offers", query={"as_of": "2026-01-02", **filters}).json
        assert [offer["country"] for offer in answer["offers"]] == ["no"], filters
    for filters in ({"gpus": "old-part"}, {"regions": "nowhere"}, {"providers": "gone"}):
        answer = service.call("GET", "/v1/offers/history", query={"from": "2026-01-01", "to": "2026-01-02", **filters})
        assert [(point["gpu"], point["day"], point["min_usd_per_gpu_hour"]) for point in answer.json["points"]] == [
            ("old-part", "2026-01-01", 2), ("old-part", "2026-01-02", 2)], filters
    later = service.call("GET", "/v1/offers/history", query={"providers": "gone", "from": "2026-01-01"}).json
    assert later["total_count"] == 1 and later["points"]
    now = service.call("GET", "/v1/offers", query={"gpus": "old-part"})
    assert now.status == 422 and now.json["errors"][0]["code"] == "unknown_gpu"


def test_a_price_that_was_taken_back(cluster, database, serve):
    cluster.sql(database, "delete from gpusize.offer_price p using gpusize.offer o where p.live_offer_id = o.live_id"
                          " and o.provider = 'acme' and o.instance_type = 'n1'")
    cluster.sql(database, "update gpusize.catalog_version set created_at = '2026-06-01 00:00Z'"
                          " where number = (select max(number) from gpusize.catalog_version)")
    service = serve(database)
    assert ("n1", 1.6, "2026-02-10") in offers_on(service, "2026-05-31")
    assert [offer[0] for offer in offers_on(service, "2026-06-01")] == ["b1", "N3"]
    answer = history(service, group="offer", gpus="l4", providers="acme", to="2026-12-31")
    assert spans(answer)[1] == ("n1", "2026-02-10", "2026-06-01", 1.6)


def test_prices_of_an_offer(database, serve):
    service = serve(database)
    answer = history(service, group="offer", **{"from": "2026-01-01", "to": "2100-12-31"})
    assert spans(answer) == [
        ("n1", "2026-01-10", "2026-02-10", 1.0), ("n1", "2026-02-10", None, 1.6),
        ("b1", "2026-01-10", "2100-01-01", 3.0), ("b1", "2100-01-01", None, 5.0),
        ("n2", "2026-01-10", "2026-03-05", 4.0),
        ("n3", "2026-01-10", "2026-03-05", 2.0), ("n3", "2026-04-01", None, 2.5)]  # the same offer, come back
    assert answer["total_count"] == 4 and answer["step"] is None
    assert answer["points"][1]["source"] == "corrected" and answer["points"][4]["usd_per_gpu_hour"] == 2.0
    short = history(service, group="offer", **{"from": "2026-02-10", "to": "2026-03-31"})
    assert spans(short) == [("n1", "2026-02-10", None, 1.6), ("b1", "2026-01-10", "2100-01-01", 3.0),
                            ("n2", "2026-01-10", "2026-03-05", 4.0), ("n3", "2026-01-10", "2026-03-05", 2.0)]
    gap = history(service, group="offer", gpus="l40s", **{"from": "2026-03-05", "to": "2026-03-31"})
    assert (gap["points"], gap["total_count"], gap["next_cursor"]) == ([], 0, None)


def test_what_a_gpu_cost(database, serve):
    service = serve(database)
    answer = history(service, gpus="l4", **{"from": "2026-02-08", "to": "2026-02-11"})
    assert answer["step"] == "day" and answer["group"] == "gpu"
    assert days(answer) == [("2026-02-08", 1.0, 2.0, 3.0, 2, 3), ("2026-02-09", 1.0, 2.0, 3.0, 2, 3),
                            ("2026-02-10", 1.6, 2.3, 3.0, 2, 3), ("2026-02-11", 1.6, 2.3, 3.0, 2, 3)]
    gone = history(service, gpus="l4", providers="acme", **{"from": "2026-03-04", "to": "2026-03-05"})
    assert days(gone) == [("2026-03-04", 1.6, 1.6, 1.6, 1, 2), ("2026-03-05", 1.6, 1.6, 1.6, 1, 1)]
    both = history(service, **{"from": "2026-04-01", "to": "2026-04-01"})
    assert [(point["gpu"], point["purchase"]) for point in both["points"]] == [("l4", "on_demand"),
                                                                               ("l40s", "on_demand")]
    assert history(service, purchase="spot")["points"] == []


@pytest.mark.parametrize("query, step, first, count", [
    ({"from": "2026-01-10", "to": "2026-05-11"}, "day", "2026-01-10", 122),
    ({"from": "2026-01-10", "to": "2026-05-12"}, "week", "2026-01-13", 18),
    ({"from": "2026-01-10", "to": "2028-05-31"}, "month", "2026-01-31", 29),
    ({"from": "2026-01-10", "to": "2026-03-31", "step": "month"}, "month", "2026-01-31", 3),
    ({"from": "2026-02-01", "to": "2026-02-01", "step": "week"}, "week", "2026-02-01", 1),
])
def test_steps_end_with_the_last_day(database, serve, query, step, first, count):
    answer = history(serve(database), gpus="l4", **query)
    found = [point["day"] for point in answer["points"]]
    assert (answer["step"], found[0], found[-1], len(found)) == (step, first, query["to"], count)


@pytest.mark.parametrize("group", ["offer", "gpu"])
def test_pages(database, serve, group):
    service = serve(database)
    query = {"group": group, "from": "2026-01-01", "to": "2026-04-30"}
    whole = history(service, **query)
    points, cursor = [], {}
    for _ in range(whole["total_count"]):
        page = history(service, limit=1, **query, **cursor)
        assert page["total_count"] == whole["total_count"]
        points += page["points"]
        cursor = {"cursor": page["next_cursor"]}
    assert points == whole["points"] and cursor == {"cursor": None}
    other = {**query, "to": "2026-04-29", "cursor": history(service, limit=1, **query)["next_cursor"]}
    assert history(service, 422, limit=1, **other)["errors"][0]["field"] == "cursor"


def test_a_row_of_the_table_is_a_point(database, serve):
    service = serve(database)
    for group in ("offer", "gpu"):
        query = {**MINE, "group": group, "from": "2026-02-01", "to": "2026-03-10"}
        table = service.call("GET", "/v1/offers/history.csv", query=query)
        rows = list(csv.DictReader(table.text.splitlines()))
        points = history(service, **query)["points"]
        assert [list(row) for row in rows] == [list(point) for point in points]
        assert [list(row.values()) for row in rows] == [
            ["" if value is None else str(value).removesuffix(".0") for value in point.values()] for point in points]


def test_a_kept_answer_is_the_same(database, serve):
    service = serve(database)
    for path, query in (("/v1/offers", {"as_of": "2026-02-10"}), ("/v1/offers/history", {"to": "2026-05-01"})):
        first, second = (service.call("GET", path, query={**MINE, **query}) for _ in range(2))
        assert first.body == second.body and first.headers["ETag"] == second.headers["ETag"]
        again = service.call("GET", path, query={**MINE, **query}, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status == 304


def test_what_cannot_be_meant(database, serve):
    service = serve(database)
    refused = history(service, 422, providers="acmee,lambda", regions="norht", gpus="l4,l41")
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [
        ("constraints.gpus[1]", "unknown_gpu"), ("constraints.providers[0]", "unknown_provider"),
        ("constraints.regions[0]", "unknown_region")]
    assert "did you mean acme?" in refused["errors"][1]["detail"]
    refused = history(service, 422, group="offer", step="day", **{"from": "2026-02-02", "to": "2026-02-01"})
    assert [error["field"] for error in refused["errors"]] == ["from", "step"]
    refused = history(service, 422, providers="aws", step="day", **{"from": "1970-01-01", "to": "2200-12-31"})
    assert "prices: ask for a longer step" in refused["errors"][0]["detail"]
    refused = history(service, 422, providers="acme", gpus="l4", step="day", to="2070-01-01", **{"from": "2026-01-10"})
    assert "points" in refused["errors"][0]["detail"] and refused["errors"][0]["field"] == "limit"
    refused = history(service, 400, months=3)
    assert refused["errors"][0]["code"] == "unknown_field"


def test_only_former_prices_need_the_database(cluster, database, serve):
    service = serve(database)
    held = offers_on(service, "2026-02-10")
    cluster.stop(signal.SIGINT)  # loses nothing that the service has seen
    for path, query in (("/v1/offers/history", MINE), ("/v1/offers", {**MINE, "as_of": "2026-02-11"})):
        answer = service.call("GET", path, query=query)
        assert answer.status == 503 and answer.headers["Retry-After"] == "1"
        assert answer.json["errors"][0]["code"] == "database_away"
    assert service.call("GET", "/v1/offers", query=MINE).status == 200
    assert offers_on(service, "2026-02-10") == held  # which is in the answer cache
    cluster.start()
    assert offers_on(service, "2026-02-11") == held
    assert history(service)["points"]


def test_nobody_waits_for_those_who_wait(cluster, database, serve):
    service = serve(database, "--db-workers", "1", "--workers", "1", "--db-statement-timeout-ms", "0")
    answers = {}

    def ask(name, path, query):
        answers[name] = service.call("GET", path, query=query)

    waiting = [threading.Thread(target=ask, args=("history", "/v1/offers/history", MINE)),
               threading.Thread(target=ask, args=("offers", "/v1/offers", {**MINE, "as_of": "2026-02-10"}))]
    blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%offers_known%'"
    with Session(cluster, database) as blocker:
        blocker.run(LOCK)
        for thread in waiting:
            thread.start()
        await_true(lambda: cluster.sql(database, blocked) == "1")
        assert service.call("GET", "/v1/offers", query={"gpus": "l4"}).status == 200
        assert service.call("GET", "/recommend", query=LLAMA).status == 200
        assert not answers
    for thread in waiting:
        thread.join(LIMIT_S)
    assert answers["history"].status == answers["offers"].status == 200


def test_a_statement_that_takes_too_long(cluster, database, serve):
    service = serve(database, "--db-statement-timeout-ms", "200")
    with Session(cluster, database) as blocker:
        blocker.run(LOCK)
        refused = history(service, 503)
        answer = service.call("GET", "/v1/offers", query={"as_of": "2026-02-10"})
    assert "statement timeout" in refused["errors"][0]["detail"]
    assert answer.status == 503 and "statement timeout" in answer.json["errors"][0]["detail"]


def test_the_command_line_asks_the_same_database(cluster, database, program, serve):
    query = {"group": "offer", "from": "2026-02-01", "to": "2026-05-01"}
    answer = serve(database).call("GET", "/v1/offers/history", query={**MINE, **query})
    arguments = [f"--{name}={value}" for name, value in {**MINE, **query}.items()]

    def ask(*more, url=cluster.url(database)):
        return subprocess.run([program, "offers-history", *arguments, *more], env={**os.environ, "DATABASE_URL": url},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT_S)

    assert ask("--json").stdout.rstrip("\n") == answer.text
    assert "n3" in ask().stdout and ask().stdout.endswith("Series: 4\n")
    without, away = ask(url=""), ask(url="postgresql://127.0.0.1:1/gpusize")
    assert without.returncode == away.returncode == 3 and not without.stdout + away.stdout
    assert "DATABASE_URL" in without.stderr and "no connection to the database" in away.stderr
