"""test_monitor.py owns the tests of `gpusize monitor` as a process: with a stand-in for NVML that the real loader finds,
with a real HTTP server, with a program that is started, on a pseudo-terminal."""
import fcntl
import hashlib
import hmac
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from hook import Hook
from postgres import is_alive
from waiting import await_true

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
FAKES = Path(os.environ["GPUSIZE_FAKES"])
LIMIT_S = 120
FAST = ["--interval", "0.05"]
RISING = [f"used={10000 + 1000 * i} total=81920" for i in range(30)]


@pytest.fixture
def play(tmp_path):
    """The environment in which NVML plays these readings; the last one stays."""
    def environment(*readings, **more):
        script = tmp_path / "readings"
        script.write_text("\n".join(readings) + "\n", encoding="ascii")
        return {**os.environ, "LD_LIBRARY_PATH": str(FAKES / "fake_nvml"), "FAKE_NVML_SCRIPT": str(script), **more}
    return environment


def run(*arguments, env=None, status=0):
    result = subprocess.run([PROGRAM, "monitor", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=LIMIT_S, env=env, check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-3000:], result.stderr[-3000:])
    return result


def lines(result, kind):
    return [entry[kind] for entry in map(json.loads, result.stdout.splitlines()) if kind in entry]


def watch(*arguments, env=None, status=0):
    """Samples, alerts, and the statistics at the end."""
    result = run(*FAST, "--json", *arguments, env=env, status=status)
    statistics, = lines(result, "statistics")
    return lines(result, "sample"), lines(result, "alert"), statistics


# --- what is read

def test_without_nvml_there_is_the_host():
    (sample,), alerts, statistics = watch("--once", env={**os.environ, "LD_LIBRARY_PATH": ""})
    if sample["gpus"]:
        pytest.skip("this machine has GPUs")
    assert "libnvidia-ml.so.1" in sample["reason"]
    assert sample["system_memory"]["total_bytes"] > 0 and 0 < sample["system_memory"]["usage_ratio"] < 1
    assert "no GPU: libnvidia-ml.so.1" in run("--once").stdout


def test_the_hosts_memory_is_the_kernels(tmp_path):
    (tmp_path / "pressure").mkdir()
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   100 kB\nSwapTotal: 10 kB\n")
    (tmp_path / "pressure" / "memory").write_text("some avg10=12.50 avg60=0 total=1\nfull avg10=3.00 avg60=0 total=1\n")
    (sample,), (alert,), _ = watch("--once", "--proc", tmp_path, status=1)
    assert sample["system_memory"] == {
        "total_bytes": 1024000, "available_bytes": 102400, "used_bytes": 921600, "usage_ratio": 0.9,
        "swap_total_bytes": 10240, "swap_free_bytes": None, "pressure_some_percent": 12.5, "pressure_full_percent": 3}
    assert (alert["type"], alert["gpu"], alert["value"]) == ("system_memory_high", None, 0.9)


def test_a_gpu(play, tmp_path):
    env = play("used=1000 reserved=500 total=81920 busy=55 power=300 temperature=61 throttle=4 corrected=7 processes=2 "
               "energy=5 mig=2")
    (sample,), _, _ = watch("--once", env=env)
    gpu, = sample["gpus"]
    assert gpu["memory_used_bytes"] == 1000 << 20 and gpu["memory_reserved_bytes"] == 500 << 20
    assert gpu["memory_usage_ratio"] == pytest.approx(1500 / 81920, rel=1e-5)
    assert (gpu["busy_percent"], gpu["power_watts"], gpu["temperature_c"], gpu["throttle"], gpu["ecc_corrected"],
            gpu["mig"]) == (55, 300, 61, ["sw_power_cap"], 7, True)
    assert [(one["pid"], one["used_bytes"]) for one in gpu["processes"]] == [(102, 2 << 20), (101, 1 << 20)]
    assert [one["uuid"][:4] for one in gpu["instances"]] == ["MIG-", "MIG-"]


def test_of_many_processes_those_that_hold_most(play):
    (sample,), _, _ = watch("--once", env=play("used=1000 total=81920 processes=300"))
    assert [one["pid"] for one in sample["gpus"][0]["processes"]] == [400 - i for i in range(256)]


