"""Draw the rooms and what imports what: `python tests/draw_rooms.py` writes nbs/rooms.svg, from the imports
as they stand.

It is plain SVG, written line by line, so that its bytes are the same on every machine."""
import ast, sys, textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / 'nbs' / 'rooms.svg'
WIDTH, BOX, LINE, GAP, MARGIN = 920, 188, 15, 54, 26  # pixels; GAP lies between two rows of boxes
SIDE = 20  # pixels between two arrows at one box
LETTERS = 29                                                                   # of a line of modules in a box
TINTS = {                                                                      # edge and paper of a box
    'files music': ('#3b5b92', '#eef3fb'), 'networks learn': ('#6b4a9e', '#f4effb'),
    'sound player': ('#1f7a7a', '#e9f6f5'),
    'hearing data': ('#3f7d3a', '#eef7ec'), 'playing generate': ('#b8572a', '#fdf2eb'),
    'measure recipes': ('#6d6d6d', '#f5f5f5'),
    'widgets cli': ('#a33a5f', '#fceff3')}


def pages():
    "Modules `room.name` in order, as the pages' numbers have them."
    named = sorted(p.stem for p in (ROOT / 'nbs').glob('[0-9][0-9][0-9]_*.ipynb'))
    modules = [stem.split('_', 1)[1] for stem in named]
    return [m for m in modules if file_of(m).is_file()]


def file_of(module): return ROOT / 'emotionwave' / f'{module.replace(".", "/")}.py'


def rooms_in(path, home):
    "Rooms that a file imports from; `home` is its own, '' for a file at the top."
    found = set()
    for n in ast.walk(ast.parse(path.read_text('utf-8'))):
        if not isinstance(n, ast.ImportFrom) or not n.module: continue
        absolute = n.module.startswith('emotionwave.') and not n.level
        above = n.level == (2 if home else 1)                                  # dots that lead to the package
        if absolute or above: found.add(n.module.removeprefix('emotionwave.').split('.')[0])
    return found - {home}


def house():
    "Rooms in order with the names of their modules, and the rooms that each imports from."
    holds, needs = {}, {}
    for module in pages():
        room, name = module.split('.')
        holds.setdefault(room, []).append(name)
        needs.setdefault(room, set()).update(rooms_in(file_of(module), room))
    holds['cli'] = ['the command']
    needs['cli'] = ({r for p in (ROOT / 'emotionwave' / 'cli').glob('*.py') for r in rooms_in(p, 'cli')}
                    & set(holds))
    return holds, needs


def reached(room, needs):
    "All rooms that can be reached from a room."
    found, open_ = set(), list(needs[room])
    while open_:
        here = open_.pop()
        if here not in found:
            found.add(here)
            open_ += needs[here]
    return found


def rows_of(holds, needs):
    "Put each room in the row below all that it needs."
    depth = {}
    for room in holds: depth[room] = 1 + max((depth[n] for n in needs[room]), default=-1)
    return [[r for r in holds if depth[r] == k] for k in range(max(depth.values()) + 1)]


def ends(arrows, places):
    """Where each arrow leaves the top of its box and where it meets the bottom of the
    other, side by side: (x0, x1) of each."""
    out = {}
    for k in (0, 1):
        for room in places:
            mine = sorted((a for a in arrows if a[k] == room), key=lambda a: places[a[1 - k]][0])
            for i, a in enumerate(mine):
                out[a, k] = places[room][0] + SIDE * (i - (len(mine) - 1) / 2)
    return {a: (out[a, 0], out[a, 1]) for a in arrows}


def arrow(a, b, x, plain):
    "A curve from the top of box `a` to the bottom of box `b`, at `x`; boxes are (middle, top, bottom)."
    (_, y0, _), (_, _, y1), (x0, x1) = a, b, x
    bend = max((y0 - y1) * .45, 20)
    colour, width, head = ('#5b6472', 1.5, 'dark') if plain else ('#d5dae2', 1, 'pale')
    return (f'<path d="M{x0:.0f} {y0} C{x0:.0f} {y0 - bend:.0f} {x1:.0f} {y1 + bend + 7:.0f} '
            f'{x1:.0f} {y1 + 7}" '
            f'fill="none" stroke="{colour}" stroke-width="{width}" marker-end="url(#{head})"/>')


def box(room, names, place):
    "A room: its name, and what it holds."
    x, top, bottom = place
    edge, paper = (next(tint for rooms, tint in TINTS.items() if room in rooms.split()) if known(room)
                   else ('#444', '#fff'))
    out = [f'<rect x="{x - BOX / 2:.0f}" y="{top}" width="{BOX}" height="{bottom - top}" rx="9" '
           f'fill="{paper}" '
           f'stroke="{edge}" stroke-width="1.4"/>',
           f'<text x="{x:.0f}" y="{top + 22}" font-size="16" font-weight="600" fill="{edge}">{room}</text>']
    for i, line in enumerate(lines(names)):
        out.append(f'<text x="{x:.0f}" y="{top + 40 + LINE * i}" font-size="11" fill="#4a5160">{line}</text>')
    return out


def known(room): return any(room in rooms.split() for rooms in TINTS)
def lines(names): return textwrap.wrap(', '.join(names), LETTERS)


def picture():
    "The picture, as the text of an SVG file."
    holds, needs = house()
    places, y = {}, MARGIN
    for row in rows_of(holds, needs):
        high = {room: 38 + LINE * len(lines(holds[room])) for room in row}
        tallest = max(high.values())
        for i, room in enumerate(row):
            top = y + (tallest - high[room]) // 2
            places[room] = (WIDTH * (i + .5) / len(row), top, top + high[room])
        y += tallest + GAP
    arrows = [(a, b) for a in holds for b in sorted(needs[a], key=list(holds).index)]
    direct = {(a, b) for a, b in arrows if not any(b in reached(c, needs) for c in needs[a] - {b})}
    height = y - GAP + 44
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
           f'height="{height}" '
           'font-family="Helvetica, Arial, sans-serif" text-anchor="middle">', '<defs>']
    for name, colour in (('dark', '#5b6472'), ('pale', '#d5dae2')):
        out.append(f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="7" '
                   'markerHeight="7" orient="auto" '
                   f'markerUnits="userSpaceOnUse"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>')
    out += ['</defs>', f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for dark in (False, True):
        some = [a for a in arrows if (a in direct) == dark]
        at = ends(some, places)
        out += [arrow(places[a], places[b], at[a, b], dark) for a, b in some]
    for room, names in holds.items(): out += box(room, names, places[room])
    out += [f'<text x="{WIDTH / 2:.0f}" y="{height - 16}" font-size="12" fill="#6a7280">An arrow leads from '
            'a room to one that it '
            f'imports from; pale where a dark way leads there, too. {len(holds)} rooms, '
            f'{len(arrows)} arrows.</text>', '</svg>']
    return '\n'.join(out) + '\n'


if __name__ == '__main__':
    PICTURE.write_text(picture(), 'utf-8')
    print(PICTURE.name, len(PICTURE.read_bytes()), 'bytes', file=sys.stderr)
