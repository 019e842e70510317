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
SONG = SAMPLES / 'minuet_in_g.mid'
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
    """Call the command in this process with the tiny checkpoint; gives exit status, lines of stdout, lines of
    stderr."""
    def call(*args, model=tiny):
        capsys.readouterr()
        with_model = ['--model', str(model)] if args[0] in ('transfer', 'evaluate') else []
        status = main([*map(str, args), *with_model])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()
    return call


# ---- the main job

def same_frame(new, old):
    "What a new version keeps of the input."
    assert (new.tpq, new.name) == (old.tpq, old.name)
    for k in ('tempo_tick', 'tempo_bpm', 'meter_tick', 'meter_num', 'meter_den'):
        assert np.array_equal(getattr(new, k), getattr(old, k)), k
    assert np.array_equal(new.bar_ticks(), old.bar_ticks())
    assert len(new) and (new.pitch >= 0).all()

def test_first_command_of_the_readme_writes_a_sadder_minuet(tmp_path):
    readme = (ROOT / 'README.md').read_text('utf-8')
    block = re.findall(r'^```bash\n(.*?)^```', readme, re.M | re.S)[0]
    said = shlex.split(block.strip())
    args = said[said.index('.venv/bin/emotionwave') + 1:]
    done = run(*[a.replace('samples/', f'{SAMPLES}/') for a in args], cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert names(tmp_path) == ['sad.mid']
    new, old = read_song(tmp_path / 'sad.mid'), read_song(SONG)
    same_frame(new, old)
    assert set(new.pitch % 12) - set(old.pitch % 12)                           # it has really been changed

def test_same_seed_gives_the_same_bytes_in_another_process(command, here, tiny):
    ask = 'transfer', SAMPLES / 'ode_to_joy.mid', '--bars', '0:4'
    done = run(*ask, '--valence', 'negative', '--output', 'a.mid', '--seed', 5, '--model', tiny, cwd=here)
    assert (done.returncode, done.stderr) == (0, '')
    for name, seed in (('b.mid', 5), ('c.mid', 6)):
        assert command(*ask, '--valence-class', '1', '--output', name, '--seed', seed)[0] == 0
    a, b, c = ((here / n).read_bytes() for n in ('a.mid', 'b.mid', 'c.mid'))
    assert a == b and a != c

@pytest.mark.parametrize('path', sorted(SAMPLES.glob('*.mid')), ids=lambda p: p.stem)
def test_bar_k_of_the_output_is_bar_k_of_the_input(path, command, here):
    assert command('transfer', path, '--valence', '0.3', '--bars', '2:7', '--output', 'x.mid')[0] == 0
    same_frame(read_song('x.mid'), read_song(path).bars(2, 7))

def test_output_says_where_and_what_became_of_the_piece(command, here):
    status, out, err = command('transfer', SONG, '--valence', 'positive', '--bars', '0:2')
    assert (status, err) == (0, []) and len(out) == 1
    assert re.fullmatch(r'minuet_in_g_2\.mid: Minuet in G towards valence 1: .+ · heard 0\.\d\d → \d\.\d\d · '
                        r'alike: harmony \d\.\d\d, rhythm \d\.\d\d, strokes \d\.\d\d, register \d\.\d\d · '
                        r'seed 0', out[0])
    assert names(here) == ['minuet_in_g_2.mid']

def is_share(value): return isinstance(value, float) and 0 <= value <= 1

def test_what_became_of_the_piece_is_json_too_and_label_hears_the_same(command, here):
    ask = 'transfer', SONG, '--valence', 'both', '--bars', '0:4', '--output', 'out'
    status, plain, err = command(*ask)
    assert (status, err, len(plain)) == (0, [], 2)
    shutil.rmtree('out')
    status, out, err = command(*ask, '--json')
    rows = [json.loads(line) for line in out]
    labels = [json.loads(line) for line in command('label', 'out', '--json')[1]]
    heard = {Path(label['file']).name: label['valence'] for label in labels}
    assert (status, err) == (0, [])
    assert [Path(row['file']).name for row in rows] == ['minuet_in_g_1.mid', 'minuet_in_g_2.mid']
    for row, line, asked in zip(rows, plain, (0, 1)):
        assert row['asked'] == asked and row['bars'] == [0, 4] and row['sentence'] in line
        assert all(told['words'] in row['sentence'] for told in row['account'])
        assert abs(heard[Path(row['file']).name] - row['heard'][1]) < 1e-5
        for figure in ('sim_chr', 'sim_grv', 'strokes', 'register'):
            assert is_share(row[figure]), figure

def test_json_of_a_folder_stands_alone_on_its_stream(command, here):
    (here / 'in').mkdir()
    few = Song([0, 960], [480, 480], [60, 64], [70, 70])
    for k in (1, 2): few.replace(name=f'few {k}').save(here / f'in/{k}.mid')
    status, out, err = command('transfer', 'in', '--output', 'out', '--json')
    assert (status, err) == (0, ['2 of 2 pieces written to out'])
    assert [json.loads(line)['name'] for line in out] == ['few 1', 'few 2']
    assert json.loads(out[0])['heard'] == [None, None]     # too few notes; NaN is no JSON

def test_the_classes_of_the_original_have_an_option_of_their_own(command, here):
    for k, word in (('1', 'sad'), ('2', 'happy')):
        for name, how in (('a.mid', ('--valence-class', k)), ('b.mid', ('--valence', word))):
            assert command('transfer', SONG, '--bars', '0:2', *how, '--output', name)[0] == 0
        assert (here / 'a.mid').read_bytes() == (here / 'b.mid').read_bytes()
    both = '--valence-class', '1', '--valence', 'sad', '--output', 'c.mid'
    status, _, err = command('transfer', SONG, *both)
    assert status == 1
    assert err == ['emotionwave: --valence and --valence-class say the same; give one of them']

THEME = SAMPLES / 'theme_in_a.mid'
THEMES = ['theme_in_a.mid', 'theme_in_a_1.mid', 'theme_in_a_2.mid']

def test_both_valences_of_a_file_are_written_beside_a_copy(command, here):
    ask = '--valence', 'both', '--bars', '0:2', '--output', 'new/versions'
    assert command('transfer', THEME, *ask)[0] == 0
    assert names(here / 'new/versions') == THEMES
    assert (here / 'new/versions/theme_in_a.mid').read_bytes() == THEME.read_bytes()

def test_both_valences_without_an_output_are_written_here_and_nothing_is_written_over(command, here):
    (here / 'theme_in_a.mid').write_text('mine')
    assert command('transfer', THEME, '--valence', 'both', '--bars', '0:2')[0] == 0
    assert names(here) == THEMES and (here / 'theme_in_a.mid').read_text() == 'mine'

def test_a_folder_gives_a_copy_and_both_versions_of_each_piece_and_lists_what_was_skipped(command, here):
    (here / 'in/deeper').mkdir(parents=True)
    pieces = 'arabesque', 'gymnopedie'
    for name in pieces: shutil.copy(SAMPLES / f'{name}.mid', here / 'in')
    shutil.copy(SAMPLES / 'arabesque.mid', here / 'in/arabesque_2.mid')        # would be written over
    (here / 'in/broken.mid').write_bytes((SAMPLES / 'arabesque.mid').read_bytes()[:700])
    (here / 'in/notes.txt').write_text('hello')
    status, out, err = command('transfer', 'in', '--valence', 'both', '--bars', '0:2', '--output', 'out')
    assert status == 1 and out[-1] == '2 of 4 pieces written to out'
    written = [line.split(':')[0] for line in out[:-1]]
    assert written == [f'out/{name}_{version}.mid' for name in pieces for version in (1, 2)]
    assert err[0] == 'skipped:' and len(err) == 3
    assert err[1] == ('  arabesque_2.mid: would be written over what is written of arabesque.mid; '
                      'rename one of them')
    assert err[2].startswith('  broken.mid: truncated: ')
    assert len(names(here / 'out')) == 6
    for name in pieces:
        source = SAMPLES / f'{name}.mid'
        assert (here / f'out/{name}.mid').read_bytes() == source.read_bytes()
        for version in ('_1', '_2'):
            same_frame(read_song(here / f'out/{name}{version}.mid'), read_song(source).bars(0, 2))
    ask = '--valence', 'negative', '--bars', '0:2', '--output', 'alone.mid'
    assert command('transfer', SAMPLES / 'arabesque.mid', *ask)[0] == 0
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

@pytest.mark.parametrize('words', [
    '--keep melody left song.mid',
    '--keep melody,left song.mid',
    'song.mid --keep melody left',
    'song.mid --keep "melody, left" --seed 1'])
def test_an_input_may_follow_the_parts_that_are_kept(words):
    from emotionwave.cli.arguments import PARTS
    from emotionwave.generate.keep import KEEPS
    said = build_parser().parse_args(['transfer', *shlex.split(words)])
    assert (said.keep, str(said.input)) == (['melody', 'left'], 'song.mid') and PARTS == KEEPS

def test_an_input_may_follow_the_rules_that_are_left_out():
    from emotionwave.cli.arguments import RULES
    from emotionwave.generate.moves import EVERY_SWITCH
    said = build_parser().parse_args(['transfer', '--without', 'touch', 'mediants', 'song.mid'])
    assert (said.without, str(said.input)) == (['touch', 'mediants'], 'song.mid')
    assert RULES == tuple(EVERY_SWITCH)

@pytest.mark.parametrize('words, strengths', [
    ('--strengths .5 1.5 songs/', [.5, 1.5]),
    ('--strengths .5 songs/', [.5]),
    ('songs/ --strengths .5,1.5', [.5, 1.5]),
    ('songs/ --strengths', []),
    ('songs/ --strengths --most 3', []),
    ('songs/', [.5, 1.5])])
def test_a_folder_may_follow_the_strengths(words, strengths):
    said = build_parser().parse_args(['evaluate', '--output', 'report', *words.split()])
    assert (list(said.strengths), str(said.songs)) == (strengths, 'songs')

def test_bars_in_which_a_piece_is_silent_are_said_to_have_no_notes(command, here):
    Song([0, 7 * 1920], [480, 480], [60, 64], [70, 70], name='Gap').save(here / 'gap.mid')
    status, out, err = command('transfer', 'gap.mid', '--bars', '2:4')
    assert (status, err) == (0, [])
    assert out == ['gap_2.mid: Gap has no notes in bars 2:4, so there was nothing to change']
    assert names(here) == ['gap.mid', 'gap_2.mid']

def test_a_folder_of_which_nothing_can_be_used_leaves_no_output(command, here):
    (here / 'in').mkdir()
    (here / 'in/noise.mid').write_text('noise')
    status, out, err = command('transfer', 'in', '--output', 'new/out')
    assert (status, out, len(err)) == (1, ['0 of 1 pieces written to new/out'], 2)
    assert names(here) == ['in', 'in/noise.mid']

def test_the_knobs_change_the_notes(command, here):
    ask, notes = ('--valence', 'positive', '--bars', '0:3', '--output', 'x.mid'), []
    for more in ([], ['--strength', '1.5'], ['--likeness', '0'], ['--temperature', '0.3']):
        assert command('transfer', SAMPLES / 'night_train.mid', *ask, *more)[0] == 0
        notes.append((here / 'x.mid').read_bytes())
    assert len(set(notes)) == 4


# ---- bad input

def holds(data):
    "Make a file of these bytes, or of this text."
    def make(path): path.write_bytes(data.encode() if isinstance(data, str) else data)
    return make

def sparse(path):
    with open(path, 'wb') as f:
        f.write(midi(TWO))
        f.truncate(51_000_000)

def folder(path): path.mkdir()
def folder_of_pieces(path): shutil.copytree(SAMPLES, path)
def copy_beside(path): shutil.copyfile(SONG, path.with_suffix('.mid'))
def sad_version_beside(path): (path.parent / 'minuet_in_g_1.mid').write_text('mine')
def happy_version_beside(path): (path.parent / 'minuet_in_g_2.mid').write_text('mine')

DRUMS = midi(events((0, on(36, channel=9)), (480, off(36, channel=9)), END))
FAR = events((0, meter(1, 2)), (0, on(60)), (1, off(60)), (120_000_000, on(60)), (1, off(60)), END)
A_MILLION_BARS = midi(FAR, tpq=120)

BAD_FILES = {          # name -> what makes the file "bad", and what the line says
    'not a MIDI': (holds('hello, this is a letter'), 'bad: not a MIDI file'),
    'truncated': (holds(SONG.read_bytes()[:-40]), 'bad: truncated'),
    'empty': (holds(b''), 'bad: empty file'),
    'no notes': (holds(midi(events(END))), 'bad: no notes'),
    'only drums': (holds(DRUMS), 'bad: only drums'),
    'empty directory': (folder, 'bad: no .mid files'),
    'missing': (None, 'bad: no such file'),
    'over 20 MB': (sparse, 'bad: 51.0 MB; files up to 20 MB'),
    'a million bars': (holds(A_MILLION_BARS), 'the limit is 20,000'),
}

BARE = '"negative" and "positive" (--valence-class on the command line)'
BAD_WORDS = {          # words after the song -> what the line says
    '--valence 3': "or a number from 0.0 (sad) to 1.0 (happy), got '3'",
    '--valence 1': BARE,
    '--valence 2': BARE,
    '--valence gloomy': 'valence is "negative" or "sad"',
    '--valence nan': 'valence is "negative" or "sad"',
    '--bars 30:33': 'bars 30:33 of a song of 32 bars',
    '--bars 90:98': 'bars 90:98 of a song of 32 bars',
    '--bars 4:2': 'bars 4:2 of a song of 32 bars',
    '--bars all': "--bars takes A:B, two whole numbers, got 'all'",
    '--strength 1.6': 'strength must be from 0.0 to 1.5, got 1.6',
    '--strength -1': 'strength must be from 0',
    '--likeness 1.5': 'likeness must be from 0.0 to 1.0, got 1.5',
    '--temperature nan': 'temperature must be from 0',
    '--candidates 0': 'candidates must be a whole number from 1',
    '--seed -1': 'seed must be',
    f'--seed {2**70}': 'seed must be',
    '--top-p 0': 'top_p must be above 0',
    '--output no/where/x.mid': 'no/where: no such folder; make it first',
    '--output versions/': 'versions: a version is a MIDI file; give --output a name that ends in .mid',
    '--output song.wav': 'song.wav: a version is a MIDI file; give --output a name that ends in .mid',
    '--valence both --output x.mid': 'must be a folder, got x.mid',
}

BAD_PLACES = {         # name -> what is there already, arguments, and what the line says
    'output is the input': (copy_beside, ['bad.mid', '--output', 'bad.mid'],
                            'bad.mid: is the input, which would be lost; give --output another name'),
    'default name taken': (happy_version_beside, [SONG],
                           'minuet_in_g_2.mid: exists already; say with --output where to write'),
    'one default name of two taken': (sad_version_beside, [SONG, '--valence', 'both'],
                                      'minuet_in_g_1.mid: exists already; say with --output where to write'),
    'output below a file': (holds('x'), [SONG, '--output', 'bad/x.mid'], 'bad: not a folder'),
    'output a directory': (folder, [SONG, '--output', 'bad'], 'bad: a directory; give --output a file name'),
    'folder into a file': (folder_of_pieces, ['bad', '--valence', 'both', '--output', 'x.mid'],
                           'must then be a folder, got x.mid'),
    'folder below a file': (holds('x'), [SAMPLES, '--valence', 'both', '--output', 'bad/x'], 'not a folder'),
}

BAD = {name: (make, ['bad'], says) for name, (make, says) in BAD_FILES.items()}
BAD |= {words: (None, [SONG, *words.split()], says) for words, says in BAD_WORDS.items()}
BAD |= BAD_PLACES

def assert_one_line(answer, says):
    "A command failed with one line that says so."
    status, out, err = answer
    assert (status, out) == (1, []) and len(err) == 1, err
    assert err[0].startswith('emotionwave: ') and says in err[0], err

@pytest.mark.parametrize('name', BAD)
def test_bad_input_gets_one_line_and_leaves_nothing(name, command, here):
    make, args, says = BAD[name]
    if make: make(here / 'bad')
    before = names(here)
    assert_one_line(command('transfer', *args), says)
    assert names(here) == before

def config_is(text):
    "Copy the checkpoint with this text for its config; none for `None`."
    def make(tiny, path):
        shutil.copytree(tiny, path)
        if text is None: (path / 'config.json').unlink()
        else: (path / 'config.json').write_text(text)
    return make

def config_says(part=None, **values):
    "Copy the checkpoint with other values in its config, or in a part of it."
    def make(tiny, path):
        config = json.loads((tiny / 'config.json').read_text())
        (config[part] if part else config).update(values)
        config_is(json.dumps(config))(tiny, path)
    return make

def weights_are(change):
    "Copy the checkpoint with other bytes for its weights."
    def make(tiny, path):
        shutil.copytree(tiny, path)
        weights = path / 'model.safetensors'
        weights.write_bytes(change(weights.read_bytes()))
    return make

def nothing(tiny, path): pass
def a_file(tiny, path): path.write_text('x')
def an_empty_folder(tiny, path): path.mkdir()
def cut_short(weights): return weights[:900]
def pickled(weights): return b'PK\3\4' + bytes(90)

MODELS = {             # name -> what makes the checkpoint "model", what the line says
    'missing': (nothing, 'model: no checkpoint'),
    'a file': (a_file, 'model: no checkpoint'),
    'an empty folder': (an_empty_folder, 'model: no checkpoint'),
    'no config': (config_is(None), 'model: no checkpoint'),
    'config not JSON': (config_is('{'), 'model: config.json is not'),
    'config of another kind': (config_is('[1]'), 'model: config.json is not'),
    'of another format': (config_says(format=99), 'checkpoint format 99 is not known'),
    'another vocabulary': (config_says('tokens', velocities=16), 'made with vocabulary'),
    'another fingerprint': (config_says(fingerprint='0' * 16), 'made with vocabulary 0000000000000000'),
    'other sizes': (config_says('model', latent=9), 'model: model.safetensors does not fit'),
    'weights cut short': (weights_are(cut_short), 'model: model.safetensors does not fit'),
    'weights of another kind': (weights_are(pickled), 'model: model.safetensors does not fit'),
    '.': (nothing, '.: no checkpoint'),
    '..': (nothing, '..: no checkpoint'),
    '/': (nothing, '/: no checkpoint'),
}

@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('source', [SONG, SAMPLES], ids=['file', 'folder'])
def test_a_checkpoint_that_does_not_fit_gets_one_line_and_leaves_nothing(name, source, command, here, tiny):
    make, says = MODELS[name]
    make(tiny, here / 'model')
    before = names(here)
    model = name if set(name) <= set('./') else 'model'
    answer = command('transfer', source, '--valence', 'both', '--output', 'out', model=model)
    assert_one_line(answer, says)
    assert names(here) == before

@pytest.mark.parametrize('inside, model', [('.', '.'), ('deeper', '..')])
def test_a_checkpoint_may_be_the_folder_one_stands_in_or_that_above(
        inside, model, command, here, tiny, monkeypatch):
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
        assert (status, out) == (1, [])
        assert err == ['emotionwave: locked: not writable; choose another place for --output']

def test_a_full_disk_gets_one_line_and_leaves_nothing(command, here, monkeypatch):
    calls = []
    def full(fd):
        calls.append(fd)
        # the second version does not fit
        if len(calls) > 1: raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', full)
    ask = 'transfer', SONG, '--bars', '0:2', '--valence', 'both', '--output'
    assert_one_line(command(*ask, '.'), 'minuet_in_g_2.mid: No space left on device')
    assert names(here) == []
    calls.clear()
    assert command(*ask, 'new/folder')[0] == 1 and names(here) == []

def test_a_bad_file_as_a_process_prints_one_line_and_no_traceback(tmp_path, tiny):
    (tmp_path / 'bad.mid').write_text('hello')
    ask = 'bad.mid', '--valence', 'positive', '--output', 'x.mid', '--model', tiny
    done = run('transfer', *ask, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == 'emotionwave: bad.mid: not a MIDI file (it does not begin with MThd)\n'
    assert names(tmp_path) == ['bad.mid']

@pytest.mark.parametrize('words', [
    '', 'transfer', 'dance x.mid', 'transfer x.mid --tempo 3', 'transfer x.mid --strength much', 'format x',
    'train data'])
def test_wrong_usage_exits_2_with_the_usage(words, capsys):
    with pytest.raises(SystemExit) as stop: main(words.split())
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

class Terminal:
    "What a process shows on a terminal of its own, which has a progress bar."
    def __init__(self, *command, cwd):
        pty, fcntl, termios = (pytest.importorskip(m) for m in ('pty', 'fcntl', 'termios'))
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 25, 100, 0, 0))
        # a shell may have told what it runs to ignore Ctrl-C
        def hear_ctrl_c(): signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.process = subprocess.Popen([sys.executable, *map(str, command)], cwd=cwd, env=ENV,
                                        stdout=subprocess.PIPE, stderr=slave, preexec_fn=hear_ctrl_c)
        os.close(slave)
        self.seen, self.until = b'', time.monotonic() + 200

    def more(self):
        "Read what is there; tells whether there may be more."
        if not select.select([self.master], [], [], .5)[0]: return True
        try: part = os.read(self.master, 65536)
        except OSError: return False                                           # the other end is closed
        self.seen += part
        return bool(part)

    @property
    def late(self): return time.monotonic() > self.until

    @property
    def last_line(self): return self.seen.replace(b'\r', b'\n').strip().split(b'\n')[-1].strip()

    def close(self):
        os.close(self.master)
        self.process.stdout.close()

