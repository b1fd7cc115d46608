"""test_replay.py owns the tests of stored answers on a real database: they come back byte for byte, can be computed
again whatever has changed since, and never hold up a question."""
import functools
import hashlib
import json
import random
import subprocess
import zlib

import pytest

from configs import LLAMA as CONFIG
from live import await_stored, metric, newest
from prices import write
from waiting import LIMIT_S, await_true

LLAMA = {"model": "llama-3.1-8b", "rps": 5}
MIB = 1 << 20
CHANGE = ("update gpusize.offer_price set usd_per_hour = usd_per_hour * 1.1 where to_version is null"
          " and offer_id % 20 = {}")
COUNT = "select count(*) from gpusize.recommendation"
STORED, DROPPED = "gpusize_recommendations_stored_total", "gpusize_recommendations_dropped_total"
QUEUED, HITS = "gpusize_recommendation_queue_bytes", "gpusize_cache_hits_total"


@pytest.fixture
def serve(serve, database):
    return functools.partial(serve, database)


@pytest.fixture
def gpusize(cluster, launch, database):
    """gpusize(*arguments, status=0): what it printed on standard output, or, when it fails, on standard error."""

    def call(*arguments, status=0, url=cluster.url(database)):
        process = launch(url, *arguments, stderr=subprocess.PIPE)
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == status, out + error
        return out if status < 2 else error

    return call


@pytest.fixture
def tamper(sql):
    """As the superuser that the database cannot defend itself against."""

    def change(text):
        sql("alter table gpusize.recommendation disable trigger kept; update gpusize.recommendation set " + text)

    return change


def stored_as(answer):
    """What makes the table have another answer, with the hash that belongs to it."""
    return (f"answer = decode('{zlib.compress(answer).hex()}', 'hex'),"
            f" answer_hash = '{hashlib.blake2b(answer, digest_size=16).hexdigest()}'")


def ask(service, path="/v1/recommend", method="GET", headers=None, body=None, **query):
    answer = service.call(method, path, query={**(LLAMA if body is None else {}), "store": "true", **query}, json=body,
                          headers=headers)
    assert answer.status == 200, answer.text
    return answer


def get(service, id):
    return service.call("GET", f"/v1/recommendations/{id}")


def random_config(seed):
    """A config.json that does not shrink to less than 50 KB."""
    return {**CONFIG, "noise": "%x" % random.Random(seed).getrandbits(400000)}


def big(service, seed):
    return ask(service, "/v1/memory", "POST", body={"model": {"config": random_config(seed)}, "gpu": "h100-sxm"})


# --- storing ---


@pytest.mark.parametrize("path, query", [
    ("/v1/recommend", {}),
    ("/v1/recommend.csv", {"columns": "gpu", "limit": 1}),
    ("/v1/recommend.txt", {"field": "recommended.gpu_count"}),
    ("/recommend", {"format": "xml"}),
])
def test_the_exact_json_comes_back_whatever_was_asked_for(serve, path, query):
    service = serve()
    id = ask(service, path, **query).headers["ETag"].split('"')[1].split("-")[0]
    stored = await_stored(service, id)
    assert stored.status == 200 and stored.json["id"] == id
    assert stored.body == service.call("GET", "/v1/recommend", query=LLAMA).body
    assert metric(service, STORED) == [1]


def questions(sql):
    return [zlib.decompress(bytes.fromhex(text)) for text in
            sql("select encode(question, 'hex') from gpusize.recommendation order by place").split()]


def test_the_question_is_kept_as_it_was_asked(serve, sql, gpusize):
    key = gpusize("key", "create", "--name", "sheets").strip()
    service = serve()
    target = f"/v1/recommend.csv?rps=5&store=true&model=llama%2D3.1-8b&key={key}&columns=gpu&errors=text&regions=eu,us+"
    body = {"model": "llama-3.1-8b", "gpu": "l40s"}
    asked = [service.call("GET", target), ask(service, "/v1/memory", "POST", body=body)]
    await_true(lambda: sql(COUNT) == "2")
    assert sql("select operation, question_form, asked_on = current_date, created_by from gpusize.recommendation"
               " order by place") == "recommend|query|t|sheets\nmemory|json|t|"
    assert questions(sql) == [b"rps=5&model=llama%2D3.1-8b&regions=eu,us+", json.dumps(body).encode()]
    for id in sql("select id from gpusize.recommendation").split():
        assert gpusize("replay", id).startswith("the same ")
    assert asked[1].json["id"] in sql("select id from gpusize.recommendation")


