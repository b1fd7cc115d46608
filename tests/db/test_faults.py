"""test_faults.py owns the tests of a database that fails in the middle: nothing is half-written, answers go on, the
counters tell, and what comes afterwards works."""
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from live import (CATALOG_LOCK, CUT, HOUR_MS, MIGRATION_LOCK, QUICKLY, RAISE_PRICES, ask, await_ready, await_session,
                  await_version, kill_sessions, metric, newest, number, ready, sessions_of)
from postgres import Cluster, Session
from prices import ROWS, VERSIONS, write
from waiting import await_true, finish

KILLS = [signal.SIGQUIT, signal.SIGKILL]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@pytest.fixture
def small_disk():
    """small_disk(folder, megabytes): a new folder that the database may write, a file system of that size."""
    mounted = []

    def mount(folder, megabytes):
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            pytest.skip(f"needs a small file system, and may not mount one: {done.stdout.strip()}")
        mounted.append(folder)
        shutil.chown(folder, "postgres", "postgres")
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("kill", KILLS)
def test_killed_while_an_import_is_read(cluster, database, sql, serve, launch, gpusize, tmp_path, kill):
    """The file is a pipe, which holds the import where it is, and which nobody can read a second time."""
    service = serve(database, *QUICKLY)
    before, answer = (sql(ROWS), sql(VERSIONS)), ask(service)
    file, pipe = write(tmp_path / "a.csv", *({"instance_type": f"n{n}"} for n in range(2000))), tmp_path / "pipe"
    os.mkfifo(pipe)
    process = launch(cluster.url(database), "import", "csv", pipe)
    with open(pipe, "wb") as writer:
        text = file.read_bytes()
        writer.write(text[:len(text) // 2])
        writer.flush()
        await_session(cluster, database, "import", "state = 'active' and query like 'copy import_row%'")
        cluster.stop(kill)
        await_ready(service, "degraded")
        cluster.start()
        writer.write(text[len(text) // 2:])
    assert "a pipe cannot be read again" in finish(process, 3)
    assert (sql(ROWS), sql(VERSIONS)) == before and sql("select count(*) from gpusize.import_run") == "0"
    await_ready(service, "ready")
    assert ask(service) == answer and metric(service, "gpusize_snapshot_reloads_total") == [1]
    assert metric(service, "gpusize_snapshot_load_failures_total")[0] > 0
    assert "2000 new" in gpusize(cluster.url(database), "import", "csv", file)
    await_version(service, newest(sql))


@pytest.mark.parametrize("kill", KILLS)
def test_killed_while_an_import_waits_to_write(cluster, database, sql, launch, gpusize, tmp_path, kill):
    before = sql(ROWS), sql(VERSIONS)
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}"} for n in range(2000)))
    with Session(cluster, database) as blocker:
        blocker.run(CATALOG_LOCK)
        process = launch(cluster.url(database), "import", "csv", file)
        await_session(cluster, database, "import", "wait_event_type = 'Lock'")
        cluster.stop(kill)
        assert "database" in finish(process, 3)
        cluster.start()
    assert (sql(ROWS), sql(VERSIONS)) == before and sql("select count(*) from gpusize.import_run") == "0"
    assert "2000 new" in gpusize(cluster.url(database), "import", "csv", file)


def test_an_import_that_is_killed_leaves_nothing(cluster, database, sql, launch, gpusize, tmp_path):
    before = sql(ROWS), sql(VERSIONS)
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}"} for n in range(2000)))
    with Session(cluster, database) as blocker:
        blocker.run("begin; lock table gpusize.offer_price in share mode")
        process = launch(cluster.url(database), "import", "csv", file)
        await_session(cluster, database, "import", "wait_event_type = 'Lock'")  # it has the lock of the catalog
        process.kill()
        process.wait()
    assert "2000 new" in gpusize(cluster.url(database), "import", "csv", file)  # the lock ends with the other
    assert int(sql(VERSIONS)) == int(before[1]) + 1


def test_a_commit_that_nobody_answers_is_told(cluster, database, sql, gpusize, tmp_path):
    """The server dies within COMMIT: the program cannot know, says so, and the same again is right in either case."""
    sql("create function leave() returns trigger language plpgsql as"
        " 'begin perform pg_terminate_backend(pg_backend_pid()); return null; end';"
        "create constraint trigger leave after insert on gpusize.import_run deferrable initially deferred"
        " for each row execute function leave()")
    file = write(tmp_path / "a.csv", {})
    said = gpusize(cluster.url(database), "import", "csv", file, status=3)
    assert "whether it was committed is not known: the same again does no harm" in said
    sql("drop trigger leave on gpusize.import_run")
    assert "1 new" in gpusize(cluster.url(database), "import", "csv", file)
    assert "1 unchanged" in gpusize(cluster.url(database), "import", "csv", file)


@pytest.mark.parametrize("kill", KILLS)
def test_killed_while_a_migration_waits(cluster, launch, gpusize, kill):
    database = cluster.empty_database()
    with Session(cluster, database) as blocker:
        blocker.run(MIGRATION_LOCK)
        process = launch(cluster.url(database), "migrate")
        await_session(cluster, database, "migrate", "wait_event_type = 'Lock'")
        cluster.stop(kill)
        assert "database" in finish(process, 3)
        cluster.start()
    assert cluster.sql(database, "select to_regnamespace('gpusize') is null") == "t"
    assert "applied 0001" in gpusize(cluster.url(database), "migrate")


@pytest.mark.parametrize("kill", KILLS)
def test_killed_in_the_middle_of_a_migration(cluster, launch, gpusize, serve, kill):
    """A trigger of the database stops it when half of the tables are there."""
    database = cluster.empty_database()
    cluster.sql(database, "create function stop_here() returns event_trigger language plpgsql as"
                          " 'begin if to_regclass(''gpusize.offer'') is not null"
                          " then perform pg_advisory_xact_lock(42); end if; end';"
                          "create event trigger stop_here on ddl_command_end execute function stop_here()")
    with Session(cluster, database) as blocker:
        blocker.run("begin; select pg_advisory_xact_lock(42)")
        process = launch(cluster.url(database), "migrate")
        await_session(cluster, database, "migrate", "wait_event_type = 'Lock'")
        cluster.stop(kill)
        assert "database" in finish(process, 3)
        cluster.start()
    assert cluster.sql(database, "select to_regnamespace('gpusize') is null") == "t"
    service = serve(database, *QUICKLY)
    assert ready(service) == 503
    cluster.sql(database, "drop event trigger stop_here")
    assert "applied 0001" in gpusize(cluster.url(database), "migrate")
    await_ready(service, "ready")


def test_killed_before_the_first_catalog_is_in(cluster, launch, gpusize, serve):
    database = cluster.empty_database()
    with Session(cluster, database) as blocker:
        blocker.run(CATALOG_LOCK)
        process = launch(cluster.url(database), "migrate")
        await_session(cluster, database, "migrate", "wait_event_type = 'Lock'")
        cluster.stop()
        assert "applied 0001" in finish(process, 3)
        cluster.start()
    service = serve(database, *QUICKLY)
    answer = service.call("GET", "/readyz")
    assert answer.status == 503 and "the database has no catalog yet" in answer.text
    assert cluster.sql(database, "select count(*) from gpusize.gpu") == "0"
    assert "rows of the built-in catalog" in gpusize(cluster.url(database), "migrate")
    await_ready(service, "ready")


def test_a_database_that_hangs(cluster, database, sql, serve):
    """Its connections stay, it says nothing: answers go on, health tells, and the service can be stopped."""
    service = serve(database, *QUICKLY, "--db-statement-timeout-ms", "100", "--database-listen-url",
                    cluster.url(database))
    version = ask(service)["catalog_version"]
    stopped = cluster.processes()
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        await_ready(service, "degraded")
        for i in range(50):
            assert ask(service, input_tokens=1000 + i)["catalog_version"] == version
        assert metric(service, "gpusize_database_up") == [0]
        second = serve(database, *QUICKLY, "--db-statement-timeout-ms", "100")
        assert ready(second) == 503
        second.stop()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    await_ready(service, "ready")
    sql(RAISE_PRICES)
    await_version(service, newest(sql))


def test_sessions_that_end_at_once(cluster, database, sql, serve):
    """Whatever they ask, and however often it begins anew: changes show. A load is not idle for so long, even on a machine
    that has other things to do."""
    sql("alter database " + database + " set idle_session_timeout = '100ms'")
    service = serve(database, "--database-listen-url", cluster.url(database), "--poll-interval-ms", HOUR_MS)
    for _ in range(10):
        sql(RAISE_PRICES)
        await_version(service, newest(sql))
    assert metric(service, "gpusize_snapshot_load_failures_total") == [0]


def test_a_table_that_somebody_locks(cluster, database, sql, serve):
    service = serve(database, *QUICKLY, "--db-statement-timeout-ms", "100")
    before = ask(service)
    with Session(cluster, database) as blocker:
        blocker.run(f"begin; lock table gpusize.gpu in access exclusive mode; {RAISE_PRICES}; savepoint changed")
        sql("update gpusize.database set id = gen_random_uuid()")  # which makes it read
        await_ready(service, "degraded")
        assert "canceling statement due to statement timeout" in service.call("GET", "/readyz").text
        assert ask(service) == before
        blocker.run("commit")
    await_version(service, newest(sql))
    assert ready(service) == "ready"


def test_lost_connections_leave_nothing_open(cluster, database, sql, serve):
    service = serve(database, "--database-listen-url", cluster.url(database), *QUICKLY)
    sessions = sessions_of("serve")
    files = Path(f"/proc/{service.process.pid}/fd")
    await_true(lambda: sql(sessions) == "2")
    ask(service)
    before = len(list(files.iterdir()))
    for _ in range(10):
        kill_sessions(cluster, database, "serve")
        sql(RAISE_PRICES)
        await_version(service, newest(sql))
    await_true(lambda: sql(sessions) == "2")
    await_true(lambda: len(list(files.iterdir())) == before)


def test_no_connection_is_left(cluster, database, sql, serve, gpusize, tmp_path):
    sql("create role crowded login superuser connection limit 1")
    sql("create role crowd login connection limit 1 in role crowded; grant all on schema gpusize to crowd;"
        "grant all on all tables in schema gpusize to crowd; grant all on all sequences in schema gpusize to crowd")
    url = cluster.url(database, "crowd")
    first = serve(database, *QUICKLY, url=url)
    assert ready(first) == "ready"
    second = serve(database, *QUICKLY, url=url)
    answer = second.call("GET", "/readyz")
    assert answer.status == 503 and 'too many connections for role "crowd"' in answer.text.replace('\\"', '"')
    said = gpusize(url, "import", "csv", write(tmp_path / "a.csv", {}), status=3)
    assert 'too many connections for role "crowd"' in said
    first.stop()
    await_ready(second, "ready")
    ask(second)
    assert metric(second, "gpusize_snapshot_load_failures_total")[0] > 0


@pytest.fixture
def spare_cluster():
    """One that a test may ruin."""
    own = Cluster()
    yield own
    own.close()


def test_the_disk_of_the_database_is_full(spare_cluster, small_disk, program, serve, gpusize, tmp_path):
    cluster, database = spare_cluster, spare_cluster.database(program)
    folder = small_disk(Path(cluster.folder, "disk"), 32)
    cluster.sql("postgres", f"create tablespace small location '{folder}'")
    cluster.sql("postgres", f"alter database {database} set tablespace small")
    service = serve(database, *QUICKLY, url=cluster.url(database))
    before = cluster.sql(database, ROWS), cluster.sql(database, VERSIONS), ask(service)
    large = write(tmp_path / "a.csv", *({"instance_type": f"n{n}", "source": 500 * "x"} for n in range(30000)))
    assert "No space left on device" in gpusize(cluster.url(database), "import", "csv", large, status=3)
    assert (cluster.sql(database, ROWS), cluster.sql(database, VERSIONS), ask(service)) == before
    assert cluster.sql(database, "select count(*) from gpusize.import_run") == "0"
    assert ready(service) == "ready"
    assert "1 new" in gpusize(cluster.url(database), "import", "csv", write(tmp_path / "b.csv", {}))
    await_version(service, newest(lambda text: cluster.sql(database, text)))


def test_the_disk_of_the_write_ahead_log_is_full(spare_cluster, small_disk, program, serve, gpusize, tmp_path):
    """Which PostgreSQL does not survive: it stops in the middle of the import, and may not come up by itself."""
    cluster, database = spare_cluster, spare_cluster.database(program)
    disk, log = small_disk(Path(cluster.folder, "disk"), 48), Path(cluster.data, "pg_wal")
    cluster.stop(signal.SIGINT)
    cluster.run(["mv", str(log), f"{disk}/log"])
    cluster.run(["ln", "-s", f"{disk}/log", str(log)])
    cluster.start()
    url = cluster.url(database)
    service = serve(database, *QUICKLY, url=url)
    before, answer = (cluster.sql(database, ROWS), cluster.sql(database, VERSIONS)), ask(service)
    words = random.Random(3)  # they cannot be compressed
    large = write(tmp_path / "a.csv", *({"instance_type": f"n{n}", "source": words.randbytes(900).hex()}
                                        for n in range(40000)))
    assert "database" in gpusize(url, "import", "csv", large, status=3)
    assert "No space left on device" in Path(cluster.folder, "log").read_text(encoding="utf-8")
    assert ask(service) == answer
    subprocess.run(["mount", "-o", "remount,size=512m", disk], check=True)
    if cluster.server.poll() is None:
        cluster.stop()
    cluster.start()
    assert (cluster.sql(database, ROWS), cluster.sql(database, VERSIONS)) == before
    await_ready(service, "ready")
    assert ask(service) == answer
    assert "1 new" in gpusize(url, "import", "csv", write(tmp_path / "b.csv", {}))
    await_version(service, newest(lambda text: cluster.sql(database, text)))


def test_the_cache_on_a_full_disk(cluster, database, sql, serve, small_disk, tmp_path):
    disk = small_disk(tmp_path / "disk", 2)
    cache, filler = disk / "cache", disk / "filler"
    service = serve(database, *QUICKLY, "--snapshot-cache", str(cache))
    first = ask(service)
    kept = cache.read_bytes()
    with pytest.raises(OSError), open(filler, "wb") as file:
        while True:
            file.write(bytes(4096))
    sql(RAISE_PRICES)
    second = await_version(service, newest(sql))
    await_true(lambda: f"{cache} cannot be written: No space left on device" in "".join(service.log))
    assert ready(service) == "ready" and cache.read_bytes() == kept
    assert sorted(path.name for path in disk.iterdir()) == ["cache", "filler"]
    filler.unlink()
    service.stop()
    cluster.stop()
    again = serve(database, *QUICKLY, "--snapshot-cache", str(cache))  # what could not be kept is not there
    assert ready(again) == "degraded" and ask(again) == first
    cluster.start()
    assert await_version(again, number(second["catalog_version"])) == second
    await_true(lambda: cache.read_bytes() != kept)


def test_the_folder_of_the_cache_vanishes(database, sql, serve, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    service = serve(database, *QUICKLY, "--snapshot-cache", str(folder / "cache"))
    shutil.rmtree(folder)
    sql(RAISE_PRICES)
    await_version(service, newest(sql))
    await_true(lambda: f"{folder / 'cache'} cannot be written: No such file or directory" in "".join(service.log))
    assert ready(service) == "ready"
    folder.mkdir()
    sql(RAISE_PRICES)
    await_version(service, newest(sql))
    await_true((folder / "cache").exists)


def test_a_clock_that_jumps(cluster, database, sql, serve, tmp_path):
    """A day back and a day on: no age is negative, changes show, listening goes on."""
    assert FAKETIME.exists(), "needs libfaketime: install the package faketime"
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": "verify_asan_link_order=0"}
    service = serve(database, "--database-listen-url", cluster.url(database), "--poll-interval-ms", HOUR_MS, env=fake)
    await_ready(service, "ready")  # its own waiting may be cut short by the false clock
    for jump in ("-1d", "+1d", "+0"):
        clock.write_text(jump)
        state = service.call("GET", "/readyz").json
        assert state["snapshot_age_seconds"] >= 0 and metric(service, "gpusize_snapshot_age_seconds")[0] >= 0
        await_true(lambda: sql(CUT) == "1")  # it listens anew
        sql(RAISE_PRICES)
        assert number(await_version(service, newest(sql))["catalog_version"]) == newest(sql)


def test_a_request_while_the_server_is_killed_again_and_again(cluster, database, serve):
    service = serve(database, *QUICKLY, "--access-log", "0")
    version = ask(service)["catalog_version"]
    for i, kill in enumerate(KILLS * 2):
        cluster.stop(kill)
        for n in range(50):
            assert ask(service, input_tokens=1000 + 100 * i + n)["catalog_version"] == version
        await_ready(service, "degraded")
        cluster.start()
        await_ready(service, "ready")
    assert metric(service, "gpusize_snapshot_reloads_total") == [1]
