import json, re
from pathlib import Path
import numpy as np, pandas as pd, pytest
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.music.write import save
from emotionwave.music.keys import find_key, Key
from emotionwave.hearing.classifiers import BARLESS, load_opinion
from emotionwave.measure.figures import bar_figures, diversity, heard_moved, judge_song, same_strokes
from emotionwave.measure.evaluation import Pace, evaluate_folder, excerpt, held_out_files, midi_files
from emotionwave.measure.card import _card, shipped_control, shipped_figures
from emotionwave.measure.report import (
    above_line, control_figures, figures_of, intervals, report_html, rule_line, song_figures, summary)
from emotionwave.measure.baselines import copy_rule, full_rule, lay_on_bars, OtherSong, swap_rule
from emotionwave.music.texture import place_on_sub_beats
from emotionwave.music.similarity import kept, melody_f1, sim_chr, sim_chr_key, sim_grv

SAMPLES = Path(__file__).parent.parent / 'samples'
PIECES = sorted(p for p in SAMPLES.glob('*.mid') if not p.stem.endswith(('_1', '_2')))
MAJOR, MINOR = [60, 62, 64, 65, 67, 69, 71, 72], [60, 62, 63, 65, 67, 68, 70, 72]


def line(pitch, onset=None, **columns):
    onset = np.arange(len(pitch)) * 480 if onset is None else onset
    return Song(onset, [240] * len(pitch), pitch, [64] * len(pitch), **columns)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Four pieces in two corpora, and a file that is no music."
    top = tmp_path_factory.mktemp('songs')
    for i, p in enumerate(PIECES[:4]):
        (top / 'ab'[i % 2]).mkdir(exist_ok=True)
        (top / 'ab'[i % 2] / p.name).write_bytes(p.read_bytes())
    (top / 'a' / 'noise.mid').write_bytes(b'noise')
    return top


RULES, BRIEF = dict(swap=swap_rule, copy=copy_rule), dict(close=0, players=0)


@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_identical_songs_are_alike_in_every_view(path):
    song = read_song(path)
    assert [round(f(song, song), 9) for f in (sim_chr, sim_grv, sim_chr_key, melody_f1)] == [1, 1, 1, 1]
    assert all(kept(song, song).values())


def test_an_octave_leaves_the_chroma_and_the_groove():
    song = line(MAJOR)
    assert (sim_chr(song, line([p + 12 for p in MAJOR])) == pytest.approx(1)
            and sim_grv(song, line([p - 24 for p in MAJOR])) == 1)
    assert melody_f1(song, line([p + 12 for p in MAJOR])) == 0


def test_another_key_leaves_the_key_relative_chroma_only():
    song = line(MAJOR)
    up = line([p + 1 for p in MAJOR])
    assert sim_chr(song, up) < .6 and sim_chr_key(song, up) == pytest.approx(1)


def test_a_shifted_rhythm_lowers_the_groove_and_not_the_chroma():
    song = line(MAJOR)
    late = song.replace(onset=song.onset + 120)
    assert sim_grv(song, late) == 0 and sim_chr(song, late) == pytest.approx(1)
    half = song.replace(onset=song.onset + 120 * (np.arange(8) % 2))
    assert sim_grv(song, half) == pytest.approx(.5)


def test_timing_within_half_a_sub_beat_does_not_count():
    song = line(MAJOR)
    played = song.replace(onset=np.maximum(song.onset + [0, -50, 59, -59, -20, 3, 40, -40], 0))
    assert sim_grv(song, played) == 1 and sim_chr(song, played) == pytest.approx(1)


def test_similarities_equal_those_worked_out_by_hand():
    a = line([60, 60, 64, 67, 60, 62], onset=[0, 480, 960, 1440, 1920, 2400])            # C C E G | C D
    b = line([60, 64, 67, 60], onset=[0, 960, 1440, 1920])                               # C . E G | C
    assert sim_chr(a, b) == pytest.approx(((2 + 1 + 1) / 18 ** .5 + 1 / 2 ** .5) / 2)
    assert sim_grv(a, b) == pytest.approx((3 / 12 ** .5 + 1 / 2 ** .5) / 2)
    assert melody_f1(a, b) == pytest.approx(2 * 4 / (6 + 4))


def test_chords_count_once_for_each_note():
    a, b = line([60, 64, 67, 60], onset=[0, 0, 0, 960]), line([60, 60], onset=[0, 960])
    assert sim_grv(a, b) == pytest.approx((3 + 1) / (10 ** .5 * 2 ** .5))
    assert sim_chr(a, b) == pytest.approx(2 * 2 / (6 ** .5 * 2))


def test_bars_empty_in_both_are_left_out_and_in_one_count_nothing():
    a = line([60] * 4, onset=[0, 480, 3 * 1920, 4 * 1920])
    assert sim_chr(a, a) == sim_grv(a, a) == 1
    assert sim_chr(a, line([60] * 2, onset=[0, 480])) == pytest.approx(1 / 3)
    assert sim_chr(a, line([60], onset=[1920])) == 0


