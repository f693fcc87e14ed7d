"""Recall-rate curves as one SVG file, with no library."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 50, 60
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


def curves(path, title, lines, lowest=0.8):
    """Writes the plot: `lines` maps a name to (recall, rate) points.

    Recall runs along -log(1 - recall), so that each further nine takes the same room; the rate is
    logarithmic.
    """
    shown = {
        name: [(r, q) for r, q in points if r >= lowest and q > 0] for name, points in lines.items()
    }
    rates = [q for points in shown.values() for _, q in points]
    if not rates:
        return
    low = min(rates) * 0.8
    high = max(rates) * 1.25
    top = max(min(max(r for points in shown.values() for r, _ in points), 0.9999), 0.99)

    def across(recall):
        scale = math.log((1 - lowest) / (1 - top))
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * math.log((1 - lowest) / (1 - min(recall, top))) / scale
        )

    def down(rate):
        share = math.log(rate / low) / math.log(high / low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>',
    ]
    out += grid(across, down, low, high, top, lowest)
    for number, (name, points) in enumerate(shown.items()):
        out += line(name, points, across, down, COLOURS[number % len(COLOURS)], number)
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def rule(x0, y0, x1, y1, colour="#ddd", width=1):
    """A straight line."""
    place = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def word(x, y, text, anchor="start", more=""):
    """A piece of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def grid(across, down, low, high, top, lowest):
    """Axes, rules and their labels."""
    out = []
    for recall in RECALLS:
        if lowest <= recall <= top:
            x = across(recall)
            out.append(rule(x, TOP, x, HEIGHT - BOTTOM))
            out.append(word(x, HEIGHT - BOTTOM + 18, f"{recall:g}", "middle"))
    for rate in (digit * 10**power for power in range(9) for digit in (1, 2, 5)):
        if low <= rate <= high:
            y = down(rate)
            out.append(rule(LEFT, y, WIDTH - RIGHT, y))
            out.append(word(LEFT - 8, y + 4, f"{rate:,}", "end"))
    out.append(word((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "recall of 10", "middle"))
    turned = f' transform="rotate(-90 18 {HEIGHT / 2})"'
    out.append(word(18, HEIGHT / 2, "queries per second, one thread", "middle", turned))
    return out


def line(name, points, across, down, colour, number):
    """One curve with its points and its entry in the legend."""
    places = [(across(r), down(q)) for r, q in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    y = TOP + 14 + 20 * number
    x = WIDTH - RIGHT + 16
    out = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{colour}"/>' for a, b in places]
    out.append(rule(x, y, x + 22, y, colour, 2))
    out.append(word(x + 30, y + 4, name))
    return out
