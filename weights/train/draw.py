"""Scenes as pictures: numpy, anti-aliased by signed distances; the same seed draws the same picture."""
import math
import random

import numpy as np

from shapes import ROOM, cover
from world import COLOURS, PLACES, RELATIONS, SIDED

SKIES = dict(day=((70, 140, 230), (190, 220, 245)), sunset=((110, 60, 140), (250, 150, 60)), night=((8, 10, 35), (30, 35, 85)))
LIGHT = dict(day=(1, 1, 1), sunset=(0.83, 0.61, 0.58), night=(0.32, 0.36, 0.55))
LANDS = dict(sea=(25, 80, 165), hills=(70, 160, 60), mountains=(105, 100, 115), desert=(230, 190, 110), snow=(238, 243, 250),
             city=(75, 75, 85))


class Canvas:
    """A square picture, x and y from -1 to 1 (y down), and the scene's own random numbers."""

    def __init__(self, side, seed, watercolour):
        at = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
        self.x, self.y = np.meshgrid(at, at)
        self.rng, self.pixel = random.Random(seed), 2 / side
        self.picture = np.zeros((side, side, 3), np.float32)
        if watercolour:  # edges wander
            self.x, self.y = self.x + 0.03 * self.waves(3, 7), self.y + 0.03 * self.waves(3, 7)

    def waves(self, count, most):
        u = self.rng.uniform
        return sum(np.sin(u(-most, most) * self.x + u(-most, most) * self.y + u(0, 6.3)) for _ in range(count)) / math.sqrt(count / 2)

    def colour(self, rgb, jitter=9):
        """A name or three numbers up to 255, a little different every time, as three numbers up to 1."""
        c = np.array(COLOURS[rgb] if isinstance(rgb, str) else rgb, np.float32)
        light = self.rng.uniform(-jitter, jitter)
        return np.clip(c + light + [self.rng.uniform(-jitter / 2, jitter / 2) for _ in range(3)], 0, 255) / 255

    def paint(self, part, colour):
        """part: how much of each pixel, or a signed distance if it has values below 0."""
        self.picture += part[..., None] * (colour - self.picture)

    def inside(self, distance):
        return np.clip(0.5 - distance / self.pixel, 0, 1)

    def disc(self, x, y, r, colour, flat=1):
        self.paint(self.inside(np.hypot(self.x - x, (self.y - y) * flat) - r), colour)

    def box(self, x0, y0, x1, y1, colour):
        self.paint(self.inside(np.maximum(np.maximum(x0 - self.x, self.x - x1), np.maximum(y0 - self.y, self.y - y1))), colour)

    def peak(self, x, top, base, half, colour):
        """A triangle that stands on its base."""
        slope = (base - top) / half
        d = np.maximum((top - self.y + slope * np.abs(self.x - x)) / math.hypot(1, slope), self.y - base)
        self.paint(self.inside(d), colour)


def draw_ground(c, ground):
    kind, *names = ground
    colours, u = [c.colour(n) for n in names], c.rng.uniform
    if kind == "plain":
        c.picture[:] = colours[0]
        return
    a, b = colours
    if kind == "gradient":
        t = np.clip(0.5 + 0.55 * c.y, 0, 1)
    elif kind == "stripes":
        n, turn = u(2.5, 4.5) * math.pi, c.rng.choice([0, math.pi / 2, math.pi / 4])
        t = np.clip(0.5 + np.sin((c.x * math.cos(turn) + c.y * math.sin(turn)) * n + u(0, 6.3)) / (n * c.pixel), 0, 1)
    elif kind == "checker":
        n, p, q = c.rng.choice([1.5, 2, 3]) * math.pi, u(0, 6.3), u(0, 6.3)
        square = [np.clip(np.sin(v * n + o) / (n * c.pixel), -0.5, 0.5) for v, o in ((c.x, p), (c.y, q))]
        t = 0.5 + 2 * square[0] * square[1]
    else:
        n, p, q = u(1.8, 3), u(0, 1), u(0, 1)
        t = c.inside((np.hypot((c.x * n + p) % 1 - 0.5, (c.y * n + q) % 1 - 0.5) - 0.27) / n)
    c.picture[:] = a + t[..., None] * (b - a)


