"""Beats of performances: what is found, and what must not change."""
import subprocess, sys
import numpy as np, pytest
import emotionwave.files.models as files_models
import emotionwave.hearing.beats as hearing_beats
import emotionwave.recipes.beats as recipes_beats
from emotionwave.music.song import bar_ticks, Song
from emotionwave.music.convert import find_grid

def _performance(t, pitch, velocity=64, length=.3, **kw):
    "Notes at seconds, in a file that says 120 bpm and 4/4."
    t = np.asarray(t, float)
    n = len(t)
    return Song(np.round(t * 960).astype(int),
                np.maximum(np.round(np.broadcast_to(length, n) * 960).astype(int), 1), pitch,
                np.broadcast_to(velocity, n), grid='performance', **kw)

def _pattern(bass, chord, beats_per_bar, bars, time_of, seed=0):
    "A left hand of bass and chords and a right hand of eighths, each beat at time_of(beat)."
    rng, t, p, v, d = np.random.default_rng(seed), [], [], [], []
    put = lambda when, pitch, vel, length: (t.append(when), p.append(pitch), v.append(vel), d.append(length))
    for b in range(bars):
        shift, step = (0, 5, 7, 0)[b % 4], b * beats_per_bar
        put(time_of(step), bass + shift, 84, time_of(step + 1) - time_of(step))
        for k in range(beats_per_bar):
            here, half = time_of(step + k), time_of(step + k + .5)
            if k: [put(here, c + shift, 60, .8 * (half - here)) for c in chord]
            put(here, 76 + shift + int(rng.integers(-4, 5)), 80 if k == 0 else 70, half - here)
            if rng.random() < .6:
                put(half, 74 + shift + int(rng.integers(-4, 5)), 62, .9 * (half - here))
    t = np.array(t) + rng.normal(0, .006, len(t))
    return _performance(t - t.min() + .5, p, v, d), .5 - t.min()

def _near(true, found): return (np.abs(found[:, None] - np.asarray(true)).min(0) < .07).mean()

def test_steady_song_at_100_bpm_is_found_within_five_percent():
    song, _ = _pattern(43, (59, 62, 67), 4, 24, lambda b: .6 * b)
    beats = hearing_beats.find_beats(song)
    assert 60 / np.median(np.diff(beats.beat_s)) == pytest.approx(100, rel=.05)
    assert np.bincount(np.diff(np.flatnonzero(beats.downbeat))).argmax() == 4

def test_waltz_has_three_beats_a_bar():
    song, off = _pattern(43, (59, 62, 67), 3, 32, lambda b: .42 * b)
    beats = hearing_beats.find_beats(song)
    assert np.bincount(np.diff(np.flatnonzero(beats.downbeat))).argmax() == 3
    assert _near(np.arange(0, 90, 3) * .42 + off, beats.beat_s[beats.downbeat]) > .8
    assert hearing_beats.barred(song).meter_num[0] == 3

def test_rubato_is_followed():
    tempo = lambda b: .55 * b + .7 * np.sin(b / 7)                            # from .45 to .65 s a beat
    song, off = _pattern(43, (59, 62, 67), 4, 24, tempo)
    beats = hearing_beats.find_beats(song)
    assert _near([tempo(b) + off for b in range(92)], beats.beat_s) > .85

def test_beats_go_on_in_silence():
    song, off = _pattern(43, (59, 62, 67), 4, 24, lambda b: .5 * b)
    t = song.seconds(song.onset)
    quiet = (t > 20.2) & (t < 24.2)             # two bars of rest
    song = song.replace(**{k: getattr(song, k)[~quiet] for k in ('onset', 'duration', 'pitch', 'velocity')})
    beats = hearing_beats.find_beats(song)
    inside = beats.beat_s[(beats.beat_s > 19) & (beats.beat_s < 25.5)]
    assert np.diff(inside).max() < .8

