"""The three notebooks for Colab: each runs whole, at tiny scale and offline, and finds what the one before
it left; stopped and run again, they go on."""
import ast, json, os, re, shutil, signal, sys, threading, time, types
from pathlib import Path
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / 'nbs' / 'colab'
NAMES = ['1_format', '2_train', '3_generate']
every = pytest.mark.parametrize('name', NAMES)

def notebook(name): return json.loads((FOLDER / f'{name}.ipynb').read_text('utf-8'))
def cells(name): return [(c['cell_type'], ''.join(c['source'])) for c in notebook(name)['cells']]
def code(name): return [s for kind, s in cells(name) if kind == 'code']
def cell(name, start): return next(s for s in code(name) if s.startswith(start))


# ---- as they lie there

def test_there_are_three_and_their_names_are_their_order():
    assert sorted(p.stem for p in FOLDER.glob('*.ipynb')) == NAMES

@every
def test_notebook_opens_with_title_sentence_and_its_own_badge(name):
    kind, opening = cells(name)[0]
    number, word = name.split('_')
    assert (kind == 'markdown'
            and re.match(rf'# {number}\. {word.title()}\n\n> [^\n]+\.\n\n\[!\[Open in Colab\]', opening))
    assert badges(opening) == [f'nbs/colab/{name}.ipynb']

def badges(text):
    address = r'https://colab\.research\.google\.com/github/JorgePdlR/EmotionWave/blob/main/'
    return re.findall(rf'\]\({address}([^)]+)\)', text)

def test_badges_lead_to_notebooks_that_are_there():
    found = badges((ROOT / 'README.md').read_text('utf-8'))
    assert (all((ROOT / p).is_file() for p in found)
            and (not found or set(found) >= {f'nbs/colab/{n}.ipynb' for n in NAMES}))

@every
def test_only_one_cell_calls_pip_and_only_where_the_package_is_missing(name):
    install = [s for s in code(name) if re.search(r'\bpip\b', s)]
    assert install == ["from importlib.util import find_spec\nif find_spec('emotionwave') is None:\n    %pip "
                       "install -q git+https://github.com/JorgePdlR/EmotionWave"] == code(name)[:1]
    assert not [s for s in code(name)
                if re.search(r'^\s*!|os\.system|subprocess|os\.chdir|^%%|^\s*%(?!pip|matplotlib)', s, re.M)]

@every
def test_one_cell_at_the_top_holds_all_that_may_be_changed_and_asks_for_one_place(name):
    top = code(name)[1]
    assert (top.startswith('place = None ')
            and len(re.findall('^place = None', '\n'.join(code(name)), re.M)) == 1)
    tree = ast.parse(top)
    lines = top.split('\n')
    for n in tree.body:  # each is explained, beside it or in the line above
        assert isinstance(n, ast.Assign)
        assert ('#' in lines[n.lineno - 1] or lines[n.lineno - 2].startswith('#')
                or 'first_bar' in lines[n.lineno - 1])
    assert not re.search(r'\binput\(|getpass', '\n'.join(code(name)))

def test_all_three_find_the_place_in_the_same_way():
    finds = [cell(n, 'import os, sys').split('place = Path(')[0].replace(', time', '') for n in NAMES]
    assert finds[0] == finds[1] == finds[2]

@every
def test_notebook_holds_no_path_of_a_machine_but_that_of_drive(name):
    for s in code(name):
        assert not [p for p in re.findall(r'''['"](/[^'"]*)['"]''', s)
                    if p not in ('/', '/content/drive', '/content/drive/MyDrive/EmotionWave')]

@every
def test_notebook_is_small_and_shows_what_it_did(name):
    nb = notebook(name)
    assert 'widgets' not in nb['metadata'] and (FOLDER / f'{name}.ipynb').stat().st_size < 400_000
    shown = [o for c in nb['cells'] for o in c.get('outputs', [])]
    assert (len(shown) >= 5 and not [o for o in shown if o['output_type'] == 'error'
                                     or o.get('name') == 'stderr'])
    assert any('image/png' in o.get('data', {}) for o in shown)
    assert not re.search(r'\d+ (ms|s|min|minutes|seconds) |it/s|events a second|%\|',
                         ''.join(''.join(o.get('data', {}).get(k, '')) for o in shown
                                 for k in ('text/plain', 'text/markdown')))

@every
def test_links_between_pages_lead_somewhere(name):
    for kind, s in cells(name):
        if kind == 'markdown':
            assert not [t for t in re.findall(r'\]\((?!https?:)([^)]+)\)', s) if not (FOLDER / t).is_file()]

