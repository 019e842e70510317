"""Attributes: by hand, finite, within their ranges, the same alone and in a batch, the same in every key."""
import math
import numpy as np, pytest
from emotionwave.hearing.attributes import (
    ATTRIBUTES, attribute_names, attributes_of, attributes_table, describe, energy)
from emotionwave.music.song import Song
from emotionwave.music.keys import find_key, keys_of
from pieces import piece


def test_energy_follows_the_formula_by_hand():
    song = Song([0, 480, 960, 1440], [480] * 4, [60, 64, 67, 72], [127] * 4)     # two seconds at 120 bpm
    assert energy(song) == pytest.approx(.3 + .2 * 2 / 8 + .2 * (1 / 480) / 8 + .1 * 12 / 88 + .2)
    assert energy(song.replace(tempo_bpm=[60.])) == pytest.approx(.3 + .2 * 1 / 8 + .2 * (1 / 480) / 8
                                                                  + .1 * 12 / 88 + .1)
    assert energy(Song()) == 0


@pytest.mark.parametrize('song', [
    Song(), Song([0], [1], [0], [1]), Song([5] * 20, [1] * 20, [60] * 20, [64] * 20),
    Song([0, 2 * 10**8], [2 * 10**8, 1], [0, 127], [1, 127]),
    Song([0, 0], [1, 1], [60, 61], [64, 64], tempo_bpm=[3.6]),
    Song(range(40), [1] * 40, range(40), [64] * 40, tpq=1)],
    ids=['empty', 'one note', 'one chord', 'an endless note', 'slowest tempo', 'coarsest ticks'])
def test_attributes_are_finite_for_any_song(song):
    a = describe(song)
    assert tuple(a) == attribute_names == tuple(ATTRIBUTES) and all(math.isfinite(x) for x in a.values())


def test_attributes_do_not_change_with_the_ticks_or_the_tempo_that_write_the_same_seconds():
    song = piece()
    same = song.replace(onset=song.onset * 2, duration=song.duration * 2, tempo_bpm=[240.])
    a, b = describe(song), describe(same)
    for k in set(attribute_names) - {'tempo', 'notes_per_beat', 'offbeat', 'energy'}:
        assert a[k] == pytest.approx(b[k], abs=1e-9), k


def test_shares_of_attributes_lie_between_0_and_1():
    for song in (piece(), piece(True)):
        a = describe(song)
        for k, unit in ATTRIBUTES.items():
            if unit.startswith('0..1'): assert -1e-9 <= a[k] <= 1 + 1e-9, k
        assert sum(a[f'degree_{i}'] for i in range(12)) == pytest.approx(1)


REGISTER = {'pitch_mean', 'low', 'high', 'melody_mean', 'bass_mean'}            # what transposing may change


