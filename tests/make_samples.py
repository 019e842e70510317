"""Make `samples/`: `python tests/make_samples.py` writes the pieces byte for byte, a negative and a positive
version of each by the checkpoint that ships, their piano rolls, and the page that shows them, README.md.
It takes some minutes; nothing in the folder changes until all is made.

The music below is set down in a small part of ABC notation (abcnotation.com), which a musician can check
against the score: `C` is middle C, `c` the octave above, `C,` below, `c'` above that; `^ = _` sharp,
natural, flat until the bar ends; `2`, `/2`, `3/2` are lengths in units of `unit`; `z` a rest; `[CEG]2` a
chord; `-` a tie; `(3abc` a triplet; `{b}` a grace note; `.` staccato; `L` an accent; `&` a second voice
from the bar's start. One thing is ours: `*4` after a note or chord plays it four times. Ornaments and
repeats are left out."""
import argparse, hashlib, io, math, re, shutil, sys, tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

TPQ = 480
LEVEL = dict(ppp=26, pp=36, p=48, mp=60, mf=72, f=84, ff=93)     # MIDI velocities of the dynamics
SHARPS = dict(C=0, G=1, D=2, A=3, E=4, F=-1, Bb=-2, Am=0, Em=1, Bm=2, Dm=-1, Gm=-2)


@dataclass(frozen=True)
class Piece:
    "One piece as text: what a player needs besides the notes."
    title: str
    composer: str           # with years
    character: str
    key: str                # ABC's K: field
    key_name: str
    meter: tuple            # beats, unit
    unit: Fraction          # ABC's L: field, of a whole note
    tempo: str              # "bar bpm, ..." quarters per minute, bars counted from 1
    dynamics: str           # "bar level, ..." straight lines between them
    right: str              # bars separated by |
    left: str
    pedal: int = 0          # pedal changes in a bar, 0 for none
    phrase: int = 4         # bars of a phrase, swelling in the middle
    source: str = 'public domain'


# ------------------------------------------------------------------------------------------------ reading the
# notation
TOKEN = re.compile(r'''\s*(?:(?P<tuplet>\(3)|\{(?P<grace>[^}]*)\}|(?P<marks>[.L]*)
    (?P<body>\[[^\]]*\]|[_^=]*[A-Ga-gz][,']*)(?P<num>\d+)?(?P<slash>/(?P<den>\d+)?)?(?P<tie>-)?
    (?:\*(?P<times>\d+))?)''', re.X)
NOTE = re.compile(r"(?P<acc>[_^=]*)(?P<step>[A-Ga-g])(?P<octave>[,']*)(?P<tie>-?)")


def pitch_of(acc, step, octave, key, held):
    "MIDI pitch of one written note; `held` are the bar's accidentals so far."
    name = step.upper() + octave + ('' if step.isupper() else "'")
    sharps = SHARPS[key]
    signature = {s: 1 for s in 'FCGDAEB'[:sharps]} if sharps > 0 else {s: -1 for s in 'BEADGCF'[:-sharps]}
    if acc: held[name] = acc.count('^') - acc.count('_')
    alter = held.get(name, signature.get(step.upper(), 0))
    base = dict(C=0, D=2, E=4, F=5, G=7, A=9, B=11)[step.upper()] + 60 + 12 * step.islower()
    return base + 12 * (octave.count("'") - octave.count(',')) + alter


def read_voice(text, key, unit):
    "One voice of one bar -> its length and events (start, length, pitches, ties, accent), in whole notes."
    at, events, held, tuplet, grace, pos = Fraction(0), [], {}, 0, [], 0
    text = text.strip()
    while pos < len(text):
        m = TOKEN.match(text, pos)
        if not m or m.end() == pos: raise ValueError(f'cannot read {text[pos:]!r} in bar {text!r}')
        pos = m.end()
        if m['tuplet']:
            tuplet = 3
            continue
        if m['grace'] is not None:
            grace = [pitch_of(*n.group('acc', 'step', 'octave'), key, held)
                     for n in NOTE.finditer(m['grace'])]
            continue
        length = unit * int(m['num'] or 1) / (int(m['den'] or 2) if m['slash'] else 1)
        for _ in range(int(m['times'] or 1)):
            size = length * 2 / 3 if tuplet else length
            tuplet = max(tuplet - 1, 0)
            notes = [] if m['body'] == 'z' else list(NOTE.finditer(m['body']))
            pitches = [pitch_of(*n.group('acc', 'step', 'octave'), key, held) for n in notes]
            ties = [bool(m['tie'] or n['tie']) for n in notes]
            step = Fraction(1, 48)  # a grace note takes a twelfth of a quarter from its note
            for i, g in enumerate(grace):
                events.append((at + i * step, step, [g], [False], 0, False))
            lost = step * len(grace)
            grace = []
            sound = (size - lost) / 2 if '.' in m['marks'] else size - lost
            if pitches: events.append((at + lost, sound, pitches, ties, 'L' in m['marks'], True))
            at += size
    return at, events


def bars_of(text): return [b for b in text.replace('\n', ' ').split('|') if b.strip()]


def bar_lengths(piece, hand):
    "For every bar the set of lengths of its voices, in whole notes; each must be the meter's."
    return [{read_voice(v, piece.key, piece.unit)[0] for v in bar.split('&')}
            for bar in bars_of(getattr(piece, hand))]


def points(text, value):
    return [(float(a), value(b)) for a, b in (p.split() for p in text.split(','))]


def level_at(piece, bar):
    "Velocity that the dynamics and the phrase ask for at a bar, counted from 1 and with fractions."
    marks = points(piece.dynamics, LEVEL.get)
    at = marks[0][1] if bar <= marks[0][0] else marks[-1][1]
    for (a, x), (b, y) in zip(marks, marks[1:]):
        if a <= bar < b: at = x + (y - x) * (bar - a) / (b - a)
    return at + 4 * math.sin(math.pi * ((bar - 1) / piece.phrase % 1)) - 2


