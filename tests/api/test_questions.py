"""test_questions.py asks every question in every form: POST and GET, each format, HEAD, ETag, compression."""
import copy
import csv
import gzip
import io
import json
import re
import shlex
import urllib.parse
import xml.etree.ElementTree as ElementTree

import jsonschema
import pytest

LLAMA = "meta-llama/Llama-3.1-70B-Instruct"
AS_OF = "2026-11-23"

# operation -> (path, question as JSON, the same flat)
QUESTIONS = {
    "recommend": ("/v1/recommend",
                  {"model": LLAMA, "workload": {"input_tokens": 1024, "output_tokens": 256, "requests_per_second": 5},
                   "slo": {"ttft_ms": 2000, "tpot_ms": 80}, "as_of": AS_OF,
                   "constraints": {"budget_usd": 400000, "purchase": ["on_demand", "owned"], "quota": {"l40s": 8}}},
                  {"model": LLAMA, "in": 1024, "out": 256, "rps": 5, "ttft_ms": 2000, "tpot_ms": 80, "as_of": AS_OF,
                   "budget": 400000, "purchase": "on_demand,owned", "quota": "l40s:8"}),
    "memory": ("/v1/memory",
               {"model": LLAMA, "gpu": "h100-sxm", "serving": {"weight_dtype": "fp8"}, "layout": {"tensor_parallel": 2}},
               {"model": LLAMA, "gpu": "h100-sxm", "weight_dtype": "fp8", "tp": 2}),
    "throughput": ("/v1/throughput",
                   {"model": LLAMA, "gpu": "h100-sxm", "layout": {"gpu_count": 8, "tensor_parallel": 4},
                    "workload": {"input_tokens": 512, "output_tokens": 128, "load": "concurrency", "concurrency": 32}},
                   {"model": LLAMA, "gpu": "h100-sxm", "gpu_count": 8, "tensor_parallel": 4, "in": 512, "out": 128,
                    "load": "concurrency", "concurrency": 32}),
    "cost": ("/v1/cost",
             {"model": LLAMA, "workload": {"requests_per_second": 5}, "constraints": {"gpus": ["h100", "l40s"]},
              "as_of": AS_OF},
             {"model": LLAMA, "rps": 5, "gpus": "h100,l40s", "as_of": AS_OF}),
    "training": ("/v1/training",
                 {"model": LLAMA, "training": {"method": "lora", "training_tokens": 1e8, "flash_attention": True},
                  "workload": {"deadline_hours": 48}, "as_of": AS_OF,
                  "constraints": {"budget_usd": 3000, "gpus": ["h100", "l40s"], "purchase": ["on_demand", "spot"]}},
                 {"model": LLAMA, "method": "lora", "training_tokens": 1e8, "flash_attention": "true",
                  "deadline_hours": 48, "as_of": AS_OF, "budget": 3000, "gpus": "h100,l40s",
                  "purchase": "on_demand,spot"}),
    "batch_plan": ("/v1/batch-plan",
                   {"model": LLAMA, "gpu": "h100-sxm", "slo": {"tpot_ms": 60}, "assignments": True,
                    "workload": {"requests": [{"input_tokens": 1024, "output_tokens": 256},
                                              {"input_tokens": 3000, "output_tokens": 500}]}},
                   {"model": LLAMA, "gpu": "h100-sxm", "tpot_ms": 60, "assignments": "true",
                    "requests": "1024:256,3000:500"}),
}
LISTS = {
    "gpus": ("/v1/gpus", {"id": "h100"}, "gpus"),
    "models": ("/v1/models", {"q": "qwen"}, "models"),
    "engines": ("/v1/engines", {"id": "vllm"}, "profiles"),
    "calibrations": ("/v1/calibrations", {"state": "used", "pool": "published"}, "calibrations"),
    "offers": ("/v1/offers", {"gpu": "h100", "purchase": "on_demand", "as_of": AS_OF}, "offers"),
}
FLAT = {name: (path, flat) for name, (path, _, flat) in QUESTIONS.items()}
FLAT |= {name: (path, flat) for name, (path, flat, _) in LISTS.items()}
ROWS = {"recommend": ["recommended", "alternatives"], "cost": ["options"], "batch_plan": ["assignments"]} | {
    name: [rows] for name, (_, _, rows) in LISTS.items()}
# One scalar of each answer.
FIELDS = {"recommend": "recommended.gpu_count", "memory": "memory.weights_gib",
          "throughput": "output_tokens_per_second", "cost": "options[0].gpu", "training": "plan.time.hours",
          "batch_plan": "batch.best_batch_size", "gpus": "gpus[0].memory_nominal_gb", "models": "total_count",
          "engines": "profiles[0].engine", "calibrations": "calibrations[0].fp16_tflops",
          "offers": "offers[0].usd_per_hour"}


def value_at(answer, path):
    for name in re.findall(r"[^.\[\]]+", path):
        answer = answer[int(name)] if isinstance(answer, list) else answer[name]
    return answer["value"] if isinstance(answer, dict) else answer


@pytest.fixture(scope="module")
def closed(contract):
    """The contract with every object closed: an answer member that it does not declare fails."""
    def close(node):
        if isinstance(node, dict):
            if "properties" in node:
                node.setdefault("additionalProperties", False)
            for member in node.values():
                close(member)
        elif isinstance(node, list):
            for member in node:
                close(member)
    document = copy.deepcopy(contract.document)
    close(document["components"]["schemas"])
    return document


@pytest.mark.parametrize("name", FLAT)
def test_answers_have_no_undeclared_member(service, closed, contract, name):
    path, flat = FLAT[name]
    answer = service.call("GET", path, query=flat).json
    declared = closed["paths"][path]["get"]["responses"]["200"]["$ref"].rsplit("/", 1)[1]
    schema = closed["components"]["responses"][declared]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator(schema, resolver=jsonschema.RefResolver("", closed)).validate(answer)


@pytest.mark.parametrize("name", QUESTIONS)
def test_post_and_get_mean_the_same(service, name):
    path, body, flat = QUESTIONS[name]
    posted, got = service.call("POST", path, json=body), service.call("GET", path, query=flat)
    assert posted.status == got.status == 200, posted.text[:500]
    assert posted.body == got.body
    assert posted.json["id"] == got.json["id"]
    again = service.call("POST", path, json=body)
    assert again.body == posted.body


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_request_of_an_answer_asks_for_it_again(service, name):
    path, body, _ = QUESTIONS[name]
    first = service.call("POST", path, json=body).json

    def given(value):
        if isinstance(value, dict):
            return {key: given(member) for key, member in value.items() if member is not None}
        return value
    second = service.call("POST", path, json=given(first["request"]))
    assert second.status == 200, second.text
    assert second.json["id"] == first["id"]
    assert second.json == first


