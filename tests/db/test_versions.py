"""test_versions.py owns the tests of what counts as the newest: order, restored databases, copies, other schemas, and who
comes first when many begin at once."""
import json
import re
import subprocess

import pytest

from documents import database_sql
from live import (CATALOG_LOCK, HOUR_MS, LISTENING, MIGRATION_LOCK, QUICKLY, RAISE_PRICES, ask, await_ready,
                  await_version, cost, metric, newest, number, ready)
from postgres import Session, tool
from prices import VERSIONS, write
from waiting import await_true, finish

NEWER = ("insert into gpusize.schema_migration (number, name, checksum)"
         " select max(number) + 1, 'later', '' from gpusize.schema_migration")
MIGRATORS, STORM = 10, 300


def test_versions_follow_the_commits(cluster, database, sql, serve):
    """The first to begin is the last to commit: its change is the newest, and none is missed in between."""
    service = serve(database, *QUICKLY)
    before = ask(service)
    with Session(cluster, database) as early, Session(cluster, database) as late:
        early.run("begin; select now()")
        late.run("begin; " + RAISE_PRICES)
        late.run("commit")
        between = await_version(service, newest(sql))
        early.run(RAISE_PRICES)
        early.run("commit")
    after = await_version(service, newest(sql))
    assert [cost(between), cost(after)] == [pytest.approx(2 * cost(before)), pytest.approx(4 * cost(before))]
    assert sql("select array_agg(number order by created_at) = array_agg(number order by number)"
               " from gpusize.catalog_version") == "t"


def test_a_storm_of_changes(cluster, database, sql, serve):
    """However many are told, one answer is right in the end, and each version is loaded at most once."""
    service = serve(database, "--database-listen-url", cluster.url(database), "--poll-interval-ms", HOUR_MS)
    await_true(lambda: sql(LISTENING) == "1")
    before = ask(service)
    sql(f"do $$ begin for i in 1..{STORM} loop update gpusize.offer_price set usd_per_hour = usd_per_hour + 0.001"
        " where to_version is null and offer_id % 50 = i % 50; commit; end loop; end $$")
    after = await_version(service, newest(sql))
    assert number(after["catalog_version"]) == number(before["catalog_version"]) + STORM
    assert metric(service, "gpusize_snapshot_reloads_total")[0] <= STORM + 1


def dump(cluster, database):
    return subprocess.run([tool("pg_dump"), cluster.url(database)], check=True, stdout=subprocess.PIPE).stdout


def restore(cluster, database, dumped):
    """As the page has it: in the place of what was there."""
    cluster.sql(database, "drop schema gpusize cascade")
    subprocess.run([tool("psql"), *cluster.options(database)], check=True, input=dumped, stdout=subprocess.DEVNULL)


def test_a_database_restored_from_a_backup(cluster, database, sql, serve):
    """Its version is lower than what answers; and the next change must not get a number that was used before."""
    service = serve(database, *QUICKLY)
    first, dumped = ask(service), dump(cluster, database)
    sql(RAISE_PRICES)
    lost = await_version(service, newest(sql))
    restore(cluster, database, dumped)
    assert await_version(service, newest(sql)) == first
    sql(database_sql("Backup"))
    sql(RAISE_PRICES + "; " + RAISE_PRICES)
    after = await_version(service, newest(sql))
    assert after["catalog_version"] not in (first["catalog_version"], lost["catalog_version"])
    assert cost(after) == pytest.approx(4 * cost(first))
    assert number(after["catalog_version"]) > number(lost["catalog_version"]) + 1000


def test_a_copy_that_gets_an_id_of_its_own(database, sql, serve):
    service = serve(database, *QUICKLY)
    before = ask(service)
    sql("update gpusize.database set id = gen_random_uuid()")
    await_true(lambda: ask(service)["catalog_version"] != before["catalog_version"])
    after = ask(service)
    assert number(after["catalog_version"]) == number(before["catalog_version"]) and cost(after) == cost(before)


def test_a_schema_one_newer_works_and_two_newer_does_not(cluster, database, sql, serve, gpusize, tmp_path):
    running = serve(database, *QUICKLY)
    url, before = cluster.url(database), ask(running)
    sql(NEWER)
    assert "1 new" in gpusize(url, "import", "csv", write(tmp_path / "a.csv", {}))
    gpusize(url, "import", "bundled")
    gpusize(url, "migrate")
    gpusize(url, "migrate", "--check")
    assert ready(serve(database, *QUICKLY)) == "ready"
    known = await_version(running, newest(sql))
    sql(NEWER)
    versions = sql(VERSIONS)
    for arguments in (["import", "csv", write(tmp_path / "b.csv", {"usd_per_hour": 1})], ["import", "bundled"],
                      ["migrate"], ["migrate", "--check"]):
        assert "use a newer gpusize" in gpusize(url, *arguments, status=3)
    assert sql(VERSIONS) == versions
    answer = serve(database, *QUICKLY).call("GET", "/readyz")
    assert answer.status == 503 and "use a newer gpusize" in answer.text
    sql(RAISE_PRICES)  # what it may not be able to read, a service that runs does not read either
    await_ready(running, "degraded")
    assert "use a newer gpusize" in running.call("GET", "/readyz").text
    assert ask(running) == known and known["catalog_version"] != before["catalog_version"]


