"Formatting: whole shards whatever happens, splits by piece, honest bars, and what is dropped."
import json, os, random, shutil, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
import pytest
from emotionwave.data.corpora import File
from emotionwave.data.fragments import cut_fragments, FormatConfig, pieces, spans, split_of
from emotionwave.data.shards import as_songs, load_dataset, read_report
from emotionwave.data.format import format_corpora
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key
from emotionwave.music.tokens import TokenConfig, Tokenizer
from pieces import tune

pytestmark = pytest.mark.slow  # starts processes that import torch, or trains

ROOT = Path(__file__).parent.parent


def put(folder, *names, bars=20):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tune(sum(name.encode()), bars).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Half:
    "A labeller that hears the same in everything."
    fingerprint = 'half'
    def predict(self, songs): return np.full(len(songs), 0.5)


def format_half(*args, **kw):
    return format_corpora(*args, **{'labeller': Half(), 'workers': 1} | kw)


def content(folder): return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def corpora(tmp_path):
    "A folder of one small stand-in for each layout."
    top = tmp_path / 'corpora'
    emopia = top / 'emotions'
    put(emopia / 'midis', 'Q1_abc-d_0.mid', 'Q1_abc-d_1.mid', 'Q2_e_f_0.mid', 'Q3_ghi_4.mid', 'Q4_jkl_0.mid')
    write(emopia / 'label.csv', 'ID,4Q,annotator\nQ1_abc-d_0,1,A\nQ4_jkl_0,4,B\n')
    write(emopia / 'split' / 'train.csv', 'fname,label\nQ1_abc-d_0,Q1\nQ1_abc-d_1,Q1\nQ2_e_f_0,Q2\n')
    write(emopia / 'split' / 'val.csv', 'fname,label\nQ3_ghi_4,Q3\n')
    vg = top / 'games'
    put(vg / 'labelled' / 'midi', 'Star_N64_Star Saga_Long Road.mid', 'Star_N64_Star Saga_Old Tower.mid',
        'Star_N64_Star Saga_Two Minds.mid')
    put(vg / 'labelled' / 'phrases', 'Star_N64_Star Saga_Long Road_0.mid',
        'Star_N64_Star Saga_Long Road_1.mid', 'Star_N64_Star Saga_Old Tower_0.mid',
        'Star_N64_Star Saga_Two Minds_0.mid', 'Star_N64_Star Saga_Two Minds_1.mid', bars=5)
    put(vg / 'unlabelled' / 'midi', 'Star_Saga_2_LongRoad_by_Some_One.mid', 'Lemmings_Level1.mid')
    rows = [('Long Road_0', 1, 1), ('Long Road_1', 1, -1), ('Old Tower_0', -1, -1), ('Two Minds_0', 1, 1),
            ('Two Minds_1', -1, 1)]
    write(vg / 'vgmidi_labelled.csv', 'id,series,console,game,piece,midi,valence,arousal\n' + ''.join(
        f'1,Star,N64,Star Saga,{n[:-2]},labelled/phrases/Star_N64_Star Saga_{n}.mid,{v},{a}\n'
        for n, v, a in rows))
    put(top / 'p909' / 'POP909', '001/001.mid', '001/versions/001-v1.mid', '002/002.mid')
    put(top / 'p1k7', 'src_001/0.mid', 'src_002/420.mid')
    put(top / 'classics', 'Bach/Fugue/bwv_846/midi_score.mid', 'Bach/Fugue/bwv_846/Shi05M.mid',
        'Haydn/48-1_no_repeat/midi_score.mid', 'Haydn/48-1/midi_score.mid')
    put(top / 'contest', '2018_KotysV17.MID', '2004_BLINOV06.MID')
    put(top / 'jazz' / 'midi' / 'live', 'A/B/Oleo.midi', 'C/D/Oleo.midi')
    write(top / 'jazz' / 'pijama.csv',
          'midi,artist,album,title,split\nmidi/live/A/B/Oleo.midi,A,B,Oleo,train\nmidi/live/C/D/Oleo.midi,C,D,Oleo,validation\n')
    put(top / 'uploads', 'mine.mid', 'deep/yours.midi')
    return top


