"""Attributes: by hand, finite, within their ranges, the same alone and in a batch, the same in every key."""
import math
import numpy as np, pytest
from emotionwave.attributes import ATTRIBUTES, attribute_names, attributes, energy
from emotionwave.midi import Song


def piece(minor=False, beat=480, low=0, repeats=2):
    "I IV V I in broken chords under a tune, in C."
    chords = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)]
    tune = [(12, 16, 19, 16), (17, 21, 17, 16), (19, 23, 21, 19), (24, 19, 16, 12)]
    flat = lambda p: p - (minor and p % 12 in (4, 9, 11))
    rows = []
    for bar in range(4 * repeats):
        for j in range(4):
            at = (4 * bar + j) * beat
            rows += [(at, beat, 48 + low + flat(chords[bar % 4][(0, 1, 2, 1)[j]]), 55), (at, int(beat * (1 if minor else .7)), 60 + low + flat(tune[bar % 4][j]), 80)]
    return Song(*np.array(rows).T)


def test_energy_follows_the_formula_by_hand():
    song = Song([0, 480, 960, 1440], [480] * 4, [60, 64, 67, 72], [127] * 4)     # two seconds at 120 bpm
    assert energy(song) == pytest.approx(.3 + .2 * 2 / 8 + .2 * (1 / 480) / 8 + .1 * 12 / 88 + .2)
    assert energy(song.replace(tempo_bpm=[60.])) == pytest.approx(.3 + .2 * 1 / 8 + .2 * (1 / 480) / 8 + .1 * 12 / 88 + .1)
    assert energy(Song()) == 0


@pytest.mark.parametrize('song', [
    Song(), Song([0], [1], [0], [1]), Song([5] * 20, [1] * 20, [60] * 20, [64] * 20), Song([0, 2 * 10**8], [2 * 10**8, 1], [0, 127], [1, 127]),
    Song([0, 0], [1, 1], [60, 61], [64, 64], tempo_bpm=[3.6]), Song(range(40), [1] * 40, range(40), [64] * 40, tpq=1)],
    ids=['empty', 'one note', 'one chord', 'an endless note', 'slowest tempo', 'coarsest ticks'])
def test_attributes_are_finite_for_any_song(song):
    a = attributes(song)
    assert tuple(a) == attribute_names == tuple(ATTRIBUTES) and all(math.isfinite(x) for x in a.values())


def test_attributes_do_not_change_with_the_ticks_or_the_tempo_that_write_the_same_seconds():
    song = piece()
    same = song.replace(onset=song.onset * 2, duration=song.duration * 2, tempo_bpm=[240.])
    a, b = attributes(song), attributes(same)
    for k in set(attribute_names) - {'tempo', 'notes_per_beat', 'offbeat', 'energy'}: assert a[k] == pytest.approx(b[k], abs=1e-9), k


def test_shares_of_attributes_lie_between_0_and_1():
    for song in (piece(), piece(True)):
        a = attributes(song)
        for k, unit in ATTRIBUTES.items():
            if unit.startswith('0..1'): assert -1e-9 <= a[k] <= 1 + 1e-9, k
        assert sum(a[f'degree_{i}'] for i in range(12)) == pytest.approx(1)