@every
def test_the_place_is_drive_on_colab_and_a_folder_at_home_elsewhere(name, tmp_path, monkeypatch):
    source = cell(name, 'import os, sys').replace('/content', str(tmp_path / 'content'))
    for p in ('content/drive/MyDrive/EmotionWave', 'home/EmotionWave', 'asked', 'env'):
        # as 2_train wants to find them
        (tmp_path / p / 'data').mkdir(parents=True)
        (tmp_path / p / 'data' / 'dataset.json').touch()
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('USERPROFILE', str(tmp_path / 'home'))
    monkeypatch.delenv('EMOTIONWAVE_PLACE', raising=False)
    def place(asked=None):
        space = dict(place=asked, own=None)
        exec(source, space)
        return space['place']
    assert (place() == tmp_path / 'home' / 'EmotionWave'
            and place(str(tmp_path / 'asked')) == tmp_path / 'asked')
    monkeypatch.setenv('EMOTIONWAVE_PLACE', str(tmp_path / 'env'))
    assert place() == tmp_path / 'env'
    monkeypatch.delenv('EMOTIONWAVE_PLACE')
    mounted = []
    drive = types.SimpleNamespace(mount=lambda p: mounted.append(p))
    google, colab = types.ModuleType('google'), types.ModuleType('google.colab')
    colab.drive, google.colab = drive, colab
    monkeypatch.setitem(sys.modules, 'google', google)
    monkeypatch.setitem(sys.modules, 'google.colab', colab)
    assert (place() == tmp_path / 'content/drive/MyDrive/EmotionWave'
            and mounted == [str(tmp_path / 'content/drive')])
    assert place(str(tmp_path / 'asked')) == tmp_path / 'asked' and len(mounted) == 1


# ---- run

def tune(seed):
    "Eight bars that nobody wrote: a broken chord and a melody on it, in major or in minor."
    from emotionwave.music.song import Song
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 10])
    low, high = 48 + seed % 5 + scale[[0, 2, 4, 2] * 8], 67 + seed % 5 + scale[rng.integers(0, 7, 32)]
    return Song(np.tile(np.arange(32) * 480, 2), [450] * 64, np.append(low, high), rng.integers(45, 95, 64),
                name=f'tune {seed}', tempo_tick=[0], tempo_bpm=[80 + 4 * (seed % 9)])

def lay_out(place):
    "Corpora as `download` would have left them, and a folder of one's own in which a file is broken."
    emopia, pop909 = place / 'corpora' / 'EMOPIA', place / 'corpora' / 'POP909'
    (emopia / 'midis').mkdir(parents=True)
    (emopia / 'split').mkdir()
    (place / 'own').mkdir()
    sides = {}
    for seed in range(12):
        clip = f'Q{1 + 2 * (seed % 2 == 0)}_video{seed}_0'
        tune(seed).save(emopia / 'midis' / f'{clip}.mid')
        sides.setdefault('val' if seed in (3, 4) else 'test' if seed in (5, 6) else 'train', []).append(clip)
    for side, clips in sides.items():
        (emopia / 'split' / f'{side}.csv').write_text('\n'.join(['fname', *clips]))
    for seed in range(20, 24):
        (pop909 / 'POP909' / f'{seed:03}').mkdir(parents=True)
        tune(seed).save(pop909 / 'POP909' / f'{seed:03}' / f'{seed:03}.mid')
    for corpus in (emopia, pop909): (corpus / '.emotionwave.json').write_text('{}')
    for name in ('minuet_in_g', 'night_train'):
        (place / 'own' / f'{name}.mid').write_bytes((ROOT / 'samples' / f'{name}.mid').read_bytes())
    (place / 'own' / 'broken.mid').write_bytes(b'MThd no music')
    (place / 'corpora' / 'ASAP').mkdir()
    (place / 'corpora' / 'ASAP' / 'mine').touch()

class Kernel:
    "A notebook in a kernel of its own, offline, with other values below its cell of settings."
    def __init__(self, name, place, settings=''):
        import nbformat
        from nbclient import NotebookClient
        self.nb, self.place = nbformat.read(FOLDER / f'{name}.ipynb', 4), place
        for c in self.nb.cells:
            if c.cell_type == 'code': c.outputs = []
        next(c for c in self.nb.cells if c.source.startswith('place =')).source += f'\n{settings}'
        self.client = NotebookClient(self.nb, timeout=300, kernel_name='python3',
                                     resources=dict(metadata=dict(path=str(FOLDER))))

    def __enter__(self):
        nowhere = dict.fromkeys(('HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'),
                                'http://127.0.0.1:9')
        env = {k: v for k, v in os.environ.items() if k not in ('MPLBACKEND', 'NO_PROXY', 'no_proxy')}
        self.running = self.client.setup_kernel(env=dict(env, PYTHONPATH=str(ROOT),
                                                         EMOTIONWAVE_PLACE=str(self.place),
                                                         OMP_NUM_THREADS='1', **nowhere))
        self.running.__enter__()
        return self

    def __exit__(self, *error): return self.running.__exit__(*error)

    def run(self, start=None, stop=None):
        """Run from the cell that begins with `start` to before the one that begins with
        `stop`; an error in a cell is raised."""
        def at(text, default):
            if text is None: return default
            return next(i for i, c in enumerate(self.nb.cells)
                        if c.cell_type == 'code' and c.source.startswith(text))
        for i in range(at(start, 0), at(stop, len(self.nb.cells))):
            if self.nb.cells[i].cell_type == 'code': self.client.execute_cell(self.nb.cells[i], i)
        return self

    def say(self, code):
        "Run code that is in no cell."
        import nbformat
        there = self.nb.cells[0]
        # nbclient puts it there
        self.client.execute_cell(nbformat.v4.new_code_cell(code), 0)
        self.nb.cells[0] = there
        return self

    def outputs(self, start):
        "What the cell that begins so shows: all of its texts, and the kinds of output."
        found = next(c for c in self.nb.cells if c.source.startswith(start)).outputs
        return ('\n'.join(str(o.get('text', ''))
                          + ''.join(str(v) for k, v in o.get('data', {}).items() if k.startswith('text/'))
                          for o in found), {k for o in found for k in o.get('data', {})})

    def interrupt_when(self, true):
        "Press the square once something is true."
        def press():
            end_s = time.monotonic() + 120
            while not true() and time.monotonic() < end_s: time.sleep(.01)
            os.kill(self.client.km.provisioner.pid, signal.SIGINT)
        threading.Thread(target=press, daemon=True).start()