def test_ctrl_c_in_a_long_transfer_leaves_nothing_and_says_so(tmp_path, tiny):
    onset = np.arange(4000) * 480
    pitch = 60 + np.arange(4000) % 12
    Song(onset, np.full(4000, 480), pitch, np.full(4000, 70)).save(tmp_path / 'long.mid')
    ask = 'long.mid', '--valence', 'both', '--output', 'out', '--model', tiny
    terminal = Terminal('-m', 'emotionwave.cli', 'transfer', *ask, cwd=tmp_path)
    work = terminal.process
    while b'/1000' not in terminal.seen and work.poll() is None and not terminal.late:
        terminal.more()
    assert b'/1000' in terminal.seen, terminal.seen[-500:]                     # the bar counts bars
    work.send_signal(signal.SIGINT)
    while terminal.more() and not terminal.late: pass
    assert work.wait(60) == 130 and work.stdout.read() == b''
    assert b'Traceback' not in terminal.seen
    assert terminal.last_line == b'emotionwave: stopped; nothing half-written was left'
    assert names(tmp_path) == ['long.mid']
    terminal.close()

def test_ctrl_c_in_an_evaluation_says_that_it_can_go_on(command, here, monkeypatch):
    def stopped(*args, **settings): raise KeyboardInterrupt
    monkeypatch.setattr('emotionwave.measure.evaluation.evaluate_folder', stopped)
    status, out, err = command('evaluate', 'songs', '--output', 'report')
    assert (status, out) == (130, [])
    assert err == ['emotionwave: stopped; songs that are done are kept, '
                   'and the same command goes on from there']