def test_whose_answers_are_stored(serve, sql, gpusize):
    key = {"X-Api-Key": gpusize("key", "create", "--name", "procurement").strip()}
    service = serve()

    def call(headers, **query):
        answer = service.call("GET", "/v1/recommend", query={**LLAMA, **query}, headers=headers)
        assert answer.status == 200, answer.text
        return answer.json["id"]

    assert call({}) == call({})  # the second one is the answer cache's
    assert call({}, store="false") == call(key, store="false") == call({})
    assert call({}, percentile=90) != call({})
    service.stop()
    assert sql(COUNT) == "0"
    service = serve()
    id = call({})
    assert call(key) == id  # kept already, but not stored
    await_stored(service, id)
    hits = metric(service, HITS)[0]
    assert call(key) == call({}) == id
    assert metric(service, HITS) == [hits + 2]  # stored now: it is kept for everybody
    assert sql("select created_by from gpusize.recommendation") == "procurement"


def test_two_replicas_store_the_same(serve, sql):
    first, second = serve(), serve()
    ids = [ask(service, rps=rps).json["id"] for rps in (1, 2, 3) for service in (first, second)]
    for service in (first, second):
        await_true(lambda: metric(service, STORED) == [3])
    assert ids[::2] == ids[1::2] and sql(COUNT) == "3"
    assert get(first, ids[0]).body == get(second, ids[0]).body


def test_the_oldest_make_room(serve, sql):
    service = serve("--record-max-mib", "1")
    sql("insert into gpusize.recommendation (id, operation, question, question_form, asked_on, catalog_version,"
        " estimator_version, answer, answer_hash, created_by) select lpad(n::text, 32, '0'), 'recommend', '', 'json',"
        " current_date, 'a:1', '1', decode(repeat('00', 300000), 'hex'), repeat('0', 32), ''"
        " from generate_series(1, 4) n")
    id = ask(service).json["id"]
    assert await_stored(service, id).status == 200
    left = sql("select id from gpusize.recommendation order by place").split()
    assert left == ["2".rjust(32, "0"), "3".rjust(32, "0"), "4".rjust(32, "0"), id]
    assert get(service, "1".rjust(32, "0")).status == 404
    assert int(sql("select bytes from gpusize.recommendation_size")) <= MIB


def test_nothing_accepted_is_lost_by_a_restart(serve, sql):
    service = serve()
    ids = [ask(service, rps=rps).json["id"] for rps in range(1, 31)]
    service.stop()
    assert not any("not stored" in line for line in service.log)
    assert sorted(ids) == sorted(sql("select id from gpusize.recommendation").split())


def test_a_reader_needs_two_grants(cluster, database, serve, sql):
    """docs/database.md, "Roles"."""
    sql("create role reader login; grant usage on schema gpusize to reader;"
        " grant select on all tables in schema gpusize to reader")
    service = serve(url=cluster.url(database, "reader"))
    ask(service)
    await_true(lambda: metric(service, DROPPED) == [1])
    await_true(lambda: any("answers: cannot be stored: " in line and "permission denied" in line for line in service.log))
    sql("grant insert, delete on gpusize.recommendation to reader;"
        " grant update on gpusize.recommendation_size to reader")
    id = ask(service, rps=6).json["id"]
    assert await_stored(service, id).json["id"] == id
    await_true(lambda: any("answers: can be stored again" in line for line in service.log))


# --- while the database is away ---