def draw_shape(c, shape, colour, x, y, r, fill="solid", second="white"):
    """Returns nothing; a shape is turned a little unless it is round."""
    turn = 0 if shape in ("circle", "ring") else c.rng.uniform(-0.15, 0.15)
    dx, dy = (c.x - x) / r, (c.y - y) / r
    dx, dy = math.cos(turn) * dx + math.sin(turn) * dy, math.cos(turn) * dy - math.sin(turn) * dx
    pixel = c.pixel / r
    part, base = cover(shape, dx, dy, pixel), c.colour(colour)
    if fill == "outlined":
        part = part - cover(shape, dx * 1.3, dy * 1.3, pixel * 1.3)
        c.paint(np.clip(part, 0, 1), base)
    elif fill == "shiny":
        shade = np.clip(1.1 - 0.7 * np.hypot(dx + 0.35, dy + 0.4), 0.3, 1.1)[..., None]
        glint = np.exp(-((dx + 0.35) ** 2 + (dy + 0.4) ** 2) * 9)[..., None]
        c.paint(part, np.clip(base * shade + 0.8 * glint, 0, 1))
    elif fill in ("striped", "dotted"):
        if fill == "striped":
            t = np.clip(0.5 + np.sin((dx + dy) * 5) / (7 * pixel), 0, 1)
        else:
            t = np.clip(0.5 - (np.hypot((dx * 1.9 + 0.5) % 1 - 0.5, (dy * 1.9 + 0.5) % 1 - 0.5) - 0.28) / 1.9 / pixel, 0, 1)
        c.paint(part, base + t[..., None] * (c.colour(second) - base))
    else:
        c.paint(part, base)


def draw_one(c, s):
    u = c.rng.uniform
    r = dict(small=u(0.2, 0.28), middle=u(0.4, 0.54), large=u(0.65, 0.82))[s["size"]]
    x, y = (p * (1.15 - 0.3 * r) + u(-0.08, 0.08) for p in PLACES[s["place"]])
    draw_shape(c, s["shape"], s["colour"], x, y, r, s["fill"], s["second"])


def draw_two(c, s):
    u = c.rng.uniform
    if s["relation"] == "inside":
        x, y, r = u(-0.07, 0.07), u(-0.07, 0.07), u(0.7, 0.85)
        draw_shape(c, s["shape2"], s["colour2"], x, y, r)
        draw_shape(c, s["shape"], s["colour"], x, y, r * ROOM[s["shape2"]] * u(0.9, 1.05))
        return
    (dx, dy), q = RELATIONS[s["relation"]], u(0.44, 0.52)
    for sign, shape, colour in ((-1, s["shape2"], s["colour2"]), (1, s["shape"], s["colour"])):
        draw_shape(c, shape, colour, sign * dx * q + u(-0.06, 0.06), sign * dy * q + u(-0.06, 0.06), u(0.33, 0.44))


def draw_many(c, s):
    u = c.rng.uniform
    if s["count"] == 3:
        cells = c.rng.choice([[(-1, 0), (0, 0), (1, 0)], [(-1, -1), (0, 0), (1, 1)], [(-1, 0.7), (0, -0.7), (1, 0.7)]])
    elif s["count"] == 4:
        cells = [(-0.75, -0.75), (-0.75, 0.75), (0.75, -0.75), (0.75, 0.75)]
    else:
        cells = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    r = {3: 0.28, 4: 0.34, 9: 0.24}[s["count"]]
    for i, j in cells:
        draw_shape(c, s["shape"], s["colour"], i * 0.63 + u(-0.05, 0.05), j * 0.63 + u(-0.05, 0.05), r * u(0.9, 1.1))


