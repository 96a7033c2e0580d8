# SPDX-License-Identifier: MIT
"""Drawing SVG by hand: shapes, text, axes. Colours are told apart in grey and by the colour-blind too."""

import math
from html import escape

FONT = "font-family='Helvetica, Arial, sans-serif'"
INK, FAINT, PAPER = "#24292f", "#8c959f", "#ffffff"


class Svg:
    """A picture that grows; save() writes it."""

    def __init__(self, width, height, title):
        self.width, self.height, self.parts = width, height, []
        self.title = title

    def add(self, text):
        self.parts.append(text)

    def rect(self, x, y, w, h, fill, stroke="none", tip=""):
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self.add(f"<rect x='{x:.2f}' y='{y:.2f}' width='{w:.2f}' height='{h:.2f}' fill='{fill}'"
                 + (f" stroke='{stroke}' stroke-width='0.7'" if stroke != "none" else "")
                 + (f">{inner}</rect>" if inner else "/>"))

    def line(self, x1, y1, x2, y2, stroke=FAINT, width=1.0, dash=""):
        self.add(f"<line x1='{x1:.2f}' y1='{y1:.2f}' x2='{x2:.2f}' y2='{y2:.2f}' stroke='{stroke}'"
                 f" stroke-width='{width}'" + (f" stroke-dasharray='{dash}'" if dash else "") + "/>")

    def dot(self, x, y, r, fill, opacity=1.0, tip=""):
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self.add(f"<circle cx='{x:.2f}' cy='{y:.2f}' r='{r}' fill='{fill}' opacity='{opacity}'>"
                 f"{inner}</circle>")

    def path(self, points, stroke, width=1.5, fill="none", opacity=1.0):
        d = " ".join(f"{'L' if i else 'M'}{x:.2f},{y:.2f}" for i, (x, y) in enumerate(points))
        self.add(f"<path d='{d}' stroke='{stroke}' stroke-width='{width}' fill='{fill}' "
                 f"opacity='{opacity}' stroke-linejoin='round'/>")

    def text(self, x, y, text, size=12, fill=INK, anchor="start", weight="normal"):
        self.add(f"<text x='{x:.2f}' y='{y:.2f}' font-size='{size}' fill='{fill}' "
                 f"text-anchor='{anchor}' font-weight='{weight}'>{escape(str(text))}</text>")

    def legend(self, x, y, entries, size=11):
        """Coloured squares with words, in a row; breaks before the right edge."""
        at = x
        for colour, word in entries:
            width = 18 + 0.5 * size * len(word)
            if at + width > self.width - 20:
                at, y = x, y + 17
            self.rect(at, y - 9, 11, 11, colour, FAINT)
            self.text(at + 15, y, word, size)
            at += width + 10
        return y

    def save(self, path, height=None):
        height = height or self.height
        head = (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {height:.0f}' "
                f"width='{self.width}' height='{height:.0f}' {FONT}>\n"
                f"<title>{escape(self.title)}</title>\n"
                f"<rect width='{self.width}' height='{height:.0f}' fill='{PAPER}'/>\n")
        with open(path, "w", encoding="utf-8") as out:
            out.write(head + "\n".join(self.parts) + "\n</svg>\n")


def nice_step(span, most):
    """1, 2 or 5 times a power of ten: at most so many of them in @span."""
    step = 1.0
    while span / step > most:
        step *= 10
    while span / step <= most / 10:
        step /= 10
    for part in (0.1, 0.2, 0.5):
        if span / (step * part) <= most:
            return step * part
    return step


class Axes:
    """A frame with two scales; logarithmic in y if asked."""

    def __init__(self, svg, box, xs, ys, log=False):
        self.svg, (self.x, self.y, self.w, self.h) = svg, box
        self.xs, self.ys, self.log = xs, ys, log

    def px(self, x):
        return self.x + self.w * (x - self.xs[0]) / (self.xs[1] - self.xs[0] or 1)

    def py(self, y):
        lo, hi = self.ys
        if self.log:
            y, lo, hi = math.log10(max(y, lo)), math.log10(lo), math.log10(hi)
        return self.y + self.h * (1 - (y - lo) / (hi - lo or 1))

    def draw(self, x_name, y_name, x_form, y_form):
        svg = self.svg
        for tick in self.ticks(self.xs, 8):
            svg.line(self.px(tick), self.y, self.px(tick), self.y + self.h, "#eaeef2")
            svg.text(self.px(tick), self.y + self.h + 16, x_form(tick), 11, anchor="middle")
        ticks = self.decades() if self.log else self.ticks(self.ys, 6)
        for tick in ticks:
            svg.line(self.x, self.py(tick), self.x + self.w, self.py(tick), "#d0d7de")
            svg.text(self.x - 6, self.py(tick) + 4, y_form(tick), 11, anchor="end")
        svg.line(self.x, self.y + self.h, self.x + self.w, self.y + self.h, INK)
        svg.text(self.x + self.w, self.y + self.h + 32, x_name, 11, FAINT, "end")
        svg.text(self.x, self.y - 8, y_name, 11, FAINT)

    @staticmethod
    def ticks(scale, most):
        step = nice_step(scale[1] - scale[0] or 1, most)
        at = step * -(-scale[0] // step) + 0.0
        while at <= scale[1] + step / 1e6:
            yield at
            at += step

    def decades(self):
        at = 10.0 ** -12
        while at <= self.ys[1] * 1.0001:
            if at >= self.ys[0] * 0.9999:
                yield at
            at *= 10
