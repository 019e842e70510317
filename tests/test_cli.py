"The `emotionwave` command, as a process where the process matters, and every bad input."
import json, os, re, select, shlex, shutil, signal, struct, subprocess, sys, time
from pathlib import Path
import numpy as np
import pytest
from emotionwave.cli import build_parser, main
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
sys.path.insert(0, str(Path(__file__).parent))
from forks import SHARED
from test_midi import events, meter, midi, off, on, TWO, END

pytestmark = pytest.mark.slow  # starts processes that import torch, or trains

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / 'samples'
ENV = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')

def run(*args, cwd): return SHARED.run('-m', 'emotionwave.cli', *args, cwd=cwd)

def names(folder): return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob('*'))

@pytest.fixture
def here(tmp_path, monkeypatch):
    "An empty folder to stand in."
    monkeypatch.chdir(tmp_path)
    return tmp_path

@pytest.fixture
def command(here, tiny, capsys):
    "Call the command in this process with the tiny checkpoint; gives exit status, lines of stdout, lines of stderr."
    def call(*args, model=tiny):
        capsys.readouterr()
        status = main([*map(str, args), *(['--model', str(model)] if args[0] in ('transfer', 'evaluate') else [])])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()
    return call


# ---- the main job

def same_frame(new, old):
    "What a new version keeps of the input."
    assert (new.tpq, new.name) == (old.tpq, old.name)
    for k in ('tempo_tick', 'tempo_bpm', 'meter_tick', 'meter_num', 'meter_den'): assert np.array_equal(getattr(new, k), getattr(old, k)), k
    assert np.array_equal(new.bar_ticks(), old.bar_ticks())
    assert len(new) and (new.pitch >= 0).all()