def hand_notes(piece, hand):
    "One hand -> notes (onset, end, pitch, velocity) in ticks, ties joined."
    whole, bar_whole = 4 * TPQ, Fraction(*piece.meter)
    beat = Fraction(3, 8) if piece.meter[1] == 8 else Fraction(1, 4)
    notes, open_ties = [], {}
    for k, bar in enumerate(bars_of(getattr(piece, hand))):
        events = sorted((e for v in bar.split('&') for e in read_voice(v, piece.key, piece.unit)[1]),
                        key=lambda e: (e[0], -max(e[2])))
        tops = {}
        for start, _, pitches, *_ in events:
            tops[start] = (max(tops.get(start, 0), max(pitches)) if hand == 'right'
                           else min(tops.get(start, 127), min(pitches)))
        for start, length, pitches, ties, accent, struck in events:
            on = round((k * bar_whole + start) * whole)
            end = on + round(length * whole)
            pulse = 5 if start == 0 else 2 if start % beat == 0 else -2
            for p, tie in zip(pitches, ties):
                led = ((5 if p == tops[start] else -7) if hand == 'right'
                       else (-4 if p == tops[start] else -10))
                loud = (level_at(piece, 1 + k + float(start / bar_whole)) + pulse + led + 10 * accent
                        - (0 if struck else 8))
                if (p, on) in open_ties:
                    note = open_ties.pop((p, on))
                    note[1] = end
                else: note = [on, end, p, max(1, min(127, round(loud)))]; notes.append(note)
                if tie: open_ties[p, end] = note
    if open_ties:
        raise ValueError(f'{piece.title}, {hand} hand: ties to nothing at {sorted(open_ties)}')
    return notes


def piece_notes(piece):
    """Both hands, no pitch sounding twice at once: where the hands meet, a note ends
    when its pitch is struck again."""
    hands = dict(right=hand_notes(piece, 'right'), left=hand_notes(piece, 'left'))
    every = sorted(((n, h) for h in hands for n in hands[h]), key=lambda x: (x[0][2], x[0][0], x[0][1]))
    for (a, ha), (b, hb) in zip(every, every[1:]):
        if a[2] == b[2] and a[0] == b[0]:
            hands[ha].remove(a)
            b[3] = max(a[3], b[3])
        elif a[2] == b[2]: a[1] = min(a[1], b[0])
    return {h: sorted(map(tuple, n)) for h, n in hands.items()}


# ------------------------------------------------------------------------------------------------ writing the
# file
def varlen(n):
    out = [n & 127]
    while n := n >> 7: out.append(n & 127 | 128)
    return bytes(out[::-1])


def track(events):
    "A MIDI track of (tick, order, bytes)."
    at, out = 0, b''
    for tick, _, data in sorted(events):
        out += varlen(tick - at) + data
        at = tick
    out += b'\0\xff\x2f\0'
    return b'MTrk' + len(out).to_bytes(4, 'big') + out


def named(text): return (0, 0, b'\xff\x03' + varlen(len(text.encode())) + text.encode())


def midi_bytes(piece):
    "The whole file: a track of tempo, meter and key, then the two hands."
    num, den = piece.meter
    bar = 4 * TPQ * num // den
    head = [named(piece.title), (0, 1, bytes([255, 0x58, 4, num, den.bit_length() - 1, 24, 8])),
            (0, 2, bytes([255, 0x59, 2, SHARPS[piece.key] % 256, piece.key.endswith('m')]))]
    head += [(round((b - 1) * bar), 3, b'\xff\x51\x03' + round(6e7 / bpm).to_bytes(3, 'big'))
             for b, bpm in points(piece.tempo, float)]
    tracks = [track(head)]
    for hand, notes in piece_notes(piece).items():
        events = [named(piece.title if hand == 'right' else f'{piece.title}, left hand'), (0, 1, b'\xc0\0')]
        for on, end, p, v in notes:
            events += [(on, 4, bytes([0x90, p, v])), (end, 3, bytes([0x80, p, 0]))]
        if piece.pedal and hand == 'left':                       # one pedal for the channel
            step, last = bar // piece.pedal, len(bars_of(piece.right)) * bar
            for at in range(0, last, step):
                events += [(at + 40, 5, b'\xb0\x40\x7f'), (at + step, 2, b'\xb0\x40\0')]
        tracks.append(track(events))
    return (b'MThd' + (6).to_bytes(4, 'big') + (1).to_bytes(2, 'big') + len(tracks).to_bytes(2, 'big')
            + TPQ.to_bytes(2, 'big') + b''.join(tracks))


E8, E16, Q = Fraction(1, 8), Fraction(1, 16), Fraction(1, 4)
PIECES = {}

# ------------------------------------------------------------------------------------------------ the music
PIECES['minuet_in_g'] = Piece(
    'Minuet in G', 'Christian Petzold (1677-1733), long thought Bach', 'graceful, light', 'G', 'G major',
    (3, 4), E8,
    '1 126, 31 116, 32 100', '1 mf, 8 mp, 9 mf, 16 mp, 17 p, 22 mf, 24 mf, 25 mp, 29 f, 32 mf',
    right='''
    d2GABc | d2.G2.G2 | e2cdef | g2.G2.G2 | c2dcBA | B2cBAG | F2GABG | A6 |
    d2GABc | d2.G2.G2 | e2cdef | g2.G2.G2 | c2dcBA | B2cBAG | A2BAGF | G6 |
    b2gabg | a2defd | g2efgd | ^c2B^cA2 | AB^cdef | g2f2e2 | f2A2^c2 | d6 |
    d2GFG2 | e2GFG2 | d2c2B2 | AGFGA2 | DEFGAB | c2B2A2 | BdG2F2 | [B,DG]6 |''',
    left='''
    [G,B,D]4A,2 | B,6 | C6 | B,6 | A,6 | G,6 | D2B,2G,2 | D2D,CB,A, |
    B,4A,2 | G,2B,2G,2 | C6 | B,2CB,A,G, | A,4F,2 | G,4B,2 | C2D2D,2 | G,4G,,2 |
    G,6 | F,6 | E,2G,2E,2 | A,4A,,2 | A,6 | B,2D2^C2 | D2F,2A,2 | D2D,2C2 |
    z2D4 & B,4B,2 | z2E4 & C4C2 | B,2A,2G,2 | D4z2 | z4F,2 & D,6 | E,2G,2F,2 | G,2B,,2D,2 | G,2D,2G,,2 |''')

