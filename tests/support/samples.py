"""samples.py owns reports of hosts as tests send them."""
import datetime

GIB = 1 << 30


def time_text(seconds_ago=0.0):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def gpu(used_gib, index=0, **more):
    return {"index": index, "uuid": f"GPU-{index}", "name": "NVIDIA H200", "memory_total_bytes": 80 * GIB,
            "memory_used_bytes": int(used_gib * GIB), **more}


def sample(seconds_ago, *gpus, up_s=10_000_000, **more):
    """up_s: since when the host runs."""
    return {"time": time_text(seconds_ago), "monotonic_ms": int((up_s - seconds_ago) * 1000), "gpus": list(gpus),
            "system_memory": {"total_bytes": 100 * GIB, "available_bytes": 90 * GIB}, **more}


def batch(host, *samples):
    return {"schema": "monitor/1", "host": host, "samples": list(samples)}


def rising(host, count=20, step_s=5, first_gib=20):
    """One GPU whose memory in use rises by 1 GiB in each step up to now."""
    return batch(host, *(sample((count - 1 - i) * step_s, gpu(first_gib + i)) for i in range(count)))