@pytest.mark.parametrize("path, question", [
    ("/v1/recommend", {"model": LLAMA, "workload": {"requests_per_second": 2, "input_tokens_histogram": [
        {"tokens": 512, "weight": 3}, {"tokens": 4096, "weight": 1}]}}),
    ("/v1/recommend", {"model": LLAMA, "serving": {"engine": "sglang"}, "workload": {"requests_per_second": 2}}),
    ("/v1/throughput", {"model": LLAMA, "gpu": "h100-sxm", "workload": {
        "requests_per_second": 1, "input_tokens_histogram": [{"tokens": 512, "weight": 3}],
        "output_tokens_histogram": [{"tokens": 20, "weight": 1}, {"tokens": 400, "weight": 2}]}}),
    ("/v1/throughput", {"model": LLAMA, "gpu": "h100-sxm", "layout": {"gpu_count": 24, "disaggregated": True}}),
    ("/v1/throughput", {"model": LLAMA, "gpu": "h100-sxm", "serving": {"draft_model": "ngram", "draft_tokens": 2},
                        "workload": {"draft_acceptance_ratio": 0.5, "shared_prefix_tokens": 100}}),
    ("/v1/memory", {"model": LLAMA, "gpu": "h100-sxm", "serving": {"engine": "sglang"}}),
    ("/v1/memory", {"model": LLAMA, "gpu": "rtx-4090", "serving": {"engine": "sglang"},
                    "layout": {"tensor_parallel": 8, "pipeline_parallel": 2}}),
])
def test_derived_values_do_not_stand_in_the_request(service, path, question):
    """A histogram's mean and a memory share that depends on the layout would contradict what was asked."""
    first = service.call("POST", path, json=question)
    again = service.call("POST", path, json=first.json["request"])
    assert again.status == 200, again.text
    assert again.body == first.body


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
@pytest.mark.parametrize("model", [LLAMA, "mistralai/Mixtral-8x7B-Instruct-v0.1", "70B"])
def test_a_recommended_layout_is_sized_as_when_asked_for(service, engine, model):
    answer = service.call("POST", "/v1/recommend", json={
        "model": model, "serving": {"engine": engine}, "workload": {"requests_per_second": 2},
        "constraints": {"purchase": ["on_demand", "owned"]}}).json
    for option in [answer["recommended"]] + answer["alternatives"]:
        shards, stages = option["tensor_parallel"], option["pipeline_parallel"]
        question = {"model": model, "gpu": option["gpu"],
                    "serving": {"engine": engine, "weight_dtype": option["weight_dtype"]},
                    "layout": {"gpu_count": option["replicas"] * shards * stages, "tensor_parallel": shards,
                               "pipeline_parallel": stages}}
        sized = service.call("POST", "/v1/memory", json=question).json
        assert sized["fits"] and sized["min_gpu_count"] <= shards * stages
        for name in ("weights_gib", "activations_gib", "overhead_gib", "kv_pool_gib", "available_gib",
                     "max_concurrency", "max_context_tokens"):
            assert sized["memory"][name] == option["memory"][name], (option["gpu"], name)
        speed = service.call("POST", "/v1/throughput", json=question | {"workload": {"requests_per_second": 2}}).json
        for name in ("requests_per_second", "output_tokens_per_second", "ttft_ms", "tpot_ms", "e2e_ms"):
            assert speed[name] == option["performance"][name], (option["gpu"], name)


@pytest.mark.parametrize("engine, kv_dtype", [("vllm", "int4"), ("vllm", "q8_0"), ("llama.cpp", "fp8")])
def test_a_cache_format_that_no_gpu_runs_is_refused_alike(service, engine, kv_dtype):
    serving = {"engine": engine, "kv_dtype": kv_dtype}
    answer = service.call("POST", "/v1/recommend", json={"model": "8B", "serving": serving}).json
    assert answer["recommended"] is None and {one["reason"] for one in answer["rejected"]} == {"unsupported"}
    one = service.call("POST", "/v1/memory", json={"model": "8B", "gpu": "h100-sxm", "serving": serving})
    assert one.status == 422 and one.json["errors"][0]["field"] == "serving.kv_dtype"


def test_prices_of_later_days_are_not_known(service):
    question = {"model": "8B", "purchase": "owned,on_demand", "rps": 1}
    answer = service.call("GET", "/v1/recommend", query=question | {"as_of": "1970-01-01"}).json
    assert answer["recommended"] is None
    for day in ("2025-06-30", "2026-01-31", AS_OF):
        answer = service.call("GET", "/v1/cost", query=question | {"as_of": day}).json
        assert all(option["price"]["as_of"] <= day for option in answer["options"])


def test_sentences_have_no_exponents(service):
    question = {"model": "8B", "budget": 1e9, "max_gpus": 100000, "alternatives": 20}
    for load in ({}, {"output_tokens_per_second": 2e7}, {"rps": 1e5, "out": 1}):
        answer = service.call("GET", "/v1/recommend", query=question | load).json
        options = [answer["recommended"]] + answer["alternatives"]
        assert not [option["explanation"] for option in options if re.search(r"\de[+-]\d", option["explanation"])]


@pytest.mark.parametrize("name", FLAT)
def test_another_process_answers_the_same_bytes(service, start_service, name):
    path, flat = FLAT[name]
    other = start_service("--threads", "1", "--workers", "1")
    assert other.call("GET", path, query=flat).body == service.call("GET", path, query=flat).body


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("format", ["json", "csv", "xml", "txt"])
def test_suffix_and_parameter_give_the_same(service, name, format):
    path, flat = FLAT[name]
    extra = {"field": FIELDS[name]} if format == "txt" else {}
    suffixed = service.call("GET", f"{path}.{format}", query=flat | extra)
    by_parameter = service.call("GET", path, query=flat | extra | {"format": format})
    both = service.call("GET", f"{path}.{format}", query=flat | extra | {"format": format})
    assert suffixed.status == by_parameter.status == both.status == 200, suffixed.text[:300]
    assert suffixed.body == by_parameter.body == both.body
    types = {"json": "application/json", "csv": "text/csv", "xml": "application/xml", "txt": "text/plain"}
    assert suffixed.headers["Content-Type"].startswith(types[format])


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("format", ["json", "csv", "xml", "txt"])
def test_posts_have_formats_too(service, name, format):
    path, body, flat = QUESTIONS[name]
    extra = {"field": FIELDS[name]} if format == "txt" else {}
    posted = service.call("POST", f"{path}.{format}", query=extra, json=body)
    assert posted.status == 200
    assert posted.body == service.call("GET", f"{path}.{format}", query=flat | extra).body


@pytest.mark.parametrize("name", FLAT)
def test_csv_has_a_row_for_each_option(service, name):
    path, flat = FLAT[name]
    answer = service.call("GET", path, query=flat).json
    raw = service.call("GET", path + ".csv", query=flat).text
    assert raw.endswith("\r\n") and "\n" not in raw.replace("\r\n", "")
    header, *lines = csv.reader(io.StringIO(raw))
    rows = [answer]
    if name in ROWS:
        rows = [one for key in ROWS[name] for one in (answer[key] if isinstance(answer[key], list) else [answer[key]])]
    assert len(lines) == len(rows) and len(rows) > 0
    assert all(len(line) == len(header) == len(set(header)) for line in lines)
    for row, line in zip(rows, lines):
        cells = dict(zip(header, line))
        for key, value in row.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                assert float(cells[key]) == value, key
            elif isinstance(value, str) and value[:1] not in "=+-@":
                assert cells[key] == value, key


