"""Scenes in words. Captions leave out, vary and reorder; what a sibling differs in is always said."""
from world import SIDED

ALIKE = {"purple": ["purple", "purple", "violet"], "gray": ["gray", "grey"], "cyan": ["cyan", "turquoise", "teal"],
         "red": ["red", "red", "red", "crimson"], "circle": ["circle", "circle", "disc", "ball"],
         "square": ["square", "square", "box"], "ring": ["ring", "ring", "donut"], "cross": ["cross", "cross", "plus sign"],
         "diamond": ["diamond", "diamond", "rhombus"], "crescent": ["crescent", "crescent moon"],
         "small": ["small", "little", "tiny"], "large": ["large", "big", "huge"], "3": ["three", "3"], "4": ["four", "4"],
         "9": ["many", "nine", "lots of"],
         "background": ["background", "background", "backdrop", "ground"]}
PLURAL = {"cross": "crosses", "plus sign": "plus signs", "box": "boxes", "rhombus": "rhombuses"}
LANDS = {"sea": ["the sea", "the ocean", "the water"], "hills": ["green hills", "rolling green hills", "a green meadow", "green grass"],
         "mountains": ["snowy mountains", "mountains", "mountains with snow", "mountain peaks"],
         "desert": ["the desert", "sand dunes", "a sandy desert"], "snow": ["a snowy field", "the snow", "a snowy landscape"],
         "city": ["a city", "a city skyline", "tall buildings"]}
TIMES = {"day": ["under a blue sky", "on a sunny day", "during the day"],
         "sunset": ["at sunset", "at dusk", "under a sunset sky", "at sunset"], "night": ["at night", "at night", "under a night sky"]}
OBJECTS = {"house": ["a house with {a} roof", "a house with {a} roof", "a cottage with {a} roof"], "tree": ["a tree", "a green tree"],
           "boat": ["a boat with {a} sail", "a boat with {a} sail", "a sailboat with {c} sails", "a ship with {c} sails"],
           "island": ["an island with a palm tree", "a palm tree on an island"], "flower": ["{a} flower", "a big {c} flower"],
           "rainbow": ["a rainbow"], "pyramid": ["a pyramid"], "cactus": ["a cactus", "a green cactus"], "snowman": ["a snowman"]}
BEFORE_LAND = {"sea": ["on", "on", "in"], "hills": ["on", "on", "in"], "mountains": ["in front of", "by"], "desert": ["in"],
               "snow": ["in", "on"]}
SKY = {"sun": ["the sun", "the sun", "a bright sun"], "moon": ["the moon", "a bright moon"],
       "moon and stars": ["the moon and stars", "the moon and the stars"], "stars": ["stars", "many stars"],
       "clouds": ["white clouds", "clouds"]}


def with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


