#!/usr/bin/python3
"""run_dockerfile.py owns the execution of deploy/Dockerfile where there is no Docker: each stage is a folder, a copy of its
base, in which the steps run by chroot. Knows the instructions that the Dockerfile has, and refuses others.

Usage: run_dockerfile.py BASE-TREE FOLDER TARGET SOURCE_DATE_EPOCH; as root. Prints the target's settings as JSON."""
import json
import os
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
KEPT = {"EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions(text):
    """(keyword, rest) of each; comments and line ends with a backslash are gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            keyword, _, rest = line.strip().partition(" ")
            yield keyword.upper(), rest.strip()


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        sys.exit(f"failed with status {done.returncode}: {' '.join(map(str, command))}")


def context_files():
    """What a build would be sent: files that git has or would take, without those of .dockerignore."""
    ignored = [line for line in (PROJECT / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT,
                            check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    return [name for name in listed if name and (PROJECT / name).exists()
            and not any(fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in ignored)]


class Stage:
    def __init__(self, folder, base, settings):
        self.folder = folder
        self.settings = settings
        self.arguments = {}
        run("cp", "-a", "--one-file-system", "--reflink=auto", base, folder)

    def inside(self, path):
        joined = os.path.normpath(os.path.join("/", self.settings["workdir"], path))
        return Path(f"{self.folder}{joined}{'/' if path.endswith('/') or path == '.' else ''}")

    def copy(self, words, stages):
        given = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        where, many = self.inside(target), target.endswith("/") or target == "."
        run("mkdir", "-p", where if many else where.parent)
        for source in sources:
            if given:
                assert len(given) == 1 and given[0].startswith("--from="), given
                run("cp", "-a", f"{stages[given[0][7:]].folder}/{source}", where)
            elif source == ".":
                copy_context(where)
            else:
                assert source in context_files(), f"{source} is not sent to a build"
                run("cp", "--preserve=mode", "--no-preserve=ownership", PROJECT / source, where)

    def run(self, command):
        environment = {**BARE, **self.arguments, **self.settings["env"]}
        run("mount", "-t", "proc", "proc", f"{self.folder}/proc")
        try:
            run("env", "-i", *[f"{name}={value}" for name, value in environment.items()], "chroot", self.folder, "sh", "-c",
                f"cd {shlex.quote(self.settings['workdir'])} && {command}", stdout=sys.stderr)
        finally:
            run("umount", f"{self.folder}/proc")


def copy_context(where):
    pack = subprocess.Popen(["tar", "-C", PROJECT, "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "--no-same-owner", "-C", where, "-xf", "-"], stdin=pack.stdout)
    pack.stdout.close()
    pack.stdin.write("\0".join(context_files()).encode())
    pack.stdin.close()
    if pack.wait() or unpack.wait():
        sys.exit("the source could not be copied")


def substitute(text, known):
    return re.sub(r"\$\{(\w+)\}", lambda match: known[match[1]], text)


def needed(text, target):
    """Stages that the target is made of."""
    needs, name, order = {}, None, []
    for keyword, rest in instructions(text):
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            needs[name] = {base}
            order.append(name)
        elif keyword == "COPY" and "--from=" in rest:
            needs[name].add(re.search(r"--from=(\S+)", rest)[1])
    wanted, rest = set(), [target]
    while rest:
        one = rest.pop()
        if one in needs and one not in wanted:
            wanted.add(one)
            rest += needs[one]
    return wanted


def main(base, folder, target, epoch):
    text = (PROJECT / "deploy" / "Dockerfile").read_text()
    wanted, stages, stage, skipped, known = needed(text, target), {}, None, False, {}
    for keyword, rest in instructions(text):
        if keyword == "FROM":
            of, _, name = substitute(rest, known).partition(" AS ")
            skipped = name not in wanted
            if skipped:
                continue
            print(f"==> stage {name}", file=sys.stderr)
            settings = json.loads(json.dumps(stages[of].settings)) if of in stages else {"env": {}, "workdir": "/", "user": "0:0"}
            there = Path(folder) / name
            if there.exists():  # of an earlier target
                sys.exit(f"{there} is there already")
            stage = stages[name] = Stage(there, stages[of].folder if of in stages else base, settings)
        elif stage is None and keyword == "ARG":
            name, _, value = rest.partition("=")
            known[name] = value
        elif skipped:
            continue
        elif keyword == "ARG":
            assert rest == "SOURCE_DATE_EPOCH=0", rest
            stage.arguments["SOURCE_DATE_EPOCH"] = epoch
        elif keyword == "ENV":
            for word in shlex.split(substitute(rest, {**known, **stage.arguments})):
                name, _, value = word.partition("=")
                stage.settings["env"][name] = value
        elif keyword == "WORKDIR":
            stage.settings["workdir"] = rest
            run("mkdir", "-p", f"{stage.folder}{rest}")
        elif keyword == "USER":
            stage.settings["user"] = rest
        elif keyword == "COPY":
            stage.copy(shlex.split(rest), stages)
        elif keyword == "RUN":
            print(f"==> {rest}", file=sys.stderr)
            stage.run(rest)
        elif keyword in KEPT:
            stage.settings[keyword.lower()] = rest
        else:
            sys.exit(f"{keyword} is not known here")
    print(json.dumps({**stages[target].settings, "tree": str(stages[target].folder)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
