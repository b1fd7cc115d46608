"""test_measured.py owns the tests of measured runs in answers: an import shows at once, in value, basis and provenance,
and is gone when it is taken back."""
from live import await_ready, await_version, newest

QUESTION = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "engine_version": "0.19", "tensor_parallel": 1, "concurrency": 32,
            "input_tokens": 1000, "output_tokens": 500}
HEADER = ("uid,source,engine,engine_version,date,model,precision_weights,precision_kv,gpu,gpus_total,tp,isl,osl,concurrency,"
          "load_mode,out_tok_s_total,ttft_ms,tpot_ms,trust\n")
ROW = "{uid},our bench,vLLM,0.19,2026-11-02,Llama-3.1-8B,bf16,,H100-SXM-80GB,{gpus},1,1000,500,{load},{rate},{ttft},{tpot},A\n"


def row(uid, rate, ttft="", tpot="", gpus=1, load="32,closed-loop"):
    return ROW.format(uid=uid, rate=rate, ttft=ttft, tpot=tpot, gpus=gpus, load=load)


def asked(service, **more):
    return service.call("GET", "/v1/throughput", query={**QUESTION, **more}).json


def test_an_import_is_the_answer_until_it_is_taken_back(database, run, sql, serve, tmp_path):
    service, file = serve(database), tmp_path / "runs.csv"
    await_ready(service, "ready")
    formula = asked(service)
    assert formula["basis"] != "measured" and formula["provenance"]["measurements"] == []
    file.write_text(HEADER + row("a", 2 * 2500, 150, 12.5, gpus=2, load="64,closed-loop") + row("b", 2.5e6))
    assert run("measured", file)["new_rows"] == 2
    await_version(service, newest(sql))
    measured = asked(service)
    assert measured["id"] != formula["id"] and measured["catalog_version"] != formula["catalog_version"]
    values = {name: (measured[name]["value"], measured[name]["basis"])
              for name in ("output_tokens_per_second", "ttft_ms", "tpot_ms", "e2e_ms")}
    assert values == {"output_tokens_per_second": (2500, "measured"), "ttft_ms": (150, "measured"),
                      "tpot_ms": (12.5, "measured"), "e2e_ms": (6387.5, "measured")}
    assert measured["basis"] == "measured" and measured["prefill_tokens_per_second"]["basis"] == formula["basis"]
    provenance = measured["provenance"]
    assert (provenance["measurements_used"], provenance["measurements_implausible"]) == (1, 1)
    assert provenance["engine_profile"]["version_to"] == "0.20" and provenance["engine_profile"]["source"]
    told, = provenance["measurements"]
    assert {**told, "measured_ratio": None} == {
        "source": "our bench", "uid": "a", "as_of": "2026-11-02", "engine_version": "0.19", "own": True,
        "load": "concurrency", "concurrency": 32, "input_tokens": 1000, "output_tokens": 500, "repeats": 1,
        "weight_ratio": 1, "measured_ratio": None}
    assert abs(told["measured_ratio"] / (2500 / formula["output_tokens_per_second"]["value"]) - 1) < 1e-5
    beside, before = asked(service, concurrency=40), asked(service, concurrency=8)
    assert beside["basis"] == formula["basis"] and 0 < beside["provenance"]["measurements"][0]["weight_ratio"] < 1
    assert before["provenance"]["measurements_used"] == 0
    fleet = asked(service, gpu_count=4, concurrency=128)
    assert fleet["output_tokens_per_second"]["value"] == 10000 and fleet["basis"] == "measured"
    sql("delete from gpusize.observation where source = 'our bench'")
    await_version(service, newest(sql))
    again = asked(service)
    assert again["id"] not in (formula["id"], measured["id"])
    different = {name for name in formula if again[name] != formula[name]}
    assert different == {"id", "catalog_version"}


def test_recommendations_tell_theirs(database, run, sql, serve, tmp_path):
    service, file = serve(database), tmp_path / "runs.csv"
    question = {"model": "llama-3.1-8b", "engine_version": "0.19", "gpus": "h100-sxm", "concurrency": 32,
                "input_tokens": 1000, "output_tokens": 500, "min_basis": "measured"}
    assert service.call("GET", "/recommend", query=question).json["recommended"] is None
    file.write_text(HEADER + row("a", 2500, 150, 12.5) + row("b", 5000, load="max,max-load offline"))
    run("measured", file)
    await_version(service, newest(sql))
    option = service.call("GET", "/recommend", query=question).json["recommended"]
    assert (option["tensor_parallel"], option["replicas"]) == (1, 1)
    assert option["performance"]["output_tokens_per_second"]["value"] == 2500
    assert option["performance"]["ttft_ms"]["basis"] == "measured"
    assert option["capacity"]["output_tokens_per_second"]["value"] == 5000
    assert [one["uid"] for one in option["provenance"]["measurements"]] == ["b", "a"]
    article = {"weights_gb": 140, "estimator": "article", "throughput_tokens_per_second": 100}
    assert service.call("GET", "/recommend", query=article).json["recommended"]["provenance"] is None


def test_rows_that_nobody_can_ask_for_do_not_keep_a_service_from_starting(database, sql, serve):
    sql("insert into gpusize.observation (source, uid, engine, engine_version, model_id, gpu_id, gpu_count, load, as_of,"
        " weight_dtype, output_tokens_per_second, tensor_parallel) values"
        " ('x', '1', 'vllm', '0.19', 'no/such-model', 'h100-sxm', 1, 'saturated', '2026-01-01', null, 1, 1),"
        " ('x', '2', 'no-engine', '0.19', 'Qwen/Qwen3-8B', 'h100-sxm', 1, 'saturated', '2026-01-01', null, 1, 1),"
        " ('x', '3', 'vllm', '0.19', 'Qwen/Qwen3-8B', 'h100-sxm', 1, 'rate', '2026-01-01', null, 1, 1),"
        " ('x', '4', 'vllm', '0.19', 'Qwen/Qwen3-8B', 'h100-sxm', 1, 'saturated', '2026-01-01', repeat('w', 5000), 1, 1),"
        " ('x', '5', 'vllm', '0.19', 'Qwen/Qwen3-8B', 'h100-sxm', 8, 'saturated', '2026-01-01', null, 1, 3)")
    service = serve(database)
    answer = asked(service, model="Qwen/Qwen3-8B")
    assert answer["provenance"]["measurements_used"] == 0


def test_more_runs_than_a_service_loads(database, run, sql, tmp_path):
    file, versions = tmp_path / "runs.csv", newest(sql)
    long = row("{}", 1000).replace("our bench", "b" * 1990)
    file.write_text(HEADER + "".join(long.replace("{}", str(i), 1) for i in range(32000)))
    assert "the measured runs would have 65 MiB as CSV, and services load 64" in run("measured", file, status=2)
    assert newest(sql) == versions


def test_all_the_real_results_load(database, run, sql, serve, shared):
    service = serve(database)
    run("measured", shared / "data" / "throughput_measured.csv")
    await_version(service, newest(sql))
    answer = service.call("GET", "/v1/throughput", query={
        "model": "gpt-oss-120b", "gpu": "b200-sxm", "tensor_parallel": 1, "concurrency": 64, "input_tokens": 1024,
        "output_tokens": 1024, "engine_version": "0.15.1"}).json
    assert answer["output_tokens_per_second"]["value"] == 6046.5 and answer["basis"] == "measured"
    assert answer["tpot_ms"]["value"] == 10.4978 and answer["provenance"]["measurements_used"] == 1