def test_first_command_of_the_readme_writes_a_sadder_minuet(tmp_path):
    block = re.findall(r'^```bash\n(.*?)^```', (ROOT / 'README.md').read_text('utf-8'), re.M | re.S)[0]
    said = shlex.split(block.strip())
    args = said[said.index('.venv/bin/emotionwave') + 1:]
    done = run(*[a.replace('samples/', f'{SAMPLES}/') for a in args], cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert names(tmp_path) == ['sad.mid']
    new, old = read_song(tmp_path / 'sad.mid'), read_song(SAMPLES / 'minuet_in_g.mid')
    same_frame(new, old)
    assert set(new.pitch % 12) - set(old.pitch % 12)                           # it has really been changed

def test_same_seed_gives_the_same_bytes_in_another_process(command, here, tiny):
    done = run('transfer', SAMPLES / 'ode_to_joy.mid', '--valence', 'negative', '--bars', '0:4', '--output', 'a.mid', '--seed', 5, '--model', tiny, cwd=here)
    assert (done.returncode, done.stderr) == (0, '')
    for name, seed in (('b.mid', 5), ('c.mid', 6)):
        assert command('transfer', SAMPLES / 'ode_to_joy.mid', '--valence-class', '1', '--bars', '0:4', '--output', name, '--seed', seed)[0] == 0
    a, b, c = ((here / n).read_bytes() for n in ('a.mid', 'b.mid', 'c.mid'))
    assert a == b and a != c

@pytest.mark.parametrize('path', sorted(SAMPLES.glob('*.mid')), ids=lambda p: p.stem)
def test_bar_k_of_the_output_is_bar_k_of_the_input(path, command, here):
    assert command('transfer', path, '--valence', '0.3', '--bars', '2:7', '--output', 'x.mid') [0] == 0
    same_frame(read_song('x.mid'), read_song(path).bars(2, 7))

def test_output_says_where_and_what_became_of_the_piece(command, here):
    status, out, err = command('transfer', SAMPLES / 'minuet_in_g.mid', '--valence', 'positive', '--bars', '0:2')
    assert (status, err) == (0, []) and len(out) == 1
    assert re.fullmatch(r'minuet_in_g_2\.mid: Minuet in G towards valence 1: .+ · heard 0\.\d\d → \d\.\d\d · alike: harmony \d\.\d\d, rhythm \d\.\d\d, strokes \d\.\d\d, register \d\.\d\d · seed 0', out[0])
    assert names(here) == ['minuet_in_g_2.mid']

def test_what_became_of_the_piece_is_json_too_and_label_hears_the_same(command, here):
    ask = 'transfer', SAMPLES / 'minuet_in_g.mid', '--valence', 'both', '--bars', '0:4', '--output', 'out'
    status, plain, err = command(*ask)
    assert (status, err, len(plain)) == (0, [], 2)
    shutil.rmtree('out')
    status, out, err = command(*ask, '--json')
    rows = [json.loads(line) for line in out]
    heard = {Path(row['file']).name: row['valence'] for row in map(json.loads, command('label', 'out', '--json')[1])}
    assert (status, err) == (0, []) and [Path(row['file']).name for row in rows] == ['minuet_in_g_1.mid', 'minuet_in_g_2.mid']
    for row, line, asked in zip(rows, plain, (0, 1)):
        assert row['asked'] == asked and row['bars'] == [0, 4] and row['sentence'] in line
        assert all(told['words'] in row['sentence'] for told in row['account'])
        assert abs(heard[Path(row['file']).name] - row['heard'][1]) < 1e-5
        assert {'sim_chr', 'sim_grv', 'strokes', 'register'} <= {k for k, v in row.items() if 0 <= (v if isinstance(v, float) else -1) <= 1}

def test_json_of_a_folder_stands_alone_on_its_stream(command, here):
    (here / 'in').mkdir()
    for k in (1, 2): Song([0, 960], [480, 480], [60, 64], [70, 70], name=f'few {k}').save(here / f'in/{k}.mid')
    status, out, err = command('transfer', 'in', '--output', 'out', '--json')
    assert status == 0 and [json.loads(line)['name'] for line in out] == ['few 1', 'few 2'] and err == ['2 of 2 pieces written to out']
    assert json.loads(out[0])['heard'] == [None, None]     # too few notes; NaN is no JSON

def test_the_classes_of_the_original_have_an_option_of_their_own(command, here):
    for k, word in (('1', 'sad'), ('2', 'happy')):
        for name, how in (('a.mid', ('--valence-class', k)), ('b.mid', ('--valence', word))):
            assert command('transfer', SONG, '--bars', '0:2', *how, '--output', name)[0] == 0
        assert (here / 'a.mid').read_bytes() == (here / 'b.mid').read_bytes()
    status, _, err = command('transfer', SONG, '--valence-class', '1', '--valence', 'sad', '--output', 'c.mid')
    assert status == 1 and err == ['emotionwave: --valence and --valence-class say the same; give one of them']

def test_both_valences_of_a_file_are_written_beside_a_copy(command, here):
    assert command('transfer', SAMPLES / 'theme_in_a.mid', '--valence', 'both', '--bars', '0:2', '--output', 'new/versions')[0] == 0
    assert names(here / 'new/versions') == ['theme_in_a.mid', 'theme_in_a_1.mid', 'theme_in_a_2.mid']
    assert (here / 'new/versions/theme_in_a.mid').read_bytes() == (SAMPLES / 'theme_in_a.mid').read_bytes()

def test_both_valences_without_an_output_are_written_here_and_nothing_is_written_over(command, here):
    (here / 'theme_in_a.mid').write_text('mine')
    assert command('transfer', SAMPLES / 'theme_in_a.mid', '--valence', 'both', '--bars', '0:2')[0] == 0
    assert names(here) == ['theme_in_a.mid', 'theme_in_a_1.mid', 'theme_in_a_2.mid'] and (here / 'theme_in_a.mid').read_text() == 'mine'

def test_a_folder_gives_a_copy_and_both_versions_of_each_piece_and_lists_what_was_skipped(command, here):
    (here / 'in/deeper').mkdir(parents=True)
    for name in ('arabesque', 'gymnopedie'): shutil.copy(SAMPLES / f'{name}.mid', here / 'in')
    shutil.copy(SAMPLES / 'arabesque.mid', here / 'in/arabesque_2.mid')        # would be written over
    (here / 'in/broken.mid').write_bytes((SAMPLES / 'arabesque.mid').read_bytes()[:700])
    (here / 'in/notes.txt').write_text('hello')
    status, out, err = command('transfer', 'in', '--valence', 'both', '--bars', '0:2', '--output', 'out')
    assert status == 1 and out[-1] == '2 of 4 pieces written to out'
    assert [line.split(':')[0] for line in out[:-1]] == [f'out/{n}_{v}.mid' for n in ('arabesque', 'gymnopedie') for v in (1, 2)]
    assert err[0] == 'skipped:' and len(err) == 3
    assert re.fullmatch(r'  arabesque_2.mid: would be written over what is written of arabesque.mid; rename one of them', err[1])
    assert re.fullmatch(r'  broken.mid: truncated: .*', err[2])
    assert names(here / 'out') == sorted(f'{n}{v}.mid' for n in ('arabesque', 'gymnopedie') for v in ('', '_1', '_2'))
    for n in ('arabesque', 'gymnopedie'):
        assert (here / f'out/{n}.mid').read_bytes() == (SAMPLES / f'{n}.mid').read_bytes()
        for v in ('_1', '_2'): same_frame(read_song(here / f'out/{n}{v}.mid'), read_song(SAMPLES / f'{n}.mid').bars(0, 2))
    assert command('transfer', SAMPLES / 'arabesque.mid', '--valence', 'negative', '--bars', '0:2', '--output', 'alone.mid')[0] == 0
    assert (here / 'alone.mid').read_bytes() == (here / 'out/arabesque_1.mid').read_bytes()

def test_a_folder_can_be_transferred_into_itself_twice(command, here):
    shutil.copy(SAMPLES / 'prelude_in_a.mid', here)
    for _ in range(2):
        status, out, err = command('transfer', '.', '--valence', 'both', '--bars', '0:2', '--output', '.')
        assert (status, len(out), out[-1], err) == (0, 3, '1 of 1 pieces written to .', [])
    assert names(here) == ['prelude_in_a.mid', 'prelude_in_a_1.mid', 'prelude_in_a_2.mid']

def test_a_version_that_was_asked_for_by_name_is_written_over(command, here):
    (here / 'x.MID').write_text('old')
    assert command('transfer', SONG, '--bars', '0:1', '--output', 'x.MID')[0] == 0
    assert len(read_song(here / 'x.MID'))

@pytest.mark.parametrize('args', [['--keep', 'melody', 'left', 'song.mid'], ['--keep', 'melody,left', 'song.mid'], ['song.mid', '--keep', 'melody', 'left'], ['song.mid', '--keep', 'melody, left', '--seed', '1']], ids=' '.join)
def test_an_input_may_follow_the_parts_that_are_kept(args):
    from emotionwave.cli.arguments import PARTS
    from emotionwave.generate.keep import KEEPS
    said = build_parser().parse_args(['transfer', *args])
    assert (said.keep, str(said.input)) == (['melody', 'left'], 'song.mid') and PARTS == KEEPS

def test_an_input_may_follow_the_rules_that_are_left_out():
    from emotionwave.cli.arguments import RULES
    from emotionwave.generate.moves import EVERY_SWITCH
    said = build_parser().parse_args(['transfer', '--without', 'touch', 'mediants', 'song.mid'])
    assert (said.without, str(said.input)) == (['touch', 'mediants'], 'song.mid') and RULES == tuple(EVERY_SWITCH)

@pytest.mark.parametrize('args, strengths', [(['--strengths', '.5', '1.5', 'songs/'], [.5, 1.5]), (['--strengths', '.5', 'songs/'], [.5]), (['songs/', '--strengths', '.5,1.5'], [.5, 1.5]),
                                             (['songs/', '--strengths'], []), (['songs/', '--strengths', '--most', '3'], []), (['songs/'], [.5, 1.5])], ids=str)
def test_a_folder_may_follow_the_strengths(args, strengths):
    said = build_parser().parse_args(['evaluate', '--output', 'report', *args])
    assert (list(said.strengths), str(said.songs)) == (strengths, 'songs')

def test_bars_in_which_a_piece_is_silent_are_said_to_have_no_notes(command, here):
    Song([0, 7 * 1920], [480, 480], [60, 64], [70, 70], name='Gap').save(here / 'gap.mid')
    assert command('transfer', 'gap.mid', '--bars', '2:4') == (0, ['gap_2.mid: Gap has no notes in bars 2:4, so there was nothing to change'], [])
    assert names(here) == ['gap.mid', 'gap_2.mid']

def test_a_folder_of_which_nothing_can_be_used_leaves_no_output(command, here):
    (here / 'in').mkdir()
    (here / 'in/noise.mid').write_text('noise')
    status, out, err = command('transfer', 'in', '--output', 'new/out')
    assert (status, out, len(err)) == (1, ['0 of 1 pieces written to new/out'], 2) and names(here) == ['in', 'in/noise.mid']

def test_the_knobs_change_the_notes(command, here):
    notes = []
    for more in ([], ['--strength', '1.5'], ['--likeness', '0'], ['--temperature', '0.3']):
        assert command('transfer', SAMPLES / 'night_train.mid', '--valence', 'positive', '--bars', '0:3', '--output', 'x.mid', *more)[0] == 0
        notes.append((here / 'x.mid').read_bytes())
    assert len(set(notes)) == 4


# ---- bad input

def sparse(path):
    with open(path, 'wb') as f: f.write(midi(TWO)); f.truncate(51_000_000)

def changed(tiny, folder, change=None, weights=None):
    "A copy of the checkpoint with another config or other weights."
    shutil.copytree(tiny, folder)
    config = json.loads((folder / 'config.json').read_text())
    if change: change(config)
    (folder / 'config.json').write_text(json.dumps(config))
    if weights is not None: (folder / 'model.safetensors').write_bytes(weights)

SONG = SAMPLES / 'minuet_in_g.mid'
BAD = {                                                                         # name -> what makes the file "bad", arguments, what the line says
    'not a MIDI': (lambda p: p.write_text('hello, this is a letter'), ['bad'], 'bad: not a MIDI file'),
    'truncated': (lambda p: p.write_bytes(SONG.read_bytes()[:-40]), ['bad'], 'bad: truncated'),
    'empty': (lambda p: p.write_bytes(b''), ['bad'], 'bad: empty file'),
    'no notes': (lambda p: p.write_bytes(midi(events(END))), ['bad'], 'bad: no notes'),
    'only drums': (lambda p: p.write_bytes(midi(events((0, on(36, channel=9)), (480, off(36, channel=9)), END))), ['bad'], 'bad: only drums'),
    'empty directory': (lambda p: p.mkdir(), ['bad'], 'bad: no .mid files'),
    'missing': (None, ['bad'], 'bad: no such file'),
    'over 20 MB': (sparse, ['bad'], 'bad: 51.0 MB; files up to 20 MB'),
    'a million bars': (lambda p: p.write_bytes(midi(events((0, meter(1, 2)), (0, on(60)), (1, off(60)), (120_000_000, on(60)), (1, off(60)), END), tpq=120)), ['bad'], 'the limit is 20,000'),
    'valence 3': (None, [SONG, '--valence', '3'], "or a number from 0.0 (sad) to 1.0 (happy), got '3'"),
    'a bare 1': (None, [SONG, '--valence', '1'], '"negative" and "positive" (--valence-class on the command line)'),
    'a bare 2': (None, [SONG, '--valence', '2'], '"negative" and "positive" (--valence-class on the command line)'),
    'valence in words': (None, [SONG, '--valence', 'gloomy'], 'valence is "negative" or "sad"'),
    'valence not a number': (None, [SONG, '--valence', 'nan'], 'valence is "negative" or "sad"'),
    'bars that go on beyond the end': (None, [SONG, '--bars', '30:33'], 'bars 30:33 of a song of 32 bars'),
    'strength beyond its end': (None, [SONG, '--strength', '1.6'], 'strength must be from 0.0 to 1.5, got 1.6'),
    'bars beyond the end': (None, [SONG, '--bars', '90:98'], 'bars 90:98 of a song of 32 bars'),
    'bars backwards': (None, [SONG, '--bars', '4:2'], 'bars 4:2 of a song of 32 bars'),
    'bars in words': (None, [SONG, '--bars', 'all'], "--bars takes A:B, two whole numbers, got 'all'"),
    'strength': (None, [SONG, '--strength', '-1'], 'strength must be from 0'),
    'likeness': (None, [SONG, '--likeness', '1.5'], 'likeness must be from 0.0 to 1.0, got 1.5'),
    'temperature': (None, [SONG, '--temperature', 'nan'], 'temperature must be from 0'),
    'candidates': (None, [SONG, '--candidates', '0'], 'candidates must be a whole number from 1'),
    'seed below 0': (None, [SONG, '--seed', '-1'], 'seed must be'),
    'seed too large': (None, [SONG, '--seed', str(2**70)], 'seed must be'),
    'output in a missing folder': (None, [SONG, '--output', 'no/where/x.mid'], 'no/where: no such folder; make it first'),
    'output is the input': (lambda p: shutil.copyfile(SONG, p.with_suffix('.mid')), ['bad.mid', '--output', 'bad.mid'], 'bad.mid: is the input, which would be lost; give --output another name'),
    'output a folder that is not there': (None, [SONG, '--output', 'versions/'], 'versions: a version is a MIDI file; give --output a name that ends in .mid'),
    'output a sound': (None, [SONG, '--output', 'song.wav'], 'song.wav: a version is a MIDI file; give --output a name that ends in .mid'),
    'default name taken': (lambda p: (p.parent / 'minuet_in_g_2.mid').write_text('mine'), [SONG], 'minuet_in_g_2.mid: exists already; say with --output where to write'),
    'one of both default names taken': (lambda p: (p.parent / 'minuet_in_g_1.mid').write_text('mine'), [SONG, '--valence', 'both'], 'minuet_in_g_1.mid: exists already; say with --output where to write'),
    'top-p': (None, [SONG, '--top-p', '0'], 'top_p must be above 0'),
    'output below a file': (lambda p: p.write_text('x'), [SONG, '--output', 'bad/x.mid'], 'bad: not a folder'),
    'output a directory': (lambda p: p.mkdir(), [SONG, '--output', 'bad'], 'bad: a directory; give --output a file name'),
    'both into a file': (None, [SONG, '--valence', 'both', '--output', 'x.mid'], 'must be a folder, got x.mid'),
    'folder into a file': (lambda p: shutil.copytree(SAMPLES, p), ['bad', '--valence', 'both', '--output', 'x.mid'], 'must then be a folder, got x.mid'),
    'folder below a file': (lambda p: p.write_text('x'), [SAMPLES, '--valence', 'both', '--output', 'bad/x'], 'not a folder'),
}

@pytest.mark.parametrize('name', BAD)
def test_bad_input_gets_one_line_and_leaves_nothing(name, command, here):
    make, args, says = BAD[name]
    if make: make(here / 'bad')
    before = names(here)
    status, out, err = command('transfer', *args)
    assert (status, out) == (1, []) and len(err) == 1 and err[0].startswith('emotionwave: ') and says in err[0], err
    assert names(here) == before

MODELS = {                                                                      # name -> what makes the checkpoint "model", what the line says
    'missing': (lambda tiny, p: None, 'model: no checkpoint'),
    'a file': (lambda tiny, p: p.write_text('x'), 'model: no checkpoint'),
    'an empty folder': (lambda tiny, p: p.mkdir(), 'model: no checkpoint'),
    'no config': (lambda tiny, p: (shutil.copytree(tiny, p), (p / 'config.json').unlink()), 'model: no checkpoint'),
    'config not JSON': (lambda tiny, p: (shutil.copytree(tiny, p), (p / 'config.json').write_text('{')), 'model: config.json is not'),
    'config of another kind': (lambda tiny, p: (shutil.copytree(tiny, p), (p / 'config.json').write_text('[1]')), 'model: config.json is not'),
    'of another format': (lambda tiny, p: changed(tiny, p, lambda c: c.update(format=99)), 'checkpoint format 99 is not known'),
    'another vocabulary': (lambda tiny, p: changed(tiny, p, lambda c: c['tokens'].update(velocities=16)), 'made with vocabulary'),
    'another fingerprint': (lambda tiny, p: changed(tiny, p, lambda c: c.update(fingerprint='0' * 16)), 'made with vocabulary 0000000000000000'),
    'other sizes': (lambda tiny, p: changed(tiny, p, lambda c: c['model'].update(latent=9)), 'model: model.safetensors does not fit'),
    'weights cut short': (lambda tiny, p: changed(tiny, p, weights=(tiny / 'model.safetensors').read_bytes()[:900]), 'model: model.safetensors does not fit'),
    'weights of another kind': (lambda tiny, p: changed(tiny, p, weights=b'PK\3\4' + bytes(90)), 'model: model.safetensors does not fit'),
    '.': (lambda tiny, p: None, '.: no checkpoint'),
    '..': (lambda tiny, p: None, '..: no checkpoint'),
    '/': (lambda tiny, p: None, '/: no checkpoint'),
}

@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('source', [SONG, SAMPLES], ids=['file', 'folder'])
def test_a_checkpoint_that_does_not_fit_gets_one_line_and_leaves_nothing(name, source, command, here, tiny):
    make, says = MODELS[name]
    make(tiny, here / 'model')
    before = names(here)
    status, out, err = command('transfer', source, '--valence', 'both', '--output', 'out', model=name if set(name) <= set('./') else 'model')
    assert (status, out) == (1, []) and len(err) == 1 and err[0].startswith('emotionwave: ') and says in err[0], err
    assert names(here) == before

@pytest.mark.parametrize('inside, model', [('.', '.'), ('deeper', '..')])
def test_a_checkpoint_may_be_the_folder_one_stands_in_or_that_above(inside, model, command, here, tiny, monkeypatch):
    shutil.copytree(tiny, here / 'model')
    (here / 'model' / inside).mkdir(exist_ok=True)
    monkeypatch.chdir(here / 'model' / inside)
    status, _, err = command('transfer', SONG, '--bars', '0:1', '--output', here / 'x.mid', model=model)
    assert status == 0, err

@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='root may write anywhere')
def test_a_folder_that_may_not_be_written_is_named_before_the_work(command, here):
    (here / 'locked').mkdir(mode=0o555)
    for args in (['--output', 'locked/x.mid'], ['--valence', 'both', '--output', 'locked']):
        status, out, err = command('transfer', SONG, *args)
        assert (status, out) == (1, []) and err == ['emotionwave: locked: not writable; choose another place for --output']

