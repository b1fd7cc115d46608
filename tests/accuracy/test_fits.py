"""test_fits.py owns the test that the catalog's engine profiles are what gpusize fit makes of the reference rows, and
that those fits predict what they have not seen. It takes minutes of an optimised build; docs/fit.md has the commands."""
import csv
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import scores  # noqa: E402

JOINT = ["--priors", "physical", "--joint", "--leave-out", "vllm 0.11,vllm 0.12", "--profile", "vllm 0.17,sglang 0.4,tensorrt-llm 0.20"]
TENSORRT = ["--priors", "physical", "--joint", "--prior-width", "2.5", "--profile",
            "tensorrt-llm 0.5,tensorrt-llm 0.10,tensorrt-llm 0.11,tensorrt-llm 0.17"]
VLLM_06 = ["--priors", "physical", "--profile", "vllm 0.6"]
LLAMA = ["--priors", "physical", "--profile", "llama.cpp 0"]
BUNDLED = {"joint": JOINT, "tensorrt": TENSORRT, "vllm_06": VLLM_06, "llama": LLAMA}
LINE = re.compile(r"^  (in fit|without \w+) +(\w+) +(\d+) +([\d.]+) % +([\d.]+) %", re.MULTILINE)
HEADER = re.compile(r"^  without (\w+(?:, calibrated)?) +\w+ +\d+ ")
GROUP = re.compile(r"^    (?P<name>\S+) +(?P<kind>\w+) +(?P<rows>\d+) +(?P<median>[\d.]+) % +[\d.]+ % +(?P<bias>[-+][\d.]+) %"
                   r" +(?P<inside>\d+) % +(?:\d+ %|-)$")
CALIBRATED = {"a100-80gb-sxm", "h100-sxm", "h200-sxm", "l40s", "b200-sxm"}  # in saturated rows and published calibrations
GROUP_ROWS = 10  # with fewer an interval says nothing of the group

# Rows of several fits count by their number. vLLM 0.6 was measured on AMD's GPUs, too: without those rows.
TARGETS = [  # what, fits, kind of error, most at the median and the 90th percentile
    ("fixed concurrency, TPOT", ["joint"], "tpot", 12.5, 40),
    ("fixed concurrency, TTFT", ["joint"], "ttft", 40, math.inf),
    ("saturated", ["joint", "tensorrt"], "saturated", 10.5, 36),
    ("static batches, NVIDIA", ["tensorrt", "nvidia_06"], "static", 8, 25),
]


@pytest.fixture(scope="module", name="folder")
def fit_folder(shared, tmp_path_factory):
    if not scores.SHARED_FILES[0].exists():
        pytest.skip("needs ../shared")
    return tmp_path_factory.mktemp("fits")


