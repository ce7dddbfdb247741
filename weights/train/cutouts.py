"""What CLIP is shown of a picture: boxes averaged to its side, as vqgen draws them."""
import torch

LEAST, MOST = 0.9, 1.0  # a box's side, as a part of the picture's: the pair's default. Smaller ones move a thing at the left
                        # to the middle, and nothing is left of its place


def axis(start, size, side, length):
    """[N, side, length]: each row averages the pixels that one pixel of the cutout touches (adaptive average pooling)."""
    i = torch.arange(side, device=start.device)
    low = start[:, None] + i * size[:, None] // side
    high = start[:, None] + ((i + 1) * size[:, None] + side - 1) // side
    at = torch.arange(length, device=start.device)
    part = (at >= low[..., None]) & (at < high[..., None])
    return part.float() / (high - low)[..., None]


def take(pictures, side, whole=False):
    """One box of each of the square pictures [N, 3, L, L], as [N, 3, side, side]; differentiable."""
    n, length, device = len(pictures), pictures.shape[-1], pictures.device
    least = length if whole else int(LEAST * length + 0.5)
    size = (torch.rand(n, device=device) * (MOST * length - least) + least).long()
    x, y = ((torch.rand(n, device=device) * (length - size + 1)).long() for _ in range(2))
    down, across = axis(y, size, side, length), axis(x, size, side, length)
    return down[:, None] @ pictures @ across[:, None].transpose(2, 3)


def vary(pictures):
    """Light, contrast and noise that a picture may have."""
    def draw(spread):
        return (torch.rand(len(pictures), 1, 1, 1, device=pictures.device) * 2 - 1) * spread

    x = (pictures - 0.5) * (1 + draw(0.08)) + 0.5 + draw(0.05)
    return x + draw(0.06) * torch.randn_like(x)