def test_two_workers_write_the_same_bytes_as_one(corpora, tmp_path):
    config = FormatConfig(hop=4, shard_files=2)
    format_half(corpora, tmp_path / 'one', config)
    format_half(corpora, tmp_path / 'two', config, workers=2)
    assert content(tmp_path / 'one') == content(tmp_path / 'two')


def test_the_order_of_folders_changes_nothing(corpora, tmp_path):
    folders = [d for d in corpora.iterdir()]
    format_half(sorted(folders), tmp_path / 'one')
    random.Random(3).shuffle(folders)
    format_half(folders, tmp_path / 'two')
    assert content(tmp_path / 'one') == content(tmp_path / 'two')


def test_a_moved_corpus_gives_the_same_bytes(corpora, tmp_path):
    format_half(corpora / 'games', tmp_path / 'one')
    shutil.copytree(corpora / 'games', tmp_path / 'elsewhere' / 'vg')
    format_half(tmp_path / 'elsewhere' / 'vg', tmp_path / 'two')
    assert content(tmp_path / 'one') == content(tmp_path / 'two')


@pytest.mark.parametrize('workers', [1, 2])
def test_interrupted_and_resumed_equals_undisturbed(corpora, tmp_path, workers):
    config = FormatConfig(shard_files=2)
    format_half(corpora, tmp_path / 'whole', config)
    def stop(done, total, stage):
        if stage == 'formatting' and done >= 6: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        format_half(corpora, tmp_path / 'cut', config, workers=workers, progress=stop)
    left = content(tmp_path / 'cut')
    assert (left and 'dataset.json' not in left and 'alike.json' in left
            and all(content(tmp_path / 'whole')[k] == v for k, v in left.items()))
    with pytest.raises(ValueError, match='did not finish'): load_dataset(tmp_path / 'cut')
    write(tmp_path / 'cut' / '.0123456789abcdef.tmp', 'left by a kill')
    seen = []
    format_half(corpora, tmp_path / 'cut', config, workers=workers,
                progress=lambda done, total, stage: seen.append((stage, done)))
    assert (seen[0][0] == 'formatting' and seen[0][1] >= 6
            and content(tmp_path / 'whole') == content(tmp_path / 'cut'))


def test_a_finished_folder_is_left_alone(corpora, tmp_path):
    format_half(corpora, tmp_path / 'out')
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / 'out').glob('*.parquet')}
    format_half(corpora, tmp_path / 'out')
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / 'out').glob('*.parquet')}


def test_other_settings_replace_every_shard(corpora, tmp_path):
    format_half(corpora, tmp_path / 'out', FormatConfig(shard_files=1))
    format_half(corpora, tmp_path / 'out', FormatConfig(bars=4, hop=4))
    format_half(corpora, tmp_path / 'fresh', FormatConfig(bars=4, hop=4))
    assert content(tmp_path / 'out') == content(tmp_path / 'fresh')


def test_a_damaged_shard_is_written_anew(corpora, tmp_path):
    format_half(corpora, tmp_path / 'out')
    whole = content(tmp_path / 'out')
    shard = tmp_path / 'out' / 'EMOPIA-0000.parquet'
    shard.write_bytes(shard.read_bytes()[:100])
    format_half(corpora, tmp_path / 'out')
    assert content(tmp_path / 'out') == whole


def test_an_unreadable_file_is_listed_and_stops_nothing(corpora, tmp_path):
    (corpora / 'uploads' / 'broken.mid').write_bytes(b'MThd and no more')
    (corpora / 'uploads' / 'hollow.mid').write_bytes(b'')
    report = format_half(corpora / 'uploads', tmp_path / 'out')
    assert (sorted(report.unreadable.file) == ['broken.mid', 'hollow.mid']
            and report.unreadable.reason.str.len().min() > 4)
    assert not report.unreadable.reason.str.contains(str(tmp_path)).any()
    assert (set(load_dataset(tmp_path / 'out').file) == {'mine.mid', 'deep/yours.midi'}
            and 'broken.mid' in str(report))