def fit(rows, options, output):
    """The overall errors: {("without gpu", "tpot"): (rows, median, p90)}."""
    done = subprocess.run([scores.PROGRAM, "fit", "--measured", str(rows), *options, "--output", str(output)],
                          capture_output=True, text=True, timeout=1800, check=False,
                          env={**os.environ, "DATABASE_URL": "", "GPUSIZE_PROFILES": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    output.with_suffix(".txt").write_text(done.stderr, encoding="utf-8")
    return {(of, kind): (int(count), float(median), float(p90)) for of, kind, count, median, p90 in LINE.findall(done.stderr)}


@pytest.fixture(scope="module", name="errors")
def errors_of_fits(folder):
    rows = scores.read(scores.SHARED_FILES[0])
    nvidia = folder / "nvidia.csv"
    with open(nvidia, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if not row["gpu"].startswith(scores.NOT_NVIDIA))
    found = {name: fit(scores.SHARED_FILES[0], options, folder / f"{name}.csv") for name, options in BUNDLED.items()}
    return {**found, "nvidia_06": fit(nvidia, VLLM_06, folder / "nvidia_06.out")}


def pooled(errors, fits, of, kind):
    parts = [errors[name][of, kind] for name in fits]
    rows = sum(part[0] for part in parts)
    return [sum(part[0] * part[at] for part in parts) / rows for at in (1, 2)]


@pytest.mark.parametrize("of", ["without gpu", "without model"])
@pytest.mark.parametrize("what, fits, kind, most_median, most_p90", TARGETS, ids=[target[0] for target in TARGETS])
def test_what_a_fit_has_not_seen(errors, of, what, fits, kind, most_median, most_p90):
    median, p90 = pooled(errors, fits, of, kind)
    assert median <= most_median and p90 <= most_p90, f"{what} {of}: {median:.1f} / {p90:.1f} %"


def groups_without(text, key):
    """What a summary says of the groups of a key that were left out; "gpu, calibrated": as if they had been."""
    groups, of = [], None
    for line in text.split("\n"):
        header = HEADER.match(line)
        of = header[1] if header else of
        match = GROUP.match(line)
        if match and of == key and int(match["rows"]) >= GROUP_ROWS:
            groups.append({"name": match["name"], "kind": match["kind"], "rows": int(match["rows"]),
                           "median": float(match["median"]), "bias": float(match["bias"]), "inside": int(match["inside"])})
    return groups


@pytest.mark.parametrize("key, least", [("gpu", 60), ("model", 55)])
def test_intervals_hold_of_groups_that_were_left_out(errors, folder, key, least):
    assert errors
    groups = [group for name in BUNDLED
              for group in groups_without((folder / f"{name}.txt").read_text(encoding="utf-8"), key)]
    assert len(groups) >= least
    worst = min(groups, key=lambda group: group["inside"])
    assert worst["inside"] >= 65, worst
    assert sum(group["inside"] for group in groups) / len(groups) >= 85


def saturated(folder, key):
    """{GPU: (median error, bias)} over the fits, by rows."""
    sums = {}
    for name in ("joint", "tensorrt"):
        for group in groups_without((folder / f"{name}.txt").read_text(encoding="utf-8"), key):
            if group["kind"] == "saturated" and group["name"] in CALIBRATED:
                rows, median, bias = sums.get(group["name"], (0, 0, 0))
                sums[group["name"]] = (rows + group["rows"], median + group["rows"] * group["median"],
                                       bias + group["rows"] * group["bias"])
    return {gpu: (median / rows, bias / rows) for gpu, (rows, median, bias) in sums.items()}


def factors(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {(row["engine"], row["version_from"], row["coefficient"]): float(row["value"])
                for row in csv.DictReader(file) if row["coefficient"].startswith("saturated_") and not row["load"]}


def test_a_calibration_helps_a_gpu_that_a_fit_has_not_seen(errors, folder):
    """Each of these GPUs is left out of the fit, and given its published kernels as a calibration."""
    assert errors
    before, after = saturated(folder, "gpu"), saturated(folder, "gpu, calibrated")
    assert set(before) == set(after) == CALIBRATED
    biases = [sum(abs(bias) for _, bias in figures.values()) / len(figures) for figures in (before, after)]
    assert biases[1] <= biases[0] / 2, biases
    worse = {gpu: (before[gpu][0], after[gpu][0]) for gpu in before if after[gpu][0] > before[gpu][0] + 1}
    assert not worse
    narrower = []
    for name in ("joint", "tensorrt"):
        text = (folder / f"{name}.txt").read_text(encoding="utf-8")
        inside = [group["inside"] for group in groups_without(text, "gpu, calibrated") if group["kind"] == "saturated"]
        assert sum(inside) / len(inside) >= 88
        widths = factors(folder / f"{name}.csv")
        calibrated = [key for key in widths if key[2] == "saturated_calibrated_factor"]
        assert calibrated
        for engine, version, _ in calibrated:
            wide, narrow = (math.log(widths[engine, version, f"saturated_{of}_factor"]) for of in ("extrapolated", "calibrated"))
            narrower.append(narrow / wide)
    assert len(narrower) == 4 and max(narrower) < 1 and sum(narrower) / len(narrower) <= 0.9, narrower


def test_the_catalog_is_what_fits_make(errors, folder):
    """By the tool that puts fits into the catalog: nobody edits figures by hand."""
    spec = importlib.util.spec_from_file_location("merge_profiles", scores.PROJECT / "tools" / "merge_profiles.py")
    merge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(merge)
    bundled, merge.CATALOG = merge.CATALOG, folder / "engine_profiles.csv"
    shutil.copy(bundled, merge.CATALOG)
    merge.main([folder / f"{name}.csv" for name in BUNDLED])
    known, made = ({merge.key_of(row): row["value"] for row in merge.read(path)} for path in (bundled, merge.CATALOG))
    assert set(known) == set(made)
    differ = [f"{key}: {known[key]}, a fit makes {made[key]}" for key in known if known[key] != made[key] and
              (key[1] == "inherits" or not math.isclose(float(known[key]), float(made[key]), rel_tol=1e-3))]
    assert not differ, "\n".join(differ)
