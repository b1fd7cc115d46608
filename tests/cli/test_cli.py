"""The command line: the program itself, as a person or a script calls it."""
import json
import os
import shlex
import signal
import struct
import subprocess
import urllib.request

import pytest

PROGRAM = os.environ["GPUSIZE_PROGRAM"]
QUESTION = ["--model", "meta-llama/Llama-3.1-70B-Instruct", "--rps", "5", "--budget", "100000", "--as-of", "2026-11-23"]


def run(*arguments, env=None, status=0):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=120,
                            env={**os.environ, "LANG": "C.UTF-8", **(env or {})}, check=False)
    result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


def test_recommend_shows_a_table_bars_and_commands():
    text = run("recommend", *QUESTION).stdout
    assert text.splitlines()[0].split()[:3] == ["#", "GPU", "count"]
    assert "█ weights" in text and "Why: " in text and "Start: vllm serve 'meta-llama/Llama-3.1-70B-Instruct'" in text


def test_bars_are_ascii_where_the_terminal_is():
    text = run("recommend", *QUESTION, env={"LC_ALL": "C"}).stdout
    assert "# weights" in text and "█" not in text


def test_json_is_the_answer_of_http_byte_for_byte():
    server = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--access-log", "0"], stderr=subprocess.PIPE, text=True)
    try:
        address = next(line.split()[-1] for line in server.stderr if line.startswith("listening on "))
        query = "model=meta-llama/Llama-3.1-70B-Instruct&rps=5&budget=100000&as_of=2026-11-23"
        for path, options in [("/v1/recommend", ["--json"]), ("/v1/recommend.csv", ["--format", "csv"]),
                              ("/v1/recommend.xml", ["--format", "xml"])]:
            body = urllib.request.urlopen(f"{address}{path}?{query}", timeout=30).read().decode()
            assert run("recommend", *QUESTION, *options).stdout.rstrip("\n") == body.rstrip("\n")
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def test_one_value_for_a_script():
    assert int(run("recommend", *QUESTION, "--field", "recommended.gpu_count").stdout) > 0
    assert run("recommend", *QUESTION, "--format", "txt", "--field", "recommended.nothing", status=2).stdout == ""


def test_nothing_fits_is_status_1_and_says_what_would():
    text = run("recommend", "--weights-gb", "140", "--estimator", "article", "--throughput-tokens-per-second", "100",
               "--budget", "100000", status=1).stdout
    assert text.startswith("Nothing fits.") and "230080" in text and "43.344" in text and "98934.40" in text


TRAINING = ["training", "--model", "llama-3.1-8b", "--method", "lora", "--training-tokens", "1e8", "--as-of", "2026-11-29"]


def test_training_shows_the_plan_and_what_it_costs_to_rent_and_to_own():
    lines = run(*TRAINING, "--deadline-hours", "24", "--budget", "500").stdout.splitlines()
    assert lines[0].split()[:2] == ["GPU", "count"] and "█ weights" in lines[4]
    assert any(line.startswith("on_demand ") for line in lines) and any(line.startswith("owned ") for line in lines)
    assert sum(" outranked " in line for line in lines) == 6 and any(line.endswith(" more with --json") for line in lines)
    gpu = run(*TRAINING, "--deadline-hours", "24", "--budget", "500", "--field", "plan.gpu").stdout.strip()
    assert lines[1].split()[0] == gpu


def test_training_that_is_not_possible_is_status_1_and_says_what_would_be():
    text = run(*TRAINING, "--budget", "0.01", status=1).stdout
    assert text.startswith("Nothing fits.") and " budget " in text and "  - budget_usd " in text
    text = run(*TRAINING, "--gpu", "rtx-3060-12gb", "--gpu-count", "1", status=1).stdout
    assert text.startswith("Nothing fits.") and "surely fits: false" in text and " memory " in text


def test_training_without_a_price_is_sized():
    text = run(*TRAINING, "--gpu", "h800-sxm", "--gpu-count", "8").stdout
    assert "h800-sxm" in text.splitlines()[1] and "surely fits: true" in text and "on_demand" not in text


def test_training_by_the_article():
    text = run("training", "--model", "7B", "--estimator", "article").stdout
    for words in ("Parameters: 13.04 GiB", "Gradients: 13.04 GiB", "Optimizer: 26.08 GiB", "Activations: 19.56 GiB",
                  "Total: 71.71 GiB"):
        assert words in text


def test_training_examples_of_the_help_work():
    text = run("help", "training").stdout
    examples = [line.strip() for line in text.splitlines() if line.startswith("  gpusize training")]
    assert len(examples) >= 5
    for example in examples:
        assert run(*shlex.split(example)[1:]).stdout


