"""test_calibrations.py owns the tests of calibrations and observations by HTTP: who may, what is refused and how, and that
no bad body leaves anything behind."""
import json
import os

import pytest

from live import QUICKLY, await_version, newest
from report import changed, device, report
from service import Service
from waiting import await_true

ROW = {"uid": "1", "source": "our bench", "engine": "vllm", "engine_version": "0.19", "date": "2026-11-02",
       "model": "llama-3.1-8b", "precision_weights": "bf16", "gpu": "h100-sxm", "gpus_total": 1, "tp": 1, "isl": 1000,
       "osl": 500, "concurrency": 32, "load_mode": "closed-loop", "out_tok_s_total": 2500, "ttft_ms": 150, "tpot_ms": 12.5}


@pytest.fixture(scope="module")
def stored(cluster, program, contract):
    """A service with a database that has the built-in catalog, and keys of a reader and a writer."""
    database = cluster.database(program)
    running = Service(program, contract, *QUICKLY, env={**os.environ, "DATABASE_URL": cluster.url(database)})
    running.sql = lambda text: cluster.sql(database, text)
    running.database = database
    yield running
    running.stop()


@pytest.fixture
def keys(stored, make_key):
    made = {role: make_key(stored.database, role) for role in ("reader", "writer")}
    yield made
    stored.sql("update gpusize.api_key set revoked_at = now() where revoked_at is null")


