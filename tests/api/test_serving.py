"""test_serving.py asks for serving as it is done: lengths, caches, drafts, limits, replicas, sides, energy."""
import pytest

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
BASE = {"model": LLAMA, "gpu": "h100-sxm"}
RATE = BASE | {"rps": 8, "in": 1000, "out": 200}


def ask(service, **fields):
    query = {name: value for name, value in (RATE | fields).items() if value is not None}
    answer = service.call("GET", "/v1/throughput", query=query)
    assert answer.status == 200, answer.text
    return answer.json


def without(answer, *names):
    return {name: value for name, value in answer.items() if name not in names}


def test_an_overloaded_fleet_is_called_so(service):
    assert not any("More requests arrive" in text for text in ask(service)["assumptions"])
    answer = ask(service, rps=200)
    assert not answer["stable"] and any("More requests arrive" in text for text in answer["assumptions"])


def test_no_row_is_of_adapters(service):
    """A measured run without adapters is not the answer for a deployment that has some."""
    fields = {"rps": None, "engine": "tensorrt-llm", "engine_version": "0.20", "weight_dtype": "fp8", "kv_dtype": "fp8",
              "gpus_total": 1, "load": "saturated", "in": 128, "out": 128}
    assert ask(service, **fields)["basis"] == "measured"
    answer = ask(service, **fields, max_loras=4)
    assert answer["basis"] == "extrapolated" and any("Adapters" in text for text in answer["assumptions"])
    recommended = service.call("GET", "/v1/recommend", query={"model": LLAMA, "rps": 1, "max_loras": 4}).json
    assert any("Adapters" in text for text in recommended["assumptions"])


@pytest.mark.parametrize("load", [{"rps": 8}, {"load": "saturated"}, {"concurrency": 20}, {"batch_size": 40}])
def test_a_histogram_of_one_length_is_the_mean(service, load):
    mean = service.call("GET", "/v1/throughput", query=BASE | load | {"in": 1000, "out": 200}).json
    bucket = service.call("GET", "/v1/throughput", query=BASE | load | {
        "input_tokens_histogram": "1000:3", "output_tokens_histogram": "200:1,200:4"}).json
    assert without(mean, "id", "request") == without(bucket, "id", "request")


def test_a_recommendation_for_a_histogram_of_one_length_is_that_for_the_mean(service):
    question = {"model": LLAMA, "rps": 8, "ttft_ms": 2000, "as_of": "2026-11-23"}
    mean = service.call("GET", "/v1/recommend", query=question | {"in": 1000, "out": 200}).json
    bucket = service.call("GET", "/v1/recommend", query=question | {
        "input_tokens_histogram": "1000:3", "output_tokens_histogram": "200:1"}).json
    assert without(mean, "id", "request") == without(bucket, "id", "request")


def test_percentiles_rise_and_hold_the_one_that_is_asked_for(service):
    answer = ask(service, percentile=99, input_tokens_histogram="200:4,5000:1", output_tokens_histogram="50:3,600:1",
                 **{"in": None, "out": None})
    percentiles = answer["percentiles"]
    for name in ("ttft_ms", "tpot_ms", "e2e_ms"):
        values = [percentiles[p][name]["value"] for p in ("p50", "p95", "p99")]
        assert values == sorted(values) and values[0] < values[2]
        assert percentiles["p99"][name] == answer[name]
    assert service.call("GET", "/v1/throughput", query=BASE | {"concurrency": 4}).json["percentiles"] is None


def test_replicas_needed_are_enough_and_not_one_too_many(service):
    limits = {"ttft_ms": 600, "tpot_ms": 30, "rps": 60}
    first = ask(service, **limits)
    needed, half = first["replicas_needed"], first["replicas_needed_at_half_probability"]
    assert needed > half >= 1
    for count, enough in ((needed, True), (needed - 1, False)):
        answer = ask(service, gpu_count=count, **limits)
        assert (answer["meets_slo_probability_ratio"] >= 0.9) == enough
        assert answer["replicas_needed"] == needed
    assert ask(service, gpu_count=half, **limits)["meets_slo_probability_ratio"] >= 0.5
    assert ask(service, ttft_ms=1)["replicas_needed"] is None
    assert service.call("GET", "/v1/throughput", query=BASE).json["meets_slo_probability_ratio"] is None


