import subprocess, sys
import numpy as np, pytest
from emotionwave.midi import Key, Song
from emotionwave.valence import fit_labeller, labelled_clips, load_judge, load_labeller, note_events, swap_mode, vary


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


@pytest.fixture(scope='module', params=[load_labeller, load_judge], ids=['labeller', 'judge'])
def classifier(request): return request.param()


def test_swapping_the_mode_twice_gives_the_song_back():
    song = piece()
    minor = swap_mode(song)
    assert swap_mode(minor, Key(0, 'minor', 1.)) == song and set(minor.pitch % 12) == {0, 2, 3, 5, 7, 8, 10}
    assert (minor.onset == song.onset).all() and len(minor) == len(song)


def test_shipped_weights_are_small_and_load_without_torch_for_the_labeller():
    code = ('import sys, numpy as np; from emotionwave.midi import Song; from emotionwave.valence import load_labeller;'
            'p = load_labeller().predict(Song(np.arange(16) * 240, [240] * 16, 60 + np.arange(16) % 8, [64] * 16)); assert 0 < p[0] < 1; assert "torch" not in sys.modules')
    subprocess.run([sys.executable, '-c', code], check=True)
    for c in (load_labeller(), load_judge()): assert sum(v.nbytes for v in c.weights.values()) < 2e6


def test_labeller_and_judge_were_fitted_to_other_clips():
    a, b = load_labeller().config, load_judge().config
    assert a['clips'] > 300 and b['clips'] > 300 and a['kind'] != b['kind']


def test_a_song_of_fewer_than_eight_notes_gets_nan_and_only_that(classifier):
    song = piece()
    short = Song(song.onset[:7], song.duration[:7], song.pitch[:7], song.velocity[:7])
    p = classifier.predict([Song(), short, song])
    assert p.dtype == np.float64 and np.isnan(p[:2]).all() and 0 < p[2] < 1
    assert classifier.predict([]).shape == (0,) and np.isnan(classifier.predict(short)).all()


@pytest.mark.parametrize('low', [-7, -3, 0, 4])
def test_a_lively_major_phrase_scores_above_its_parallel_minor(classifier, low):
    major = piece(beat=400, low=low)
    p = classifier.predict([major, swap_mode(major)])
    assert p[0] > .5 and p[0] > p[1] + .05


def test_a_batch_equals_one_by_one(classifier):
    songs = [piece(), piece(True, 700), piece(repeats=30), vary(piece(), np.random.default_rng(0))]     # the third is longer than a window
    np.testing.assert_allclose(classifier.predict(songs), [classifier.predict(s)[0] for s in songs], atol=1e-5)


def test_loudness_and_transposition_hardly_matter(classifier):
    song = piece(True, 600)
    p = classifier.predict([song, song.replace(velocity=song.velocity - 25), song.replace(pitch=song.pitch + 2)])
    assert np.ptp(p) < .2


def test_predicting_from_a_path_says_how_to_read_it(classifier):
    with pytest.raises(ValueError, match='takes Songs, got str; read files with'): classifier.predict(['song.mid'])


def test_a_damaged_or_foreign_classifier_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no config.json; a labeller is a folder'): load_labeller(tmp_path)
    labeller = load_labeller(); labeller.save(tmp_path)
    np.testing.assert_array_equal(load_labeller(tmp_path).predict([piece()]), labeller.predict([piece()]))
    with pytest.raises(ValueError, match='expected a judge, got labeller'): load_judge(tmp_path)
    (tmp_path / 'model.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='damaged labeller'): load_labeller(tmp_path)


def test_note_events_do_not_depend_on_key_or_loudness():
    song = piece()
    a, b = note_events(song), note_events(song.replace(pitch=song.pitch + 5, velocity=song.velocity - 20))
    np.testing.assert_allclose(np.delete(a, 2, 1), np.delete(b, 2, 1), atol=1e-6)


def test_variations_repeat_with_the_seed_and_keep_the_music():
    song = piece(repeats=8)
    a, b = (vary(song, np.random.default_rng(3)) for _ in range(2))
    assert a == b and set(a.pitch) <= set(song.pitch) and 8 <= len(a) <= len(song)


def test_fitting_a_labeller_repeats_and_tells_major_from_minor():
    songs = [piece(m, beat, low) for m in (False, True) for beat in (350, 700) for low in (-5, 0, 5)]
    fit = lambda: fit_labeller(songs, np.repeat([1, 0], 6), [f'{i}' for i in range(12)], ['EMOPIA'] * 12, variants=2, members=2, steps=40)
    p = fit().predict(songs)
    np.testing.assert_array_equal(p, fit().predict(songs))
    assert ((p > .5) == np.repeat([True, False], 6)).all()


def test_clips_of_one_song_never_lie_in_two_splits(tmp_path):
    (tmp_path / 'EMOPIA_1.0' / 'split').mkdir(parents=True)
    rows = [f'Q{q}_song-{s}_x_{i}' for s in range(40) for q in (1, 3) for i in range(2)]
    (tmp_path / 'EMOPIA_1.0' / 'split' / 'train.csv').write_text('fname,label\n' + ''.join(f'{r},{r[:2]}\n' for r in rows))
    clips = labelled_clips(tmp_path)
    assert len(clips) == 160 and clips.song.nunique() == 40 and (clips.groupby('song').split.nunique() == 1).all()
    assert set(clips.split) == {'labeller', 'judge'} and (clips.valence == clips.path.map(lambda p: p.name[1] == '1')).all()
    with pytest.raises(FileNotFoundError, match='neither EMOPIA_1.0/split nor'): labelled_clips(tmp_path / 'nowhere')
