# SPDX-License-Identifier: MIT
"""Grouped bars as SVG: one group a load, one bar an allocator; shorter is better."""

from xml.sax.saxutils import escape

COLOURS = ["#b5442a", "#4a7ba6", "#6a9f58", "#c2a13b", "#8a8a8a", "#7d5ba6"]
BAR, GAP, LEFT, WIDTH, TOP = 9, 10, 150, 420, 46


def bars(title, unit, groups, names, limit):
    """
    groups: [(label, {name: value})]. Bars end at @limit, and say their value when they are cut.
    """
    high = TOP + len(groups) * (len(names) * BAR + GAP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{high + 8}" '
           'font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="8" y="16" font-size="13">{escape(title)} <tspan fill="#666">({escape(unit)})'
           '</tspan></text>']
    for i, name in enumerate(names):
        x = 8 + i * 105
        out.append(f'<rect x="{x}" y="25" width="9" height="9" fill="{COLOURS[i]}"/>'
                   f'<text x="{x + 13}" y="33">{escape(name)}</text>')
    y = TOP
    for label, values in groups:
        middle = y + len(names) * BAR / 2 + 3
        out.append(f'<text x="{LEFT - 6}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for i, name in enumerate(names):
            if name in values:
                out += bar(values[name], limit, y + i * BAR, COLOURS[i])
        y += len(names) * BAR + GAP
    out.append(f'<line x1="{LEFT}" y1="{TOP - 4}" x2="{LEFT}" y2="{high}" stroke="#444"/>')
    return "\n".join(out + ["</svg>", ""])


def bar(value, limit, y, colour):
    width = WIDTH * min(value, limit) / limit
    text = f"{value:.0f}" if value >= 20 else f"{value:.2f}"
    if value > limit:
        text += " →"
    return [f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>',
            f'<text x="{LEFT + width + 4:.1f}" y="{y + BAR - 1}" font-size="8">{text}</text>']