@pytest.fixture(scope='module')
def mixed():
    return [_pattern(36 + 3 * k, (55, 60, 64), 3 + k % 2, 8 + 5 * k, lambda b, k=k: (.4 + .05 * k) * b, k)[0]
            for k in range(6)]

def test_beats_of_a_song_do_not_depend_on_the_batch(mixed):
    together = hearing_beats.find_beats(mixed)
    for order in ([3], [5, 3], [3, 0, 1], list(range(5, -1, -1))):
        for i, b in zip(order, hearing_beats.find_beats([mixed[i] for i in order])):
            np.testing.assert_array_equal(b.beat_s, together[i].beat_s)
            np.testing.assert_array_equal(b.downbeat, together[i].downbeat)

def test_beats_are_the_same_twice_and_rise(mixed):
    for a, b in zip(hearing_beats.find_beats(mixed), hearing_beats.find_beats(mixed)):
        np.testing.assert_array_equal(a.beat_s, b.beat_s)
        assert (np.diff(a.beat_s) > 0).all() and len(a.downbeat) == len(a.beat_s)

def test_tempo_map_and_meter_of_the_file_are_not_looked_at(mixed):
    song = mixed[2]
    # the same seconds
    other = Song(song.onset, song.duration, song.pitch, song.velocity, 960, meter_num=[7], meter_den=[8],
                 tempo_bpm=[60], grid='performance')
    a, b = hearing_beats.find_beats([song, other])
    np.testing.assert_allclose(a.beat_s, b.beat_s, atol=1e-6)
    np.testing.assert_array_equal(a.downbeat, b.downbeat)

def test_bars_keep_every_note_at_its_second(mixed):
    for song, laid in zip(mixed, hearing_beats.barred(mixed)):
        assert laid.grid == 'estimated' and len(laid) == len(song)
        by = lambda s: np.lexsort((s.seconds(s.onset), s.pitch))              # equal onsets may change places
        a, b = by(song), by(laid)
        assert np.ptp(laid.seconds(laid.onset)[b] - song.seconds(song.onset)[a]) < .005
        assert np.array_equal(laid.pitch[b], song.pitch[a]) and laid.name == song.name
        first = laid.bar_ticks()[1]
        assert laid.onset[0] < first                                          # no empty bar before the music

def test_pedal_moves_with_the_notes(mixed):
    song = mixed[1].replace(pedal_tick=mixed[1].onset[:40:4], pedal_value=[127, 0] * 5)
    laid = hearing_beats.barred(song)
    shift = laid.seconds(laid.onset)[0] - song.seconds(song.onset)[0]
    np.testing.assert_allclose(laid.seconds(laid.pedal_tick) - song.seconds(song.pedal_tick), shift,
                               atol=.005)

def test_scores_and_estimated_songs_are_returned_as_they_are(mixed):
    score, done = mixed[0].replace(grid='score'), hearing_beats.barred(mixed[0])
    assert hearing_beats.barred(score) is score and hearing_beats.barred(done) is done
    out = hearing_beats.barred([score, mixed[1], done])
    assert out[0] is score and out[2] is done and out[1].grid == 'estimated'

CHORD = _performance([1.] * 20, np.arange(40, 60))
ODD = {'no note': Song(grid='performance'), 'one note': _performance([0], [60]),
       'three notes': _performance([0, .5, 1], [60, 62, 64]), 'one chord': CHORD,
       'days long': _performance(np.append(np.arange(40) * .5, 2.5e5), [60] * 41),
       'a note days long': _performance(np.arange(40) * .5, [60] * 40,
                                        length=np.append(np.full(39, .2), 2.5e5)),
       'trill': _performance(np.arange(2000) * .01, [60, 62] * 1000, length=.01),
       'one key for ever': _performance(np.arange(300) * .73, [60] * 300),
       'two chords far apart': _performance([0.] * 10 + [600.] * 10, list(range(40, 50)) * 2),
       'late start': _performance(np.arange(60) * .5 + 4000, [60] * 60)}

