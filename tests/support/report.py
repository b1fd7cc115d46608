"""report.py owns reports of gpusize-probe as tests need them: plausible ones, whose figures are those that are published of
a part, and any change of one of their members."""
import copy
import csv
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent.parent / "catalog" / "data"
NAMES = {"h200-sxm": "NVIDIA H200", "h100-sxm": "NVIDIA H100 80GB HBM3", "l40s": "NVIDIA L40S",
         "a100-80gb-sxm": "NVIDIA A100-SXM4-80GB"}
CAPABILITY = {"h200-sxm": "9.0", "h100-sxm": "9.0", "l40s": "8.9", "a100-80gb-sxm": "8.0"}


def published(gpu):
    with open(DATA / "calibrations.csv", encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if row["gpu_id"] == gpu)


def facts(gpu):
    with open(DATA / "gpus.csv", encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if row["id"] == gpu)


def number(text):
    return float(text) if text else None


def result(name, unit, value, **shape):
    return {"name": name, "status": "passed", "unit": unit, "value": value, "p10": value * 0.99, "p90": value * 1.01,
            "samples": 64, "discarded": 0, "counted": {"bytes": 1073741824}, "sm_clock_mhz": 1965, "impl": "own",
            "shape": shape, "verified": "checksum", "seconds": 0.11}


def device(gpu, scale=1, driver="580.95.05", clock=1980, key=None, **fit):
    """One of the list `devices`; members of fit take the place of those that are published."""
    row, part = published(gpu), facts(gpu)
    bandwidth = number(part["memory_bandwidth_gb_per_s"])
    read = (number(row["memory_gb_per_s"]) or 0.9 * bandwidth) * scale
    gemm = {"bf16": number(row["fp16_tflops"]), "fp8_e4m3": number(row["fp8_tflops"])}
    gemm = {name: {"peak_tflops": value * scale, "p": 2.1, "slope_tflops_per_m": 3.1, "impl": "cublaslt"}
            for name, value in gemm.items() if value}
    return {
        "device": {"key": key, "model": NAMES[gpu], "pci": {"domain": 0, "bus": 24, "device": 0},
                   "pci_bus_id": "0000:18:00.0", "compute_capability": CAPABILITY[gpu], "sm_count": 132,
                   "memory_total_bytes": int(number(part["memory_nvml_mib"]) * 2**20), "ecc": True, "mig": None,
                   "mps": False, "virtual": False, "driver": driver, "sm_clock_max_mhz": clock, "power_limit_w": 700},
        "conditions": {"before": {"sm_clock_mhz": 345}, "after": {"sm_clock_mhz": 1965}, "shared": False},
        "results": [result("dram_read", "GB/s", read, bytes=1073741824),
                    *(result("gemm", "TFLOP/s", one["peak_tflops"] * 0.97, dtype=name, m=4096, n=8192, k=8192)
                      for name, one in gemm.items())],
        "fit": {"dram_read_gb_per_s": read, "kv_read": {"t0_us": 3.1, "gb_per_s": (number(row["kv_gb_per_s"]) or read) * scale},
                "gemm": gemm, "launch": {"graph_node_us": 1.2},
                "all_reduce": {"8": {"alpha_us": number(row["allreduce_us"]),
                                     "busbw_gb_per_s": number(row["allreduce_gb_per_s"])}}, **fit},
        "status": "passed",
    }


def report(*devices, started_at="2026-11-20T18:00:00Z", **members):
    """A whole report; of an H200 where no device is given."""
    return {"schema": "calibration/1", "status": "passed", "device_kind": "cuda", "started_at": started_at,
            "wall_seconds": 18.4, "probe": {"version": "0.1.0", "build": {"cuda": "13.0.88"}},
            "devices": list(devices or [device("h200-sxm")]), "host": {"cpu": {"triad_gb_per_s": 120}}, **members}


def changed(whole, path, value):
    """A copy with another value at a path such as devices.0.fit.dram_read_gb_per_s."""
    whole = copy.deepcopy(whole)
    *parents, last = path.split(".")
    place = whole
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    return whole
