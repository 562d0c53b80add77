"""The table of measure.py as a picture: microseconds a step against bytes of a state, as SVG."""

import math

WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 300, 55, 30, 70
COLOURS = ("#777777", "#9ecae1", "#3182bd", "#08306b", "#e6550d", "#31a354", "#756bb1", "#de2d26")


def chart(table):
    """One panel a solver, one line for each who.

    table: rows (bytes of a state, dtype, solver, who, microseconds, ...).
    """
    solvers = list(dict.fromkeys(row[2] for row in table))
    who = list(dict.fromkeys(row[3] for row in table))
    colour = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(who)}
    sizes, times = ([row[k] for row in table] for k in (0, 4))

    def decades(values):
        return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    (x0, x1), (y0, y1) = decades(sizes), decades(times)
    parts = []
    for k, solver in enumerate(solvers):
        left = LEFT + k * (WIDTH + GAP)

        def place(size, time, left=left):
            right = (math.log10(size) - x0) / (x1 - x0)
            up = (math.log10(time) - y0) / (y1 - y0)
            return f"{left + WIDTH * right:.1f},{TOP + HEIGHT * (1 - up):.1f}"

        parts += panel(solver, left, (x0, x1), (y0, y1))
        for name in who:
            of_line = [(r[0], r[4]) for r in table if tuple(r[2:4]) == (solver, name)]
            points = sorted(
                {size: min(t for s, t in of_line if s == size) for size, _ in of_line}.items()
            )
            line = " ".join(place(*point) for point in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour[name]}"/>')
            for point in points:
                x, y = place(*point).split(",")
                parts.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour[name]}"/>')
    bottom = TOP + HEIGHT + 45
    for k, name in enumerate(who):
        x, y = LEFT + (k % 4) * 220, bottom + 18 * (k // 4)
        parts.append(f'<rect x="{x}" y="{y - 9}" width="14" height="9" fill="{colour[name]}"/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{name}</text>')
    width = LEFT + len(solvers) * (WIDTH + GAP)
    height = bottom + 18 * math.ceil(len(who) / 4)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, ground, *parts, "</svg>", ""])


def panel(title, left, across, up):
    """The frame of a panel, its title, and a line at each power of ten."""
    parts = [f'<text x="{left}" y="{TOP - 10}">{title}: microseconds a step</text>']
    for power in range(across[0], across[1] + 1):
        x = left + WIDTH * (power - across[0]) / (across[1] - across[0])
        parts.append(f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#dddddd"/>')
        label = f'10<tspan dy="-4" font-size="9">{power}</tspan>'
        parts.append(f'<text x="{x - 8:.1f}" y="{TOP + HEIGHT + 16}">{label}</text>')
    for power in range(up[0], up[1] + 1):
        y = TOP + HEIGHT * (up[1] - power) / (up[1] - up[0])
        parts.append(f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#dddddd"/>')
        label = f'10<tspan dy="-4" font-size="9">{power}</tspan>'
        parts.append(f'<text x="{left - 28}" y="{y + 4:.1f}">{label}</text>')
    parts.append(f'<text x="{left + WIDTH - 95}" y="{TOP + HEIGHT + 30}">bytes of a state</text>')
    return parts
