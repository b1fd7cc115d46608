#!/usr/bin/python3
"""sbom.py owns the check of an image's list of contents: SPDX 2.3 as its specification has it, and every package and program
that is there, with its version and hash, and nothing else. Usage: sbom.py TREE SOURCE_DATE_EPOCH"""
import hashlib
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path


def installed(tree):
    """{(name, architecture): version} as dpkg's own file says."""
    found = {}
    for block in (tree / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.M))
        if fields.get("Status") == "install ok installed":
            found[fields["Package"], fields["Architecture"]] = fields["Version"]
    return found


def check(tree, epoch):
    path = tree / "usr/share/doc/gpusize/sbom.spdx.json"
    sbom = json.loads(path.read_text())
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0" and sbom["SPDXID"] == "SPDXRef-DOCUMENT"
    created = datetime.strptime(sbom["creationInfo"]["created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert created.timestamp() == epoch, "it was made at another time than the source"
    image, *packages = sbom["packages"]
    listed = {(one["name"], re.search(r"arch=(\w+)$", one["externalRefs"][0]["referenceLocator"])[1]): one["versionInfo"]
              for one in packages}
    assert listed == installed(tree), set(listed.items()) ^ set(installed(tree).items())
    programs = {f".{one}": one for one in sorted("/usr/local/bin/" + p.name for p in (tree / "usr/local/bin").iterdir())}
    hashes = {one["fileName"]: one["checksums"][0]["checksumValue"] for one in sbom["files"]}
    assert hashes == {name: hashlib.sha256((tree / at[1:]).read_bytes()).hexdigest() for name, at in programs.items()}
    ids = [one["SPDXID"] for one in sbom["packages"] + sbom["files"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    related = {one["relatedSpdxElement"] for one in sbom["relationships"]}
    assert related == set(ids), "what is listed is not said to be contained"
    for one in sbom["packages"]:
        assert one["downloadLocation"] and one["filesAnalyzed"] is False
        assert re.fullmatch(r"pkg:deb/debian/[^@ ]+@[^? ]+\?arch=\w+", one["externalRefs"][0]["referenceLocator"]) \
            if one is not image else True
    print(f"SBOM: {len(packages)} packages, {len(programs)} programs")


if __name__ == "__main__":
    check(Path(sys.argv[1]), int(sys.argv[2]))