def test_ten_migrate_at_once(cluster, launch):
    database = cluster.empty_database()
    said = "".join(finish(one) for one in [launch(cluster.url(database), "migrate") for _ in range(MIGRATORS)])
    assert len(re.findall("applied 0001", said)) == len(re.findall("rows of the built-in catalog", said)) == 1
    assert cluster.sql(database, VERSIONS) == "1"


def test_what_waits_for_others_waits_longer_than_a_question_may_take(cluster, database, launch, tmp_path):
    """Migrations, imports and the first filling have no time limit: whoever holds the lock may have much to do."""
    empty, limit = cluster.empty_database(), ("--db-statement-timeout-ms", "20")
    file = write(tmp_path / "a.csv", {})
    waiting = ("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
               " and now() - query_start > interval '100 ms'")
    for name, lock, arguments, said in ((empty, MIGRATION_LOCK, ["migrate"], "applied 0001"),
                                        (database, CATALOG_LOCK, ["import", "csv", file], "1 new"),
                                        (database, CATALOG_LOCK, ["import", "bundled"], "0 facts written")):
        with Session(cluster, name) as blocker:
            blocker.run(lock)
            process = launch(cluster.url(name), *arguments, *limit)
            await_true(lambda: cluster.sql(name, waiting) == "1")
            blocker.run("commit")
        assert said in finish(process)


def test_a_price_changed_after_the_first_filling_stays(cluster, launch):
    """One that migrates may have looked before there was a catalog, and come to write when people have changed it."""
    database = cluster.empty_database()
    with Session(cluster, database) as blocker:
        blocker.run(CATALOG_LOCK)
        both = [launch(cluster.url(database), "migrate") for _ in range(2)]
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%lock_catalog%'"
        await_true(lambda: cluster.sql(database, waiting) == "2")
        blocker.run("insert into gpusize.operating_cost (key, scope, value, unit, as_of, source)"
                    " values ('pue', 'all', 9, 'ratio', '2026-11-01', 'ours')")
        blocker.run("commit")
    for process in both:
        assert "rows of the built-in catalog" not in finish(process)
    assert cluster.sql(database, "select source from gpusize.operating_cost where to_version is null") == "ours"
    assert cluster.sql(database, VERSIONS) == "1"


def test_profiles_of_an_older_program_are_brought_up_to_date(cluster, database, launch):
    """Coefficients belong to formulas: migrating gives a database those that this program needs, and takes old rows."""
    def command(*arguments, status=0):
        return finish(launch(cluster.url(database), *arguments), status)

    ask = ("memory", "--model", "llama-3.1-8b", "--gpu", "l40s", "--json")
    cluster.sql(database, "delete from gpusize.engine_profile where coefficient = 'latent_layer_us';"
                          " insert into gpusize.engine_profile (engine, version_from, version_to, coefficient, value, source,"
                          " as_of) values ('vllm', '0.17', '0.18', 'tpot_fitted_factor', '1.4', 'older', '2026-01-01'),"
                          " ('vllm', '0.5', '0.5', 'inherits', 'vllm 0.6', 'ours', '2026-01-01')")
    assert "does not give latent_layer_us" in command(*ask, status=3)
    assert "rows of engine profiles" in command("migrate")
    assert json.loads(command(*ask))["fits"] is True
    assert cluster.sql(database, "select source from gpusize.engine_profile where to_version is null and"
                                 " source in ('older', 'ours')") == "ours"
    assert "rows of engine profiles" not in command("migrate")


def test_the_same_file_twice_at_once(cluster, database, sql, launch, tmp_path):
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}"} for n in range(1000)))
    before = int(sql(VERSIONS))
    running = [launch(cluster.url(database), "import", "csv", file, "--json") for _ in range(2)]
    reports = [json.loads(finish(process)) for process in running]
    assert sorted((one["new_rows"], one["unchanged_rows"]) for one in reports) == [(0, 1000), (1000, 0)]
    assert int(sql(VERSIONS)) == before + 1
    assert sql("select count(*) from gpusize.import_run") == "2"
