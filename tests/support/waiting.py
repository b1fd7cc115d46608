"""waiting.py owns waiting for what must come: nothing is timed, and nothing waits for ever."""
import time

LIMIT_S = 120


def await_true(condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def finish(process, status=0):
    """Waits for a process to end as it should; what it said."""
    said = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == status, said
    return said