def test_no_song_is_in_two_splits(corpora, tmp_path):
    put(corpora / 'uploads', *[f'more/{i}.mid' for i in range(60)], bars=8)
    format_half(corpora, tmp_path / 'out', FormatConfig(hop=4))
    frame = load_dataset(tmp_path / 'out')
    assert (frame.groupby(['corpus', 'song']).split.nunique().max() == 1
            and frame.groupby('piece').split.nunique().max() == 1)
    assert set(frame.split) == {'train', 'valid', 'test'}


def test_official_split_is_respected(corpora, tmp_path):
    format_half(corpora / 'emotions', tmp_path / 'out')
    split = load_dataset(tmp_path / 'out').groupby('song').split.first()
    assert (split['ghi'] == 'valid' and split['abc-d'] == split['e_f'] == 'train'
            and split['jkl'] == split_of('EMOPIA', 'jkl'))


def test_labels_say_where_they_come_from(corpora, tmp_path):
    format_half(corpora, tmp_path / 'half')
    frame = load_dataset(tmp_path / 'half')
    people = frame[frame.corpus == 'EMOPIA']
    assert set(people.label_source) == {'people'} and set(people.valence) == {0, 1}
    rest = frame[frame.label_source == 'labeller']
    assert set(rest.valence) == {0.5} and {'POP909', 'ASAP', 'corpora', 'VGMIDI'} <= set(rest.corpus)
    format_half(corpora, tmp_path / 'none', labeller=None)
    frame = load_dataset(tmp_path / 'none')
    assert (frame[frame.corpus == 'POP909'].valence.isna().all()
            and frame[frame.corpus == 'POP909'].label_source.isna().all())


def test_the_shipped_labeller_gives_probabilities(corpora, tmp_path):
    format_corpora(corpora / 'p909', tmp_path / 'out', workers=1)
    assert load_dataset(tmp_path / 'out').valence.between(0, 1).all()


def test_ids_of_a_fragment_are_its_bars_of_the_whole_song(corpora, tmp_path):
    format_half(corpora / 'p909', tmp_path / 'out', FormatConfig(hop=4))
    frame, tokens = load_dataset(tmp_path / 'out'), Tokenizer(TokenConfig())
    song = read_song(corpora / 'p909' / 'POP909' / '002' / '002.mid')
    whole = tokens.encode(song, tonic=find_key(song).tonic)
    for _, row in frame[frame.song == '002'].iterrows():
        a, b = whole.start[row.first_bar], whole.start[row.first_bar + row.bars]
        assert row.ids.dtype == np.int16 and (row.ids == whole.ids[a:b]).all() and row.tokens == b - a
        assert (row.bar_start + a == whole.start[row.first_bar:row.first_bar + row.bars + 1]).all()


def test_grids_and_corpora_filter(corpora, tmp_path):
    report = format_half(corpora, tmp_path / 'scores',
                         FormatConfig(grids='score', corpora=('ASAP', 'VGMIDI', 'EMOPIA')), )
    frame = load_dataset(tmp_path / 'scores')
    assert (set(frame.corpus) == {'ASAP', 'VGMIDI'} and set(frame.grid) == {'score'}
            and report.counts.loc['ASAP', 'files'] == 3)
    for grid in ('estimated', 'performance'):
        format_half(corpora, tmp_path / 'some',
                    FormatConfig(corpora=('ASAP:score', 'EMOPIA'), grids=('score', grid)))
        frame = load_dataset(tmp_path / 'some')
        assert frame.groupby('corpus').grid.unique().map(list).to_dict() == {'ASAP': ['score'],
                                                                             'EMOPIA': [grid]}
    with pytest.raises(ValueError, match='no corpus Lakh there; found: ASAP'):
        format_half(corpora, tmp_path / 'x', FormatConfig(corpora='Lakh'))