def test_csv_columns_and_limit(service):
    path, flat = FLAT["cost"]
    answer = service.call("GET", path, query=flat).json
    table = service.call("GET", path + ".csv", query=flat | {"columns": "gpu,cost_total_cost_usd", "limit": 1}).text
    header, *lines = csv.reader(io.StringIO(table))
    assert header == ["gpu", "cost_total_cost_usd"] and len(lines) == 1
    best = answer["options"][0]
    assert lines[0][0] == best["gpu"] and float(lines[0][1]) == best["cost"]["total_cost_usd"]
    refused = service.call("GET", path + ".csv", query=flat | {"columns": "gpu,prise"})
    assert refused.status == 422 and refused.json["errors"][0]["field"] == "columns"


@pytest.mark.parametrize("name", FLAT)
def test_xml_holds_the_answer(service, name):
    path, flat = FLAT[name]
    answer = service.call("GET", path, query=flat).json
    root = ElementTree.fromstring(service.call("GET", path + ".xml", query=flat).body)
    assert root.tag == "answer"
    assert root.findtext("id") == answer["id"]
    assert root.findtext("catalog_version") == answer["catalog_version"]


@pytest.mark.parametrize("name", FLAT)
def test_txt_is_one_bare_value(service, name):
    path, flat = FLAT[name]
    answer = service.call("GET", path, query=flat).json
    cell = service.call("GET", path + ".txt", query=flat | {"field": FIELDS[name]}).text
    value = value_at(answer, FIELDS[name])
    assert "\n" not in cell and cell == cell.strip()
    if isinstance(value, str):
        assert cell == value
    else:
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell) and float(cell) == value


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_head_is_get_without_a_body(service, name, suffix):
    path, flat = FLAT[name]
    got, head = (service.call(method, path + suffix, query=flat) for method in ("GET", "HEAD"))
    assert head.status == 200 and head.body == b""
    for header in ("Content-Type", "Content-Length", "ETag"):
        assert head.headers[header] == got.headers[header]
    assert int(head.headers["Content-Length"]) == len(got.body)


def test_every_get_is_conditional(service, tables):
    for route in tables["routes"]:
        if not route["formats"] or route["work"] == "stores":
            continue  # without a database; see test_database.py
        name = route["operation_id"]
        for suffix in ("", ".json"):
            path, flat = route["path"] + suffix, FLAT[name][1]
            first = service.call("GET", path, query=flat)
            assert re.fullmatch(r'W/"[0-9a-f]{32}"', first.headers["ETag"])
            assert first.headers["Cache-Control"] == "no-cache"
            same = service.call("GET", path, query=flat, headers={"If-None-Match": first.headers["ETag"]})
            assert same.status == 304 and same.body == b""
            assert same.headers["ETag"] == first.headers["ETag"]
            other = service.call("GET", path, query=flat, headers={"If-None-Match": 'W/"0"'})
            assert other.status == 200 and other.body == first.body


@pytest.mark.parametrize("name", FLAT)
def test_gzip_holds_the_same_bytes(service, name):
    path, flat = FLAT[name]
    plain = service.call("GET", path, query=flat)
    packed = service.call("GET", path, query=flat, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body)
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in packed.headers["Vary"] and "Accept-Encoding" in plain.headers["Vary"]


def bad_questions(route):
    """(what is wrong, query, body, status)"""
    name = route["operation_id"]
    yield "unknown field", {"colour": "red"}, {"colour": "red"}, 400
    if name in QUESTIONS:
        wrong = {"model": "no/such-model"} | ({"gpu": "l40s"} if name in ("memory", "throughput", "batch_plan") else {})
        yield "unknown model", wrong, wrong, 422
    elif name == "engines":
        yield "unknown engine", {"id": "no-such-engine"}, None, 422
    else:
        yield "out of range", {"limit": 0} | ({"host": "x"} if name == "monitor_history" else {}), None, 422


def test_every_question_refuses_what_it_cannot_read_or_mean(service, tables):
    for route in tables["routes"]:
        if not route["formats"]:
            continue
        for what, query, body, status in bad_questions(route):
            for suffix in ("", ".csv"):
                got = service.call("GET", route["path"] + suffix, query=query)
                assert got.status == status, f"{route['path']}{suffix}: {what}: {got.text}"
                assert got.json["errors"] and got.json["request_id"] == got.headers["X-Request-Id"]
                if route["post"]:
                    posted = service.call("POST", route["path"] + suffix, json=body)
                    assert posted.status == status
                    assert posted.json["errors"] == got.json["errors"]


def test_short_path_is_the_long_one(service):
    _, body, flat = QUESTIONS["recommend"]
    long, short = (service.call("POST", path, json=body) for path in ("/v1/recommend", "/recommend"))
    assert short.status == 200 and short.body == long.body
    for suffix in (".json", ".csv"):
        assert service.call("POST", "/recommend" + suffix, json=body).body == service.call(
            "GET", "/v1/recommend" + suffix, query=flat).body


def test_failures_as_text_for_cells(service):
    query = {"model": "no/such-model", "errors": "text", "field": "recommended.gpu"}
    answer = service.call("GET", "/v1/recommend.txt", query=query)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("#ERR unknown_model: ") and "\n" not in answer.text
    assert answer.headers.get("ETag") is None
    good = service.call("GET", "/v1/memory.txt", query={"model": "7B", "gpu": "l40s", "field": "fits", "errors": "text"})
    assert good.text == "true"


def test_a_model_four_ways(service):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 32,
              "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
              "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
              "tie_word_embeddings": False}

    def ask(model):
        answer = service.call("POST", "/v1/memory", json={"model": model, "gpu": "h100-sxm"})
        assert answer.status == 200, answer.text
        return answer.json
    named, configured = ask("meta-llama/Llama-3.1-8B-Instruct"), ask({"config": config})
    assert named["model"]["id"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert configured["model"]["id"] is None and not configured["model"]["architecture_assumed"]
    assert configured["memory"] == named["memory"]
    assert ask({"name": "META-LLAMA/llama-3.1-8b-instruct"}) == named
    sized, short = ask({"parameters": 8030261248}), ask("70B")
    assert sized["model"]["architecture_assumed"] and sized["model"]["parameters"] == 8030261248
    assert short["model"]["parameters"] == 70e9 == ask({"parameters": "70B"})["model"]["parameters"]
    heavy = ask({"weights_gb": 16})
    assert heavy["model"]["parameters"] == 8e9
    assert heavy["memory"]["weights_gib"] == pytest.approx(16e9 / 2**30, rel=0.05)


def test_answers_say_what_they_assume(service):
    question = {"model": LLAMA, "gpu": "h100-sxm"}
    for path in ("/v1/memory", "/v1/throughput"):
        known = service.call("GET", path, query=question).json
        assert known["assumptions"] == known["warnings"] == []
        guessed = service.call("GET", path, query=question | {"model": "70B"}).json
        assert "size of the model" in guessed["assumptions"][0]
        packed = service.call("GET", path, query=question | {"weight_dtype": "fp8", "pp": 2}).json
        assert len(packed["warnings"]) == 2


def test_known_weights_replace_the_computed_ones(service):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 32,
              "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
              "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
              "tie_word_embeddings": False}
    weights = []
    for size in (16e9, 20e9):
        answer = service.call("POST", "/v1/memory", json={"model": {"config": config, "weights_bytes": size},
                                                          "gpu": "h100-sxm"})
        weights.append(answer.json["memory"]["weights_gib"])
    assert weights[1] - weights[0] == pytest.approx(4e9 / 2**30, rel=0.01)


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256,
          "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 512, "vocab_size": 1000,
          "max_position_embeddings": 4096, "torch_dtype": "bfloat16", "tie_word_embeddings": True}