def test_an_evaluation_says_how_long_it_takes_and_what_is_left_where_there_is_no_terminal(
        command, here, monkeypatch):
    import pandas as pd
    def measured(*args, callback, estimate, workers, strength_songs, **settings):
        assert 1 <= workers <= 4 and strength_songs == 20
        if estimate: estimate(400.)
        for done in range(21): callback(done, 20)
        row = dict(corpus='c', file='f', method='model', p=.5, hit=True, sim_chr=1., sim_grv=1., moved=True,
                   same=True)
        rows = pd.DataFrame([row | dict(valence=v) for v in ('negative', 'positive')])
        rows.attrs.update(skipped=[])
        return rows
    monkeypatch.setattr('emotionwave.measure.evaluation.evaluate_folder', measured)
    status, out, err = command('evaluate', 'songs', '--output', 'report')
    assert status == 0 and err[0] == 'measuring takes about 7 minutes'
    assert err[1:] == [f'{k} of 20 songs, under a minute left' for k in range(2, 20, 2)]
    for column in ('moved', 'moved_95', 'moved_negative', 'same', 'same_95', 'same_positive'):
        assert f' {column} ' in f'{out[0]} ', column
    assert command('evaluate', 'songs', '--output', 'report', '--quiet')[2] == []


# ---- the other commands, one after the other: format, train, transfer, listen, evaluate

