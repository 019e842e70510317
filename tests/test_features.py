"Features: finite for any song, the same for the same sounding notes, and named by families."
import numpy as np, pytest
from emotionwave.hearing.features import (
    FAMILIES, GROUPS, chunks, feature_names, in_seconds, measure_features, Notes, Strokes, tonality)
from emotionwave.music.song import Song
from emotionwave.recipes.hearing import vary
from pieces import odd, piece


def test_families_name_every_feature_and_a_group_for_it():
    assert (len(feature_names) == len(set(feature_names)) == sum(n for _, n, _ in FAMILIES.values())
            and {g for g, _, _ in FAMILIES.values()} == set(GROUPS))
    assert measure_features([]).shape == (0, len(feature_names))


@pytest.mark.parametrize('name', odd)
def test_features_are_finite_for_any_song(name):
    assert np.isfinite(measure_features([odd[name]])).all()


def test_features_do_not_depend_on_what_else_is_in_the_batch():
    songs = [piece(), piece(True, 700), *odd.values(), vary(piece(repeats=8), np.random.default_rng(0))]
    np.testing.assert_allclose(measure_features(songs),
                               np.concatenate([measure_features([s]) for s in songs]), atol=1e-9)


def test_features_do_not_change_with_the_ticks_or_the_tempo_that_write_the_same_seconds():
    song = piece()
    np.testing.assert_allclose(measure_features([song]),
                               measure_features([song.replace(onset=song.onset * 2, duration=song.duration
                                                              * 2, tempo_bpm=[240.])]), atol=1e-6)


def test_a_transposed_piece_differs_in_register_only():
    a, b = measure_features([piece(), piece(low=3)])
    for k, x, y in zip(feature_names, a, b):
        if FAMILIES[k.rsplit(' ', 1)[0]][0] != 'register': assert x == pytest.approx(y, abs=1e-9), k


def test_shares_lie_between_0_and_1():
    x = dict(zip(feature_names, measure_features([vary(piece(), np.random.default_rng(1))])[0]))
    for family in ('degrees', 'steps', 'melody bigrams', 'chords', 'chord motion', 'octaves', 'stroke sizes'):
        values = [x[f'{family} {i}'] for i in range(FAMILIES[family][1])]
        assert min(values) >= 0 and sum(values) == pytest.approx(1), family


def test_statistics_keep_the_songs_of_a_batch_apart():
    songs = [piece(), piece(True, 700, 5), odd['coarsest ticks']]
    notes = Notes([in_seconds(s) for s in songs])
    of = notes.song
    np.testing.assert_allclose(notes.mean(notes.pitch, of), [s.pitch.mean() for s in songs])
    np.testing.assert_allclose(notes.sd(notes.pitch, of), [s.pitch.std() for s in songs])
    np.testing.assert_allclose(notes.correlation(notes.pitch, notes.start, of, 1e-9)[:2],
                               [np.corrcoef(s.pitch, s.onset)[0, 1] for s in songs[:2]])
    assert notes.quantiles(notes.pitch, (0, 1),
                           of).tolist() == [[s.pitch.min(), s.pitch.max()] for s in songs]
    np.testing.assert_allclose(notes.shares(notes.pitch % 12, 12, of).sum(1), 1)
    # nothing to count in the second
    assert notes.shares(np.zeros(2, int), 3, np.array([0, 2])).tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_strokes_join_notes_that_start_within_35_ms_of_each_other_in_one_song():
    # a tick is a millisecond
    ms = lambda *at: Song(np.array(at), [100] * len(at), np.arange(60, 60 + len(at)), [64] * len(at), tpq=500)
    strokes = Strokes(Notes([in_seconds(s) for s in (ms(0, 30, 100), ms(0, 500))]))
    assert (strokes.size.tolist() == [2, 1, 1, 1] and strokes.song.tolist() == [0, 0, 1, 1]
            and strokes.top.tolist() == [61, 62, 60, 61])
    np.testing.assert_allclose(strokes.gap, [.1, .1, .5, .5])  # the last repeats the one before
    np.testing.assert_allclose(Strokes(Notes([in_seconds(ms(0))])).gap, 4)


def test_the_scale_stays_where_the_tonic_is_taken_for_the_relative():
    keys = tonality(Notes([in_seconds(s) for s in (piece(), piece(True), piece(low=2))]))
    assert keys.tonic[[0, 2]].tolist() == [0, 2] and keys.scale.tolist() == [0, 3, 2]


def test_spans_of_a_list_of_songs_cover_it_once():
    assert (chunks([]) == [] and chunks([5], most=1) == [(0, 1)] and chunks([1] * 5, rows=2)
            == [(0, 2), (2, 4), (4, 5)] and chunks([2, 9, 1, 1], most=4) == [(0, 1), (1, 2), (2, 4)])