def test_tensors_say_what_the_weights_are(service):
    tensors = {"model.embed_tokens.weight": {"dtype": "BF16", "shape": [1000, 256], "data_offsets": [0, 512000]},
               "model.layers.0.mlp.up_proj.weight": {"dtype": "F8_E4M3", "shape": [512, 2048]},
               "model.norm.weight": {"dtype": "F32", "shape": [256]}}

    def ask(index, config=CONFIG):
        return service.call("POST", "/v1/memory", json={"model": {"config": config, "safetensors_index": index},
                                                        "gpu": "h100-sxm"})
    rotary = 4096 * 64 * 2  # in no file
    padded = 512000 * 1024 / 1000
    header = ask(tensors).json
    assert header["memory"]["weights_gib"] == pytest.approx((padded + 512 * 2048 + 1024 + rotary) / 2**30, rel=1e-4)
    assert header["request"]["model"]["safetensors_index_bytes"] > 0
    total = ask({"metadata": {"total_size": 4000000}}).json
    assert total["memory"]["weights_gib"] == pytest.approx((4000000 + rotary) / 2**30, rel=0.01)
    for index, code in (({"metadata": {"total_size": 1e5}}, "contradiction"), ({"metadata": {}}, "malformed_config"),
                        ({"a": {"dtype": "F9", "shape": [1]}}, "malformed_config")):
        problem = ask(index).json["errors"][0]
        assert (problem["field"], problem["code"]) == ("model.safetensors_index", code)


def test_a_gguf_header_is_a_model(service):
    header = {"metadata": {"general.architecture": "llama", "llama.block_count": 2, "llama.embedding_length": 256,
                           "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
                           "llama.context_length": 4096},
              "tensors": {"token_embd.weight": {"type": "Q6_K", "shape": [256, 1000]},
                          "blk.0.ffn_up.weight": {"type": "Q4_K", "shape": [256, 512]}}}
    question = {"model": {"gguf_header": header}, "gpu": "l4", "serving": {"engine": "llama.cpp"}}
    answer = service.call("POST", "/v1/memory", json=question).json
    assert answer["model"]["parameters"] == 256 * 1000 + 256 * 512 and answer["fits"]
    # The one matrix is the head on the GPU: its rows are padded.
    weights = 256 * 1024 * 210 / 256 + 256 * 512 * 144 / 256 + 4096 * 64 * 2
    assert answer["memory"]["weights_gib"] == pytest.approx(weights / 2**30, rel=1e-4)
    del header["metadata"]["llama.block_count"]
    problem = service.call("POST", "/v1/memory", json=question).json["errors"][0]
    assert problem["field"] == "model.gguf_header.metadata.llama.block_count"


def test_a_stated_size_is_of_the_published_format(service):
    question = {"weights_gb": 16, "rps": 1, "gpus": "h100-sxm", "as_of": AS_OF}
    published, packed = (service.call("GET", "/v1/recommend", query=question | {"weight_dtype": dtype}).json
                         ["recommended"]["memory"]["weights_gib"] for dtype in ("native", "fp8"))
    assert packed < 0.6 * published


def memory_of(service, **fields):
    return service.call("GET", "/v1/memory", query={"model": "llama-3.1-8b-instruct", "gpu": "h100-sxm"} | fields).json


def test_what_takes_memory_beside_the_model(service):
    plain = memory_of(service)["memory"]
    slots = memory_of(service, max_loras=4)
    assert slots["serving"]["max_lora_rank"] == 16 and slots["serving"]["lora_targets"] == "all_linear"
    assert plain["kv_pool_gib"] - slots["memory"]["kv_pool_gib"] == pytest.approx(slots["memory"]["lora_gib"], rel=1e-3)
    fewer = memory_of(service, max_loras=4, lora_targets="attention")["memory"]
    assert 0 < fewer["lora_gib"] < slots["memory"]["lora_gib"]
    draft = memory_of(service, draft_model="Llama-3.2-1B-Instruct", draft_tokens=3)
    assert draft["memory"]["draft_gib"] > 2.3 and draft["draft_kv_bytes_per_token"] == 32768
    assert draft["request"]["serving"]["draft_model"] == "meta-llama/Llama-3.2-1B-Instruct"
    host = memory_of(service, cpu_offload_gib=5)
    assert host["memory"]["offloaded_gib"] == 5 and "PCIe" in host["warnings"][0]
    assert host["memory"]["kv_pool_gib"] == pytest.approx(plain["kv_pool_gib"] + 5, rel=1e-4)
    question = {"model": "llama-3.3-70b", "gpu": "h100-sxm", "tp": 1, "concurrency": 1, "cpu_offload_gib": 80}
    slow = service.call("GET", "/v1/throughput", query=question).json
    assert slow["ttft_ms"]["value"] > 0.9 * slow["tpot_ms"]["value"] > 900, "the prompt's step reads them, too"
    answer = memory_of(service, gpu_used_gib=20)
    used = answer["memory"]
    share = float(answer["warnings"][0].rstrip(".").split()[-1])
    shared = memory_of(service, gpu_memory_utilization_ratio=share)["memory"]
    assert shared["kv_pool_gib"] == pytest.approx(used["kv_pool_gib"], abs=0.1)
    assert used["available_gib"] == pytest.approx(plain["available_gib"] - 20, rel=1e-4)
    some = memory_of(service, engine="llama.cpp", weight_dtype="q4_k_m", gpu_layers=16, gpu="rtx-4090")
    assert some["serving"]["gpu_layers"] == 16 and some["memory"]["weights_gib"] < 2.2


def test_rows_of_other_gpus_of_the_architecture_are_named(service):
    query = {"model": "gpt-oss-120b", "engine": "vllm", "engine_version": "0.20", "tp": 2, "concurrency": 8}
    h100, h200, kin, none = (service.call("GET", "/v1/throughput", query=query | {"gpu": gpu}).json["provenance"]
                             for gpu in ("h100-sxm", "h200-sxm", "gh200-96gb", "l40s"))
    for one in (h100, h200):
        assert one["fit"]["weight_dtype"] == "mxfp4" and one["kin"] is None
    assert kin["fit"] is None and kin["kin"]["architecture"] == "Hopper"
    assert kin["kin"]["rows"] == h100["fit"]["rows"] + h200["fit"]["rows"]
    mean = (h100["fit"]["time_ratio"] * h200["fit"]["time_ratio"]) ** 0.5
    assert kin["kin"]["time_ratio"] == pytest.approx(mean ** 0.7, rel=1e-5)
    assert none["fit"] is None and none["kin"] is None


