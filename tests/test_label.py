"""Labelling files and formatted corpora: every file has a row, a killed run goes on,
and the report of the folder stays right."""
import json
import numpy as np, pytest
from emotionwave.data.fragments import FormatConfig
from emotionwave.data.shards import load_dataset, read_report
from emotionwave.data.format import format_corpora
from emotionwave.hearing.labels import label_dataset, label_files
from emotionwave.hearing.classifiers import load_labeller, load_listener
from pieces import first_notes, piece

pytestmark = pytest.mark.slow  # starts processes that import torch, or trains


# ---- files

def test_files_that_cannot_be_judged_say_why(tmp_path):
    piece().save(tmp_path / 'b.mid')
    first_notes(piece(), 5).save(tmp_path / 'c.mid')
    (tmp_path / 'a.mid').write_bytes(b'no midi')
    a, b, c = label_files([tmp_path])
    assert (a['problem'] and a['valence'] is None and b['problem'] is None and 0 < b['valence'] < 1
            and b['quadrant'] in (1, 2, 3, 4) and sum(b['probabilities']) == pytest.approx(1))
    assert (c['problem'] == 'too short to judge: 5 notes, 8 are needed' and c['valence'] is None
            and 'NaN' not in json.dumps([a, b, c]))
    with pytest.raises(FileNotFoundError, match='no MIDI files'):
        (tmp_path / 'empty').mkdir()
        label_files(tmp_path / 'empty')


def command(*args):
    from emotionwave.cli import main
    return main([str(a) for a in args])


def test_the_command_prints_a_row_a_song_and_fails_for_one_without_a_label(tmp_path, capsys):
    piece().save(tmp_path / 'b.mid')
    assert command('label', tmp_path / 'b.mid') == 0
    out = capsys.readouterr().out.splitlines()
    assert (out[0].split() == ['valence', 'arousal', 'quadrant', 'key', 'file'] and 'C major' in out[1]
            and len(out) == 2)
    first_notes(piece(), 5).save(tmp_path / 'c.mid')
    assert command('label', tmp_path, '--json', '--by', 'judge') == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r['valence'] is None for r in rows] == [False, True]
    assert (command('label', tmp_path / 'nothing.mid') == 1
            and 'no such file or folder' in capsys.readouterr().err)


# ---- formatted corpora

def dataset(folder, shards=3):
    import pyarrow as pa, pyarrow.parquet as pq
    from dataclasses import asdict
    from emotionwave.music.tokens import TokenConfig, Tokenizer
    tok = Tokenizer()
    folder.mkdir()
    schema = pa.schema([('ids', pa.list_(pa.int16())), ('tonic', pa.int8()), ('bpm', pa.float32()),
                        ('corpus', pa.string()), ('valence', pa.float32()), ('label_source', pa.string()),
                        ('arousal', pa.float32()), ('arousal_source', pa.string())],
                       metadata={'emotionwave': json.dumps(dict(fingerprint='f'))})
    for k in range(shards):
        ids = [tok.encode(s, tonic=0).ids.tolist() for s in (piece(), piece(True, 900), piece(low=3))]
        row = dict(ids=ids, tonic=[0, 0, 0], bpm=[130., 60., 120.], corpus=['toys'] * 3,
                   valence=[None, .9, 0.], label_source=[None, 'labeller', 'people'],
                   arousal=[None, None, 1.], arousal_source=[None, None, 'people'])
        pq.write_table(pa.table(row, schema), folder / f'{k}.parquet')
    toys = dict(files=9, labels=dict(labeller=3, people=3))
    info = dict(tokens=asdict(TokenConfig()), config={}, corpora=dict(toys=toys),
                shards={f'{k}.parquet': 3 for k in range(shards)})
    (folder / 'dataset.json').write_text(json.dumps(info))
    return folder


def test_labelling_a_corpus_resumes_after_a_kill_and_keeps_what_people_said(tmp_path):
    import pyarrow.parquet as pq
    folder, labeller = dataset(tmp_path / 'data'), load_labeller()
    def stop(name, i, n):
        if i == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): label_dataset(folder, labeller, stop)
    done = [(folder / f'{k}.parquet').read_bytes() for k in range(2)]
    assert label_dataset(folder, labeller) == dict(shards=3, labelled=2, kept=1, skipped=2)
    assert [(folder / f'{k}.parquet').read_bytes() for k in range(2)] == done
    table = pq.read_table(folder / '2.parquet')
    rows = table.to_pylist()
    assert ([r['label_source'] for r in rows] == ['labeller', 'labeller', 'people']
            and [r['arousal_source'] for r in rows] == ['labeller', 'labeller', 'people'])
    assert rows[0]['valence'] > rows[1]['valence'] and rows[2]['valence'] == 0 and rows[2]['arousal'] == 1
    about = json.loads(table.schema.metadata[b'emotionwave'])
    assert about['fingerprint'] == 'f' and about['labelled_by'] == labeller.fingerprint
    assert label_dataset(folder, load_listener())['skipped'] == 0  # another classifier labels anew
    with pytest.raises(FileNotFoundError, match='no dataset.json'): label_dataset(tmp_path)