def test_bursts_need_more_replicas(service):
    limits = {"ttft_ms": 600, "rps": 60}
    assert ask(service, arrival_cv2=8, **limits)["replicas_needed"] > ask(service, **limits)["replicas_needed"]


def test_recommend_counts_replicas_as_throughput_does(service):
    limits = {"rps": 60, "ttft_ms": 600, "tpot_ms": 30, "in": 1000, "out": 200}
    recommended = service.call("GET", "/v1/recommend", query={"model": LLAMA, "gpus": "h100-sxm"} | limits).json
    for option in [recommended["recommended"]] + recommended["alternatives"]:
        answer = ask(service, tp=option["tensor_parallel"], gpu_count=option["gpus_used"], **limits)
        assert answer["replicas_needed"] == option["replicas"]
        assert answer["percentiles"] == option["performance"]["percentiles"]
        assert answer["meets_slo_probability_ratio"] == option["performance"]["meets_slo_probability_ratio"]


def test_a_shared_prefix_is_read_once(service):
    plain, cached = ask(service), ask(service, shared_prefix_tokens=800)
    assert cached["ttft_ms"]["value"] < 0.8 * plain["ttft_ms"]["value"]
    assert cached["tpot_ms"]["value"] < plain["tpot_ms"]["value"]
    assert cached["basis"] == "extrapolated" and any("80 %" in text for text in cached["assumptions"])
    by_ratio = ask(service, prefix_cache_hit_ratio=0.8)
    assert by_ratio["ttft_ms"] == cached["ttft_ms"]
    full = {name: service.call("GET", "/v1/throughput", query=BASE | {"in": 6000, "out": 200} | fields).json["in_flight"]
            for name, fields in (("plain", {}), ("held", {"shared_prefix_tokens": 5600}),
                                 ("found", {"prefix_cache_hit_ratio": 0.93}))}
    assert full["held"] > 3 * full["plain"] and full["found"] == full["plain"]


@pytest.mark.parametrize("draft", [{"draft_model": "ngram"}, {"draft_model": "eagle"},
                                   {"draft_model": "meta-llama/Llama-3.2-1B-Instruct"}])
def test_drafts_help_when_they_are_accepted(service, draft):
    question = BASE | {"concurrency": 4}
    plain = service.call("GET", "/v1/throughput", query=question).json
    speeds = [service.call("GET", "/v1/throughput", query=question | draft | {
        "draft_tokens": 3, "draft_acceptance_ratio": ratio}).json for ratio in (0, 0.7, 0.95)]
    times = [answer["tpot_ms"]["value"] for answer in speeds]
    assert times[0] >= plain["tpot_ms"]["value"] > times[1] > times[2]
    assert all(answer["basis"] == "extrapolated" for answer in speeds)
    assert any("0.7" in text for text in speeds[1]["assumptions"])
    assert (speeds[1]["breakdown_ms"]["draft"] == 0) == (draft.get("draft_model") == "ngram")


def test_sides_of_a_disaggregated_fleet(service):
    together = ask(service, gpu_count=8, rps=40)
    apart = ask(service, gpu_count=8, rps=40, disaggregated="true")
    sides = apart["disaggregation"]
    assert together["disaggregation"] is None and apart["request"]["layout"]["disaggregated"] is True
    assert sides["prefill_replicas"] + sides["decode_replicas"] == 8
    assert sides["prefill_replicas"] == sides["best_prefill_replicas"]
    assert 0 < sides["prefill_utilization_ratio"] < 1 and 0 < sides["decode_utilization_ratio"] < 1
    assert apart["tpot_ms"]["value"] < together["tpot_ms"]["value"] and apart["breakdown_ms"]["prefill"] == 0
    slow = ask(service, gpu_count=8, rps=40, disaggregated="true", transfer_gb_per_s=1)["disaggregation"]
    assert slow["transfer_ms"] == pytest.approx(50 * sides["transfer_ms"], rel=1e-5)
    given = ask(service, rps=40, prefill_replicas=3, decode_replicas=2)
    assert given["layout"]["replicas"] == 5 and given["layout"]["gpu_count"] == 5
    best = {count: ask(service, load="saturated", rps=None, disaggregated="true", gpu_count=count)
            for count in (2, 5, 8)}
    for count, answer in best.items():
        split = answer["disaggregation"]
        assert max(split["prefill_utilization_ratio"], split["decode_utilization_ratio"]) == pytest.approx(1)