PIECES['minuet_in_g_minor'] = Piece(
    'Minuet in G minor', 'Christian Petzold (1677-1733), long thought Bach', 'plaintive', 'Gm', 'G minor',
    (3, 4), E8,
    '1 104, 15 98, 17 104, 31 94, 32 80',
    '1 mp, 8 p, 9 mp, 13 mf, 16 mp, 17 mf, 22 f, 24 mf, 25 mp, 28 p, 30 mp, 32 p',
    right='''
    b2a2g2 | a2d2d2 | g2GABc | d6 | e2fedc | d2edcB | c2dcBc | A6 |
    b2a2g2 | a2d2d2 | g2GABc | d6 | f2gfed | e2fedc | d2g2c2 | [DFB]6 |
    d2Bcd=e | f2g2a2 | b2gabg | a2gaf2 | FGABcd | e2d2c2 | f2B2A2 | B6 |
    G2dcd2 | G2ede2 | Gd^FcGB | A4z2 | D=E^FGAB | c2B2A2 | Bc/d/G2^F2 | [B,DG]6 |''',
    left='''
    G,6 | F,6 | E,6 | D,2DCB,A, | [G,B,]4A,2 | B,4G,2 | A,2^F,2G,2 | D,2DCB,A, |
    G,6 | F,6 | E,6 | D,2DC=B,A, | [=B,D]4G,2 | C2A,2F,2 | B,2E,2[F,A,]2 | B,2B,,4 |
    B,6 | A,2G,2F,2 | G,2=E,2C,2 | F,4z2 | A,2G,2F,2 | G,2F,2E,2 | D,2E,2F,2 | B,,2D2C2 |
    [=B,D]6 | C6 | B,2A,2G,2 | D2A,G,^F,=E, | D,4z2 | E,2D,2C,2 | B,,2C,2D,2 | G,2G,,4 |''')

PIECES['ode_to_joy'] = Piece(
    'Ode to Joy', 'Ludwig van Beethoven (1770-1827), arranged by EmotionWave', 'hymn-like, growing', 'D',
    'D major', (4, 4), E8,
    '1 108, 23.5 96, 24 84', '1 p, 8 mp, 9 mp, 12 mf, 13 mf, 17 mp, 20 f, 24 ff',
    right='''
    F2F2G2A2 | A2G2F2E2 | D2D2E2F2 | F3E E4 |
    F2F2G2A2 | A2G2F2E2 | D2D2E2F2 | E3D D4 |
    [CE]2[CE]2[DF]2D2 | [CE]2FG[DF]2D2 | [CE]2FG[^A,F]2[^A,E]2 | [B,D]2[B,E]2A,2F2- |
    F2[DF]2[EG]2[FA]2 | [FA]2[EG]2[DF]2[CE]2 | D2D2[CE]2[DF]2 | [CE]3D D4 |
    [ce]2[ce]2[df]2d2 | [ce]2fg[df]2d2 | [ce]2fg[^Af]2[^Ae]2 | [Bd]2[Be]2A2f2- |
    f2[Fdf]2[Geg]2[Afa]2 | [Afa]2[Geg]2[Fdf]2[Ece]2 | [DAd]2[DAd]2[Ece]2[Fdf]2 | [Ece]3[DAd][DFAd]4 |''',
    left='''
    [D,A,]4[E,A,]4 | [F,A,]2[E,A,]2A,,4 | B,,4C,2D,2 | [A,,F,]3[A,,G,][A,,G,]4 |
    D,A,F,A,C,A,D,A, | D,A,E,A,A,,F,A,,G, | B,,F,D,F,C,A,D,A, | A,,E,G,E,D,F,A,2 |
    [A,,G,]4[A,,F,]4 | [A,,G,]2[A,,E,]2[A,,F,]4 | [A,,G,]2[A,,E,]2[^A,,F,]4 | [B,,F,]2[^G,,E,]2[A,,E,]4 |
    D,A,F,A,C,A,D,A, | D,A,E,A,A,,F,A,,G, | B,,F,D,F,A,,E,D,A, | A,,E,G,E,D,F,A,2 |
    A,,E,G,E,A,,D,F,D, | A,,G,E,G,A,,D,F,D, | A,,G,E,G,^A,,F,C,F, | [B,,F,]2[^G,,E,]2[A,,E,]4 |
    [D,A,]2*2[C,A,]2[D,A,]2 | [F,A,]2[E,A,]2[A,,A,]2[A,,G,]2 | [B,,F,]2*2[A,,A,]2[D,A,]2 |
    [A,,G,]4[D,,D,]4 |''')

PIECES['wild_horseman'] = Piece(
    'The Wild Horseman', 'Robert Schumann (1810-1856), op. 68 no. 8', 'fast, fierce', 'Am', 'A minor', (6, 8),
    E8,
    '1 168, 25.5 150', '1 mf, 4 f, 6 mf, 9 f, 10 mf, 13 f, 17 mf, 18 mf, 21 f, 25 f',
    right='''
    z5.E | .A.E.A.c.A.c | ec.f.e.c.A | B^G.c.B.G.E | .A.E.c.Bz.E |
    .A.E.A.c.A.c | ec.f.e.c.A | B^G.c.B.G.E | .A.E.^G.Az2 |
    .[CFA]z2.[CFA]z2 | L[FA]2[FA].[FA]z2 | L[EGc]2[EGc].[EGc]z2 | .[FAc].A.F.[EG]z2 |
    .[CFA]z2.[CFA]z2 | L[FA]2[FA].[FA]z2 | L[EGc]2[EGc].[EGc]z2 | .[CFA]z.[CG].Fz.E |
    .A.E.A.c.A.c | ec.f.e.c.A | B^G.c.B.G.E | .A.E.c.Bz.E |
    .A.E.A.c.A.c | ec.f.e.c.A | B^G.c.B.G.E | .A.E.^GL.Az2 |''',
    left='''
    z6 | .[A,C]z2.[A,CE]z2 | L[A,CE]2[A,DF].[A,CE]z2 | L[E,^G,B,]2[E,A,C].[E,G,B,]z2 |
    .[A,C]z.[A,C].[E,^G,B,]z2 |
    .[A,C]z2.[A,CE]z2 | L[A,CE]2[A,DF].[A,CE]z2 | L[E,^G,B,]2[E,A,C].[E,G,B,]z2 | .[A,C]z.[E,B,].[A,C]z.C, |
    .F,.C,.F,.A,.F,.A, | CA,.D.C.A,.F, | G,E,.A,.G,.E,.C, | .F,.C,.A,.[C,G,]z.C, |
    .F,.C,.F,.A,.F,.A, | CA,.D.C.A,.F, | G,E,.A,.G,.E,.C, | .F,.C,.E,.F,z2 |
    .[A,C]z2.[A,CE]z2 | L[A,CE]2[A,DF].[A,CE]z2 | L[E,^G,B,]2[E,A,C].[E,G,B,]z2 | .[A,C]z.[A,C].[E,^G,B,]z2 |
    .[A,C]z2.[A,CE]z2 | L[A,CE]2[A,DF].[A,CE]z2 | L[E,^G,B,]2[E,A,C].[E,G,B,]z2 |
    .[A,C]z.[E,B,]L.[A,C]z2 |''')