def tune(seed, bars=16):
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 10])
    n = bars * 4
    pitch, velocity = 60 + scale[rng.integers(0, 7, n)], rng.integers(50, 90, n)
    return Song(np.arange(n) * 480, np.full(n, 480), pitch, velocity, name=f'tune {seed}')

# the default network takes a minute a step here
SMALL = ['--set', 'd_model=32', 'heads=2', 'encoder_layers=1', 'decoder_layers=2', 'latent=8',
         'batch_tokens=1500', 'threads=1']

def test_format_train_transfer_listen_and_evaluate_work_one_after_the_other(command, here, monkeypatch):
    import torch
    # stay at one thread, which a busy machine can't slow down much
    monkeypatch.setattr(torch, 'set_num_threads', lambda n: None)
    (here / 'midi').mkdir()
    for i in range(24): tune(i).save(here / f'midi/{i:02}.mid')
    status, out, err = command('format', 'midi', '--output', 'data', '--workers', 1)
    assert status == 0 and any('24' in line for line in out), (out, err)
    assert (here / 'data/dataset.json').is_file()
    status, out, err = command('train', 'data', '--output', 'run', '--steps', 2, '--samples', 0, *SMALL)
    assert status == 0 and out == ['best checkpoint: run/best'], err
    again = command('train', 'data', '--output', 'run', '--steps', 2)
    assert_one_line(again, 'run: holds something already; give another folder, or resume the run in it')
    ask = '--valence', 'negative', '--bars', '0:2', '--output', 'sad.mid'
    assert command('transfer', SONG, *ask, model='run/best')[0] == 0
    status, out, err = command('listen', 'sad.mid', '--output', 'sad.wav', '--roll', 'sad.png')
    assert status == 0, err
    assert (here / 'sad.wav').read_bytes()[:4] == b'RIFF' and (here / 'sad.png').read_bytes()[1:4] == b'PNG'
    ask = '--output', 'report', '--most', 2, '--bars', 4
    status, out, err = command('evaluate', 'midi', *ask, model='run/best')
    assert status == 0 and names(here / 'report') == ['report.csv', 'report.html', 'report.json'], err