@pytest.mark.parametrize('beats, meter', [(4, '4/4'), (3, '3/4'), (2, '2/4')])
def test_pop909_is_laid_on_its_own_beats(tmp_path, beats, meter):
    folder = tmp_path / 'POP909' / '007'
    folder.mkdir(parents=True)
    song = tune(5, 15, meter_num=[1])
    song = song.replace(onset=song.onset + 211)
    song.save(folder / '007.mid')
    write(folder / 'beat_midi.txt', ''.join(f'{song.seconds(480 * i + 211)} '
                                            f'{float(i % (beats if beats == 3 else 2) == 0)} '
                                            f'{float(i % (6 if beats == 3 else beats) == 0)}\n'
                                            for i in range(60)))
    format_half(tmp_path, tmp_path / 'out')
    frame, tokens = load_dataset(tmp_path / 'out'), Tokenizer(TokenConfig())
    assert set(frame.meter) == {meter} and (frame.bpm - 120).abs().max() < 0.01
    positions = tokens.notes(np.concatenate(list(frame.ids)))[:, 1]
    assert (positions % 6 == 0).all() and frame.notes.sum() == len(song)


def test_a_meter_said_twice_starts_no_bar(tmp_path):
    (tmp_path / 'in').mkdir()
    tune(6, 16, meter_tick=[0, 480], meter_num=[4, 4], meter_den=[4, 4]).save(tmp_path / 'in' / 'a.mid')
    format_half(tmp_path / 'in', tmp_path / 'out')
    assert load_dataset(tmp_path / 'out')[['first_bar', 'bars']].values.tolist() == [[0, 8], [8, 8]]


def test_counts_add_up(corpora, tmp_path):
    report, frame = format_half(corpora, tmp_path / 'out'), load_dataset(tmp_path / 'out')
    counts = report.counts
    assert (counts.loc['all', 'fragments'] == len(frame)
            and counts.loc['all', 'tokens'] == frame.tokens.sum() == frame.ids.map(len).sum())
    assert ((counts[['train', 'valid', 'test']].sum(axis=1) == counts.fragments).all()
            and counts.loc['all', 'songs'] == frame.groupby('corpus').song.nunique().sum())
    assert str(read_report(tmp_path / 'out')) == str(report)


@pytest.mark.parametrize('bars, bars_each, hop, expect', [
    (8, 8, 8, [(0, 8)]), (3, 8, 8, [(0, 3)]), (17, 8, 8, [(0, 8), (8, 16), (16, 17)]),
    (16, 8, 8, [(0, 8), (8, 16)]),
    (18, 8, 4, [(0, 8), (4, 12), (8, 16), (12, 18)]), (1, 8, 4, [(0, 1)]), (12, 4, 8, [(0, 4), (8, 12)])])
def test_windows_cover_the_song_once(bars, bars_each, hop, expect):
    assert [tuple(s) for s in spans(bars, FormatConfig(bars=bars_each, hop=hop, min_bars=1))
            .tolist()] == expect


def test_every_reason_to_drop_a_fragment():
    tokens, song = Tokenizer(TokenConfig()), tune(1, 8)
    def why(song, **settings): return dict(cut_fragments(song, tokens, FormatConfig(**settings))[2])
    assert why(song) == {} and why(song.replace(grid='performance')) == {'grid': 1}
    assert why(tune(1, 3)) == {'short': 1}
    keep = (song.onset < 1920 * 3) | (song.onset >= 1920 * 8 - 240)
    assert why(song.replace(**{k: getattr(song, k)[keep] for k
                               in ('onset', 'duration', 'pitch', 'velocity')}), max_empty=0.4) == {'empty': 1}
    assert why(song, min_notes=65) == {'sparse': 1}
    assert why(song, max_tokens=33) == {'crowded': 1}
    assert why(song.replace(pitch=60 + 12 * (song.pitch % 2))) == {'mechanical': 1}
    loop = tune(1, 1)
    again = lambda x, step=0: np.concatenate([x + step * k for k in range(8)])
    assert why(Song(again(loop.onset, 1920), again(loop.duration), again(loop.pitch),
                    again(loop.velocity))) == {'mechanical': 1}


