"""Small pieces that several test files hear: a tune with chords in C, random tunes, and
songs that are odd in one way each."""
import numpy as np
from emotionwave.music.song import Song


def piece(minor=False, beat=480, low=0, repeats=2):
    "I IV V I in broken chords under a tune, in C."
    chords = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)]
    tune = [(12, 16, 19, 16), (17, 21, 17, 16), (19, 23, 21, 19), (24, 19, 16, 12)]
    flat = lambda p: p - (minor and p % 12 in (4, 9, 11))
    rows = []
    for bar in range(4 * repeats):
        for j in range(4):
            at = (4 * bar + j) * beat
            rows += [(at, beat, 48 + low + flat(chords[bar % 4][(0, 1, 2, 1)[j]]), 55),
                     (at, int(beat * (1 if minor else .7)), 60 + low + flat(tune[bar % 4][j]), 80)]
    return Song(*np.array(rows).T)


def tune(seed, bars=20, **columns):
    "Eight notes a bar, in C major or A minor."
    rng = np.random.default_rng(seed)
    n = 8 * bars
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 17, 19, 21, 23]) + 60 - 3 * (seed % 2)
    return Song(onset=240 * np.arange(n), duration=rng.choice([120, 240, 480], n),
                pitch=scale[rng.integers(0, 14, n)],
                velocity=rng.integers(40, 100, n), **columns)


def first_notes(song, n):
    return Song(song.onset[:n], song.duration[:n], song.pitch[:n], song.velocity[:n])


odd = {'one note': Song([0], [1], [0], [1]),
       'one chord': Song([5] * 20, [1] * 20, [60] * 20, [64] * 20),
       'an endless note': Song([0, 2 * 10**8], [10**8, 1], [0, 127], [1, 127]),
       'slowest tempo': Song([0, 0], [1, 1], [60, 61], [64, 64], tempo_bpm=[3.6]),
       'coarsest ticks': Song(range(40), [1] * 40, range(40), [64] * 40, tpq=1),
       'a year apart': Song(np.arange(16) * 10**7, [10**7] * 16, [60] * 16, [64] * 16)}
