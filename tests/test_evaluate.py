import json
from pathlib import Path
import numpy as np, pandas as pd, pytest
from emotionwave.midi import Key, Song, find_key, read_song
from emotionwave.evaluate import (METRICS, OtherSong, copy_rule, evaluate_folder, excerpt, held_out_files, intervals, kept, lay_on_bars, melody_f1, midi_files,
                                  sim_chr, sim_chr_key, sim_grv, song_figures, sub_beats, summary, swap_rule)

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


RULES = dict(swap=swap_rule, copy=copy_rule)


@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_identical_songs_are_alike_in_every_view(path):
    song = read_song(path)
    assert [round(f(song, song), 9) for f in (sim_chr, sim_grv, sim_chr_key, melody_f1)] == [1, 1, 1, 1]
    assert all(kept(song, song).values())


def test_an_octave_leaves_the_chroma_and_the_groove():
    song = line(MAJOR)
    assert sim_chr(song, line([p + 12 for p in MAJOR])) == pytest.approx(1) and sim_grv(song, line([p - 24 for p in MAJOR])) == 1
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
    assert sub_beats(line([60] * 3, onset=[0, 720, 1440]), [0, 1440, 2880], 480).tolist() == [0, 8, 16]


def test_swap_of_c_major_is_c_minor():
    out = swap_rule(line(MAJOR * 2), 'negative')
    assert out.pitch.tolist() == MINOR * 2 and find_key(out)[:2] == (0, 'minor')


@pytest.mark.parametrize('tonic', range(12))
def test_swapping_a_pure_scale_twice_gives_it_back(tonic):
    song = line([p + tonic for p in MAJOR])
    key = Key(tonic, 'major', 1.)
    minor = swap_rule(song, 1, key)
    assert minor.pitch.tolist() == [p + tonic for p in MINOR]
    assert swap_rule(minor, 2, key._replace(mode='minor')) == song


def test_swap_leaves_a_piece_that_is_in_the_mode_asked_for():
    song = line(MAJOR)
    for v in (2, 'positive', .9, .5): assert swap_rule(song, v) is song
    assert copy_rule(song, 1) is song
    with pytest.raises(ValueError, match='valence is 1 or'): swap_rule(song, 3)


def test_another_song_fills_the_same_bars_and_is_never_the_song_itself():
    pool = [read_song(p).bars(0, 4) for p in PIECES[:4]]
    rule = OtherSong(pool, seed=1)
    for s in pool:
        for v in (1, 2):
            out = rule(s, v)
            assert all(kept(s, out).values()) and out != s and out == rule(s, v)
    assert lay_on_bars(pool[0], pool[0]) == pool[0]
    with pytest.raises(ValueError, match='at least 2'): OtherSong(pool[:1])


def test_excerpts_are_from_the_middle_and_short_bars_count_together():
    song = line([60 + i % 12 for i in range(80)])                                        # 20 bars
    part, first = excerpt(song, 8)
    assert first == 6 and len(part.bar_ticks()) == 9 and part.pitch.tolist() == song.pitch[24:56].tolist()
    part, first = excerpt(song.replace(meter_num=[1]), 8)                                # 80 bars of a quarter
    assert first == 6 and len(part) == 32
    part, first = excerpt(line([60] * 4), 8)
    assert first == 0 and len(part) == 4


def test_folders_are_searched_below_and_versions_beside_their_piece_left_out(tmp_path):
    for name in ('x/y/one', 'x/one_1', 'x/y/one_1', 'x/y/one_2', 'two', 'Q1_abc_1', 'Q1_abc_2'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True); line(MAJOR).save(tmp_path / f'{name}.mid')
    (tmp_path / 'x' / '.hidden.mid').write_bytes(b''); (tmp_path / 'note.txt').write_text('')
    files = midi_files(tmp_path)
    assert [f.name for f in files] == ['Q1_abc_1.mid', 'Q1_abc_2.mid', 'two.mid', 'x/one_1.mid', 'x/y/one.mid']
    assert [f.corpus for f in files] == [tmp_path.name] * 3 + ['x'] * 2


def test_wrong_folders_and_numbers_are_refused_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder'): evaluate_folder(tmp_path / 'none', tmp_path / 'r')
    with pytest.raises(ValueError, match='no .mid files'): evaluate_folder(tmp_path, tmp_path / 'r')
    (tmp_path / 'bad.mid').write_bytes(b'no music')
    with pytest.raises(ValueError, match='none of 1 files can be used; the first is bad.mid: not a MIDI file'): evaluate_folder(tmp_path, tmp_path / 'r', methods=RULES)
    with pytest.raises(ValueError, match='at least 1'): evaluate_folder(tmp_path, tmp_path / 'r', most=0)
    with pytest.raises(ValueError, match='a file'): evaluate_folder(tmp_path, tmp_path / 'bad.mid')
    assert [p.name for p in tmp_path.iterdir()] == ['bad.mid']


