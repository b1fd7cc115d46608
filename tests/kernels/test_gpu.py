"""test_gpu.py owns the checks on a real GPU: every probe is verified, a second run says the same, and the copy is as fast
as the driver's own. Usage: test_gpu.py PROGRAM DEVICE_FOLDER WHY_NOT. Exit status 77: there is no GPU to check on."""
import json
import subprocess
import sys

SKIPPED = 77
REPEATED_MAX_RATIO = 0.02
COPY_MAX_RATIO = 0.03
LIMIT_S = 120
# Rates whose medians a second run has to meet; what the host times (launches, links) is its scheduler's, too.
REPEATED = ("dram_read", "dram_copy", "dram_triad", "gemm", "decode_attention", "decode_gemv", "fma_fp32", "shared_read")


def measure(program):
    result = subprocess.run([program, "--device", "cuda"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            timeout=LIMIT_S * 8, check=False)
    return result.returncode, json.loads(result.stdout)


def key(result):
    return result["name"], result["impl"], json.dumps(result["shape"], sort_keys=True)


def complaints_of(first, second):
    name = f"GPU {first['device']['ordinal']} ({first['device']['model']})"
    again = {key(one): one for one in second["results"]}
    for one in first["results"]:
        what = f"{name}: {one['name']} {one['shape']} {one['impl']}"
        if one["status"] == "error":
            yield f"{what}: {one['reason']}: {one['detail']}"
        if one["status"] != "passed":
            continue
        if one["unit"] in ("GB/s", "TFLOP/s") and not one["verified"]:
            yield f"{what}: nothing verifies it"
        other = again.get(key(one), {}).get("value")
        if one["name"] in REPEATED and (not other or abs(other / one["value"] - 1) > REPEATED_MAX_RATIO):
            yield f"{what}: {one['value']}, and then {other} {one['unit']}"
        if set(one["suspect"]) & {"above_peak", "under_half_of_peak"}:
            yield f"{what}: {one['value']} {one['unit']} is {one['suspect']}"
    values = {one["name"]: one["value"] for one in first["results"] if one["status"] == "passed"}
    if not {"dram_copy", "dram_memcpy"} <= values.keys():
        yield f"{name}: no copy to compare"
    elif abs(values["dram_copy"] / values["dram_memcpy"] - 1) > COPY_MAX_RATIO:
        yield f"{name}: copies {values['dram_copy']} GB/s, and cudaMemcpy {values['dram_memcpy']}"


def main(program, _folder, why_not):
    if why_not:
        print(f"skipped: built without device code: {why_not}")
        return SKIPPED
    status, first = measure(program)
    if status == SKIPPED:
        print(f"skipped: no CUDA device: {first['reason']}: {first['detail']}")
        return SKIPPED
    if any(device["conditions"]["shared"] for device in first["devices"]):
        print("skipped: somebody else uses the GPU")
        return SKIPPED
    _, second = measure(program)
    found = [line for pair in zip(first["devices"], second["devices"]) for line in complaints_of(*pair)]
    if status or len(first["devices"]) != len(second["devices"]):
        found.append(f"exit status {status}; {len(first['devices'])} GPUs, and then {len(second['devices'])}")
    for device in first["devices"]:
        print(json.dumps(device["fit"]))
    print("\n".join(found) or f"{sum(len(device['results']) for device in first['devices'])} results are verified and repeat; "
          f"{first['wall_seconds']} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
