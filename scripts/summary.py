#!/usr/bin/python3
"""summary.py owns the count of a test run: reads ctest's JUnit file and prints what was skipped, what failed and one
line of totals. A program that counts its own tests (cmocka, pytest) counts as that many."""
import re
import sys
import xml.etree.ElementTree as ElementTree

CMOCKA = {
    "passed": r"\[  PASSED  \] (\d+) test",
    "failed": r"\[  FAILED  \] (\d+) test",
    "skipped": r"\[  SKIPPED \] (\d+) test",
}
SKIP_REASON = r"(?:skipped: |SKIPPED \[\d+\] )(.*)"
PYTEST = {"passed": r"\b(\d+) passed", "failed": r"\b(\d+) (?:failed|error)", "skipped": r"\b(\d+) skipped"}


def count_output(output):
    """Totals that the program printed itself, or None."""
    last_line = output.rstrip().rsplit("\n", 1)[-1]
    if re.search(r"\bin [\d.]+s", last_line) and "passed" in last_line:
        patterns, text = PYTEST, last_line
    elif "[  PASSED  ]" in output:
        patterns, text = CMOCKA, output
    else:
        return None
    return {kind: sum(map(int, re.findall(pattern, text))) for kind, pattern in patterns.items()}


def count_case(case):
    failed = case.get("status") == "fail"
    counts = count_output(case.findtext("system-out") or "")
    if case.get("status") in ("notrun", "disabled"):
        skipped = case.find("skipped") is None or "SKIP_" in case.find("skipped").get("message", "")
        return {"passed": 0, "failed": int(not skipped), "skipped": int(skipped)}
    if counts is None:
        return {"passed": int(not failed), "failed": int(failed), "skipped": 0}
    if failed and counts["failed"] == 0:  # it died after its own count, or a sanitizer spoke
        counts["failed"] = 1
    return counts


def main(paths):
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            counts = count_case(case)
            for kind, count in counts.items():
                totals[kind] += count
            if counts["failed"]:
                print(f"failed:  {case.get('name')}")
            if counts["skipped"]:
                reasons = set(re.findall(SKIP_REASON, case.findtext("system-out") or "")) or {"no reason given"}
                print(f"skipped: {counts['skipped']} of {case.get('name')}: {'; '.join(sorted(reasons))}")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**totals))


main(sys.argv[1:])
