"""Eleven shapes as signed distances: below 0 inside, above 0 outside, in units of the shape's radius.

x and y are arrays (x to the right, y down) in which the shape has radius 1 and its centre at 0.
"""
import math

import numpy as np


def circle(x, y):
    return np.hypot(x, y) - 1


def square(x, y):
    return np.maximum(np.abs(x), np.abs(y)) - 0.85


def triangle(x, y):
    y = y - 0.15
    return np.maximum(0.87 * np.abs(x) - 0.5 * y - 0.55, y - 0.6)


def star(x, y):
    """Five points: a point is folded into one tenth of the star, where its edge is a straight line."""
    sector = 2 * math.pi / 5
    angle = np.arctan2(x, -y)
    angle = np.abs((angle + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    tip, inner = 1.1, 0.45
    ex, ey = inner * math.cos(sector / 2) - tip, inner * math.sin(sector / 2)
    return ((along - tip) * ey - across * ex) / math.hypot(ex, ey)


def ring(x, y):
    return np.abs(np.hypot(x, y) - 0.74) - 0.26


def cross(x, y):
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 0.32, y - 1), np.maximum(x - 1, y - 0.32))


def diamond(x, y):
    return (np.abs(x) * 1.4 + np.abs(y) - 1.1) / 1.72


def heart(x, y):
    """Two discs, and two lines that touch them and meet in the tip."""
    x, y = np.abs(x), y + 0.1
    discs = np.hypot(x - 0.48, y + 0.32) - 0.54
    corner = np.maximum(0.718 * x + 0.696 * y - 0.661, 0.696 * (x - 0.48) - 0.718 * (y + 0.32))
    return np.minimum(discs, np.maximum(corner, -0.32 - y))


def hexagon(x, y):
    x, y = np.abs(x), np.abs(y)
    return np.maximum(0.5 * x + 0.866 * y, x) - 0.88


def crescent(x, y):
    return np.maximum(np.hypot(x, y) - 1, 0.82 - np.hypot(x - 0.52, y + 0.08))


def flower(x, y):
    """Six petals around a middle."""
    return (np.hypot(x, y) - (0.72 + 0.3 * np.cos(6 * np.arctan2(y, x)))) * 0.8


DISTANCE = dict(circle=circle, square=square, triangle=triangle, star=star, ring=ring, cross=cross, diamond=diamond,
                heart=heart, hexagon=hexagon, crescent=crescent, flower=flower)
SHAPES = list(DISTANCE)

# How much of the radius a smaller shape may have that lies inside.
ROOM = dict(circle=0.5, square=0.55, diamond=0.38, hexagon=0.5, heart=0.4)


def cover(shape, x, y, pixel):
    """How much of each pixel the shape covers, 0 to 1; pixel is a pixel's width in units of the radius."""
    return np.clip(0.5 - DISTANCE[shape](x, y) / pixel, 0, 1)
