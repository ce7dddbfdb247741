"""What a scene says as classes. While the CLIP is trained, one linear layer reads them from a picture's embedding and from a text's: shapes and
places are learned in a tenth of the time that captions alone take, and which of two things stands where is learned at all. The layer is not shipped."""
import torch
import torch.nn.functional as F
from torch import nn

from shapes import SHAPES
from world import COLOURS, COUNTS, FILLS, KINDS, LANDS, PLACES, RELATIONS, TIMES

CLASSES = dict(kind=list(KINDS), colour=list(COLOURS), colour2=list(COLOURS), shape=SHAPES, shape2=SHAPES, place=list(PLACES),
               relation=list(RELATIONS), count=COUNTS, fill=FILLS, size=["small", "middle", "large"], land=LANDS, time=TIMES,
               object=["none", "boat", "island", "house", "tree", "flower", "rainbow", "pyramid", "cactus", "snowman"],
               sky=["none", "sun", "clouds", "moon", "moon and stars", "stars"], side=["center", "left", "right"],
               mood=["happy", "sad"], pattern=["plain", "gradient", "stripes", "checker", "dots"], ground1=list(COLOURS),
               ground2=list(COLOURS), paint=["red", "blue", "orange", "yellow", "purple", "white", "brown"])
NONE = -100  # cross_entropy leaves it out
WEIGHT = dict(shape=4, shape2=4, place=3, relation=4, colour=2, colour2=4)  # what is hard; all else has 1


def in_order(scene):
    """Of two things the left or the upper one first: "a to the left of b" is "b to the right of a", and a picture does not say which is meant."""
    turned = dict(right="left", below="above").get(scene.get("relation"))
    if not turned:
        return scene
    return dict(scene, relation=turned, colour=scene["colour2"], colour2=scene["colour"], shape=scene["shape2"], shape2=scene["shape"])


def classes_of(scene):
    """The class of each attribute, NONE where the scene has none."""
    values = dict(in_order(scene))
    if "ground" in scene:
        values["pattern"], values["ground1"], *rest = scene["ground"]
        values["ground2"] = rest[0] if rest else None
    if scene["kind"] == "land" and scene["object"] not in ("house", "boat", "flower"):
        values["paint"] = None
    return [names.index(values[k]) if values.get(k) is not None else NONE for k, names in CLASSES.items()]


class Reader(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, sum(map(len, CLASSES.values())))

    def read(self, direction):
        return self.linear(direction.float() * direction.shape[1] ** 0.5)  # numbers of size 1

    def loss(self, embedding, classes):
        """classes [N, attributes]"""
        parts = self.read(embedding).split([len(v) for v in CLASSES.values()], 1)
        losses = [WEIGHT.get(k, 1) * F.cross_entropy(p, c, reduction="sum") for k, p, c in zip(CLASSES, parts, classes.t())]
        return sum(losses) / len(classes)

    @torch.no_grad()
    def right(self, embedding, classes):
        """{attribute: part that is right}"""
        parts = self.read(embedding).split([len(v) for v in CLASSES.values()], 1)
        return {k: (p.argmax(1) == c)[c != NONE].float().mean().item() for k, p, c in zip(CLASSES, parts, classes.t())}
