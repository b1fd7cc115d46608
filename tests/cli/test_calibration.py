"""test_calibration.py owns the tests of reports of a probe on the command line: laid beside the built-in catalog, used, and
refused by name."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from report import changed, device, report

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
QUESTION = ["throughput", "--model", "llama-3.1-8b", "--gpu", "h200-sxm", "--tensor-parallel", "1", "--concurrency", "16"]


def run(*arguments, status=0, env=None):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                            env={**os.environ, "DATABASE_URL": "", **(env or {})}, check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def slow(tmp_path):
    return write(tmp_path / "slow.json", report(device("h200-sxm", scale=0.9)))


def rate(*arguments, env=None):
    answer = json.loads(run(*QUESTION, "--json", *arguments, env=env).stdout)
    return answer["output_tokens_per_second"]["value"], answer["catalog_version"], answer["provenance"]


def test_answers_use_a_report(slow):
    plain, own = rate(), rate("--calibration", slow)
    assert own[0] < plain[0] and own[1] != plain[1] and "gpusize-probe 0.1.0" in json.dumps(own[2])
    assert rate(env={"GPUSIZE_CALIBRATION": str(slow)}) == own
    assert rate("--calibration", slow, "--calibration", "none")[0] == plain[0]
    lab = rate("--calibration", slow, "--calibration-pool", "lab")
    assert lab[0] == own[0] and '"pool": "lab"' in json.dumps(lab[2])
    assert rate(f"--calibration={slow}", "--calibration-pool=lab", "--calibration", "none")[0] == plain[0]


def test_several_reports_are_a_pool(slow, tmp_path):
    fast = write(tmp_path / "fast.json", report(started_at="2026-11-21T00:00:00Z"))
    listed = json.loads(run("calibrations", "--pool", "own", "--json", "--calibration", slow, "--calibration", fast,
                            "--calibration", slow).stdout)["calibrations"]
    assert sorted(one["memory_gb_per_s"] for one in listed) == [3870, 4300]
    both = f"{slow},{fast}"
    assert rate(env={"GPUSIZE_CALIBRATION": both}) == rate("--calibration", slow, "--calibration", fast)
    assert rate("--calibration", slow)[0] < rate("--calibration", both)[0] < rate("--calibration", fast)[0]
    newer = write(tmp_path / "newer.json", report(device("h200-sxm", driver="590.1"), started_at="2026-11-22T00:00:00Z"))
    text = run("calibrations", "--pool", "own", "--calibration", slow, "--calibration", newer).stdout
    assert text.count(" used ") == text.count(" retired ") == 1


def test_a_suspect_one_is_listed_and_not_used(tmp_path):
    bad = write(tmp_path / "bad.json", report(device("h200-sxm", scale=0.4)))
    text = run("calibrations", "--state", "suspect", "--calibration", bad).stdout
    assert "under half" in text and "h200-sxm" in text
    assert rate("--calibration", bad)[0] == rate()[0]


def test_the_service_and_evaluate_take_it(slow, start_service, tmp_path):
    own = run(*QUESTION, "--json", "--calibration", slow).stdout
    service = start_service("--access-log", "0", "--calibration", str(slow), env={**os.environ, "DATABASE_URL": ""})
    query = {"model": "llama-3.1-8b", "gpu": "h200-sxm", "tensor_parallel": 1, "concurrency": 16}
    assert service.call("GET", "/v1/throughput", query=query).text.rstrip("\n") == own.rstrip("\n")
    metrics = service.call("GET", "/metrics").text
    assert 'gpusize_calibrations{state="used"} 1' in metrics
    assert 'gpusize_calibration_drift_ratio{gpu="h200-sxm",pool="own",figure="memory"} 0.9\n' in metrics
    rows = write(tmp_path / "runs.csv", "uid,source,engine,engine_version,model,precision_weights,gpu,gpus_total,isl,osl,"
                 "concurrency,load_mode,out_tok_s_total\n1,us,vllm,0.19,Llama-3.1-8B,bf16,H200,1,1024,256,16,closed-loop,"
                 "2000\n")
    plain, laid = (run("evaluate", "--measured", rows, "--gpu", "h200-sxm", "--json", *more).stdout
                   for more in ((), ("--calibration", slow)))
    assert plain != laid


@pytest.mark.parametrize("content, said", [
    ("{", "r.json: the report"),
    (report(device_kind="cpu"), "r.json device_kind: this report is of a CPU: nothing that answers use"),
    (report(device("h200-sxm", scale=1.2)), "r.json devices[0].fit.dram_read_gb_per_s: 5160 GB/s is 1.07 times"),
    (report(schema="calibration/9"), 'r.json schema: is "calibration/9"'),
    (changed(report(), "devices.0.device.model", "H-thing"), "r.json devices[0].device.model: there is no GPU"),
])
def test_bad_reports_name_file_and_member(tmp_path, content, said):
    path = write(tmp_path / "r.json", content)
    for command in (QUESTION, ["serve"], ["evaluate", "--measured", path], ["calibrations"]):
        assert said in run(*command, "--calibration", path, status=2).stderr


@pytest.mark.parametrize("part, gpu", [("h200", "h200-sxm"), ("2xh100", "h100-sxm"), ("l40s", "l40s"), ("b200", "b200-sxm")])
def test_what_the_probe_writes_is_what_is_read(part, gpu, tmp_path):
    probe = Path(PROGRAM).parent / "tests" / "kernels" / "gpusize-probe-fake"
    if not probe.exists():
        pytest.skip("needs the stand-in of the probe")
    made = subprocess.run([probe, "--fake", part, "--quick", "--device", "cuda"], capture_output=True, text=True,
                          timeout=180, check=True)
    path = write(tmp_path / "fake.json", made.stdout)
    listed = json.loads(run("calibrations", "--pool", "own", "--json", "--calibration", path).stdout)["calibrations"]
    assert len(listed) == (2 if part.startswith("2x") else 1)
    for one in listed:
        assert (one["gpu"], one["state"]) == (gpu, "used"), one["reason"]
        assert one["memory_gb_per_s"] and one["fp16_tflops"] and one["kv_gb_per_s"] and one["launch_us"]


def test_arguments_that_are_wrong(slow, tmp_path):
    assert "nowhere.json cannot be read" in run(*QUESTION, "--calibration", tmp_path / "nowhere.json", status=2).stderr
    said = run(*QUESTION, "--calibration", slow, "--calibration-pool", "published", status=2).stderr
    assert "calibration_pool: " in said and "what others measured" in said
    many = [word for _ in range(17) for word in ("--calibration", slow)]
    assert "has more than 16 files" in run(*QUESTION, *many, status=2).stderr
    said = run(*QUESTION, "--calibration", slow, "--database-url", "postgresql:///nowhere", status=2).stderr
    assert "upload them to the service of the database" in said
    for command in ("throughput", "serve", "evaluate"):
        assert "--calibration FILE" in run(command, "--help").stdout
