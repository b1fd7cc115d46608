"""test_probe.py owns the tests of gpusize-probe as a process: the CPU for real, GPUs by a stand-in that can fail in every
way, conditions by a stand-in for NVML."""
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from calibration import FAKE, FAKES, GPU_GROUPS, PROBE, SCHEMA, check, fake, named, report_of, run

SHORT = {"GPUSIZE_PROBE_TIME_SCALE": "0.1"}
NVML = {"LD_LIBRARY_PATH": str(FAKES / "fake_nvml")}
DEADLINE_S = 29


# --- the CPU, for real

def test_cpu():
    report = report_of(PROBE, "--device", "cpu", "--quick")
    assert (report["status"], report["device_kind"], report["devices"]) == ("passed", "cpu", [])
    host = report["host"]
    assert [(one["name"], one["unit"], one["verified"]) for one in host["results"]] == [
        ("cpu_triad", "GB/s", "reference"), ("cpu_read", "GB/s", "checksum"), ("cpu_fp32_fma", "TFLOP/s", "reference")]
    for one in host["results"]:
        counted = one["counted"].get("bytes") or one["counted"]["operations"]
        assert one["p10"] <= one["value"] <= one["p90"] and one["samples"] >= 3
        assert counted / one["value"] == pytest.approx(one["seconds"] / one["samples"] * (1e9 if one["unit"] == "GB/s" else 1e12),
                                                       rel=0.9)
    assert host["cpus"] == os.cpu_count() and host["memory_total_bytes"] > 0


def test_samples_are_all_there():
    report = report_of(PROBE, "--device", "cpu", "--quick", "--samples")
    for one in report["host"]["results"]:
        assert len(one["samples_seconds"]) == one["samples"]
        assert sum(one["samples_seconds"]) == pytest.approx(one["seconds"], rel=1e-4)


def test_one_cpu_is_enough():
    command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), PROBE, "--device", "cpu", "--quick"]
    result = subprocess.run(command, stdout=subprocess.PIPE, timeout=120, check=True)
    assert check(json.loads(result.stdout))["status"] == "passed"


# --- GPUs, by the stand-in

@pytest.mark.parametrize("part, read, peak, corner", [("h100", 3060, 794.5, 2.5), ("h200", 4410, 794.5, 2.1),
                                                      ("l40s", 845, 227, 2.0), ("b200", 6692, 1745, 2.0)])
def test_parts(part, read, peak, corner):
    report = fake(part)
    assert (report["status"], report["device_kind"], report["reason"]) == ("passed", "cuda", None)
    device, = report["devices"]
    assert device["status"] == "passed" and not device["conditions"]["shared"]
    fit = device["fit"]
    assert fit["dram_read_gb_per_s"] == pytest.approx(read, rel=0.01)
    assert fit["gemm"]["bf16"]["peak_tflops"] == pytest.approx(peak, rel=0.01)
    assert fit["gemm"]["bf16"]["p"] == pytest.approx(corner, rel=0.02)
    assert set(fit["gemm"]) == {"bf16", "fp8_e4m3"} and fit["launch"]["graph_node_us"] > 0
    assert all(not one["suspect"] for one in device["results"])
    for one in named(device["results"], "dram_read"):
        assert one["fraction_of_peak"] == pytest.approx(one["value"] / device["device"]["peak_dram_gb_per_s"], rel=1e-3)
        assert one["again"] == pytest.approx(one["value"], rel=0.01)


def test_two_gpus_and_the_host():
    report = report_of(FAKE, "--fake", "2xh100", "--quick")
    assert [one["device"]["ordinal"] for one in report["devices"]] == [0, 1]
    assert report["host"]["status"] == "passed" and len(report["host"]["results"]) == 3
    report = fake("2xh100", "--only", "collective")
    rings = [one["fit"]["all_reduce"] for one in report["devices"]]
    assert rings[0]["2"]["alpha_us"] == pytest.approx(15.6, rel=0.01)
    assert rings[0]["2"]["busbw_gb_per_s"] == pytest.approx(430, rel=0.01)
    assert rings[1] == {} and report["devices"][1]["results"] == []  # it ran once, for both