def test_short_songs_down_to_four_bars_are_kept(tmp_path):
    for n in (3, 4, 7, 8): put(tmp_path / 'in', f'{n}.mid', bars=n)
    format_half(tmp_path / 'in', tmp_path / 'out')
    assert dict(zip(*(load_dataset(tmp_path / 'out')[k]
                      for k in ('file', 'bars')))) == {'4.mid': 4, '7.mid': 7, '8.mid': 8}


def test_meter_and_tempo_are_the_fragments_own(tmp_path):
    (tmp_path / 'in').mkdir()
    tune(4, 21, meter_tick=[0], meter_num=[3], meter_den=[4], tempo_tick=[0, 1440 * 8],
         tempo_bpm=[60, 120]).save(tmp_path / 'in' / 'waltz.mid')
    format_half(tmp_path / 'in', tmp_path / 'out', FormatConfig(hop=4))
    frame = load_dataset(tmp_path / 'out')
    assert set(frame.meter) == {'3/4'} and frame.bpm[:3].round(3).tolist() == [60, 80, 120]


@pytest.mark.parametrize('spoil, error, text', [
    (lambda d: shutil.rmtree(d), FileNotFoundError, 'no such folder'),
    (lambda d: [p.unlink() for p in d.iterdir()], ValueError, 'it is empty'),
    (lambda d: (d / 'dataset.json').unlink(), ValueError, 'did not finish'),
    (lambda d: (d / 'dataset.json').write_text('{"splits": []}'), ValueError, 'not one of ours'),
    (lambda d: (d / 'dataset.json').write_text('{'), ValueError, 'not one of ours'),
    (lambda d: (d / 'EMOPIA-0000.parquet').unlink(), FileNotFoundError, 'a shard is missing'),
], ids=['missing', 'empty', 'unfinished', 'foreign', 'damaged', 'shard'])
def test_load_dataset_says_what_is_wrong(corpora, tmp_path, spoil, error, text):
    format_half(corpora / 'emotions', tmp_path / 'out')
    spoil(tmp_path / 'out')
    with pytest.raises(error, match=text): load_dataset(tmp_path / 'out')


def test_another_vocabulary_is_refused(corpora, tmp_path):
    format_half(corpora / 'emotions', tmp_path / 'out')
    with pytest.raises(ValueError, match='vocabulary of'):
        load_dataset(tmp_path / 'out', tokens=Tokenizer(TokenConfig(velocities=8)))
    info = json.loads((tmp_path / 'out' / 'dataset.json').read_text())
    info['vocabulary']['fingerprint'] = '0' * 16
    (tmp_path / 'out' / 'dataset.json').write_text(json.dumps(info))
    with pytest.raises(ValueError, match='format the corpora again'): load_dataset(tmp_path / 'out')


def test_columns_and_rows_can_be_chosen(corpora, tmp_path):
    format_half(corpora, tmp_path / 'out')
    frame = load_dataset(tmp_path / 'out', columns=['ids', 'tonic'], split='train',
                         corpora=['POP909', 'EMOPIA'])
    whole = load_dataset(tmp_path / 'out')
    assert (list(frame.columns) == ['ids', 'tonic']
            and len(frame) == ((whole.split == 'train') & whole.corpus.isin(['POP909', 'EMOPIA'])).sum())


def test_a_folder_with_foreign_parquet_is_refused(corpora, tmp_path):
    write(tmp_path / 'out' / 'mine.parquet', 'x')
    with pytest.raises(ValueError, match='holds mine.parquet'):
        format_half(corpora / 'p909', tmp_path / 'out')
    with pytest.raises(ValueError, match='a file is there'):
        format_half(corpora / 'p909', tmp_path / 'out' / 'mine.parquet')
    assert (tmp_path / 'out' / 'mine.parquet').read_text() == 'x'


@pytest.mark.parametrize('settings, text',
                         [
    (dict(hop=0), 'hop must be at least 1, got 0'),
    (dict(min_bars=9), 'at most bars'),
    (dict(grids='bars'), "grids holds 'score', 'estimated', 'performance'"),
    (dict(max_empty=2), 'share from 0 to 1')])