def test_a_slice_is_a_gpu(service):
    answer = memory_of(service, mig_profile="3G.40GB")
    assert answer["mig_profile"] == answer["request"]["mig_profile"] == "3g.40gb" and answer["gpu"] == "h100-sxm"
    assert answer["physical_gib"] == 39.5 and answer["layout"]["gpu_count"] == 1
    derived = memory_of(service, gpu="b200-sxm", mig_profile="1g.45gb")
    assert any("derived" in text for text in derived["assumptions"])
    query = {"model": "llama-3.1-8b-instruct", "gpu": "h100-sxm"}
    whole, part = (service.call("GET", "/v1/throughput", query=query | more).json
                   for more in ({}, {"mig_profile": "3g.40gb"}))
    assert part["output_tokens_per_second"]["value"] < whole["output_tokens_per_second"]["value"] / 2
    assert part["output_tokens_per_second"]["basis"] == "extrapolated"


@pytest.mark.parametrize("fields, field, code", [
    ({"mig_profile": "9g.1gb"}, "mig_profile", "unsupported_combination"),
    ({"mig_profile": "3g.40gb", "gpu": "l4"}, "mig_profile", "unsupported_combination"),
    ({"mig_profile": "3g.40gb", "tp": 2}, "layout.tensor_parallel", "unsupported_combination"),
    ({"mig_profile": "3g.40gb", "pp": 2}, "layout.pipeline_parallel", "unsupported_combination"),
    ({"max_lora_rank": 8}, "serving.max_loras", "missing_field"),
    ({"draft_model": "ngram"}, "serving.draft_tokens", "missing_field"),
    ({"draft_tokens": 2}, "serving.draft_model", "missing_field"),
    ({"draft_model": "mtp", "draft_tokens": 1}, "serving.draft_model", "unsupported_combination"),
    ({"draft_model": "no-such", "draft_tokens": 1}, "serving.draft_model", "unknown_model"),
    ({"draft_model": LLAMA, "draft_tokens": 1}, "serving.draft_model", "contradiction"),
    ({"draft_model": "eagle", "draft_tokens": 1, "engine": "llama.cpp"}, "serving.draft_model",
     "unsupported_combination"),
    ({"draft_model": "eagle", "draft_tokens": 1, "pp": 2}, "layout.pipeline_parallel", "unsupported_combination"),
    ({"cpu_offload_gib": 1, "engine": "tensorrt-llm"}, "serving.cpu_offload_gib", "unsupported_combination"),
    ({"gpu_layers": 3}, "serving.gpu_layers", "unsupported_combination"),
    ({"kv_offload_gib": 1, "model": "state-spaces/mamba-2.8b-hf"}, "serving.kv_offload_gib", "unsupported_combination"),
    ({"kv_offload_gib": -1}, "serving.kv_offload_gib", "out_of_range"),
    ({"gpu_layers": 99, "engine": "llama.cpp"}, "serving.gpu_layers", "invalid_value"),
    ({"gpu_used_gib": 80}, "serving.gpu_used_gib", "invalid_value"),
    ({"weight_dtype": "awq"}, "serving.weight_dtype", "invalid_value"),
    ({"lora_targets": "some"}, "serving.lora_targets", "invalid_value")])
def test_extras_that_cannot_be(service, fields, field, code):
    problem = memory_of(service, **fields)["errors"][0]
    assert (problem["field"], problem["code"]) == (field, code)


def test_methods_of_quantisation_are_named_with_their_format(service):
    assert "AWQ and GPTQ are int4" in memory_of(service, weight_dtype="GPTQ")["errors"][0]["detail"]


def test_speed_of_layers_on_a_cpu_is_not_known(service):
    query = {"model": "llama-3.1-8b-instruct", "gpu": "rtx-4090", "engine": "llama.cpp", "weight_dtype": "q4_k_m",
             "gpu_layers": 16}
    problem = service.call("GET", "/v1/throughput", query=query).json["errors"][0]
    assert problem["field"] == "serving.gpu_layers"


def test_launch_command_starts_what_was_sized(service):
    serving = {"max_loras": 2, "max_lora_rank": 32, "lora_targets": "attention", "cpu_offload_gib": 2,
               "draft_model": "llama-3.2-1b-instruct", "draft_tokens": 3}
    question = {"model": "llama-3.1-8b-instruct", "serving": serving, "constraints": {"gpus": ["h100-sxm"]},
                "workload": {"requests_per_second": 1, "draft_acceptance_ratio": 0.7}, "as_of": AS_OF}
    best = service.call("POST", "/v1/recommend", json=question).json["recommended"]
    assert best["memory"]["lora_gib"] > 0 and best["memory"]["draft_gib"] > 0 and best["memory"]["offloaded_gib"] > 0
    words = shlex.split(best["launch_command"])
    for flag, value in (("--max-loras", "2"), ("--max-lora-rank", "32"), ("--cpu-offload-gb", "2")):
        assert words[words.index(flag) + 1] == value
    assert json.loads(words[words.index("--speculative-config") + 1]) == {
        "method": "draft_model", "model": "meta-llama/Llama-3.2-1B-Instruct", "num_speculative_tokens": 3}
    for engine, flags in (("vllm", "--kv-offloading-size 64"), ("sglang", "--enable-hierarchical-cache --hicache-size 68"),
                          ("llama.cpp", "--cache-ram 65536"), ("tensorrt-llm", "host_cache_size: 68719476736")):
        asked = question | {"serving": {"engine": engine, "kv_offload_gib": 64}}
        asked["workload"] = {"requests_per_second": 1}
        assert flags in service.call("POST", "/v1/recommend", json=asked).json["recommended"]["launch_command"]
    for engine, kind, flags in (("sglang", "ngram", "--speculative-algorithm NGRAM --speculative-num-draft-tokens 3"),
                                ("tensorrt-llm", "eagle", "decoding_type: Eagle, max_draft_len: 3"),
                                ("llama.cpp", "llama-3.2-1b-instruct", "-hfd 'meta-llama/Llama-3.2-1B-Instruct'")):
        question["serving"] = {"engine": engine, "draft_model": kind, "draft_tokens": 3, "max_loras": 1}
        command = service.call("POST", "/v1/recommend", json=question).json["recommended"]["launch_command"]
        assert flags in command and "lora" in command, command


# The article's own figures: fp16 and fp32 of its three models.
@pytest.mark.parametrize("model, dtype, gib", [
    ("7B", "fp16", 13.04), ("7B", "fp32", 26.08), ("13B", "fp16", 24.21), ("13B", "fp32", 48.43),
    ("70B", "fp16", 130.39), ("70B", "fp32", 260.77)])
def test_article_memory(service, model, dtype, gib):
    answer = service.call("GET", "/v1/memory", query={"model": model, "weight_dtype": dtype, "estimator": "article"})
    assert answer.json["weights_gib"] == gib and "only the model and weight_dtype" in answer.json["assumptions"][0]
    cell = service.call("GET", "/v1/memory.txt", query={
        "parameters": model, "weight_dtype": dtype, "estimator": "article", "field": "weights_gib"})
    assert cell.text == str(gib)