def test_an_old_driver_counts_what_is_reserved_as_used(play):
    new, _, _ = watch("--once", env=play("used=1000 reserved=500 total=81920"))
    old, _, _ = watch("--once", env=play("used=1000 reserved=500 total=81920 old=1"))
    assert old[0]["gpus"][0]["memory_reserved_bytes"] is None
    assert old[0]["gpus"][0]["memory_usage_ratio"] == new[0]["gpus"][0]["memory_usage_ratio"]


def test_one_gpu_of_two(play):
    env = play("gpus=2 used=1000,2000 total=4096")
    every, _, _ = watch("--once", env=env)
    assert [gpu["index"] for gpu in every[0]["gpus"]] == [0, 1]
    for wanted in ("1", every[0]["gpus"][1]["uuid"]):
        (sample,), _, _ = watch("--once", "--gpu", wanted, env=env)
        assert [gpu["memory_used_bytes"] for gpu in sample["gpus"]] == [2000 << 20]
    (sample,), _, _ = watch("--once", "--gpu", "7", env=env)
    assert sample["gpus"] == [] and "there is no GPU 7" in sample["reason"]


@pytest.fixture
def amd(tmp_path):
    """The environment with AMD's library of that name, and the arguments for a host's files."""
    device = tmp_path / "sys/bus/pci/devices/0000:c1:02.0"
    (device / "hwmon/hwmon7").mkdir(parents=True)
    for name, text in (("product_name", "AMD Instinct MI300X\n"), ("gpu_busy_percent", "99\n"),
                       ("hwmon/hwmon7/power1_input", "612000000\n"), ("hwmon/hwmon7/power1_cap", "750000000\n"),
                       ("hwmon/hwmon7/freq1_input", "2100000000\n")):
        (device / name).write_text(text)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 900 kB\n")

    def environment(*libraries, **more):
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(str(FAKES / f"fake_{name}") for name in libraries), **more}
    return environment, ("--proc", tmp_path / "proc")


def test_amd_by_amd_smi_and_the_kernels_files(amd):
    environment, host = amd
    (sample,), _, _ = watch("--once", *host, env=environment("amd_smi", "rocm_smi", FAKE_AMD_USED_GIB="48"))
    gpu, = sample["gpus"]  # not asked of rocm_smi again
    assert gpu["name"] == "AMD Instinct MI300X" and gpu["uuid"] == "7cff74a1-0000-1000-80aa-bbccddeeff00"
    assert gpu["memory_total_bytes"] == 192 << 30 and gpu["memory_usage_ratio"] == 0.25
    assert (gpu["busy_percent"], gpu["memory_busy_percent"], gpu["temperature_c"]) == (63, None, 71)
    assert (gpu["power_watts"], gpu["power_limit_watts"], gpu["sm_clock_mhz"]) == (612, 750, 2100)
    assert gpu["memory_clock_mhz"] is None and gpu["energy_joules"] is None and gpu["throttle"] is None


def test_amd_by_rocm_smi(amd):
    environment, host = amd
    (sample,), _, _ = watch("--once", *host, env=environment("rocm_smi"))
    assert [(gpu["uuid"], gpu["name"], gpu["memory_usage_ratio"], gpu["busy_percent"], gpu["power_watts"],
             gpu["temperature_c"]) for gpu in sample["gpus"]] == [
        ("AMD-000000000000abc0", "AMD Instinct MI210", 0.25, 40, 250.5, 65.5),
        ("AMD-000000000000abc1", "AMD Instinct MI210", 0.5, 41, 250.5, 65.5)]


def test_gpus_of_two_vendors(amd):
    environment, host = amd
    (sample,), _, _ = watch("--once", *host, env=environment("nvml", "amd_smi"))
    assert [(gpu["index"], gpu["name"]) for gpu in sample["gpus"]] == [(0, "NVIDIA H200"), (1, "AMD Instinct MI300X")]


def test_an_amd_gpu_that_is_lost_for_a_while(amd):
    environment, host = amd
    samples, alerts, _ = watch("--count", 6, *host, env=environment("amd_smi", FAKE_AMD_LOST="3-4"))
    assert [sample["gpus"][0]["lost"] for sample in samples] == [None, None, *["amd_smi tells no memory of it"] * 2, None,
                                                                 None]
    assert [alert["state"] for alert in alerts] == ["firing", "resolved"]


# --- what goes wrong