PIECES['prelude_in_e_minor'] = Piece(
    'Prelude in E minor', 'Frédéric Chopin (1810-1849), op. 28 no. 4', 'slow, desolate', 'Em', 'E minor',
    (2, 2), E8,
    '1 60, 9 58, 13 52, 14 60, 17 66, 18 72, 19 62, 20 56, 22 54, 23 48, 24 40, 25 46, 26 40',
    '1 p, 5 mp, 10 p, 13 mp, 14 p, 16 p, 18 f, 19 mf, 20 p, 22 p, 24 pp, 25 pp, 26 ppp',
    right='''
    z6B,3/2B/2 | B6c2 | B6c2 | B6c2 | B6_B2 | A6B2 | A6B2 | A6B3/2A/2 | A6L^G2- |
    ^G2ABdcEA | F6A2 | F6{B}A2 | GFLCB,^DF(3=dcB | B6c2 | B6c2 | B6c2 | B3/2^A/2A2g2f3/2e/2 |
    e^dLc'ddegB | dc(3eEAF3A | F6{B}A2 | F6-F3/2E/2 | E6F2 | E6F2 | E4z4 | [E,F,B,E]4[^D,F,B,^D]4 |
    [E,G,B,E]8 |''',
    left='''
    z8 | [G,B,E]*8 | [F,A,E]*4[F,A,^D]*4 | [=F,A,^D]*4[F,A,=D]*2[F,^G,D]*2 | [E,^G,D]*4[E,=G,D]*2[E,G,^C]*2 |
    [E,G,C]*4[E,F,C]*4 | [E,F,C]*4[^D,F,C]*4 | [D,F,C]*8 | [D,=F,C]*4[D,F,B,]*4 |
    [C,E,B,]*2[C,E,A,]*6 | [B,,E,A,]*2[B,,^D,A,]*2[C,E,A,]*4 | [B,,^D,A,]*4[C,E,A,]*4 | [B,,^D,A,]2z6 |
    [G,B,E]*8 | [F,A,E]*4[=F,A,^D]*4 | [=F,^G,^D]*2[F,G,=D]*2[E,G,D]*4 |
    [E,G,D]*2[E,G,^C]*2[^C,E,^A,]*2[=C,E,=A,]*2 |
    L[B,,,B,,][A,CFA]*3[G,B,^DF][G,B,E]*3 | [A,CE]*2A,,[E,F,C][B,,E,B,]*2[C,E,A,]*2 |
    [B,,E,B,]*4[C,E,A,]*4 | [B,,E,B,]*4[B,,^D,B,]*2[B,,D,A,]*2 |
    [C,G,]*4[C,_B,]*2[C,E,A,]*2 | [B,,E,A,]*2[B,,E,^G,]*2[B,,E,=G,]*4 | [_B,,C,G,]4z4 |
    [B,,,B,,]4[B,,,F,,B,,]4 | [E,,,E,,]8 |''')

PIECES['prelude_in_a'] = Piece(
    'Prelude in A', 'Frédéric Chopin (1810-1849), op. 28 no. 7', 'gentle, dance-like', 'A', 'A major', (3, 4),
    E8,
    '1 76, 12 68, 13 60, 14 72, 16 64, 17 52', '1 p, 9 p, 10 mp, 12.5 f, 14 mp, 16 p, 17 pp', pedal=1,
    phrase=2,
    right='''
    z4E2 | c3/2d/2[DGB]2[DGB]2 | [DGB]4[df]2 | [^B^d]3/2[ce]/2[ca]2[ca]2 | [ca]4[Ec]2 |
    [C^A]3/2B/2[Fd]2[Fd]2 & z3/2D9/2- | [Fd]4[DG]2 & D4z2 | [DG]3/2[CA]/2[Cc]2[Cc]2 | [Cc]4E2- |
    c3/2d/2[DGB]2[DGB]2 & [EG]2z4 | [DGB]4[df]2 | [^B^d]3/2[ce]9/2 & z2[ac']2[ac']2 | [^Ace^ac']4[^Ac]2 |
    [^Ac]3/2[Bd]/2[Bf]2[=Af]2 | [Gf]4[DG]2 | [DB]3/2[CA]/2[ca]2[ca]2 & z2A4- | [ca]4z2 & A4z2 |''',
    left='''
    z6 | E,,2[E,E]2[E,E]2 | [E,E]4z2 | A,,2[A,E]2[A,E]2 | [A,E]4z2 |
    E,,2[E,B,]2[E,B,]2 | [E,B,]4z2 | A,,,2[E,A,E]2[E,A,E]2 | [E,A,E]4z2 |
    E,,2[E,E]2[E,E]2 | [E,E]4z2 | A,,2[A,EA]2[A,EA]2 | [F,CEF]4z2 |
    B,,,2[F,D]2[F,B,D]2 | [E,B,D]4z2 | A,,,2[E,A,E]2[A,E]2 | [A,E]4z2 |''')