def test_one_of_two():
    report = fake("2xh100", "--device", "1", "--only", "stream")
    assert [one["device"]["ordinal"] for one in report["devices"]] == [1]
    report = fake("2xh100", "--device", "2", status=77)
    assert report["reason"] == "no_device" and "there are 2" in report["detail"]


def test_only_some_groups():
    report = fake("h100", "--only", "launch,stream")
    names = [one["name"] for one in report["devices"][0]["results"]]
    assert names == ["dram_read", "dram_copy", "dram_memcpy", "dram_triad", "l2_read", "graph_node", "launch_wait"]


def test_quick_has_fewer_samples_and_groups():
    report = report_of(FAKE, "--quick", "--device", "cuda")
    results = report["devices"][0]["results"]
    assert {one["samples"] for one in results if one["status"] == "passed"} == {16}
    assert named(results, "gemm") and not named(results, "h2d_pinned") and not named(results, "l2_latency")


# --- faults of one group cost that group

def faulty(fault, status=0, groups="stream,gemm,launch", env=None, part="h100"):
    report = fake(f"{part}+{fault}", "--only", groups, status=status, env=env)
    return report, report["devices"][0]["results"] if report["devices"] else []


@pytest.mark.parametrize("what, detail", [("segv", "signal 11"), ("exit", "exit status 9")])
def test_a_crash_costs_one_group(what, detail):
    report, results = faulty(f"gemm:{what}")
    assert report["status"] == report["devices"][0]["status"] == "partial"
    assert named(results, "gemm")[0]["status"] == "passed"  # what it had said before
    last = named(results, "gemm")[1]
    assert (last["status"], last["reason"]) == ("error", "group_died") and last["detail"].startswith(detail)
    assert named(results, "graph_node")[0]["status"] == "passed"


def test_a_hang_is_killed():
    report, results = faulty("gemm:hang", env=SHORT)
    failed = named(results, "gemm")[1]
    assert (failed["status"], failed["reason"]) == ("error", "timeout") and "killed after 1.1 s" in failed["detail"]
    assert named(results, "graph_node")[0]["status"] == "passed" and report["status"] == "partial"


def test_all_hangs_end_at_the_deadline():
    began = time.monotonic()
    faults = ",".join(f"{group}:hang" for group in GPU_GROUPS)
    report = fake(f"h100+{faults}", env=SHORT)
    results = report["devices"][0]["results"]
    assert {one["reason"] for one in results if one["status"] == "error"} == {"timeout"}
    waived = [one["name"] for one in results if one["reason"] == "no_time_left"]
    assert waived[-2:] == ["link", "onchip"] and "stream" not in waived  # the most telling ones had their time
    assert time.monotonic() - began < DEADLINE_S  # a tenth is the deadline; the rest is what a busy machine takes


@pytest.mark.parametrize("reason", [one for one in SCHEMA["$defs"]["reason"]["enum"] if one])
def test_every_reason_of_a_group(reason):
    is_error = reason in ("verification", "group_died", "timeout", "cuda_error")
    report, results = faulty(f"launch:{reason}")
    assert {(one["status"], one["reason"], one["value"]) for one in results if one["unit"] == "us"} == {
        ("error" if is_error else "waived", reason, None)}
    assert report["status"] == ("partial" if is_error else "passed")
    assert report["devices"][0]["fit"]["launch"] is None and report["devices"][0]["fit"]["dram_read_gb_per_s"]


def test_an_error_that_sticks():
    report, results = faulty("gemm:sticky")
    assert [one["status"] for one in named(results, "gemm")] == ["passed"] + 11 * ["error"]
    assert named(results, "graph_node")[0]["status"] == "passed" and report["status"] == "partial"


def test_throttled_samples_are_counted():
    _, results = faulty("stream:throttled")
    assert {(one["discarded"], one["samples"]) for one in named(results, "dram_read")} == {(3, 61)}


@pytest.mark.parametrize("what, word", [("noisy", "spread"), ("drift", "drift"), ("above", "above_peak")])
def test_what_is_doubted_is_kept_and_not_used(what, word):
    report, results = faulty(f"stream:{what}")
    read, = named(results, "dram_read")
    assert read["status"] == "passed" and read["value"] > 0 and word in read["suspect"]
    assert report["devices"][0]["fit"]["dram_read_gb_per_s"] is None