def test_settings_are_checked(settings, text):
    with pytest.raises(ValueError, match=text): FormatConfig(**settings)


LAW = '''
import sys
sys.path.insert(0, sys.argv[1])
from emotionwave.data.fragments import FormatConfig
from emotionwave.data.format import format_corpora
if __name__ == "__main__":
    format_corpora(sys.argv[2], sys.argv[3], FormatConfig(shard_files=2), labeller=None,
                   workers=int(sys.argv[4]))
'''


def run(corpora, output, workers):
    return subprocess.Popen([sys.executable, '-c', LAW, str(Path(__file__).parent.parent), str(corpora),
                             str(output), str(workers)], stderr=subprocess.PIPE, start_new_session=True)


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='needs SIGKILL')
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(corpora, tmp_path):
    format_corpora(corpora, tmp_path / 'whole', FormatConfig(shard_files=2), labeller=None, workers=1)
    whole, rng, killed = content(tmp_path / 'whole'), random.Random(7), 0
    for k in range(6):
        job = run(corpora, tmp_path / 'cut', 1 + k % 2)
        wait = time.monotonic() + 20
        seen = len(list((tmp_path / 'cut').glob('*'))) if (tmp_path / 'cut').is_dir() else 0
        # until something new is there, and then a little longer
        while job.poll() is None and time.monotonic() < wait:
            if (tmp_path / 'cut').is_dir() and len(list((tmp_path / 'cut').glob('*'))) > seen: break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.03))
        killed += job.poll() is None
        job.kill() if k % 2 else os.killpg(job.pid, signal.SIGKILL)  # the parent alone, or its workers too
        job.communicate()
        left = {n: b for n, b in content_of_files(tmp_path / 'cut').items() if not n.startswith('.')}
        assert all(whole[n] == b for n, b in left.items())
    assert killed >= 2
    format_corpora(corpora, tmp_path / 'cut', FormatConfig(shard_files=2), labeller=None, workers=2)
    assert content(tmp_path / 'cut') == whole


def content_of_files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} if folder.is_dir() else {}


CORES = '''
import sys
from emotionwave.data.format import format_corpora
if __name__ == "__main__": format_corpora(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
'''


@pytest.mark.parametrize('workers', [1, 2])
def test_the_bytes_do_not_depend_on_the_threads_that_libraries_would_like(corpora, tmp_path, workers):
    put(corpora / 'emotions' / 'midis', *[f'Q{1 + i % 4}_more{i}_0.mid' for i in range(8)])
    for threads in (1, 2):
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
                   OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
        args = [sys.executable, '-c', CORES, str(corpora), str(tmp_path / str(threads)), str(workers)]
        subprocess.run(args, env=env, check=True, timeout=200)
    assert content(tmp_path / '1') == content(tmp_path / '2')


def test_dask_writes_the_same_bytes(corpora, tmp_path):
    distributed = pytest.importorskip('distributed',
                                      reason='dask is not installed: pip install emotionwave[dask]')
    config = FormatConfig(shard_files=2)
    format_corpora(corpora, tmp_path / 'pool', config, labeller=None, workers=1)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,
                                  dashboard_address=None) as cluster:
        steps = []
        format_corpora(corpora, tmp_path / 'dask', config, labeller=None, engine='dask',
                       scheduler=cluster.scheduler_address, progress=lambda *a: steps.append(a))
        assert content(tmp_path / 'pool') == content(tmp_path / 'dask') and steps[-1][0] == steps[-1][1]
        (tmp_path / 'dask' / 'EMOPIA-0000.parquet').unlink()
        format_corpora(corpora, tmp_path / 'dask', config, labeller=None, engine='dask',
                       scheduler=cluster.scheduler_address)
        assert content(tmp_path / 'pool') == content(tmp_path / 'dask')


@pytest.mark.parametrize('settings, error, text', [
    (dict(engine='spark'), ValueError, "engine is 'processes' or 'dask', got 'spark'"),
    (dict(scheduler='tcp://x:1'), ValueError, "pass engine='dask'"),
    (dict(workers=-1), ValueError, 'workers must be at least 1'),
    (dict(workers=0), ValueError, 'workers must be at least 1, got 0'),
    (dict(labeller='people'), ValueError, "labeller is 'default'")])
