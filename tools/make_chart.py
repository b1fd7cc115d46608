#!/usr/bin/python3
"""make_chart.py owns the table of values in the chart's README: made from the comments of values.yaml by the npm package
@bitnami/readme-generator-for-helm, which scripts/install-deploy-tools installs. With --check it only tells whether the
README is as it would be written."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CHART = PROJECT / "deploy" / "helm" / "gpusize"
GENERATOR = PROJECT / "build" / "deploy-tools" / "node_modules" / ".bin" / "readme-generator"


def readme():
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "README.md"
        shutil.copy(CHART / "README.md", made)
        done = subprocess.run([GENERATOR, "--values", CHART / "values.yaml", "--readme", made], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(done.stdout)
        return made.read_text()


if __name__ == "__main__":
    if not GENERATOR.exists():
        sys.exit(f"{GENERATOR} is missing: run scripts/install-deploy-tools")
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if (CHART / "README.md").read_text() == readme() else "the chart's README is old: run tools/make_chart.py")
    (CHART / "README.md").write_text(readme())
