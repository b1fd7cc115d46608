"""test_images.py owns the proof that what was promised is embedded and that no kernel spills: the images of each
architecture are counted in the program itself, without tools of the toolkit, and what the assembler said of registers
is read from where the build keeps it. Usage: test_images.py PROGRAM DEVICE_FOLDER WHY_NOT"""
import collections
import pathlib
import re
import struct
import sys

SKIPPED = 77
CONTAINER_MAGIC = 0xBA55ED50
KINDS = {1: "ptx", 2: "elf"}


def section(data, wanted):
    """The bytes of a section of a 64-bit ELF file, b"" if it has none of that name."""
    assert data[:6] == b"\x7fELF\x02\x01", "no 64-bit little-endian ELF file"
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    for name, _, _, _, offset, length in headers:
        start = headers[names][4] + name
        if data[start:data.index(b"\0", start)].decode() == wanted:
            return data[offset:offset + length]
    return b""


def images(data):
    """How often (kind, architecture) is embedded. A container has a header of 16 bytes and entries, each with its own."""
    seen, at = collections.Counter(), 0
    while at + 16 <= len(data):
        magic, _, header, length = struct.unpack_from("<IHHQ", data, at)
        if magic != CONTAINER_MAGIC:
            at += 8
            continue
        entry, end = at + header, at + header + length
        while entry + 32 <= end:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", data, entry)
            architecture, = struct.unpack_from("<I", data, entry + 28)
            if kind in KINDS:
                seen[KINDS[kind], architecture] += 1
            entry += entry_header + payload
        at = end
    return seen


def spills(text):
    """(kernel, architecture, bytes) of each that spills."""
    found, kernel = [], ("?", "?")
    for line in text.splitlines():
        entry = re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line)
        if entry:
            kernel = entry.groups()
        spill = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if spill and (int(spill[1]) or int(spill[2])):
            found.append((*kernel, int(spill[1]) + int(spill[2])))
    return found


def main(program, folder, why_not):
    if why_not:
        print(f"skipped: built without device code: {why_not}")
        return SKIPPED
    folder = pathlib.Path(folder)
    promised = [tuple(line.split()) for line in (folder / "images.txt").read_text().splitlines()]
    promised = [(kind, int(architecture)) for kind, architecture in promised]
    seen = images(section(pathlib.Path(program).read_bytes(), ".nv_fatbin"))
    logs = sorted(folder.glob("*.ptxas"))
    kernels = sum(log.read_text().count("Compiling entry function") for log in logs)
    bad = [f"{kind} {architecture} is not embedded" for kind, architecture in promised if not seen[kind, architecture]]
    bad += [f"{kind} {architecture} was not promised" for kind, architecture in seen if (kind, architecture) not in promised]
    bad += [f"{log.name}: {kernel} for {architecture} spills {count} bytes"
            for log in logs for kernel, architecture, count in spills(log.read_text())]
    if not kernels:
        bad.append(f"{folder}: no record of what the assembler said")
    print("\n".join(bad) or f"{len(promised)} images, as promised; {kernels} compiled kernels, none spills")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