def test_every_bad_field_is_named():
    errors = run("recommend", "--model", "Lama-3.1-70b", "--rps", "-5", "--gpus", "h10", "--engine", "vlm", "--regions",
                 "mars", "--weight-dtype", "fp7", "--budgt", "3", status=2).stderr
    for field in ["model", "workload.requests_per_second", "constraints.gpus", "serving.engine", "constraints.regions",
                  "serving.weight_dtype", "budgt"]:
        assert f"gpusize: {field}" in errors, errors


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["recommend", "model"], ["recommend", "--model"],
                                       ["recommend", "--json=1"], ["recommend", "--model", "x", "--format", "pdf"],
                                       ["serve", "--port", "99999"], ["serve", "--prt", "1"], ["completion"],
                                       ["recommend", "--config", "/nonexistent"], ["help", "nonsense"]])
def test_wrong_usage_is_status_2(arguments):
    assert run(*arguments, status=2).stderr or not arguments


def gguf(name, *rows):
    """A header with one tensor: rows are (key, number)."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()
    keys = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    keys += [text(key) + struct.pack("<II", 4, number) for key, number in rows]
    tensor = text(name) + struct.pack("<IQQIQ", 2, 4096, 1000, 12, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 1, len(keys)) + b"".join(keys) + tensor


def test_weights_of_a_file(tmp_path):
    path = tmp_path / "model.gguf"
    header = gguf("token_embd.weight", ("llama.block_count", 2), ("llama.embedding_length", 4096),
                  ("llama.attention.head_count", 32), ("llama.context_length", 4096))
    path.write_bytes(header + b"\0" * 4096)
    ask = ["memory", "--weights", str(path), "--gpu", "l40s", "--engine", "llama.cpp", "--json"]
    answer = json.loads(run(*ask).stdout)
    assert answer["model"]["parameters"] == 4096000 and answer["model"]["layers"] == 2
    path.write_bytes(header[:60])
    assert "cut short" in run(*ask, status=2).stderr
    index = tmp_path / "model.safetensors.index.json"
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
                                  "num_attention_heads": 32, "intermediate_size": 14336}), encoding="utf-8")
    index.write_text(json.dumps({"metadata": {"total_size": 2 * 10**10}, "weight_map": {}}), encoding="utf-8")
    ask = ["memory", "--config", str(config), "--gpu", "l40s", "--json", "--weights"]
    assert json.loads(run(*ask, str(index)).stdout)["memory"]["weights_gib"] == pytest.approx(2e10 / 2**30, rel=0.01)
    entry = {"dtype": "BF16", "shape": [4096, 2000000], "data_offsets": [0, 16384000000]}
    text = json.dumps({"model.layers.0.mlp.up_proj.weight": entry}).encode()
    shard, whole = tmp_path / "model-00001-of-00002.safetensors", tmp_path / "model.safetensors"
    for file in (shard, whole):
        file.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 100)
    assert json.loads(run(*ask, str(whole)).stdout)["memory"]["weights_gib"] == pytest.approx(15.26, rel=0.01)
    assert "one of several files" in run(*ask, str(shard), status=2).stderr
    assert "cannot be read" in run(*ask, "/nonexistent", status=2).stderr
    assert "no .gguf file" in run(*ask, "/bin/sh", status=2).stderr


def test_config_of_an_own_model(tmp_path):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
              "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
              "max_position_embeddings": 131072, "torch_dtype": "bfloat16"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    answer = json.loads(run("memory", "--config", str(path), "--gpu", "l40s", "--json").stdout)
    assert answer["model"]["parameters"] == 8030261248 and answer["fits"] is True
    path.write_text(json.dumps({**config, "num_hidden_layers": None}), encoding="utf-8")
    assert "num_hidden_layers" in run("memory", "--config", str(path), "--gpu", "l40s", status=2).stderr


@pytest.mark.parametrize("command", ["recommend", "memory", "throughput", "cost", "gpus", "models", "engines", "offers"])
def test_help_teaches_by_example(command):
    text = run(command, "--help").stdout
    assert f"gpusize {command}" in text and "--json" in text
    examples = [line.split() for line in text.split("Examples:")[1].split("\n\n")[0].splitlines() if line.strip()]
    for example in examples:
        result = subprocess.run([PROGRAM, *example[1:]], capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode in (0, 1), (example, result.stderr)
        assert result.stdout


def test_help_is_found():
    assert run("help", "memory").stdout == run("memory", "--help").stdout == run("memory", "-h").stdout
    assert run("help", "serve").stdout == run("serve", "--help").stdout
    assert run("help", "offers-history").stdout == run("offers-history", "--help").stdout
    assert "bash" in run("help", "completion").stdout
    assert run("help").stdout == run("--help").stdout == run("-h").stdout
    assert "json, csv, xml or txt" in run("gpus", "--format", "pdf", status=2).stderr


def test_a_table_says_what_it_leaves_out():
    assert run("gpus").stdout.endswith("\n100 of 108: more with --limit 1000 or another --cursor\n")
    assert " of " not in run("gpus", "--limit", "1000").stdout.splitlines()[-1]
    assert " of " not in run("offers", "--gpu", "l40s").stdout.splitlines()[-1]


@pytest.mark.parametrize("command", ["memory", "serve", "migrate", "import", "evaluate", "fit", "replay", "key", "completion"])
def test_help_about_a_command_is_its_own(command):
    assert run("help", command).stdout == run(command, "--help").stdout
    assert f"Usage: gpusize {command}" in run("help", command).stdout


def test_options_that_are_barred_say_why():
    """Else they read as if they could be recommended, under "Nothing fits" of all things."""
    barred = run("recommend", *QUESTION, "--min-basis", "measured", status=1).stdout.splitlines()
    assert barred[1].endswith("barred by") and barred[2].endswith("basis")
    assert "barred" not in run("recommend", *QUESTION).stdout


def test_lists_are_tables():
    assert "h100-sxm" in run("gpus").stdout
    assert "meta-llama/Llama-3.1-70B-Instruct" in run("models", "--q", "llama-3.1-70b").stdout
    assert "vllm" in run("engines").stdout
    assert "on_demand" in run("offers", "--gpu", "h100-sxm").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    script = run("completion", shell).stdout
    assert "recommend" in script and "budget-usd" in script
    if shell == "bash":
        path = tmp_path / "completion"
        path.write_text(script + 'COMP_WORDS=(gpusize rec) COMP_CWORD=1; _gpusize; echo "${COMPREPLY[*]}"\n')
        assert subprocess.run(["bash", str(path)], capture_output=True, text=True, check=True).stdout.strip() == "recommend"


def test_settings_by_flag_environment_and_file(tmp_path):
    settings = tmp_path / "settings"
    settings.write_text("# a comment\nport = 1\nqueue-max = 0\nnonsense = 3\n")
    errors = run("serve", "--settings-file", str(settings), "--threads", "many", env={"GPUSIZE_DRAIN_S": "-1"},
                 status=2).stderr
    for part in ["queue_max", "line 4", "threads", "drain_s"]:
        assert part in errors
    assert "port" not in errors
    assert "GPUSIZE_PORT" in run("serve", "--help").stdout


def test_a_list_that_is_too_long_is_refused():
    """And not cut: a proxy that is left out would be the address of all who come through it."""
    proxies = ",".join(f"10.0.0.{i}" for i in range(17))
    errors = run("serve", "--port", "0", "--trusted-proxies", proxies, "--allowed-hosts", proxies, status=2).stderr
    assert "trusted_proxies: has more than 16 entries" in errors and "allowed_hosts: has more than 16" in errors


@pytest.mark.parametrize("arguments, said", [
    (["key"], "create, list or revoke"),
    (["key", "create", "procurement", "--name", "x"], "procurement: create takes options only"),
    (["key", "list", "x"], "x: list takes options only"),
    (["key", "revoke", "x", "y"], "y: is no setting"),
    (["migrate", "--check", "--dry-run"], "give one of --check and --dry-run"),
    (["migrate", "--check=yes"], "--check: takes no value"),
    (["migrate", "up"], "up: is no setting"),
])
def test_arguments_that_are_refused(arguments, said):
    assert said in run(*arguments, "--database-url", "postgresql:///nowhere", status=2).stderr


def test_a_full_disk_is_told():
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([PROGRAM, "recommend", *QUESTION, "--json"], stdout=full, stderr=subprocess.PIPE, text=True,
                                timeout=60, check=False)
    assert result.returncode == 3 and "cannot be written" in result.stderr


def test_a_taken_port_is_told():
    first = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--access-log", "0"], stderr=subprocess.PIPE, text=True)
    try:
        address = next(line.split()[-1] for line in first.stderr if line.startswith("listening on "))
        assert "port" in run("serve", "--port", address.rsplit(":", 1)[1], status=3).stderr
    finally:
        first.terminate()
        first.wait(timeout=30)
        first.stderr.close()


def test_same_question_same_bytes():
    answers = {run("recommend", *QUESTION, "--json").stdout for _ in range(2)}
    assert len(answers) == 1