def test_a_lost_gpu_and_one_that_comes_back(play):
    lost = "error=0,15 used=1000,2000 total=81920"
    samples, alerts, _ = watch("--count", 16, env=play("gpus=2 used=1000,2000 total=81920", *[lost] * 3,
                                                       "used=1000,2000 total=81920"))
    states = [sample["gpus"][1]["lost"] for sample in samples]
    assert states[:5] == [None, "GPU is lost", "GPU is lost", "GPU is lost", None]
    assert all(sample["gpus"][0]["lost"] is None for sample in samples)
    assert [(alert["type"], alert["state"], alert["gpu"]["index"]) for alert in alerts] == [
        ("gpu_lost", "firing", 1), ("gpu_lost", "resolved", 1)]


def test_a_gpu_that_was_lost_before_we_came(play):
    lost = "gpus=2 refused=0,15 used=1000,2000 total=81920"
    samples, alerts, _ = watch("--count", 14, env=play(*[lost] * 10, "gpus=2 used=1000,2000 total=81920"))
    assert [gpu["index"] for gpu in samples[0]["gpus"]] == [0]
    assert samples[0]["reason"] == "1 GPU of the driver's never answered: GPU is lost"
    assert [gpu["index"] for gpu in samples[-1]["gpus"]] == [0, 1] and samples[-1]["reason"] is None
    assert alerts == [], "nobody knows which one it was"
    assert "1 GPU of the driver's never answered: GPU is lost" in run("--once", env=play(lost)).stdout


def test_a_driver_that_was_updated(play, tmp_path):
    """The library that was loaded does not fit any more; the new one is loaded, here the stand-in with other answers."""
    process = subprocess.Popen([PROGRAM, "monitor", *FAST, "--json"], stdout=subprocess.PIPE, text=True,
                               env=play("init=18"))
    first = json.loads(process.stdout.readline())["sample"]
    assert first["gpus"] == [] and "Driver/library version mismatch" in first["reason"]
    (tmp_path / "new").write_text("used=1000 total=81920\n")
    os.rename(tmp_path / "new", tmp_path / "readings")
    seen = (json.loads(line)["sample"] for line in process.stdout)
    assert any(sample["gpus"] for _, sample in zip(range(600), seen))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0


def test_a_driver_that_is_loaded_anew(play):
    good = "gpus=2 used=1000,2000 total=81920"
    samples, alerts, _ = watch("--count", 8, env=play(good, "error=9", "init=9", "init=9", good))
    lost = [[gpu["lost"] for gpu in sample["gpus"]] for sample in samples]
    assert lost == [[None] * 2] + [["Driver Not Loaded"] * 2] * 3 + [[None] * 2] * 4
    assert samples[1]["reason"] == "Driver Not Loaded" and samples[4]["reason"] is None
    assert len({gpu["uuid"] for sample in samples for gpu in sample["gpus"]}) == 2
    assert sorted((alert["gpu"]["index"], alert["state"]) for alert in alerts) == [
        (0, "firing"), (0, "resolved"), (1, "firing"), (1, "resolved")]


def test_a_counter_that_begins_anew(play):
    readings = [f"used=1 total=100 energy={joules}" for joules in (1000, 1300, 50, 250)]
    _, _, statistics = watch("--count", 4, env=play(*readings))
    assert statistics["gpus"][0]["energy_joules"] == 300 + 50 + 200


