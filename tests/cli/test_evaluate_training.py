"""test_evaluate_training.py owns the tests of gpusize evaluate --training: the program on files of each layout. Rows are
facts of mosaicml/llm-foundry 8c8dd48f (Apache-2.0) and pytorch/torchtune 0031bfb0 (BSD-3)."""
import csv
import json
import os
import subprocess

import pytest

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
FOUNDRY = ("source,section,model,seq_len,gpus_total,gpu,hfu_pct,micro_batch,grad_accum,tokens_per_s_per_gpu,precision,sharding,"
           "act_ckpt,num_params\n")
RUNS = ["llm-foundry,x,MPT-70b,2048,512,H100-SXM-80GB,55,8,1,1007,amp_bf16,FULL_SHARD,True,64862437376\n",
        "llm-foundry,x,MPT-30b,2048,512,H100-SXM-80GB,53.69,8,1,2115,amp_bf16,FULL_SHARD,True,29975214080\n"]
FINETUNE = ("source,framework,model,method,gpu,gpus_total,seq_len,micro_batch,act_ckpt,parallelism,peak_mem_gib_per_gpu,"
            "measured_or_estimate,notes\n")
LORA = "torchtune,torchtune,Llama-3.1-8B,LoRA,RTX A6000 48GB,1,2048,2,,,30.3,measured,packed 2048\n"


def run(*arguments, status=0):
    result = subprocess.run([PROGRAM, "evaluate", *map(str, arguments)], capture_output=True, text=True, timeout=300,
                            env={**os.environ, "DATABASE_URL": ""}, check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


@pytest.fixture
def files(tmp_path):
    foundry, finetune = tmp_path / "foundry.csv", tmp_path / "finetune.csv"
    foundry.write_text(FOUNDRY + "".join(RUNS) + RUNS[0].replace("MPT-70b", "MPT-9b"), encoding="utf-8")
    finetune.write_text(FINETUNE + LORA + LORA.replace("measured", "ESTIMATE"), encoding="utf-8")
    return ["--training", foundry, f"--training={finetune}"]


def test_tables(files):
    text = run(*files).stdout
    assert text.startswith("5 training runs of 2 files\n")
    bundled = next(line for line in text.splitlines() if line.startswith("fsdp       bundled"))
    assert bundled.split()[2] == "2"
    assert "1 rows; 1 inside, 1 with the estimate's own interval" in text
    assert "     1 no shape is known of its model\n     1 the row is an estimate\n" in text


def test_json_and_files(files, tmp_path):
    predictions, fitted = tmp_path / "predictions.csv", tmp_path / "fitted.csv"
    answer = json.loads(run(*files, "--json", "--predictions", predictions, "--coefficients", fitted).stdout)
    assert answer["runs"] == 5
    throughput = {(row["profile"], row["coefficients"]): row for row in answer["throughput"]}
    assert throughput["fsdp", "bundled"]["rows"] == throughput["all", "bundled"]["rows"] == 2
    assert throughput["fsdp", "bundled"]["p90_error_ratio"] < 0.2
    assert {(group["by"], group["group"]) for group in answer["groups"]} == {
        ("gpu", "h100"), ("model", "MPT-70b"), ("model", "MPT-30b")}
    memory = answer["rows_of_memory"][0]
    assert memory["model"] == "Llama-3.1-8B" and memory["measured_gib"] == 30.3
    assert memory["interval_low_gib"] < memory["low_gib"] < memory["high_gib"] < memory["interval_high_gib"]
    with open(predictions, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["line"], row["recompute"]) for row in rows] == [("MPT-70b", "2", "full"), ("MPT-30b", "3", "full")]
    assert all(abs(float(row["bundled"]) / float(row["measured"]) - 1) < 0.2 for row in rows)
    with open(fitted, newline="", encoding="utf-8") as file:
        assert {"fsdp", "megatron"} == {row["profile"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("arguments, word", [
    (["--training"], "name a file"),
    (["--training", "missing.csv"], "missing.csv"),
    (["--training", "FILE", "--measured", "x.csv"], "--measured"),
    (["--training", "OTHER"], "none of the columns hfu_pct, framework_version, peak_mem_gib_per_gpu"),
    (["--training", "FILE", "--predictions", "/nowhere/at/all.csv"], "/nowhere/at/all.csv cannot be written"),
])
def test_refused(files, tmp_path, arguments, word):
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    places = {"FILE": files[1], "OTHER": other}
    result = run(*[places.get(argument, argument) for argument in arguments], status=3 if "cannot" in word else 2)
    assert word in result.stderr