def test_a_full_disk_gets_one_line_and_leaves_nothing(command, here, monkeypatch):
    calls = []
    def full(fd):
        calls.append(fd)
        if len(calls) > 1: raise OSError(28, 'No space left on device')        # the second version does not fit
    monkeypatch.setattr(os, 'fsync', full)
    status, out, err = command('transfer', SONG, '--bars', '0:2', '--valence', 'both', '--output', '.')
    assert (status, out) == (1, []) and err == ['emotionwave: minuet_in_g_2.mid: No space left on device']
    assert names(here) == []
    calls.clear()
    assert command('transfer', SONG, '--bars', '0:2', '--valence', 'both', '--output', 'new/folder')[0] == 1 and names(here) == []

def test_a_bad_file_as_a_process_prints_one_line_and_no_traceback(tmp_path, tiny):
    (tmp_path / 'bad.mid').write_text('hello')
    done = run('transfer', 'bad.mid', '--valence', 'positive', '--output', 'x.mid', '--model', tiny, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, '') and done.stderr == 'emotionwave: bad.mid: not a MIDI file (it does not begin with MThd)\n'
    assert names(tmp_path) == ['bad.mid']

def test_wrong_usage_exits_2_with_the_usage(capsys):
    for args in ([], ['transfer'], ['dance', 'x.mid'], ['transfer', 'x.mid', '--tempo', '3'], ['transfer', 'x.mid', '--strength', 'much'], ['format', 'x'], ['train', 'data']):
        with pytest.raises(SystemExit) as stop: main(args)
        assert stop.value.code == 2 and capsys.readouterr().err.startswith('usage: emotionwave')