def test_a_folder_that_is_no_checkpoint_is_refused_before_the_work(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint'): evaluate_folder(folder, tmp_path / 'r', model=tmp_path)
    assert not (tmp_path / 'r').exists()


def test_report_files_are_written_and_agree(folder, tmp_path):
    at = []
    rows = evaluate_folder(folder, tmp_path / 'r', bars=4, methods=RULES, callback=lambda *x: at.append(x))
    assert at == [(i, 4) for i in range(5)] and sorted(p.name for p in (tmp_path / 'r').iterdir()) == ['report.csv', 'report.json']
    table, report = pd.read_csv(tmp_path / 'r' / 'report.csv'), json.loads((tmp_path / 'r' / 'report.json').read_text())
    pd.testing.assert_frame_equal(summary(table), summary(rows))
    assert len(table) == 4 * 3 * 2 and set(table.method) == set(report['methods']) == {'swap', 'copy', 'other'}
    for m, figures in report['summary'].items():
        assert {k: v[0] for k, v in figures.items()} == intervals(song_figures(table).xs(m, level='method'))['mean'].to_dict()
    assert report['songs'] == 4 and report['songs_by_corpus'] == {'a': 2, 'b': 2} and set(report['corpora']) == {'a', 'b'}
    assert report['skipped'] == rows.attrs['skipped'] and [s[0] for s in report['skipped']] == ['a/noise.mid']
    assert len(report['judge']) == len(report['labeller']) == 64 and report['judge'] != report['labeller']
    assert summary(rows, by='corpus').index.names == ['corpus', 'method']
    with pytest.raises(ValueError, match='by is'): summary(rows, by='song')


def test_two_evaluations_write_the_same_bytes(folder, tmp_path):
    for d in 'xy': evaluate_folder(folder, tmp_path / d, bars=4, methods=RULES)
    for name in ('report.csv', 'report.json'): assert (tmp_path / 'x' / name).read_bytes() == (tmp_path / 'y' / name).read_bytes()


def test_most_takes_songs_spread_evenly(folder, tmp_path):
    rows = evaluate_folder(folder, tmp_path / 'r', most=3, bars=4, methods=RULES)
    names = [f.name for f in midi_files(folder)]
    assert list(dict.fromkeys(rows.file)) == [names[0], names[1], names[3]]


def rows_of(*pairs):
    "Rows of one method from (P negative, P positive) of each song."
    rows = [dict(corpus='c', file=f'{i}', method='m', valence=v, p=p, hit=p > .5 if v == 'positive' else p < .5, p_labeller=.5, hit_labeller=False,
                 sim_chr=.5, sim_grv=.8, sim_chr_key=.5, melody_f1=.5, kept=True) for i, pair in enumerate(pairs) for v, p in zip(('negative', 'positive'), pair)]
    return pd.DataFrame(rows)


def test_figures_of_pairs_equal_those_worked_out_by_hand():
    f = song_figures(rows_of((.2, .9), (.6, .8), (.7, .4), (.3, .3)))
    assert f.hit.tolist() == [1, .5, 0, .5] and f.both.tolist() == [1, 0, 0, 0] and f.above.tolist() == [1, 1, 0, .5]
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
        assert (i.low <= i['mean'] + 1e-9).all() and (i['mean'] <= i.high + 1e-9).all() and list(i.index) == list(METRICS)
    assert np.diff(intervals(many).loc['gap', ['low', 'high']]) < np.diff(intervals(few).loc['gap', ['low', 'high']])
    pd.testing.assert_frame_equal(intervals(few), intervals(few))
    sd = few.gap.std(ddof=0) / 20 ** .5
    assert intervals(few).high['gap'] - intervals(few).low['gap'] == pytest.approx(2 * 1.96 * sd, rel=.15)


def test_held_out_files_are_of_the_split_one_for_each_song(tmp_path):
    from emotionwave.format import split_of
    for i in range(60):
        song = tmp_path / 'POP909-Dataset' / 'POP909' / f'{i:03}'
        song.mkdir(parents=True); line(MAJOR).save(song / f'{i:03}.mid')
    (tmp_path / 'EMOPIA' / 'midis').mkdir(parents=True); (tmp_path / 'EMOPIA' / 'split').mkdir()
    for name in ('Q1_aa_0', 'Q1_aa_1', 'Q3_bb_0'): line(MAJOR).save(tmp_path / 'EMOPIA' / 'midis' / f'{name}.mid')
    for side, clips in (('train', ['Q3_bb_0']), ('val', ['Q1_aa_0', 'Q1_aa_1'])): (tmp_path / 'EMOPIA' / 'split' / f'{side}.csv').write_text('\n'.join(['fname'] + clips))
    test, valid = held_out_files(tmp_path), held_out_files(tmp_path, split='valid')
    assert {f.song for f in test if f.corpus == 'POP909'} == {f'{i:03}' for i in range(60) if split_of('POP909', f'{i:03}') == 'test'}
    assert [f.song for f in test if f.corpus == 'EMOPIA'] == ['aa'] and not any(f.corpus == 'EMOPIA' for f in valid)
    assert not {f.path for f in test} & {f.path for f in valid}
    some = held_out_files(tmp_path, most=1, seed=3)
    assert len(some) == 2 and some == held_out_files(tmp_path, most=1, seed=3)
    with pytest.raises(ValueError, match='split is'): held_out_files(tmp_path, split='train')
