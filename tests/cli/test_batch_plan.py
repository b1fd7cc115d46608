"""gpusize batch-plan: traces from files and from standard input, what is wrong with them, and the table."""
import csv
import io
import json
import os
import subprocess

import pytest

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
QUESTION = ["batch-plan", "--model", "llama-3.1-8b", "--gpu", "l40s"]


def run(*arguments, status=0, stdin=b""):
    result = subprocess.run([PROGRAM, *QUESTION, *map(str, arguments)], input=stdin, capture_output=True, timeout=120,
                            env={**os.environ, "LANG": "C.UTF-8", "DATABASE_URL": ""}, check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result.stdout.decode(), result.stderr.decode()


def lines(count, broken=0):
    text = [json.dumps({"id": f"r{number}", "input_tokens": 16 + number * 7919 % 4000, "output_tokens": 64})
            for number in range(1, count + 1)]
    if broken:
        text[broken - 1] = text[broken - 1][:20]
    return ("\n".join(text) + "\n").encode()


@pytest.fixture(scope="module", name="trace")
def trace_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "requests.jsonl"
    path.write_bytes(lines(100_000))
    return path


def test_a_file_and_standard_input_are_the_same(trace):
    from_file, _ = run("--trace", trace, "--json")
    from_pipe, _ = run("--trace", "-", "--json", stdin=trace.read_bytes())
    assert from_file == from_pipe
    assert json.loads(from_file)["trace"]["request_count"] == 100_000


def test_the_batch_of_each_request_as_rows(trace):
    rows = list(csv.DictReader(io.StringIO(run("--trace", trace, "--assignments", "true", "--format", "csv")[0])))
    assert len(rows) == 100_000 and rows[57380]["id"] == "r57381"
    assert all(int(row["batch"]) >= 1 for row in rows)


def test_a_broken_line_is_named():
    _, errors = run("--trace", "-", stdin=lines(60_000, broken=57_381), status=2)
    assert errors.startswith("gpusize: line 57381: ") and errors.count("\n") == 1


def test_what_is_no_trace():
    assert "cannot be read" in run("--trace", "/nonexistent", status=2)[1]
    assert "is empty" in run("--trace", "-", status=2)[1]
    assert "100001 requests are more than 100000" in run("--trace", "-", stdin=lines(100_001), status=2)[1]
    assert "no text of at most" in run("--trace", "-", stdin=b"\0", status=2)[1]
    assert "--trace needs a value" in run("--trace", status=2)[1]


def test_tables_for_people():
    text, _ = run("--requests", "1024:256,3000:500,120:40,9000:10", "--assignments", "true")
    assert "Best batch size: " in text and "that fit no batch: 1" in text and "because: context_too_long" in text
    assert "batch " in text and "best_fit_decreasing" in text and text.rstrip().splitlines()[-1].split() == ["4"]
    curve, _ = run("--tpot-ms", 50)
    assert "bound by latency" in curve and "TPOT ms" in curve and "best_fit" not in curve


def test_help_teaches():
    text = run("--help")[0]
    for words in ("--trace FILE", "--requests", "--assignments", "--trace - ", "--estimator article"):
        assert words in text
    other = subprocess.run([PROGRAM, "memory", "--help"], capture_output=True, timeout=60, check=True).stdout.decode()
    assert "--trace" not in other


def test_the_article():
    text, _ = run("--requests", "1024:256,3000:500", "--estimator", "article")
    assert "greedy_ascending" in text and "best_fit" not in text
