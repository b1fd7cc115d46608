"""test_host.py owns the tests of what runs without Kubernetes: the units of systemd are hardened and allow what the program
really does, the Dockerfile and compose.yaml are well made, and the image's own scripts ask, upload and measure."""
import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT
from report import device, report
from waiting import await_true

SYSTEMD = PROJECT / "deploy" / "systemd"
UNITS = ["gpusize.service", "gpusize-migrate.service"]
IMAGE = PROJECT / "deploy" / "image"
DOCKERFILE = PROJECT / "deploy" / "Dockerfile"


def call(*command, env=None, status=0):
    done = subprocess.run([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == status, done.stdout
    return done.stdout


# --- systemd ---


def settings_of(unit):
    """{name: [values]}, in their order."""
    found = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", (SYSTEMD / unit).read_text(), re.M):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened(unit):
    said = call("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", SYSTEMD / unit)
    level = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])
    assert level < 2


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_well_made(unit, program, tmp_path):
    """systemd knows every line, once the program is where they say."""
    text = (SYSTEMD / unit).read_text().replace("/usr/local/bin/gpusize", str(program))
    (tmp_path / unit).write_text(text)
    for other in UNITS:
        if other != unit:
            (tmp_path / other).write_text((SYSTEMD / other).read_text().replace("/usr/local/bin/gpusize", str(program)))
    said = call("systemd-analyze", "verify", "--recursive-errors=no", tmp_path / unit)
    assert str(tmp_path) not in said and "Unknown" not in said, said


def test_both_units_are_hardened_alike():
    own = {"CacheDirectory", "CacheDirectoryMode", "SocketBindAllow"}
    service, migrate = (settings_of(unit) for unit in UNITS)
    hardening = [name for name in list(service)[list(service).index("DynamicUser"):] if name not in own | {"WantedBy"}]
    assert len(hardening) > 30
    assert {name: service[name] for name in hardening} == {name: migrate.get(name) for name in hardening}


def allowed_calls(unit):
    """Names of system calls that the unit's filter lets through."""
    listed = {}
    name = None
    for line in call("systemd-analyze", "syscall-filter").splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            listed[name] = set()
        elif word and not word.startswith("#") and name:
            listed[name].add(word)

    def expand(word):
        return set().union(*(expand(one) for one in listed[word])) if word in listed else {word}

    allowed = set()
    for line in settings_of(unit)["SystemCallFilter"]:
        words = set().union(*(expand(word) for word in line.lstrip("~").split()))
        allowed = allowed - words if line.startswith("~") else allowed | words
    return allowed


def test_the_filter_lets_through_what_the_service_does(program, cluster, database, make_key, tmp_path):
    """Every system call of a service that answers, computes, imports, stores and ends, and of a migration."""
    env = {**os.environ, "DATABASE_URL": cluster.url(database), "GPUSIZE_SNAPSHOT_CACHE": str(tmp_path / "catalog")}
    key = make_key(database, "writer")
    seen = tmp_path / "calls"
    call("strace", "-f", "-qq", "-o", tmp_path / "migrate", program, "migrate", env=env)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", str(seen), program, "serve", "--port", "0"], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in tracer.stderr:
        if found := re.search(r"listening on (http://\S+)", line):
            address = found[1]
            break
    (tmp_path / "key").write_text(key)
    (tmp_path / "report").write_text(json.dumps(report(device("h100-sxm"))))
    ask = [IMAGE / "gpusize-http", "--retry", "10"]
    call(*ask, f"{address}/readyz")
    call(*ask, f"{address}/v1/recommend?model=llama-3.1-8b&rps=1&store=true")
    call(*ask, f"{address}/metrics")
    await_true(lambda: subprocess.run([*map(str, ask), "--key-file", str(tmp_path / "key"), "--data", str(tmp_path / "report"),
                                       f"{address}/v1/calibrations"], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL).returncode == 0)
    child = int(open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="ascii").read().split()[0])
    os.kill(child, signal.SIGTERM)
    tracer.stderr.read()
    assert tracer.wait(60) == 0
    for name, unit in (("calls", UNITS[0]), ("migrate", UNITS[1])):
        made = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", (tmp_path / name).read_text(), re.M))
        assert len(made) > 20
        assert made - allowed_calls(unit) == set()