class Caller:
    def __init__(self, service, key):
        self.service, self.headers = service, {"Authorization": f"Bearer {key}"}

    def __call__(self, method, path, json=None, *, body=None, once=None, **query):
        headers = {**self.headers, **({"Idempotency-Key": once} if once else {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.service.call(method, "/v1/" + path, json=json, body=body, query=query or None, headers=headers)

    def newest(self):
        return newest(self.service.sql)


@pytest.fixture
def write(stored, keys):
    """write(method, path, json): by the key of a writer, once the service knows it."""
    caller = Caller(stored, keys["writer"])
    await_true(lambda: caller("DELETE", "calibrations", id="zz").status == 404)
    return caller


def errors(answer):
    return {error["field"]: error["detail"] for error in answer.json["errors"]}


# --- without a database ---


@pytest.mark.parametrize("suffix", ["", ".json", ".csv", ".xml", ".txt"])
def test_the_published_ones_are_listed(service, suffix):
    field = {"field": "calibrations[0].fp16_tflops"} if suffix == ".txt" else {}
    answer = service.call("GET", "/v1/calibrations" + suffix, query={"gpu": "h100-sxm", **field})
    assert answer.status == 200 and "792.6" in answer.text
    again = service.call("GET", "/v1/calibrations" + suffix, query={"gpu": "h100-sxm", **field},
                         headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_lists_refuse(service, suffix):
    assert service.call("GET", "/v1/calibrations" + suffix, query={"pools": "own"}).status == 400
    refused = service.call("GET", "/v1/calibrations" + suffix, query={"state": "good", "gpu": "h1000"})
    assert refused.status == 422 and "state" in errors(refused)
    assert "did you mean" in service.call("GET", "/v1/calibrations", query={"gpu": "h100-sxn"}).text


def test_filters(service):
    def ids(**query):
        answer = service.call("GET", "/v1/calibrations", query=query).json
        assert answer["total_count"] == len(answer["calibrations"])
        return {one["id"] for one in answer["calibrations"]}

    assert ids(pool="published") == ids(state="used") == ids() and ids(pool="own") == ids(state="suspect") == set()
    assert ids(gpu="h200") == {"published-h200-sxm"}
    one = service.call("GET", "/v1/calibrations", query={"gpu": "h200-sxm"}).json["calibrations"][0]
    assert one["share_ratio"]["memory"] == pytest.approx(4300 / 4800, rel=1e-5) and one["fp4_tflops"] is None
    page = service.call("GET", "/v1/calibrations", query={"limit": 1}).json
    assert service.call("GET", "/v1/calibrations", query={"limit": 1, "cursor": page["next_cursor"]}).json[
        "calibrations"] != page["calibrations"]


def test_what_is_built_in_cannot_be_changed(service):
    for method, path, body in (("POST", "calibrations", report()), ("DELETE", "calibrations?id=x", None),
                               ("POST", "observations", ROW)):
        answer = service.call(method, "/v1/" + path, json=body)
        assert answer.status == 503 and answer.json["errors"][0]["code"] == "read_only_catalog"


# --- who may ---


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_reading_needs_a_key_where_there_are_keys(stored, keys, write, suffix):
    path = "/v1/calibrations" + suffix
    assert stored.call("GET", path).status == 401
    assert stored.call("GET", path, headers={"Authorization": f"Bearer {keys['reader']}"}).status == 200
    assert stored.call("GET", path, query={"key": keys["reader"]}).status == 200
    assert stored.call("GET", path).status == 401  # though the answer is known by now


def test_writing_needs_a_writer(stored, keys, write):
    for method, path, body in (("POST", "/v1/calibrations", report()), ("DELETE", "/v1/calibrations", None),
                               ("POST", "/v1/observations", ROW)):
        assert stored.call(method, path, json=body, query={"id": "x"} if method == "DELETE" else None).status == 401
        reader = {"Authorization": f"Bearer {keys['reader']}"}
        assert stored.call(method, path, json=body, headers=reader).status == 403


# --- uploads ---


def test_an_upload_is_listed_and_retired(write, stored):
    made = write("POST", "calibrations", report(), note="rack 7")
    assert made.status == 201, made.text
    entry, = made.json["calibrations"]
    assert (entry["gpu"], entry["pool"], entry["state"], entry["reason"]) == ("h200-sxm", "own", "used", None)
    assert entry["memory_gb_per_s"] == 4300 and entry["fp16_tflops"] == 789.9 and entry["launch_us"] == 1.2
    assert entry["allreduce_gpus"] == 8 and entry["driver"] == "580.95.05" and entry["sm_clock_max_mhz"] == 1980
    assert entry["source"] == "gpusize-probe 0.1.0, 18.4 s, ECC on" and entry["as_of"] == "2026-11-20"
    assert made.json["retired"] == made.json["left_out"] == []
    versions = write.newest()
    again = write("POST", "calibrations", report(), note="another word")
    assert again.status == 200 and again.json["calibrations"] == [entry] and write.newest() == versions
    other = write("POST", "calibrations", body=json.dumps(report(), indent=4).encode())
    assert other.status == 200 and other.json["calibrations"] == [entry] and write.newest() == versions
    await_version(stored, versions)
    listed, = write("GET", "calibrations", pool="own").json["calibrations"]
    assert listed["id"] == entry["id"] and listed["started_at"] == "2026-11-20T18:00:00Z"
    assert write("DELETE", "calibrations", id=entry["id"], pool="lab").status == 404
    ended = write("DELETE", "calibrations", id=entry["id"])
    assert ended.status == 200 and ended.json["calibrations"][0]["state"] == "retired"
    versions = write.newest()
    assert write("DELETE", "calibrations", id=entry["id"]).json == ended.json and write.newest() == versions
    await_version(stored, versions)
    assert write("GET", "calibrations", pool="own").json["calibrations"][0]["state"] == "retired"
    assert write("DELETE", "calibrations").status == 400 and write("DELETE", "calibrations", id="zz").status == 404


def test_a_key_makes_a_repeat_harmless(write):
    body = report(started_at="2026-11-20T19:00:00Z")
    first = write("POST", "calibrations", body, once="a", pool="idem")
    assert first.status == 201
    versions = write.newest()
    again = write("POST", "calibrations", body, once="a", pool="idem")
    assert (again.status, again.json) == (201, first.json) and write.newest() == versions
    assert write("POST", "calibrations", body, once="a", pool="other").status == 422
    assert write.newest() == versions


DEVICE = "devices.0.device."
FIT = "devices.0.fit."
REFUSED = [
    ("schema", "calibration/2", 422, "schema", 'is "calibration/2", and this program reads "calibration/1"'),
    ("schema", None, 400, "schema", "must be"),
    ("device_kind", "cpu", 422, "device_kind", "this report is of a CPU: nothing that answers use"),
    ("device_kind", "rocm", 422, "device_kind", "cuda is"),
    ("started_at", "yesterday", 422, "started_at", "2026-11-28T18:00:00Z"),
    ("started_at", "2026-13-01T00:00:00Z", 422, "started_at", "is no time"),
    ("started_at", "2090-01-01T00:00:00Z", 422, "started_at", "in the future"),
    ("started_at", 5, 400, "started_at", "must be a text or null"),
    ("devices", [], 422, "devices", "not one figure that answers use: nothing was measured"),
    ("devices", {}, 400, "devices", "must be a list"),
    ("devices", [7], 400, "devices[0]", "must be an object"),
    ("devices", [{}], 422, "devices", "nothing was measured"),
    ("devices", [device("h200-sxm")] * 65, 422, "devices", "65 are more than 64"),
    (DEVICE + "model", "NVIDIA H2000", 422, "devices[0].device.model", "there is no GPU"),
    (DEVICE + "model", "", 400, "devices[0].device.model", "say which GPU"),
    (DEVICE + "model", 5, 400, "devices[0].device.model", "must be a text or null"),
    (DEVICE + "driver", "5" * 200, 422, "devices[0].device.driver", "is too long"),
    (DEVICE + "driver", "a\nb", 422, "devices[0].device.driver", "control characters"),
    (DEVICE + "sm_clock_max_mhz", -3, 422, "devices[0].device.sm_clock_max_mhz", "is no number from"),
    (FIT + "dram_read_gb_per_s", 5000, 422, "devices[0].fit.dram_read_gb_per_s",
     "5000 GB/s is 1.04 times what h200-sxm can do (4800)"),
    (FIT + "dram_read_gb_per_s", 0, 422, "devices[0].fit.dram_read_gb_per_s", "what is not known is null"),
    (FIT + "dram_read_gb_per_s", "4300", 400, "devices[0].fit.dram_read_gb_per_s", "must be a number or null"),
    (FIT + "dram_read_gb_per_s", 1e300, 422, "devices[0].fit.dram_read_gb_per_s", "is no number from"),
    (FIT + "gemm.bf16.peak_tflops", 1100, 422, "devices[0].fit.gemm.bf16.peak_tflops", "1.11 times"),
    (FIT + "gemm", [], 400, "devices[0].fit.gemm", "must be an object or null"),
    (FIT + "all_reduce", {"eight": {}}, 422, "devices[0].fit.all_reduce", '"eight" is no number of GPUs'),
    (FIT + "all_reduce", {"8": {"busbw_gb_per_s": 2000}}, 422, "devices[0].fit.all_reduce", "4.44 times"),
    ("devices.0.results", {}, 400, "devices[0].results", "must be a list"),
    ("wall_seconds", "long", 400, "wall_seconds", "must be a number or null"),
    ("probe", [], 400, "probe", "must be an object or null"),
]


@pytest.mark.parametrize("path, value, status, field, detail", REFUSED)
def test_what_is_refused_says_why(write, path, value, status, field, detail):
    versions, reports = write.newest(), write.service.sql("select count(*) from gpusize.calibration_report")
    answer = write("POST", "calibrations", changed(report(), path, value), pool="bad")
    assert answer.status == status, answer.text
    assert field in errors(answer) and detail in errors(answer)[field], answer.text
    assert write.newest() == versions and write.service.sql("select count(*) from gpusize.calibration_report") == reports


def test_every_bad_figure_is_named(write):
    bad = report(device("h200-sxm", scale=1.3), device("h100-sxm", scale=2))
    answer = write("POST", "calibrations", bad)
    assert answer.status == 422
    assert set(errors(answer)) == {"devices[0].fit.dram_read_gb_per_s", "devices[0].fit.kv_read.gb_per_s",
                                   "devices[0].fit.gemm.bf16.peak_tflops", "devices[1].fit.dram_read_gb_per_s",
                                   "devices[1].fit.kv_read.gb_per_s", "devices[1].fit.gemm.bf16.peak_tflops",
                                   "devices[1].fit.gemm.fp8_e4m3.peak_tflops"}


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'"x"', 400), (b"{}", 400), (b"\xff\xfe", 400),
    (b'{"schema":"calibration/1","schema":"calibration/1"}', 400),
    (b'{"schema":"calibration/1","a":' + b"[" * 100 + b"]" * 100 + b"}", 400),
    (b'{"schema":"calibration/1","a":[' + b"1," * 400000 + b"1]}", 400),
    (b'{"schema":"calibration/1","device_kind":"cuda\\u0000"}', 400),
    (b'{"schema":"calibration/1","device_kind":"\\ud800"}', 400),
    (b'{"schema":"calibration/1","a":1e999}', 422), (b'{"schema":"calibration/1","a":NaN}', 400),
    (json.dumps(changed(report(), "devices.0.results", [{"name": "dram_a", "status": "passed", "value": 1}] * 70000)
                ).encode(), 201),
    (b"x" * (4 * 1024 * 1024 + 1), 413),
], ids=range(16))
def test_hostile_bodies(write, body, status):
    versions = write.newest()
    assert write("POST", "calibrations", body=body, pool="hostile").status == status
    assert write.newest() == versions + (status == 201)


@pytest.mark.parametrize("pool", ["", "published", "a b", "x" * 201, "Published", "ü"])
def test_names_of_pools(write, pool):
    answer = write("POST", "calibrations", report(), pool=pool)
    assert answer.status in (400, 422) and "pool" in errors(answer), answer.text


@pytest.mark.parametrize("more", [
    {"devices.0.fit.later": {"x": 1}}, {"later": [1]}, {"devices.0.fit.gemm.fp6": {"peak_tflops": -1}},
    {"devices.0.results": None}, {"devices.0.results": [1, None, {"name": 5, "value": "x"}]}, {"host": None},
    {"devices.0.conditions": None}, {"devices.0.device.key": "0123456789abcdef"}, {"devices.0.fit.kv_read": None},
    {"started_at": "2026-11-20T18:00:00.123456Z"}, {"devices.0.device.mig": False}, {"status": "partial"},
])
def test_what_is_not_known_is_passed_over(write, more):
    body = report(started_at="2026-11-20T20:00:00Z")
    for path, value in more.items():
        body = changed(body, path, value)
    answer = write("POST", "calibrations", body, pool="later")
    assert answer.status in (200, 201), answer.text
    assert answer.json["calibrations"][0]["state"] == "used"


# --- observations ---


def test_results_correct_answers_and_say_by_how_much(write, stored):
    question = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "engine_version": "0.19", "tensor_parallel": 1,
                "concurrency": 32, "input_tokens": 1000, "output_tokens": 500, "calibration": "none"}
    await_version(stored, write.newest())
    before = stored.call("GET", "/v1/throughput", query=question).json
    versions = write.newest()
    dry = write("POST", "observations", ROW, dry_run="true")
    assert dry.status == 200 and dry.json["import"]["new_rows"] == 1 and write.newest() == versions
    answer = write("POST", "observations", ROW)
    assert answer.status == 200, answer.text
    row, = answer.json["observations"]
    assert (row["row"], row["uid"], row["refused"]) == (0, "1", False)
    figures = {one["figure"]: one for one in row["figures"]}
    assert set(figures) == {"output_tokens_per_second", "ttft_ms", "tpot_ms"}
    rate = figures["output_tokens_per_second"]
    assert rate["measured"] == 2500 and rate["predicted"] == before["output_tokens_per_second"]["value"]
    assert rate["measured_ratio"] == pytest.approx(2500 / rate["predicted"], rel=1e-5)
    await_version(stored, write.newest())
    after = stored.call("GET", "/v1/throughput", query=question).json
    assert after["output_tokens_per_second"]["value"] == 2500 and after["basis"] == "measured"
    told, = after["provenance"]["measurements"]
    assert told["own"] is True and told["source"] == "our bench"
    versions = write.newest()
    again = write("POST", "observations", [ROW])
    assert again.json["import"]["unchanged_rows"] == 1 and write.newest() == versions
    assert {one["measured_ratio"] for one in again.json["observations"][0]["figures"]} == {1}


