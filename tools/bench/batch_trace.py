#!/usr/bin/env python3
"""batch_trace.py owns the figures of docs/batch-plan.md: what packing of 100,000 requests with log-normal lengths takes, and
what it saves.

  tools/bench/batch_trace.py build/release/gpusize
"""
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile

REQUESTS = 100_000
RUNS = 5
LIMIT_TOKENS = 8192  # of prompt and answer together, as the question's own
PLAN = ["batch-plan", "--model", "llama-3.1-8b", "--gpu", "l40s", "--trace"]
FORMS = [[], ["--assignments", "true"], ["--assignments", "true", "--json"], ["--assignments", "true", "--format", "csv"]]


def write_trace(file):
    draw = random.Random(1)
    for number in range(REQUESTS):
        prompt, answer = (max(1, round(draw.lognormvariate(mean, 1))) for mean in (6.5, 5.5))
        prompt = min(prompt, LIMIT_TOKENS // 2)
        file.write(json.dumps({"id": f"r{number}", "input_tokens": prompt, "output_tokens": min(answer, LIMIT_TOKENS // 2)}))
        file.write("\n")
    file.flush()


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    program = sys.argv[1]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as trace:
        write_trace(trace)
        for form in FORMS:
            seconds = []
            for _ in range(RUNS):
                before = cpu_s()
                subprocess.run([program, *PLAN, trace.name, *form], check=True, stdout=subprocess.DEVNULL)
                seconds.append(cpu_s() - before)
            peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{' '.join(form) or 'plans only':36}  {statistics.median(seconds):.2f} s of CPU, median of {RUNS};"
                  f" at most {peak_mib:.0f} MiB so far")
        subprocess.run([program, *PLAN, trace.name], check=True)


main()
