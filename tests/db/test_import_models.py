"""test_import_models.py owns the tests of gpusize import model: config.json files become models that answers know."""
import hashlib
import json

from configs import LLAMA
from live import await_ready
from prices import VERSIONS
from waiting import LIMIT_S

CURRENT = "to_version is null and config is not null"


def write(path, **changes):
    path.write_text(json.dumps({**LLAMA, **changes}).replace('"NaN"', "NaN"))
    return path


def test_a_model_of_ones_own_is_known_everywhere(run, sql, database, serve, tmp_path):
    file = write(tmp_path / "config.json", rope_theta="NaN")
    report = run("model", file, "--id", "acme/Small-1", "--source", "our hub", "--as-of", "2026-11-02")
    assert report["written_rows"] == 1 and report["models"][0]["parameters"] == 1235814400
    assert report["models"][0]["config_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    row = sql(f"select id, family, layers, source, as_of, config ->> 'rope_theta' is null, config ->> 'vocab_size'"
              f" from gpusize.model where {CURRENT}")
    assert row == "acme/Small-1|llama|16|our hub|2026-11-02|t|128256"
    service = serve(database)
    await_ready(service, "ready")
    answer = service.call("GET", "/v1/memory", query={"model": "acme/small-1", "gpu": "l4"})
    assert answer.status == 200 and answer.json["model"]["id"] == "acme/Small-1"


def test_the_same_again_writes_nothing(run, sql, tmp_path):
    file = write(tmp_path / "acme--Small.json")
    assert run("model", file)["written_rows"] == 1
    versions = sql(VERSIONS)
    assert run("model", file)["written_rows"] == 0
    assert sql(VERSIONS) == versions
    assert run("model", write(file, num_hidden_layers=17))["written_rows"] == 1
    assert sql(f"select layers, source from gpusize.model where {CURRENT}") == "17|model acme--Small.json"


def test_a_refused_file_does_not_stop_the_others(start, sql, tmp_path):
    files = [write(tmp_path / "acme--one.json"), write(tmp_path / "acme__two.json"),
             write(tmp_path / "acme--bad.json", num_hidden_layers=-1), write(tmp_path / "noname.json"),
             write(tmp_path / "Acme--ONE.json"), tmp_path / "acme--absent.json"]
    process = start("model", *files)
    out, error = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2 and "2 models read, 2 of them new or changed; 4 files refused" in out
    assert sql(f"select string_agg(id, ' ' order by id) from gpusize.model where {CURRENT}") == "acme/one acme/two"
    for file, reason in zip(files[2:], ["num_hidden_layers", "give --id org/name", "an earlier file", "cannot be read"]):
        assert reason in error[error.index(f"{file} is refused"):].split("\n")[1], error


def test_what_is_refused(run, sql, tmp_path):
    one, two = write(tmp_path / "acme--one.json"), write(tmp_path / "acme--two.json")
    assert "say which" in run("model", status=2)
    assert "one id for 2 files" in run("model", one, two, "--id", "acme/x", status=2)
    assert "no such field" in run("model", one, "--provider", "acme", status=2)
    assert "models come from files" in run("model", "--fetch", "http://127.0.0.1/", status=2)
    assert "is no name" in run("model", one, "--id", "acme/\u00fc", status=2)
    assert "only a model has one" in run("csv", one, "--id", "x", status=2)
    assert sql(f"select count(*) from gpusize.model where {CURRENT}") == "0"
