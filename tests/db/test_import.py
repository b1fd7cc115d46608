"""test_import.py owns the tests of gpusize import on a real database: what is written, what is refused, and that nothing
is ever half-written."""
import json
import os
import random
import subprocess

import pytest

from live import await_offers, await_ready, await_session, kill_sessions, newest
from postgres import Session
from prices import COLUMNS, ROWS, VERSIONS, write
from waiting import LIMIT_S

PRICES = ("select o.instance_type, p.usd_per_hour, p.as_of from gpusize.offer o join gpusize.offer_price p"
          " on p.live_offer_id = o.id where o.provider = 'acme' and o.to_version is null order by 1, 2")


def counts(report):
    return {name[:-5]: report[name] for name in report if name.endswith("_rows") and report[name]}


def test_new_changed_unchanged(run, sql, tmp_path):
    file = write(tmp_path / "a.csv", {}, {"instance_type": "n2", "usd_per_hour": 3})
    versions = int(sql(VERSIONS))
    first = run("csv", file)
    assert counts(first) == {"accepted": 2, "new": 2}
    assert first["catalog_version"] == newest(sql)
    assert sql(PRICES) == "n1|1.500000|2026-10-01\nn2|3.000000|2026-10-01"
    rows = sql(ROWS)
    again = run("csv", write(tmp_path / "a.csv", {}, {"instance_type": "n2", "usd_per_hour": 3, "as_of": "2026-10-09"}))
    assert counts(again) == {"accepted": 2, "unchanged": 2} and again["catalog_version"] is None
    assert (int(sql(VERSIONS)), sql(ROWS)) == (versions + 1, rows)  # what was still seen is told by the run
    report = run("csv", write(tmp_path / "b.csv", {"usd_per_hour": 2, "as_of": "2026-11-01"}))
    assert counts(report) == {"accepted": 1, "changed": 1, "missing": 1}
    assert report["changes"] == [{"offer": "acme n1 north on_demand", "old_usd": 1.5, "new_usd": 2}]
    assert sql(PRICES) == "n1|2.000000|2026-11-01\nn2|3.000000|2026-10-01"
    runs = "select accepted_rows, new_rows, changed_rows, length(file_sha256) from gpusize.import_run order by id"
    assert sql(runs) == "2|2|0|64\n2|0|0|64\n1|0|1|64"
    history = ("select p.usd_per_hour from gpusize.offer_price p join gpusize.offer o on o.id = p.offer_id"
               " where o.instance_type = 'n1' and o.provider = 'acme' order by p.from_version")
    assert sql(history) == "1.500000\n2.000000"


def test_an_older_price_does_not_win(run, sql, tmp_path):
    run("csv", write(tmp_path / "a.csv", {}, {"usd_per_hour": 1.4, "as_of": "2026-09-01"}))
    report = run("csv", write(tmp_path / "b.csv", {"usd_per_hour": 1.3, "as_of": "2026-08-01"}))
    assert counts(report) == {"accepted": 1, "older": 1}
    assert sql(PRICES) == "n1|1.500000|2026-10-01"


def test_refused_lines_are_kept_with_their_reasons(run, sql, tmp_path):
    report = run("csv", write(tmp_path / "a.csv", {}, {"usd_per_hour": 1.6}, {"instance_type": "n2", "gpu_id": "?"},
                              {"instance_type": "n3", "usd_per_hour": 0}, {"instance_type": "n4"}))
    assert counts(report) == {"accepted": 1, "rejected": 4, "new": 1}
    twice = "lines 2, 3 give it different prices on one day"
    expected = [(2, "usd_per_hour", twice), (3, "usd_per_hour", twice),
                (4, "gpu_id", '"?" is no GPU of the catalog'), (5, "usd_per_hour", "0 is unknown, not free")]
    assert [(one["line"], one["field"], one["reason"]) for one in report["rejections"]] == expected
    kept = json.loads(sql("select rejections from gpusize.import_run"))
    assert kept == report["rejections"]


def test_a_dry_run_changes_nothing(run, sql, tmp_path):
    before = sql(ROWS), sql(VERSIONS)
    report = run("csv", write(tmp_path / "a.csv", {}), "--dry-run")
    assert counts(report) == {"accepted": 1, "new": 1}
    assert (sql(ROWS), sql(VERSIONS)) == before
    assert sql("select count(*) from gpusize.import_run") == "0"


