"""calibration.py owns how tests run gpusize-probe and read its report: one JSON object that the schema allows."""
import json
import os
import subprocess
from pathlib import Path

import jsonschema

PROBE = os.environ.get("GPUSIZE_PROBE", "")
FAKE = os.environ.get("GPUSIZE_PROBE_FAKE", "")
FAKES = Path(os.environ.get("GPUSIZE_FAKES", "."))
WHY_NO_DEVICE_CODE = os.environ.get("GPUSIZE_DEVICE_WHY_NOT", "")
SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "calibration.schema.json").read_text("utf-8"))
LIMIT_S = 180


def check(report):
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    return report


def run(program, *arguments, status=0, env=None):
    """The finished process, whose exit status is that one."""
    result = subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, env={**os.environ, **(env or {})},
                            check=False)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


def report_of(program, *arguments, status=0, env=None):
    result = run(program, *arguments, status=status, env=env)
    assert result.stdout.count("\n") == 1 and result.stdout.endswith("}\n")
    return check(json.loads(result.stdout))


def fake(part="h100", *arguments, status=0, env=None):
    """The report of the stand-in. Its GPUs alone, unless the arguments say otherwise: the CPU takes its seconds."""
    chosen = [] if "--device" in arguments else ["--device", "cuda", "--only", ",".join(GPU_GROUPS)]
    chosen = chosen[:2] if "--only" in arguments else chosen
    return report_of(FAKE, "--fake", part, *chosen, *arguments, status=status, env=env)


GPU_GROUPS = ["stream", "capacity", "decode", "gemm", "launch", "collective", "link", "onchip"]


def named(results, name):
    return [result for result in results if result["name"] == name]
