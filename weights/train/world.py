"""The world: scenes that a seed draws, and siblings that differ from them in one attribute.

A scene is a dict of plain values, so that it can be compared, changed and captioned; captions.py tells it in words,
draw.py draws it. Kinds of scene: one object, two objects in a relation, many objects, a face, a ground alone, a landscape.
"""
from shapes import ROOM, SHAPES

COLOURS = dict(red=(215, 35, 35), orange=(245, 140, 25), yellow=(250, 220, 50), green=(45, 160, 60), blue=(40, 80, 215),
               purple=(130, 50, 170), pink=(250, 140, 185), brown=(125, 78, 42), black=(18, 18, 20),
               white=(245, 245, 243), gray=(135, 135, 138), cyan=(60, 205, 215))
FILLS = ["solid", "striped", "dotted", "outlined", "shiny"]
PLACES = {"center": (0, 0), "left": (-0.45, 0), "right": (0.45, 0), "top": (0, -0.45), "bottom": (0, 0.45),
          "top left": (-0.45, -0.45), "top right": (0.45, -0.45), "bottom left": (-0.45, 0.45),
          "bottom right": (0.45, 0.45)}
RELATIONS = dict(above=(0, -1), below=(0, 1), left=(-1, 0), right=(1, 0), inside=(0, 0))
COUNTS = [3, 4, 9]
TIMES = ["day", "sunset", "night"]
OBJECTS = dict(sea=["none", "none", "boat", "boat", "island"], hills=["none", "house", "house", "tree", "flower", "rainbow"],
               mountains=["none", "none", "tree", "house"], desert=["none", "pyramid", "cactus"],
               snow=["none", "house", "tree", "snowman"], city=["none"])
SIDED = ["house", "boat", "flower", "tree"]  # what may stand at a side of its landscape
LANDS = list(OBJECTS)
IN_SKY = dict(day=["sun", "sun", "none", "clouds"], sunset=["sun", "sun", "none"], night=["moon", "moon and stars", "stars"])
PAINTED = ["red", "red", "blue", "orange", "yellow", "purple", "white", "brown"]  # roofs, sails, petals
KINDS = dict(one=40, two=20, many=7, ground=4, face=4, land=25)  # of a hundred


def colours_of(scene):
    """All colours that a scene uses, its ground's first."""
    return scene["ground"][1:] + [scene[k] for k in ("colour", "colour2") if k in scene]


def choose_colour(rng, not_these=()):
    return rng.choice([c for c in COLOURS if c not in not_these])


def choose_ground(rng, not_these=(), plain=0.72):
    """["plain", colour] or [pattern, colour, colour]."""
    first = choose_colour(rng, not_these)
    if rng.random() < plain:
        return ["plain", first]
    return [rng.choice(["gradient", "stripes", "checker", "dots"]), first, choose_colour(rng, [first, *not_these])]


def make_one(rng):
    ground = choose_ground(rng)
    colour = choose_colour(rng, ground[1:])
    fill = rng.choice(["solid"] * 12 + FILLS[1:])
    place = rng.choice(["center"] * 8 + list(PLACES))
    return dict(ground=ground, colour=colour, shape=rng.choice(SHAPES), place=place, fill=fill,
                size=rng.choice(["small", "middle", "middle", "middle", "large"] if place == "center" else
                                ["small", "middle", "middle"]),
                second="white" if "white" not in [colour, *ground] else "black")


def make_two(rng):
    ground = choose_ground(rng, plain=0.85)
    colour = choose_colour(rng, ground[1:])
    relation = rng.choice(list(RELATIONS))
    return dict(ground=ground, colour=colour, colour2=choose_colour(rng, [colour, *ground[1:]]), shape=rng.choice(SHAPES),
                shape2=rng.choice(list(ROOM) if relation == "inside" else SHAPES), relation=relation)


def make_many(rng):
    ground = choose_ground(rng, plain=0.85)
    return dict(ground=ground, colour=choose_colour(rng, ground[1:]), shape=rng.choice(SHAPES), count=rng.choice(COUNTS))


def make_ground(rng):
    return dict(ground=choose_ground(rng, plain=0.3))


def make_face(rng):
    ground = choose_ground(rng, ["black"], plain=0.85)
    return dict(ground=ground, colour=choose_colour(rng, ["black", *ground[1:]]) if rng.random() < 0.5 or "yellow" in ground
                else "yellow", mood=rng.choice(["happy", "happy", "sad"]))


