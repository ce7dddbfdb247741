"""The published VQGAN and CLIP architectures in plain PyTorch, under the published tensor names.

What the C networks are compared with. A state dict of taming-transformers (VQModel, GumbelVQ; less its `loss.`) or of
OpenAI's CLIP with a vision transformer loads strictly. Everything follows the dtype of the weights: `.double()` makes
the oracle. Images are [N,3,H,W], codes [N,C,h,w], tokens [N,T]; z is a grid of codes, f = 2**(levels - 1) pixels wide.

From the configuration in a file's metadata:    vqgan = VQGAN(config, "vqgan" or "gumbel")    clip = CLIP(config)
"""
import torch
from torch import nn
from torch.nn import functional as F

# ------------------------------------------------------------------------------------------------------------ VQGAN


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResBlock(nn.Module):
    """x -> shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))"""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm1, self.conv1 = norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class AttnBlock(nn.Module):
    """One head over all positions, scaled by C**-0.5."""

    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2) for f in (self.q, self.k, self.v))  # each [N,C,HW]
        weight = torch.softmax(q.transpose(1, 2) @ k * x.shape[1] ** -0.5, dim=2)  # [N,query,key]
        return x + self.proj_out((v @ weight.transpose(1, 2)).view_as(x))


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # right and bottom only


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = ResBlock(c, c), AttnBlock(c), ResBlock(c, c)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention if the configuration says so, then the resampling.

    Which levels have attention depends on the resolution in the configuration, never on that of the picture.
    """

    def __init__(self, c_in, c_out, blocks, attention):
        super().__init__()
        self.block = nn.ModuleList(ResBlock(c_in if i == 0 else c_out, c_out) for i in range(blocks))
        self.attn = nn.ModuleList(AttnBlock(c_out) for _ in range(blocks if attention else 0))

    def forward(self, x):
        for i, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[i](x)
        for resample in ("downsample", "upsample"):
            if hasattr(self, resample):
                x = getattr(self, resample)(x)
        return x


class Encoder(nn.Module):
    """Images in [-1,1] -> [N,z_channels,H/f,W/f]."""

    def __init__(self, config):
        super().__init__()
        width = [config["ch"] * m for m in config["ch_mult"]]
        self.conv_in = nn.Conv2d(config["in_channels"], config["ch"], 3, padding=1)
        self.down = nn.ModuleList()
        for i, c in enumerate(width):
            attention = config["resolution"] >> i in config["attn_resolutions"]
            level = Level(width[i - 1] if i else config["ch"], c, config["num_res_blocks"], attention)
            if i < len(width) - 1:
                level.downsample = Downsample(c)
            self.down.append(level)
        self.mid = Middle(width[-1])
        self.norm_out, self.conv_out = norm(width[-1]), nn.Conv2d(width[-1], config["z_channels"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """[N,z_channels,h,w] -> images, unbounded around [-1,1]. `up.0` is the finest level and runs last."""

    def __init__(self, config):
        super().__init__()
        width = [config["ch"] * m for m in config["ch_mult"]]
        self.conv_in = nn.Conv2d(config["z_channels"], width[-1], 3, padding=1)
        self.mid = Middle(width[-1])
        self.up = nn.ModuleList()
        for i, c in enumerate(width):
            attention = config["resolution"] >> i in config["attn_resolutions"]
            level = Level(width[min(i + 1, len(width) - 1)], c, config["num_res_blocks"] + 1, attention)
            if i > 0:
                level.upsample = Upsample(c)
            self.up.append(level)
        self.norm_out, self.conv_out = norm(width[0]), nn.Conv2d(width[0], config["out_ch"], 3, padding=1)

    def forward(self, x):
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VQGAN(nn.Module):
    def __init__(self, config, kind="vqgan"):
        super().__init__()
        codes, dim = config["n_embed"], config["embed_dim"]
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv = nn.Conv2d(config["z_channels"], dim, 1)
        self.post_quant_conv = nn.Conv2d(dim, config["z_channels"], 1)
        self.quantize = nn.Module()
        if kind == "gumbel":
            self.quantize.proj = nn.Conv2d(dim, codes, 1)
            self.quantize.embed = nn.Embedding(codes, dim)
        else:
            self.quantize.embedding = nn.Embedding(codes, dim)

    @property
    def codebook(self):
        """[n_embed,embed_dim]"""
        return (self.quantize.embed if hasattr(self.quantize, "embed") else self.quantize.embedding).weight

    def distances(self, z):
        """z [N,C,h,w] -> squared distances to all codes [N,h,w,n_embed]."""
        z, book = z.permute(0, 2, 3, 1), self.codebook
        return (z**2).sum(-1, keepdim=True) + (book**2).sum(-1) - 2 * z @ book.T

    def nearest(self, z):
        """z [N,C,h,w] -> the nearest code of each token [N,h,w], the first one of equals; and those codes as z is."""
        indices = self.distances(z).argmin(-1)
        return indices, self.codebook[indices].permute(0, 3, 1, 2)

    def encode(self, image):
        """Images in [-1,1] -> [N,embed_dim,h,w], not yet quantised."""
        return self.quant_conv(self.encoder(image))

    def gumbel_logits(self, z):
        """What the Gumbel quantiser samples from: its code is the argmax, plus noise in the published one."""
        return self.quantize.proj(z)

    def decode(self, zq):
        return self.decoder(self.post_quant_conv(zq))


# ------------------------------------------------------------------------------------------------------------- CLIP


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, mask):
        n, t, width = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(n, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [N,heads,T,width/heads]
        weight = torch.softmax(q * q.shape[-1] ** -0.5 @ k.transpose(2, 3) + mask, dim=-1)
        return self.out_proj((weight @ v).transpose(1, 2).reshape(n, t, width))


class Mlp(nn.Module):
    def __init__(self, width, activation):
        super().__init__()
        self.c_fc, self.c_proj, self.activation = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), activation

    def forward(self, x):
        return self.c_proj(self.activation(self.c_fc(x)))


class AttentionBlock(nn.Module):
    def __init__(self, width, heads, activation):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.mlp = nn.LayerNorm(width), Mlp(width, activation)

    def forward(self, x, mask):
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads, activation):
        super().__init__()
        self.resblocks = nn.ModuleList(AttentionBlock(width, heads, activation) for _ in range(layers))

    def forward(self, x, mask=0.0):
        for block in self.resblocks:
            x = block(x, mask)
        return x


class ImageTower(nn.Module):
    """Normalised images [N,3,S,S], S = image_resolution exactly -> features [N,embed_dim], not of unit length."""

    def __init__(self, config, activation):
        super().__init__()
        width, patch = config["vision_width"], config["vision_patch_size"]
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((config["image_resolution"] // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, config["vision_layers"], config["vision_heads"], activation)
        self.proj = nn.Parameter(torch.empty(width, config["embed_dim"]))

    def forward(self, image):
        x = self.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj


class CLIP(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["transformer_width"]
        activation = {"quick_gelu": QuickGELU, "gelu": nn.GELU}[config["activation"]]()
        self.image_resolution = config["image_resolution"]
        self.visual = ImageTower(config, activation)
        self.token_embedding = nn.Embedding(config["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.empty(config["context_length"], width))
        self.transformer = Transformer(width, config["transformer_layers"], config["transformer_heads"], activation)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, config["embed_dim"]))
        self.logit_scale = nn.Parameter(torch.empty(()))  # belongs to training; carried along

    def encode_image(self, image):
        return self.visual(image)

    def encode_text(self, tokens):
        """Tokens [N,T], T up to context_length -> features [N,embed_dim], at the first end of text (the highest id)."""
        t = tokens.shape[1]
        mask = torch.full((t, t), float("-inf"), dtype=self.ln_final.weight.dtype).triu(1)
        x = self.token_embedding(tokens) + self.positional_embedding[:t]
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(x)), tokens.argmax(-1)] @ self.text_projection


# ------------------------------------------------------------------------------------------- what files are made of


class Named(nn.Module):
    """A module that has its parameters by OpenAI's names: what matters of a traced CLIP is what is stored."""

    def forward(self, x):
        return x
