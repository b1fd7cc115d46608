"""test_scaling.py owns the proof that processes are replicas of one another: three behind nginx on one PostgreSQL give the
same bytes whoever answers, follow a change together, and are replaced one after another under load without a request that
fails; one that reads from a standby answers as they do."""
import http.client
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from nginx import Nginx
from postgres import Cluster
from waiting import await_true

AS_OF = "2026-11-23"
QUESTIONS = [
    f"/v1/recommend?model=llama-3.1-70b&rps=5&budget=100000&as_of={AS_OF}",
    f"/v1/recommend?model=llama-3.1-8b&rps=2&as_of={AS_OF}",
    f"/v1/cost?model=qwen2.5-7b-instruct&rps=1&as_of={AS_OF}",
    "/v1/memory?model=llama-3.1-8b&gpu=h100-sxm",
    f"/v1/throughput?model=llama-3.1-8b&gpu=l40s",
    f"/v1/offers?limit=50&as_of={AS_OF}",
    "/v1/gpus.csv",
]
REPLICAS = 3
ASKERS = 6


def ask(address, path, headers=None):
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture
def replicas(database, serve):
    """Three services on one database, with the settings of a pod."""
    return [serve(database, "--threads", "1", "--workers", "1", "--poll-interval-ms", "100") for _ in range(REPLICAS)]


@pytest.fixture
def front(replicas):
    proxy = Nginx([one.address for one in replicas])
    yield proxy
    proxy.close()


def test_whoever_answers_gives_the_same_bytes(replicas, front):
    for path in QUESTIONS:
        direct = [ask(one.address, path) for one in replicas]
        through = [ask(("127.0.0.1", front.port), path) for _ in range(2 * REPLICAS)]
        assert {status for status, _, _ in direct + through} == {200}, path
        assert len({body for _, _, body in direct + through}) == 1, path
        assert len({headers["ETag"] for _, headers, _ in direct + through}) == 1, path
        assert len({headers["X-Upstream"] for _, headers, _ in through}) == REPLICAS  # nginx asked all of them
        etag = direct[0][1]["ETag"]
        assert {ask(one.address, path, {"If-None-Match": etag})[0] for one in replicas} == {304}


def test_they_follow_a_change_together(replicas, front, sql):
    path = f"/v1/offers?provider=lambda&limit=200&as_of={AS_OF}"
    _, _, before = ask(("127.0.0.1", front.port), path)
    sql("update gpusize.offer_price p set usd_per_hour = usd_per_hour + 0.01, source = 'contract 17' from gpusize.offer o "
        "where o.id = p.offer_id and o.provider = 'lambda' and o.to_version is null")

    def answers():
        return {ask(one.address, path)[2] for one in replicas}

    await_true(lambda: before not in answers() and len(answers()) == 1)
    versions = {one.call("GET", "/readyz").json["catalog_version"] for one in replicas}
    assert len(versions) == 1


def test_a_stored_answer_is_had_from_any_of_them(replicas, front):
    status, headers, body = ask(replicas[0].address, QUESTIONS[0] + "&store=true")
    assert status == 200
    name = headers["ETag"].strip('W/"').split("-")[0]
    for one in replicas:
        await_true(lambda: ask(one.address, f"/v1/recommendations/{name}")[0] == 200)
        assert ask(one.address, f"/v1/recommendations/{name}")[2] == body