@pytest.mark.parametrize('name', ['transfer', 'listen', 'format', 'train', 'evaluate'])
def test_help_of_each_command_has_examples_that_parse(name, capsys):
    with pytest.raises(SystemExit) as stop: main([name, '--help'])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and said.startswith(f'usage: emotionwave {name}')
    examples = re.findall(r'^  emotionwave (.*?)(?: {2,}#.*)?$', said.split('examples:')[1], re.M)
    assert examples
    for e in examples: assert build_parser().parse_args(shlex.split(e))

def test_help_lists_the_commands_and_version_prints_one_line(capsys):
    for args, said in ((['--help'], 'transfer'), (['--version'], 'emotionwave ')):
        with pytest.raises(SystemExit) as stop: main(args)
        assert stop.value.code == 0 and said in capsys.readouterr().out

def test_ctrl_c_in_a_long_transfer_leaves_nothing_and_says_so(tmp_path, tiny):
    onset = np.arange(4000) * 480
    Song(onset, np.full(4000, 480), 60 + onset // 480 % 12, np.full(4000, 70)).save(tmp_path / 'long.mid')
    pty, fcntl, termios = (pytest.importorskip(m) for m in ('pty', 'fcntl', 'termios'))
    master, slave = pty.openpty()                                              # a terminal, so that there is a progress bar to wait for
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 25, 100, 0, 0))
    work = subprocess.Popen([sys.executable, '-m', 'emotionwave.cli', 'transfer', 'long.mid', '--valence', 'both', '--output', 'out', '--model', str(tiny)],
                            cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=slave,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))    # a shell may have told what it runs to ignore it
    os.close(slave)
    seen, until = b'', time.monotonic() + 200
    def more(): 
        nonlocal seen
        if not select.select([master], [], [], .5)[0]: return True
        try: part = os.read(master, 65536)
        except OSError: return False                                           # the other end is closed
        seen += part
        return bool(part)
    while b'/1000' not in seen and work.poll() is None and time.monotonic() < until: more()
    assert b'/1000' in seen, seen[-500:]                                       # the bar counts bars
    work.send_signal(signal.SIGINT)
    while more() and time.monotonic() < until: pass
    assert work.wait(60) == 130 and work.stdout.read() == b''
    assert b'Traceback' not in seen and seen.replace(b'\r', b'\n').strip().split(b'\n')[-1].strip() == b'emotionwave: stopped; nothing half-written was left'
    assert names(tmp_path) == ['long.mid']
    os.close(master), work.stdout.close()


