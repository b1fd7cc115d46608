"""test_training.py owns the test that predictions of training stay as near to measured runs as they are, that the catalog's
coefficients are what the fit makes of them, and the targets that a release has to meet."""
import csv
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import scores  # noqa: E402

NOISE = {"median": (1.05, 0.3), "p90": (1.10, 1)}  # as for serving, test_accuracy.py
MOST_LEFT_OUT = {"median": 12, "p90": 35}  # per cent, without any run of the GPU


@pytest.fixture(scope="module", name="evaluated")
def evaluated_training(shared, tmp_path_factory):
    if not all(file.exists() for file in scores.TRAINING_FILES):
        pytest.skip("needs ../shared")
    return scores.evaluate_training(tmp_path_factory.mktemp("training"))


def worse_groups(found, expected):
    """Each figure that became worse by more than noise, with both values; groups that are gone or have fewer rows."""
    worse = []
    for kind, groups in expected.items():
        for name, figures in groups.items():
            now = found[kind].get(name)
            if now is None or now["scored"] < figures["scored"]:
                worse.append(f"{name}, {kind}: {now['scored'] if now else 'too few'} rows, expected {figures['scored']}")
                continue
            worse += [f"{name}, {kind}: {figure} {now[figure]:g}, expected {figures[figure]:g}"
                      for figure, (ratio, points) in NOISE.items() if now[figure] > figures[figure] * ratio + points]
    return worse


def test_as_expected(evaluated):
    expected = json.loads(scores.EXPECTED_TRAINING.read_text(encoding="utf-8"))
    worse = worse_groups(scores.training_scores(evaluated[0]), expected)
    assert not worse, "\n".join(worse)


def test_a_worse_group_is_named():
    was = {"left out": {"fsdp gpu a100": {"scored": 139, "median": 7.0, "p90": 17.0}}}
    assert worse_groups(was, was) == []
    now = {"left out": {"fsdp gpu a100": {"scored": 139, "median": 7.7, "p90": 19.6}}}
    assert worse_groups(now, was) == ["fsdp gpu a100, left out: median 7.7, expected 7"]
    fewer = {"left out": {"fsdp gpu a100": {"scored": 138, "median": 1.0, "p90": 2.0}}}
    assert worse_groups(fewer, was) == ["fsdp gpu a100, left out: 138 rows, expected 139"]
    assert worse_groups({"left out": {}}, was) == ["fsdp gpu a100, left out: too few rows, expected 139"]


def test_gpus_that_were_left_out(evaluated):
    of_all = {row["coefficients"]: row for row in evaluated[0]["throughput"] if row["profile"] == "all"}["without its GPU"]
    assert of_all["rows"] == 406
    assert 100 * of_all["median_error_ratio"] <= MOST_LEFT_OUT["median"]
    assert 100 * of_all["p90_error_ratio"] <= MOST_LEFT_OUT["p90"]


def test_intervals(evaluated):
    """90 % intervals, of runs in the fit and of GPUs that were left out of it."""
    for row in evaluated[0]["throughput"]:
        if row["coefficients"] != "without its model":
            assert row["interval_coverage_ratio"] >= 0.88, row


def test_memory(evaluated):
    """Of the ten runs that tell what they ran eight are within the interval; the others are too high, and not by much."""
    rows = evaluated[0]["rows_of_memory"]
    assert len(rows) == 10
    outside = [row for row in rows if not row["interval_low_gib"] <= row["measured_gib"] <= row["interval_high_gib"]]
    assert len(outside) <= 2, outside
    assert all(row["measured_gib"] < row["interval_low_gib"] < 1.06 * row["measured_gib"] for row in outside), outside
    assert evaluated[0]["memory"]["median_error_ratio"] <= 0.08


def test_coefficients_are_those_of_the_fit(evaluated):
    path = scores.PROJECT / "catalog" / "data" / "training_profiles.csv"
    with open(path, newline="", encoding="utf-8") as file:
        bundled = {(row["profile"], row["coefficient"]): float(row["value"]) for row in csv.DictReader(file)}
    moved = [f"{name}: {value:g}, bundled {bundled[name]:g}" for name, value in evaluated[1].items()
             if abs(value / bundled[name] - 1) > 0.01]
    assert not moved and len(evaluated[1]) >= 24, "\n".join(moved)
