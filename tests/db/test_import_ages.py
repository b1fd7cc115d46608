"""test_import_ages.py owns the test of how old imports are by kind, as the metrics tell it."""
import re

from waiting import await_true

LINE = "azure,gpu-{n},westeurope,h100-sxm,8,on_demand,{usd},instance_total,2026-11-01,offer {n}\n"
HEAD = "provider,instance_type,region,gpu_id,gpu_count,purchase,usd_per_hour,price_basis,as_of,source\n"


def ages(service):
    text = service.call("GET", "/metrics").text
    return {kind: int(age) for kind, age in re.findall(r'^gpusize_import_age_seconds\{kind="([^"]+)"\} (\d+)$', text, re.M)}


def test_metrics_tell_when_each_kind_was_imported_last(cluster, database, serve, gpusize, sql, tmp_path):
    file = tmp_path / "contract.csv"
    file.write_text(HEAD + LINE.format(n=1, usd=20))
    gpusize(cluster.url(database), "import", "csv", file)
    sql("update gpusize.import_run set created_at = now() - interval '2 days' where kind = 'csv'")
    sql("insert into gpusize.import_run (kind, source, accepted_rows, rejected_rows, new_rows, changed_rows, gone_rows)"
        " values ('azure\"retail', 'by hand', 0, 0, 0, 0, 0)")
    service = serve(database, "--poll-interval-ms", "50")
    await_true(lambda: "csv" in ages(service))
    assert 2 * 86400 <= ages(service)["csv"] < 2 * 86400 + 600
    assert "azure" in ages(service)  # what would need an escape is cut off


def test_a_role_that_may_not_read_them_is_served_all_the_same(cluster, database, serve, sql):
    sql("do $$ begin create role lessreader login; exception when duplicate_object then null; end $$")
    sql("grant usage on schema gpusize to lessreader; grant select on all tables in schema gpusize to lessreader;"
        "revoke select on gpusize.import_run from lessreader")
    service = serve(database, "--record-max-mib", "0", url=cluster.url(database, "lessreader"))
    assert service.call("GET", "/readyz").json["status"] == "ready"
    assert ages(service) == {}