def draw_face(c, s):
    u = c.rng.uniform
    x, y, r, black = u(-0.1, 0.1), u(-0.1, 0.1), u(0.6, 0.8), c.colour("black")
    draw_shape(c, "circle", s["colour"], x, y, r)
    for side in (-1, 1):
        c.disc(x + side * 0.36 * r, y - 0.25 * r, 0.14 * r, black)
    up = 1 if s["mood"] == "happy" else -1
    mx, my = (c.x - x) / r, (c.y - y) / r - (0.1 if up > 0 else 0.62)
    c.paint(c.inside(np.maximum(np.abs(np.hypot(mx, my) - 0.48) - 0.08, 0.12 - up * my) * r), black)


# ---- landscapes ----

def draw_sky(c, s, horizon):
    u, time, what = c.rng.uniform, s["time"], s["sky"]
    top, low = (c.colour(rgb, 10) for rgb in SKIES[time])
    t = np.clip((c.y + 1) / (1 + horizon), 0, 1)[..., None]
    if time == "sunset":
        red = np.array((225, 80, 80)) / 255
        c.picture[:] = np.where(t < 0.5, top + 2 * t * (red - top), red + (2 * t - 1) * (low - red))
    else:
        c.picture[:] = top + t * (low - top)
    if "stars" in what:
        for _ in range(c.rng.randint(10, 16)):
            c.disc(u(-1, 1), u(-1, horizon), u(0.025, 0.04), (1, 1, 0.9))
    x, y = u(-0.6, 0.6), horizon - u(0.05, 0.2) if time == "sunset" else u(-0.7, -0.4)
    if what == "sun":
        r = u(0.17, 0.25)
        c.paint(np.exp(-np.maximum(np.hypot(c.x - x, c.y - y) - r, 0) * 6) * 0.5, (1, 0.9, 0.55))
        c.disc(x, y, r, (1, 0.93, 0.45) if time == "day" else (1, 0.75, 0.3))
    elif "moon" in what:
        r, d = u(0.17, 0.24), np.hypot(c.x - x, c.y - y)
        sickle = c.rng.random() < 0.5
        c.paint(c.inside(np.maximum(d - r, 0.85 * r - np.hypot(c.x - x - 0.5 * r, c.y - y + 0.1 * r)) if sickle else d - r), (0.96, 0.96, 0.85))
    elif what == "clouds":
        for _ in range(c.rng.randint(2, 3)):
            x, y = u(-0.8, 0.8), u(-0.75, -0.35)
            for k, r in ((-1, 0.13), (0, 0.18), (1, 0.13)):
                c.disc(x + 0.17 * k, y, r, (0.97, 0.97, 0.98), flat=1.3)


def below(c, height):
    """How much of each pixel lies below a ridge."""
    return c.inside(height - c.y)