PIECES['gymnopedie'] = Piece(
    'Gymnopedie no. 1', 'Erik Satie (1866-1925), first half', 'slow, floating', 'D', 'D major', (3, 4), Q,
    '1 74, 38 66, 39 56', '1 p, 9 mp, 13 p, 18 mp, 22 p, 28 mp, 32 p, 33 mp, 36 p, 39 pp', pedal=1,
    right='''
    z3 | z3 | z3 | z3 | zfa | gfc | Bcd | A3 | F3- | F3- | F3- | F3 |
    zfa | gfc | Bcd | A3 | c3 | f3 | E3- | E3- | E3 |
    AB=c | edB | d=cB | d3- | d2d | e=fg | a=cd | edB | d3- | d2d |
    g3 | f3 | BAB | cde | cde | F3 | [=CEA=c]3 | [DFAd]3 |''',
    left='''
    G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 | G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 |
    G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 | G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 |
    G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 | G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 |
    G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 | G,,3 & z[B,DF]2 | D,,3 & z[A,CF]2 |
    F,,3 & z[A,CF]2 | B,,,3 & z[B,DF]2 | E,,3 & z[G,B,]2 | E,,3 & z[B,DG]2 | D,,3 & z[=F,A,D]2 |
    A,,,3 & z[A,=CE]2 | D,,3 & z[G,B,E]2 | D,,3 & z[D,G,B,E]2 | D,,3 & z[=C,E,A,D]2 | D,,3 & z[=C,F,A,D]2 |
    D,,3 & z[A,=C=F]2 | D,,3 & z[A,=CE]2 | D,,3 & z[D,G,B,E]2 | D,,3 & z[=C,E,A,D]2 | D,,3 & z[=C,F,A,D]2 |
    E,,3 & z[B,EG]2 | F,,3 & z[A,CF]2 | B,,,3 & z[B,DF]2 | E,,3 & z[CEA]2 | E,,3 & z[A,CFA]2 |
    E,,3 & zB,,E, & z[A,D][B,DG] | [A,,G,]3 | [D,,A,,D,]3 |''')

PIECES['arabesque'] = Piece(
    'Arabesque', 'Friedrich Burgmüller (1806-1874), op. 100 no. 2', 'fast, sparkling', 'Am', 'A minor',
    (2, 4), E16,
    '1 144, 17 132, 18 116, 19 144, 31 108',
    '1 p, 3 p, 5 mp, 7 mf, 9 f, 10 mf, 11 f, 16 mf, 18 p, 19 p, 21 mp, 23 mf, 26 p, 29 mf, 30 f, 31 ff',
    right='''
    z8 | z8 | ABcB.A2z2 | ABcd.e2z2 | defg.a2z2 | abc'd'.e'2z2 | z2.e2e2f2 | .d2z2Ld4- | d2g2d2e2 |
    .c4.c'2z2 |
    Le6B2 | c6A2 | Le6B2 | c6A2 | La6e2 | f6e2 | d2c2B2A2 | ^G4e4 |
    ABcB.A2z2 | ABcd.e2z2 | defg.a2z2 | abc'd'.e'2z2 | z2.B2B2c2 | A4e4- | e2.B2B2c2 | ABcB.A2z2 |
    defg.a2z2 | abc'b.a2z2 | d'e'f'g'.a'2z2 | LEDCB,.A,2z2 | L[ca]8 |''',
    left='''
    .[A,CE]4*2 | .[A,CE]4*2 | .[A,CE]4*2 | .[A,CE]4*2 | .[A,DF]4*2 | .[A,CE]4*2 | .[G,CE]4*2 |
    .[G,B,F]4*2 | .[G,B,F]4*2 | [CE]6z2 |
    ^G,A,B,A,.G,2z2 | A,B,CD.E2z2 | ^G,A,B,A,.G,2z2 | A,B,CD.E2z2 | ^CDED.C2z2 | DEFG.A2G2 |
    F2E2D2^D2 | E2=D2C2B,2 |
    .[A,CE]4*2 | .[A,CE]4*2 | .[A,DF]4*2 | .[A,CE]4*2 | .[A,DE]4*2 | .[A,CE]4*2 | .[A,DE]4*2 | .[A,CE]4*2 |
    .[A,DF]4*2 | .[A,CE]4*2 | .[A,DF]4*2 | E,D,C,B,,.A,,2z2 | L[A,E]8 |''')

PIECES['theme_in_a'] = Piece(
    'Theme in A', 'Wolfgang Amadeus Mozart (1756-1791), K. 331', 'gracious, singing', 'A', 'A major', (6, 8),
    E16,
    '1 62, 8 58, 9 62, 18 52', '1 p, 4 mp, 5 p, 7 mf, 8 p, 9 mp, 11 mf, 12 p, 13 p, 15 mf, 16 p, 17 f, 18 mf',
    right='''
    c3dc2e4e2 | B3cB2d4d2 | A4A2B4B2 | c4edc4B2 & z4B2A4G2 |
    c3dc2e4e2 | B3cB2d4d2 | A4B2c4L[FBd]2 | [EAc]4[DEGB]2[CEA]4z2 |
    e3fe2f4f2 | {fg}a3gf2f2e2.e2 | Le2c2.A2Le2d2.B2 | Le2c2.A2c4B2 & z6A4G2 |
    c3dc2e4e2 | B3cB2d4d2 | A4B2c4L[FBd]2 | [EAc]4[EGB]2[GB]4[Ac]2 & z6E6 |
    [Ac]4[Gd]2[Ae]4fg/a/ & E4E2E4z2 | a4cBA4z2 & z4G2z6 |''',
    left='''
    A,3B,A,2C4C2 & E4E2E4E2 | G,3A,G,2B,4B,2 & E4E2E4E2 | F,4F,2G,4G,2 & E4E2E4E2 | A,4D,2E,6 & E4z8 |
    A,3B,A,2C4C2 & E4E2E4E2 | G,3A,G,2B,4B,2 & E4E2E4E2 | F,4G,2A,4D,2 & E4E2E4z2 | E,4E,,2A,,4z2 |
    A,2C2E2A,2D2F2 | A,2D2F2A,2C2E2 | [A,C]4z2[G,D]4z2 | [A,C]4[F,^D]2[E,E]6 |
    A,3B,A,2C4C2 & E4E2E4E2 | G,3A,G,2B,4B,2 & E4E2E4E2 | F,4G,2A,4D,2 & E4E2E4z2 | E,4E,,2A,,6 |
    [A,,A,]4[B,,B,]2[C,C]4[D,D]2 | [E,C]4[E,D]2[A,C]4z2 |''')

