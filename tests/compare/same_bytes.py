#!/usr/bin/env python3
"""Is a run the same, byte for byte, whatever the number of threads and of cutouts that go through CLIP at once? Asked of networks of
the published sizes.

    same_bytes.py --work FOLDER --vqgen PROGRAM [--threads 1 2 3 5 8] [--chunks 8 16 all] [--vectors avx512 avx2] [--steps 20]
                  [--size 256] [--load N]

VQGAN f16 with 1024 codes and CLIP ViT-B/32, seeded random weights (those of step_vs_pytorch.py), 32 cutouts. For each set of
vector instructions (VQGEN_CPU; `vqgen devices` must say that it took effect), each for itself, z and both of Adam's moments after
the last step are compared with those of the first run. Runs are every number of threads with the first chunk, and every chunk with
the first and the last number of threads. Whether the sets made the same bytes is told at the end; they need not. --load N keeps N
processes busy meanwhile, in every second run. Exits 1 if anything is otherwise.
"""
import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import tensorfile
from step_vs_pytorch import PROMPT, network_files

ARRAYS = ["z", "adam_m", "adam_v"]
SETS = dict(plain="plain vectors", avx2="AVX2", avx512="AVX-512")


def runs_of(args):
    """-> (threads, chunk) of each run"""
    plain = [(threads, args.chunks[0]) for threads in args.threads]
    ends = sorted({args.threads[0], args.threads[-1]})
    return plain + [(threads, chunk) for chunk in args.chunks[1:] for threads in ends]


def takes_effect(args, vectors):
    """Does vqgen use this set of instructions when VQGEN_CPU names it?"""
    lines = subprocess.run([args.vqgen, "devices"], env=dict(os.environ, VQGEN_CPU=vectors), check=True, capture_output=True, text=True).stdout
    return any(line.split(maxsplit=1) == ["products", SETS[vectors]] for line in lines.splitlines())


def run(args, vectors, threads, chunk):
    """-> the arrays' bytes, as one hash"""
    vqgan, clip = network_files(args.work)
    snapshot, picture = (args.work / f"bytes-{os.getpid()}.{ending}" for ending in ("safetensors", "png"))
    command = [args.vqgen, PROMPT, "--vqgan", vqgan, "--clip", clip, "-s", f"{args.size}x{args.size}", "--cutouts", "32", "-n",
               str(args.steps), "--seed", "1", "--threads", str(threads), "--cutout-chunk", chunk, "--init", "random", "--progress", "none",
               "--snapshot", snapshot, "-o", picture, *args.options.split()]
    subprocess.run([str(word) for word in command], env=dict(os.environ, VQGEN_CPU=vectors), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    arrays = tensorfile.read(snapshot)[0]
    snapshot.unlink()
    picture.unlink()
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in ARRAYS)).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vqgen", required=True, metavar="PROGRAM")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 3, 5, 8])
    parser.add_argument("--chunks", nargs="+", default=["8", "16", "all"])
    parser.add_argument("--load", type=int, default=0, help="busy processes beside every second run")
    parser.add_argument("--vectors", nargs="+", default=["avx512", "avx2"], choices=SETS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--options", default="", help="more for vqgen")
    args = parser.parse_args()
    if not all(f.exists() for f in network_files(args.work)):
        subprocess.run([sys.executable, Path(__file__).with_name("step_vs_pytorch.py"), "--work", args.work, "--make"], check=True)
    good, of_set = True, {}
    for vectors in args.vectors:
        if not takes_effect(args, vectors):
            raise SystemExit(f"VQGEN_CPU={vectors}: vqgen devices does not say that products are made with {SETS[vectors]}")
        for number, (threads, chunk) in enumerate(runs_of(args)):
            load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.load if number % 2 else 0)]
            try:
                made = run(args, vectors, threads, chunk)
            finally:
                for process in load:
                    process.kill()
            same = made == of_set.setdefault(vectors, made)
            good &= same
            beside = f", {len(load)} busy processes beside" if load else ""
            print(f"{vectors}, {threads} threads, chunks of {chunk}{beside}: {made[:16]} {'' if same else 'DIFFERS'}", flush=True)
    if len(of_set) > 1:
        print(f"{' and '.join(of_set)} made {'the same bytes' if len(set(of_set.values())) == 1 else 'different bytes'}")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
