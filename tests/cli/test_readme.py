"""README and docs/ show what the program prints: README all of it, docs/ lines of it, in their order.

    GPUSIZE_PROGRAM=build/run/gpusize python3 tests/cli/test_readme.py    writes the outputs into the README
"""
import os
import pathlib
import re
import shlex
import subprocess

PROJECT = pathlib.Path(__file__).resolve().parents[2]
README = PROJECT / "README.md"
BLOCK = re.compile(r"(?P<start>```\w*\n\$ gpusize (?P<command>(?:recommend|throughput|memory|batch-plan|training)(?:.*\\\n)*.*)\n)"
                   r"(?P<output>(?:(?!```).*\n)*)")


def printed(command):
    result = subprocess.run([os.environ["GPUSIZE_PROGRAM"], *shlex.split(command.replace("\\\n", ""))],
                            capture_output=True, timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    assert result.returncode in (0, 1), result.stderr.decode()
    return "".join(line.rstrip() + "\n" for line in result.stdout.decode().splitlines())


def test_readme_shows_what_is_printed():
    blocks = list(BLOCK.finditer(README.read_text(encoding="utf-8")))
    assert len(blocks) == 2
    for block in blocks:
        assert block["output"] == printed(block["command"])


def test_docs_show_what_is_printed():
    shown = [(page.name, block) for page in sorted((PROJECT / "docs").glob("*.md"))
             for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    assert len(shown) >= 6
    for page, block in shown:
        lines = iter(printed(block["command"]).splitlines())
        for line in block["output"].splitlines():
            assert line in ("", "…") or line in lines, f"{page}: {line}"


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda block: block["start"] + printed(block["command"]),
                                README.read_text(encoding="utf-8")), encoding="utf-8")
