"""test_fit.py owns the tests of gpusize fit, and of the profiles that it writes where they are used."""
import csv
import json
import os
import subprocess

import pytest

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
COLUMNS = "uid,source,engine,engine_version,model,precision_weights,gpu,gpus_total,isl,osl,concurrency,load_mode,tpot_ms,ttft_ms"
QUESTION = ["throughput", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--engine-version", "0.19", "--load", "concurrency",
            "--concurrency", "16", "--json"]


def run(*arguments, status=0, env=None):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                            env={**os.environ, "DATABASE_URL": "", **(env or {})}, check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


def write_rows(path, count=48, version="0.19.1"):
    """A host that is slower than the catalog's: launches take long."""
    lines = [COLUMNS]
    for i in range(count):
        gpus, tokens, concurrency = (1, 2)[i % 2], (256, 1024, 2048)[i // 2 % 3], 2 ** (i // 6 % 8)
        tpot = 11 / gpus + 3 * gpus + 0.05 * concurrency * (1 + tokens / 2048) * (1 + 0.02 * (-1) ** (i // 3))
        lines.append(f"{i},our bench,vllm,{version},Llama-3.1-8B,bf16,H100-SXM-80GB,{gpus},{tokens},256,{concurrency},"
                     f"closed-loop,{tpot:.4f},{40 + tokens / 20 + concurrency:.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def median_error(rows, *options):
    answer = json.loads(run("evaluate", "--measured", rows, "--by", "load", "--json", *options).stdout)
    return {group["metric"]: group["median_error_ratio"] for group in answer["groupings"][0]["groups"]}


@pytest.fixture(scope="module", name="fitted")
def fitted_profile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    rows, profile = write_rows(folder / "rows.csv"), folder / "own.csv"
    result = run("fit", "--measured", rows, "--output", profile, "--as-of", "2026-11-28")
    assert result.stdout == "" and "\r" not in result.stderr  # progress is for terminals
    return rows, profile, result.stderr


def test_a_fitted_profile_is_nearer(fitted):
    rows, profile, summary = fitted
    before, after = median_error(rows), median_error(rows, "--profiles", profile)
    assert after["tpot_ms"] < before["tpot_ms"] / 3 and after["ttft_ms"] < before["ttft_ms"]
    assert "vllm 0.17: 48 rows of 48 configurations" in summary
    assert "layer_us" in summary and "kept: no row tells it" in summary
    assert "without version" not in summary and "without gpu" not in summary  # there is one of each


def test_the_rows_of_a_profile(fitted):
    _, profile, _ = fitted
    with open(profile, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["coefficient"] == "inherits" and rows[0]["value"] == "vllm 0.17"
    assert {row["engine"] + row["version_from"] + row["version_to"] for row in rows} == {"vllm0.170.20"}
    assert {row["as_of"] for row in rows} == {"2026-11-28"}
    values = {row["coefficient"]: float(row["value"]) for row in rows[1:] if not row["load"]}
    assert values["layer_us"] > 15
    group = {row["coefficient"]: float(row["value"]) for row in rows if row["load"]}
    assert {(row["load"], row["gpu"], row["family"], row["weight_dtype"]) for row in rows if row["load"]} == {
        ("served", "h100-sxm", "Llama 3.1 8.0B", "bf16")}
    assert group["rows"] == 48 and 1 < group["time_factor"] < 1.3 and 1 < group["ttft_factor"] < 2
    assert 0.9 < group["time_ratio"] < 1.1
    assert "amd_compute_ratio" not in values and "tpot_extrapolated_factor" not in values
    assert "48 rows of 48 configurations (our bench) of vllm 0.17; median and p90 of tpot of 48 rows:" in rows[0]["source"]
    assert "seed 1" in rows[1]["source"]


def test_same_seed_same_bytes(fitted):
    rows, profile, _ = fitted
    again = run("fit", "--measured", rows, "--as-of", "2026-11-28", "--threads", "1").stdout
    assert again == profile.read_text(encoding="utf-8")
    assert run("fit", "--measured", rows, "--as-of", "2026-11-28", "--seed", "2").stdout != again


def test_a_range_of_its_own(fitted, tmp_path):
    rows, _, _ = fitted
    own = tmp_path / "own.csv"
    run("fit", "--measured", rows, "--cross-validate", "none", "--version-from", "0.19", "--version-to", "0.19",
        "--output", own)
    assert "\nvllm,0.19,0.19,layer_us," in own.read_text(encoding="utf-8")
    other = [*QUESTION]
    other[other.index("0.19")] = "0.18"
    plain, laid_over = tpot_and_id(run(*other).stdout), tpot_and_id(run(*other, "--profiles", own).stdout)
    assert plain[0] == laid_over[0] and plain[1] != laid_over[1]
    assert median_error(rows, "--profiles", own)["tpot_ms"] < 0.05


def tpot_and_id(text):
    answer = json.loads(text)
    return find(answer, "tpot_ms")["value"], answer["catalog_version"]


def find(answer, name):
    """The first member of that name, wherever it is."""
    if isinstance(answer, dict):
        if name in answer:
            return answer[name]
        answer = list(answer.values())
    for value in answer if isinstance(answer, list) else []:
        found = find(value, name)
        if found is not None:
            return found
    return None


def test_questions_and_the_service_use_it(fitted, start_service):
    _, profile, _ = fitted
    plain, own = run(*QUESTION).stdout, run(*QUESTION, "--profiles", profile).stdout
    assert tpot_and_id(own)[0] > tpot_and_id(plain)[0] * 1.3
    assert tpot_and_id(own)[1] != tpot_and_id(plain)[1]
    assert find(json.loads(own), "engine_profile")["source"].startswith("48 rows of 48 configurations (our bench)")
    assert run(*QUESTION, env={"GPUSIZE_PROFILES": str(profile)}).stdout == own
    service = start_service("--access-log", "0", "--profiles", str(profile), env={**os.environ, "DATABASE_URL": ""})
    query = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "engine_version": "0.19", "load": "concurrency", "concurrency": 16}
    assert service.call("GET", "/v1/throughput", query=query).text.rstrip("\n") == own.rstrip("\n")


@pytest.mark.parametrize("text, said", [
    ("engine,version_from\n", "own.csv:1 version_to: is missing"),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,0.20,layer_us,fast,us,2026\n",
     "own.csv:2 value: is not a number"),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,0.20,speed,1,us,2026\n",
     'own.csv:2 coefficient: there is no coefficient "speed"'),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,0.20,layer_us,-1,us,2026\n",
     "own.csv:2 value: must be 0 to 1e9"),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,0.20,dense_bandwidth_ratio,1.2,us,2026\n",
     "own.csv:2 value: is a share"),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,0.20,ttft_extrapolated_factor,0.9,us,2026\n",
     "own.csv:2 value: is a factor of an interval"),
    ("engine,version_from,version_to,coefficient,value,source,as_of\nvllm,0.17,,layer_us,11,us,2026\n"
     "vllm,0.17,0.20,layer_us,12,us,2026\n", "own.csv:3 coefficient: the same as line 2"),
])
def test_bad_profiles_name_line_and_column(tmp_path, text, said):
    (tmp_path / "own.csv").write_text(text, encoding="utf-8")
    for command in (QUESTION, ["serve", "--port", "0"]):
        assert said in run(*command, "--profiles", tmp_path / "own.csv", status=2).stderr


