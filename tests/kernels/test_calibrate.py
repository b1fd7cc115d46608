"""test_calibrate.py owns the tests of `gpusize calibrate`: how it finds and starts gpusize-probe, its table, its files."""
import json
import os
import pty
import stat
import subprocess

import pytest

from calibration import FAKE, PROBE, check, run

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
LIGHT = ["--device", "cuda", "--only", "stream,gemm,launch,capacity"]


def calibrate(*arguments, status=0, fault="", probe=FAKE, env=None):
    return run(PROGRAM, "calibrate", *arguments, status=status,
               env={"GPUSIZE_PROBE": probe, "GPUSIZE_PROBE_FAULT": fault, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(env or {})})


@pytest.fixture
def script(tmp_path):
    """script(text): a program that stands in for gpusize-probe."""
    def make(text):
        path = tmp_path / "probe"
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def line_of(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_the_cpu_of_this_machine():
    text = calibrate("--device", "cpu", "--quick", probe=PROBE).stdout
    assert "Host: " in text and "GB/s" in line_of(text, "cpu_triad") and "TFLOP/s" in line_of(text, "cpu_fp32_fma")
    assert "GPU" not in text


def test_it_is_found_beside_the_program():
    assert json.loads(calibrate("--device", "cpu", "--quick", "--json", probe="").stdout)["device_kind"] == "cpu"


def test_a_table_with_bars():
    text = calibrate(*LIGHT).stdout
    assert text.splitlines()[0] == ("GPU 0: NVIDIA H100 80GB HBM3, 132 SMs, 79.1 GiB; peaks of h100-sxm in the catalog")
    read = line_of(text, "dram_read")
    assert read.split()[1:3] == ["3060", "GB/s"] and "█" * 18 + "░░" in read and "91 % of 3350" in read
    assert "80 % of 989" in line_of(text, "gemm bf16 m=4096")
    assert "of 3.35" in line_of(text, "gemm bf16 m=1")  # fed by the memory
    assert "GiB" in line_of(text, "allocatable")
    assert "products of bf16: peak 794" in text and "one more kernel in a graph: 1.3 us" in text


def test_bars_are_ascii_where_the_terminal_is():
    text = calibrate(*LIGHT, env={"LC_ALL": "C"}).stdout
    assert "##################.." in text and "█" not in text


def test_what_failed_is_in_the_table():
    text = calibrate(*LIGHT, fault="gemm:segv,launch:not_enough_memory,stream:noisy").stdout
    assert "failed group_died: signal 11" in text
    assert "- not_enough_memory" in line_of(text, "graph_node")
    assert "doubtful: spread" in line_of(text, "dram_read")


def test_a_shared_gpu_has_no_coefficients():
    text = calibrate(*LIGHT, env={"CUDA_MPS_PIPE_DIRECTORY": "/tmp/mps"}).stdout
    assert "Somebody else uses this GPU" in text and "Coefficients" not in text


def test_the_report_goes_to_a_file(tmp_path):
    path = tmp_path / "report.json"
    text = calibrate(*LIGHT, "--output", path).stdout
    assert text.startswith("GPU 0") and check(json.loads(path.read_text("utf-8")))["status"] == "passed"
    printed = calibrate(*LIGHT, "--json", "--samples").stdout
    assert "samples_seconds" in check(json.loads(printed))["devices"][0]["results"][0]


@pytest.mark.parametrize("reason, sentence", [
    ("no_driver", "there is no NVIDIA driver"), ("driver_too_old", "update it to 580"),
    ("driver_library_mismatch", "restart the host"), ("fabric_not_ready", "nvidia-fabricmanager"),
    ("no_device", "knows of no such GPU"), ("device_in_use", "somebody has the GPU"),
    ("unsupported_compute_capability", "no code for that GPU"), ("ptx_newer_than_driver", "update it"),
    ("compat_not_supported", "compatibility package"), ("built_without_cuda", "built without nvcc")])
def test_every_way_to_have_no_gpu_is_a_sentence(reason, sentence):
    for fault in (f"count:{reason}", f"open:{reason}"):
        text = calibrate("--device", "cuda", status=77, fault=fault).stdout
        assert sentence in text and f"({reason}" in text


def test_exit_statuses_are_passed_on():
    calibrate("--device", "cuda", status=1, fault="count:cuda_error")
    assert "none of all" in calibrate("--device", "tpu", status=2).stderr
    assert "is no number" not in calibrate("--only", "nonsense", status=2).stdout


@pytest.mark.parametrize("arguments, said", [(["--fast"], "fast"), (["report.json"], "report.json"),
                                             (["--output"], "needs a value"), (["--json=1"], "takes no value")])
def test_wrong_usage(arguments, said):
    assert said in calibrate(*arguments, status=2).stderr


def test_a_probe_that_is_not_there():
    assert "installed beside gpusize" in calibrate(status=3, probe="/nonexistent").stderr


@pytest.mark.parametrize("text, said", [("echo hello", "no report"), ("echo '{}'", "no report"), ("exit 0", "no report"),
                                        ("kill -9 $$", "signal 9"), ("yes '{' | head -c 20000000", "no report")])
def test_a_probe_that_is_another_program(script, text, said):
    assert said in calibrate(status=3, probe=script(text)).stderr


def test_a_report_without_anything(script):
    report = '{"schema":"calibration/1","devices":[{}],"host":{},"reason":null}'
    text = calibrate(probe=script(f"echo '{report}'")).stdout
    assert text.startswith("GPU nan: ?") or text.startswith("GPU")


def test_what_cannot_be_written_is_told():
    assert "/nonexistent/r.json cannot be written" in calibrate(*LIGHT, "--output", "/nonexistent/r.json", status=3).stderr
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([PROGRAM, "calibrate", *LIGHT], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
                                env={**os.environ, "GPUSIZE_PROBE": FAKE})
    assert result.returncode == 3 and b"cannot be written" in result.stderr


def test_progress_on_a_terminal():
    terminal, end = pty.openpty()
    subprocess.run([PROGRAM, "calibrate", *LIGHT], stdout=subprocess.PIPE, stderr=end, timeout=60, check=True,
                   env={**os.environ, "GPUSIZE_PROBE": FAKE})
    os.close(end)
    assert b"products of matrices" in os.read(terminal, 4096)
    os.close(terminal)


def test_help_and_completion():
    text = calibrate("--help").stdout
    assert "gpusize calibrate --output report.json" in text and "--device-key FILE" in text and "77" in text
    assert "calibrate " in run(PROGRAM, "completion", "bash").stdout
    assert "  calibrate " in run(PROGRAM, "help").stdout