# The article's own analysis: count, total, per GB, per GB/s, per token/s.
ARTICLE_COSTS = {
    "A100_80GB": (50, 785040.00, 187.50, 7.3565, 7850.40), "A100_40GB": (65, 695552.00, 250.00, 6.4309, 6955.52),
    "H100_80GB": (30, 771024.00, 312.50, 7.4627, 7710.24), "RTX_4090": (100, 230080.00, 66.67, 1.5873, 2300.80),
    "RTX_A6000": (131, 681304.80, 93.75, 5.8594, 6813.05)}
ARTICLE = {"weights_gb": 140, "throughput_tokens_per_second": 100, "duration_hours": 8760, "estimator": "article"}
ARTICLE_IDS = {"A100_80GB": "a100-80gb-sxm", "A100_40GB": "a100-40gb-sxm", "H100_80GB": "h100-sxm",
               "RTX_4090": "rtx-4090", "RTX_A6000": "rtx-a6000"}


def test_article_costs(service):
    options = service.call("GET", "/v1/cost", query=ARTICLE).json["options"]
    found = {option["gpu"]: option for option in options}
    assert set(found) == set(ARTICLE_IDS.values()) and len(options) == 5
    for name, (count, total, per_gb, per_bandwidth, per_throughput) in ARTICLE_COSTS.items():
        option = found[ARTICLE_IDS[name]]
        cost = option["cost"]
        assert option["gpu_count"] == count
        assert round(cost["total_cost_usd"], 2) == total
        assert round(cost["cost_per_gb_vram_usd"], 2) == per_gb
        assert round(cost["cost_per_gb_per_s_bandwidth_usd"], 2) == round(per_bandwidth, 2)
        assert round(cost["cost_per_throughput_usd"]["value"], 2) == per_throughput
        assert option["performance"]["output_tokens_per_second"]["value"] == 100


def test_article_budget(service):
    answer = service.call("POST", "/recommend", json={
        "model": {"weights_gb": 140}, "estimator": "article", "workload": {"throughput_tokens_per_second": 100},
        "constraints": {"budget_usd": 100000, "duration_hours": 8760}}).json
    assert answer["recommended"] is None
    changes = {one["constraint"]: one["to"] for one in answer["relaxations"]}
    assert changes == {"budget_usd": 230080, "throughput_tokens_per_second": 43.344}


def test_recommended_keeps_every_constraint(service):
    path, body, _ = QUESTIONS["recommend"]
    answer = service.call("POST", path, json=body).json
    best = answer["recommended"]
    assert best["rank"] == 1 and best["excluded_by"] is None
    for option in [best] + answer["alternatives"]:
        assert option["cost"]["total_cost_usd"] <= body["constraints"]["budget_usd"]
        assert option["purchase"] in body["constraints"]["purchase"]
        assert option["performance"]["meets_slo_probability_ratio"] >= 0.9
        if option["purchase"] != "owned":  # a host may be bought half full
            assert option["gpu_count"] == option["instance_count"] * option["gpus_per_instance"]
        assert option["gpu_count"] == option["gpus_used"] + option["gpus_idle"] <= 64
        assert option["memory"]["headroom_gib"] >= 0
        assert option["price"]["as_of"] <= AS_OF and option["price"]["source"]
    shown = {option["gpu"] for option in [best] + answer["alternatives"]}
    rejected = {row["gpu"] for row in answer["rejected"]}
    assert not shown & {row["gpu"] for row in answer["rejected"] if row["reason"] != "outranked"}
    gpus = service.call("GET", "/v1/gpus", query={"limit": 1000}).json["gpus"]
    assert shown | rejected == {gpu["id"] for gpu in gpus}


def test_nothing_fits_is_an_answer(service):
    question = {"model": LLAMA, "rps": 5, "budget": 1}
    answer = service.call("GET", "/v1/recommend", query=question).json
    assert answer["recommended"] is None and answer["rejected"] and answer["relaxations"]
    sizes = [one["relative_change"] for one in answer["relaxations"]]
    assert sizes == sorted(sizes)
    budget = next(one for one in answer["relaxations"] if one["constraint"] == "budget_usd")
    enough = service.call("GET", "/v1/recommend", query=question | {"budget": budget["to"]}).json
    assert enough["recommended"]["cost"]["total_cost_usd"] <= budget["to"]


def test_memory_adds_up(service):
    path, body, _ = QUESTIONS["memory"]
    answer = service.call("POST", path, json=body).json
    memory = answer["memory"]
    parts = sum(memory[name] for name in ("weights_gib", "activations_gib", "overhead_gib", "kv_pool_gib"))
    assert parts == pytest.approx(memory["available_gib"], rel=1e-4)
    assert memory["headroom_gib"] == pytest.approx(memory["kv_pool_gib"] - memory["kv_cache_gib"], rel=1e-3)
    assert answer["fits"] and answer["min_gpu_count"] <= answer["layout"]["gpu_count"]
    rows = {row["weight_dtype"]: row for row in answer["by_dtype"]}
    assert rows["bf16"]["savings_ratio"] == 0 and rows["bf16"]["compression_ratio"] == 1
    assert rows["fp8"]["savings_ratio"] == pytest.approx(1 - 1 / rows["fp8"]["compression_ratio"], rel=1e-4)
    assert rows["fp8"]["max_concurrency"] == answer["max_concurrency"]
    counts = [rows[dtype]["min_gpu_count"] for dtype in ("fp32", "bf16", "fp8", "int4")]
    assert counts == sorted(counts, reverse=True)


def test_formats_side_by_side(service):
    query = {"model": "llama-3.1-8b-instruct", "gpu": "b200-sxm", "concurrency": 16, "in": 512, "out": 256, "tp": 1}
    answer = service.call("GET", "/v1/memory", query=query).json
    rows = {row["weight_dtype"]: row for row in answer["by_dtype"]}
    assert len(rows) == 24 and [name for name, row in rows.items() if row["published"]] == ["bf16"]
    for name, row in rows.items():
        parts = row["quantised_gib"] + row["scales_gib"] + row["unquantised_gib"]
        assert parts == pytest.approx(row["weights_total_gib"], rel=1e-4), name
        speed = row["output_tokens_per_second"]
        asked = service.call("GET", "/v1/throughput", query=query | {"weight_dtype": name, "kv_dtype": "bf16"}).json
        if row["supported"]:  # the comparison is what each question alone would be answered
            assert speed == asked["output_tokens_per_second"] and row["tpot_ms"] == asked["tpot_ms"], name
            assert row["speed_unknown_because"] is None
        else:
            assert asked["errors"][0]["code"] == "unsupported_combination"
            assert speed["value"] is None and name in row["speed_unknown_because"]
        alone = service.call("GET", "/v1/memory", query=query | {"weight_dtype": name, "kv_dtype": "bf16"}).json
        if row["supported"]:
            assert row["max_context_tokens"] == alone["max_context_tokens"], name
    sizes = [rows[name]["weights_total_gib"] for name in ("fp32", "bf16", "fp8", "nvfp4", "mxfp4", "int4", "q3_k_m")]
    assert sizes == sorted(sizes, reverse=True)
    assert rows["q4_k_m"]["weights_total_gib"] == pytest.approx(4.58, rel=0.003)  # llama.cpp tools/quantize/README.md
    assert rows["fp32"]["savings_ratio"] == -1 and rows["fp32"]["compression_ratio"] == 0.5


