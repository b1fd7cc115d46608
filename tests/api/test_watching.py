"""test_watching.py owns the tests of what those who run the service see of it: histograms by operation and status, how
long computing takes, the process, limits beside depths, and traces."""
import json
import re

import pytest
from waiting import await_true

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
QUESTION = {"model": "llama-3.1-8b", "gpu": "h100-sxm"}


def metrics(service):
    """{name: {labels: value}} of /metrics."""
    found = {}
    for line in service.call("GET", "/metrics").text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"([a-z_]+)(\{.*\})? (\S+)", line).groups()
        series = found.setdefault(name, {})
        assert labels not in series, line
        series[labels or ""] = float(value)
    return found


def of(series, **labels):
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return {key: value for key, value in series.items() if all(label in key for label in wanted)}


def test_every_metric_has_one_help_and_one_type(service):
    seen = {}
    for line in service.call("GET", "/metrics").text.splitlines():
        if line.startswith("# "):
            _, what, name, *_ = line.split()
            seen.setdefault(name, []).append(what)
    assert seen and all(what == ["HELP", "TYPE"] for what in seen.values()), seen
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics(service)}
    assert base <= set(seen) | {name for name in seen if name.endswith("_count")}


def test_durations_are_told_by_operation_and_status(start_service):
    service = start_service()
    service.call("GET", "/v1/memory", query=QUESTION)
    service.call("GET", "/v1/memory", query=QUESTION)
    service.call("GET", "/v1/memory", query={**QUESTION, "gpu": "none-such"})
    # A request is counted when its last byte is on the way, which its client may see first.
    await_true(lambda: sum(of(metrics(service).get("gpusize_http_requests_total", {}),
                              operation="memory").values()) == 3)
    found = metrics(service)
    counts = found["gpusize_http_request_duration_seconds_count"]
    assert sum(of(counts, operation="memory", status="200").values()) == 2
    assert sum(of(counts, operation="memory", status="422").values()) == 1
    buckets = of(found["gpusize_http_request_duration_seconds_bucket"], operation="memory", status="200")
    values = list(buckets.values())
    assert values == sorted(values) and values[-1] == 2 and 'le="+Inf"' in list(buckets)[-1]
    totals = of(found["gpusize_http_requests_total"], operation="memory")
    assert sorted(totals.values()) == [1, 2]


def test_what_a_cache_answers_is_not_computed(start_service):
    service = start_service()
    for _ in range(3):
        service.call("GET", "/v1/memory", query=QUESTION)
    found = metrics(service)
    assert sum(of(found["gpusize_estimator_duration_seconds_count"], operation="memory").values()) == 1
    assert sum(of(found["gpusize_estimator_duration_seconds_sum"], operation="memory").values()) > 0
    assert not of(found["gpusize_estimator_duration_seconds_count"], operation="livez")


def test_limits_stand_beside_depths(start_service):
    service = start_service("--queue-max", "77", "--connections-max", "99")
    await_true(lambda: metrics(service)["gpusize_connections"][""] == 1)  # what asked whether it is ready has gone
    found = metrics(service)
    assert found["gpusize_queue_max"][""] == 77 and found["gpusize_queue_depth"][""] == 0
    assert found["gpusize_connections_max"][""] == 99
    assert found["gpusize_waiting_requests"][""] == found["gpusize_waiting_writes"][""] == 0


def test_the_process_is_told_of_as_every_exporter_does(service):
    found = metrics(service)
    assert found["process_resident_memory_bytes"][""] > 1 << 20
    assert found["process_cpu_seconds_total"][""] > 0
    assert found["process_start_time_seconds"][""] > 1.7e9


@pytest.mark.parametrize("path", ["/livez", "/v1/memory", "/none-such"])
def test_a_trace_goes_on_in_the_answer_and_the_log(start_service, path):
    service = start_service()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    answers = [service.call("GET", path, query=QUESTION if path == "/v1/memory" else None, headers=headers)
               for _ in range(2)]  # of which the cache has one
    spans = []
    for answer in answers:
        version, trace, span, flags = answer.headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", TRACE, "01")
        assert re.fullmatch("[0-9a-f]{16}", span) and span != PARENT
        spans.append(span)
    assert len(set(spans)) == 2
    service.stop()
    logged = [json.loads(line) for line in service.log if line.startswith("{")]
    assert {line["span_id"] for line in logged} == set(spans)  # lines of two threads may change places
    assert {(line["trace_id"], line["parent_id"]) for line in logged} == {(TRACE, PARENT)}


@pytest.mark.parametrize("given, goes_on", [
    (f"01-{TRACE}-{PARENT}-00", True),
    (f"cc-{TRACE}-{PARENT}-00-more", True),
    (f"00-{TRACE}-{PARENT}-00-more", False),
    (f"ff-{TRACE}-{PARENT}-00", False),
    (f"00-{'0' * 32}-{PARENT}-00", False),
    (f"00-{TRACE}-{'0' * 16}-00", False),
    (f"00-{TRACE.upper()}-{PARENT}-00", False),
    (f"00-{TRACE}-{PARENT}", False),
    ("nonsense", False),
])
def test_only_a_trace_context_is_taken_for_one(service, given, goes_on):
    answer = service.call("GET", "/livez", headers={"traceparent": given})
    assert ("traceparent" in answer.headers) == goes_on
    if goes_on:
        assert answer.headers["traceparent"].startswith(f"00-{TRACE}-") and answer.headers["traceparent"].endswith("-00")
