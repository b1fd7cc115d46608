#!/bin/sh
# run.sh owns running the device code where there is no GPU: run.sh ROOT [GROUP...], all without a GROUP. The kernels' own text, as C++,
# computes small problems of every probe, and the probes' own verification compares them with the references. It proves
# indices, tails, merging and what the ring of copies waits for. It proves neither speed nor barriers within a warp, whose
# lanes here meet at each instruction of the tensor cores; NCCL, which wants a real device, is left out.
set -eu
root=$1
shift
here=$root/tests/kernels/emulator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/kernels"
python3 "$here/translate.py" "$root/kernels" "$work/kernels"
cp "$here/mma.cuh" "$work/kernels/mma.cuh"
sources="harness timing data stream capacity launch onchip decode gemm gemm_own gemm_lt gemm_fp32 gemm_mma gemm_int4 link
collective"
# No position independence: addresses of shared memory fit 32 bits, as on a device.
flags="-O2 -std=gnu++17 -fno-pie -fpermissive -w -I$work -I$here -include cuda_runtime.h"
for source in $sources; do
    # shellcheck disable=SC2086
    g++ $flags -x c++ -c "$work/kernels/$source.cu" -o "$work/$source.o"
done
for source in result pool; do
    gcc -O2 -std=gnu17 -D_GNU_SOURCE -fno-pie -I"$root" -c "$root/kernels/$source.c" -o "$work/$source.o"
done
# shellcheck disable=SC2086
g++ $flags -no-pie "$here/emulator.cpp" "$here/groups.cpp" "$work"/*.o -ldl -o "$work/groups"
"$work/groups" "$@"
