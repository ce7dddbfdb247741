"""How well a VQGAN keeps held-out pictures: PSNR, the mean over the pictures, and how many of its codes they use.

    python3 measure_vqgan.py vqgan.safetensors --data FOLDER [--count 1000]
"""
import argparse

from machine import prepare
from make_world import load
from train_clip import load_vqgan
from train_vqgan import measure


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("vqgan")
    p.add_argument("--data", required=True, help="folder with held-out.npy of make_world.py")
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    prepare(a.device, a.threads)
    vqgan = load_vqgan(a.vqgan, a.device)
    pictures = load(f"{a.data}/held-out")[0][: a.count]
    psnr, used = measure(vqgan, pictures, a.device)
    print(f"{len(pictures)} pictures: PSNR {psnr:.2f} dB; {used} of {len(vqgan.codebook)} codes used")


if __name__ == "__main__":
    main()
