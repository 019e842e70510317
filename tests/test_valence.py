"""Valence: what the classifiers say of whom, that they explain themselves, and that
fitting and measuring never leak."""
import math, subprocess, sys
import numpy as np, pytest
from emotionwave.hearing.events import note_events
from emotionwave.hearing.features import GROUPS
from emotionwave.music.song import Song
from emotionwave.music.keys import Key
from emotionwave.music.modes import swap_mode
from emotionwave.hearing.classifiers import (
    MIN_NOTES, Listener, hear, load_judge, load_labeller, load_listener)
from emotionwave.hearing.explanations import explain
from emotionwave.data.clips import labelled_clips
from emotionwave.recipes.ear import EarTraining, pretrain
from emotionwave.recipes.hearing import calibration_error, cross_validate, fit_judge, fit_labeller, vary
from pieces import first_notes, odd, piece


@pytest.fixture(scope='module', params=[load_listener, load_labeller, load_judge],
                ids=['listener', 'labeller', 'judge'])
def classifier(request): return request.param()


# ---- what the classifiers say

def test_swapping_the_mode_twice_gives_the_song_back():
    song = piece()
    minor = swap_mode(song)
    assert swap_mode(minor, Key(0, 'minor', 1.)) == song and set(minor.pitch % 12) == {0, 2, 3, 5, 7, 8, 10}
    assert (minor.onset == song.onset).all() and len(minor) == len(song)