def test_what_waits_is_stored_when_the_database_is_back(cluster, serve):
    service = serve()
    ask(service)
    await_true(lambda: metric(service, STORED) == [1])
    cluster.stop()
    answers = [ask(service, rps=rps) for rps in range(6, 16)]
    assert get(service, answers[0].json["id"]).status == 503
    assert metric(service, QUEUED)[0] > 0
    cluster.start()
    for answer in answers:
        await_true(lambda: get(service, answer.json["id"]).status == 200)
        assert get(service, answer.json["id"]).body == answer.body
    assert (metric(service, STORED), metric(service, DROPPED)) == ([11], [0])
    assert metric(service, QUEUED) == [0]
    assert sum("answers: cannot be stored" in line for line in service.log) == 1
    assert sum("answers: can be stored again" in line for line in service.log) == 1


def test_a_full_queue_drops_and_never_blocks(cluster, serve, sql):
    service = serve("--record-queue-max-mib", "1")
    cluster.stop()
    asked = [big(service, seed) for seed in range(40)]
    dropped = metric(service, DROPPED)[0]
    assert 0 < dropped < 40
    assert 0 < metric(service, QUEUED)[0] <= MIB
    cluster.start()
    await_true(lambda: metric(service, STORED) == [40 - dropped])
    stored = set(sql("select id from gpusize.recommendation").split())
    assert len(stored) == 40 - dropped and stored < {answer.json["id"] for answer in asked}
    lost = next(seed for seed, answer in enumerate(asked) if answer.json["id"] not in stored)
    assert big(service, lost).body == asked[lost].body  # computed again: what was dropped is not answered by the cache
    assert await_stored(service, asked[lost].json["id"]).body == asked[lost].body


# --- replay ---


def import_prices(gpusize, folder, price):
    file = write(folder / "prices.csv", {"region": "", "gpu_id": "h100-sxm", "usd_per_hour": price})
    gpusize("import", "csv", file, "--accept-jumps")


def test_the_same_after_many_changes(serve, sql, gpusize, tmp_path):
    service = serve()
    body = {"model": {"config": CONFIG}, "workload": {"requests_per_second": 5, "input_tokens": 2000}}
    answers = [ask(service), ask(service, regions="eu", as_of="2026-10-01"), ask(service, "/v1/cost"),
               ask(service, "/v1/recommend", "POST", body=body),
               ask(service, "/v1/memory", "POST", body={"model": {"config": CONFIG}, "gpu": "h100-sxm"}),
               ask(service, "/v1/throughput", "POST", body={"model": "llama-3.1-8b", "gpu": "h100-sxm"})]
    for answer in answers:
        await_stored(service, answer.json["id"])
    for i in range(20):
        sql(CHANGE.format(i)) if i % 5 else import_prices(gpusize, tmp_path, 0.01 + i / 1000)
    assert newest(sql) >= 21
    version = answers[0].json["catalog_version"]
    now = json.loads(gpusize("recommend", "--model", "llama-3.1-8b", "--rps", 5, "--json"))
    assert now["catalog_version"] != version and now["recommended"] != answers[0].json["recommended"]
    for answer in answers:
        id = answer.json["id"]
        said = gpusize("replay", id)
        assert said.startswith(f"the same {len(answer.body)} bytes: ") and said.endswith(f" of catalog {version}\n")
        assert gpusize("replay", id, "--print") == answer.text + "\n"


def test_a_tampered_answer_is_told(serve, gpusize, tamper):
    service = serve()
    answer = ask(service)
    id = answer.json["id"]
    await_stored(service, id)
    wrong = answer.text.replace('"estimator_version":', '"estimator_version": ', 1).encode()
    assert len(wrong) == len(answer.body) + 1
    tamper(stored_as(wrong))
    said = gpusize("replay", id, status=1)
    assert said == f"different: {len(wrong)} bytes were stored, and it is {len(answer.body)} now; 0 values differ\n"
    count = answer.json["recommended"]["gpu_count"]
    tamper(stored_as(answer.body.replace(b'"gpu_count":%d,' % count, b'"gpu_count":17,', 1)))
    assert f"; 1 value differs (stored, now)\nrecommended.gpu_count: 17, {count}\n" in gpusize("replay", id, status=1)
    assert get(service, id).json["recommended"]["gpu_count"] == 17  # whoever can do that can do anything
    tamper("answer = decode('00', 'hex')")
    assert "damaged" in gpusize("replay", id, status=3)
    failed = get(service, id)
    assert (failed.status, failed.json["errors"][0]["code"]) == (500, "database_error")