class Load:
    """Asks without a pause until it is stopped. failed: what was not 200, or not the answer. stay: on connections that
    stay; an nginx that is configured anew closes those, and then it is the client's part to ask again."""

    def __init__(self, address, stay):
        self.address = address
        self.stay = stay
        self.stopped = threading.Event()
        self.expected = {path: ask(address, path)[2] for path in QUESTIONS}
        self.failed, self.counts = [], [0] * ASKERS
        self.pool = ThreadPoolExecutor(ASKERS)
        self.running = [self.pool.submit(self.work, i) for i in range(ASKERS)]

    def work(self, number):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        while not self.stopped.is_set():
            path = QUESTIONS[(number + self.counts[number]) % len(QUESTIONS)]
            # A fresh question now and then: computing, not only the cache, is under way when a process ends.
            fresh = self.counts[number] % 10 == 0
            asked = f"/v1/recommend?model=llama-3.1-8b&rps={number + 1}.{self.counts[number] + 1}&as_of={AS_OF}" if fresh else path
            try:
                connection.request("GET", asked)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or (not fresh and body != self.expected[path]):
                    self.failed.append((asked, answer.status, body[:300]))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((asked, repr(error)))
                connection.close()
            self.counts[number] += 1
            if not self.stay:
                connection.close()
        connection.close()

    def stop(self):
        self.stopped.set()
        for one in self.running:
            one.result(60)
        self.pool.shutdown()
        return sum(self.counts)


def test_a_rolling_restart_under_load_fails_no_request(database, serve, replicas, front):
    """In the order of a Deployment: a new process, ready; the old one is no longer led to; then it ends."""
    load = Load(("127.0.0.1", front.port), stay=False)
    running = list(replicas)
    asked_before = 0
    for old in replicas:
        new = serve(database, "--threads", "1", "--workers", "1", "--poll-interval-ms", "100")
        assert new.call("GET", "/readyz").status == 200
        running = [one for one in running if one is not old] + [new]
        front.lead_to([one.address for one in running])
        old.stop()  # fails if it does not end with status 0
        asked_before = sum(load.counts)
        await_true(lambda: sum(load.counts) > asked_before + 50)
    asked = load.stop()
    assert load.failed == []
    assert asked > 3 * 50


def test_processes_that_end_unannounced_answer_what_they_began(serve, database, replicas, front):
    """Nobody told nginx: it tries the next one where a connection was refused or closed."""
    load = Load(("127.0.0.1", front.port), stay=True)
    for one in replicas[:2]:
        asked_before = sum(load.counts)
        await_true(lambda: sum(load.counts) > asked_before + 50)
        one.stop()
    asked_before = sum(load.counts)
    await_true(lambda: sum(load.counts) > asked_before + 50)
    load.stop()
    assert load.failed == []


@pytest.fixture(scope="module")
def standby(cluster):
    own = Cluster(primary=cluster)
    yield own
    own.close()


def test_one_that_reads_from_a_standby_answers_as_the_others_do(cluster, database, standby, serve, sql):
    await_true(lambda: standby.sql("postgres", f"select count(*) from pg_database where datname = '{database}'") == "1")
    await_true(lambda: standby.sql(database, "select count(*) from gpusize.catalog_version") != "0")
    writer = serve(database, "--poll-interval-ms", "100")
    reader = serve(database, "--record-max-mib", "0", "--database-listen-url", cluster.url(database),
                   "--poll-interval-ms", "100", url=standby.url(database))
    assert reader.call("GET", "/readyz").json["status"] == "ready"
    for path in QUESTIONS:
        assert ask(reader.address, path)[2] == ask(writer.address, path)[2]
    old = writer.call("GET", "/readyz").json["catalog_version"]
    sql("update gpusize.gpu set tdp_watts = 73 where id = 'l4'")
    await_true(lambda: writer.call("GET", "/readyz").json["catalog_version"] != old)
    await_true(lambda: reader.call("GET", "/readyz").json["catalog_version"]
               == writer.call("GET", "/readyz").json["catalog_version"])
    assert ask(reader.address, "/v1/gpus.csv")[2] == ask(writer.address, "/v1/gpus.csv")[2]
    # The standby ends: answers go on from the last catalog.
    standby.stop(signal.SIGQUIT)
    await_true(lambda: reader.call("GET", "/readyz").json["status"] == "degraded")
    assert ask(reader.address, QUESTIONS[0])[0] == 200
    standby.start()
    await_true(lambda: reader.call("GET", "/readyz").json["status"] == "ready")