def test_the_sample_of_settings_is_read(program):
    said = subprocess.run([program, "serve", "--settings-file", SYSTEMD / "gpusize.conf", "--threads", "999"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    assert "threads" in said and "gpusize.conf" not in said


# --- image ---


def test_the_dockerfile_is_well_made(tools):
    said = call(tools / "node_modules" / ".bin" / "dockerfile-utils", "lint", DOCKERFILE)
    assert "Error" not in said and "Warning" not in said, said
    text = DOCKERFILE.read_text()
    stages = re.findall(r"^FROM \S+ AS (\w+)$", text, re.M)
    assert stages == ["build", "runtime", "probe", "service"]  # the last is the default
    runtime = text[text.index(" AS runtime"):text.index(" AS probe")]
    assert "USER 10001:10001" in runtime and "HEALTHCHECK" in runtime and 'ENTRYPOINT ["gpusize"]' in runtime
    assert text.rstrip().rsplit("USER", 1)[1].split()[0] == "10001:10001"


def test_libraries_of_the_image_are_those_that_the_program_needs(program):
    """The package of each library that it is linked with directly, but for those of C itself."""
    said = call("readelf", "-d", program)
    wanted = {name for name in re.findall(r"\(NEEDED\).*\[(\S+)\]", said) if not re.match(r"(lib(c|m|gcc_s|asan|ubsan)|ld-linux\S*)\.so", name)}
    packages = re.search(r"runtime\) echo (.*?) ;;", (PROJECT / "scripts" / "lib.sh").read_text(), re.S)[1]
    packages = set(packages.replace("\\\n", " ").split()) - {"ca-certificates"}
    owners = set()
    for name in wanted:
        owners |= {line.split(":")[0] for line in call("dpkg-query", "-S", f"*/{name}").splitlines()}
    assert owners == packages


def test_compose_is_what_compose_reads(tmp_path):
    said = call("docker-compose", "-f", PROJECT / "deploy" / "compose.yaml", "config")
    services = yaml.safe_load(said)["services"]
    for name in ("migrate", "gpusize", "calibrate"):
        one = services[name]
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"] and one["user"] == "10001:10001"
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert not re.search("password|postgres(ql)?://", json.dumps(one["environment"]), re.I)
    assert services["gpusize"]["ports"] in (["127.0.0.1:8080:8080/tcp"], ["127.0.0.1:8080:8080"])
    assert services["gpusize"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert "ports" not in services["database"] and services["database"]["healthcheck"]


def test_secrets_are_made_once_and_are_read(program, cluster, tmp_path):
    script = tmp_path / "make-secrets"
    script.write_bytes((PROJECT / "deploy" / "make-secrets").read_bytes())
    call("sh", script)
    files = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert re.fullmatch("[0-9a-f]{48}", files["database-password"])
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    call("sh", script)
    assert files == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    said = subprocess.run([program, "migrate", "--check"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          env={"PATH": os.environ["PATH"], "GPUSIZE_SETTINGS_FILE": f"{tmp_path}/secrets/database.conf"}).stdout
    assert '"database"' in said and files["database-password"] not in said  # the host that it looked for
    ignored = subprocess.run(["git", "check-ignore", "deploy/secrets/x"], cwd=PROJECT, stdout=subprocess.DEVNULL).returncode
    assert ignored in (0, 128)  # 128: not in a git tree


# --- scripts of the image ---


def address_of(service):
    return "http://{}:{}".format(*service.address)


def test_a_service_is_asked_by_bash_alone(service, tmp_path):
    answer = call(IMAGE / "gpusize-http", f"{address_of(service)}/v1/gpus?limit=2")
    assert answer == service.call("GET", "/v1/gpus", query={"limit": 2}).text
    refused = call(IMAGE / "gpusize-http", f"{address_of(service)}/v1/memory?gpu=none", status=1)
    assert "unknown_gpu" in refused or "missing_field" in refused
    (tmp_path / "question").write_text('{"model": "llama-3.1-8b", "gpu": "h100-sxm"}')
    posted = call(IMAGE / "gpusize-http", "--data", tmp_path / "question", f"{address_of(service)}/v1/memory")
    assert json.loads(posted)["fits"] is True


@pytest.mark.parametrize("arguments", [
    [], ["https://example.org/"], ["http://a b/"], ["http://a/\r\nX: y"], ["--key-file", "/none", "http://127.0.0.1:1/"],
    ["--retry", "x", "http://127.0.0.1:1/"], ["--data", "/none", "http://127.0.0.1:1/"], ["--what", "http://127.0.0.1:1/"]])
def test_wrong_arguments_are_refused(arguments):
    call(IMAGE / "gpusize-http", *arguments, status=2)


def test_nobody_there_is_an_answer_of_its_own():
    assert "does not answer" in call(IMAGE / "gpusize-http", "http://127.0.0.1:1/livez", status=3)


@pytest.fixture
def measured(program, tmp_path):
    """measured(fake): a folder for PATH with the real gpusize. Its probe is the real one, which finds no GPU here, or the
    stand-in that plays a part, or one that fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gpusize-http").symlink_to(IMAGE / "gpusize-http")
    (folder / "gpusize").symlink_to(program)
    stand_in = Path(program).parent / "tests" / "kernels" / "gpusize-probe-fake"

    def make(fake=None):
        probe = Path(program).parent / "gpusize-probe"
        if fake:
            probe = tmp_path / "probe"
            probe.write_text(f"#!/bin/sh\necho \"$*\" >>{tmp_path}/arguments\nexec {stand_in} --fake {fake} \"$@\"\n")
            probe.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}", "GPUSIZE_PROBE": str(probe)}

    return make


def calibration_environment(probe, service, key_file, **more):
    return {**probe, "GPUSIZE_UPLOAD_URL": address_of(service), "NODE_NAME": "node-1",
            "GPUSIZE_UPLOAD_KEY_FILE": str(key_file), "GPUSIZE_POOL": "training", **more}


def test_a_calibration_measures_uploads_and_ends(measured, database, serve, make_key, tmp_path):
    service = serve(database, "--poll-interval-ms", "50")
    key_file = tmp_path / "key"
    key_file.write_text(make_key(database, "writer") + "\n")
    environment = calibration_environment(measured("h200"), service, key_file, TMPDIR=str(tmp_path))
    bearer = {"Authorization": f"Bearer {key_file.read_text().strip()}"}
    await_true(lambda: service.call("GET", "/v1/calibrations", headers=bearer).status == 200)
    said = call(IMAGE / "gpusize-calibrate", "--quick", env=environment)
    table, _, answer = said.strip().rpartition("\n")
    assert "H200" in table and json.loads(answer)["calibrations"][0]["pool"] == "training"

    def listed():
        return service.call("GET", "/v1/calibrations", query={"pool": "training"}, headers=bearer).json["calibrations"]

    await_true(lambda: len(listed()) == 1)
    assert "h200-sxm" in json.dumps(listed())
    assert "--quick" in (tmp_path / "arguments").read_text()
    assert not list(tmp_path.glob("gpusize-report*"))  # no report is left behind


def test_a_node_without_a_gpu_is_no_failure(measured, service, tmp_path):
    (tmp_path / "key").write_text("gpusize_x")
    environment = calibration_environment(measured(), service, tmp_path / "key")
    assert "no GPU here" in call(IMAGE / "gpusize-calibrate", env=environment)


def test_what_fails_is_told(measured, service, database, serve, make_key, tmp_path):
    (tmp_path / "key").write_text("gpusize_x")
    call(IMAGE / "gpusize-calibrate", env=calibration_environment(measured("none"), service, tmp_path / "key"), status=2)
    own = serve(database)
    said = call(IMAGE / "gpusize-calibrate", env=calibration_environment(measured("h200"), own, tmp_path / "key"), status=1)
    assert "401" in said or "no_key" in said or "unauthorized" in said.lower(), said
    call(IMAGE / "gpusize-calibrate", env={"PATH": os.environ["PATH"]}, status=1)


def test_it_measures_again_and_ends_when_told(measured, service, tmp_path):
    (tmp_path / "key").write_text("gpusize_x")
    environment = calibration_environment(measured(), service, tmp_path / "key", GPUSIZE_INTERVAL_S="0.2")
    process = subprocess.Popen([IMAGE / "gpusize-calibrate"], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    for _ in range(2):
        assert "no GPU here" in next(line for line in process.stderr if "gpusize-calibrate" in line)
    began = time.monotonic()
    process.terminate()
    assert process.wait(30) == 143 and time.monotonic() - began < 20
