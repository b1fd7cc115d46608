"""test_pooler.py owns the tests through pgbouncer in transaction mode: whatever depends on a session must not show."""
import re

import pytest

from live import HOUR_MS, LISTENING, QUICKLY, RAISE_PRICES, ask, await_version, metric, newest, number, ready
from pooler import Pooler
from prices import write
from waiting import await_true, finish

OFF = "--db-prepared=off"
SERVICES, IMPORTS, CHANGES, POOL = 4, 5, 5, 2  # more clients than the pooler has connections to the server
PREPARED = "select count(*) from pg_prepared_statements"


@pytest.fixture
def pooler(cluster):
    own = Pooler(cluster, POOL)
    yield own
    own.close()


def test_all_of_it_through_few_connections(cluster, pooler, launch, serve, tmp_path):
    database = cluster.empty_database()
    url = pooler.url(database)
    for said in [finish(one) for one in [launch(url, "migrate", OFF) for _ in range(3)]]:
        assert "the database has schema" in said
    services = [serve(database, OFF, *QUICKLY, "--access-log", "0", url=url) for _ in range(SERVICES)]
    before = ask(services[0])
    imports = [launch(url, "import", "csv", write(tmp_path / f"{i}.csv", {"instance_type": f"n{i}"}), OFF)
               for i in range(IMPORTS)]
    for _ in range(CHANGES):
        cluster.sql(database, RAISE_PRICES)
    for process in imports:
        assert "1 new" in finish(process)
    last = number(before["catalog_version"]) + IMPORTS + CHANGES
    assert newest(lambda text: cluster.sql(database, text)) == last
    answers = [await_version(service, last) for service in services]
    assert all(answer == answers[0] for answer in answers)
    assert [metric(service, "gpusize_snapshot_load_failures_total") for service in services] == SERVICES * [[0]]
    backends = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    assert int(cluster.sql(database, backends)) <= POOL
    assert pooler.sql(database, PREPARED) == "0"
    applications = ("select string_agg(distinct application, ',' order by application) from gpusize.catalog_version"
                    " where application like 'gpusize%'")
    assert cluster.sql(database, applications) == "gpusize import,gpusize migrate"  # each transaction's own name


def test_a_pooler_that_loses_prepared_statements(pooler, database, sql, gpusize, serve, tmp_path):
    """Two services with the same names for their statements, on the same few connections."""
    url = pooler.url(database)
    services = [serve(database, *QUICKLY, url=url) for _ in range(2)]
    for i in range(CHANGES):
        sql(RAISE_PRICES)
        gpusize(url, "import", "csv", write(tmp_path / "a.csv", {"instance_type": f"n{i}"}))
        for service in services:
            await_version(service, newest(sql))
    assert [ready(service) for service in services] == ["ready", "ready"]
    assert [metric(service, "gpusize_snapshot_load_failures_total") for service in services] == [[0], [0]]


def test_nothing_is_heard_through_it_but_the_version_is_asked(cluster, pooler, database, serve):
    service = serve(database, OFF, "--poll-interval-ms", "10", "--database-listen-url", pooler.url(database),
                    url=pooler.url(database))
    before = number(ask(service)["catalog_version"])
    cluster.sql(database, RAISE_PRICES)
    await_version(service, before + 1)
    told = serve(database, OFF, "--poll-interval-ms", HOUR_MS, "--database-listen-url", cluster.url(database),
                 url=pooler.url(database))
    await_true(lambda: cluster.sql(database, LISTENING) != "0")
    cluster.sql(database, RAISE_PRICES)
    await_version(told, before + 2)  # past the pooler


def test_the_pooler_goes_away_and_comes_back(cluster, database, serve, gpusize, tmp_path):
    pooler = Pooler(cluster, POOL)
    service = serve(database, OFF, *QUICKLY, url=pooler.url(database))
    before = ask(service)
    pooler.stop()
    await_true(lambda: ready(service) == "degraded")
    assert ask(service) == before
    said = gpusize(pooler.url(database), "import", "csv", write(tmp_path / "a.csv", {}), OFF, status=3)
    assert re.search(r"no connection to the database: .*(No such file|refused)", said)
    pooler.start()
    await_true(lambda: ready(service) == "ready")
    cluster.stop()
    await_true(lambda: ready(service) == "degraded")
    assert ask(service) == before
    cluster.start()
    await_true(lambda: ready(service) == "ready")
    pooler.close()