def test_a_wrong_way_to_run_is_one_clear_error(corpora, tmp_path, settings, error, text):
    with pytest.raises(error, match=text): format_half(corpora, tmp_path / 'out', **settings)
    assert not (tmp_path / 'out').exists()


def test_a_scheduler_that_is_not_there_is_one_clear_error(corpora, tmp_path, monkeypatch):
    distributed = pytest.importorskip('distributed')
    client = distributed.Client
    monkeypatch.setattr(distributed, 'Client', lambda address, timeout: client(address, timeout=0.5))
    with pytest.raises(ConnectionError, match='no dask scheduler answers at tcp://127.0.0.1:9'):
        format_half(corpora, tmp_path / 'out', engine='dask', scheduler='tcp://127.0.0.1:9')


def file(name, song, corpus='a', split=None):
    return File(Path(name), corpus, name, song, split=split)


def test_a_piece_is_on_one_side_whatever_its_corpora_are():
    files = [file('1', 'x'), file('2', 'x'), file('3', 'y', 'b'), file('4', 'z', 'b')]
    piece, split = pieces(files, [(1, 2, 0.7)])
    side = max(split_of('a', 'x'), split_of('b', 'y'), key=('train', 'valid', 'test').index)
    assert piece == ['a/x', 'a/x', 'a/x', 'b/z'] and split == [side] * 3 + [split_of('b', 'z')]


def test_a_song_that_is_held_out_stays_so_whatever_it_resembles():
    held = next(file(str(i), f's{i}') for i in range(1000) if split_of('a', f's{i}') == 'test')
    seen = next(file(str(i), f's{i}') for i in range(1000) if split_of('a', f's{i}') == 'train')
    assert (pieces([held, seen])[1] == ['test', 'train']
            and pieces([held, seen], [(0, 1, 0.9)])[1] == ['test', 'test'])


def test_an_official_split_takes_the_piece_with_it():
    files = [file('1', 'x', split='train'), file('2', 'y', 'b'), file('3', 'z', 'c', 'test'),
             file('4', 'w', 'd')]
    assert pieces(files, [(0, 1, 0.9), (1, 2, 0.9), (2, 3, 0.9)])[1] == ['train', 'test', 'test', 'test']


def test_versions_of_a_piece_in_two_corpora_are_on_one_side(tmp_path):
    for corpus, up in (('one', 0), ('two', 3)):
        for i in range(30):
            song = tune(i, 30)
            path = tmp_path / 'in' / corpus / f'{corpus} {i}.mid'
            path.parent.mkdir(parents=True, exist_ok=True)
            song.replace(pitch=song.pitch + up, tempo_bpm=[100. + 20 * up]).save(path)
    report = format_half([tmp_path / 'in' / 'one', tmp_path / 'in' / 'two'], tmp_path / 'out')
    frame = load_dataset(tmp_path / 'out')
    same = frame.assign(number=frame.song.str.split().str[1]).groupby('number')
    assert same.piece.nunique().max() == 1 and same.split.nunique().max() == 1 and frame.piece.nunique() == 30
    assert report.counts.loc['all', 'pieces'] == 30 and report.counts.loc['all', 'songs'] == 60


