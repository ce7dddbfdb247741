#!/usr/bin/env python3
"""The same steps in vqgen and in PyTorch, by turns on this machine: time and memory as ratios.

    step_vs_pytorch.py --work FOLDER --vqgen PROGRAM | --vqbench PROGRAM [--size 256 512] [--threads 1 2] [--runs 5] [--cutouts 32] [--between 2 5]
                       [--options "--precision bf16"] [--torch-bf16]

VQGAN f16 with 1024 codes and CLIP ViT-B/32, seeded random weights, cutouts by adaptive average pooling, Adam: the networks
and the step of models.py and loop.py. What a step takes is the difference between a run of many steps and a run of few,
so that start-up cancels out; processor time is user + system of the whole process. PyTorch is given what makes it fastest
here: its threads, oneDNN, and a malloc that keeps large blocks (MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_).

Where other work comes and goes, start-up is too much for that. With --vqbench, both count inside: `vqbench step`, with the same networks but
weights of its own, and PyTorch's loop tell the median of a step's wall time and the mean of its processor time over MANY steps, FEW
before them to warm up.

A line for each size, number of threads and run; then medians and ratios (vqgen / PyTorch: below 1 is faster).
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

TUNED = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "20000000000"}
PROMPT = "a painting of an apple in a fruit bowl"


def network_files(work):
    return work / "speed-vqgan.safetensors", work / "speed-clip.safetensors"


def make_networks(work):
    import torch

    from bpe import synthetic_merges
    from models import CLIP, VQGAN
    from published_sizes import B32, F16, randomise, save

    vqgan, clip = network_files(work)
    generator = torch.Generator().manual_seed(1)
    config = dict(F16, n_embed=1024)
    save(vqgan, randomise(VQGAN(config, "vqgan"), generator), "vqgan", config)
    merges = "\n".join(synthetic_merges(B32["vocab_size"] - 514))
    save(clip, randomise(CLIP(B32), generator), "clip", B32, merges=merges)


def child(args):
    """PyTorch's run: takes its steps and ends; prints what they took, if that is asked for."""
    import numpy
    import torch

    import loop
    import tensorfile
    from models import CLIP, VQGAN
    from published_sizes import B32, F16

    torch.set_num_threads(args.threads[0])
    vqgan, clip = VQGAN(dict(F16, n_embed=1024), "vqgan"), CLIP(B32)
    for model, path in zip((vqgan, clip), network_files(args.work)):
        arrays = tensorfile.read(path)[0]
        model.load_state_dict({name: torch.from_numpy(numpy.array(a)) for name, a in arrays.items()})
        model.eval().requires_grad_(False)
    if args.torch_bf16:
        loop.use_autocast(vqgan, clip)
    generator = torch.Generator().manual_seed(2)
    size = args.size[0]
    codes = vqgan.codebook[torch.randint(1024, (size // 16, size // 16), generator=generator)]
    z = codes.permute(2, 0, 1)[None].contiguous()
    text = torch.randn(1, 512, generator=generator)
    side = torch.randint(size // 2, size + 1, (args.cutouts,), generator=generator)
    corner = (torch.rand(args.cutouts, 2, generator=generator) * (size - side[:, None] + 1)).int()
    boxes = torch.cat([corner, side[:, None].int()], 1)
    began, evaluate = [], loop.evaluate

    def note():
        began.append((time.monotonic(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt))

    def noted(*arguments):
        note()
        return evaluate(*arguments)

    loop.evaluate = noted
    loop.optimise(vqgan, clip, z, boxes, text, [(1.0, float("-inf"))], 0.1, args.steps)
    if args.inside:
        note()
        wall, cpu, faults = ([b[i] - a[i] for a, b in zip(began[args.inside:], began[args.inside + 1:])] for i in range(3))
        print(json.dumps({"wall": statistics.median(wall), "cpu": statistics.mean(cpu), "faults": statistics.mean(faults),
                          "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measure(command, environment):
    """-> wall seconds, processor seconds, most resident MiB, minor faults"""
    started = time.monotonic()
    process = subprocess.Popen(command, env=dict(os.environ, **environment), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, usage.ru_minflt


def per_step(command_of, environment, between):
    few, many = (measure(command_of(steps), environment) for steps in between)
    wall, cpu, faults = ((many[i] - few[i]) / (between[1] - between[0]) for i in (0, 1, 3))
    return {"wall": wall, "cpu": cpu, "memory": many[2], "faults": faults}


def told(command, environment):
    """What a program says of its steps, in its last line."""
    run = subprocess.run(command, env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def inside(program, args, size, threads):
    """The rows of vqgen, and of PyTorch unless it is skipped, each by its own clock."""
    few, many = args.between
    ours = told([program, "step", "--json", "-s", f"{size}x{size}", "--cutouts", str(args.cutouts), "--threads", str(threads),
                 "-n", str(many), "--device", "cpu", *args.options.split()], {})
    ours = {"wall": ours["seconds"], "cpu": ours["cpu_seconds"], "memory": ours["resident_bytes"] / 2**20, "faults": ours["faults"]}
    if args.skip_torch:
        return ours, None
    theirs = [sys.executable, __file__, "--work", str(args.work), "--steps", str(few + many), "--inside", str(few), "--size",
              str(size), "--threads", str(threads), "--cutouts", str(args.cutouts)] + ["--torch-bf16"] * args.torch_bf16
    return ours, told(theirs, dict(TUNED, OMP_NUM_THREADS=str(threads)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vqgen", metavar="PROGRAM")
    parser.add_argument("--vqbench", metavar="PROGRAM")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cutouts", type=int, default=32)
    parser.add_argument("--between", type=int, nargs=2, default=[2, 5], metavar=("FEW", "MANY"), help="steps of the two runs")
    parser.add_argument("--options", default="", help='more for vqgen, such as "--precision bf16"')
    parser.add_argument("--torch-bf16", action="store_true", help="PyTorch under autocast in bf16, instead of in float32")
    parser.add_argument("--skip-torch", action="store_true", help="vqgen alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        return make_networks(args.work)
    if args.steps:
        return child(args)
    if not args.vqgen and not args.vqbench:
        parser.error("give --vqgen PROGRAM or --vqbench PROGRAM")
    args.work.mkdir(parents=True, exist_ok=True)
    networks = network_files(args.work)
    if not all(f.exists() for f in networks):  # by another process: a child's most memory counts its parent's at the start
        subprocess.run([sys.executable, __file__, "--work", str(args.work), "--make"], check=True)

    results = []
    for size in args.size:
        for threads in args.threads:
            def ours(steps):
                return [args.vqgen, PROMPT, "--vqgan", str(networks[0]), "--clip", str(networks[1]), "-s", f"{size}x{size}",
                        "--cutouts", str(args.cutouts), "-n", str(steps), "--seed", "1", "--threads", str(threads),
                        "--init", "random", "--progress", "none", "-o", str(args.work / f"speed-{os.getpid()}-{steps}-{time.monotonic_ns()}.png"),
                        *args.options.split()]

            def theirs(steps):
                return [sys.executable, __file__, "--work", str(args.work), "--steps", str(steps), "--size", str(size),
                        "--threads", str(threads), "--cutouts", str(args.cutouts)] + ["--torch-bf16"] * args.torch_bf16

            rows = {"vqgen": [], "PyTorch": []}
            for run in range(args.runs):
                if args.vqbench:
                    for who, row in zip(rows, inside(args.vqbench, args, size, threads)):
                        rows[who] += [row] if row else []
                else:
                    rows["vqgen"].append(per_step(ours, {}, args.between))
                if not args.vqbench and not args.skip_torch:
                    rows["PyTorch"].append(per_step(theirs, dict(TUNED, OMP_NUM_THREADS=str(threads)), args.between))
                for who, made in rows.items():
                    if made:
                        print(f"{size} px, {threads} threads, run {run + 1}, {who:8}" + "".join(
                            f" {name} {made[-1][name]:.2f}" for name in made[-1]), file=sys.stderr, flush=True)
            medians = {who: {name: statistics.median(r[name] for r in made) for name in made[0]}
                       for who, made in rows.items() if made}
            results.append({"size": size, "threads": threads, **medians})
            if not args.skip_torch:
                ratios = {name: medians["vqgen"][name] / medians["PyTorch"][name] for name in ("wall", "cpu", "memory")}
                results[-1]["ratios"] = ratios
                print(f"{size} px, {threads} threads: vqgen / PyTorch " + ", ".join(
                    f"{name} {value:.2f}" for name, value in ratios.items()), flush=True)
    for png in args.work.glob(f"speed-{os.getpid()}-*.png"):
        png.unlink()
    if args.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