def make_land(rng):
    land, time = rng.choice(LANDS), rng.choice(["day", "day", "sunset", "night"])
    return dict(land=land, time=time, object=rng.choice(OBJECTS[land]), sky=rng.choice(IN_SKY[time]),
                paint=rng.choice(PAINTED), side=rng.choice(["center", "center", "left", "right"]))


MAKE = dict(one=make_one, two=make_two, many=make_many, ground=make_ground, face=make_face, land=make_land)


def make_scene(rng, kind=None):
    """A scene, drawn with random.Random rng."""
    kind = kind or rng.choices(list(KINDS), KINDS.values())[0]
    return dict(kind=kind, **MAKE[kind](rng), style="watercolour" if rng.random() < 0.08 else "plain",
                seed=rng.getrandbits(31))


# ---- siblings ----

ATTRIBUTES = dict(one=["colour", "shape", "shape", "place", "place", "ground", "size", "fill", "exchange"],
                  two=["colour", "colour2", "shape", "shape2", "relation", "relation", "exchange", "ground"],
                  many=["colour", "shape", "count", "ground"], ground=["ground"], face=["colour", "mood", "ground"],
                  land=["time", "time", "object", "land", "paint", "side"])


def change(scene, attribute, rng):
    """A copy in which one attribute is another one, or None where that makes no sense or no difference."""
    other, fresh = dict(scene), make_scene(rng, scene["kind"])
    if attribute in ("colour", "colour2"):
        other[attribute] = choose_colour(rng, colours_of(scene))
    elif attribute == "ground":
        other["ground"] = choose_ground(rng, colours_of(scene)[len(scene["ground"]) - 1:] if scene["kind"] != "ground" else ())
    elif attribute == "exchange" and scene["kind"] == "two":
        other["colour"], other["colour2"] = scene["colour2"], scene["colour"]
    elif attribute == "exchange":
        if scene["ground"][0] != "plain":
            return None
        other["colour"], other["ground"] = scene["ground"][1], ["plain", scene["colour"]]
    elif attribute == "relation":
        if scene["relation"] == "inside":
            return None
        other["relation"] = rng.choice([r for r in RELATIONS if r != "inside"])
    elif attribute == "shape2" and scene["relation"] == "inside":
        other["shape2"] = rng.choice(list(ROOM))
    elif attribute == "time":
        other.update(time=fresh["time"], sky=fresh["sky"])
    elif attribute == "land":
        other.update(land=fresh["land"], object=fresh["object"])
    elif attribute == "object":
        other["object"] = rng.choice(OBJECTS[scene["land"]])
    elif attribute in ("paint", "side") and scene["object"] not in ("house", "boat", "flower"):
        return None
    else:
        other[attribute] = fresh[attribute]
    return other if other != scene else None


def differences(scene, other):
    """The attributes in which two siblings differ."""
    return [k for k in scene if k != "seed" and scene[k] != other[k]]


def family(scene):
    """The scene with every shape that its thing may have, its two things in every relation and exchanged, its things in every
    number, or all that may stand in its landscape; of other scenes, it alone."""
    if scene["kind"] == "one":
        return [dict(scene, shape=s) for s in SHAPES]
    if scene["kind"] == "two":
        exchanged = dict(scene, colour=scene["colour2"], colour2=scene["colour"])
        both = (scene, exchanged) if scene["shape"] != scene["shape2"] else (scene,)  # of one shape, an exchange is the opposite relation
        return [dict(s, relation=r) for s in both for r in RELATIONS if r != "inside" or s["shape2"] in ROOM]
    if scene["kind"] == "many":
        return [dict(scene, count=c) for c in COUNTS]
    if scene["kind"] == "land":
        return [dict(scene, object=o) for o in dict.fromkeys(OBJECTS[scene["land"]])]
    return [scene]


def make_siblings(rng):
    """Two scenes that differ in one attribute, and that attribute's name; they are not drawn with the same seed."""
    scene, other = make_scene(rng), None
    while other is None:
        attribute = rng.choice(ATTRIBUTES[scene["kind"]])
        other = change(scene, attribute, rng)
    return scene, dict(other, seed=rng.getrandbits(31)), attribute