def test_the_command_labels_a_formatted_folder_but_not_with_the_judge(tmp_path, capsys):
    folder = dataset(tmp_path / 'data')
    assert command('label', folder, '--by', 'judge') == 1 and 'could not be judged' in capsys.readouterr().err
    assert command('label', folder) == 0 and '6 fragments labelled in 3 shards' in capsys.readouterr().out


@pytest.fixture(scope='module')
def corpora(tmp_path_factory):
    """Four clips that people labelled, and five pieces that nobody did, two of them too
    short to make a fragment."""
    top = tmp_path_factory.mktemp('corpora')
    (top / 'emotions' / 'midis').mkdir(parents=True), (top / 'mine').mkdir(), (top / 'scraps').mkdir()
    for i, name in enumerate(('Q1_a_0', 'Q1_b_0', 'Q3_c_0', 'Q4_d_0')):
        piece(name[1] == '3', 480 + 60 * i, i, 4).save(top / 'emotions' / 'midis' / f'{name}.mid')
    for i in range(3): piece(i == 1, 420 + 90 * i, -i, 3 + i).save(top / 'mine' / f'piece {i}.mid')
    for i in range(2): first_notes(piece(low=i), 9).save(top / 'scraps' / f'scrap {i}.mid')
    return top


class Formal:
    "A labeller that counts how many songs it was asked about."
    def __init__(self): self.own, self.asked = load_labeller(), 0
    fingerprint = property(lambda self: self.own.fingerprint)
    def hear(self, songs):
        self.asked += len(songs)
        return self.own.hear(songs)


def format_open(corpora, folder):
    return format_corpora(corpora, folder, FormatConfig(shard_files=2, grids=('score', 'performance')),
                          labeller=None, workers=1)


def counted(folder):
    "Labels of each corpus, counted in the rows themselves."
    data = load_dataset(folder).dropna(subset=['label_source'])
    return {corpus: rows.label_source.value_counts().to_dict() for corpus, rows in data.groupby('corpus')}


def reported(folder):
    return {corpus: facts['labels'] for corpus, facts in read_report(folder).info['corpora'].items()
            if facts['labels']}


def test_labelling_what_format_wrote_stopped_and_resumed_keeps_the_report_right(corpora, tmp_path):
    format_open(corpora, tmp_path / 'data')
    folder = tmp_path / 'data'
    before = load_dataset(folder)
    about = read_report(folder).info
    people = reported(folder)
    assert (len(about['shards']) >= 4 and before.label_source.isna().any()
            and set(before.label_source.dropna()) == {'people'} and people == counted(folder))
    def stop(name, i, n):
        if i == n // 2 + 1: raise KeyboardInterrupt
    first, second = Formal(), Formal()
    with pytest.raises(KeyboardInterrupt): label_dataset(folder, first, stop)
    # right even when it was stopped
    assert reported(folder) == counted(folder) != people and 'labelled_by' not in read_report(folder).info
    done = label_dataset(folder, second)
    after = load_dataset(folder)
    open_ = before.label_source.isna()
    assert (first.asked and second.asked and first.asked + second.asked == open_.sum()
            and done['skipped'] == len(about['shards']) // 2 + 1)
    assert ((after.label_source == np.where(open_, 'labeller', 'people')).all()
            and after.valence[open_].between(0, 1).all() and after.arousal[open_].between(0, 1).all())
    labels = ['valence', 'arousal', 'label_source', 'arousal_source']
    assert before.drop(columns=labels).equals(after.drop(columns=labels))
    assert before[~open_].equals(after[~open_])
    report = read_report(folder)
    assert reported(folder) == counted(folder) and report.info['labelled_by'] == first.fingerprint
    assert (report.counts.loc['all', 'labeller'] == open_.sum()
            and report.counts.loc['all', 'people'] == (~open_).sum())
    assert {k: v for k, v in report.info.items()
            if k not in ('corpora', 'labelled_by')} == {k: v for k, v in about.items() if k != 'corpora'}
    import pyarrow.parquet as pq
    for name in about['shards']:
        table = pq.read_table(folder / name)
        info = json.loads(table.schema.metadata[b'emotionwave'])
        own = table['label_source'].to_pylist()
        assert (info['labels'] == {k: own.count(k) for k in ('labeller', 'people') if k in own}
                and info['labelled_by'] == first.fingerprint)


def test_formatting_again_keeps_a_relabelled_folder_whole(corpora, tmp_path):
    folder = tmp_path / 'data'
    format_open(corpora, folder)
    label_dataset(folder)
    shards = {p.name: p.read_bytes() for p in folder.glob('*.parquet')}
    labels = reported(folder)
    report = format_open(corpora, folder)
    assert {p.name: p.read_bytes() for p in folder.glob('*.parquet')} == shards
    assert (reported(folder) == labels == counted(folder) and report.counts.loc['all', 'labeller']
            == sum(v.get('labeller', 0) for v in labels.values()) > 0)
    # and nothing is left to hear
    assert label_dataset(folder)['labelled'] == 0 and reported(folder) == labels


def test_a_missing_shard_is_said_before_anything_is_heard(tmp_path):
    folder = dataset(tmp_path / 'data')
    (folder / '2.parquet').unlink()
    labeller = Formal()
    with pytest.raises(FileNotFoundError,
                       match='2.parquet: a shard is missing; run "emotionwave format" again'):
        label_dataset(folder, labeller)
    assert labeller.asked == 0
