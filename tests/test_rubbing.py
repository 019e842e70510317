"""Nothing rubs in a version that didn't rub in the piece, a second stays one, the middle is in the middle:
the first whatever the network writes, so that is written by one that has learnt nothing."""
from pathlib import Path

import numpy as np
import pytest

from emotionwave.generate.keep import Keep
from emotionwave.generate.moves import moved_by, Register, Version
from emotionwave.generate.piece import Part
from emotionwave.generate.versions import transfer, write_versions
from emotionwave.measure.laws import new_rubs
from emotionwave.music.keys import Key
from emotionwave.music.read import read_song
from emotionwave.music.song import Song
from emotionwave.music.texture import rubs
from emotionwave.music.tokens import Tokenizer

CASES = Path(__file__).parent / 'cases'
SUS2, SIXTH, NINTH = (0, 2, 7), (0, 4, 7, 9), (0, 4, 7, 14)


def chords(*shapes, tonic=60, num=4, den=4, tpq=480):
    "Chords of some shapes above the tonic, one a bar, and a tune that walks over them."
    bar, rows = num * 4 * tpq // den, []
    for k, shape in enumerate(shapes):
        rows += [(k * bar, bar, tonic - 12 + step) for step in shape]
        rows += [(k * bar + j * tpq, tpq, tonic + 12 + (0, 2, 4, 5, 7, 9, 11)[(k + 2 * j) % 7])
                 for j in range(bar // tpq)]
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, [70] * len(rows), tpq, meter_num=[num], meter_den=[den])


def toccata(num, den, tonic=0, bars=2, tpq=480):
    "Sixteenths that turn on the seventh and the second beside the tonic, over a bass."
    step, rows = tpq // 4, []
    turn = np.array([12, 11, 12, 14, 15, 14, 12, 11]) + 60 + tonic
    for at in range(bars * num * 16 // den):
        rows.append((at * step, step, turn[at % 8]))
        if at % 4 == 0: rows.append((at * step, 4 * step, 48 + tonic + (0, 7, 3, 8)[at // 4 % 4]))
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, [70] * len(rows), tpq, meter_num=[num], meter_den=[den])


def struck_together(song):
    "Pairs of notes that are struck at one onset and rub."
    return [(a, b) for a, b in rubs(song).tolist() if song.onset[a] == song.onset[b]]


def new_pairs(song, new):
    """Pairs of notes of a version that rub longer than those rubbed that the input strikes at the same
    places, an accidental aside."""
    def pairs(s):
        end = s.onset + s.duration
        return [(s.onset[a], s.onset[b], s.pitch[a], s.pitch[b], min(end[a], end[b]) - s.onset[b])
                for a, b in rubs(s).tolist()]
    def alike(p, q): return (p - q) % 12 in (0, 1, 11)
    def may(first, then, p, q):
        return max((long for a, b, x, y, long in pairs(song) if (a, b) == (first, then)
                    and (alike(p, x) and alike(q, y) or alike(p, y) and alike(q, x))), default=0)
    return [pair for pair in pairs(new) if pair[4] > may(*pair[:4])]


PIECES = {f'{num}/{den} on {tonic}': toccata(num, den, tonic)
          for num, den, tonic in ((4, 4, 0), (3, 4, 5), (6, 8, -2), (9, 8, 2), (12, 8, 0), (5, 4, 3))}


@pytest.mark.parametrize('name', PIECES)
def test_no_version_rubs_more_than_its_piece(name, tiny):
    for result in write_versions(PIECES[name], ['negative', 'positive'], candidates=1, model=tiny):
        assert new_rubs(result.source, result.song) <= .02, result.valence
        assert new_pairs(result.source, result.song) == [], result.valence


def test_a_version_rubs_more_and_longer_without_the_move(tiny):
    made = {without: [transfer(song, 'negative', candidates=1, model=tiny, without=without)
                      for song in PIECES.values()] for without in ('let_go', ())}
    rubbing = {without: np.mean([new_rubs(r.source, r.song) for r in made[without]]) for without in made}
    assert rubbing['let_go'] > rubbing[()] + .02
    assert any(new_pairs(r.source, r.song) for r in made['let_go'])


@pytest.mark.parametrize('shapes', [(SUS2, SIXTH), (NINTH, SUS2), (SIXTH, NINTH)],
                         ids=['sus2', 'ninth', 'sixth'])
@pytest.mark.parametrize('tonic, num, den', [(60, 4, 4), (65, 3, 4), (58, 9, 8)])
def test_notes_struck_a_whole_tone_apart_never_become_a_semitone(shapes, tonic, num, den):
    song = chords(*shapes, shapes[0], tonic=tonic, num=num, den=den)
    assert not struck_together(song)
    for result in write_versions(song, ['negative', 'positive'], candidates=1):
        assert not struck_together(result.song)


def test_seconds_turn_without_the_rule():
    song = read_song(CASES / 'chords_with_seconds.mid')
    assert not struck_together(transfer(song, 'negative', candidates=1).song)
    assert struck_together(transfer(song, 'negative', candidates=1, without='seconds').song)


@pytest.mark.parametrize('name', ['dotted_9_8', 'toccata_c_minor', 'slip_jig_9_8', 'chords_with_seconds'])
def test_cases_rub_no_more_than_they_did(name):
    for result in write_versions(CASES / f'{name}.mid', ['negative', 'positive'], candidates=2):
        assert new_rubs(result.source, result.song) <= .02, result.valence


@pytest.mark.parametrize('name', ['toccata_c_minor', 'chords_with_seconds', 'two_hands_named'])
def test_the_middle_lies_between_the_ends_and_the_piece(name):
    low, middle, high = write_versions(CASES / f'{name}.mid', ['negative', .5, 'positive'], candidates=1)
    means = [r.song.pitch.mean() for r in (low, high)] + [low.source.pitch.mean()]
    assert min(means) - 1e-9 <= middle.song.pitch.mean() <= max(means) + 1e-9
    assert 'register' not in middle.applied


class Ear:
    "Hears what lies low as sad."
    def predict(self, songs):
        return np.array([np.clip((s.pitch.mean() - 50) / 30, 0, 1) for s in songs])

def version_of(song, valence):
    "What moves know of a version of a song in C major."
    tokens, key = Tokenizer(), Key(0, 'major', 1.)
    part = Part.of(tokens.encode(song, 0), tokens, song, key)
    line = song.bar_ticks()
    return Version(song, Keep(song, part, tokens, 0), 0, 'major', np.full(len(line) - 1, valence), line)

@pytest.mark.parametrize('higher', [-20, -8, 0, 8, 30])
def test_what_asks_for_more_never_moves_less(higher, monkeypatch):
    monkeypatch.setattr('emotionwave.generate.moves.load_labeller', Ear)
    song = toccata(4, 4)
    song = song.replace(pitch=song.pitch + higher)
    moved = []
    for valence in (0., .1, .25, .4, .5, .6, .75, .9, 1.):
        # the saddest version lies a little lower, beneath middle C where its neighbours do not
        new, about = song.replace(pitch=song.pitch - (valence == 0)), version_of(song, valence)
        after, _ = moved_by((Register(),), new, about)
        moved.append(np.median(after.pitch - new.pitch))                      # a bass that would growl stays
    assert (np.diff(moved) >= 0).all() and moved[4] == 0, moved