def test_ctrl_c_in_an_evaluation_says_that_it_can_go_on(command, here, monkeypatch):
    def stopped(*args, **settings): raise KeyboardInterrupt
    monkeypatch.setattr('emotionwave.measure.evaluation.evaluate_folder', stopped)
    assert command('evaluate', 'songs', '--output', 'report') == (130, [], ['emotionwave: stopped; songs that are done are kept, and the same command goes on from there'])

def test_an_evaluation_says_how_long_it_takes_and_what_is_left_where_there_is_no_terminal(command, here, monkeypatch):
    import pandas as pd
    def measured(*args, callback, estimate, workers, strength_songs, **settings):
        assert 1 <= workers <= 4 and strength_songs == 20
        if estimate: estimate(400.)
        for done in range(21): callback(done, 20)
        p = dict(p=.5, hit=True, sim_chr=1., sim_grv=1., moved=True, same=True)
        return pd.DataFrame([dict(corpus='c', file='f', method='model', valence=v, **p) for v in ('negative', 'positive')])
    monkeypatch.setattr('emotionwave.measure.evaluation.evaluate_folder', lambda *args, **settings: (lambda r: (r.attrs.update(skipped=[]), r)[1])(measured(*args, **settings)))
    status, out, err = command('evaluate', 'songs', '--output', 'report')
    assert status == 0 and err[0] == 'measuring takes about 7 minutes' and err[1:] == [f'{k} of 20 songs, under a minute left' for k in range(2, 20, 2)]
    assert all(f' {c} ' in f'{out[0]} ' for c in ('moved', 'moved_95', 'moved_negative', 'same', 'same_95', 'same_positive'))
    assert command('evaluate', 'songs', '--output', 'report', '--quiet')[2] == []