def test_jumps_are_refused_unless_accepted(run, sql, tmp_path):
    run("csv", write(tmp_path / "a.csv", {}, {"instance_type": "n2"}))
    jump = write(tmp_path / "b.csv", {"usd_per_hour": 15, "as_of": "2026-11-01"},
                 {"instance_type": "n2", "usd_per_hour": 1.6, "as_of": "2026-11-01"})
    error = run("csv", jump, status=2)
    assert "acme n1 north on_demand: 1.5 -> 15 USD" in error and "n2" not in error
    assert sql(PRICES) == "n1|1.500000|2026-10-01\nn2|1.500000|2026-10-01"
    assert run("csv", jump, "--dry-run")["changed_rows"] == 2
    assert run("csv", jump, "--jump-factor", "20")["changed_rows"] == 2
    back = write(tmp_path / "c.csv", {"usd_per_hour": 1, "as_of": "2026-11-02"})
    run("csv", back, status=2)
    assert run("csv", back, "--accept-jumps")["changed_rows"] == 1


def test_offers_end_only_when_the_file_is_complete(run, sql, tmp_path):
    run("csv", write(tmp_path / "a.csv", {}, {"instance_type": "n2"}, {"provider": "other"}))
    file = write(tmp_path / "b.csv", {})
    assert counts(run("csv", file)) == {"accepted": 1, "unchanged": 1, "missing": 1}
    assert run("csv", file, "--complete")["gone_rows"] == 1
    assert sql(PRICES) == "n1|1.500000|2026-10-01"
    assert sql("select count(*) from gpusize.offer where provider = 'other' and to_version is null") == "1"
    # it comes back as a new offer
    assert run("csv", write(tmp_path / "c.csv", {"instance_type": "n2"}))["new_rows"] == 1


def test_currencies(run, sql, tmp_path):
    columns = [*COLUMNS, "currency"]
    file = write(tmp_path / "a.csv", {"currency": "EUR"}, {"currency": "USD", "instance_type": "n2"}, columns=columns)
    assert run("csv", file)["rejections"] == [{"line": 2, "field": "currency", "reason": 'no rate is known for "EUR"'}]
    sql("insert into gpusize.fx_rate values ('EUR', '2026-01-01', 1.1, 'x'), ('EUR', '2026-10-01', 1.2, 'x')")
    assert run("csv", file)["new_rows"] == 1
    assert sql(PRICES) == "n1|1.800000|2026-10-01\nn2|1.500000|2026-10-01"


def test_bundled_is_what_migrate_loads_and_leaves_newer_prices(run, sql):
    before = sql(ROWS), sql(VERSIONS)
    report = run("bundled")
    assert report["unchanged_rows"] == report["accepted_rows"] > 400 and report["catalog_version"] is None
    assert (sql(ROWS), sql(VERSIONS)) == before
    sql("update gpusize.offer_price set usd_per_hour = 2 * usd_per_hour, as_of = '2026-11-22' where to_version is null"
        " and live_offer_id = (select min(live_offer_id) from gpusize.offer_price)")
    assert run("bundled")["older_rows"] == 1


def test_bundled_that_is_refused_leaves_the_facts(run, sql):
    sql("update gpusize.offer_price set usd_per_hour = 10 * usd_per_hour where to_version is null;"
        "update gpusize.gpu set tdp_watts = 1 where id = 'h100-sxm'")
    before = sql(ROWS), sql(VERSIONS)
    assert "nothing was changed" in run("bundled", status=2)
    assert (sql(ROWS), sql(VERSIONS)) == before
    assert sql("select tdp_watts from gpusize.gpu where id = 'h100-sxm' and to_version is null") == "1"
    report = run("bundled", "--accept-jumps")
    assert report["changed_rows"] > 400 and int(sql(VERSIONS)) == int(before[1]) + 1
    assert sql("select tdp_watts from gpusize.gpu where id = 'h100-sxm' and to_version is null") == "700"


def test_purchase_prices(run, sql, tmp_path):
    file = tmp_path / "parts.csv"
    file.write_text("gpu_id,usd,kind,as_of,source\nl4,2100,contract,2026-10-01,order 12\nl4,0,contract,2026-10-02,x\n")
    assert counts(run("purchase", file)) == {"accepted": 1, "rejected": 1, "new": 1}
    assert counts(run("purchase", file)) == {"accepted": 1, "rejected": 1, "unchanged": 1}
    assert sql("select usd from gpusize.purchase_price where kind = 'contract' and gpu_id = 'l4'") == "2100.000000"


def test_what_an_import_wrote_is_a_catalog_that_answers(run, database, serve, tmp_path):
    report = run("csv", write(tmp_path / "a.csv", {"usd_per_hour": 0.011}))
    service = serve(database)
    await_ready(service, "ready")
    answer = service.call("GET", "/recommend", query={"model": "llama-3.1-8b", "requests_per_second": 1})
    assert answer.json["catalog_version"].endswith(f":{report['catalog_version']}")
    assert answer.json["recommended"]["provider"] == "acme"


