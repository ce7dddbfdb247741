#!/usr/bin/env python3
"""Leaves out each barrier and each wait for asynchronous copies of the CUDA kernels, one at a time, and says what sees it.

    mutate_barriers.py [--only WORD] BUILD...

BUILD is a build folder in which the tests are built: a plain one, where wrong values, other bits in another schedule and what the emulation
itself refuses are seen, or one with ThreadSanitizer, which sees races. The emulated card leaves out what $CUDA_ON_CPU_WITHOUT
names, so nothing is built again; a wait for copies is not left out but waits for one group fewer. WORD is part of a file's name. Rows of
the table run until one fails, those first whose op is the room's; what no row sees, the other tests of the kernels may see. Exits 1 if a
build has not seen one of them.
"""
import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAITS = re.compile(r"\b(__syncthreads|__syncwarp|vq_copy_wait\s*<[^>]*>)\s*\(\)\s*;")
PRODUCTS = ["linear", "conv", "norm_act_conv", "upsample_conv", "soft_quantise"]
ROWS = {"cuda": PRODUCTS + ["layer_norm", "group_norm"], "group_norm": ["group_norm", "norm_act_conv"],
        "codebook": ["soft_quantise"], "quantise": ["quantise", "choose", "soft_quantise"]}


def sites(only):
    """(path below the root, line, text) of each."""
    for path in sorted([*ROOT.glob("kernels/*/*.cu"), *ROOT.glob("kernels/*/*.cuh")]):
        name = str(path.relative_to(ROOT))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = WAITS.search(line)
            if found and (not only or only in name):
                yield name, number, found.group(1)


def commands(build, name):
    """What may see it, the most likely first."""
    tests = build / "tests"
    room = name.split("/")[1]
    first = ROWS.get(room, [room])
    yield [tests / "test-cuda-ops", *first]
    for program in ("test-cuda-products", "test-cuda-rooms", "test-cuda-ops"):
        if (tests / program).exists():
            yield [tests / program]


def seen(build, name, number):
    """The first line that tells of a failure, or None."""
    env = dict(os.environ, CUDA_ON_CPU_WITHOUT=f"{name}:{number}", TSAN_OPTIONS="halt_on_error=1",
               VQGEN_CUDA_MODULE=str(build / "tests" / "libvqgen-cuda-on-cpu.so"))
    for command in commands(build, name):
        run = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = None
        for line in run.stdout:
            if "FAIL" in line or "data race" in line or "ERROR: " in line:
                said = line.strip()
                run.kill()
                break
        run.stdout.close()
        if run.wait() and not said:
            said = f"{command[0].name} ended with {run.returncode}"
        if said:
            return said
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="")
    parser.add_argument("builds", metavar="BUILD", nargs="+", type=Path)
    options = parser.parse_args()
    missed, count = 0, 0
    for name, number, text in sites(options.only):
        count += 1
        for build in options.builds:
            said = seen(build.resolve(), name, number)
            missed += said is None
            print(f"{name}:{number} {text}: {build}: {said[:120] if said else 'NOT SEEN'}", flush=True)
    print(f"{count} left out, one at a time, in {len(options.builds)} builds: {missed} not seen")
    return 1 if missed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