def test_quality_is_published_or_not_told(service):
    rows = {row["weight_dtype"]: row for row in memory_of(service)["by_dtype"]}
    assert rows["bf16"]["quality"] == rows["fp32"]["quality"] == []
    assert rows["bf16"]["quality_note"] == "as published" and rows["fp32"]["quality_note"] is None
    made_for = {row["weight_dtype"]: row for row in memory_of(service, model="gpt-oss-20b")["by_dtype"]}["mxfp4"]
    assert made_for["published"] and made_for["quality"] == [] and made_for["quality_note"] == "as published"
    own = rows["int4"]["quality"][0]
    assert own["of_this_model"] and own["metric"] == "recovery_percent" and own["value"] == 98.9
    assert rows["int4"]["quality_note"] == "recovery_percent 98.9, 16 bit 100 (meta-llama/Llama-3.1-8B-Instruct)"
    other = rows["q4_k_m"]
    assert not any(one["of_this_model"] for one in other["quality"]) and "another model" in other["quality_note"]
    flags = [one["of_this_model"] for one in rows["int4"]["quality"]]
    assert flags == sorted(flags, reverse=True)


def test_formats_as_a_table(service):
    path, flat = FLAT["memory"]
    answer = service.call("GET", path, query=flat).json
    table = service.call("GET", path + ".csv", query=flat | {
        "rows": "by_dtype", "columns": "weight_dtype,scales_gib,tpot_ms_value,speed_unknown_because"}).text
    header, *lines = csv.reader(io.StringIO(table))
    assert header[0] == "weight_dtype" and len(lines) == len(answer["by_dtype"])
    for line, row in zip(lines, answer["by_dtype"]):
        assert line[0] == row["weight_dtype"] and float(line[1]) == row["scales_gib"]
        assert bool(line[2]) != bool(line[3])
    for more, field in (({"rows": "by_dtyp"}, "rows"), ({"rows": "memory"}, "rows")):
        problem = service.call("GET", path + ".csv", query=flat | more).json["errors"][0]
        assert problem["field"] == field and "by_dtype" in problem["detail"]
    assert service.call("GET", path, query=flat | {"rows": "by_dtype"}).json["errors"][0]["code"] == "contradiction"
    path, flat = FLAT["cost"]
    assert service.call("GET", path + ".csv", query=flat | {"rows": "options"}).json["errors"][0]["code"] == "unknown_field"


def test_host_memory_has_its_own_speed(service):
    question = {"model": "llama-3.3-70b", "weight_dtype": "fp8", "tp": 1, "concurrency": 1, "cpu_offload_gib": 20}
    pcie, coherent = (service.call("GET", "/v1/throughput", query=question | {"gpu": gpu}).json
                      for gpu in ("h100-sxm", "gh200-96gb"))
    assert pcie["host_memory"]["link"] == "PCIe" and coherent["host_memory"]["link"] == "NVLink-C2C"
    for answer in (pcie, coherent):
        host = answer["host_memory"]
        assert host["weights_ms_per_step"] == pytest.approx(20 * 2**30 / host["gb_per_s"] / 1e6, rel=1e-4)
        assert answer["tpot_ms"]["value"] > host["weights_ms_per_step"]
    assert pcie["tpot_ms"]["value"] > 4 * coherent["tpot_ms"]["value"]
    assert "NVLink-C2C" in coherent["warnings"][1]
    too_much = service.call("GET", "/v1/memory", query=question | {"gpu": "gh200-96gb", "cpu_offload_gib": 500})
    assert "447" in too_much.json["errors"][0]["detail"]
    gpu = service.call("GET", "/v1/gpus", query={"id": "gh200-96gb"}).json["gpus"][0]
    assert (gpu["host_link"], gpu["host_memory_gb"], gpu["host_gb_per_s"]) == ("NVLink-C2C", 480, 351)


def test_caches_in_host_memory_are_read_back(service):
    question = {"model": "llama-3.3-70b", "gpu": "h100-sxm", "weight_dtype": "fp8", "tp": 2, "concurrency": 4,
                "in": 8000, "out": 200}
    none, kept = (service.call("GET", "/v1/throughput", query=question | more | {"prefix_cache_hit_ratio": 0.75}).json
                  for more in ({}, {"kv_offload_gib": 200}))
    host = kept["host_memory"]
    assert host["kv_tokens"] == 200 * 2**30 // 327680 and host["kv_load_ms"] < host["kv_recompute_ms"] / 10
    assert none["host_memory"]["kv_tokens"] == 0 and none["host_memory"]["kv_load_ms"] is None
    extra = kept["ttft_ms"]["value"] - none["ttft_ms"]["value"]
    assert extra == pytest.approx(0.75 * host["kv_load_ms"], rel=0.01)
    assert kept["tpot_ms"] == none["tpot_ms"] and kept["in_flight"] == none["in_flight"]
    sizes = [service.call("GET", "/v1/memory", query=question | {"kv_offload_gib": gib}).json for gib in (0, 200)]
    assert sizes[0]["max_context_tokens"] == sizes[1]["max_context_tokens"]
    assert sizes[0]["max_concurrency"] == sizes[1]["max_concurrency"]
    assert any("need theirs on the GPU" in text for text in sizes[1]["warnings"])


def test_unified_parts_have_no_memory_beside(service):
    for gpu in ("dgx-spark-gb10", "mi300a"):
        answer = memory_of(service, gpu=gpu)
        assert answer["host_memory"]["unified"] and answer["host_memory"]["gb_per_s"] is None
        assert any("gpu_used_gib" in text for text in answer["assumptions"])
        for field in ("cpu_offload_gib", "kv_offload_gib"):
            problem = memory_of(service, gpu=gpu, **{field: 8})["errors"][0]
            assert (problem["field"], problem["code"]) == (f"serving.{field}", "unsupported_combination")
    query = {"model": "llama-3.1-8b", "rps": 1, "as_of": AS_OF, "kv_offload_gib": 8, "gpus": "mi300a"}
    assert service.call("GET", "/v1/recommend", query=query).json["recommended"] is None


