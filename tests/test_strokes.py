"""At full likeness a version strikes when its input does and never else, and no note leaves the register of its bar:
in every meter, whatever the network writes. So it is written by one that has learnt nothing."""
from pathlib import Path

import numpy as np
import pytest

from emotionwave.generate.versions import transfer, write_versions
from emotionwave.hearing.beats import barred
from emotionwave.music.read import read_song
from emotionwave.music.similarity import register, strokes
from emotionwave.music.song import Song

CASES = Path(__file__).parent / 'cases'
BOTH = 'negative', 'positive'
METERS = [(2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 4), (8, 4), (9, 4), (11, 4), (3, 8), (5, 8), (6, 8), (7, 8), (9, 8),
          (11, 8), (12, 8), (15, 8), (3, 16), (5, 16), (1, 4), (2, 2), (4, 2)]


def piece(num, den, seed=0, bars=4, tpq=480, start=0, each=2):
    "A tune over chords, struck on some of the bar's smallest beats, in C or in A minor."
    rng = np.random.default_rng([num, den, seed])
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) - 3 * (seed % 2)
    beat = 4 * tpq // den // each
    rows = []
    for at in range(start, bars * num * each):
        if at % (3 * each) == 0:
            root = int(rng.integers(0, 7))
            for third in (0, 2, 4):
                rows.append((at * beat, 3 * each * beat, 48 + scale[(root + third) % 7] + 12 * ((root + third) // 7)))
        if rng.random() < .8:
            rows.append((at * beat, beat, 67 + scale[rng.integers(0, 7)] + 12 * rng.integers(0, 2)))
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, 40 + onset // beat % 50, tpq, meter_num=[num], meter_den=[den])


def obeys(song, seeds=(0, 1), **settings):
    "Fail where a version of a song loses a stroke, has one of its own, or leaves the register."
    song = barred(song)
    for seed in seeds:
        for r in write_versions(song, BOTH, candidates=1, seed=seed, **settings):
            lost = np.setdiff1d(song.onset, r.song.onset)
            new = np.setdiff1d(r.song.onset, song.onset)
            assert not len(lost) and not len(new), (r.asked, seed, lost, new)
            assert register(song, r.song) == 1, (r.asked, seed)


@pytest.mark.parametrize('num,den', METERS, ids=lambda x: str(x))
def test_every_meter_keeps_its_strokes_and_its_register(num, den, tiny):
    obeys(piece(num, den), temperature=2., model=tiny)
