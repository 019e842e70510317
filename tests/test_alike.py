"""Near-duplicate pieces: what is found whatever is done to it, what is not, and that
neither order nor number matters."""
import itertools
import numpy as np
import pytest
from emotionwave.data.sketches import SKETCH, alike, groups, sketch
from emotionwave.music.song import Song
from emotionwave.music.read import read_song


def tune(seed, n=160):
    "A melody that wanders over two octaves of white keys."
    rng = np.random.default_rng(seed)
    degree = np.abs((rng.choice([-3, -2, -1, -1, 1, 1, 2, 3], n).cumsum() + 7) % 28 - 14) + 35
    pitch = degree // 7 * 12 + np.array([0, 2, 4, 5, 7, 9, 11])[degree % 7]
    length = rng.choice([120, 240, 240, 480], n)
    return Song(np.append(0, length[:-1].cumsum()), length, pitch, np.full(n, 80))


def some(song, keep):
    return song.replace(**{k: getattr(song, k)[keep] for k in ('onset', 'duration', 'pitch', 'velocity')})


def more(song, onset, duration, pitch):
    return Song(np.append(song.onset, onset), np.append(song.duration, duration),
                np.append(song.pitch, pitch),
                np.full(len(song) + len(onset), 80), tempo_bpm=song.tempo_bpm)


def with_chords(song):
    at = np.arange(0, len(song), 3)
    return more(song, np.tile(song.onset[at], 2), np.full(2 * len(at), 600),
                np.append(song.pitch[at] - 12, song.pitch[at] - 19))


def with_trills(song):
    at = np.arange(4, len(song), 10)
    return more(song, np.append(song.onset[at] - 60, song.onset[at] - 30), np.full(2 * len(at), 30),
                np.append(song.pitch[at], song.pitch[at] + 2))


def with_broken_accompaniment(song):
    at = np.arange(0, len(song), 2)
    return more(song, song.onset[at] + 60, np.full(len(at), 60), song.pitch[at] - 24)


def unsteady(song):
    return song.replace(onset=np.maximum(song.onset + np.random.default_rng(0).integers(-12, 13, len(song)),
                                         0))


changes = {
    'another key': lambda s: s.replace(pitch=s.pitch + 5),
    'an octave lower': lambda s: s.replace(pitch=s.pitch - 12),
    'half as fast': lambda s: s.replace(tempo_bpm=[60.]),
    'twice as fast': lambda s: s.replace(tempo_bpm=[240.]),
    'longer ticks': lambda s: s.replace(tpq=960, onset=s.onset * 2, duration=s.duration * 2),
    'silence before it': lambda s: s.replace(onset=s.onset + 5000),
    'chords under it': with_chords,
    'trills': with_trills,
    'accompaniment between the notes': with_broken_accompaniment,
    'unsteady playing': unsteady,
    'notes left out': lambda s: some(s, np.random.default_rng(1).random(len(s)) > .07),
    'its middle only': lambda s: some(s, slice(50, 100)),
    'all at once': lambda s: with_chords(unsteady(s.replace(pitch=s.pitch - 3, tempo_bpm=[90.]))),
}


@pytest.fixture(scope='module')
def others(): return [sketch(tune(s)) for s in range(100, 150)]


@pytest.mark.parametrize('name', changes)
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_a_piece_is_found_whatever_is_done_to_it(others, name, seed):
    pairs = alike([*others, sketch(tune(seed)), sketch(changes[name](tune(seed)))])
    assert [(i, j) for i, j, _ in pairs.tolist()] == [(50, 51)]


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_two_files_can_be_compared_without_others(seed):
    assert len(alike([sketch(tune(seed)), sketch(with_chords(tune(seed)))])) == 1
    assert not len(alike([sketch(tune(seed)), sketch(tune(seed + 50))]))


def test_transposing_and_tempo_leave_the_hashes_as_they_are():
    a, b = sketch(tune(5)), sketch(tune(5).replace(pitch=tune(5).pitch + 7, tempo_bpm=[77.]))
    assert (a >> np.uint64(4) == b >> np.uint64(4)).all()
    assert {(y - x) % 12 for x, y in zip((a & np.uint64(15)).tolist(), (b & np.uint64(15)).tolist())} == {7}


@pytest.mark.parametrize('song', [Song(), tune(0, 1), tune(0, 7), tune(0, 8), tune(0, 9),
                                  Song([0] * 50, [10] * 50, np.arange(30, 80), [60] * 50),
                                  Song(np.arange(50), [1] * 50, [60] * 50, [60] * 50),
                                  Song([0, 10 ** 8] * 10, [1] * 20, np.arange(50, 70), [60] * 20),
                                  Song(np.arange(9) * 480, [9] * 9, [0, 127, 1] * 3, [1] * 9)],
                         ids=['empty', 'one', 'seven', 'eight', 'nine', 'one chord', 'one pitch', 'far away',
                              'extremes'])