# ---- the other commands, one after the other: format, train, transfer, listen, evaluate

def tune(seed, bars=16):
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 10])
    n = bars * 4
    return Song(np.arange(n) * 480, np.full(n, 480), 60 + scale[rng.integers(0, 7, n)], rng.integers(50, 90, n), name=f'tune {seed}')

def test_format_train_transfer_listen_and_evaluate_work_one_after_the_other(command, here, monkeypatch):
    import torch
    monkeypatch.setattr(torch, 'set_num_threads', lambda n: None)              # stay at one thread, which a busy machine can't slow down much
    small = ['--set', 'd_model=32', 'heads=2', 'encoder_layers=1', 'decoder_layers=2', 'latent=8', 'batch_tokens=1500', 'threads=1']   # the default network takes a minute a step here
    (here / 'midi').mkdir()
    for i in range(24): tune(i).save(here / f'midi/{i:02}.mid')
    status, out, err = command('format', 'midi', '--output', 'data', '--workers', 1)
    assert status == 0 and (here / 'data/dataset.json').is_file() and any('24' in line for line in out), (out, err)
    status, out, err = command('train', 'data', '--output', 'run', '--steps', 2, '--samples', 0, *small)
    assert status == 0 and out == ['best checkpoint: run/best'], err
    status, out, err = command('train', 'data', '--output', 'run', '--steps', 2)
    assert status == 1 and err == ['emotionwave: run: holds something already; give another folder, or resume the run in it']
    assert command('transfer', SONG, '--valence', 'negative', '--bars', '0:2', '--output', 'sad.mid', model='run/best')[0] == 0
    status, out, err = command('listen', 'sad.mid', '--output', 'sad.wav', '--roll', 'sad.png')
    assert status == 0 and (here / 'sad.wav').read_bytes()[:4] == b'RIFF' and (here / 'sad.png').read_bytes()[1:4] == b'PNG', err
    status, out, err = command('evaluate', 'midi', '--output', 'report', '--most', 2, '--bars', 4, model='run/best')
    assert status == 0 and names(here / 'report') == ['report.csv', 'report.html', 'report.json'], err