PIECES['greensleeves'] = Piece(
    'Greensleeves', 'English, 16th century, arranged by EmotionWave', 'wistful, lilting', 'Am', 'A minor',
    (6, 8), E8,
    '1 84, 9 78, 10 88, 16 80, 17 66', '1 p, 5 mp, 9 p, 10 mf, 13 mp, 14 f, 16 mp, 17 p', pedal=2,
    right='''
    z5A | c2de3/2^f/2e | d2BG3/2A/2B | c2AA3/2^G/2A | B2^GE2A |
    c2de3/2^f/2e | d2BG3/2A/2B | c3/2B/2A^G3/2^F/2G | A3-A2z |
    [ceg]3[cg]3/2f/2e | [Bd]2B[DG]3/2A/2B | [Ec]2A[EA]3/2^G/2A | [EB]2^GE3 |
    [ceg]3[cg]3/2f/2e | [Bd]2B[DG]3/2A/2B | [Ec]3/2B/2A[E^G]3/2^F/2G | [CEA]6 |''',
    left='''
    z6 | A,,E,A,CA,E, | G,,D,G,B,G,D, | F,,C,F,A,F,C, | E,,B,,E,^G,E,B,, |
    A,,E,A,CA,E, | G,,D,G,B,G,D, | A,,E,A,E,,B,,E, | A,,E,A,CA,E, |
    C,G,CECG, | G,,D,G,B,G,D, | A,,E,A,CA,E, | E,,B,,E,^G,E,B,, |
    C,G,CECG, | G,,D,G,B,G,D, | A,,E,A,E,,B,,E, | A,,E,A,[A,,E,]3 |''')

PIECES['auld_lang_syne'] = Piece(
    'Auld Lang Syne', 'Scots, 18th century, arranged by EmotionWave', 'warm, then merry: the tempo changes',
    'F', 'F major', (4, 4), E8,
    '1 80, 8.5 72, 9.75 108, 16 96, 16.5 84, 17 70', '1 p, 5 mp, 9 p, 9.75 mf, 13 f, 15 f, 17 mf', pedal=0,
    right='''
    z6C2 | F3FF2[FA]2 | [EG]3F[EG]2A2 | F3F[FA]2[_Ec]2 | [DFd]6[Fd]2 |
    [Fc]3[FA][FA]2F2 | [EG]3F[EG]2A2 | F3D[B,D]2C2 | [A,CF]6d2 |
    [fc']3[fa][fa]2f2 | [eg]3f[eg]2[fd']2 | [fc']3aa2[_ec']2 | [dfd']6[dfd']2 |
    [fac']3[fa][fa]2f2 | [eg]3f[eg]2ag | [df]3d[Bd]2[Bc]2 | [Acf]6z2 |''',
    left='''
    z8 | F,2[A,C]2C,2[A,C]2 | C,2[G,B,]2E,2[G,C]2 | F,2[A,C]2F,2[A,_E]2 | B,,2[F,B,]2D,2[F,B,]2 |
    C,2[A,C]2F,2[A,C]2 | C,2[G,B,]2E,2[G,C]2 | B,,2[F,B,]2C,2[G,B,]2 | F,2[A,C]2F,,2z2 |
    F,CA,CF,CA,C | C,B,G,B,E,B,G,B, | F,CA,CF,_EA,E | B,,F,B,F,D,F,B,F, |
    C,A,F,A,F,CA,C | C,B,G,B,E,B,G,B, | B,,F,B,F,C,G,B,G, | [F,,C,F,]6z2 |''')

PIECES['paper_boats'] = Piece(
    'Paper Boats', 'EmotionWave (own piece)', 'pop ballad, hopeful', 'C', 'C major', (4, 4), E8,
    '1 92, 23 86, 23.5 78, 24 66', '1 mp, 5 mp, 8 mf, 9 mf, 12 f, 13 mf, 16 mp, 17 mf, 22 f, 23 mp, 24 p',
    pedal=2, source='own piece, CC0',
    right='''
    e3d-dcG2 | d3ed4 | c3BA2E2 | A4zABc | e3d-dcg2 | f3ed4 | e2d2c3A | B2c2d4 |
    a3gf2c2 | g3fd4 | g3fe2B2 | c4zABc | d3ef2a2 | g3fe2d2 | e3cG2d2 | c6z2 |
    [ce]3[Bd]-[Bd]c[eg]2 | [Bd]3[ce][Bd]4 | [Ac]3[GB][EA]2[CE]2 | [FA]4zABc |
    [ce]3d-d[Gc][eg]2 | [df]3e[Bd]4 | [Ae]2d2[Bd]3c | [EGc]8 |''',
    left='''
    C,G,CEG,CEC | B,,G,B,DG,B,DB, | A,,E,A,CE,A,CA, | F,,C,F,A,C,F,A,F, |
    C,G,CEG,CEC | B,,G,B,DG,B,DB, | A,,E,A,E,F,,C,F,C, | G,,D,G,B,D,G,B,G, |
    F,,C,F,A,C,F,A,F, | G,,D,G,B,D,G,B,G, | E,,B,,E,G,B,,E,G,E, | A,,E,A,CE,A,CA, |
    D,A,DFA,DFD | G,,D,G,B,D,G,B,G, | C,G,CG,B,,G,B,G, | C,G,CEC4 |
    C,G,CEG,CEC | B,,G,B,DG,B,DB, | A,,E,A,CE,A,CA, | F,,C,F,A,C,F,A,F, |
    C,G,CEG,CEC | B,,G,B,DG,B,DB, | F,,C,F,C,G,,D,G,D, | [C,,G,,C,]8 |''')