TINY = ('sizes = dict(d_model=32, heads=2, encoder_layers=1, skeleton_layers=1, decoder_layers=2, latent=8)\n'
        'settings = dict(batch_tokens=1000, lr=1e-2, warmup=2, beta_warmup=4, threads=1, steps={})')
TRAIN = 'curves = Curves('

def column(place, run, k):
    log = place / 'runs' / run / 'log.csv'
    return ([float(line.split(',')[k]) for line in log.read_text().splitlines()[1:] if line.count(',') > 1]
            if log.is_file() else [])

def logged(place, run): return column(place, run, 0)
def surprise(place, run): return column(place, run, 1)

@pytest.mark.slow
def test_the_three_run_whole_one_after_the_other_offline_and_go_on_after_a_stop(tmp_path):
    place = tmp_path / 'place'
    lay_out(place)
    shards = lambda: {p.name: p.stat().st_mtime_ns for p in (place / 'data').glob('*.parquet')}
    with Kernel('1_format', place, "corpora, workers = ['EMOPIA', 'POP909', 'ASAP'], 1") as first:
        first.run()
        fetched = first.outputs('folder, folders = ')[0]
        assert ('**EMOPIA**: 12 MIDI files' in fetched and '**ASAP**: not fetched, the others go on.'
                in fetched and 'was not made by download' in fetched)
        report = first.outputs("say = line('**Formatting**')")[0]
        assert 'broken.mid' in report and all(c in report for c in ('EMOPIA', 'POP909', 'own'))
        assert ('image/png' in first.outputs('report.plot')[1] and '<iframe' in first.outputs('by_name')[0]
                and 'Position_' in first.outputs('tokens = Tokenizer()')[0])
        written = shards()
        assert written and any((place / 'heldout').rglob('*.mid'))
        first.run('folder, folders = ', 'report.plot')                        # nothing is read again
        assert shards() == written and first.outputs("say = line('**Formatting**')")[0] == report
    with Kernel('2_train', place, TINY.format(40)) as second:
        second.interrupt_when(lambda: len(logged(place, 'first')) >= 5)
        second.run(stop="if not (folder / 'best')")
        assert 'Stopped, and all is kept' in second.outputs(TRAIN)[0]
        stopped = json.loads((place / 'runs/first/last/config.json').read_text())['training']['step']
        assert 5 <= stopped < 40
        second.run(TRAIN)
        text, kinds = second.outputs(TRAIN)
        assert 'Stopped' not in text and 'image/png' in kinds
        steps = logged(place, 'first')
        assert json.loads((place / 'runs/first/last/config.json').read_text())['training']['step'] == 40
        assert steps == sorted(steps) and len(set(steps)) >= 39 and steps[-1] == 40
        assert '<iframe' in second.outputs("(place / 'songs')")[0]
        second.say("run, start, settings = 'tuned', 'first', dict(batch_tokens=1000, lr=1e-4, warmup=2, "
                   "beta_warmup=1, threads=1, steps=3)").run('words, folder', stop="(place / 'songs')")
        start, end, tuned = (surprise(place, 'first')[0], min(surprise(place, 'first')[-5:]),
                             surprise(place, 'tuned'))
        # as good as what it began with, not as bad as chance
        assert len(tuned) == 3 and max(tuned) < (start + end) / 2
        shutil.rmtree(place / 'runs' / 'tuned')
    with Kernel('3_generate', place, "model, most, last_bar = 'first', 1, 2") as third:
        third.run()
        assert 'application/vnd.jupyter.widget-view+json' in third.outputs('app(')[1]
        assert len(list((place / 'songs').glob('*.mid'))) == 13
        assert {p.name for p in (place / 'versions').iterdir()} == {f'minuet_in_g_{k}.{e}' for k in (1, 2)
                                                                    for e in ('mid', 'wav')}
        report = json.loads((place / 'report/report.json').read_text())
        assert set(report['summary']) == {'comes along', 'first', 'swap', 'copy'} and report['songs'] == 1
        assert ('Measured on 1 of 1 pieces' in third.outputs("where = place / 'heldout'")[0]
                and 'model' in third.outputs('shipped_figures')[0])