def test_the_names_of_the_catalog_do_as_well(write):
    same = {"uid": "2", "source": "our bench", "engine": "vllm", "engine_version": "0.19", "as_of": "2026-11-02",
            "model_id": "llama-3.1-8b", "weight_dtype": "bf16", "gpu_id": "h100-sxm", "gpu_count": 1,
            "tensor_parallel": 1, "input_tokens": 1000, "output_tokens": 500, "concurrency": 48, "load": "concurrency",
            "output_tokens_per_second": 3000, "e2e_ms": 8000, "kv_dtype": None}
    answer = write("POST", "observations", same)
    assert answer.status == 200, answer.text
    assert write.service.sql("select output_tokens_per_second, e2e_ms, as_of from gpusize.observation"
                             " where uid = '2' and to_version is null") == "3000|8000|2026-11-02"


def test_rows_that_are_refused_do_not_hold_up_others(write):
    rows = [{**ROW, "uid": "3"}, {**ROW, "uid": "4", "gpu": "h1000"}, {**ROW, "uid": "5", "isl": -1},
            {**ROW, "uid": "6", "load_mode": "rate", "request_rate": 2}]
    answer = write("POST", "observations", rows)
    assert answer.status == 200, answer.text
    told = answer.json["observations"]
    assert [row["refused"] for row in told] == [False, True, True, False]
    assert told[1]["field"] == "gpu" and "h1000" in told[1]["reason"] and told[1]["figures"] == []
    assert told[2]["field"] == "isl" and "no answer uses it" in told[3]["reason"]
    assert answer.json["import"]["new_rows"] == 2 and answer.json["import"]["rejected_rows"] == 2
    versions = write.newest()
    none = write("POST", "observations", [{**ROW, "uid": ""}, {**ROW, "gpu": "h1000"}])
    assert none.status == 422 and set(errors(none)) == {"[0].uid", "[1].gpu"} and write.newest() == versions