def any_song(seed, notes=None):
    "A song of any tempo map, meter and texture."
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 300)) if notes is None else notes
    tempos = np.append(0, np.unique(rng.integers(1, 20000, rng.integers(0, 6))))
    grid = int(rng.choice([1, 60, 240]))
    return Song(rng.integers(0, 20000 // grid, n) * grid, rng.integers(1, 1500, n), rng.integers(30, 100, n),
                rng.integers(1, 128, n), tpq=int(rng.choice([96, 384, 480])),
                tempo_tick=tempos, tempo_bpm=rng.uniform(40, 220, len(tempos)),
                meter_num=[int(rng.choice([3, 4, 6]))])


HOSTILE = [Song(), Song([0], [1], [0], [1]), Song([5] * 20, [1] * 20, [60] * 20, [64] * 20),
           Song([0, 2 * 10**8], [2 * 10**8, 1], [0, 127], [1, 127]),
           Song([0, 0], [1, 1], [60, 61], [64, 64], tempo_bpm=[3.6]),
           Song(range(40), [1] * 40, range(40), [64] * 40, tpq=1),
           Song([0, 9], [2**28 - 1] * 2, [127, 0], [127, 1], tpq=1, tempo_bpm=[3.6]),
           Song(range(5000), [1] * 5000, [60] * 5000, [1] * 5000, tpq=32767, tempo_bpm=[6e7])]


@pytest.mark.parametrize('seed', range(8))
def test_a_batch_is_bit_for_bit_what_each_song_gives_alone_in_any_order(seed):
    songs = [any_song(100 * seed + k) for k in range(12)] + HOSTILE
    order = np.random.default_rng(seed).permutation(len(songs))
    table = attributes_table(songs)
    assert table.shape == (len(songs), len(attribute_names)) and np.isfinite(table).all()
    np.testing.assert_array_equal(attributes_table([songs[i] for i in order]), table[order])
    np.testing.assert_array_equal(table, [list(describe(s).values()) for s in songs])
    assert keys_of(songs) == [find_key(s) for s in songs]


@pytest.mark.slow
def test_batches_of_every_size_agree(monkeypatch):
    songs = [any_song(k) for k in range(300)]  # more pieces than are ranked at once
    table = attributes_table(songs)
    for room in (1, 500, 10**9):
        monkeypatch.setattr('emotionwave.hearing.attributes._ROOM', room)
        np.testing.assert_array_equal(attributes_table(songs), table)


@pytest.mark.parametrize('seed', range(8))
def test_stretches_of_a_song_are_what_its_bars_give_when_they_are_cut_out(seed):
    song, other = any_song(seed), any_song(seed + 50)
    tick = song.bar_ticks()
    first = np.arange(0, len(tick) - 1, 2)
    last = np.minimum(first + 4, len(tick) - 1)                               # they overlap
    found = attributes_of([other, song], [[[0, 0]], np.stack([tick[first], tick[last]], 1)])
    assert not found[0].any()  # no note begins in an empty stretch
    np.testing.assert_array_equal(found[1:],
                                  attributes_table([song.bars(int(a), int(b)) for a, b in zip(first, last)]))


@pytest.mark.parametrize('move', [-7, -1, 1, 4, 6])
def test_transposing_changes_nothing_but_the_register(move):
    songs = ([any_song(k) for k in range(30)]
             + [piece(), piece(True), Song(range(12), [1] * 12, range(60, 72), [64] * 12),
                Song([0, 0, 0], [480] * 3, [60, 64, 68], [64] * 3)])
    a, b = attributes_table(songs), attributes_table([s.replace(pitch=s.pitch + move) for s in songs])
    for j, k in enumerate(attribute_names):
        if k not in REGISTER: np.testing.assert_array_equal(a[:, j], b[:, j], k)
    for s in songs:
        assert find_key(s.replace(pitch=s.pitch
                                  + move)) == find_key(s)._replace(tonic=(find_key(s).tonic + move) % 12)


def by_loops(song):
    "Some attributes the long way, note by note."
    start, end = song.seconds(song.onset), song.seconds(song.onset + song.duration)
    strokes = [[0]]
    for i in range(1, len(song)):
        strokes[-1].append(i) if start[i] - start[i - 1] <= .035 + 1e-9 else strokes.append([i])
    begin = [start[s[0]] for s in strokes]
    interval = [min(max(b - a, .01), 4) for a, b in zip(begin, begin[1:])] or [min(end.max() - start[0], 4)]
    length = np.clip(end - start, .02, 4)
    top = [song.pitch[s].max() for s in strokes]
    moves = np.abs(np.diff(top))
    tonic = find_key(song).tonic
    degree = [length[(song.pitch - tonic) % 12 == d].sum() / length.sum() for d in range(12)]
    return dict(seconds=end.max() - start[0], notes=len(song), energy=energy(song),
                onsets_per_s=len(strokes) / (end.max() - start[0]), interval_s=np.median(interval),
                interval_spread=np.std(np.log(interval)), duration_s=np.median(length),
                duration_spread=np.std(np.log(length)), chord_size=len(song) / len(strokes),
                pitch_mean=song.pitch.mean(), pitch_sd=song.pitch.std(), pitch_range=np.ptp(song.pitch),
                low=(song.pitch < 48).mean(), high=(song.pitch >= 72).mean(),
                bass_mean=np.percentile(song.pitch, 10), melody_mean=np.mean(top),
                melody_step=moves[moves > 0].mean() if moves.any() else 0,
                velocity_mean=song.velocity.mean(), velocity_sd=song.velocity.std(),
                third=(degree[4] - degree[3]) / (degree[4] + degree[3] + .01),
                offbeat=(song.onset % song.tpq > 0).mean(),
                **{f'degree_{d}': x for d, x in enumerate(degree)},
                velocity_pitch=np.corrcoef(song.velocity, song.pitch)[0, 1]
                if song.velocity.std() > 0 and song.pitch.std() > 0 else 0)


@pytest.mark.parametrize('seed', range(20))
def test_attributes_agree_with_loops_over_notes(seed):
    song = any_song(seed)
    a = describe(song)
    for k, v in by_loops(song).items(): assert a[k] == pytest.approx(v, abs=1e-6, rel=1e-9), k


def chords_by_loops(song):
    "Intervals and triads frame by frame, for songs at 120 bpm on a grid of eighths of a second."
    frames, tonic = int(8 * song.seconds(song.end_tick)) + 1, find_key(song).tonic
    roll = np.zeros((frames, 12))
    for o, d, p in zip(song.onset, song.duration, song.pitch):
        roll[o // 120:(o + d) // 120, (p - tonic) % 12] += 1
    pairs = [(a, b) for f in roll for a in range(12) for b in range(a) if f[a] and f[b]]
    out = {f'interval_{k}': sum(min(a - b, 12 - a + b) == k for a, b in pairs) / max(len(pairs), 1)
           for k in range(1, 7)}
    kinds, triads = [], [(0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 5, 7)]
    for at in range(0, frames, 4):
        w = np.sqrt(roll[at:at + 8].sum(0))
        if not w.any(): continue
        score = [[w[[(root + s) % 12 for s in t]].sum() for root in range(12)] for t in triads]
        best = np.max(score)
        kinds.append(next((k, r) for k in range(5) for r in range(12) if score[k][r] > best - 1e-6))
    share = lambda test: np.mean([test(*k) for k in kinds])
    return out | dict(silence=1 - roll.any(1).sum() / frames, polyphony=roll.sum() / roll.any(1).sum(),
                      major_chords=share(lambda k, r: k == 0), suspended_chords=share(lambda k, r: k == 4),
                      chord_I=share(lambda k, r: k == 0 and r == 0),
                      chord_V=share(lambda k, r: k == 0 and r == 7),
                      chord_vi=share(lambda k, r: k == 1 and r == 9))


@pytest.mark.parametrize('seed', range(12))
def test_harmony_agrees_with_loops_over_frames(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 120))
    song = Song(np.append(0, rng.integers(0, 300, n) * 120), rng.integers(1, 9, n + 1) * 120,
                rng.integers(40, 80, n + 1), [64] * (n + 1))
    a = describe(song)
    for k, v in chords_by_loops(song).items(): assert a[k] == pytest.approx(v, abs=1e-6), k


def test_wrong_spans_say_what_is_missing():
    with pytest.raises(ValueError, match='one array for each of 2 songs, got 1'):
        attributes_of([Song(), Song()], [[[0, 1]]])
    assert attributes_of([], []).shape == attributes_table([]).shape == (0, len(attribute_names))
    assert (attributes_of([Song()], [[]]).shape == (0, len(attribute_names))
            and not attributes_table([Song()]).any())
