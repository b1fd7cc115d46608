"""test_evaluate.py owns the tests of gpusize evaluate: the program on files of each layout."""
import csv
import json
import os
import subprocess

import pytest

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
COLUMNS = "uid,engine,engine_version,model,precision_weights,gpu,gpus_total,isl,osl,concurrency,load_mode,out_tok_s_total,tpot_ms"
SERVED = "1,vLLM,0.19,Llama-3.1-8B,fp8,H100-SXM-80GB,1,1024,256,32,closed-loop,2900,10.4"


def run(*arguments, status=0, stdout=subprocess.PIPE):
    result = subprocess.run([PROGRAM, "evaluate", *map(str, arguments)], stdout=stdout, stderr=subprocess.PIPE, text=True,
                            timeout=600, env={**os.environ, "DATABASE_URL": ""}, check=False)
    assert result.returncode == status, (result.returncode, (result.stdout or "")[-2000:], result.stderr[-2000:])
    return result


@pytest.fixture
def write(tmp_path):
    def call(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


def lines(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_become_tables(write):
    path = write(f"{COLUMNS}\n{SERVED}\n{SERVED.replace('1,vLLM', '2,warp', 1)}\n")
    text = run("--measured", path).stdout
    assert text.splitlines()[0] == f"{path}: 2 rows"
    assert "\nby load " in text and "\nby engine+load " in text and "\nby basis " in text
    assert 'engine: there is no engine "warp"' in text
    one = run("--measured", path, "--measured", path, "--by", "gpu").stdout
    assert one.count(": 2 rows") == 2 and one.count("\nby ") == 1
    row = next(line for line in one.splitlines() if line.startswith("h100-sxm"))
    assert row.split()[1:4] == ["output_tokens_per_second", "4", "2"]


def test_json_says_the_same(write):
    path = write(f"{COLUMNS}\n{SERVED}\n{SERVED.replace('1,vLLM', '2,warp', 1)}\n")
    answer = json.loads(run("--measured", path, "--by", "load,engine+load", "--json").stdout)
    assert answer["files"] == [{"file": str(path), "rows": 2}]
    assert (answer["figures"], answer["scored"]) == (4, 2)
    assert [one["by"] for one in answer["groupings"]] == ["load", "engine+load"]
    group = answer["groupings"][0]["groups"][1]
    assert (group["key"], group["metric"], group["rows"], group["scored"], group["refused"]) == (
        "concurrency", "tpot_ms", 2, 1, 1)
    assert group["median_error_ratio"] == group["p90_error_ratio"] == group["mean_error_ratio"]
    assert answer["refused"] == [{"reason": 'engine: there is no engine "warp"', "rows": 1, "figures": 2}]


def test_predictions_have_every_row(write, tmp_path):
    path = write(f"{COLUMNS}\n{SERVED}\n{SERVED.replace('Llama-3.1-8B', 'Lama-3.1-8B').replace('1,v', ',v', 1)}\n4,only\n"
                 "5,vLLM,,Llama-3.1-8B,,H100-SXM-80GB,1,1,1,1,closed-loop,,\n")
    out = tmp_path / "predictions.csv"
    run("--measured", path, "--predictions", out)
    assert out.read_text(encoding="utf-8").splitlines()[0] == "uid,metric,measured,predicted,low,high,basis,ape,reason"
    rows = lines(out)
    assert [(row["uid"], row["metric"]) for row in rows] == [
        ("1", "output_tokens_per_second"), ("1", "tpot_ms"), (f"{path}:3", "output_tokens_per_second"),
        (f"{path}:3", "tpot_ms"), (f"{path}:4", ""), ("5", "")]
    for row in rows[:2]:
        assert float(row["ape"]) == pytest.approx(abs(float(row["predicted"]) / float(row["measured"]) - 1), rel=1e-5)
        assert float(row["low"]) < float(row["predicted"]) < float(row["high"])
        assert row["basis"] == "extrapolated"  # no row of the fit is of this model with vLLM
    assert "did you mean meta-llama/Llama-3.1-8B-Instruct" in rows[2]["reason"]
    assert not rows[2]["predicted"] and not rows[2]["ape"]
    assert rows[4]["reason"].startswith("line: 2 fields") and rows[5]["reason"] == "no result is given"


def test_start_up_logs(write, tmp_path):
    path = write("log_file,status,model,gpu,tp,pp,dp,max_model_len,dtype,quantization,kv_cache_dtype,gpu_memory_utilization,"
                 "weight_memory_gib,activation_memory_gib,kv_cache_memory_gib,kv_cache_tokens,max_concurrency\n"
                 "a.log,ok,meta-llama/Llama-3.1-8B-Instruct,H100-80GB,1,1,1,8192,torch.bfloat16,None,auto,0.95,14.99,1.89,"
                 "58.11,476064,58.11\n"
                 "b.log,failed,meta-llama/Llama-3.1-70B-Instruct,H100-80GB,1,1,1,8192,torch.bfloat16,None,auto,0.95,,,,,\n")
    out = tmp_path / "predictions.csv"
    run("--measured", path, "--predictions", out)
    rows = {(row["uid"], row["metric"]): row for row in lines(out)}
    assert [metric for uid, metric in rows if uid == "a.log"] == [
        "weight_memory_gib", "activation_memory_gib", "kv_cache_memory_gib", "kv_cache_tokens", "max_concurrency", "fits"]
    assert all(float(row["ape"]) < 0.01 for row in rows.values())
    assert (rows["b.log", "fits"]["measured"], rows["b.log", "fits"]["predicted"]) == ("0", "0")


VLLM = {"date": "20261102-101500", "backend": "openai-chat", "model_id": "meta-llama/Llama-3.1-8B-Instruct",
        "num_prompts": 320, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 32, "completed": 320,
        "total_input_tokens": 327680, "total_output_tokens": 81920, "request_throughput": 11.2,
        "output_throughput": 2884.5, "total_token_throughput": 14422.5, "mean_ttft_ms": 181.2, "mean_tpot_ms": 10.4}
GUIDELLM = {"args": {"model": "meta-llama/Llama-3.1-8B-Instruct"}, "benchmarks": [
    {"config": {"id_": "one", "strategy": {"type_": "concurrent", "streams": 16}},
     "metrics": {"prompt_token_count": {"successful": {"mean": 512}}, "output_token_count": {"successful": {"mean": 128}},
                 "inter_token_latency_ms": {"successful": {"mean": 8.1}}}}]}
LLAMA = [{"build_number": 5163, "gpu_info": "NVIDIA H100 80GB HBM3", "model_filename": "Meta-Llama-3-8B.Q8_0.gguf",
          "model_type": "llama 8B Q8_0", "type_k": "f16", "n_gpu_layers": 99, "n_prompt": 0, "n_gen": 128,
          "test_time": "2026-10-02T11:58:50Z", "avg_ts": 120.0}]


@pytest.mark.parametrize("result, figures", [(VLLM, 4), (GUIDELLM, 1), (LLAMA, 1)])
def test_json_of_benchmark_tools(write, result, figures):
    path = write(json.dumps(result), "result.json")
    options = ["--measured", path, "--by", "load", "--json"]
    answer = json.loads(run(*options, "--gpu", "h100-sxm", "--engine", "vllm", "--weight-dtype", "fp8",
                            "--tensor-parallel", "1").stdout)
    assert (answer["files"][0]["rows"], answer["scored"]) == (1, figures)


def test_what_json_does_not_say_is_asked_for(write):
    result = run("--measured", write(json.dumps(VLLM), "result.json"), status=2)
    assert "gpu: is not stated" in result.stdout and "not one figure can be compared" in result.stderr


@pytest.mark.parametrize("text, said", [
    ("", "it is empty"),
    ("uid,model\n1,x\n", "the column 'load_mode' is missing"),
    (COLUMNS + '\n1,"x\n', "line 2"),
    (COLUMNS.encode() + b"\n1,\xff\n", "UTF-8"),
    (json.dumps(VLLM)[:-40], "it is no JSON"),
    ('{"nothing": 1}', "not one figure can be compared"),
])
def test_files_that_are_none(write, text, said):
    assert said in run("--measured", write(text), status=2).stderr


def test_files_are_limited():
    assert "65 files are more than 64" in run(*(65 * ["--measured", "a.csv"]), status=2).stderr


@pytest.mark.parametrize("options, said", [
    ([], "say which rows"),
    (["--measured"], "needs a value"),
    (["--measured", "/nonexistent"], "/nonexistent cannot be read"),
    (["--by", "lod"], '"lod" is none of load, engine'),
    (["--tensor-parallel", "two"], '"two" is no number'),
    (["--mesured", "x"], "mesured"),
])
def test_wrong_usage(write, options, said):
    given = [] if not options or options[0] == "--measured" else ["--measured", write(f"{COLUMNS}\n{SERVED}\n")]
    assert said in run(*given, *options, status=2).stderr


def test_what_cannot_be_written_is_told(write):
    path = write(f"{COLUMNS}\n{SERVED}\n")
    assert "cannot be written" in run("--measured", path, "--predictions", "/nonexistent/p.csv", status=3).stderr
    assert "cannot be written" in run("--measured", path, "--predictions", "/dev/full", status=3).stderr
    with open("/dev/full", "w", encoding="utf-8") as full:
        assert "cannot be written" in run("--measured", path, status=3, stdout=full).stderr


def test_help_teaches_by_example():
    text = run("--help").stdout
    assert "gpusize evaluate --measured" in text and "--predictions FILE" in text and "Exit status" in text


def test_the_shared_rows(shared):
    answer = json.loads(run("--measured", shared / "data" / "throughput_measured.csv", "--measured",
                            shared / "data" / "vllm_memory_h100.csv", "--by", "load", "--json").stdout)
    assert [one["rows"] for one in answer["files"]] == [7084, 60]
    assert answer["scored"] > 0.9 * answer["figures"]