@pytest.mark.parametrize('words, says', [
    ('listen no.mid', 'no.mid: no such file'),
    (f'listen {SONG} --output no/x.wav', 'no such folder'),
    ('format no --output data', 'no such folder'),
    ('train no --output run', 'no such folder'),
    ('evaluate no --output report', 'no such folder'),
    (f'evaluate {SAMPLES} --output report --strengths 11', 'strengths must be from 0 to 1.5, got 11')],
    ids=['listen', 'listen to nowhere', 'format', 'train', 'evaluate', 'strengths'])
def test_the_other_commands_say_what_was_wrong_in_one_line(words, says, command, here):
    assert_one_line(command(*shlex.split(words)), says)
    assert names(here) == []

def test_a_reader_that_goes_early_gets_no_complaint():
    done = subprocess.Popen([sys.executable, '-m', 'emotionwave.cli', 'download'], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=ENV)
    done.stdout.close()
    assert done.wait(30) == 0 and done.stderr.read() == ''

def test_a_word_too_many_is_answered_with_the_usage_of_its_own_command(here, capsys):
    with pytest.raises(SystemExit) as e: main(['transfer', 'x.mid', 'sad'])
    said = capsys.readouterr().err
    assert e.value.code == 2 and said.startswith('usage: emotionwave transfer')
    assert said.endswith('unrecognized arguments: sad\n')