PIECES['night_train'] = Piece(
    'Night Train', 'EmotionWave (own piece)', 'fast, driven', 'Dm', 'D minor', (4, 4), E8,
    '1 144, 16.5 132, 17 148, 24 120',
    '1 mf, 4 mp, 5 mf, 8 f, 9 mf, 12 mp, 13 mf, 16 f, 17 f, 21 mf, 23 f, 24 ff', source='own piece, CC0',
    right='''
    Ld2def2ed | a4f2d2 | b2aba2f2 | g4e2c2 | Ld2def2ga | a4d'2a2 | b2aga2g2 | a4e2^c2 |
    L[fa]3[fa][fa]2[ac']2 | [eg]6[ce]2 | L[dg]3[dg][dg]2[gb]2 | [fa]6[df]2 |
    L[df]3[df][df]2[fb]2 | [fa]4[ca]2[cf]2 | [Bg]2[Bf]2[Be]2[Bd]2 | [^ce]4[ea]4 |
    L[dd']2[dd'][ee'][ff']2[ee'][dd'] | L[aa']4[ff']2[dd']2 | b2aba2f2 | g4e2c2 |
    Ld2def2ga | b2agf2e2 | f2e2e2^c2 | L[DFAd]8 |''',
    left='''
    D,,A,,D,A,,F,A,,D,A,, | D,,A,,D,A,,F,A,,D,A,, | B,,,F,,B,,F,,D,F,,B,,F,, | C,,G,,C,G,,E,G,,C,G,, |
    D,,A,,D,A,,F,A,,D,A,, | D,,A,,D,A,,F,A,,D,A,, | G,,D,G,D,B,D,G,D, | A,,E,A,E,^CE,A,E, |
    F,,C,F,C,A,C,F,C, | C,,G,,C,G,,E,G,,C,G,, | G,,D,G,D,B,D,G,D, | D,,A,,D,A,,F,A,,D,A,, |
    B,,,F,,B,,F,,D,F,,B,,F,, | F,,C,F,C,A,C,F,C, | G,,D,G,D,B,D,G,D, | A,,E,A,E,^CE,A,E, |
    D,,A,,D,A,,F,A,,D,A,, | D,,A,,D,A,,F,A,,D,A,, | B,,,F,,B,,F,,D,F,,B,,F,, | C,,G,,C,G,,E,G,,C,G,, |
    D,,A,,D,A,,F,A,,D,A,, | G,,D,G,D,B,D,G,D, | A,,E,A,E,^CE,A,E, | L[D,,D,]8 |''')


# ------------------------------------------------------------------------------------------------ the folder
ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / 'samples'
VERSIONS = ('negative', 'positive')
SEED = 0                # of all versions; what `emotionwave transfer` takes when it is told none


def names_of(name):
    return [f'{name}.mid', *(f'{name}_{k}.mid' for k in range(1, 1 + len(VERSIONS)))]
def files_of(names): return [f for n in names for f in (*names_of(n), f'rolls/{n}.png')]


def table():
    "The rows of `samples/README.md`."
    rows = ['| file | title | composer | character | key | meter | tempo (quarters a minute) | '
            'bars | licence |', '|---|---|---|---|---|---|---|---|---|']
    for name, p in PIECES.items():
        tempos = [bpm for _, bpm in points(p.tempo, float)]
        rows.append(f'| `{name}.mid` | {p.title} | {p.composer} | {p.character} | {p.key_name} | '
                    f'{p.meter[0]}/{p.meter[1]} | '
                    f'{tempos[0]:g}{f" ({min(tempos):g} to {max(tempos):g})" if len(tempos) > 1 else ""} | '
                    f'{len(bars_of(p.right))} | {p.source} |')
    return '\n'.join(rows)


def write_versions(folder, name):
    "Write the versions of a piece in a folder; returns its results."
    from emotionwave.generate.versions import write_versions
    source, *places = [Path(folder) / n for n in names_of(name)]
    results = write_versions(source, VERSIONS, seed=SEED)
    for result, place in zip(results, places): result.save(place)
    return results


def results_of(folder, name):
    "What the files of a piece hold, as the results that they were saved from."
    from emotionwave.generate.versions import Result
    from emotionwave.music.read import read_song
    from emotionwave.music.keys import find_key
    source, *made = [read_song(Path(folder) / n) for n in names_of(name)]
    return [Result(song, source, float(v), find_key(source), SEED) for v, song in enumerate(made)]


# ------------------------------------------------------------------------------------------------ pictures
def digest(paths):
    "Sixteen characters that change with any byte of some files."
    out = hashlib.sha256()
    for p in paths: out.update(hashlib.sha256(Path(p).read_bytes()).digest())
    return out.hexdigest()[:16]


def music(folder, name): return digest(Path(folder) / n for n in names_of(name))


def checkpoint():
    "The weights that ship, in sixteen characters."
    from emotionwave.learn.checkpoint import default_checkpoint
    return digest([default_checkpoint() / 'model.safetensors'])


def notes_in(picture):
    """What a picture says of itself: `Music`, the three files that it shows, and
    `Checkpoint`, what made two of them."""
    from PIL import Image
    if not Path(picture).is_file(): return {}
    with Image.open(picture) as image: return dict(image.text)


def rolls(results, **notes):
    """A piece above its versions, one bar below the other, as a PNG file that holds
    these notes; changed notes are marked."""
    from matplotlib.figure import Figure
    from PIL import Image, PngImagePlugin
    from emotionwave.player.roll import pitch_axis, draw, png
    source, pitches = (results[0].source,
                       [p for r in results for p in (r.source.pitch.min(), r.source.pitch.max(),
                                                     r.song.pitch.min(), r.song.pitch.max())])
    low, high = min(pitches) - 2, max(pitches) + 2
    axes = Figure((9, .5 + 3 * (.42 + .026 * (high - low))), dpi=100, facecolor='white',
                  layout='constrained').subplots(3, sharex=True)
    draw(source, axes[0], by_hand=True, title=f'{source.name}: original')
    for ax, version, result in zip(axes[1:], VERSIONS, results):
        draw(result.song, ax, other=source, title=version)
    for ax in axes:
        pitch_axis(ax, low, high)                                            # the same pitches for all three
        if ax is not axes[-1]: ax.set_xlabel('')
    image = Image.open(io.BytesIO(png(axes[0]))).convert('RGB').quantize(256, method=Image.Quantize.MEDIANCUT,
                                                                         dither=Image.Dither.NONE)
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, value in notes.items(): info.add_text(key, value)
    image.save(out, 'PNG', optimize=True, pnginfo=info)
    return out.getvalue()


def write_rolls(folder, name, made):
    "Draw the rolls of a piece; `made` is the checkpoint that its versions are by."
    place = Path(folder) / 'rolls' / f'{name}.png'
    place.write_bytes(rolls(results_of(folder, name), Music=music(folder, name), Checkpoint=made))