def test_a_library_that_prints():
    report, _ = faulty("stream:chatty")
    assert report["status"] == "passed"


# --- no GPU

DEVICE_REASONS = ["no_driver", "driver_too_old", "driver_library_mismatch", "fabric_not_ready", "no_device", "device_in_use",
                  "unsupported_compute_capability", "ptx_newer_than_driver", "compat_not_supported"]


@pytest.mark.parametrize("reason", DEVICE_REASONS)
def test_no_gpu_is_77_with_the_reason(reason):
    report = fake(f"h100+count:{reason}", status=77)
    assert (report["status"], report["device_kind"], report["reason"]) == ("waived", "cuda", reason)
    assert report["devices"] == [] and report["host"]["results"] == []


@pytest.mark.parametrize("reason", DEVICE_REASONS)
def test_a_gpu_that_cannot_be_opened(reason):
    report = fake(f"h100+open:{reason}", status=77)
    device, = report["devices"]
    assert (device["status"], device["reason"], device["results"]) == ("waived", reason, [])


@pytest.mark.parametrize("fault, reason", [("count:cuda_error", "cuda_error"), ("count:segv", "group_died")])
def test_a_driver_that_fails_is_an_error(fault, reason):
    report = fake(f"h100+{fault}", status=1)
    assert (report["status"], report["reason"]) == ("error", reason)


def test_a_driver_that_hangs():
    report = fake("h100+count:hang", status=1, env={"GPUSIZE_PROBE_TIME_SCALE": "0.02"})
    assert report["reason"] == "timeout"
    report = fake("h100+open:segv", status=1)
    assert report["devices"][0]["reason"] == "group_died"


def test_the_cpu_stands_in():
    report = report_of(FAKE, "--fake", "h100+count:no_driver", "--quick")
    assert (report["status"], report["device_kind"], report["reason"]) == ("passed", "cpu", "no_driver")
    assert len(report["host"]["results"]) == 3


def test_the_cpu_does_not_hide_a_failure():
    report = report_of(FAKE, "--fake", "h100+count:cuda_error", "--quick", status=1)
    assert report["status"] == "error" and len(report["host"]["results"]) == 3


# --- conditions

def conditions(env=None, part="h100", arguments=()):
    return fake(part, "--only", "stream", *arguments, env={**NVML, **(env or {})})["devices"][0]


def test_conditions():
    device = conditions()
    before = device["conditions"]["before"]
    assert before == {"sm_clock_mhz": 345, "memory_clock_mhz": 3201, "power_watts": 75.25, "temperature_c": 34,
                      "throttle": ["gpu_idle", "sw_power_cap", "bit_20"], "busy_percent": 0, "other_processes": 0,
                      "foreign_bytes": 3 << 20}
    assert device["conditions"]["after"] == before and not device["conditions"]["shared"]
    facts = device["device"]
    assert facts["driver"] == "580.95.05" and facts["power_limit_watts"] == 700
    assert facts["pci"] == {"domain": 0, "bus": 24, "device": 0, "vendor_device": "10de:2335"}
    assert facts["pcie"] == {"gen": 5, "width": None}
    assert (facts["mig"], facts["mps"], facts["virtual"], facts["key"]) == (False, False, False, None)


@pytest.mark.parametrize("env", [{"FAKE_NVML_BUSY": "6"}, {"FAKE_NVML_PROCESSES": "1"}, {"FAKE_NVML_MPS": "2"},
                                 {"FAKE_NVML_USED_MIB": "2000"}, {"CUDA_MPS_PIPE_DIRECTORY": "/tmp/mps"}])
def test_a_gpu_that_others_use(env):
    device = conditions(env)
    assert device["conditions"]["shared"] and device["status"] == "passed"
    read, = named(device["results"], "dram_read")
    assert read["value"] > 0 and read["fraction_of_peak"] is None
    assert device["fit"] == {"dram_read_gb_per_s": None, "kv_read": None, "gemm": {}, "launch": None, "all_reduce": {}}


