"""Writes tests/data/augment.safetensors for tests/test_augment.c: kornia's random warps, crops and erasing, with
the parameters that their own generators draw, in float64. Needs torch and kornia 0.5.4, which the notebooks were written for:

    PYTHONPATH=FOLDER_OF_KORNIA_0.5.4 python3 tests/compare/make_augment_goldens.py
"""
import functools
import pathlib

import numpy as np
import torch

torch.set_default_dtype(torch.float64)  # kornia's pi is of the default type
import kornia
import kornia.augmentation.random_generator.random_generator as draws
import kornia.geometry.conversions as conversions
import kornia.geometry.transform.imgwarp as imgwarp

import tensorfile

assert kornia.__version__ == "0.5.4", kornia.__version__
conversions.convert_points_from_homogeneous.__defaults__ = (0.0,)  # it adds 1e-8 to every divisor
imgwarp.create_meshgrid = functools.partial(imgwarp.create_meshgrid, dtype=torch.float64)  # else it rounds the grid
imgwarp._torch_solve_cast = lambda b, a: (torch.linalg.solve(a, b), None)  # it calls what PyTorch no longer has
torch.manual_seed(20210609)

H, W, N = 9, 11, 3
nhwc = lambda x: x.permute(0, 2, 3, 1).contiguous().numpy()
x = torch.rand(N, 3, H, W).float().double()
arrays = {"x": nhwc(x)}

drawn = []  # what the generators draw, one row a cutout
uniform = draws._adapted_uniform


def recorded(shape, low, high, same_on_batch=False):
    values = uniform(shape, low, high, same_on_batch)
    drawn.append(((values - low) / (high - low)).double().numpy())  # as shares of the range
    return values


draws._adapted_uniform = recorded


def apply(module):
    """The module's output, and its parameters."""
    drawn.clear()
    module.set_rng_device_and_dtype(torch.device("cpu"), torch.float64)
    parameters = module.generate_parameters(x.shape)
    matrix = module.compute_transformation(x, parameters)
    return nhwc(module.apply_transform(x, parameters, matrix)), {k: v.double().numpy() for k, v in parameters.items()}


def affine(name, **settings):
    out, p = apply(kornia.augmentation.RandomAffine(p=1.0, **settings))
    zeros = np.zeros(N)
    arrays[name] = out
    arrays[name + " motion"] = np.stack(
        [p["angle"], *p["translations"].T, *p["scale"].T, p.get("sx", zeros), p.get("sy", zeros)], 1)


affine("affine border", degrees=30.0, translate=(0.1, 0.2), padding_mode="border")
affine("affine zeros", degrees=15.0, translate=(0.1, 0.1), scale=(0.7, 1.3, 0.6, 1.4), shear=(-5.0, 5.0, -7.0, 7.0))

rotation = kornia.augmentation.RandomRotation(15.0, p=1.0)
degrees = {"degrees": torch.tensor([-11.0, 4.5, 14.0])}
arrays["rotation degrees"] = degrees["degrees"].numpy()
arrays["rotation"] = nhwc(rotation.apply_transform(x, degrees, rotation.compute_transformation(x, degrees)))

out, p = apply(kornia.augmentation.RandomResizedCrop((H, W), (0.1, 1.0), (0.75, 1.333), cropping_mode="resample"))
arrays["crop"] = out
arrays["crop boxes"] = np.concatenate([p["src"][:, 0], p["src"][:, 2] - p["src"][:, 0] + 1], 1)

arrays["perspective"], p = apply(kornia.augmentation.RandomPerspective(torch.tensor(0.7), p=1.0))
arrays["perspective from"], arrays["perspective to"] = p["start_points"], p["end_points"]
arrays["perspective draws"] = drawn[0]

arrays["erase"], p = apply(kornia.augmentation.RandomErasing((0.1, 0.4), (0.3, 1 / 0.3), p=1.0))
arrays["erase boxes"] = np.stack([p["xs"], p["ys"], p["widths"], p["heights"]], 1).astype(np.int32)
area, wide, high, coin, u, v = drawn
ratio = np.where(np.round(coin) == 1, 0.3 + wide * 0.7, 1 + high * (1 / 0.3 - 1))
arrays["erase draws"] = np.stack([0.1 + area * 0.3, ratio, u, v], 1)

path = pathlib.Path(__file__).resolve().parent.parent / "data" / "augment.safetensors"
tensorfile.write(path, {k: np.ascontiguousarray(v) for k, v in arrays.items()}, {"by": "kornia 0.5.4"})
print(path.stat().st_size, path.name)