# ------------------------------------------------------------------------------------------------ the page
PAGE = '''# Samples

Short piano pieces that anyone may copy, to try EmotionWave on, and what it makes of them. Each has two \
hands on two tracks, tempo, meter, key and dynamics, at 480 ticks a quarter; several have pedal. They were \
set down by this project from the scores, without ornaments and repeats, as text in \
[`tests/make_samples.py`](../tests/make_samples.py), which writes the files byte for byte, and this page. \
Correct the text there, not the files, and run `python tests/make_samples.py`.

{table}

*Public domain*: the composers died over a hundred years ago, the songs are older, and what this project \
added (the typing, dynamics and tempos, and the arrangements named as its own) is given to the public \
domain too ([CC0](https://creativecommons.org/publicdomain/zero/1.0/)). A piece with an upbeat starts with \
the rests before it, so that its bar 1 is a whole bar.

*Gymnopedie no. 1* ends with its first half, at bar 39; the other composers' pieces are whole but for their \
repeats. *Auld Lang Syne* changes tempo between verse and chorus; most pieces slow down at their end.

## Negative and positive versions

Beside each piece lie its negative version, `NAME_1.mid`, and its positive one, `NAME_2.mid`, as the \
checkpoint that ships makes them at its usual settings: nothing was chosen by ear. They have one piano \
track, and the bars, meters, tempos and title of their piece. The command

```
emotionwave transfer samples --valence both --output samples
```

writes the same bytes again on the same machine.

Below, each picture shows the original, coloured by hand, above its two versions: there, notes are pale \
where the original strikes the same pitch at the same place, though it may hold it longer or shorter, vivid \
where they are new, and outlines where they are gone. In the lists: what was done, as the notes show it, and \
what to try where the wish wasn't met; the valence that is heard in both, by the listener, which had no part \
in making them, 0 the saddest and 1 the happiest; and how alike they are in the pitch classes and the onsets \
of each bar, in their strokes and in register, 1 the same. \
{summary}

{pieces}
'''


def summary(results):
    "How many versions are heard as they should be, in a sentence."
    heard = [[r.figures['valence'] for r in pair] for pair in results]
    lower, higher = sum(n[1] < n[0] for n, _ in heard), sum(p[1] > p[0] for _, p in heard)
    negative, positive = sum(n[1] < .5 for n, _ in heard), sum(p[1] > .5 for _, p in heard)
    return (f'Of {len(heard)} negative versions {negative} are heard below a half and {lower} below their '
            f'original; of {len(heard)} positive ones '
            f'{positive} are heard above a half and {higher} above their original.')


def section(name, results):
    "What the page says of one piece."
    p, files = PIECES[name], names_of(name)
    links = ', '.join(f'[{what}]({file})' for what, file in zip(('original', *VERSIONS), files))
    lines = [f'### {p.title}', f'{p.composer}; {p.character}. Files: {links}.',
             f'![Piano rolls of {p.title}: original, {", ".join(VERSIONS)}](rolls/{name}.png)']
    told = [f'- {version}: {r.sentence} · {r.line}' for version, r in zip(VERSIONS, results)]
    return '\n\n'.join(lines + ['\n'.join(told)])


def page(folder):
    "README.md of a folder, as text; it shows the pieces whose versions and rolls are there."
    there = [n for n in PIECES if all((Path(folder) / f).is_file() for f in files_of([n]))]
    results = {n: results_of(folder, n) for n in there}
    return PAGE.format(table=table(), summary=summary(results.values()),
                       pieces='\n\n'.join(section(n, r) for n, r in results.items()))


# ------------------------------------------------------------------------------------------------ the command
PARTS = ('pieces', 'versions', 'page')


def write(folder, names=tuple(PIECES), parts=PARTS, say=print):
    """Make parts of a folder for some pieces, and put everything in place at the end; returns the names of
    the files that are new or changed."""
    folder = Path(folder)
    with tempfile.TemporaryDirectory() as bench:
        bench = Path(bench)
        (bench / 'rolls').mkdir()
        for n in files_of(PIECES):
            if (folder / n).is_file(): shutil.copyfile(folder / n, bench / n)
        for k, name in enumerate(names, 1):
            say(f'{k}/{len(names)} {name}: {make(bench, name, parts)}')
        if 'page' in parts: (bench / 'README.md').write_text(page(bench), 'utf-8', newline='\n')
        return put(bench, folder)


def make(bench, name, parts):
    "Make the parts of one piece; returns a line on it."
    files, picture, said = ([bench / n for n in names_of(name)], bench / 'rolls' / f'{name}.png',
                            PIECES[name].title)
    if 'pieces' in parts: files[0].write_bytes(midi_bytes(PIECES[name]))
    made = notes_in(picture).get('Checkpoint', 'unknown')
    if 'versions' in parts:
        said, made = ' | '.join(r.line for r in write_versions(bench, name)), checkpoint()
    if not all(f.is_file() for f in files) and 'page' in parts:
        raise FileNotFoundError(f'{name}: the page needs its versions; make them with --parts versions page')
    if 'versions' in parts or 'page' in parts: write_rolls(bench, name, made)
    return said


def put(bench, folder):
    "Put what is new or changed on the bench in its place, each file whole, the page last."
    from emotionwave.files.atomic import write_atomic
    new = sorted(p.relative_to(bench) for p in bench.rglob('*') if p.is_file())
    new = [n for n in new if not (folder / n).is_file()
           or (folder / n).read_bytes() != (bench / n).read_bytes()]
    for n in sorted(new, key=lambda n: n.suffix == '.md'):
        (folder / n).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / n, (bench / n).read_bytes())
    return [n.as_posix() for n in new]


def main(words=None):
    ask = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('--output', type=Path, default=SAMPLES, help='folder to write (default: samples/)')
    ask.add_argument('--only', nargs='+', choices=PIECES, default=list(PIECES), metavar='NAME',
                     help='some pieces, such as night_train; the page shows whatever the folder has')
    ask.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS,
                     help='what to make: the pieces, their versions (the slow part), '
                          'or rolls and page of what the folder has (default: all)')
    args = ask.parse_args(words)
    try:
        new = write(args.output, args.only, args.parts, lambda line: print(line, file=sys.stderr, flush=True))
    except OSError as e: ask.exit(1, f'{e}\n')
    print(*(new or ['all is as it was']), sep='\n')


if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))  # the package of this tree, installed or not
    main()