def test_a_terminal_that_knows_no_arrows_gets_question_marks(here):
    ask = ['-m', 'emotionwave.cli', 'transfer', str(SONG), '--bars', '0:2', '--valence', 'sad']
    done = subprocess.run([sys.executable, *ask], capture_output=True, timeout=300,
                          env=dict(ENV, PYTHONIOENCODING='cp1252'))
    assert done.returncode == 0, done.stderr
    assert b' ? ' in done.stdout and b'G major to G minor' in done.stdout

def test_listen_never_writes_over_its_input(command, here):
    shutil.copy(SONG, 'a.mid')
    before = (here / 'a.mid').read_bytes()
    for option in ('--output', '--roll'):
        status, _, err = command('listen', 'a.mid', option, 'a.mid')
        assert status == 1 and 'would be lost' in err[0] and (here / 'a.mid').read_bytes() == before


# ---- what is there stays

BRIEF = '--bars', '0:2', '--candidates', '1', '--quiet'

def test_a_copy_of_the_input_is_not_written_over_another_piece(command, here):
    for name in ('out', 'in'): (here / name).mkdir()
    for name in ('minuet_in_g', 'theme_in_a'): shutil.copy(SAMPLES / f'{name}.mid', here / 'in')
    other = here / 'out/minuet_in_g.mid'
    shutil.copy(SAMPLES / 'greensleeves.mid', other)
    before, ask = other.read_bytes(), ('--valence', 'both', *BRIEF, '--output', 'out')
    assert_one_line(command('transfer', 'in/minuet_in_g.mid', *ask), 'is another piece, which would be lost')
    assert names(here / 'out') == [other.name]
    status, _, err = command('transfer', 'in', *ask)
    assert status == 1 and err[0] == 'skipped:' and other.read_bytes() == before
    assert (here / 'out/theme_in_a_1.mid').exists()
    assert command('transfer', 'in/theme_in_a.mid', *ask)[0] == 0              # its own copy is there already

