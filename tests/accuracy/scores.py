#!/usr/bin/python3
"""scores.py owns the scores of gpusize evaluate on reference rows, and the file of what they are expected to be.
`tests/accuracy/scores.py --write` makes expected.json anew, after a change that is meant to move predictions, and
`--write training` expected_training.json."""
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("GPUSIZE_PROGRAM", str(PROJECT / "build" / "release" / "gpusize"))
EXPECTED = Path(__file__).with_name("expected.json")
EXPECTED_TRAINING = Path(__file__).with_name("expected_training.json")
SHARED = PROJECT.parent / "shared" / "data"
SHARED_FILES = [SHARED / "throughput_measured.csv", SHARED / "vllm_memory_h100.csv"]
TRAINING_FILES = [SHARED / f"train_{name}.csv" for name in ("llm_foundry", "megatron_bridge", "finetune_memory")]
BUNDLED = PROJECT / "catalog" / "data" / "measured.csv"

# Tables that are compared, with the least rows of a group: of fewer, a quantile is one or two rows.
TABLES = {"load": 20, "engine+load": 20, "engine+load+dtype": 20, "gpu": 100, "model": 100}
COVERED = ["load", "engine", "gpu", "model", "dtype", "engine+load", "engine+load+dtype"]  # by basis, too
FIGURES = {"median": "median_error_ratio", "p90": "p90_error_ratio", "bias": "median_log_bias",
           "coverage": "interval_coverage_ratio", "width": "median_half_width_ratio"}
LOADS = {"closed-loop": "concurrency", "max-load offline": "saturated", "static batch": "static_batch",
         "batch-1 decode": "decode", "batch-1 prefill": "prefill"}
NOT_NVIDIA = ("MI", "M1", "M2", "M3")
RENAMED = {"model_id": "model", "gpu_id": "gpu", "gpu_count": "gpus_total", "tensor_parallel": "tp",
           "pipeline_parallel": "pp", "expert_parallel": "ep", "weight_dtype": "precision_weights",
           "kv_dtype": "precision_kv", "load": "load_mode", "input_tokens": "isl", "output_tokens": "osl",
           "output_tokens_per_second": "out_tok_s_total", "total_tokens_per_second": "total_tok_s_total"}


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def evaluate(files, folder):
    """The groups of each table, and a line for each figure of each row."""
    predictions = Path(folder) / "predictions.csv"
    tables = [*TABLES, *(f"{table}+basis" for table in COVERED)]
    measured = [argument for file in files for argument in ("--measured", str(file))]
    done = subprocess.run([PROGRAM, "evaluate", *measured, "--by", ",".join(tables), "--predictions", str(predictions),
                           "--json"], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, "DATABASE_URL": "", "GPUSIZE_PROFILES": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    return {one["by"]: one["groups"] for one in answer["groupings"]}, read(predictions)


def bundled_rows(folder):
    """The catalog's own measured rows, in the layout of rows that are evaluated."""
    rows = [{RENAMED.get(name, name): value for name, value in row.items() if name != "e2e_ms"} |
            {"e2e_s": float(row["e2e_ms"]) / 1000 if row["e2e_ms"] else ""} for row in read(BUNDLED)]
    path = Path(folder) / "bundled.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def scores_of(tables):
    """{table: {"group, figure": {"scored": rows, "median": points, …}}}; points are hundredths."""
    scores = {}
    for table, least in TABLES.items():
        scores[table] = {}
        for group in tables[table]:
            if group["scored"] < least or group["metric"] == "fits":
                continue
            figures = {name: round(100 * group[key], 2) for name, key in FIGURES.items() if group.get(key) is not None}
            scores[table][f"{group['key']}, {group['metric']}"] = {"scored": group["scored"], **figures}
    return scores


def scored_lines(predictions, rows):
    """Each compared figure with its load, engine and maker of GPU: what the targets are about."""
    of_row = {row["uid"]: row for row in rows}
    lines = []
    for line in predictions:
        if not line["ape"]:
            continue
        row = of_row.get(line["uid"], {})
        known = bool(line["low"])
        low, high, measured = (float(line[name] or 0) for name in ("low", "high", "measured"))
        lines.append({"load": LOADS.get(row.get("load_mode"), "start"), "engine": row.get("engine", "vLLM"),
                      "nvidia": not row.get("gpu", "").startswith(NOT_NVIDIA), "metric": line["metric"],
                      "fitted": line["basis"] == "fitted", "error": 100 * float(line["ape"]),
                      "width": 100 * ((high / low) ** 0.5 - 1) if known and low > 0 else None,
                      "inside": low <= measured <= high if known else None})
    return lines


def evaluate_training(folder):
    """The report on training, and {(profile, coefficient): value} as fitted."""
    fitted = Path(folder) / "fitted.csv"
    files = [argument for file in TRAINING_FILES for argument in ("--training", str(file))]
    done = subprocess.run([PROGRAM, "evaluate", *files, "--coefficients", str(fitted), "--json"], capture_output=True,
                          text=True, timeout=600, check=False, env={**os.environ, "DATABASE_URL": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), {(row["profile"], row["coefficient"]): float(row["value"]) for row in read(fitted)}


def training_scores(report):
    """{"bundled" or "left out": {"profile gpu h100": {"scored": rows, "median": points, "p90": points}}}"""
    found = {"bundled": {}, "left out": {}}
    for group in report["groups"]:
        for kind in found:
            figures = group[kind.replace(" ", "_")]
            if figures["rows"] >= 10:
                found[kind][f"{group['profile']} {group['by']} {group['group']}"] = {
                    "scored": figures["rows"], "median": round(100 * figures["median_error_ratio"], 2),
                    "p90": round(100 * figures["p90_error_ratio"], 2)}
    return found


def scores_now():
    with tempfile.TemporaryDirectory() as folder:
        now = {"bundled": scores_of(evaluate([bundled_rows(folder)], folder)[0])}
        if SHARED.is_dir():
            now["shared"] = scores_of(evaluate(SHARED_FILES, folder)[0])
    return now


def write_training():
    with tempfile.TemporaryDirectory() as folder:
        found = training_scores(evaluate_training(folder)[0])
    parts = []
    for kind, groups in found.items():
        members = ",\n".join(f"  {json.dumps(name)}: {json.dumps(figures)}" for name, figures in groups.items())
        parts.append(f" {json.dumps(kind)}: {{\n{members}\n }}")
    EXPECTED_TRAINING.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def write():
    kept = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    lines = []
    for source, tables in sorted({**kept, **scores_now()}.items()):
        parts = []
        for table, groups in tables.items():
            members = ",\n".join(f"   {json.dumps(name)}: {json.dumps(figures)}" for name, figures in groups.items())
            parts.append(f"  {json.dumps(table)}: {{\n{members}\n  }}")
        lines.append(f" {json.dumps(source)}: {{\n" + ",\n".join(parts) + "\n }")
    EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    elif sys.argv[1:] == ["--write", "training"]:
        write_training()
    else:
        sys.exit("usage: tests/accuracy/scores.py --write [training]")