def test_a_driver_that_hangs_does_not_hold_us(play, tmp_path):
    env = play("used=1 total=100", f"wait={tmp_path / 'never'} used=1 total=100")
    process = subprocess.Popen([PROGRAM, "monitor", *FAST, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=env)
    assert "sample" in json.loads(process.stdout.readline())
    await_true((tmp_path / "never.awaited").exists)
    assert json.loads(process.stderr.readline())["event"] == "driver_hangs"
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3 and "the driver hangs" in said[1]


# --- statistics and alerts

def test_rising_memory_is_predicted(play):
    samples, _, statistics = watch("--count", 30, "--alert-threshold", "1", env=play(*RISING))
    full = statistics["gpus"][0]["memory"]["full_in_minutes"]
    took = (samples[-1]["monotonic_ms"] - samples[0]["monotonic_ms"]) / 60000
    assert full["value"] == pytest.approx((81920 - 39000) / 29000 * took, rel=0.3)
    assert full["low"] <= full["value"] <= full["high"]
    _, _, statistics = watch("--count", 30, env=play(*reversed(RISING)))
    assert statistics["gpus"][0]["memory"]["full_in_minutes"] is None


def test_alerts_fire_once_and_resolve(play):
    levels = [800, 860, 840, 870, 810, 790, 860]
    env = play(*[f"used={level} total=1000" for level in levels])
    _, alerts, _ = watch("--count", 7, env=env, status=1)
    assert [alert["state"] for alert in alerts] == ["firing", "resolved", "firing"]
    assert alerts[1]["peak"] == 0.87 and alerts[0]["threshold"] == 0.85
    _, alerts, _ = watch("--count", 7, "--alert-for", "60", env=env)
    assert alerts == []


def test_the_articles_numbers(play):
    env = play("used=40960 total=81920 busy=1", "used=73728 total=81920", "used=77824 total=81920")
    result = run(*FAST, "--count", 3, "--json", "--estimator", "article", env=env, status=1)
    statistics, = lines(result, "statistics")
    assert set(statistics) == {"window_minutes", "sample_count", "gpu_memory", "system_memory"}
    assert statistics["gpu_memory"] == {"avg_usage_ratio": (0.5 + 0.9 + 0.95) / 3, "max_usage_ratio": 0.95,
                                        "min_usage_ratio": 0.5, "current_usage_gb": 76, "total_gb": 80}
    assert (statistics["window_minutes"], statistics["sample_count"]) == (10, 3)
    assert lines(result, "alert") == [
        {"type": "gpu_memory_high", "usage_ratio": used / 80, "threshold": 0.85, "current_usage_gb": used, "total_gb": 80}
        for used in (72, 76)]
    text = run(*FAST, "--count", 3, "--estimator", "article", env=env, status=1).stdout
    assert "ALERT: gpu_memory_high\nCurrent usage: 72.00 GB / 80.00 GB\nUsage ratio: 90.00%\n" in text


# --- sinks

FULL = ["used=100 total=1000", "used=900 total=1000"]


@pytest.mark.parametrize("first, second", [(500, 429), (408, 503)])
def test_a_webhook_is_signed_and_tried_again(play, tmp_path, first, second):
    (tmp_path / "secret").write_text("s3cret\n")
    with Hook(first, second, 200) as hook:
        result = run(*FAST, "--count", 60, "--alert-webhook", hook.url + "/alerts", "--alert-webhook-secret-file",
                     tmp_path / "secret", env=play(*FULL), status=1)
        assert len(hook.posts) == 3
        for path, headers, body in hook.posts:
            signed = headers["X-Gpusize-Timestamp"].encode() + b"." + body
            mac = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
            assert path == "/alerts" and headers["X-Gpusize-Signature"] == "sha256=" + mac
            assert headers["Content-Type"] == "application/json"
        assert json.loads(hook.posts[0][2])["type"] == "gpu_memory_high"
        assert len({body for _, _, body in hook.posts}) == 1
    assert f'"event":"sink_fails","sink":"webhook","reason":"the server answers {first}"' in result.stderr
    assert '"event":"sink_works_again"' in result.stderr and "s3cret" not in result.stdout + result.stderr


def test_a_webhook_that_hangs_holds_up_nothing(play):
    with Hook(None) as hook:
        samples, alerts, _ = watch("--count", 40, "--alert-webhook", hook.url, env=play(*FULL), status=1)
        assert len(samples) == 40 and len(alerts) == 1 and len(hook.posts) == 1
        steps = [b["monotonic_ms"] - a["monotonic_ms"] for a, b in zip(samples, samples[1:])]
        assert max(steps) < 5000, "sampling waited for the webhook"


def test_a_webhook_that_refuses_is_left_alone(play):
    with Hook(403) as hook:
        result = run(*FAST, "--count", 5, "--alert-webhook", hook.url, env=play(*FULL), status=1)
        assert len(hook.posts) == 1
    assert '"event":"sink_gave_up","sink":"webhook","reason":"the server answers 403"' in result.stderr


def test_a_program_gets_the_alert(play, tmp_path):
    target = tmp_path / "alerts"
    program = tmp_path / "page"
    program.write_text('#!/bin/sh\necho "$1 $2" >> "$3"\ncat >> "$3"\n')
    program.chmod(0o755)
    run(*FAST, "--count", 3, "--alert-exec", f"{program} --team $(id) {target}", env=play(*FULL), status=1)
    first, alert = target.read_text().split("\n", 1)
    assert first == "--team $(id)"  # no shell
    assert json.loads(alert)["state"] == "firing"


@pytest.mark.parametrize("command, why", [("/bin/false", "/bin/false ended with status 1"),
                                          ("sleep 600", "sleep was ended: it ran longer than 0.2 s")])
def test_a_program_that_fails(play, command, why):
    result = run(*FAST, "--count", 3, "--sink-timeout", "0.2", "--alert-exec", command, env=play(*FULL), status=1)
    assert '"event":"sink_gave_up","sink":"exec"' in result.stderr and why in result.stderr


def test_a_program_is_ended_with_what_it_has_started(play, tmp_path):
    child, program = tmp_path / "child", tmp_path / "page"
    program.write_text(f"#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\necho $! >{child}.new\nmv {child}.new {child}\nwait\n")
    program.chmod(0o755)
    result = run(*FAST, "--count", 3, "--sink-timeout", "2", "--alert-exec", program, env=play(*FULL), status=1)
    assert "page was ended: it ran longer than 2 s" in result.stderr
    pid = int(child.read_text())
    try:
        await_true(lambda: not is_alive(pid))
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_program_that_is_gone_when_it_is_wanted(play, tmp_path):
    program = tmp_path / "page"
    program.write_text("#!/nowhere/sh\n")
    program.chmod(0o755)
    result = run(*FAST, "--count", 3, "--alert-exec", program, env=play(*FULL), status=1)
    assert '"event":"sink_gave_up","sink":"exec"' in result.stderr and "page cannot be started: No such file" in result.stderr


def test_a_full_disk_is_said(play):
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = subprocess.run([PROGRAM, "monitor", *FAST], stdout=full, stderr=subprocess.PIPE, text=True,
                                 timeout=LIMIT_S, env=play("used=1 total=100"), check=False)
        assert (process.returncode, process.stderr) == (
            3, "gpusize: standard output cannot be written: No space left on device\n")
        log = subprocess.run([PROGRAM, "monitor", *FAST, "--count", "3", "--alert-log"], stdout=subprocess.PIPE, stderr=full,
                             text=True, timeout=LIMIT_S, env=play(*FULL), check=False)
        assert log.returncode == 3 and "ALERT firing" in log.stdout, "it goes on without its log"


def test_a_reader_that_has_enough_ends_it(play):
    process = subprocess.Popen([PROGRAM, "monitor", *FAST, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=play("used=1 total=100"))
    assert "sample" in json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(LIMIT_S) == 0 and process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("status, hint", [(401, "401; a key is wanted: --report-key-file"),
                                          (403, "403; the key may not report"), (404, "404; is it a gpusize service"),
                                          (422, "422")])
def test_a_service_that_refuses(play, status, hint):
    with Hook(status) as hook:
        result = run(*FAST, "--count", 3, "--report-to", hook.url, env=play("used=1 total=100"))
    assert len(hook.posts) == 1
    assert '"event":"sink_gave_up","sink":"report","reason":"the server answers ' + hint in result.stderr


def test_a_service_that_is_not_there(play):
    result = run(*FAST, "--json", "--count", 5, "--report-to", "http://127.0.0.1:9", "--report-interval", "0",
                 env=play("used=1 total=100"))
    assert len(lines(result, "sample")) == 5
    assert '"event":"sink_fails","sink":"report"' in result.stderr and "127.0.0.1" in result.stderr


def test_samples_go_to_a_service(play, tmp_path):
    (tmp_path / "key").write_text("gsk_test\n")
    with Hook(503, 200) as hook:
        samples, _, _ = watch("--count", 40, "--host", "node7", "--report-to", hook.url + "/", "--report-interval", "0.2",
                              "--report-key-file", tmp_path / "key", env=play("used=1 total=100 processes=1"))
        assert {path for path, _, _ in hook.posts} == {"/v1/monitor/samples"}
        assert all(headers["Authorization"] == "Bearer gsk_test" for _, headers, _ in hook.posts)
        batches = [json.loads(body) for _, _, body in hook.posts]
    assert batches[0] == batches[1], "the first one was answered 503 and sent again"
    assert all((batch["schema"], batch["host"]) == ("monitor/1", "node7") for batch in batches)
    assert [sample for batch in batches[1:] for sample in batch["samples"]] == samples


def test_a_service_that_is_away_costs_the_oldest(play):
    with Hook(503, 503, 503, 200) as hook:  # it is back after 3.5 s
        result = run(*FAST, "--json", "--count", 40, "--report-to", hook.url, "--report-interval", "0", "--report-buffer",
                     "5", env=play("used=1 total=100"))
        sent = [sample for _, _, body in hook.posts[3:] for sample in json.loads(body)["samples"]]
    samples = lines(result, "sample")
    assert len(samples) == 40 and len(sent) < 40
    assert sent[0] == samples[0] and sent[-5:] == samples[-5:]


# --- arguments

@pytest.mark.parametrize("arguments, said", [
    (["--alert-threshold", "85"], "alert-threshold: a ratio is wanted: 0.85"),
    (["--alert-threshold", "0"], "a ratio above 0 and up to 1 is wanted"),
    (["--alert-threshold", "high"], "alert-threshold: must be a number"),
    (["--interval", "0"], "interval: must be a number from 0.05 to 86400"),
    (["--count", "1.5"], "count: must be a whole number"),
    (["--history", "0"], "history: must be a whole number from 1 to 100000"),
    (["--once", "--count", "3"], "once: is --count 1"),
    (["--alert-hysteresis", "0.9"], "alert-hysteresis: must be less than the threshold"),
    (["--alert-webhook", "ftp://example.org"], "alert-webhook: it is no URL of http or https"),
    (["--report-to", "http://u:p@example.org"], "report-to: a user or password"),
    (["--report-to", "http://example.org?a=b"], "report-to: is the address of a service alone"),
    (["--alert-exec", "/nowhere/page --now"], "alert-exec: /nowhere/page is no program that may be run"),
    (["--alert-exec", "no-such-program"], "alert-exec: no-such-program is no program"),
    (["--alert-exec", "/etc/passwd"], "alert-exec: /etc/passwd is no program"),
    (["--proc", "/nowhere"], "proc: /nowhere has no meminfo"),
    (["--report-key-file", "/nowhere"], "report-key-file: /nowhere cannot be read"),
    (["--estimator", "mine"], 'estimator: must be "article"'),
    (["--frobnicate"], "--frobnicate: there is no such option"),
])
def test_bad_arguments(arguments, said):
    result = run("--once", *arguments, status=2) if "--count" not in arguments else run(*arguments, status=2)
    assert said in result.stderr and result.stdout == ""


def test_options_may_be_variables(play):
    env = play("used=100 total=1000", GPUSIZE_ALERT_THRESHOLD="0.08", GPUSIZE_COUNT="2", GPUSIZE_INTERVAL="0.05",
               GPUSIZE_HISTORY="")
    result = run("--json", env=env, status=1)
    assert len(lines(result, "sample")) == 2 and len(lines(result, "alert")) >= 1
    assert "a ratio is wanted: 0.85" in run(env={**env, "GPUSIZE_ALERT_THRESHOLD": "85"}, status=2).stderr


def test_help():
    text = run("--help").stdout
    assert "--alert-webhook URL" in text and "Exit status" in text
    assert "monitor" in subprocess.run([PROGRAM, "help"], capture_output=True, text=True, timeout=LIMIT_S,
                                       check=True).stdout


# --- the live view

class Screen:
    """The program on a pseudo-terminal; `seen` is all that it has written."""

    def __init__(self, env, columns=100, rows=30, **more):
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(side)
        self.side = side
        self.seen = b""
        environment = {**env, "TERM": "xterm", "LC_ALL": "C.UTF-8", **more}
        environment.pop("NO_COLOR", None) if "NO_COLOR" not in more else None
        self.process = subprocess.Popen([PROGRAM, "monitor", *FAST], stdin=side, stdout=side, stderr=side,
                                        env=environment, start_new_session=True)
        os.set_blocking(self.main, False)

    def read(self):
        try:
            self.seen += os.read(self.main, 65536)
        except BlockingIOError:
            pass
        return self.seen

    def await_text(self, text):
        await_true(lambda: text in self.read())

    def end(self, how):
        how()

        def gone():
            self.read()
            return self.process.poll() is not None
        await_true(gone)
        self.read()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.side)


@pytest.fixture
def screen():
    opened = []

    def start(*arguments, **more):
        opened.append(Screen(*arguments, **more))
        return opened[-1]
    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_the_terminal_is_given_back(play, screen, number):
    one = screen(play(*RISING))
    one.await_text("█".encode())
    one.await_text(b"NVIDIA H200")
    assert one.seen.count(b"\x1b[?1049h") == 1
    code = one.end(lambda: os.write(one.main, b"q") if number is None else one.process.send_signal(number))
    assert code in (0, 1) and b"\x1b[?25h\x1b[?1049l" in one.seen
    assert termios.tcgetattr(one.side) == one.before


def test_colours_and_letters_are_those_of_the_terminal(play, screen):
    one = screen(play("used=900 total=1000"), NO_COLOR="1", LC_ALL="C")
    one.await_text(b"[######")
    one.await_text(b"ALERT firing")
    one.end(lambda: one.process.send_signal(signal.SIGTERM))
    frames = one.seen.split(b"\x1b[?1049l")[0]
    assert not re.search(rb"\x1b\[3[0-9]m", frames) and max(frames) < 128
    colourful = screen(play("used=900 total=1000"))
    colourful.await_text(b"\x1b[31m")


BUSY = "used=700 total=1000 processes=5 mig=2 throttle=12"


@pytest.mark.parametrize("columns, rows, there, not_there", [
    (100, 30, ["NVIDIA H200", "░] 70.0 % 0.7/1.0 GiB ▆", "slice 1", "103 0.00 GiB and 2 processes more",
               "throttled: sw_power_cap hw_slowdown"], ["lines more"]),
    (58, 12, ["NVIDIA H200", "0.7/1.0 GiB ▆", "slice 1", "103 0.00 GiB"], ["lines more"]),
    (58, 9, ["NVIDIA H200", "0.7/1.0 GiB ▆", "slice 1", "3 lines more: a taller window"], ["103 0.00"]),
    (58, 6, ["NVIDIA H200", "0.7/1.0 GiB ▆", "6 lines more: a taller window"], ["slice 1", "103 0.00"]),
    (40, 30, ["NVIDIA H200", "70.0 %", "103 0.00"], ["/1.0", "▆"]),
    (20, 5, ["GPU 0 NVIDIA H200", "7 lines more"], []), (9, 2, ["10 lines "], ["system"])])
def test_a_frame_fits_the_terminal(play, screen, columns, rows, there, not_there):
    one = screen(play(BUSY), columns=columns, rows=rows, NO_COLOR="1")
    await_true(lambda: len(one.read().split(b"\x1b[J")) > 4)
    one.end(lambda: one.process.send_signal(signal.SIGTERM))
    frames = one.seen.split(b"\x1b[?1049l")[0].split(b"\x1b[H")[1:]
    for frame in frames:
        shown = [re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", row).decode().strip("\r") for row in frame.split(b"\r\n")]
        assert len(shown) <= rows and max(map(len, shown)) <= columns
    text = re.sub(r" +", " ", "\n".join(shown))
    for piece in there:
        assert piece in text, text
    for piece in not_there:
        assert piece not in text, text


def test_the_log_does_not_disturb_the_view(play, screen, tmp_path):
    program = tmp_path / "page"
    program.write_text("#!/nowhere/sh\n")
    program.chmod(0o755)
    one = screen(play("used=900 total=1000"), GPUSIZE_ALERT_EXEC=str(program))
    one.await_text(b'Log: {"event":"sink_gave_up"')
    assert one.seen.count(b"sink_gave_up") == one.seen.count(b"Log: {")
    one.end(lambda: one.process.send_signal(signal.SIGTERM))
    assert b'{"event":"sink_gave_up"' in one.seen.split(b"\x1b[?1049l")[1]


def test_every_bad_argument_is_named():
    said = run("--interval", "0", "--alert-exec", "/nowhere/page", "--report-to", "gpus.example.org", "--alert-webhook",
               "mailto:a@example.org", status=2).stderr
    for name in ("interval", "alert-exec", "report-to", "alert-webhook"):
        assert f"gpusize: {name}: " in said


def test_the_view_predicts(play, screen):
    one = screen(play(*RISING))
    one.await_text(b"full in ")
    one.end(lambda: one.process.send_signal(signal.SIGTERM))


def test_no_terminal_no_control_sequences(play):
    assert "\x1b" not in run(*FAST, "--count", 3, env=play(*RISING)).stdout
