"""The repository itself: notebooks and modules agree, notebooks are fit to show, the package is light and
holds what it should."""
import ast, json, os, re, subprocess, sys
from configparser import ConfigParser
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
NOTEBOOKS = sorted(p for p in (ROOT / 'nbs').rglob('*.ipynb')
                   if '.ipynb_checkpoints' not in p.parts and not p.name.startswith('_'))
NUMBERED = [p for p in NOTEBOOKS if re.fullmatch(r'\d{3}_\w+\.\w+\.ipynb', p.name) and p.parent.name == 'nbs']
ALONE = {'239_measure.ablations'}  # shows what a script measured; no module
PAGES = [p for p in NUMBERED if p.stem not in ALONE]                           # those that become modules
ORDER = [p.stem.split('_', 1)[1] for p in PAGES]                               # room.name, from the ground up
ROOMS = list(dict.fromkeys(m.split('.')[0] for m in ORDER))
every_notebook = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
every_page = pytest.mark.parametrize('path', PAGES, ids=lambda p: p.stem)

def cells(path):
    return [dict(c, source=''.join(c['source'])) for c in json.loads(path.read_text('utf-8'))['cells']]
def text(x): return x if isinstance(x, str) else ''.join(x)
def prose(path): return '\n'.join(c['source'] for c in cells(path) if c['cell_type'] == 'markdown')

def tracked():
    "Files that are in git or would be; all files when there is no git."
    done = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode == 0: found = [ROOT / n for n in done.stdout.split('\0') if n]
    else: found = [p for d in ('emotionwave', 'nbs', 'samples', 'tests') for p in (ROOT / d).rglob('*')]
    return [p for p in found if p.is_file() and '__pycache__' not in p.parts]


# ---- notebooks and modules

EXPORT = '''
import sys
from pathlib import Path
from nbdev.export import nb_export
for p in sorted(Path("nbs").glob("[0-9]*.ipynb")): nb_export(p, lib_path="emotionwave")
'''

def module_file(module): return ROOT / 'emotionwave' / f'{module.replace(".", "/")}.py'

def test_modules_are_what_the_notebooks_export(tmp_path):
    (tmp_path / 'nbs').mkdir(), (tmp_path / 'emotionwave').mkdir()
    for p in [*PAGES, ROOT / 'settings.ini', ROOT / 'emotionwave' / '__init__.py']:
        (tmp_path / p.relative_to(ROOT)).write_bytes(p.read_bytes())
    subprocess.run([sys.executable, '-c', EXPORT], cwd=tmp_path, check=True, capture_output=True, timeout=200)
    there = lambda m: module_file(m).read_text('utf-8') if module_file(m).is_file() else None
    stale = [m for m in ORDER if there(m) != (tmp_path / module_file(m).relative_to(ROOT)).read_text('utf-8')]
    assert not stale, f'run nbdev_export: {stale}'

def syntax(path): return ast.parse(path.read_text('utf-8'))

def modules_in_rooms():
    return {f'{p.parent.name}.{p.stem}' for p in (ROOT / 'emotionwave').glob('*/*.py')
            if p.stem != '__init__'}

def test_every_module_has_its_page():
    by_hand = {m for m in modules_in_rooms() if m.startswith('cli.')}
    assert modules_in_rooms() - by_hand == set(ORDER)
    assert {p.stem for p in (ROOT / 'emotionwave').glob('*.py')} <= {'__init__', '_modidx', 'cli'}


# ---- rooms

def test_pages_of_a_room_stand_together_and_its_number_tells_the_room():
    numbers = {}
    for p in NUMBERED: numbers.setdefault(p.name[:2], set()).add(p.stem[4:].split('.')[0])
    assert all(len(rooms) == 1 for rooms in numbers.values()), numbers
    assert [m.split('.')[0] for m in ORDER] == sorted((m.split('.')[0] for m in ORDER), key=ROOMS.index)
    assert len({p.name[:3] for p in NUMBERED}) == len(NUMBERED)