@pytest.mark.parametrize('args,says', [
    (['listen', 'no.mid'], 'no.mid: no such file'),
    (['listen', SONG, '--output', 'no/x.wav'], 'no such folder'),
    (['format', 'no', '--output', 'data'], 'no such folder'),
    (['train', 'no', '--output', 'run'], 'no such folder'),
    (['evaluate', 'no', '--output', 'report'], 'no such folder'),
    (['evaluate', SAMPLES, '--output', 'report', '--strengths', '11'], 'strengths must be from 0 to 1.5, got 11')], ids=lambda x: x[0] if isinstance(x, list) else '')
def test_the_other_commands_say_what_was_wrong_in_one_line(args, says, command, here):
    status, out, err = command(*args)
    assert (status, out) == (1, []) and len(err) == 1 and says in err[0], err
    assert names(here) == []


def test_a_reader_that_goes_early_gets_no_complaint():
    import os, subprocess, sys
    done = subprocess.Popen([sys.executable, '-m', 'emotionwave.cli', 'download'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=os.getcwd()))
    done.stdout.close()
    assert done.wait(30) == 0 and done.stderr.read() == ''

def test_a_word_too_many_is_answered_with_the_usage_of_its_own_command(here, capsys):
    with pytest.raises(SystemExit) as e: main(['transfer', 'x.mid', 'sad'])
    said = capsys.readouterr().err
    assert e.value.code == 2 and said.startswith('usage: emotionwave transfer') and said.endswith('unrecognized arguments: sad\n')