def test_shipped_weights_are_small_and_load_without_torch_for_labeller_and_listener():
    code = ('import sys, numpy as np; from emotionwave.music import Song; from emotionwave.hearing import '
            'load_labeller, load_listener;'
            's = Song(np.arange(16) * 240, [240] * 16, 60 + np.arange(16) % 8, [64] * 16);'
            'assert all(0 < c.predict(s)[0] < 1 for c in (load_labeller(), load_listener())); '
            'assert not {"torch", "pandas", "matplotlib"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True)
    assert sum(v.nbytes for c in (load_listener(), load_labeller(), load_judge())
               for v in c.weights.values()) < 8e6


def test_labeller_and_judge_were_fitted_to_other_clips():
    a, b = load_labeller().config, load_judge().config
    assert (a['clips'] > 600 and b['clips'] > 250 and a['kind'] != b['kind'] and a['songs_hash']
            != b['songs_hash'] and load_listener().config['clips'] == a['clips'] + b['clips'])


def test_a_song_of_fewer_than_eight_notes_gets_nan_and_only_that(classifier):
    song = piece()
    heard = classifier.hear([Song(), first_notes(song, 7), song, first_notes(song, 8)])
    assert (heard.valence.dtype == np.float64 and np.isnan(heard.valence[:2]).all()
            and np.isnan(heard.quadrants[:2]).all() and heard.quadrant[:2].tolist() == [0, 0])
    assert np.isfinite(heard.valence[2:]).all() and np.isfinite(heard.arousal[2:]).all()
    assert classifier.predict([]).shape == (0,) and np.isnan(classifier.predict(first_notes(song, 7))).all()


@pytest.mark.parametrize('name', [k for k, s in odd.items() if len(s) >= MIN_NOTES])
def test_no_song_of_eight_notes_is_too_odd_for_a_probability(classifier, name):
    heard = classifier.hear(odd[name])
    assert 0 <= heard.valence[0] <= 1 and 0 <= heard.arousal[0] <= 1


def test_quadrants_agree_with_valence_and_arousal(classifier):
    h = classifier.hear([piece(), piece(True, 900), vary(piece(), np.random.default_rng(0))])
    np.testing.assert_allclose(h.quadrants.sum(1), 1)
    np.testing.assert_allclose(h.quadrants[:, 0] + h.quadrants[:, 3], h.valence)
    np.testing.assert_allclose(h.quadrants[:, 0] + h.quadrants[:, 1], h.arousal)
    assert (h.quadrant == h.quadrants.argmax(1) + 1).all()


@pytest.mark.parametrize('low', [-7, -3, 0, 4])
def test_a_lively_major_phrase_scores_above_its_slow_parallel_minor(classifier, low):
    p = classifier.predict([piece(beat=400, low=low), swap_mode(piece(beat=1000, low=low))])
    assert p[0] > .5 and p[0] > p[1] + .05


@pytest.mark.parametrize('low', [-7, -3, 0, 4])
@pytest.mark.parametrize('load', [load_listener, load_labeller], ids=['listener', 'labeller'])
def test_the_mode_alone_is_heard(load, low):
    major = piece(beat=400, low=low)
    p = load().predict([major, swap_mode(major)])
    assert p[0] > .5 and p[0] > p[1] + .05


def test_a_fast_loud_piece_has_more_energy_than_a_slow_soft_one(classifier):
    song = piece(beat=160, repeats=6)
    a = classifier.hear([song.replace(velocity=np.minimum(song.velocity + 30, 127)), piece(beat=900)]).arousal
    assert a[0] > a[1] + .2


def test_a_batch_equals_one_by_one(classifier):
    # the third is longer than a window
    songs = [piece(), piece(True, 700), piece(repeats=30), vary(piece(), np.random.default_rng(0))]
    np.testing.assert_allclose(classifier.predict(songs), [classifier.predict(s)[0] for s in songs],
                               atol=1e-5)


def test_transposition_hardly_matters(classifier):
    song = piece(True, 600)
    assert np.ptp(classifier.predict([song, song.replace(pitch=song.pitch + 1),
                                      song.replace(pitch=song.pitch + 2)])) < .2


def test_predicting_from_a_path_says_how_to_read_it(classifier):
    with pytest.raises(ValueError, match='takes Songs, got str; read files with'):
        classifier.predict(['song.mid'])


def test_a_damaged_or_foreign_classifier_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no config.json; a labeller is a folder'):
        load_labeller(tmp_path)
    labeller = load_labeller()
    labeller.save(tmp_path)
    again = load_labeller(tmp_path)
    np.testing.assert_array_equal(again.predict([piece()]), labeller.predict([piece()]))
    assert again.fingerprint == labeller.fingerprint != load_listener().fingerprint
    with pytest.raises(ValueError, match='expected a judge, got labeller'): load_judge(tmp_path)
    (tmp_path / 'model.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='damaged labeller'): load_labeller(tmp_path)


def test_note_events_do_not_depend_on_key_or_loudness():
    song = piece()
    a, b = note_events(song), note_events(song.replace(pitch=song.pitch + 5, velocity=song.velocity - 20))
    np.testing.assert_allclose(np.delete(a, 2, 1), np.delete(b, 2, 1), atol=1e-6)


# ---- explaining

def test_parts_add_up_to_what_was_heard():
    for song in (piece(), piece(True, 700, repeats=6), first_notes(piece(), 9)):
        why, p = explain(song), hear(song).valence[0]
        assert (why.valence == pytest.approx(p, abs=1e-4)
                and why.base + why.parts.sum() == pytest.approx(math.log(p / (1 - p)), abs=1e-3))
        assert (sum(why.families.values()) == pytest.approx(why.parts.sum(), abs=1e-4)
                and set(why.table().index) == set(GROUPS))


def test_a_change_is_heard_in_the_group_that_was_changed():
    song = piece(repeats=4)
    part = lambda s: dict(zip(GROUPS, explain(s).parts))
    a = part(song)
    assert part(swap_mode(song))['mode'] < a['mode'] - .5
    low = part(song.replace(pitch=song.pitch - 12))
    assert max(GROUPS, key=lambda g: abs(low[g] - a[g])) == 'register'
    slow = part(song.replace(tempo_bpm=song.tempo_bpm / 2))
    assert slow['tempo'] < a['tempo']


def test_the_curve_follows_a_change_of_mode_and_never_breaks_off():
    song = piece(repeats=4)
    minor = swap_mode(song)
    end = song.end_tick
    both = Song(*(np.r_[getattr(song, k), getattr(minor, k) + (end if k == 'onset' else 0)]
                  for k in ('onset', 'duration', 'pitch', 'velocity')))
    why = explain(both)
    half = len(why.bar_valence) // 2
    assert (why.bar_valence[:half - 1].mean() > why.bar_valence[half + 1:].mean() + .03
            and np.isfinite(why.bar_valence).all())
    sparse = Song(np.arange(12) * 1920 * 3, [480] * 12, [60] * 12, [64] * 12)  # a note every third bar
    assert np.isfinite(explain(sparse).bar_parts).all() and len(explain(sparse, most=10).bar_valence) <= 10
    with pytest.raises(ValueError, match='a song of 3 notes says nothing'):
        explain(first_notes(song, 3))


# ---- fitting and measuring

def test_variations_repeat_with_the_seed_and_keep_the_music():
    song = piece(repeats=8)
    a, b = (vary(song, np.random.default_rng(3)) for _ in range(2))
    shift = next(k for k in range(-2, 3) if set(a.pitch - k) <= set(song.pitch))
    assert a == b and set(a.pitch - shift) <= set(song.pitch) and 8 <= len(a) <= len(song)


def toys():
    songs = [piece(m, beat, low) for m in (False, True) for beat in (350, 700) for low in (-5, 0, 5)]
    return songs, np.repeat([[1, 1], [0, 0]], 6, 0), [f'{i}' for i in range(12)]


def test_fitting_repeats_and_tells_major_from_minor():
    songs, label, song = toys()
    fit = lambda: fit_labeller(songs, label, song, kind=Listener, variants=1, trees=20, folds=3)
    p = fit().predict(songs)
    np.testing.assert_array_equal(p, fit().predict(songs))
    assert ((p > .5) == label[:, 0]).all()


def test_pre_training_and_fitting_a_judge_repeat():
    songs, label, song = toys()
    fit = lambda: fit_judge(songs, label, song, pretrain(songs, EarTraining(steps=4, width=8, layers=2,
                                                                            bf16=True)), variants=1, folds=3)
    a, b = fit(), fit()
    np.testing.assert_array_equal(a.predict(songs), b.predict(songs))
    assert a.fingerprint == b.fingerprint


def test_cross_validation_never_asks_a_fit_about_its_own_songs():
    rng = np.random.default_rng(0)
    songs, label, song = toys()
    songs, song = songs * 2, song * 2
    # labels at random, the same for both clips of a song
    label = np.repeat(rng.integers(0, 2, (12, 2))[None], 2, 0).reshape(24, 2)
    label[:2] = [[0, 0], [1, 1]]
    label[12:14] = label[:2]
    p = cross_validate([vary(s, rng) for s in songs], label, song, variants=1, trees=20, folds=4)
    for name, q in p.items():
        assert q.shape == (24, 2) and ((0 <= q) & (q <= 1)).all() and ((q > .5) == label).mean() < .95, name


def test_calibration_error_by_hand():
    assert (calibration_error([.95] * 10, [1] * 9 + [0]) == pytest.approx(.05)
            and calibration_error([.1, .9], [0, 1]) == pytest.approx(.1))


def test_clips_of_one_song_never_lie_in_two_splits(tmp_path):
    for part in ('split', 'midis'): (tmp_path / 'EMOPIA_1.0' / part).mkdir(parents=True)
    for name in ('train', 'val'):
        rows = [f'Q{q}_{name}-{s}_x_{i}' for s in range(40) for q in (1, 3) for i in range(2)]
        for row in rows: (tmp_path / 'EMOPIA_1.0' / 'midis' / f'{row}.mid').touch()
        listed = 'fname,label\n' + ''.join(f'{r},{r[:2]}\n' for r in rows)
        (tmp_path / 'EMOPIA_1.0' / 'split' / f'{name}.csv').write_text(listed)
    clips = labelled_clips(tmp_path)
    assert (len(clips) == 320 and clips.song.nunique() == 80
            and (clips.groupby('song').split.nunique() == 1).all())
    assert (set(clips.split) == {'labeller', 'judge'}
            and (clips.valence == clips.path.map(lambda p: p.name[1] == '1')).all())
    assert set(clips.split[clips.song.str.startswith('val')]) == {'labeller'}
    with pytest.raises(FileNotFoundError, match='neither EMOPIA_1.0/split nor'):
        labelled_clips(tmp_path / 'nowhere')