def imported(module):
    "Modules and rooms of the package that a module imports, anywhere in it."
    found, home = set(), module.split('.')
    for n in ast.walk(syntax(module_file(module))):
        if isinstance(n, ast.Import):
            found |= {a.name.removeprefix('emotionwave.') for a in n.names
                      if a.name.startswith('emotionwave.')}
        if not isinstance(n, ast.ImportFrom): continue
        if n.level and n.module: found.add('.'.join([*home[:len(home) - n.level], n.module]))
        elif n.level: found |= {'.'.join([*home[:len(home) - n.level], a.name]) for a in n.names}
        elif (n.module or '').startswith('emotionwave.'):
            found.add(n.module.removeprefix('emotionwave.'))
    return found - {'__version__'}

@pytest.mark.parametrize('module', ORDER)
def test_a_module_imports_only_from_pages_and_rooms_above_it(module):
    above = ORDER[:ORDER.index(module)]
    assert imported(module) <= set(above), sorted(imported(module) - set(above))

@pytest.mark.parametrize('path', NUMBERED, ids=lambda p: p.stem)
def test_a_page_shows_itself_with_nothing_but_pages_above_it(path):
    code = '\n'.join(c['source'] for c in cells(path) if c['cell_type'] == 'code')
    used = set(re.findall(r'^ *(?:from|import) emotionwave\.(\w+\.\w+)', code, re.M)) & set(ORDER)
    below = {m for m, p in zip(ORDER, PAGES) if p.name > path.name}
    assert not used & below, sorted(used & below)

@pytest.mark.parametrize('module', ORDER)
def test_nobody_imports_private_names_of_another_module(module):
    ours = [n for n in ast.walk(syntax(module_file(module))) if isinstance(n, ast.ImportFrom)
            and (n.level or (n.module or '').startswith('emotionwave'))]
    assert not [a.name for n in ours for a in n.names if a.name.startswith('_') and a.name != '__version__']

def names_of(module):
    "Public names that a module defines: functions, classes and constants; not what it adds to a class."
    names = set()
    for n in syntax(module_file(module)).body:
        if isinstance(n, ast.FunctionDef):
            if not n.args.args or n.args.args[0].arg != 'self': names.add(n.name)
        elif isinstance(n, ast.ClassDef): names.add(n.name)
        elif isinstance(n, (ast.Assign, ast.AnnAssign)):
            for target in getattr(n, 'targets', None) or [n.target]:
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                names |= {x.id for x in parts if isinstance(x, ast.Name)}
    return {name for name in names if not name.startswith('_')}

def test_no_two_modules_give_one_public_name_to_two_things():
    where = {}
    for module in ORDER:
        for name in names_of(module): where.setdefault(name, []).append(module)
    assert not {name: modules for name, modules in where.items() if len(modules) > 1}

def test_no_name_is_a_module_and_a_thing():
    nouns = {m.split('.')[1] for m in ORDER} | set(ROOMS)
    assert not {(name, module) for module in ORDER for name in names_of(module) & nouns}

@pytest.mark.parametrize('room', ROOMS)
def test_a_room_opens_with_a_sentence_and_the_names_that_people_use(room):
    first, *others = syntax(ROOT / 'emotionwave' / room / '__init__.py').body
    assert isinstance(first, ast.Expr) and first.value.value.endswith('.')
    for n in others:
        assert isinstance(n, ast.ImportFrom) and n.level == 1, ast.unparse(n)
        assert f'{room}.{n.module}' in ORDER, ast.unparse(n)
        assert {a.name for a in n.names} <= names_of(f'{room}.{n.module}'), ast.unparse(n)

# Longer than a reader keeps in mind, and why each is in one piece.
LONG = {'hearing.features': 'families of features share one table of notes, and each is a table of names '
                            'and its function',
        'music.read': 'a file is read in one go from its first byte to its song, '
                      'with care and in haste alike',
        'music.tokens': 'ids, their grid and their grammar are one language'}
LINES = 450  # of code: blank lines and marks of cells left out

def lines_of_code(path):
    return sum(1 for line in path.read_text('utf-8').splitlines()
               if line.strip() and not line.startswith('# %%'))

def test_no_module_is_longer_than_a_reader_keeps_in_mind():
    long = {m: lines_of_code(module_file(m)) for m in ORDER}
    assert {m for m, n in long.items() if n > LINES} <= set(LONG), long
    assert all(n <= 1.3 * LINES for n in long.values()), long