def test_energy_of_an_answer(service):
    one, four = ask(service, rps=2), ask(service, rps=2, gpu_count=4)
    for answer, count in ((one, 1), (four, 4)):
        watts, tokens = answer["power_watts"], answer["tokens_per_joule"]
        assert 70 * count < watts["value"] <= 700 * count  # idle, a tenth of its limit, to the limit
        assert watts["low"] < watts["value"] < watts["high"] <= 700 * count
        assert tokens["value"] == pytest.approx(answer["output_tokens_per_second"]["value"] / watts["value"], rel=1e-4)
        assert answer["joules_per_token"]["value"] == pytest.approx(1 / tokens["value"], rel=1e-4)
    assert four["power_watts"]["value"] > one["power_watts"]["value"]


def test_least_energy_is_recommended(service):
    found = service.call("GET", "/v1/recommend", query={"model": LLAMA, "rps": 8, "objective": "energy"}).json
    options = [found["recommended"]] + found["alternatives"]
    joules = [option["performance"]["joules_per_token"]["value"] for option in options]
    assert joules == sorted(joules) and len(joules) > 2


@pytest.mark.parametrize("vendor, engine, model, dtype, known", [
    ("amd", "vllm", "llama-3.3-70b", "fp8", {"mi355x"}), ("intel", "vllm", LLAMA, "bf16", set()),
    ("amd", "llama.cpp", LLAMA, "q4_k_m", set()), ("intel", "llama.cpp", LLAMA, "q4_k_m", set())])
def test_other_vendors(service, vendor, engine, model, dtype, known):
    """What no row measured is extrapolated; what an engine does not run on is refused, and says why."""
    answered = 0
    for gpu in service.call("GET", "/v1/gpus", query={"vendor": vendor, "limit": 1000}).json["gpus"]:
        answer = service.call("GET", "/v1/throughput", query={
            "model": model, "gpu": gpu["id"], "engine": engine, "weight_dtype": dtype, "concurrency": 1})
        if answer.status != 200:
            assert {error["code"] for error in answer.json["errors"]} <= {"unsupported_combination", "not_feasible"}
            continue
        answered += 1
        assert (answer.json["basis"] == "fitted") == (gpu["id"] in known), gpu["id"]
        assert answer.json["tpot_ms"]["value"] > 0
    assert answered >= 3


def test_layouts_of_experts_and_stages(service):
    question = {"model": "deepseek-ai/DeepSeek-R1", "gpu": "h200-sxm", "weight_dtype": "fp8", "tp": 8, "in": 2000}
    speeds = {}
    for name, layout in (("tensor", {}), ("experts", {"ep": 8}), ("stages", {"pp": 2})):
        speeds[name] = service.call("GET", "/v1/throughput", query=question | layout | {"concurrency": 64}).json
    # requests are divided over the ranks of an expert-parallel group, which reads each cache once
    attention = {name: answer["breakdown_ms"]["attention"] for name, answer in speeds.items()}
    assert attention["experts"] == pytest.approx(attention["tensor"] / 8, rel=1e-4)
    # and sends their rows to the experts instead of joining all hidden states
    communication = {name: answer["breakdown_ms"]["communication"] for name, answer in speeds.items()}
    assert communication["experts"] < communication["tensor"]
    assert speeds["stages"]["basis"] == "extrapolated"
    assert speeds["stages"]["layout"]["gpu_count"] == 16
