"""test_own_host.py owns the tests of a service that watches its own host, with a stand-in for NVML: what /metrics shows and
for how long, that its samples are those of any host, and that a driver that hangs holds up nothing."""
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from waiting import LIMIT_S, await_true

FAKES = Path(os.environ["GPUSIZE_FAKES"])
MIB = 1 << 20


@pytest.fixture
def watch(start_service, tmp_path):
    """watch(*readings, arguments=()): a service that watches its host, whose NVML plays these; the last one stays."""
    def start(*readings, arguments=()):
        script = tmp_path / "readings"
        script.write_text("\n".join(readings) + "\n", encoding="ascii")
        return start_service("--monitor-interval-s", "1", "--access-log", "0", *arguments, env={
            **os.environ, "LD_LIBRARY_PATH": str(FAKES / "fake_nvml"), "FAKE_NVML_SCRIPT": str(script)})
    return start


def figures(service):
    """{(name, gpu, its last label): value} of what is told of this host; without labels (name, None, None)."""
    found, types = {}, set()
    for line in service.call("GET", "/metrics").text.splitlines():
        if line.startswith("# TYPE gpusize_gpu_"):
            assert line not in types
            types.add(line)
        one = re.fullmatch(r'gpusize_((?:gpu|host|monitor_o)\w+)(?:\{(?:gpu="(\d+)",uuid="GPU-[^"]+",?)?(?:\w+="([^"]*)")?\})? (\S+)', line)
        if one:
            found[one[1], one[2], one[3]] = float(one[4])
    return found


def shows(service, name, gpu=None, label=None):
    return figures(service).get((name, gpu, label))


def ask(service, path, **query):
    answer = service.call("GET", "/v1/monitor/" + path, query=query)
    assert answer.status == 200, answer.text
    return answer.json


def test_metrics_show_the_newest_sample(watch):
    service = watch("gpus=2 used=1000,2000 reserved=500 total=81920 busy=55,0 power=300,90 temperature=61,40 throttle=4,1 "
                    "corrected=7,0 energy=5")
    await_true(lambda: shows(service, "gpu_lost", "1") == 0)
    told = figures(service)
    assert [told[f"gpu_{name}", "0", None] for name in (
        "memory_total_bytes", "memory_used_bytes", "memory_reserved_bytes", "busy_ratio", "power_watts", "temperature_celsius",
        "ecc_corrected_total", "energy_joules_total")] == [81920 * MIB, 1000 * MIB, 500 * MIB, 0.55, 300, 61, 7, 5]
    assert told["gpu_memory_usage_ratio", "0", None] == pytest.approx(1500 / 81920, rel=1e-5)
    assert (told["gpu_memory_used_bytes", "1", None], told["gpu_power_watts", "1", None]) == (2000 * MIB, 90)
    assert [told["gpu_throttled", gpu, reason] for gpu in "01" for reason in ("sw_power_cap", "gpu_idle")] == [1, 0, 0, 1]
    assert any(name == "gpu_info" and gpu == "0" and label for name, gpu, label in told)
    assert 0 < told["host_memory_used_bytes", None, None] < told["host_memory_total_bytes", None, None]
    assert told["monitor_overdue_seconds", None, None] == 0


def test_its_samples_are_those_of_any_host(watch):
    service = watch("used=40000 total=81920", "used=75000 total=81920", arguments=("--alert-threshold", "0.8"))
    await_true(lambda: ask(service, "alerts")["alerts"])
    alert, = ask(service, "alerts", state="firing")["alerts"]
    assert (alert["host"], alert["type"], alert["gpu"]["index"], alert["total_gb"]) == (
        socket.gethostname(), "gpu_memory_high", 0, 80)
    await_true(lambda: ask(service, "statistics", host=socket.gethostname())["sample_count"] >= 3)
    past = ask(service, "history", host=socket.gethostname())["samples"]
    assert [one["gpus"][0]["memory_used_bytes"] for one in reversed(past)][:2] == [40000 * MIB, 75000 * MIB]
    assert shows(service, "monitor_own_samples_total", label="stored") >= 3
    assert shows(service, "monitor_own_samples_total", label="dropped") == 0
    await_true(lambda: any('"type":"gpu_memory_high"' in line for line in service.log))
    assert 'gpusize_monitor_samples_total{result="stored"}' in service.call("GET", "/metrics").text


def test_a_lost_gpu_has_no_figures(watch):
    service = watch("gpus=2 used=1000,2000 total=81920", "gpus=2 used=1000,2000 total=81920 error=0,15")
    await_true(lambda: shows(service, "gpu_lost", "1") == 1)
    told = figures(service)
    assert told["gpu_lost", "0", None] == 0 and told["gpu_memory_used_bytes", "0", None] == 1000 * MIB
    assert {name for name, gpu, _ in told if gpu == "1"} == {"gpu_lost", "gpu_info"}
    await_true(lambda: [alert["type"] for alert in ask(service, "alerts")["alerts"]] == ["gpu_lost"])


def test_without_a_driver_there_is_the_hosts_memory(start_service):
    service = start_service("--monitor-interval-s", "1", env={**os.environ, "LD_LIBRARY_PATH": ""})
    await_true(lambda: shows(service, "host_memory_total_bytes"))
    if shows(service, "gpu_lost", "0") is not None:
        pytest.skip("this machine has GPUs")
    assert not any(name.startswith("gpu") for name, _, _ in figures(service))
    assert "# TYPE gpusize_gpu" not in service.call("GET", "/metrics").text
    await_true(lambda: ask(service, "gpus")["total_count"] == 1)
    (host,) = ask(service, "gpus")["hosts"]
    assert host["host"] == socket.gethostname() and "libnvidia-ml.so.1" in host["sample"]["reason"]


def test_it_is_off_unless_it_is_wanted(service):
    assert figures(service) == {} and "gpusize_monitor_own" not in service.call("GET", "/metrics").text


def test_a_driver_that_hangs_holds_up_nothing(watch, tmp_path):
    service = watch("used=1000 total=81920", f"wait={tmp_path / 'never'} used=1000 total=81920")
    await_true(lambda: shows(service, "gpu_memory_used_bytes", "0") == 1000 * MIB)
    await_true((tmp_path / "never.awaited").exists)
    await_true(lambda: shows(service, "host_memory_total_bytes") is None)  # nothing stale is shown
    assert not any(name.startswith("gpu") for name, _, _ in figures(service))
    assert shows(service, "monitor_overdue_seconds") > 2
    assert service.call("GET", "/v1/memory", query={"model": "llama-3.1-8b", "gpu": "h100-sxm"}).status == 200
    assert ask(service, "gpus")["total_count"] == 1
    service.stop()
    assert any('"event":"driver_left_behind","samples_lost":0' in line for line in service.log)


@pytest.mark.parametrize("value", ["-1", "86401", "1.5", "often"])
def test_what_is_no_interval_is_refused(program, value):
    done = subprocess.run([program, "serve", "--port", "0", "--monitor-interval-s", value], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2 and "monitor-interval-s" in done.stderr.replace("_", "-"), done.stderr
    assert "from 0 to 86400" in done.stderr