def test_two_imports_at_once(start, sql, tmp_path):
    random.seed(7)
    files = [write(tmp_path / f"{i}.csv", *({"instance_type": f"n{n}", "usd_per_hour": 1 + i / 10}
                                            for n in random.sample(range(3000), 3000)))
             for i in range(2)]
    running = [start("csv", file, "--json") for file in files]
    reports = []
    for process in running:
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, error
        reports.append(json.loads(out))
    assert sorted(counts(report).get("new", 0) for report in reports) == [0, 3000]
    assert sorted(counts(report).get("changed", 0) for report in reports) == [0, 3000]
    last = max(range(2), key=lambda i: reports[i]["catalog_version"])
    assert sql("select distinct usd_per_hour from gpusize.offer_price where to_version is null and live_offer_id in"
               " (select live_id from gpusize.offer where provider = 'acme')") == f"{1 + last / 10:.6f}"


def test_a_cut_connection_leaves_nothing_half_written(start, sql, cluster, database, tmp_path):
    """The import waits for a lock, is cut off there, starts again, is cut off again, and gives up."""
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}"} for n in range(2000)))
    before = sql(ROWS), sql(VERSIONS)
    with Session(cluster, database) as blocker:
        blocker.run("begin; lock table gpusize.offer_price in share mode")
        process = start("csv", file)
        for _ in range(2):
            await_session(cluster, database, "import", "wait_event_type = 'Lock'")
            kill_sessions(cluster, database, "import")
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 3 and error, out
    assert (sql(ROWS), sql(VERSIONS)) == before
    assert sql("select count(*) from gpusize.import_run") == "0"
    report = json.loads(start("csv", file, "--json").communicate(timeout=LIMIT_S)[0])
    assert counts(report) == {"accepted": 2000, "new": 2000}


def test_100000_offers(run, sql, tmp_path):
    prices = random.Random(3)
    file = write(tmp_path / "a.csv", *({"provider": f"p{n % 40}", "instance_type": f"n{n // 200}", "gpu_count": 1 + n % 8,
                                       "region": f"r{n // 8 % 25}", "usd_per_hour": round(prices.uniform(1, 9), 4)}
                                      for n in range(100000)))
    assert counts(run("csv", file)) == {"accepted": 100000, "new": 100000}
    before = sql(ROWS), sql(VERSIONS)
    assert counts(run("csv", file)) == {"accepted": 100000, "unchanged": 100000}
    assert (sql(ROWS), sql(VERSIONS)) == before


@pytest.mark.parametrize("source", [1950 * "x", 975 * '"'], ids=["plain", "quoted"])
def test_more_than_services_load_is_refused(run, sql, serve, database, tmp_path, source):
    before = sql(ROWS), sql(VERSIONS)
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}", "source": source} for n in range(33500)))
    assert "the offers would have 65 MiB as CSV, and services load 64" in run("csv", file, status=2)
    assert (sql(ROWS), sql(VERSIONS)) == before
    file = write(tmp_path / "b.csv", *({"instance_type": f"n{n}", "source": source} for n in range(32000)))
    assert run("csv", file)["new_rows"] == 32000
    offers = sql("select count(*) from gpusize.offer where to_version is null")
    await_offers(serve(database), offers)


@pytest.mark.parametrize("name,accepted,rejected", [("offers_2026.csv", 1003, 657), ("offers_full.csv", 6963, 3414)])
def test_real_files(run, sql, shared, name, accepted, rejected):
    file = shared / "data" / name
    report = run("csv", file, "--accept-jumps")
    assert (report["accepted_rows"], report["rejected_rows"]) == (accepted, rejected)
    before = sql(ROWS), sql(VERSIONS)
    again = run("csv", file, "--accept-jumps")
    assert again["catalog_version"] is None and (sql(ROWS), sql(VERSIONS)) == before


@pytest.mark.parametrize("arguments,status,said", [
    ([], 2, "kind"),
    (["gold", "x"], 2, "gold"),
    (["csv"], 2, "file"),
    (["csv", "/nonexistent"], 2, "/nonexistent"),
    (["skypilot", "/dev/null"], 2, "provider"),
    (["csv", "/dev/null"], 2, "header"),
    (["csv", "/dev/null", "--as-of", "soon"], 2, "soon"),
    (["csv", "/dev/null", "--jump-factor", "0.5"], 2, "0.5"),
    (["csv", "/dev/null", "--warp"], 2, "--warp"),
    (["bundled", "--dry-run"], 2, "bundled"),
])
def test_arguments(run, arguments, status, said):
    assert said in run(*arguments, status=status)


def test_without_a_database(program):
    environment = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    done = subprocess.run([program, "import", "bundled"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "DATABASE_URL" in done.stderr