def test_a_folder_may_be_written_into_itself_again(command, here):
    shutil.copy(SONG, here / 'a.midi')
    for _ in range(2):
        assert command('transfer', here, '--valence', 'both', *BRIEF, '--output', here)[0] == 0
        assert names(here) == ['a.midi', 'a_1.mid', 'a_2.mid']

@pytest.mark.parametrize('words', [
    '--keep melody left x.mid', '--keep melody --keep left x.mid', '--keep=melody left x.mid',
    'x.mid --keep melody,left'])
def test_parts_may_be_named_in_any_way(words):
    args = build_parser().parse_args(['transfer', *words.split()])
    assert args.keep == ['melody', 'left'] and str(args.input) == 'x.mid'

@pytest.mark.parametrize('words, says', [
    ('--bars -4:-2', 'bars -4:-2 of a song of 32 bars'),
    ('--valence -1,1', 'a course of valences has')])
def test_a_value_may_begin_with_a_minus(words, says, command):
    assert_one_line(command('transfer', SONG, *words.split(), '--output', 'x.mid'), says)

def test_listen_without_a_name_replaces_no_sound(command, here):
    shutil.copy(SONG, 'a.mid')
    (here / 'a.wav').write_bytes(b'mine')
    assert command('listen', 'a.mid')[0] == 1 and (here / 'a.wav').read_bytes() == b'mine'

def test_listen_writes_what_a_name_says(command, here):
    for option, name, says in (('--roll', 'q.txt', 'give --roll a name that ends in .png'),
                               ('--output', 'q.mid', 'give --output a name that ends in .wav or .mp3')):
        assert_one_line(command('listen', SONG, option, name), says)
    assert command('listen', SONG, '--output', 'x.mp3')[0] == 0
    assert (here / 'x.mp3').read_bytes()[:2] != b'RI' and names(here) == ['x.mp3']