def test_a_performance_is_cut_on_its_own_beats(tmp_path):
    rng, n = np.random.default_rng(0), 64
    beat = 2 + np.cumsum(0.6 + 0.02 * np.sin(np.arange(n) / 7))  # s, nowhere near 120 bpm
    start = np.sort(np.concatenate([beat, beat[::2] + 0.3])) + rng.normal(0, 0.004, n + n // 2)
    bass = np.concatenate([start, beat[::4]])
    pitch = np.concatenate([60 + rng.choice([0, 2, 4, 5, 7], len(start)), np.full(len(beat[::4]), 36)])
    (tmp_path / 'in').mkdir()
    Song((bass * 960).astype(int), np.full(len(bass), 300), pitch,
         np.where(pitch < 40, 100, 70)).save(tmp_path / 'in' / 'played.mid')
    format_half(tmp_path / 'in', tmp_path / 'out')
    frame = load_dataset(tmp_path / 'out')
    assert (set(frame.grid) == {'estimated'}
            and ((frame.bpm % 100).between(90, 110) | frame.bpm.between(45, 55) | frame.bpm.between(95, 105)
                 | frame.bpm.between(190, 210)).all())


def test_fragments_as_songs_hold_the_notes_that_were_counted():
    tokens, song = Tokenizer(TokenConfig()), tune(2, 21)
    columns, *_ = cut_fragments(song, tokens, FormatConfig(hop=4))
    parts = as_songs(song, columns)
    assert [len(p) for p in parts] == columns['notes'].tolist() and all(p.onset[0] < 1920 for p in parts)


def test_meters_are_kept_and_said(tmp_path):
    (tmp_path / 'in').mkdir()
    for num, den in ((3, 4), (6, 8), (5, 4), (12, 8)):
        bar = 4 * 480 * num // den
        n = 16 * bar // 240
        Song(240 * np.arange(n), [200] * n, 60 + np.arange(n) % 7, [70] * n, meter_num=[num],
             meter_den=[den]).save(tmp_path / 'in' / f'{num}_{den}.mid')
    format_half(tmp_path / 'in', tmp_path / 'out')
    frame = load_dataset(tmp_path / 'out')
    assert ((frame.meter == frame.song.str.replace('_', '/')).all()
            and frame.groupby('song').bars.sum().eq(16).all())


def test_the_shards_open_as_they_are(corpora, tmp_path):
    import pandas as pd
    format_half(corpora, tmp_path / 'out')
    whole = pd.read_parquet(sorted((tmp_path / 'out').glob('*.parquet')))
    assert whole.tokens.sum() == load_dataset(tmp_path / 'out').tokens.sum()
    duckdb = pytest.importorskip('duckdb')
    found = duckdb.sql(f"select sum(tokens), count(distinct song) from '{tmp_path}/out/*.parquet'").fetchall()
    assert found[0] == (whole.tokens.sum(), whole.song.nunique())


def test_a_file_that_breaks_something_unforeseen_is_listed_and_stops_nothing(corpora, tmp_path, monkeypatch):
    import emotionwave.data.shards as data_shards
    keys_of = data_shards.keys_of
    def fragile(songs):
        if any(len(s) == 8 * 13 for s in songs): raise MemoryError('too much music')
        return keys_of(songs)
    put(corpora / 'uploads', 'curse.mid', bars=13)
    monkeypatch.setattr(data_shards, 'keys_of', fragile)
    report = format_half(corpora / 'uploads', tmp_path / 'out')
    assert report.unreadable.values.tolist() == [['uploads', 'curse.mid', 'too much music']]
    assert set(load_dataset(tmp_path / 'out').file) == {'mine.mid', 'deep/yours.midi'}


def test_arousal_is_heard_too_and_says_where_it_comes_from(corpora, tmp_path):
    format_corpora(corpora, tmp_path / 'out', workers=1)
    frame = load_dataset(tmp_path / 'out')
    assert frame.arousal.between(0, 1).sum() == frame.arousal_source.notna().sum() > 0.9 * len(frame)
    assert (set(frame[frame.corpus == 'EMOPIA'].arousal_source) == {'people'}
            and set(frame[frame.corpus == 'POP909'].arousal_source) == {'labeller'})


@pytest.mark.parametrize('text', ['[]', '{', '{"fingerprint": 3}', 'null'])
def test_a_damaged_record_of_what_is_alike_is_made_anew(corpora, tmp_path, text):
    format_half(corpora / 'emotions', tmp_path / 'out')
    before = content(tmp_path / 'out')
    (tmp_path / 'out' / 'alike.json').write_text(text)
    format_half(corpora / 'emotions', tmp_path / 'out')
    assert content(tmp_path / 'out') == before