def draw_land(c, s):
    u, light, land = c.rng.uniform, np.array(LIGHT[s["time"]], np.float32), s["land"]

    def lit(rgb):
        return np.clip(c.colour(rgb, 8) * light, 0, 1)

    horizon = u(0.0, 0.2)
    draw_sky(c, s, horizon)
    if s["object"] == "rainbow":
        d, x = np.hypot(c.x - u(-0.1, 0.1), (c.y - 0.3) * 1.1), 0.95
        for rgb in ("red", "orange", "yellow", "green", "blue", "purple"):
            c.paint(c.inside(np.abs(d - x) - 0.045), lit(rgb))
            x -= 0.085
    if land == "sea":
        c.paint(below(c, horizon + 0 * c.x), lit(LANDS[land]))
        for _ in range(5):
            c.disc(u(-1, 1), u(horizon + 0.1, 0.95), u(0.1, 0.22), lit((60, 120, 200)), flat=9)
        if s["sky"] == "sun" and s["time"] == "sunset":
            c.paint(below(c, horizon + 0 * c.x) * np.exp(-(c.x / 0.18) ** 2) * 0.5, (1, 0.7, 0.35))
    elif land in ("hills", "desert", "snow"):
        far = horizon + 0.12 * np.sin(u(2, 3.5) * c.x + u(0, 6.3))
        near = horizon + 0.32 + 0.1 * np.sin(u(1.5, 3) * c.x + u(0, 6.3))
        c.paint(below(c, far), lit(tuple(0.87 * v for v in LANDS[land])))
        c.paint(below(c, near), lit(LANDS[land]))
    elif land == "mountains":
        for x, half in ((u(-0.8, -0.4), u(0.6, 0.8)), (u(0.4, 0.8), u(0.6, 0.8)), (u(-0.2, 0.2), u(0.7, 0.9))):
            top = horizon - u(0.5, 0.75)
            c.peak(x, top, 1.2, half * (1.2 - top) / (1 - top), lit(tuple(v * u(0.85, 1.1) for v in LANDS[land])))
            c.peak(x, top, top + 0.28, half * 0.28 / (1 - top), lit((245, 247, 250)))
        c.paint(below(c, 0.62 + 0.05 * np.sin(3 * c.x + u(0, 6.3))), lit(LANDS[land]))
    else:
        x = -1.1
        while x < 1:
            wide, top = u(0.22, 0.4), horizon - u(0.1, 0.75)
            c.box(x, top, x + wide, 1.1, lit(tuple(u(70, 130) + k for k in (0, 2, 12))))
            for wx in np.arange(x + 0.06, x + wide - 0.06, 0.11):
                for wy in np.arange(top + 0.07, 0.65, 0.15):
                    if c.rng.random() < 0.7:
                        c.box(wx, wy, wx + 0.06, wy + 0.08, (1, 0.9, 0.5) if s["time"] != "day" else lit((180, 205, 225)))
            x += wide + u(0, 0.05)
        c.box(-1.2, 0.7, 1.2, 1.2, lit(LANDS[land]))
    if s["object"] not in ("none", "rainbow"):
        x = dict(center=u(-0.06, 0.06), left=u(-0.55, -0.43), right=u(0.43, 0.55))[s["side"] if s["object"] in SIDED else "center"]
        draw_object(c, s, x, 0.62 if land != "sea" else max(0.42, horizon + 0.2), lit)


