"""The echo bench as a picture: bars of CPU per message, one group per scenario; what is beyond 3 is cut and says its number."""

GREYS = ["#bbbbbb", "#dddddd", "#7aa6c2", "#a9c7d9", "#c9a66b", "#b5838d", "#d4a5a5", "#8d99ae"]
BAR, GAP, TOP, SCALE, MOST = 9, 14, 34, 90, 3


def axis(width, base):
    for step in range(0, MOST + 1):
        y = base - step * SCALE
        yield (f'<line x1="40" x2="{width - 10}" y1="{y}" y2="{y}" stroke="{"#888" if step == 1 else "#ddd"}"/>'
               f'<text x="22" y="{y + 4}">{step}</text>')


def bar(x, base, ratio, colour, name):
    h = min(ratio, MOST) * SCALE
    yield f'<rect x="{x}" y="{base - h:.1f}" width="{BAR - 1}" height="{h:.1f}" fill="{colour}"><title>{name}: {ratio:.2f}</title></rect>'
    if ratio > MOST:
        yield f'<text transform="translate({x + 7},{base - h + 24:.1f}) rotate(-90)" font-size="8">{ratio:.1f}</text>'


def picture(groups, names, ours):
    """groups: (title, {name: ratio}) of each scenario."""
    colours = {name: "#2a7f3f" if name == ours else GREYS[i % len(GREYS)] for i, name in enumerate(names)}
    group = BAR * len(names) + GAP
    width, height, base = 60 + group * len(groups), TOP + MOST * SCALE + 80, TOP + MOST * SCALE
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="10">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           '<text x="10" y="14" font-size="12">Server CPU per echoed message, raw epoll = 1 (less is better)</text>', *axis(width, base)]
    for g, (title, ratios) in enumerate(groups):
        x0 = 50 + g * group
        for i, name in enumerate(names):
            if name in ratios:
                out += bar(x0 + i * BAR, base, ratios[name], colours[name], name)
        out += [f'<text x="{x0}" y="{base + 11 + 9 * line}" font-size="8">{text}</text>' for line, text in enumerate(title.split(", "))]
    for i, name in enumerate(names):
        x, y = 50 + (i % 5) * 150, base + 48 + (i // 5) * 14
        out.append(f'<rect x="{x}" y="{y - 8}" width="9" height="9" fill="{colours[name]}"/><text x="{x + 13}" y="{y}">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
