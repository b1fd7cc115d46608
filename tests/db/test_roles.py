"""test_roles.py owns the tests of who may do what: the roles of docs/database.md, word for word, and a hot standby."""
import pytest

from documents import database_sql
from live import HOUR_MS, QUICKLY, RAISE_PRICES, ask, await_version, cost, metric, newest, number, ready
from postgres import Cluster
from prices import ROWS, VERSIONS, write
from waiting import await_true

READER, WRITER, OWNER, NOBODY = "gpusize_reader", "gpusize_writer", "gpusize", "nobody"


@pytest.fixture(scope="module")
def database(cluster, program):
    """As the page has it made: by its owner, who is no superuser; then the grants."""
    cluster.sql("postgres", f"create role {OWNER} login; create role {NOBODY} login")
    name = cluster.empty_database(owner=OWNER)
    cluster.migrate(program, name, OWNER)
    cluster.sql(name, database_sql("Roles"))
    return name


def test_a_reader_serves(cluster, database, serve):
    url = cluster.url(database, READER)
    service = serve(database, "--database-listen-url", url, "--poll-interval-ms", HOUR_MS, url=url)
    before = ask(service)
    cluster.sql(database, RAISE_PRICES)
    after = await_version(service, number(before["catalog_version"]) + 1)  # told: a reader may listen
    assert cost(after) == pytest.approx(2 * cost(before))


def test_a_writer_imports_and_changes_prices(cluster, database, gpusize, tmp_path):
    url = cluster.url(database, WRITER)
    assert "1 new" in gpusize(url, "import", "csv", write(tmp_path / "a.csv", {}))
    assert "0 facts written" in gpusize(url, "import", "bundled")
    said = gpusize(url, "import", "purchase", write(tmp_path / "parts.csv", {"usd": 2100, "kind": "contract"},
                                                   columns=["gpu_id", "usd", "kind", "as_of", "source"]))
    assert "1 new" in said
    before = int(cluster.sql(database, VERSIONS))
    cluster.sql(database, f"set role {WRITER}; {RAISE_PRICES}; delete from gpusize.offer where provider = 'acme'")
    assert int(cluster.sql(database, VERSIONS)) == before + 1
    by = "select distinct created_by from gpusize.catalog_version where application = 'gpusize import'"
    assert cluster.sql(database, by) == WRITER


def test_a_writer_serves_those_who_write(cluster, database, serve, gpusize):
    key = gpusize(cluster.url(database, OWNER), "key", "create", "--name", "procurement", "--role", "writer")
    headers = {"Authorization": "Bearer " + key.splitlines()[-1], "If-Match": "*", "Idempotency-Key": "k-1"}
    change = {"query": {"id": "l4"}, "json": {"tdp_watts": 71}, "headers": headers}
    assert serve(database, url=cluster.url(database, WRITER)).call("PATCH", "/v1/gpus", **change).status == 200
    refused = serve(database, url=cluster.url(database, READER)).call("PATCH", "/v1/gpus", **change)
    assert refused.status == 500 and f"docs/database.md says what to grant (this is role {READER})" in refused.text


@pytest.mark.parametrize("role", [READER, WRITER, OWNER])
def test_everybody_may_look_at_the_schema(cluster, database, gpusize, role):
    assert "the database has schema" in gpusize(cluster.url(database, role), "migrate", "--check")
    assert "nothing to do" in gpusize(cluster.url(database, role), "migrate", "--dry-run")


@pytest.mark.parametrize("role,arguments,said", [
    (READER, ["import", "csv", "{file}"], "permission denied for table import_run"),
    (READER, ["import", "csv", "{file}", "--dry-run"], "permission denied for table import_run"),
    (READER, ["import", "bundled"], "permission denied for table "),
    (READER, ["key", "create", "--name", "x"], "permission denied for table api_key"),
    (WRITER, ["key", "create", "--name", "x", "--role", "admin"], "permission denied for table api_key"),
    (WRITER, ["key", "revoke", "x"], "permission denied for table api_key"),
    (READER, ["migrate"], "permission denied for database "),
    (WRITER, ["migrate"], "permission denied for database "),
    (NOBODY, ["import", "csv", "{file}"], "permission denied for schema gpusize"),
    (NOBODY, ["migrate", "--check"], "permission denied for schema gpusize"),
    (NOBODY, ["migrate"], "permission denied for database "),
    ("missing", ["migrate", "--check"], 'role "missing" does not exist'),
])
def test_what_is_refused_says_which_right_is_missing(cluster, database, gpusize, tmp_path, role, arguments, said):
    before = cluster.sql(database, ROWS), cluster.sql(database, VERSIONS)
    file = str(write(tmp_path / "a.csv", {"usd_per_hour": 9}))
    heard = gpusize(cluster.url(database, role), *(word.format(file=file) for word in arguments), status=3)
    assert said in heard
    assert role == "missing" or f"docs/database.md says what to grant (this is role {role})" in heard
    assert (cluster.sql(database, ROWS), cluster.sql(database, VERSIONS)) == before


def test_nobody_gets_no_catalog(cluster, database, serve):
    service = serve(database, url=cluster.url(database, NOBODY))
    answer = service.call("GET", "/readyz")
    assert answer.status == 503 and "permission denied for schema gpusize" in answer.text
    cluster.sql(database, f"grant usage on schema gpusize to {NOBODY};"
                          f"grant select on all tables in schema gpusize to {NOBODY}")
    await_true(lambda: ready(service) == "ready")
    cluster.sql(database, f"revoke select on gpusize.offer from {NOBODY}; {RAISE_PRICES}")
    await_true(lambda: ready(service) == "degraded")
    assert "permission denied for table offer" in service.call("GET", "/readyz").text
    ask(service)
    cluster.sql(database, f"grant select on gpusize.offer to {NOBODY}")
    await_true(lambda: ready(service) == "ready")


def test_a_hot_standby_serves_and_takes_nothing(cluster, database, serve, gpusize, tmp_path):
    standby = Cluster(primary=cluster)
    try:
        url = standby.url(database)
        service = serve(database, "--database-listen-url", url, *QUICKLY, url=url)
        before = ask(service)
        cluster.sql(database, RAISE_PRICES)
        assert cost(await_version(service, number(before["catalog_version"]) + 1)) == pytest.approx(2 * cost(before))
        for arguments in (["import", "csv", write(tmp_path / "a.csv", {})], ["import", "bundled"], ["migrate"]):
            said = gpusize(url, *arguments, status=3)
            assert "standby" in said and "primary" in said
        assert "the database has schema" in gpusize(url, "migrate", "--check")
        assert metric(service, "gpusize_snapshot_load_failures_total") == [0]
        assert "".join(service.log).count("cannot be told of changes, so asks for them") == 1  # a standby refuses LISTEN
        # The standby takes over; what is imported there now shows.
        standby.sql("postgres", "select pg_promote()")
        assert "1 new" in gpusize(url, "import", "csv", write(tmp_path / "a.csv", {}))
        await_version(service, newest(lambda text: standby.sql(database, text)))
    finally:
        standby.close()
