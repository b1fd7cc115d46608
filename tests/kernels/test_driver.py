"""test_driver.py owns the tests of the real CUDA runtime, linked into gpusize-probe, on machines without a GPU: with no
driver, and with a stand-in for one that fails in each way."""
import pytest

from calibration import FAKES, PROBE, WHY_NO_DEVICE_CODE, report_of

needs_device_code = pytest.mark.skipif(bool(WHY_NO_DEVICE_CODE), reason=f"built without device code: {WHY_NO_DEVICE_CODE}")


def with_driver(**environment):
    return {"LD_LIBRARY_PATH": str(FAKES / "fake_cuda"), **{f"FAKE_CUDA_{key}": str(value) for key, value in environment.items()}}


@pytest.mark.skipif(not WHY_NO_DEVICE_CODE, reason="built with device code")
def test_built_without_device_code():
    report = report_of(PROBE, "--device", "cuda", status=77)
    assert report["reason"] == "built_without_cuda" and report["probe"]["build"]["cuda"] is None


@needs_device_code
@pytest.mark.parametrize("environment, reason, status", [
    ({"INIT": 46}, "device_in_use", 77),
    ({"INIT": 100}, "no_device", 77),
    ({"INIT": 802}, "fabric_not_ready", 77),
    ({"INIT": 803}, "driver_library_mismatch", 77),
    ({"INIT": 804}, "compat_not_supported", 77),
    ({"INIT": 999}, "cuda_error", 1),
    ({"VERSION": 12080}, "driver_too_old", 77),
])
def test_a_driver_that_fails(environment, reason, status):
    report = report_of(PROBE, "--device", "cuda", status=status, env=with_driver(**environment))
    assert (report["reason"], report["devices"]) == (reason, [])
    assert report["probe"]["build"]["cuda"] and "89" in report["probe"]["build"]["ptx"]


@needs_device_code
def test_no_driver(tmp_path):
    """A stub that is no library stands for none: this machine may have a driver."""
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    report = report_of(PROBE, "--device", "cuda", status=77, env={"LD_LIBRARY_PATH": str(tmp_path)})
    assert report["reason"] in ("no_driver", "no_device")
