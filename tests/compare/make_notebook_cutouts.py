"""Writes tests/data/notebook_cutouts.safetensors for tests/test_augment.c: the seed notebook's MakeCutouts, its augmentations kornia 0.5.4's own
modules, chosen and drawn as they do; what came out, and the gradient of the picture. In float64. Needs torch and kornia 0.5.4:

    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/make_notebook_cutouts.py
"""
import functools
import pathlib

import numpy as np
import torch

torch.set_default_dtype(torch.float64)  # kornia's pi is of the default type
import kornia
import kornia.augmentation as K
import kornia.geometry.conversions as conversions
import kornia.geometry.transform.imgwarp as imgwarp

import loop
import tensorfile
from philox import normal

assert kornia.__version__ == "0.5.4", kornia.__version__
conversions.convert_points_from_homogeneous.__defaults__ = (0.0,)  # it adds 1e-8 to every divisor
imgwarp.create_meshgrid = functools.partial(imgwarp.create_meshgrid, dtype=torch.float64)  # else it rounds the grid
imgwarp._torch_solve_cast = lambda b, a: (torch.linalg.solve(a, b), None)  # it calls what PyTorch no longer has

H, W, SIDE, COUNT, SEED, STEP = 20, 24, 12, 5, 0x123456789ABC, 17
torch.manual_seed(1)  # of several, one that chooses each augmentation for some cutouts and not for all

picture = torch.rand(1, 3, H, W).float().double().requires_grad_()
boxes = [(2, 0, 20), (0, 3, 12), (9, 4, 15), (5, 1, 17), (11, 7, 13)]
augment = torch.nn.Sequential(
    K.RandomHorizontalFlip(p=0.5),
    K.RandomSharpness(0.3, p=0.4),
    K.RandomAffine(degrees=30, translate=0.1, p=0.8, padding_mode="border"),
    K.RandomPerspective(0.2, p=0.4),
    K.ColorJitter(hue=0.01, saturation=0.01, p=0.7),
)
for module in augment:
    module.set_rng_device_and_dtype(torch.device("cpu"), torch.float64)

crops = torch.cat([loop.resample(picture[:, :, t : t + s, l : l + s], SIDE) for l, t, s in boxes])
factors = torch.rand(COUNT, 1, 1, 1) * 0.1
each = SIDE * SIDE * 3
draws = [[normal(SEED, 5, STEP, j * each + e) for e in range(each)] for j in range(COUNT)]
noise = torch.tensor(draws).view(COUNT, SIDE, SIDE, 3).permute(0, 3, 1, 2)
out = augment(crops) + factors * noise
last = out.permute(0, 2, 3, 1)
last.backward(torch.sin(0.37 * torch.arange(last.numel(), dtype=torch.float64)).view(last.shape))


def full(module, default, *names):
    """[COUNT, ...] of a module's parameters, `default` for the cutouts that it left alone; and which it did not."""
    chosen = module._params["batch_prob"].numpy()
    assert chosen.any() and not chosen.all(), (module, chosen)
    rows = np.tile(np.asarray(default, np.float64), (COUNT, 1))
    if names:
        parts = [module._params[n].double().numpy().reshape(chosen.sum(), -1) for n in names]
        rows[chosen] = np.concatenate(parts, 1)
    return rows, chosen.astype(np.int32)


flip, sharpness, affine, perspective, jitter = augment
zeros = [0.0] * 8
arrays = {
    "picture": picture.detach().permute(0, 2, 3, 1).numpy(),
    "boxes": np.array(boxes, np.int32),
    "mirror": full(flip, [0.0])[1],
    "sharpness": full(sharpness, [1.0], "sharpness_factor")[0][:, 0],
    "noise": factors.view(-1).numpy(),
    "out": last.detach().numpy(),
    "gradient": picture.grad.permute(0, 2, 3, 1).numpy(),
}
arrays["motion"], arrays["moved"] = full(affine, zeros[:7], "angle", "translations", "scale", "sx", "sy")
arrays["from"], arrays["tilted"] = full(perspective, zeros, "start_points")
arrays["to"], _ = full(perspective, zeros, "end_points")
names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
arrays["colours"], arrays["jittered"] = full(jitter, zeros[:4], *names)
arrays["order"] = jitter._params["order"].numpy().astype(np.int32)

path = pathlib.Path(__file__).resolve().parent.parent / "data" / "notebook_cutouts.safetensors"
tensorfile.write(path, {k: np.ascontiguousarray(v) for k, v in arrays.items()}, {"by": "kornia 0.5.4"})
print(path.stat().st_size, path.name)