@every_page
def test_page_opens_with_its_title_and_one_sentence(path):
    opening, second = cells(path)[:2]
    module = path.stem.split('_', 1)[1]
    title, sentence = re.fullmatch(r'# (.+)\n\n> (.+)', opening['source'].strip()).groups()
    assert opening['cell_type'] == 'markdown' and title == module.split('.')[1] and sentence.endswith('.')
    assert re.fullmatch(rf'#\| *default_exp {re.escape(module)}', second['source'].strip())

def test_index_opens_with_the_name_and_one_sentence():
    assert re.match(r'# EmotionWave\n\n> .+\.', cells(ROOT / 'nbs' / 'index.ipynb')[0]['source'])

@every_notebook
def test_notebook_is_fit_to_show(path):
    raw = json.loads(path.read_text('utf-8'))
    assert 'widgets' not in raw['metadata'] and not any('widgets' in c['metadata'] for c in raw['cells'])
    assert path.stat().st_size <= 500_000
    outputs = [o for c in raw['cells'] for o in c.get('outputs', [])]
    assert not [o for o in outputs if o['output_type'] == 'error']
    # warnings and progress bars
    assert not [text(o['text'])[:200] for o in outputs if o.get('name') == 'stderr']
    assert not [o for o in outputs
                if 'application/vnd.jupyter.widget-view+json' in o.get('data', {}) and len(o['data']) < 3]

def test_pages_and_modules_that_are_named_anywhere_exist():
    wrong, there = [], {p.name for p in NOTEBOOKS}
    known = {*ROOMS, *USED, 'cli', 'models'}
    for p in tracked():
        if p.suffix not in ('.ipynb', '.md', '.py', '.js') or p.name in ('_modidx.py', 'CHANGELOG.md'):
            continue
        said = p.read_text('utf-8') if p.suffix != '.ipynb' else '\n'.join(c['source'] for c in cells(p))
        wrong += [(p.name, n) for n in re.findall(r'(?<![\w/{*.-])(?:nbs/|\]\()([\w.]+\.ipynb)', said)
                  if n not in there]
        wrong += [(p.name, n) for n in re.findall(r'\bnbs/(\d\w+)(?![\w.]*\.ipynb)', said)
                  if f'{n}.ipynb' not in there]
        wrong += [(p.name, n) for n in re.findall(r'(?<![\w/.-])emotionwave\.([a-z]\w+)', said)
                  if n not in known]
    assert not wrong, sorted(set(wrong))

# a path of somebody's machine, an address in memory, or a name that pandas draws anew for a styled table:
# what a rerun would change; `set_uuid` names a table for good
MACHINE = re.compile(r'(?<![\w.<])(?:/(?:home|root|Users|work|tmp|mnt|media|workspace|var/folders)/'
                     r'|/opt/(?!homebrew)|[A-Z]:\\\\?Users)[\w./-]*'
                     r'|<[\w.]+ (?:object )?at 0x[0-9a-f]+>|<table id="T_[0-9a-f]{5}"')

@every_notebook
def test_notebook_shows_no_path_of_a_machine_no_address_and_no_name_drawn_at_random(path):
    seen = []
    for c in cells(path):
        seen.append(c['source'])
        for o in c.get('outputs', []):
            seen += [text(v) for k, v in {**o.get('data', {}), 'text/plain ': o.get('text', '')}.items()
                     if k.startswith('text/')]
    found = [m for s in seen for m in MACHINE.findall(re.sub(r'data:[\w/+-]+;base64,[\w+/=]+', '', s))]
    assert not found

def test_modules_hold_no_path_of_a_machine():
    for p in (ROOT / 'emotionwave').rglob('*.py'):
        assert not MACHINE.findall(p.read_text('utf-8')), p.name


# ---- README, CI, package

def test_readme_is_what_the_index_notebook_gives():
    from make_readme import readme
    assert (ROOT / 'README.md').read_text('utf-8') == readme(), 'run python tests/make_readme.py'

def blocks():
    return re.findall(r'^```bash *\n(.*?)^``` *$', (ROOT / 'README.md').read_text('utf-8'), re.M | re.S)

def test_readme_begins_with_the_two_commands():
    first, second = (b.strip() for b in blocks()[:2])
    assert re.search(r'pip install .*&& \S*emotionwave transfer samples/\S+\.mid --valence negative '
                     r'--output \S+\.mid$', first)
    assert re.search(r'pip install .*\.\[dev\].*&& \S*python -m pytest$', second)
    named = re.search(r'samples/\S+\.mid', first)[0]
    assert (ROOT / named).is_file()