@pytest.mark.parametrize("options, said", [
    ([], "measured: say which rows"),
    (["--measured", "ROWS", "--priors", "none"], "--priors: 'none' is not profile or physical"),
    (["--measured", "ROWS", "--prior-width", "0"], "--prior-width: '0' is not above 0"),
    (["--measured", "ROWS", "--cross-validate", "gpu,colour"], "--cross-validate: 'colour' is not a list of"),
    (["--measured", "ROWS", "--seed", "-1"], "--seed: '-1' is no whole number from 0"),
    (["--measured", "ROWS", "--threads", "0"], "--threads: '0' is no whole number from 1 to 16"),
    (["--measured", "ROWS", "--as-of", "today"], "--as-of: 'today' is not a day"),
    (["--measured", "ROWS", "--version-to", "0.20"], "--version-from: say where the range begins"),
    (["--measured", "ROWS", "--version-from", "new"], "--version-from: 'new' is not a version"),
    (["--measured", "ROWS", "--version-from", "0.19", "--version-to", "0.18"], "--version-to: '0.18' is not a version from"),
    (["--measured", "ROWS", "--profile", "vlm 0.17"], '--profile: there is no engine "vlm"'),
    (["--measured", "ROWS", "--leave-out", "vllm 0.19,vllm 0.3"], "--leave-out: no row is of 'vllm 0.3'"),
    (["--measured", "ROWS", "--leave-out", "vllm 0.19"], "measured: not one of"),
    (["--measured", "ROWS", "--profile", "sglang 0.5"], "0 usable rows of sglang 0.4"),
    (["--measured", "ROWS", "--quick"], "--quick: is no setting; see gpusize fit --help"),
    (["--measured", "nowhere.csv"], "nowhere.csv"),
])
def test_arguments_that_are_refused(fitted, options, said):
    rows = [str(fitted[0]) if option == "ROWS" else option for option in options]
    assert said in run("fit", *rows, status=2).stderr


def test_two_rows_are_too_few(tmp_path):
    said = run("fit", "--measured", write_rows(tmp_path / "two.csv", count=2), status=2).stderr
    assert "2 usable rows of vllm 0.17, 0 left out: a fit needs at least 3" in said


def test_rows_that_cannot_be_predicted_are_counted(tmp_path):
    rows = write_rows(tmp_path / "rows.csv", count=12)
    rows.write_text(rows.read_text(encoding="utf-8").replace("\n3,our bench,vllm", "\n3,our bench,warp"), encoding="utf-8")
    said = run("fit", "--measured", rows, "--cross-validate", "none").stderr
    assert "1 of 12 rows are left out, or cannot be predicted" in said and "vllm 0.17: 11 rows" in said


def test_several_profiles_and_a_range_are_refused(tmp_path):
    rows = write_rows(tmp_path / "a.csv", count=6), write_rows(tmp_path / "b.csv", count=6, version="0.6.1")
    said = run("fit", "--measured", rows[0], "--measured", rows[1], "--version-from", "0.19", status=2).stderr
    assert "--version-from: the rows are of 2 profiles: say which one with --profile" in said
    both = run("fit", "--measured", rows[0], "--measured", rows[1], "--cross-validate", "none").stdout
    assert "\nvllm,0.17,0.20,inherits" in both and "\nvllm,0.6,0.8,inherits" in both and both.count("engine,version_from") == 1


def test_a_database_and_profiles_contradict_each_other(fitted):
    said = run(*QUESTION, "--profiles", fitted[1], "--database-url", "postgresql:///nowhere", status=2).stderr
    assert "profiles: a file of profiles lies over the built-in catalog only" in said


def test_help():
    text = run("fit", "--help").stdout
    for option in ["--measured FILE", "--joint", "--cross-validate KEYS", "--version-from TEXT", "--profiles"]:
        assert option in text