@pytest.mark.parametrize("body, status, field", [
    ([], 400, ""), ({}, 422, "[0].load_mode"), ([5], 400, "[0]"), ([ROW, {**ROW, "gpux": 1}], 400, "[1].gpux"),
    ({**ROW, "tp": "1"}, 400, "[0].tp"), ({**ROW, "uid": 5}, 400, "[0].uid"), ({**ROW, "uid": "a\nb"}, 422, "[0].uid"),
    ({**ROW, "notes": {"a": 1}}, 400, "[0].notes"), ({**ROW, "gpu_count": 2}, 400, "[0].gpu_count"),
    ([ROW] * 1001, 422, ""), ({**ROW, "uid": "x" * 3000}, 422, "[0].uid"), ("x", 400, ""),
])
def test_bad_results(write, body, status, field):
    versions, runs = write.newest(), write.service.sql("select count(*) from gpusize.import_run")
    answer = write("POST", "observations", body)
    assert answer.status == status, answer.text
    assert field in errors(answer), answer.text
    assert write.newest() == versions and write.service.sql("select count(*) from gpusize.import_run") == runs
    assert write("POST", "observations", body=b"[{").status == 400


def test_a_repeat_of_results_by_its_key(write):
    first = write("POST", "observations", {**ROW, "uid": "9"}, once="b")
    assert first.status == 200 and first.json["import"]["new_rows"] == 1
    again = write("POST", "observations", {**ROW, "uid": "9"}, once="b")
    assert again.json == first.json