def test_notes_after_the_end_lower_every_similarity():
    a = line([60] * 4)
    longer = line([60] * 5, onset=[0, 480, 960, 1440, 20_000])
    assert sim_chr(a, longer) == sim_grv(a, longer) == .5 and not kept(a, longer)['bars']


def test_songs_without_notes_are_nothing_to_compare():
    assert np.isnan(sim_chr(Song(), Song())) and np.isnan(melody_f1(Song(), Song()))
    assert sim_chr(line([60]), Song()) == 0 == sim_grv(Song(), line([60]))


def test_bars_are_the_inputs_in_any_resolution_and_meter():
    a = line(MAJOR, meter_num=[3], tpq=480)
    b = line(MAJOR, onset=np.arange(8) * 96, tpq=96)                                     # 4/4, other ticks
    assert sim_chr(a, b) == pytest.approx(1) and sim_grv(a, b) == 1
    assert {k for k, v in kept(a, b).items() if not v} == {'resolution', 'meters'}
    assert place_on_sub_beats(line([60] * 3, onset=[0, 720, 1440]), [0, 1440, 2880],
                              480).tolist() == [0, 8, 16]


def test_swap_of_c_major_is_c_minor():
    out = swap_rule(line(MAJOR * 2), 'negative')
    assert out.pitch.tolist() == MINOR * 2 and find_key(out)[:2] == (0, 'minor')


@pytest.mark.parametrize('tonic', range(12))
def test_swapping_a_pure_scale_twice_gives_it_back(tonic):
    song = line([p + tonic for p in MAJOR])
    key = Key(tonic, 'major', 1.)
    minor = swap_rule(song, 'negative', key)
    assert minor.pitch.tolist() == [p + tonic for p in MINOR]
    assert swap_rule(minor, 'positive', key._replace(mode='minor')) == song


def test_swap_leaves_a_piece_that_is_in_the_mode_asked_for():
    song = line(MAJOR)
    for v in ('happy', 'positive', .9, .5): assert swap_rule(song, v) is song
    assert copy_rule(song, 'negative') is song
    with pytest.raises(ValueError, match='valence is "negative" or'): swap_rule(song, 3)


def test_another_song_fills_the_same_bars_and_is_never_the_song_itself():
    pool = [read_song(p).bars(0, 4) for p in PIECES[:4]]
    rule = OtherSong(pool, seed=1)
    for s in pool:
        for v in ('negative', 'positive'):
            out = rule(s, v)
            assert all(kept(s, out).values()) and out != s and out == rule(s, v)
    again = lay_on_bars(pool[0], pool[0])                                                # but for its tracks
    for k in ('onset', 'duration', 'pitch', 'velocity'):
        assert np.array_equal(getattr(again, k), getattr(pool[0], k))
    with pytest.raises(ValueError, match='at least 2'): OtherSong(pool[:1])


def test_excerpts_are_from_the_middle_and_short_bars_count_together():
    song = line([60 + i % 12 for i in range(80)])                                        # 20 bars
    part, first = excerpt(song, 8)
    assert first == 6 and len(part.bar_ticks()) == 9 and part.pitch.tolist() == song.pitch[24:56].tolist()
    part, first = excerpt(song.replace(meter_num=[1]), 8)  # 80 bars of a quarter
    assert first == 24 and len(part) == 32
    part, first = excerpt(line([60] * 4), 8)
    assert first == 0 and len(part) == 4


