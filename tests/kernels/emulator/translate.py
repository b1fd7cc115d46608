#!/usr/bin/env python3
"""translate.py FROM TO: the device sources as C++ for the emulator.

Inline PTX becomes what it does, a launch becomes a call, and sizes shrink, since a CPU emulates a warp at a millionth of
its speed. What is not listed here runs as it is written.
"""
import pathlib
import re
import sys

PTX = [
    (r'extern __shared__ __align__\(128\) unsigned char (\w+)\[\];', r'unsigned char *\1 = emu::dynamic_shared;'),
    (r'asm volatile\("ld\.[^"]*v4\.u32[^"]*"\s*:.*?:\s*"[rl]"\((.*?)\)\);', r'v = *(const uint4 *)(uintptr_t)(\1);'),
    (r'asm volatile\("ld\.global\.c[ag]\.u32 %0, \[%1\];" : "=r"\(at\) : "l"\(line\)\);', 'at = *line;'),
    (r'asm volatile\("mov\.u64 %0, %%globaltimer;" : "=l"\(now\)\);', 'now = emu::nanoseconds();'),
    (r'asm volatile\("mov\.u32 %0, %%smid;" : "=r"\(sm\)\);', 'sm = 0;'),
    (r'asm\("fma\.rn\.bf16x2.*?\);', 'two = bf16_pair(float_of_bf16((uint16_t)two) - 136, '
     'float_of_bf16((uint16_t)(two >> 16)) - 136);'),
]
LAUNCH = r'((?:\w|::)+(?:<[^<>;]*>|\[[^;]*?\])?)\s*<<<(.*?)>>>\('

SIZES = [
    ('GEMV_N = 8192, GEMV_K = 8192', 'GEMV_N = 64, GEMV_K = 1024'),
    ('LINEAR_N = 8192, LINEAR_K = 8192', 'LINEAR_N = 512, LINEAR_K = 256'),
    (' N = 8192, K = 8192', ' N = 256, K = 512'),
    ('{1, 8, 32, 128, 512, 4096}', '{1, 8, 40, 130}'),
    ('linear_rows[] = {8, 512}', 'linear_rows[] = {8, 100}'),
    ('{1, 8192, 4}', '{1, 1024, 4}'),
    ('{32, 4096, 4}', '{2, 256, 4}'),
    ('{32, 4096, 8}', '{3, 128, 8}'),
    ('{128, 1024, 4}', '{5, 64, 4}'),
    ('divide_up(32, job.rotation) * job.rotation', '1'),
    ('4 * weights->copies', '1'),
    ('4 * job.rotation', '1'),
    ('1ull << 30', '1ull << 20'),
    ('READ_LOOPS = 512', 'READ_LOOPS = 8'),
    ('FMA_LOOPS = 512', 'FMA_LOOPS = 4'),
    ('1 << 18, true', '1 << 10, true'),
    ('1 << 15, false', '1 << 9, false'),
    ('1 << 13, false', '1 << 8, false'),
    ('l2 >= 64 << 10', 'l2 >= 1 << 10'),
    ('64 << 20', '1 << 20'),
    ('128 << 20', '1 << 20'),
    ('256 << 20', '2 << 20'),
    ('BLOCKS = 1024', 'BLOCKS = 4'),
    ('blocks = 1024', 'blocks = 4'),
    ('NODES = 1000', 'NODES = 20'),
    ('WARMUP_SECONDS = 0.05', 'WARMUP_SECONDS = 0'),
]


def translate(text):
    for pattern, replacement in PTX:
        text = re.sub(pattern, replacement, text, flags=re.S)
    text = re.sub(LAUNCH, r'emu::launch(\2).run(\1, ', text, flags=re.S)
    for full, small in SIZES:
        text = text.replace(full, small)
    if re.search(r'\basm\b', text):
        raise SystemExit('PTX that the emulator does not know')
    return text


def main(source, target):
    for path in pathlib.Path(source).iterdir():
        if path.suffix in ('.cu', '.cuh', '.h') and path.name != 'mma.cuh':
            (pathlib.Path(target) / path.name).write_text(translate(path.read_text()))


if __name__ == '__main__':
    main(*sys.argv[1:3])