def test_a_terminal_that_knows_no_arrows_gets_question_marks(here):
    done = subprocess.run([sys.executable, '-m', 'emotionwave.cli', 'transfer', str(SAMPLES / 'minuet_in_g.mid'), '--bars', '0:2', '--valence', 'sad'], capture_output=True, timeout=300, env=dict(ENV, PYTHONIOENCODING='cp1252'))
    assert done.returncode == 0 and b' ? ' in done.stdout and b'G major to G minor' in done.stdout, done.stderr

def test_listen_never_writes_over_its_input(command, here):
    before = shutil.copy(SAMPLES / 'minuet_in_g.mid', 'a.mid') and (here / 'a.mid').read_bytes()
    for option in ('--output', '--roll'):
        status, _, err = command('listen', 'a.mid', option, 'a.mid')
        assert status == 1 and 'would be lost' in err[0] and (here / 'a.mid').read_bytes() == before


# ---- what is there stays

def test_a_copy_of_the_input_is_not_written_over_another_piece(tmp_path, tiny, capsys):
    (tmp_path / 'out').mkdir(); (tmp_path / 'in').mkdir()
    for name in ('minuet_in_g', 'theme_in_a'): (tmp_path / 'in' / f'{name}.mid').write_bytes((SAMPLES / f'{name}.mid').read_bytes())
    other = tmp_path / 'out' / 'minuet_in_g.mid'; other.write_bytes((SAMPLES / 'greensleeves.mid').read_bytes()); before = other.read_bytes()
    brief = ['--bars', '0:2', '--candidates', '1', '--model', str(tiny), '--quiet', '--output', str(tmp_path / 'out')]
    assert main(['transfer', str(tmp_path / 'in' / 'minuet_in_g.mid'), '--valence', 'both', *brief]) == 1
    assert 'is another piece, which would be lost' in capsys.readouterr().err and [p.name for p in (tmp_path / 'out').iterdir()] == [other.name]
    assert main(['transfer', str(tmp_path / 'in'), '--valence', 'both', *brief]) == 1
    assert 'skipped' in capsys.readouterr().err and other.read_bytes() == before and (tmp_path / 'out' / 'theme_in_a_1.mid').exists()
    assert main(['transfer', str(tmp_path / 'in' / 'theme_in_a.mid'), '--valence', 'both', *brief]) == 0   # its own copy is there already

def test_a_folder_may_be_written_into_itself_again(tmp_path, tiny, capsys):
    shutil.copy(SAMPLES / 'minuet_in_g.mid', tmp_path / 'a.midi')
    for _ in range(2):
        assert main(['transfer', str(tmp_path), '--valence', 'both', '--bars', '0:2', '--candidates', '1', '--model', str(tiny), '--quiet', '--output', str(tmp_path)]) == 0
        assert sorted(p.name for p in tmp_path.iterdir()) == ['a.midi', 'a_1.mid', 'a_2.mid']

def test_parts_may_be_named_in_any_way():
    for words in (['--keep', 'melody', 'left', 'x.mid'], ['--keep', 'melody', '--keep', 'left', 'x.mid'], ['--keep=melody', 'left', 'x.mid'], ['x.mid', '--keep', 'melody,left']):
        args = build_parser().parse_args(['transfer', *words])
        assert args.keep == ['melody', 'left'] and str(args.input) == 'x.mid'

def test_a_value_may_begin_with_a_minus(capsys):
    for words, says in ((['--bars', '-4:-2'], 'bars -4:-2 of a song of 32 bars'), (['--valence', '-1,1'], 'a course of valences has')):
        assert main(['transfer', str(SAMPLES / 'minuet_in_g.mid'), *words, '--output', 'x.mid']) == 1 and says in capsys.readouterr().err

def test_listen_without_a_name_replaces_no_sound(command, here):
    shutil.copy(SAMPLES / 'minuet_in_g.mid', 'a.mid'); (here / 'a.wav').write_bytes(b'mine')
    assert command('listen', 'a.mid')[0] == 1 and (here / 'a.wav').read_bytes() == b'mine'

def test_listen_writes_what_a_name_says(tmp_path, capsys):
    song = str(SAMPLES / 'minuet_in_g.mid')
    for words, says in ((['--roll', 'q.txt'], 'give --roll a name that ends in .png'), (['--output', 'q.mid'], 'give --output a name that ends in .wav or .mp3')):
        assert main(['listen', song, *words[:1], str(tmp_path / words[1])]) == 1 and says in capsys.readouterr().err
    assert main(['listen', song, '--output', str(tmp_path / 'x.mp3')]) == 0 and (tmp_path / 'x.mp3').read_bytes()[:2] != b'RI'
    assert [p.name for p in tmp_path.iterdir()] == ['x.mp3']