def test_folders_are_searched_below_and_versions_beside_their_piece_left_out(tmp_path):
    for name in ('x/y/one', 'x/one_1', 'x/y/one_1', 'x/y/one_2', 'two', 'Q1_abc_1', 'Q1_abc_2'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save(line(MAJOR), tmp_path / f'{name}.mid')
    (tmp_path / 'x' / '.hidden.mid').write_bytes(b'')
    (tmp_path / 'note.txt').write_text('')
    files = midi_files(tmp_path)
    assert [f.name for f in files] == ['Q1_abc_1.mid', 'Q1_abc_2.mid', 'two.mid', 'x/one_1.mid',
                                       'x/y/one.mid']
    assert [f.corpus for f in files] == [tmp_path.name] * 3 + ['x'] * 2


def test_wrong_folders_and_numbers_are_refused_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        evaluate_folder(tmp_path / 'none', tmp_path / 'r')
    with pytest.raises(ValueError, match='no .mid files'): evaluate_folder(tmp_path, tmp_path / 'r')
    (tmp_path / 'bad.mid').write_bytes(b'no music')
    with pytest.raises(ValueError,
                       match='none of 1 files can be used; the first is bad.mid: not a MIDI file'):
        evaluate_folder(tmp_path, tmp_path / 'r', methods=RULES, **BRIEF)
    with pytest.raises(ValueError, match='at least 1'):
        evaluate_folder(tmp_path, tmp_path / 'r', most=0)
    with pytest.raises(ValueError, match='a file'): evaluate_folder(tmp_path, tmp_path / 'bad.mid')
    assert [p.name for p in tmp_path.iterdir()] == ['bad.mid']


def test_a_folder_that_is_no_checkpoint_is_refused_before_the_work(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        evaluate_folder(folder, tmp_path / 'r', model=tmp_path)
    assert not (tmp_path / 'r').exists()


def test_report_files_are_written_and_agree(folder, tmp_path):
    at = []
    rows = evaluate_folder(folder, tmp_path / 'r', bars=4, methods=RULES, **BRIEF,
                           callback=lambda *x: at.append(x))
    assert (at == [(i, 4) for i in range(5)] and sorted(p.name for p in (tmp_path / 'r').iterdir())
            == ['report.csv', 'report.html', 'report.json'])
    table, report = (pd.read_csv(tmp_path / 'r' / 'report.csv'),
                     json.loads((tmp_path / 'r' / 'report.json').read_text()))
    pd.testing.assert_frame_equal(summary(table), summary(rows))
    assert (len(table) == 4 * 3 * 2
            and set(table.method) == set(report['methods']) == {'swap', 'copy', 'other'})
    for m, figures in report['summary'].items():
        perplexity = figures.pop('perplexity')
        assert {k: v[0] for k, v
                in figures.items()} == intervals(song_figures(table).xs(m, level='method'))['mean'].to_dict()
        assert perplexity == pytest.approx(np.exp(np.array(figures['nats']) / 5), abs=1e-3)
    assert (report['songs'] == 4 and report['songs_by_corpus'] == {'a': 2, 'b': 2}
            and set(report['corpora']) == {'a', 'b'})
    assert report['skipped'] == rows.attrs['skipped'] and [s[0] for s in report['skipped']] == ['a/noise.mid']
    assert (len({report[k] for k in ('judge', 'labeller', 'opinion', 'reader')}) == 4
            and {len(report[k]) for k in ('judge', 'labeller', 'opinion', 'reader')} == {64})
    assert not {'model', 'paper'} & set(report['line']) and report['control']['copy']['rho_rhythm'][0] > .95
    assert summary(rows, by='corpus').index.names == ['corpus', 'method']
    with pytest.raises(ValueError, match='by is'): summary(rows, by='song')


def test_two_evaluations_write_the_same_bytes_in_any_number_of_processes(folder, tmp_path):
    for d, workers in zip('xy', (1, 2)):
        evaluate_folder(folder, tmp_path / d, bars=4, methods=RULES, workers=workers, **BRIEF)
    for name in ('report.csv', 'report.json', 'report.html'):
        assert (tmp_path / 'x' / name).read_bytes() == (tmp_path / 'y' / name).read_bytes()


def test_most_takes_songs_spread_evenly(folder, tmp_path):
    rows = evaluate_folder(folder, tmp_path / 'r', most=3, bars=4, methods=RULES, **BRIEF)
    names = [f.name for f in midi_files(folder)]
    assert list(dict.fromkeys(rows.file)) == [names[0], names[1], names[3]]


def rows_of(*pairs):
    "Rows of one method from (P negative, P positive) of each song."
    rows = [dict(corpus='c', file=f'{i}', method='m', valence=v, p=p,
                 hit=p > .5 if v == 'positive' else p < .5, p_labeller=.5, hit_labeller=False,
                 sim_chr=.5, sim_grv=.8, sim_chr_key=.5, melody_f1=.5, kept=True)
            for i, pair in enumerate(pairs) for v, p in zip(('negative', 'positive'), pair)]
    return pd.DataFrame(rows)


def test_figures_of_pairs_equal_those_worked_out_by_hand():
    f = song_figures(rows_of((.2, .9), (.6, .8), (.7, .4), (.3, .3)))
    assert (f.hit.tolist() == [1, .5, 0, .5] and f.both.tolist() == [1, 0, 0, 0]
            and f.above.tolist() == [1, 1, 0, .5])
    assert f.gap.tolist() == pytest.approx([.7, .2, -.3, 0])
    row = summary(rows_of((.2, .9), (.6, .8), (.7, .4), (.3, .3))).loc['m']
    assert (row.songs, row.hit, row.both, row.above, row.gap, row.sim_grv) == (4, .5, .25, .625, .15, .8)


def test_a_version_too_short_to_be_judged_is_a_miss():
    f = song_figures(rows_of((float('nan'), .9)))
    assert f.hit.tolist() == [.5] and f.above.tolist() == [0] and f.gap.tolist() == [0]


def test_intervals_contain_the_mean_shrink_with_more_songs_and_repeat():
    rng = np.random.default_rng(0)
    few, many = (song_figures(rows_of(*rng.random((n, 2)).round(3).tolist())) for n in (20, 400))
    for f in (few, many):
        i = intervals(f)
        assert ((i.low <= i['mean'] + 1e-9).all() and (i['mean'] <= i.high + 1e-9).all()
                and list(i.index) == list(f.columns))
    assert np.diff(intervals(many)
                   .loc['gap', ['low', 'high']]) < np.diff(intervals(few).loc['gap', ['low', 'high']])
    pd.testing.assert_frame_equal(intervals(few), intervals(few))
    sd = few.gap.std(ddof=0) / 20 ** .5
    assert intervals(few).high['gap'] - intervals(few).low['gap'] == pytest.approx(2 * 1.96 * sd, rel=.15)


def test_held_out_files_are_of_the_split_one_for_each_song(tmp_path):
    from emotionwave.data.fragments import split_of
    for i in range(60):
        song = tmp_path / 'POP909-Dataset' / 'POP909' / f'{i:03}'
        song.mkdir(parents=True)
        save(line(MAJOR), song / f'{i:03}.mid')
    (tmp_path / 'EMOPIA' / 'midis').mkdir(parents=True)
    (tmp_path / 'EMOPIA' / 'split').mkdir()
    for name in ('Q1_aa_0', 'Q1_aa_1', 'Q3_bb_0'):
        save(line(MAJOR), tmp_path / 'EMOPIA' / 'midis' / f'{name}.mid')
    for side, clips in (('train', ['Q3_bb_0']), ('val', ['Q1_aa_0', 'Q1_aa_1'])):
        (tmp_path / 'EMOPIA' / 'split' / f'{side}.csv').write_text('\n'.join(['fname'] + clips))
    test, valid = held_out_files(tmp_path), held_out_files(tmp_path, split='valid')
    assert {f.song for f in test if f.corpus == 'POP909'} == {f'{i:03}' for i in range(60)
                                                              if split_of('POP909', f'{i:03}') == 'test'}
    assert ([f.song for f in test if f.corpus == 'EMOPIA'] == ['aa']
            and not any(f.corpus == 'EMOPIA' for f in valid))
    assert not {f.path for f in test} & {f.path for f in valid}
    some = held_out_files(tmp_path, most=1, seed=3)
    assert len(some) == 2 and some == held_out_files(tmp_path, most=1, seed=3)
    with pytest.raises(ValueError, match='split is'): held_out_files(tmp_path, split='train')


# ---- the fuller rule, the second opinion, the figures of a report

@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_the_fuller_rule_keeps_what_a_version_must_keep_and_is_heard(path):
    song = read_song(path).bars(0, 8)
    sad, happy = full_rule(song, 'negative'), full_rule(song, 'positive')
    assert all(kept(song, sad).values()) and all(kept(song, happy).values())
    assert sad.pitch.min() >= 21 and happy.pitch.max() <= 108 and len(sad) <= len(song) == len(happy)
    assert sad.duration.mean() > song.duration.mean() > happy.duration.mean() and sim_grv(song, sad) > .9
    p = load_opinion().predict([sad, happy])
    assert p[0] < p[1]


def test_the_fuller_rule_leaves_out_inner_notes_off_the_beat_only():
    song = line([48, 60, 72] * 2, onset=[0, 0, 0, 240, 240, 240])
    assert full_rule(song, 'negative').onset.tolist() == [0, 0, 0, 240, 240]
    assert len(full_rule(song, 'positive')) == 6


def test_the_second_opinion_is_of_attributes_alone_and_knows_minor_from_major():
    opinion = load_opinion()
    assert (opinion.config['attributes'] == list(BARLESS) and 'major' in BARLESS
            and not {'tempo', 'offbeat'} & set(BARLESS))
    major, minor = (line(pitches * 4) for pitches in (MAJOR, MINOR))
    p = opinion.predict([major, minor, line([60] * 3)])
    assert p[0] > p[1] and np.isnan(p[2])


def test_classes_of_bars_are_the_models_own():
    song = line([60] * 8, onset=np.arange(8) * 240)  # eighths, each half as long, then nothing
    rhythm, polyphony = bar_figures(song, 2)
    assert rhythm.tolist() == [.5, 0] and polyphony.tolist() == [1, 0]
    late = line([60] * 5, onset=[0, 480, 960, 1440, 1919])  # rounded into a bar that the song hasn't
    assert (len(late.bar_ticks()) == 2
            and {len(v.split()) for k, v in judge_song(late, dict(copy=copy_rule))[0][0].items()
                 if k.startswith(('rhythm', 'polyphony'))} == {1})


def test_diversity_is_nothing_for_a_rule_and_something_for_chance():
    pool = [read_song(p).bars(0, 4) for p in PIECES[:4]]
    assert diversity(swap_rule, pool[0], (pool[0], pool[0])) == [0, 0]
    rule = OtherSong(pool)
    pair = [rule(pool[0], v) for v in ('negative', 'positive')]
    assert (all(0 < d <= 1 for d in diversity(rule, pool[0], pair))
            and diversity(rule, pool[0], pair) == diversity(rule, pool[0], pair))


def test_rank_correlations_equal_those_worked_out_by_hand():
    bars = pd.DataFrame([dict(file='a', rhythm_asked='0 1 2 3', polyphony_asked='3 3 3 3',
                              rhythm='.1 .2 .3 .9', polyphony='4 3 2 1'),
                         dict(file='b', rhythm_asked='4 5', polyphony_asked='1 0', rhythm='1 2',
                              polyphony='0 -1')])
    figures = control_figures(bars)['mean']
    assert figures['rho_rhythm'] == pytest.approx(1) and figures['cross_rhythm'] == pytest.approx(-1)
    assert figures['rho_polyphony'] == pytest.approx(np.corrcoef([4.5, 4.5, 4.5, 4.5, 2, 1],
                                                                 [6, 5, 4, 3, 2, 1])[0, 1], abs=1e-4)
    low, high = control_figures(bars).loc['rho_polyphony', ['low', 'high']]
    assert low <= figures['rho_polyphony'] <= high


def test_the_line_through_the_rules_is_the_best_mix_that_is_so_alike():
    rules = [(1, .5), (.8, .9), (.5, .8)]
    assert ([rule_line(rules, x) for x in (.4, .5, .8, .9, 1)] == pytest.approx([.9, .9, .9, .7, .5])
            and np.isnan(rule_line(rules, 1.01)))
    rows = pd.concat([rows_of(*pairs).assign(method=m, sim_chr=x)
                      for m, x, pairs in (('copy', 1., [(.4, .4)] * 4), ('swap', .8, [(.4, .6)] * 4),
                                          ('model', .9, [(.4, .6)] * 4))])
    assert above_line(song_figures(rows)) == {'model': [.25, .25, .25]}


def test_what_was_measured_of_a_few_songs_only_has_its_interval_of_these():
    f = song_figures(rows_of((.2, .9), (.6, .8), (.7, .4), (.3, .3))
                     .assign(diversity=[.1] * 2 + [.3] * 2 + [np.nan] * 4))
    i = intervals(f).loc['diversity']
    assert (i['mean'] == pytest.approx(.2) and i.low >= .1 and i.high <= .3
            and intervals(f.assign(diversity=np.nan)).loc['diversity'].isna().all())


def test_names_from_files_are_escaped_in_the_page():
    evil = '<script>alert(1)</script>'
    rows = pd.concat([rows_of((.2, .9), (.6, .8)).assign(method=m, corpus=evil) for m in ('model', evil)])
    report = (json.loads(json.dumps(figures_of(rows)))
              | dict(bars=8, skipped=[[evil, evil]], methods={evil: {evil: evil}}))
    page = report_html(report, [(evil, ['<p>player</p>'])])
    assert '<script' not in page and '<p>player</p>' in page and page.count('&lt;script') >= 5


def test_the_page_plays_the_songs_and_is_of_a_sane_size(folder, tmp_path):
    evaluate_folder(folder, tmp_path / 'r', most=2, bars=4, methods=RULES, close=0, players=1)
    page = (tmp_path / 'r' / 'report.html').read_text('utf-8')
    # the input; swap, both ways
    assert page.count('<iframe') == 2 and 'negative' in page and len(page) < 1_500_000


def test_a_stopped_evaluation_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    import emotionwave.measure.evaluation as measure_evaluation
    monkeypatch.setattr(measure_evaluation, 'methods_of', lambda *args: RULES)
    def stop(done, total):
        if done == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        evaluate_folder(folder, tmp_path / 'r', bars=4, callback=stop, **BRIEF)
    assert ([p.name.startswith('.songs-') for p in (tmp_path / 'r').iterdir()] == [True]
            and len(list((tmp_path / 'r').glob('*/*.json'))) == 2)
    asked, plain = [], measure_evaluation.judge_song
    monkeypatch.setattr(measure_evaluation, 'judge_song', lambda *args: asked.append(1) or plain(*args))
    evaluate_folder(folder, tmp_path / 'r', bars=4, **BRIEF)
    assert (len(asked) == 2 and sorted(p.name for p in (tmp_path / 'r').iterdir())
            == ['report.csv', 'report.html', 'report.json'])


@pytest.mark.parametrize('what', ['a note', 'the version of the package'])
def test_what_was_measured_counts_no_more_when_a_song_or_the_package_has_changed(what, folder, tmp_path,
                                                                                 monkeypatch):
    import shutil
    import emotionwave.measure.evaluation as measure_evaluation
    songs = shutil.copytree(folder, tmp_path / 'songs')
    monkeypatch.setattr(measure_evaluation, 'methods_of', lambda *args: RULES)
    asked, plain = [], measure_evaluation.judge_song
    monkeypatch.setattr(measure_evaluation, 'judge_song', lambda *args: asked.append(1) or plain(*args))
    def stop(done, total):
        if done == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        evaluate_folder(songs, tmp_path / 'r', bars=4, callback=stop, **BRIEF)
    if what == 'a note':
        path = next(f.path for f in midi_files(songs) if 'noise' not in f.name)
        song = read_song(path)
        save(song.replace(velocity=song.velocity % 127 + 1), path)
    else: monkeypatch.setattr('emotionwave.__version__', '99')
    evaluate_folder(songs, tmp_path / 'r', bars=4, **BRIEF)
    assert len(asked) == 2 + 4 and len(list((tmp_path / 'r').iterdir())) == 3


def test_readme_and_card_have_their_figures_from_the_report():
    root = SAMPLES.parent
    folder = root / 'emotionwave' / 'models' / 'default'
    there = (folder / 'README.md').read_text('utf-8')
    assert there == _card(folder), 'run ship_report (nbs/237_measure.evaluation.ipynb)'
    section = (root / 'README.md').read_text('utf-8').split('## How well it works')[1].split('\n## ')[0]
    table = [l for l in section.splitlines() if l.startswith('    ')]
    assert [l.strip() for l in table] == [l.strip()
                                          for table in (shipped_figures(folder), shipped_control(folder))
                                          for l in table.to_string()
                                          .splitlines()], 'run nbs/index.ipynb and tests/make_readme.py'


def test_the_numbers_in_the_readmes_sentences_are_those_of_the_report_and_the_checkpoints():
    from safetensors import safe_open
    from emotionwave.measure.figures import CLASS_SHIFTS
    from emotionwave.measure.evaluation import CLOSELY
    root = SAMPLES.parent
    models = root / 'emotionwave' / 'models'
    text, report = ((root / 'README.md').read_text('utf-8'),
                    json.loads((models / 'default' / 'report.json').read_text()))
    def size(name):
        with safe_open(models / name / 'model.safetensors', 'np') as f:
            return sum(int(np.prod(f.get_slice(k).get_shape())) for k in f.keys())
    step = {m: report['methods'][m]['step'] for m in ('model', 'paper')}
    parts = {2: 'half', 4: 'quarter', 5: 'fifth', 6: 'sixth', 8: 'eighth', 10: 'tenth'}
    words = ('none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight')
    says = (f"On {report['songs']} songs of which",
            f"a {parts[report['songs'] / report['songs_by_corpus']['EMOPIA']]} of the songs, EMOPIA's",
            f'all bars of {words[CLOSELY]} of these songs', f'{words[CLASS_SHIFTS]} times a song',
            f"a {parts[round(size('default') / size('paper'))]} of the model's size after a "
            f"{parts[round(step['model'] / step['paper'])]} of its steps")
    for s in says: assert s in text.replace('\n', ' '), s


def test_the_model_at_other_strengths_and_the_originals_network_are_measured_beside(tmp_path):
    import torch
    from emotionwave.measure.methods import methods_of, ModelMethod, PaperMethod
    from emotionwave.networks.vae import EmotionVAE, ModelConfig
    from emotionwave.networks.paper import PaperConfig, PaperVAE
    from emotionwave.music.tokens import Tokenizer
    from emotionwave.learn.checkpoint import save_checkpoint
    torch.manual_seed(0)
    torch.set_num_threads(1)
    t = Tokenizer()
    sizes = ModelConfig(vocab=len(t), durations=len(t.ids('Duration')), d_model=16, heads=2, encoder_layers=1,
                        skeleton_layers=1, decoder_layers=1, latent=4)
    for name, net in dict(ours=EmotionVAE(sizes),
                          paper=PaperVAE(PaperConfig(vocab=len(t), d_model=16, heads=2, feedforward=16,
                                                     encoder_layers=1, decoder_layers=1, latent=4,
                                                     valence_size=4))).items():
        save_checkpoint(tmp_path / name, net, t, dict(step=0))
    methods = methods_of(tmp_path / 'ours', dict(candidates=1), paper=tmp_path / 'paper')
    assert list(methods) == ['model', 'model 0.5', 'model 1.5', 'paper', 'swap', 'full', 'copy']
    assert ([m.settings['strength'] for m in list(methods.values())[:3]] == [1, .5, 1.5]
            and isinstance(methods['paper'], PaperMethod))
    assert (isinstance(methods_of(tmp_path / 'paper')['model'], PaperMethod)
            and 'model 0.5' not in methods_of(tmp_path / 'paper'))
    song = read_song(PIECES[0]).bars(0, 1)
    rows, asked, made = judge_song(song, {k: methods[k] for k in ('model', 'paper')}, close=True)
    assert len(rows) == 4 and all(r['kept'] for r in rows) and all(0 <= r['diversity'] <= 1 for r in rows)
    assert ([a['how'] for a in asked] == ['random'] * 2 + ['moved'] * 6
            and set(asked[0]) == {'how', 'rhythm', 'polyphony', 'rhythm_asked', 'polyphony_asked'})
    wish = dict(rhythm=[7], polyphony=[0])
    assert methods['model'].asked(song, wish) == methods['model'].asked(song, wish)
    old = ModelConfig(vocab=len(t), durations=len(t.ids('Duration')), d_model=16, heads=2, encoder_layers=1,
                      skeleton_layers=1, decoder_layers=1, latent=4, conditions=dict(valence=2))
    save_checkpoint(tmp_path / 'old', EmotionVAE(old), t, dict(step=0))
    # it knows no such classes
    assert ModelMethod(tmp_path / 'old').asked(song, dict(rhythm=[7], polyphony=[0])) == []
    # it keeps what would be asked for
    for keep in ('rhythm', ['melody', 'rhythm']):
        assert judge_song(song, dict(model=methods['model'].at(keep=keep)), close=True)[1] == []
    with pytest.raises(ValueError, match="has no setting \\['strenght'\\]; it has only seed"):
        methods_of(tmp_path / 'paper', dict(strenght=3))
    assert methods_of(tmp_path / 'paper', dict(seed=3))['model'].seed == 3

@pytest.mark.parametrize('wrong, says', [
    (dict(strengths=(.5, 11)), 'strengths must be from 0 to 1.5, got 11'),
    (dict(strengths=(float('nan'),)), 'strengths must be'),
    (dict(strengths=(2,)), 'strengths must be'),
    (dict(strengths=(-.1,)), 'strengths must be'),
    (dict(settings=dict(candidates=99)), 'candidates must be a whole number from 1 to 64, got 99')])
def test_settings_that_make_no_sense_are_refused_before_anything_is_written(wrong, says, folder, tiny,
                                                                            tmp_path):
    with pytest.raises(ValueError, match=says):
        evaluate_folder(folder, tmp_path / 'r', model=tiny, **wrong)
    assert not (tmp_path / 'r').exists()

def test_a_checkpoint_one_stands_in_has_its_name_in_the_report(tiny, monkeypatch):
    from emotionwave.measure.methods import methods_of
    monkeypatch.chdir(tiny)
    assert methods_of('.')['model'].facts['checkpoint'] == tiny.name

def test_names_that_others_define_are_not_passed_on():
    import emotionwave.measure.evaluation as measure_evaluation
    assert not {'sub_beats', 'lay_on_bars', 'METRICS', 'song_figures', 'intervals', 'rule_line',
                'plot_report'} & set(vars(measure_evaluation))

def test_the_originals_network_is_asked_for_by_a_checkpoint_of_it(tiny):
    from emotionwave.measure.methods import methods_of
    with pytest.raises(ValueError, match="holds no checkpoint of the original's network; give one"):
        methods_of(paper=tiny)

def test_the_originals_draws_follow_the_seed(monkeypatch):
    import emotionwave.measure.methods as measure_methods
    import emotionwave.measure.original as measure_original
    song, drawn = read_song(Path(__file__).parent.parent / 'samples' / 'minuet_in_g.mid'), []
    monkeypatch.setattr(measure_methods, 'load_checkpoint', lambda folder: (None, None, {}))
    monkeypatch.setattr(measure_methods, 'checkpoint_id', lambda folder: (folder,))
    # torch's generator reads no more of it
    monkeypatch.setattr(measure_original, 'rewrite', lambda *args, seed: drawn.append(seed % 2**32))
    for seed in (0, 0, 101, 102):
        measure_methods.PaperMethod('nowhere').seeded(seed)(song, 'positive')
    assert drawn[0] == drawn[1] and len(set(drawn)) == 3


# ---- whether anything happened, and how long it takes

@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_a_piece_has_its_own_notes_and_not_those_of_another_mode_or_octave(path):
    song = read_song(path).bars(0, 8)
    assert same_strokes(song, song) and same_strokes(song, copy_rule(song, 'negative'))
    assert not same_strokes(song, song.replace(pitch=song.pitch - 12))
    away = 'negative' if find_key(song).mode == 'major' else 'positive'
    assert not same_strokes(song, swap_rule(song, away))


def test_length_and_loudness_leave_the_notes_the_same_and_a_stroke_more_or_less_doesnt():
    song = line(MAJOR)
    assert same_strokes(song, song.replace(duration=song.duration * 3, velocity=song.velocity // 2))
    assert same_strokes(song, song.replace(onset=song.onset + 5))  # within a step of the grid
    assert not same_strokes(song, song.replace(onset=song.onset + 120))
    assert not same_strokes(song, line(MAJOR[:7])) and not same_strokes(song, line([*MAJOR, 72]))
    assert not same_strokes(song, line([*MAJOR[1:], MAJOR[0]]))                          # as often, elsewhere
    assert not same_strokes(song, Song()) and same_strokes(Song(), Song())


@pytest.mark.parametrize('before, after, valence, moved', [
    (.5, .55, 'positive', True), (.5, .54, 'positive', False), (.5, .45, 'negative', True),
    (.5, .46, 'negative', False),
    (.35, .3, 'negative', True),  # .05, but for rounding
    (.95, .95, 'positive', True), (.05, .05, 'negative', True),                          # nowhere left to go
    (.95, .9, 'positive', True), (.99, .89, 'positive', False), (.02, .11, 'negative', False),
    (float('nan'), .5, 'positive', False), (.5, float('nan'), 'positive', False)])
def test_a_version_has_moved_when_it_is_heard_nearer_or_as_good_as_there(before, after, valence, moved):
    assert heard_moved(before, after, valence) is moved


def test_rows_say_how_the_input_was_heard_and_what_happened():
    song = read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 8)
    rows = pd.DataFrame(judge_song(song, dict(copy=copy_rule, swap=swap_rule))[0])
    assert set(rows.p_in) == {rows.p[0]} and rows.same.tolist() == [True, True, False, True]
    assert (rows.moved.tolist() == [heard_moved(r.p_in, r.p, r.valence) for r in rows.itertuples()]
            and rows.moved[2])


def test_a_method_that_does_nothing_is_the_same_and_moves_only_where_the_end_was_near():
    rows = rows_of((.04, .04), (.5, .5), (.93, .93)).assign(same=True)
    rows['moved'] = [heard_moved(p, p, v) for p, v in zip(rows.p, rows.valence)]
    f = song_figures(rows)
    assert (f.moved_negative.tolist() == [1, 0, 0] and f.moved_positive.tolist() == [0, 0, 1]
            and f.moved.tolist() == [.5, 0, .5])
    assert (f[['same', 'same_negative', 'same_positive']] == 1).all(axis=None)


def test_the_columns_of_what_happened_have_intervals_in_summary_report_and_page(tmp_path):
    rows = rows_of((.2, .9), (.6, .8), (.7, .4), (.3, .3)).assign(same=[True, False] * 4,
                                                                  moved=[True] * 6 + [False] * 2)
    table = summary(rows).loc['m']
    assert (table.same, table.same_negative, table.same_positive, table.moved) == (.5, 1, 0, .75)
    assert table.same_95 == '0.50-0.50' and re.fullmatch(r'0\.\d\d-1\.00', table.moved_95)
    report = json.loads(json.dumps(figures_of(rows)))
    assert report['summary']['m']['moved'][0] == .75 and len(report['summary']['m']['same_negative']) == 3
    page = report_html(report)
    for k in ('moved', 'moved_negative', 'same', 'same_positive'):
        assert f'<dt>{k}</dt>' in page and f'>{k}</th>' in page
    (tmp_path / 'report.json').write_text(json.dumps(report))
    assert shipped_figures(tmp_path).loc['m', 'same'] == '0.50 (0.50 to 0.50)'


def test_a_report_of_before_lacks_the_new_columns_and_is_read_all_the_same(tmp_path):
    (tmp_path / 'report.json').write_text(json.dumps(figures_of(rows_of((.2, .9), (.6, .8)))))
    assert not {'same', 'moved', 'songs'} & set(shipped_figures(tmp_path))


class Counted:
    "A rule that counts the songs it is given, and leaves something to chance."
    def __init__(self): self.songs = []
    def __call__(self, song, valence):
        self.songs.append(len(song))
        return swap_rule(song, valence)
    def seeded(self, seed): return self


def test_other_strengths_are_measured_on_so_many_songs_and_the_report_says_so(folder, tmp_path):
    methods = RULES | {'model': Counted(), 'model 0.5': Counted()}
    rows = evaluate_folder(folder, tmp_path / 'r', bars=4, methods=methods, strength_songs=2, close=0,
                           players=4)
    assert rows.groupby('method').file.nunique().to_dict() == {'copy': 4, 'swap': 4, 'other': 4, 'model': 4,
                                                               'model 0.5': 2}
    report = json.loads((tmp_path / 'r' / 'report.json').read_text())
    assert report['songs_by_method']['model 0.5'] == 2 and set(report['line']) <= {'model', 'model 0.5'}
    page = (tmp_path / 'r' / 'report.html').read_text('utf-8')
    assert 'Measured on fewer songs, spread evenly: model 0.5 on 2.' in page
    assert shipped_figures(tmp_path / 'r').songs.to_dict()['model 0.5'] == 2


def test_the_distance_from_the_line_is_that_of_the_songs_that_a_method_was_measured_on():
    both = [(.4, .6)] * 4 + [(.6, .4)] * 4
    made = {'copy': (1., [(.4, .4)] * 8), 'swap': (.8, both), 'model': (.9, both),
            'model 0.5': (.9, both[:4])}
    rows = pd.concat([rows_of(*pairs).assign(method=m, sim_chr=x) for m, (x, pairs) in made.items()])
    line = above_line(song_figures(rows))
    assert (line['model 0.5'] == [.25, .25, .25]
            and line['model'][0] == above_line(song_figures(rows[rows.method != 'model 0.5']))['model'][0])


def test_the_time_is_told_once_before_the_first_song(folder, tmp_path):
    told = []
    evaluate_folder(folder, tmp_path / 'r', bars=4, methods=RULES, **BRIEF, estimate=told.append,
                    callback=lambda *at: told.append(at))
    assert told[0] > 0 and told[1:] == [(i, 4) for i in range(5)]


def test_the_time_that_is_told_grows_with_notes_strengths_and_close_looks(monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr('emotionwave.measure.evaluation.time.perf_counter', lambda: next(seconds))
    song, methods = (read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 8),
                     dict(model=Counted(), copy=copy_rule) | {'model 0.5': Counted()})
    pace = Pace(song, methods)
    # it has measured a few bars, at the usual strength
    assert max(methods['model'].songs) < len(song) and not methods['model 0.5'].songs
    usual = dict(model=methods['model'], copy=copy_rule)
    short, long = song.bars(0, 4), song
    of_short, of_long, of_more, of_all = (pace.seconds(*of) for of in (
        (short, usual, False), (long, usual, False), (long, methods, False), (long, methods, True)))
    assert of_short < of_long < of_more < of_all
    assert of_long / len(long) == pytest.approx(of_short / len(short))


def test_songs_that_are_done_already_are_not_counted_in_the_time(folder, tmp_path, monkeypatch):
    import emotionwave.measure.evaluation as measure_evaluation
    monkeypatch.setattr(measure_evaluation, 'methods_of', lambda *args: RULES)
    class Even:
        def __init__(self, song, methods): pass
        def seconds(self, song, methods, close): return 10.
    monkeypatch.setattr(measure_evaluation, 'Pace', Even)
    told = []
    def stop(done, total):
        if done == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        evaluate_folder(folder, tmp_path / 'r', bars=4, callback=stop, estimate=told.append, **BRIEF)
    evaluate_folder(folder, tmp_path / 'r', bars=4, estimate=told.append, workers=2, **BRIEF)
    assert told == [40, 10]  # two are left, and two processes