def test_sparse_attention_of_a_config(service):
    config = {"model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"], "hidden_size": 7168,
              "intermediate_size": 18432, "num_hidden_layers": 61, "num_attention_heads": 128, "vocab_size": 129280,
              "num_key_value_heads": 128, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
              "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
              "n_shared_experts": 1, "moe_intermediate_size": 2048, "first_k_dense_replace": 3,
              "max_position_embeddings": 163840, "index_n_heads": 64, "index_head_dim": 128, "torch_dtype": "bfloat16",
              "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}

    def ask(topk, tokens):
        answer = service.call("POST", "/v1/throughput", json={
            "model": {"config": config | topk}, "gpu": "h200-sxm", "layout": {"tensor_parallel": 8},
            "workload": {"input_tokens": tokens, "output_tokens": 64, "concurrency": 4}})
        return answer.json["breakdown_ms"]["attention"], answer.json["ttft_ms"]["value"]
    sparse, dense = ([ask(topk, tokens) for tokens in (1000, 32000)] for topk in ({"index_topk": 2048}, {}))
    assert sparse[0] == dense[0], "short prompts are read whole"
    assert sparse[1][0] < dense[1][0] / 4 and sparse[1][1] < dense[1][1]


def test_every_model_is_sized(service):
    models = service.call("GET", "/v1/models", query={"limit": 1000}).json["models"]
    assert len(models) > 100
    for model in models:
        query = {"model": model["id"], "gpu": "b200-sxm", "in": 300, "out": 50}
        memory, speed = (service.call("GET", path, query=query) for path in ("/v1/memory", "/v1/throughput"))
        if model["encoder_only"]:
            assert memory.json["errors"][0]["code"] == speed.json["errors"][0]["code"] == "unsupported_model_kind"
            continue
        assert memory.status == speed.status == 200, f"{model['id']}: {memory.text[:300]} {speed.text[:300]}"
        assert memory.json["fits"] and memory.json["memory"]["weights_gib"] > 0
        assert memory.json["layout"] == speed.json["layout"]
        output = speed.json["output_tokens_per_second"]
        assert 0 < output["low"] < output["value"] < output["high"]
        assert sum(speed.json["breakdown_ms"].values()) > 0


def test_smallest_layout_is_the_smallest(service):
    question = {"model": LLAMA, "gpu": "h100-sxm"}
    found = service.call("GET", "/v1/memory", query=question).json
    assert found["fits"] and found["layout"]["gpu_count"] == found["min_gpu_count"] == 2
    one = service.call("GET", "/v1/memory", query=question | {"gpu_count": 1}).json
    assert not one["fits"] and one["memory"]["kv_pool_gib"] < 0 and one["min_gpu_count"] == 2


def test_throughput_of_a_fleet_is_that_of_its_replicas(service):
    question = {"model": LLAMA, "gpu": "h100-sxm", "tp": 4, "load": "saturated"}
    one = service.call("GET", "/v1/throughput", query=question | {"gpu_count": 4}).json
    two = service.call("GET", "/v1/throughput", query=question | {"gpu_count": 8}).json
    assert two["layout"]["replicas"] == 2
    for name in ("output_tokens_per_second", "total_tokens_per_second", "requests_per_second"):
        assert two[name]["value"] == pytest.approx(2 * one[name]["value"], rel=1e-5)
        assert one[name]["low"] < one[name]["value"] < one[name]["high"]
    assert two["tpot_ms"] == one["tpot_ms"]


def test_load_follows_from_its_figure(service):
    question = {"model": LLAMA, "gpu": "h100-sxm"}
    for figure, load in (("concurrency", "concurrency"), ("batch_size", "static_batch"), ("rps", "rate")):
        answer = service.call("GET", "/v1/throughput", query=question | {figure: 2}).json
        assert answer["request"]["workload"]["load"] == load
    assert service.call("GET", "/v1/throughput", query=question).json["request"]["workload"]["load"] == "saturated"


@pytest.mark.parametrize("name", ["gpus", "models", "offers"])
def test_pages_make_the_whole(service, name):
    path, _, rows = LISTS[name]
    base = {"as_of": AS_OF} if name == "offers" else {}
    whole = service.call("GET", path, query=base | {"limit": 1000}).json
    assert len(whole[rows]) == whole["total_count"] and whole["next_cursor"] is None
    collected, cursor = [], None
    for _ in range(100):
        query = base | {"limit": 37} | ({"cursor": cursor} if cursor else {})
        page = service.call("GET", path, query=query).json
        assert len(page[rows]) <= 37 and page["total_count"] == whole["total_count"]
        collected += page[rows]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert collected == whole[rows]


def test_cursor_of_other_filters_is_refused(service):
    cursor = service.call("GET", "/v1/gpus", query={"limit": 5}).json["next_cursor"]
    for path, query in (("/v1/gpus", {"vendor": "amd"}), ("/v1/models", {})):
        refused = service.call("GET", path, query=query | {"limit": 5, "cursor": cursor})
        assert refused.status == 422 and refused.json["errors"][0]["field"] == "cursor"


def test_filters_filter(service):
    amd = service.call("GET", "/v1/gpus", query={"vendor": "amd"}).json["gpus"]
    assert amd and all(gpu["vendor"] == "amd" for gpu in amd)
    family = service.call("GET", "/v1/gpus", query={"id": "h100"}).json["gpus"]
    assert len(family) > 1 and all(gpu["family"] == "h100" for gpu in family)
    model = service.call("GET", "/v1/models", query={"id": LLAMA.upper()}).json["models"]
    assert [one["id"] for one in model] == [LLAMA]
    path = "/v1/offers?" + urllib.parse.urlencode({"gpus": "h100", "regions": "eu", "max_price_age_days": 120,
                                                   "as_of": AS_OF})
    offers = service.call("GET", path).json["offers"]
    assert offers
    for offer in offers:
        assert offer["gpu"].startswith("h100") and offer["continent"] == "eu" and 0 <= offer["age_days"] <= 120
        assert offer["usd_per_gpu_hour"] == pytest.approx(offer["usd_per_hour"] / offer["gpu_count"], abs=1e-6)


def test_offers_of_an_earlier_day(service):
    now, before = (service.call("GET", "/v1/offers", query={"as_of": day, "limit": 1000}).json
                   for day in (AS_OF, "2026-06-01"))
    assert 0 < before["total_count"] < now["total_count"]
    assert all(offer["as_of"] <= "2026-06-01" for offer in before["offers"])


def test_probes(service):
    assert service.call("GET", "/livez").json["status"] == "live"
    ready = service.call("GET", "/readyz").json
    assert ready["status"] == "ready" and ready["gpu_count"] > 90 and ready["offer_count"] > 100
    assert ready["catalog_version"] == service.call("GET", "/v1/gpus").json["catalog_version"]
    metrics = service.call("GET", "/metrics").text
    assert "gpusize_build_info" in metrics and ready["catalog_version"] in metrics


def test_unknown_paths_and_methods(service):
    missing = service.call("GET", "/v1/recommendations")
    assert missing.status == 404 and missing.json["errors"][0]["code"] == "not_found"
    for method, path in (("POST", "/v1/engines"), ("DELETE", "/v1/memory"), ("POST", "/livez")):
        refused = service.call(method, path, body=b"{}", headers={"Content-Type": "application/json"}, check=False)
        assert refused.status == 405 and "GET" in refused.headers["Allow"]
    assert service.call("GET", "/v1/gpus.xlsx").status == 406
    allowed = service.call("OPTIONS", "/v1/recommend", headers={"Origin": "http://example.org"})
    assert allowed.status in (200, 204) and "POST" in allowed.headers["Access-Control-Allow-Methods"]