class Teller:
    """Tells one scene. always: the attribute that must be said, "all" for every attribute in the plainest words."""

    def __init__(self, scene, rng, always):
        self.scene, self.rng, self.always = scene, rng, always

    def word(self, word):
        return word if self.always == "all" else self.rng.choice(ALIKE.get(str(word), [word]))

    def says(self, attribute, chance):
        return self.always in ("all", attribute, "exchange") or self.rng.random() < chance

    def says_time(self, chance, clear="day"):
        """What is `clear` without words need not be said: a text that tells no time is of a day, and the moon is of the night."""
        return self.says("time", chance) or self.scene["time"] != clear

    def one_of(self, choices):
        return choices[0] if self.always == "all" else self.rng.choice(choices)

    def ground(self):
        kind, *colours = self.scene["ground"]
        c = [self.word(x) for x in colours]
        what = {"plain": f"{c[0]} ", "gradient": f"{c[0]} to {c[-1]} gradient ", "stripes": f"{c[0]} and {c[-1]} striped ",
                "checker": f"{c[0]} and {c[-1]} checkered ", "dots": f"{c[0]} dotted "}[kind]
        return with_article(what + self.word("background"))

    def thing(self, colour, shape):
        return f"{self.word(colour)} {self.word(shape)}"

    def one(self):
        s = self.scene
        x = self.thing(s["colour"], s["shape"])
        if s["fill"] != "solid" and self.says("fill", 0.8):
            x = f"{s['fill']} {x}"
        if s["size"] != "middle" and self.says("size", 0.6):
            x = f"{self.word(s['size'])} {x}"
        x, place = with_article(x), ""
        if s["place"] != "center" and self.says("place", 0.85):
            where = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
            place = where.get(s["place"]) or f"in the {s['place']}" + self.one_of(["", " corner"])
        elif s["place"] == "center" and self.always != "all" and self.says("place", 0.1):
            place = "in the " + self.rng.choice(["center", "middle", "centre"])
        if not self.says("ground", 0.85):
            return f"{x} {place}"
        if self.always != "all" and self.rng.random() < 0.2:
            return f"{self.ground()} with {x} {place}"
        return f"{x} {place} on {self.ground()}" if self.one_of([0, 1]) else f"{x} on {self.ground()} {place}"

    def two(self):
        s = self.scene
        first, second = with_article(self.thing(s["colour"], s["shape"])), with_article(self.thing(s["colour2"], s["shape2"]))
        relation = s["relation"]
        if self.always != "all" and self.rng.random() < 0.25:
            first, second = second, first
            relation = dict(above="below", below="above", left="right", right="left", inside="around")[relation]
        words = {"above": ["above", "above", "over", "on top of"], "below": ["below", "below", "under", "beneath"],
                 "left": ["to the left of", "to the left of", "left of"], "right": ["to the right of", "to the right of", "right of"],
                 "inside": ["inside", "inside", "in"], "around": ["around"]}
        x = f"{first} {self.one_of(words[relation])} {second}"
        return f"{x} on {self.ground()}" if self.says("ground", 0.7) else x

    def many(self):
        s = self.scene
        shape = self.word(s["shape"])
        x = f"{self.word(s['count'])} {self.word(s['colour'])} {PLURAL.get(shape, shape + 's')}"
        if self.always == "all":
            x = x.replace("3 ", "three ").replace("4 ", "four ").replace("9 ", "nine ")
        return f"{x} on {self.ground()}" if self.says("ground", 0.8) else x

    def face(self):
        s = self.scene
        mood = self.one_of(["smiling", "happy"] if s["mood"] == "happy" else ["sad", "unhappy", "frowning"])
        x = with_article(f"{mood} {self.word(s['colour'])} face")
        return f"{x} on {self.ground()}" if self.says("ground", 0.8) else x

    def alone(self):
        kind, *colours = self.scene["ground"]
        c = [self.word(x) for x in colours]
        if kind == "stripes":
            return self.one_of([f"{c[0]} and {c[1]} stripes", f"a {c[0]} and {c[1]} striped pattern"])
        if kind == "checker":
            return self.one_of([f"{with_article(c[0])} and {c[1]} checkerboard", f"a checkerboard of {c[0]} and {c[1]}"])
        if kind == "dots":
            return f"{c[1]} dots on {with_article(c[0])} {self.word('background')}"
        return self.ground()

    def land(self):
        s = self.scene
        land, time = self.one_of(LANDS[s["land"]]), self.one_of(TIMES[s["time"]])
        if s["sky"] == "clouds":
            time = self.one_of(["under a blue sky with clouds", "under a cloudy sky", "with clouds in the sky"])
        if s["object"] == "none":
            if s["sky"] != "none" and self.always != "all" and self.rng.random() < 0.6:
                x = f"{self.one_of(SKY[s['sky']])} {self.rng.choice(['over', 'over', 'above'])} {land}"
                clear = "day" if s["sky"] in ("sun", "clouds") else "night"
                return f"{x} {time}" if self.says_time(0.5, clear) and s["sky"] != "clouds" else x
            if s["time"] == "sunset" and self.always != "all" and self.rng.random() < 0.5:
                return f"{self.rng.choice(['a sunset', 'sunset'])} over {land}"
            return f"{land} {time}" if self.says_time(0.9) else land
        colour = self.word(s["paint"])
        x = self.one_of(OBJECTS[s["object"]]).format(a=with_article(colour), c=colour)
        if self.says("land", 0.85):
            before = ["over"] if s["object"] == "rainbow" else BEFORE_LAND[s["land"]]
            x += f" {self.one_of(before)} {land}"
        if s["side"] != "center" and s["object"] in SIDED:  # always: a text that tells no side is of the middle
            x += f" on the {s['side']}"
        return f"{x} {time}" if self.says_time(0.65) else x


def tell(scene, rng, always=None):
    """One caption."""
    t = Teller(scene, rng, always)
    x = (t.alone if scene["kind"] == "ground" else getattr(t, scene["kind"]))()
    if scene["style"] == "watercolour" and (always == "all" or rng.random() < 0.85):
        x = t.one_of(["a watercolor painting of ", "a watercolour of ", "a watercolor of "]) + x
    elif always != "all" and rng.random() < 0.1:
        x = rng.choice(["a picture of ", "an image of ", "a drawing of "]) + x
    return " ".join(x.split())