@pytest.mark.parametrize('name', ODD)
def test_odd_songs_get_bars_or_keep_their_grid(name):
    song = ODD[name]
    laid = hearing_beats.barred(song)
    beats = hearing_beats.find_beats(song)
    assert (np.diff(beats.beat_s) > 0).all() and np.isfinite(beats.beat_s).all()
    assert laid is song or (laid.grid == 'estimated' and len(laid) == len(song))
    bar_ticks(laid) if name != 'days long' else None
    assert (laid is song or name not
            in ('no note', 'one note', 'three notes', 'one chord', 'days long', 'a note days long'))

def test_odd_songs_do_not_disturb_others(mixed):
    alone = hearing_beats.find_beats(mixed[0])
    among = hearing_beats.find_beats([*ODD.values(), mixed[0]])[-1]
    np.testing.assert_array_equal(alone.beat_s, among.beat_s)

def test_bars_change_meter_only_at_bar_lines():
    odds = np.concatenate([np.where(np.arange(16) % 4 == 0, 3., -3),
                           np.where(np.arange(18) % 3 == 0, 3., -3)])
    down = hearing_beats.track_bars([odds])[0]
    assert np.flatnonzero(down).tolist() == [*range(0, 16, 4), *range(16, 34, 3)]

def test_splits_are_stable():
    names = ('001', '002', '003')
    once, again = ([recipes_beats.beats_split_of('POP909', name) for name in names] for _ in range(2))
    assert once == again
    sides = [recipes_beats.beats_split_of('Pop1K7', f'src_001/{i}') for i in range(1000)]
    assert {s: round(sides.count(s) / 100) for s in set(sides)} == {'train': 8, 'valid': 1, 'test': 1}

def test_training_lowers_the_loss_and_is_the_same_twice(mixed):
    pytest.importorskip('torch')
    def study(k, song):
        beat = np.arange(0, song.seconds(song.end_tick), .4 + .05 * k) + .5
        return recipes_beats.marked(song, beat, np.arange(len(beat)) % (3 + k % 2) == 0, 'made', str(k), True)
    songs, losses = [study(k, s) for k, s in enumerate(mixed)], []
    settings = recipes_beats.BeatTraining(steps=50, batch=2, length_s=10, bf16=True)
    fit = lambda: recipes_beats.fit_beats(songs, {'made': 1.}, settings,
                                          callback=lambda row: losses.append(row['loss']))
    a, b = fit(), fit()
    assert losses[:50] == losses[50:] and np.mean(losses[40:50]) < .8 * np.mean(losses[:5])
    for k in a: np.testing.assert_array_equal(a[k], b[k])

def test_shipped_weights_fit_the_network_and_name_their_data():
    weights, config = hearing_beats.load_beats()
    assert ((files_models.MODELS / 'beats' / 'model.safetensors').stat().st_size < 1.5e6
            and all(v.dtype == np.float32 and np.isfinite(v).all() for v in weights.values()))
    assert 'POP909' in config['data'] and 'hash' in config['splits']
    assert 'F' in (files_models.MODELS / 'beats' / 'README.md').read_text()

def test_finding_beats_needs_no_torch():
    code = ('import sys, emotionwave.hearing.beats as b; b.load_beats(); assert not {"torch", "sklearn", '
            '"pandas"} & set(sys.modules)')
    assert subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 0

def test_loose_notes_are_a_performance_and_shifted_ones_at_a_tempo_a_score(mixed):
    assert find_grid(mixed[3].replace(grid='score')) == 'performance'
    steady = np.arange(64) * 120 + 20  # sixteenths, a bit beside the grid
    song = Song(steady, [100] * 64, [60, 64, 67, 72] * 16, [64] * 64, tempo_bpm=[97])
    assert find_grid(song) == 'score' and find_grid(song.replace(tempo_bpm=[120])) == 'performance'
