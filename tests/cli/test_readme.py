"""The README shows what the program prints: each command of its console blocks, with exactly its output.

    GPUSIZE_PROGRAM=build/run/gpusize python3 tests/cli/test_readme.py    writes the outputs into the README
"""
import os
import pathlib
import re
import shlex
import subprocess

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"```console\n\$ gpusize (?P<command>.*)\n(?P<output>(?:.*\n)*?)```\n")


def printed(command):
    result = subprocess.run([os.environ["GPUSIZE_PROGRAM"], *shlex.split(command)], capture_output=True, timeout=120,
                            env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    assert result.returncode in (0, 1), result.stderr.decode()
    return "".join(line.rstrip() + "\n" for line in result.stdout.decode().splitlines())


def test_readme_shows_what_is_printed():
    blocks = list(BLOCK.finditer(README.read_text(encoding="utf-8")))
    assert len(blocks) == 2
    for block in blocks:
        assert block["output"] == printed(block["command"])


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda block: f"```console\n$ gpusize {block['command']}\n{printed(block['command'])}```\n",
                                text), encoding="utf-8")
