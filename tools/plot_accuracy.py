#!/usr/bin/python3
"""plot_accuracy.py owns docs/images/accuracy.svg: predicted against measured figures, counted in cells.

usage: gpusize evaluate --measured ROWS.csv --predictions PREDICTIONS.csv
       tools/plot_accuracy.py ROWS.csv PREDICTIONS.csv OUTPUT.svg

A panel for each kind of load; a cell holds all rows whose two figures are alike to within a cell's side, so that no row
is shown by itself. Same input, same bytes.
"""
import collections
import csv
import math
import statistics
import sys

# load_mode of the rows, figure, title, unit, colour
PANELS = [
    ("closed-loop", "tpot_ms", "Time per output token", "ms", "#1f6fb2"),
    ("max-load offline", "output_tokens_per_second", "Saturated engine", "tokens/s", "#b24a1f"),
    ("static batch", "output_tokens_per_second", "Static batches", "tokens/s", "#2b8a3e"),
    ("batch-1 decode", "tpot_ms", "llama.cpp, one sequence", "ms a token", "#7b3fa0"),
    ("batch-1 prefill", "prefill_tokens_per_second", "One prompt", "tokens/s", "#a07a00"),
    ("closed-loop", "ttft_ms", "Time to the first token", "ms", "#b2245e"),
]
COLUMNS = 3
CELLS = 44          # along each axis
SIDE = 264          # of a panel
LEFT, TOP, GAP_X, GAP_Y = 62, 52, 86, 92
BAND_RATIO = 1.3    # +-30 %
WITHIN = 0.3


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def points_of(rows, lines, load, metric):
    loads = {row["uid"]: row["load_mode"] for row in rows}
    return [(float(line["measured"]), float(line["predicted"])) for line in lines
            if line["ape"] and line["metric"] == metric and loads.get(line["uid"]) == load]


def limits_of(points):
    """Whole numbers of decades would leave panels empty: the outermost hundredths are cut off, and counted."""
    values = sorted(math.log10(value) for point in points for value in point)
    cut = len(values) // 200
    return values[cut] - 0.08, values[-1 - cut] + 0.08


def text(x, y, content, size=12, anchor="start", extra=""):
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" {extra}>{content}</text>'


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def axis(low, high):
    """Places and labels of 1, 2 and 5 in each decade, or of decades alone."""
    steps = (1, 2, 5) if high - low < 2.2 else (1,)
    values = [step * 10.0 ** decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return [(math.log10(value), short(value)) for value in values if low <= math.log10(value) <= high]


def band(low, high, place):
    """The area between the lines predicted = measured × and / BAND_RATIO, cut at the panel."""
    width = math.log10(BAND_RATIO)
    corners = [(low, low), (low + width, low), (high, high - width), (high, high), (high - width, high), (low, low + width)]
    joined = " ".join(f"{place(x):.1f},{SIDE - place(y):.1f}" for x, y in corners)
    return f'<polygon points="{joined}" fill="#000" fill-opacity="0.07"/>'


def panel(points, title, unit, colour):
    low, high = limits_of(points)

    def place(value):
        return (value - low) / (high - low) * SIDE

    cells = collections.Counter()
    for measured, predicted in points:
        at = [math.floor((math.log10(value) - low) / (high - low) * CELLS) for value in (measured, predicted)]
        if all(0 <= index < CELLS for index in at):
            cells[tuple(at)] += 1
    most, side = max(cells.values()), SIDE / CELLS
    errors = [abs(predicted / measured - 1) for measured, predicted in points]
    inside = sum(error <= WITHIN for error in errors) / len(errors)
    parts = [f'<rect width="{SIDE}" height="{SIDE}" fill="#fff" stroke="#999"/>', band(low, high, place),
             f'<path d="M0 {SIDE}L{SIDE} 0" stroke="#444" stroke-width="1"/>']
    for (x, y), count in sorted(cells.items()):
        opacity = 0.25 + 0.75 * math.log1p(count) / math.log1p(most)
        parts.append(f'<rect x="{x * side:g}" y="{SIDE - (y + 1) * side:g}" width="{side:g}" height="{side:g}" '
                     f'fill="{colour}" fill-opacity="{opacity:.2f}"/>')
    for value, label in axis(low, high):
        parts.append(text(round(place(value), 1), SIDE + 16, label, 11, "middle", 'fill="#444"'))
        parts.append(text(-6, round(SIDE - place(value) + 4, 1), label, 11, "end", 'fill="#444"'))
    parts.append(text(0, -24, title, 14, "start", 'font-weight="bold"'))
    parts.append(text(0, -8, f"{len(points):,} results: median {100 * statistics.median(errors):.1f} % off, "
                             f"{100 * inside:.3g} % within 30 %", 10.5))
    parts.append(text(SIDE / 2, SIDE + 34, f"measured, {unit}", 11, "middle"))
    parts.append(text(-40, SIDE / 2, f"predicted, {unit}", 11, "middle", f'transform="rotate(-90 -40 {SIDE / 2:g})"'))
    return parts


def main(rows_path, predictions_path, output_path):
    rows, lines = read(rows_path), read(predictions_path)
    height = TOP + -(-len(PANELS) // COLUMNS) * (SIDE + GAP_Y) - GAP_Y + 46
    width = LEFT + COLUMNS * (SIDE + GAP_X) - GAP_X + 34
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
             'font-family="sans-serif" role="img" aria-label="Predicted against measured speed, by kind of load">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for number, (load, metric, title, unit, colour) in enumerate(PANELS):
        x, y = LEFT + number % COLUMNS * (SIDE + GAP_X), TOP + number // COLUMNS * (SIDE + GAP_Y)
        parts.append(f'<g transform="translate({x} {y})">')
        parts += panel(points_of(rows, lines, load, metric), title, unit, colour)
        parts.append("</g>")
    with open(output_path, "w", encoding="utf-8") as file:
        file.write("\n".join([*parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