def draw_object(c, s, x, y, lit):
    """An object that stands at (x, y)."""
    what, paint = s["object"], lit(s["paint"])
    if what == "house":
        h = c.rng.uniform(0.34, 0.38)
        c.box(x - h, y - 1.2 * h, x + h, y, lit((235, 220, 190) if s["paint"] != "white" else (190, 150, 110)))
        c.peak(x, y - 2.4 * h, y - 1.15 * h, 1.35 * h, paint)
        c.box(x - 0.2 * h, y - 0.7 * h, x + 0.2 * h, y, lit("brown"))
        window = (1, 0.9, 0.5) if s["time"] == "night" else lit((120, 170, 220))
        for side in (-0.6, 0.6):
            c.box(x + (side - 0.18) * h, y - 0.85 * h, x + (side + 0.18) * h, y - 0.5 * h, window)
    elif what == "tree" and s["land"] == "hills":
        c.box(x - 0.07, y - 0.45, x + 0.07, y, lit("brown"))
        for dx, dy, r in ((0, -0.75, 0.28), (-0.2, -0.55, 0.22), (0.2, -0.55, 0.22)):
            c.disc(x + dx, y + dy, r, lit((35, 110, 45)))
    elif what == "tree":
        c.box(x - 0.06, y - 0.2, x + 0.06, y, lit("brown"))
        for k in range(3):
            c.peak(x, y - 1.05 + 0.25 * k, y - 0.5 + 0.2 * k, 0.22 + 0.08 * k, lit((25, 95, 55)))
    elif what == "boat":
        hull = np.maximum(np.abs(c.x - x) - 0.42 + 0.7 * (c.y - y), np.maximum(y - c.y, c.y - y - 0.2))
        c.paint(c.inside(hull), lit((110, 65, 35)))
        c.box(x - 0.025, y - 0.8, x + 0.025, y, lit((70, 45, 30)))
        slope = np.maximum(np.maximum(x + 0.04 - c.x, c.y - y + 0.07), (c.x - x - 0.48 * (c.y - y + 0.8) / 0.72) * 0.83)
        c.paint(c.inside(slope), paint)
    elif what == "island":
        c.disc(x, y + 0.1, 0.4, lit((225, 195, 120)), flat=2.5)
        c.box(x - 0.04, y - 0.55, x + 0.04, y + 0.05, lit("brown"))
        for dx, dy in ((-0.2, -0.5), (0.2, -0.5), (-0.14, -0.68), (0.14, -0.68)):
            c.disc(x + dx, y + dy, 0.18, lit((35, 130, 50)), flat=2)
    elif what == "flower":
        c.box(x - 0.04, y - 0.4, x + 0.04, y + 0.15, lit((35, 110, 45)))
        for k in range(6):
            c.disc(x + 0.2 * math.cos(k * 1.047), y - 0.55 + 0.2 * math.sin(k * 1.047), 0.14, paint)
        c.disc(x, y - 0.55, 0.12, lit("yellow" if s["paint"] != "yellow" else "brown"))
    elif what == "pyramid":
        c.peak(x, y - 0.75, y, 0.65, lit((200, 150, 75)))
        shade = np.clip((c.x - x) / c.pixel, 0, 1) * c.inside(np.maximum((y - 0.75 - c.y + 1.15 * np.abs(c.x - x)) / 1.5, c.y - y))
        c.paint(shade, lit((150, 105, 50)))
    elif what == "cactus":
        green = lit((45, 120, 60))
        for x0, y0, x1, y1 in ((-0.1, -0.8, 0.1, 0), (-0.34, -0.55, -0.22, -0.25), (-0.34, -0.37, 0, -0.25), (0.22, -0.65, 0.34, -0.35), (0, -0.47, 0.34, -0.35)):
            c.box(x + x0, y + y0, x + x1, y + y1, green)
    elif what == "snowman":
        for dy, r in ((-0.22, 0.27), (-0.55, 0.2), (-0.82, 0.15)):
            c.disc(x, y + dy, r + 0.025, lit((150, 165, 190)))
            c.disc(x, y + dy, r, lit((250, 250, 252)))
        for dx in (-0.06, 0.06):
            c.disc(x + dx, y - 0.85, 0.03, (0.05, 0.05, 0.05))
        c.disc(x + 0.02, y - 0.79, 0.04, lit("orange"))


def draw(scene, side=96):
    """uint8 [side, side, 3]"""
    watercolour = scene["style"] == "watercolour"
    c = Canvas(side, scene["seed"], watercolour)
    if scene["kind"] == "land":
        draw_land(c, scene)
    else:
        draw_ground(c, scene["ground"])
        if scene["kind"] != "ground":
            dict(one=draw_one, two=draw_two, many=draw_many, face=draw_face)[scene["kind"]](c, scene)
    picture = c.picture
    if watercolour:
        picture = picture * (1 + 0.1 * c.waves(4, 9) + 0.05 * c.waves(4, 22))[..., None] * 0.84 + 0.14
    if c.rng.random() < 0.5:  # uneven light
        u = c.rng.uniform
        picture = picture * (1 + c.x * u(-0.07, 0.07) + c.y * u(-0.07, 0.07) + u(-0.04, 0.04))[..., None]
    if c.rng.random() < 0.3:  # grain
        grain = np.random.default_rng(scene["seed"]).standard_normal(picture.shape, np.float32)
        picture = picture + 0.015 * c.rng.random() * grain
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
