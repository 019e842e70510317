"""At full likeness a version strikes when its input does and never else, and no note leaves the register of
its bar: in every meter, whatever the network writes. So all of this is written by one that has learnt
nothing."""
from pathlib import Path

import numpy as np
import pytest

from emotionwave.generate.versions import transfer, write_versions
from emotionwave.music.read import read_song
from emotionwave.music.similarity import register, strokes
from emotionwave.music.song import Song

CASES = Path(__file__).parent / 'cases'
METERS = [(2, 4), (4, 4), (5, 4), (8, 4), (11, 4), (3, 8), (6, 8), (7, 8), (9, 8), (11, 8), (12, 8), (3, 16),
          (2, 2)]


def piece(num, den, seed=0, bars=2, tpq=480, start=0):
    """A tune over chords, struck on halves of the bar's beats, in C or in A minor;
    `start` of them are left out."""
    rng = np.random.default_rng([num, den, seed])
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) - 3 * (seed % 2)
    half = 2 * tpq // den
    rows = []
    for at in range(start, bars * num * 2):
        root = int(rng.integers(0, 7))
        for third in (0, 2, 4):
            octave, degree = divmod(root + third, 7)
            if at % 6 == 0: rows.append((at * half, 6 * half, 48 + scale[degree] + 12 * octave))
        if rng.random() < .8:
            rows.append((at * half, half, 67 + scale[rng.integers(0, 7)] + 12 * rng.integers(0, 2)))
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, 40 + onset // half % 50, tpq, meter_num=[num], meter_den=[den])


def loose(song, by=20):
    "The same, played off the grid by as many ticks at the most, as no machine does."
    return song.replace(onset=np.maximum(song.onset
                                         + np.random.default_rng(1).integers(-by, by + 1, len(song)), 0))


def after_one_another(*songs):
    "A piece that changes its meter."
    start = np.cumsum([0] + [int(s.bar_ticks()[-1]) for s in songs])[:-1]
    column = lambda name: np.concatenate([getattr(s, name) for s in songs])
    onset = np.concatenate([s.onset + at for s, at in zip(songs, start)])
    return Song(onset, column('duration'), column('pitch'), column('velocity'), meter_tick=start,
                meter_num=column('meter_num'), meter_den=column('meter_den'))


def with_graces():
    "A tune with slides before its beats, spread chords, and one key struck seven times within a sixteenth."
    rows = []
    for at in range(0, 3 * 1440, 480):
        rows += [(at, 400, 72 + at // 480 % 5), (at + 470, 10, 74), (at + 475, 5, 75)]
        rows += [(at, 400, 48), (at + 10, 390, 52), (at + 18, 380, 55)]
    rows += [(720 + 15 * j, 15, 60) for j in range(7)]
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, [70] * len(rows), meter_num=[3], meter_den=[4])


def with_far_notes():
    "Notes that no piano has, and the tokens don't either, between others."
    song = piece(9, 8)
    pitch = song.pitch.copy()
    pitch[::7], pitch[3::11] = 3, 125
    return song.replace(pitch=pitch)


CHANGING = after_one_another(piece(9, 8, bars=1), piece(4, 4, bars=1), piece(3, 16, bars=5),
                             piece(11, 4, bars=1))
ODD = {
    'a pickup': piece(9, 8, start=15),
    'meters that change': CHANGING,
    'a player off the grid': loose(piece(12, 8)),
    'a player in very short bars': loose(piece(1, 4, bars=8)),
    'a player in bars read across their lines': loose(piece(11, 4, bars=2)),
    'a player and meters that change': loose(CHANGING),
    'graces and spread chords': with_graces(),
    'notes beyond a piano': with_far_notes(),
    'triplets against quarters': Song(np.append(np.arange(24) * 160, np.arange(8) * 480), [150] * 32,
                                      np.append(60 + np.arange(24) % 13, 48 + np.arange(8) % 5), [70] * 32),
    'hundreds of notes a bar': Song(np.tile(np.arange(64) * 20, 2), [20] * 128,
                                    np.append(40 + np.arange(64) * 7 % 45, 43 + np.arange(64) * 7 % 45),
                                    [70] * 128),
    'one key all the time': Song(np.arange(100) * 3, [3] * 100, [60] * 100, [70] * 100),
    'coarse ticks': piece(4, 4, tpq=2),
    'a slip jig': read_song(CASES / 'slip_jig_9_8.mid').bars(0, 2),
    'dotted': read_song(CASES / 'dotted_9_8.mid').bars(0, 2)}


def obeys(song, seeds=(0,), **settings):
    "Fail where a version of a song loses a stroke, has one of its own, or leaves the register."
    for seed in seeds:
        for r in write_versions(song, ['negative', 'positive'], candidates=1, seed=seed, temperature=2.,
                                **settings):
            assert not len(np.setdiff1d(r.source.onset, r.song.onset)), 'strokes are lost'
            assert not len(np.setdiff1d(r.song.onset, r.source.onset)), 'strokes are new'
            assert register(r.source, r.song) == 1
            assert strokes(r.source, r.song) == 1


@pytest.mark.parametrize('num,den', METERS, ids=str)
def test_every_meter_keeps_its_strokes_and_its_register(num, den, tiny):
    obeys(piece(num, den, seed=num % 2), model=tiny)

@pytest.mark.parametrize('name', ODD)
def test_whatever_is_odd_keeps_its_strokes_and_its_register(name, tiny):
    obeys(ODD[name], model=tiny)

def test_every_seed_keeps_them(tiny):
    obeys(piece(9, 8), seeds=(1, 2), model=tiny)

@pytest.mark.parametrize('keep', ['melody', 'left', 'harmony', ('melody', 'rhythm')])
def test_they_stay_where_parts_are_kept(keep, tiny):
    obeys(loose(piece(9, 8)), keep=keep, model=tiny)

def test_where_rhythm_is_kept_they_stay_however_little_is_shown(tiny):
    obeys(ODD['a player and meters that change'], keep='rhythm', likeness=.4, model=tiny)

@pytest.mark.parametrize('likeness', [0., .5])
def test_below_full_likeness_the_register_stays(likeness, tiny):
    for song in (piece(9, 8), loose(piece(11, 4, bars=2))):
        new = transfer(song, 'negative', likeness=likeness, candidates=1, temperature=2., model=tiny).song
        assert register(song, new) == 1

def test_without_these_rules_they_are_lost(tiny):
    song = piece(12, 8)
    free = transfer(song, 'negative', without='every_stroke,as_many,compass', candidates=1, temperature=2.,
                    model=tiny)
    assert free.figures['strokes'] < 1 and free.figures['register'] < 1