def test_ci_runs_those_two_commands_as_they_stand_there(tmp_path):
    script = (ROOT / '.ci' / 'run').read_text('utf-8')
    assert (os.access(ROOT / '.ci' / 'run', os.X_OK) and script.startswith('#!/usr/bin/env bash\n')
            and '\nset -euo pipefail\n' in script)
    (tmp_path / '.ci').mkdir()
    (tmp_path / '.ci/run').write_text(script)
    page = ('# x\n\n```python\nno\n```\n\n```bash\necho one > one && \\\n  pwd >> '
            'one\n```\ntext\n\n```text\nno\n```\n\n```bash\necho two > two\n```\n\n```bash\necho three '
            '> three\n```\n')
    (tmp_path / 'README.md').write_text(page)
    subprocess.run(['bash', tmp_path / '.ci/run'], cwd=ROOT, check=True, capture_output=True)
    assert ((tmp_path / 'one').read_text() == f'one\n{tmp_path.resolve()}\n' and (tmp_path / 'two').is_file()
            and not (tmp_path / 'three').exists())
    for bad in ('# no blocks\n', page.replace('echo one >', 'false >')):
        (tmp_path / 'README.md').write_text(bad)
        assert subprocess.run(['bash', tmp_path / '.ci/run'], capture_output=True).returncode == 1

def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r'\]\((?!https?://|#|mailto:)([^)#]+)', (ROOT / 'README.md').read_text('utf-8')):
        assert (ROOT / target).exists(), target

def test_the_table_of_rooms_in_the_readme_lists_every_page_in_order():
    table = (ROOT / 'README.md').read_text('utf-8').split('## How it works')[1]
    rows = re.findall(r'^\| `(\w+)` \| (.*?) \| .+ \|$', table, re.M)
    assert [room for room, _ in rows if room in ROOMS] == ROOMS
    listed = [link for _, holds in rows for link in re.findall(r'\]\(nbs/(.+?)\.ipynb\)', holds)]
    assert listed == [p.stem for p in NUMBERED]

def test_the_picture_of_rooms_is_what_the_imports_give():
    from draw_rooms import PICTURE, picture
    assert PICTURE.read_text('utf-8') == picture(), 'run python tests/draw_rooms.py'

def test_versions_agree():
    import emotionwave
    settings = ConfigParser(delimiters=['='])
    settings.read(ROOT / 'settings.ini', 'utf-8')
    assert settings['DEFAULT']['version'] == emotionwave.__version__
    assert f'## {emotionwave.__version__}' in (ROOT / 'CHANGELOG.md').read_text('utf-8')

LIGHT = '''
import sys
import emotionwave
first = set(sys.modules)
import emotionwave.cli, emotionwave.music, emotionwave.sound, emotionwave.player
import emotionwave.hearing, emotionwave.data
heavy = {"torch", "sklearn", "matplotlib", "miditok", "music21", "IPython", "ipywidgets", "pandas", "pyarrow",
         "pretty_midi", "nbdev", "fastcore"}
print(sorted(heavy & first), "numpy" in first, sorted(heavy & set(sys.modules)))
'''