def test_any_song_has_a_sketch(song):
    s = sketch(song)
    assert s.dtype == np.uint64 and s.ndim == 1 and len(s) <= SKETCH
    assert len(alike([s, s])) == (len(s) >= 8)


def test_a_sketch_is_bounded_rising_and_repeatable():
    s = sketch(tune(0, 20_000))
    assert len(s) == SKETCH and (s[1:] > s[:-1]).all() and (s == sketch(tune(0, 20_000))).all()


def test_every_sample_is_found_again_a_semitone_higher():
    from pathlib import Path
    folder = Path(__file__).parents[1] / 'samples'
    songs = [read_song(p) for p in sorted(folder.glob('*.mid'))]
    twice = ([sketch(s) for s in songs]
             + [sketch(s.replace(pitch=np.clip(s.pitch + 1, 0, 127))) for s in songs])
    # of several equal sketches one stands for all, so the pair itself need not be told
    group = groups(len(twice), alike(twice))
    assert all(group[i] == group[i + len(songs)] for i in range(len(songs)) if len(twice[i]) >= 16)


def test_the_order_of_songs_changes_nothing(others):
    sketches = (others[:20] + [sketch(f(tune(k % 4))) for k, f in enumerate(changes.values())]
                + [sketch(tune(k)) for k in range(4)] + [others[0]])
    reference = alike(sketches, threshold=.2)
    assert len(reference) > 10 and (reference['i'] < reference['j']).all()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(sketches))
        mixed = alike([sketches[k] for k in order], threshold=.2)
        kept = lambda pairs, to: {(*sorted((int(to[i]), int(to[j]))), s) for i, j, s in pairs.tolist()}
        # of equal sketches the first stands for all
        drop = {k for i, j, s in reference.tolist() if s == 1 for k in (i, j)}
        away = lambda pairs: {p for p in pairs if not drop & set(p[:2])}
        assert drop and away(kept(reference, np.arange(len(order)))) == away(kept(mixed, order))
        together = lambda g, to: {frozenset(int(to[k]) for k in np.flatnonzero(g == v)) for v in np.unique(g)}
        assert together(groups(len(order), reference),
                        np.arange(len(order))) == together(groups(len(order), mixed), order)


def test_blocks_change_nothing(others, monkeypatch):
    import emotionwave.data.sketches as data_sketches
    sketches = (others + [sketch(f(tune(k % 5))) for k, f in enumerate(changes.values())]
                + [sketch(tune(k)) for k in range(5)])
    whole, pairs = alike(sketches, threshold=.1), data_sketches._pairs
    monkeypatch.setattr(data_sketches, '_pairs', lambda *a: pairs(*a, block=7))
    assert whole.tolist() == alike(sketches, threshold=.1).tolist()


def test_two_thousand_unrelated_sketches_stay_apart():
    rng = np.random.default_rng(0)
    sketches = [np.unique(rng.integers(0, 2 ** 63, 256, np.uint64)) for _ in range(2000)]
    assert not len(alike(sketches))
    sketches[7] = np.unique(np.append(sketches[3][:60], sketches[7][60:]))
    assert [(i, j) for i, j, _ in alike(sketches).tolist()] == [(3, 7)]


def test_a_motif_that_all_share_joins_none():
    rng = np.random.default_rng(0)
    motif = rng.integers(0, 2 ** 59, 20, np.uint64) << np.uint64(4)
    sketches = [np.unique(np.append(motif, rng.integers(0, 2 ** 59, 200, np.uint64) << np.uint64(4)))
                for _ in range(1500)]
    assert len(set(groups(1500, alike(sketches)).tolist())) == 1500


def test_many_versions_of_one_piece_are_one_group(others):
    versions = [sketch(some(tune(9), np.random.default_rng(k).random(160) > .04)) for k in range(150)]
    found = groups(200, alike(others + versions))
    assert len(set(found[50:].tolist())) == 1 and len(set(found[:50].tolist())) == 50


def test_a_chain_of_weak_pairs_falls_apart_and_a_family_does_not():
    chain = [(k, k + 1, .55) for k in range(100)]
    family = [(a, b, .85) for a, b in itertools.combinations(range(101, 141), 2)]
    found = groups(150, chain + family + [(100, 101, .55)])
    assert np.bincount(found).max() == 40 and (found[101:141] == 101).all()
    assert (groups(150, chain[:8])[:9] == 0).all()


def test_wrong_arguments_say_so():
    with pytest.raises(ValueError, match='threshold'): alike([], threshold=2)
    with pytest.raises(ValueError, match='number of sketches'): groups(3, [(0, 3, .9)])