def test_day_version_and_estimator_count(serve, sql, gpusize, tamper):
    service = serve()
    answer = ask(service).json
    id, version = answer["id"], answer["estimator_version"]
    await_stored(service, id)
    tamper("asked_on = asked_on - 1")
    said = gpusize("replay", id, status=1)
    assert "\nas_of: " in said and "that is why" not in said
    tamper("estimator_version = '0'")
    why = f"estimator 0 computed it, and this program has {version}: that is why\n"
    assert why in gpusize("replay", id, status=1)
    tamper("asked_on = asked_on + 1")
    assert gpusize("replay", id).startswith("the same ")
    sql("update gpusize.offer_price set usd_per_hour = usd_per_hour * 2 where to_version is null")
    tamper("catalog_version = split_part(catalog_version, ':', 1) || ':'"
           " || (select max(number) from gpusize.catalog_version)")
    lines = gpusize("replay", id, status=1).splitlines()
    assert len(lines) == 13 and lines[2].startswith("catalog_version: ") and lines[11].startswith("and ")


def test_what_cannot_be_computed_again(cluster, serve, sql, gpusize, tamper):
    service = serve()
    id = ask(service).json["id"]
    await_stored(service, id)
    assert f"no answer {'0' * 32} is stored" in gpusize("replay", "0" * 32, status=3)
    for wrong in ((), ("ABC",), ("--print",), (id, "--nonsense"), (id, "more")):
        assert gpusize("replay", *wrong, status=2)
    assert "DATABASE_URL" in gpusize("replay", id, status=2, url="")
    sql("update gpusize.database set id = gen_random_uuid()")  # as in a copy that goes its own way
    assert "of another database; this one is" in gpusize("replay", id, status=3)
    version = "(select id from gpusize.database) || ':99'"
    tamper(f"catalog_version = {version}")
    assert "there was no version 99" in gpusize("replay", id, status=3)
    tamper("catalog_version = 'x'")
    assert "computed from x, of another database" in gpusize("replay", id, status=3)
    cluster.stop()
    assert "no connection to the database" in gpusize("replay", id, status=3)


# --- the command line ---


@pytest.mark.parametrize("command, options", [
    ("recommend", LLAMA), ("cost", {**LLAMA, "regions": "eu"}), ("memory", {"model": "70B", "gpu": "h100-sxm"}),
    ("throughput", {"model": "qwen3-32b", "gpu": "h100-sxm"}), ("gpus", {"limit": 3}), ("offers", {"gpu": "l4"}),
    ("engines", {}), ("models", {"q": "qwen3"}),
])
def test_the_command_line_answers_as_the_service_does(serve, sql, gpusize, command, options):
    sql(CHANGE.format(1))
    service = serve()
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    for suffix, form in ((".json", "json"), (".xml", "xml")):
        said = gpusize(command, *arguments, "--format", form)
        answer = service.call("GET", f"/v1/{command}{suffix}", query=options)
        assert answer.status == 200 and said == answer.text + "\n"


def test_the_command_line_never_falls_back(cluster, gpusize):
    built_in = gpusize("gpus", "--json", url="")
    assert gpusize("gpus", "--json", "--database-url", "") == built_in != gpusize("gpus", "--json")
    assert gpusize("gpus", "--json", "--database-url", "", url="postgresql://nobody@127.0.0.1:1/x") == built_in
    url = cluster.url(cluster.empty_database())
    assert "gpusize migrate" in gpusize("gpus", "--json", "--database-url", url, status=3)
    assert "no connection" in gpusize("gpus", "--json", status=3, url="postgresql://nobody@127.0.0.1:1/x")