def test_importing_the_package_is_light_and_only_networks_and_what_runs_them_need_torch():
    said = subprocess.run([sys.executable, '-c', LIGHT], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout
    assert said.strip() == '[] False []'

USED = ['app', 'label', 'show', 'transfer']  # the names that people use, at the top

ALL = '''
import importlib, inspect, pkgutil, sys, types
import emotionwave
for m in pkgutil.walk_packages(emotionwave.__path__, 'emotionwave.'): importlib.import_module(m.name)
from emotionwave.generate import transfer
from emotionwave.widgets import app
assert (transfer, app) == (emotionwave.transfer, emotionwave.app)
assert set(USED) <= set(dir(emotionwave))
for again in range(2):
    for name in USED:
        thing = getattr(emotionwave, name)
        assert callable(thing) and not isinstance(thing, types.ModuleType), name
        assert thing.__doc__ and thing.__module__.startswith('emotionwave.'), name
        silent = set(inspect.signature(thing).parameters) - set(thing.docments)
        assert not silent and all(text in thing.__doc__ for text in thing.docments.values()), (name, silent)
    version = emotionwave.transfer(SAMPLE, 'negative', model=TINY, bars=(0, 2), candidates=1)
    assert len(version.song) and len(emotionwave.show(version.song).song) == len(version.song)
    assert emotionwave.label([SAMPLE])[0]['quadrant'] in (1, 2, 3, 4)
    assert emotionwave.app(model=TINY) is not None
try: getattr(emotionwave, 'nothing')
except AttributeError as e: assert "no attribute 'nothing'" in str(e)
else: raise SystemExit('found what is not there')
'''

def test_the_names_that_people_use_work_twice_after_every_import_and_help_explains_them(tiny, forks):
    sample = ROOT / 'samples' / 'minuet_in_g.mid'
    given = f'USED, SAMPLE, TINY = {USED}, {str(sample)!r}, {str(tiny)!r}\n'
    done = forks.run('-c', given + ALL)
    assert done.returncode == 0, done.stderr[-3000:]

def test_the_wheel_holds_models_the_mark_of_types_and_what_pages_need_beside_code(tmp_path):
    build = [sys.executable, 'setup.py', '-q', 'build', '--build-base', tmp_path / 'base', '--build-lib',
             tmp_path / 'lib']
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    beside = [p for p in tracked() if p.is_relative_to(ROOT / 'emotionwave') and p.suffix != '.py']
    missing = [p for p in beside if not (tmp_path / 'lib' / p.relative_to(ROOT)).is_file()]
    assert ROOT / 'emotionwave' / 'py.typed' in beside and not missing
    assert {p.parent.name for p in (tmp_path / 'lib' / 'emotionwave').glob('*/__init__.py')} >= set(ROOMS)

def test_the_library_never_imports_what_only_developers_have():
    for p in (ROOT / 'emotionwave').rglob('*.py'):
        names = set()
        for n in ast.walk(syntax(p)):
            if isinstance(n, ast.Import): names |= {a.name.split('.')[0] for a in n.names}
            elif isinstance(n, ast.ImportFrom) and n.module and not n.level:
                names.add(n.module.split('.')[0])
        assert not names & {'sklearn', 'miditok', 'music21', 'nbdev', 'fastcore', 'jupytext', 'pytest',
                            'pickle', 'dill', 'joblib'}, p.name

def test_nothing_in_the_library_prints():
    for m in ORDER:
        calls = [n for n in ast.walk(syntax(module_file(m)))
                 if isinstance(n, ast.Call) and getattr(n.func, 'id', '') == 'print']
        assert not calls, m

def test_no_file_is_a_pickle_or_too_large():
    for p in tracked():
        assert p.stat().st_size <= 16 * 2**20, p
        assert p.suffix not in ('.pkl', '.pickle', '.pt', '.pth', '.ckpt', '.joblib', '.npy', '.npz',
                                '.bin'), p
        start = p.open('rb').read(2)
        assert not (start[:1] == b'\x80' and start[1:] in (b'\2', b'\3', b'\4', b'\5')) and start != b'PK', p

@pytest.mark.parametrize('name',
                         ['beats', 'default', 'judge', 'labeller', 'listener', 'opinion', 'paper', 'reader'])
def test_shipped_models_are_safetensors_with_their_configuration(name):
    folder = ROOT / 'emotionwave' / 'models' / name
    assert {p.suffix for p in folder.iterdir() if p.is_file()} <= {'.safetensors', '.json', '.md'}
    config = json.loads((folder / 'config.json').read_text('utf-8'))
    assert config and (folder / 'model.safetensors').stat().st_size <= 16 * 2**20

@pytest.mark.slow
def test_the_default_checkpoint_loads_is_of_the_promised_size_and_has_a_card():
    from emotionwave.learn.checkpoint import default_checkpoint
    from emotionwave.learn.checkpoint import load_checkpoint
    model, tokens, facts = load_checkpoint(default_checkpoint())
    assert 3e6 <= sum(p.numel() for p in model.parameters()) <= 8e6
    from safetensors import safe_open
    with safe_open(default_checkpoint() / 'model.safetensors', 'pt') as f:
        assert {f.get_slice(k).get_dtype() for k in f.keys()} <= {'F16', 'BF16'}
    card = (default_checkpoint() / 'README.md').read_text('utf-8').lower()
    for word in ('licen', 'emopia', 'vgmidi', 'pop909', 'pop1k7', 'split'):
        assert word in card, word


# ---- style, and what runs for the public

def code_of(path):
    "Code of a module or of a page's cells, as syntax trees and their lines."
    if path.suffix == '.py': sources = [path.read_text('utf-8')]
    else: sources = [c['source'] for c in cells(path) if c['cell_type'] == 'code']
    for source in sources:
        source = re.sub(r'^([ ]*)[%!]\w.*$', r'\1pass', source, flags=re.M)      # magics
        yield ast.parse(source), source.split('\n')

def test_ruff_finds_nothing():
    pytest.importorskip('ruff')
    done = subprocess.run([sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise'],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr

def test_no_function_body_stands_behind_a_def_on_one_long_line():
    long = []
    modules = [p for p in (ROOT / 'emotionwave').rglob('*.py') if p.name != '_modidx.py']
    for path in [*modules, *NOTEBOOKS]:
        for tree, lines in code_of(path):
            defs = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
            long += [(path.name, n.name) for n in defs
                     if n.body[0].lineno == n.lineno and len(lines[n.lineno - 1]) > 100]
    assert not long

def pythons_promised():
    "Versions from the first to the last that the README names."
    first, last = re.search(r'Python 3\.(\d+) to 3\.(\d+)', (ROOT / 'README.md').read_text('utf-8')).groups()
    return [f'3.{minor}' for minor in range(int(first), int(last) + 1)]

def test_workflows_run_the_suite_and_the_wheel_on_every_system_and_python_that_is_promised():
    yaml = pytest.importorskip('yaml')
    flows = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))
    read = {p.stem: yaml.safe_load(p.read_text('utf-8')) for p in flows}
    # YAML reads `on` as true
    assert read and all({'name', True, 'jobs'} <= set(flow) for flow in read.values())
    jobs = read['tests']['jobs']
    settings = ConfigParser(delimiters=['='])
    settings.read(ROOT / 'settings.ini', 'utf-8')
    promised = pythons_promised()
    assert promised[0] == settings['DEFAULT']['min_python']
    assert jobs['suite']['strategy']['matrix']['python'] == promised
    assert jobs['package']['strategy']['matrix']['python'] == [promised[0], promised[-1]]
    for job in ('suite', 'package'):
        systems = jobs[job]['strategy']['matrix']['os']
        assert [s.split('-')[0] for s in systems] == ['ubuntu', 'macos', 'windows']
    assert any(step.get('run') == 'python -m pytest' for step in jobs['suite']['steps'])
    assert f'Python {promised[0]} to {promised[-1]}' in (ROOT / 'CONTRIBUTING.md').read_text('utf-8')

def test_workflows_ask_for_the_torch_that_the_package_asks_for():
    settings = (ROOT / 'settings.ini').read_text('utf-8')
    torch = re.search(r'^requirements = .*\b(torch\S+)', settings, re.M)[1]
    asked = re.findall(r'"(torch\S+)"', (ROOT / '.github' / 'workflows' / 'tests.yml').read_text('utf-8'))
    assert set(asked) == {torch}

def test_links_of_the_contributing_page_lead_somewhere():
    said = (ROOT / 'CONTRIBUTING.md').read_text('utf-8')
    for target in re.findall(r'\]\((?!https?://|#|mailto:)([^)#]+)', said):
        assert (ROOT / target).exists(), target

def test_a_file_that_is_too_large_or_carries_the_state_of_widgets_is_named(tmp_path, capsys):
    from fit_for_git import MOST, main
    good, bad, large = (tmp_path / n for n in ('good.ipynb', 'bad.ipynb', 'large.mid'))
    good.write_text(json.dumps(dict(cells=[], metadata={})))
    bad.write_text(json.dumps(dict(cells=[], metadata=dict(widgets={}))))
    with large.open('wb') as f: f.truncate(MOST + 1)
    assert main([good, tmp_path / 'gone.mid']) == 0 and capsys.readouterr().out == ''
    assert main([good, bad, large]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in said] == [str(bad), str(large)]
    assert 'widgets' in said[0] and '24 MB' in said[1]