def test_a_slice_is_not_compared_with_the_whole():
    device = conditions({"FAKE_NVML_MIG": "1"})
    assert device["device"]["mig"] and named(device["results"], "dram_read")[0]["fraction_of_peak"] is None
    assert device["fit"]["dram_read_gb_per_s"]


def test_nvml_that_does_not_start():
    device = conditions({"FAKE_NVML_INIT": "9"})
    assert device["conditions"] == {"before": None, "after": None, "shared": False}


def test_device_key(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of this installation\n", "utf-8")
    keys = {conditions(arguments=("--device-key", secret))["device"]["key"] for _ in range(2)}
    assert len(keys) == 1 and len(keys.pop()) == 16
    other = tmp_path / "other"
    other.write_text("another secret of theirs", "utf-8")
    one = conditions(arguments=("--device-key", other))
    assert one["device"]["key"] not in keys
    assert "6e4f2f0a" not in json.dumps(one)  # the UUID stays here


# --- arguments, terminal, signals

@pytest.mark.parametrize("arguments, said", [
    (["--device", "tpu"], "none of all, cuda, cpu"),
    (["--device", "-1"], "none of all"),
    (["--device", "64"], "none of all"),
    (["--device"], "--device needs a value"),
    (["--only", "stream,gem"], 'no group "gem"'),
    (["--only", ""], "needs the names"),
    (["--device", "cpu", "--only", "stream"], "the CPU has the group cpu alone"),
    (["--device", "cuda", "--only", "cpu"], "none of a GPU"),
    (["--fast"], "there is no option --fast"),
    (["stream"], "stream is no option"),
    (["--device-key", "/nonexistent"], "/nonexistent cannot be read"),
    (["--device-key", "/dev/null"], "has 0 bytes"),
])
def test_wrong_usage(arguments, said):
    result = run(PROBE, *arguments, status=2)
    assert said in result.stderr and not result.stdout


def test_the_real_program_has_no_stand_in():
    assert "no option" in run(PROBE, "--fake", "h100", status=2).stderr
    assert "none of h100" in run(FAKE, "--fake", "h1000", status=2).stderr


def test_help_teaches():
    text = run(PROBE, "--help").stdout
    assert "Examples:" in text and "Exit status: 0" in text
    assert all(f"  {group} " in text for group in [*GPU_GROUPS, "cpu"])
    assert run(PROBE, "--version").stdout.startswith("gpusize-probe ")


def test_a_full_disk_is_told():
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([FAKE, "--device", "cuda", "--only", "launch"], stdout=full, stderr=subprocess.PIPE,
                                timeout=60, check=False)
    assert result.returncode == 1 and b"cannot be written" in result.stderr


def test_progress_is_for_terminals():
    assert run(FAKE, "--device", "cuda", "--only", "launch").stderr == ""
    terminal, end = pty.openpty()
    result = subprocess.run([FAKE, "--device", "cuda", "--only", "launch"], stdout=subprocess.PIPE, stderr=end,
                            timeout=60, check=True)
    os.close(end)
    assert b"NVIDIA H100 80GB HBM3: what one more kernel costs" in os.read(terminal, 4096)
    os.close(terminal)
    check(json.loads(result.stdout))


def test_children_end_with_their_parent():
    parent = subprocess.Popen([FAKE, "--fake", "h100+stream:hang", "--device", "cuda", "--only", "stream"],
                              stdout=subprocess.DEVNULL)
    children = f"/proc/{parent.pid}/task/{parent.pid}/children"
    deadline, child = time.monotonic() + 60, None
    while time.monotonic() < deadline:
        with open(children, encoding="ascii") as file:
            now = file.read().split()
        if now and now == child:  # the same for a while: it hangs
            break
        child = now
        time.sleep(0.3)
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=60)
    while os.path.exists(f"/proc/{child[0]}") and time.monotonic() < deadline:
        with open(f"/proc/{child[0]}/stat", encoding="ascii") as file:
            if file.read().split()[2] == "Z":
                break
        time.sleep(0.05)
    else:
        assert not os.path.exists(f"/proc/{child[0]}")
