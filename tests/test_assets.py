"""Scripts and styles that travel in the package: a linter reads them, a wheel holds them, pages get them
without their comments."""
import re, shutil, subprocess, sys, zipfile
from pathlib import Path
import pytest
from emotionwave.files.assets import asset

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'emotionwave'
SCRIPTS = sorted(PACKAGE.rglob('*.js'))
STYLES = sorted(PACKAGE.rglob('*.css'))

def names(paths): return [p.relative_to(PACKAGE).as_posix() for p in paths]

def test_the_player_the_app_and_the_report_have_files_of_their_own():
    assert (names(SCRIPTS) == ['player/player.js']
            and names(STYLES) == ['measure/report.css', 'player/player.css', 'widgets/app.css'])

@pytest.mark.parametrize('path', SCRIPTS, ids=names(SCRIPTS))
def test_a_script_is_valid_with_and_without_its_comments(path, tmp_path):
    node = shutil.which('node')
    if node is None: pytest.skip('checking a script needs node: apt install nodejs')
    bare = tmp_path / path.name
    bare.write_text(asset(path.relative_to(PACKAGE).as_posix()), 'utf-8')
    for script in (path, bare):
        done = subprocess.run([node, '--check', script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('path', SCRIPTS, ids=names(SCRIPTS))
def test_what_a_page_gets_of_a_script_has_neither_comments_nor_tags(path):
    bare = asset(path.relative_to(PACKAGE).as_posix())
    assert not re.search(r'^\s|^//|\n\n', bare, re.M) and '</' not in bare and '<!--' not in bare
    # indentation belongs to a text over several lines
    assert all(line.count('`') % 2 == 0 for line in bare.splitlines())

@pytest.mark.parametrize('path', STYLES, ids=names(STYLES))
def test_a_style_is_whole(path):
    bare = asset(path.relative_to(PACKAGE).as_posix())
    assert '/*' not in bare and '</' not in bare and bare.count('{') == bare.count('}') > 3
    declarations = [line for line in bare.splitlines() if not line.endswith(('{', ',', '}'))]
    assert all(re.fullmatch(r'[\w-]+: [^;]+;', line) for line in declarations)

@pytest.mark.parametrize('path', SCRIPTS + STYLES, ids=names(SCRIPTS + STYLES))
def test_lines_are_short_and_hold_one_statement(path):
    for line in path.read_text('utf-8').splitlines():
        assert len(line) <= 110 and line == line.rstrip() and '\t' not in line
        statement = re.sub(r"//.*|/\*.*\*/|'[^']*'|for \([^)]*\)", '', line)
        assert statement.count(';') <= 1, line

USES = '''
import emotionwave, sys
from pathlib import Path
assert Path(emotionwave.__file__).is_relative_to(sys.argv[1]), emotionwave.__file__
from emotionwave.music.song import Song
from emotionwave.player.player import player_html
from emotionwave.files.assets import asset
page = player_html(Song([0], [480], [60], [80]), sound=False)
assert 'class Roll' in page and '--accent' in page
assert '.ew-app' in asset('widgets/app.css') and 'th' in asset('measure/report.css')
'''

@pytest.mark.slow
def test_a_wheel_holds_every_room_and_what_is_read_from_them(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(PACKAGE, source / 'emotionwave',
                    ignore=shutil.ignore_patterns('__pycache__', '*.safetensors'))
    for name in ('setup.py', 'settings.ini', 'MANIFEST.in', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    done = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation',
                           '--quiet', '--wheel-dir', tmp_path, source],
                          capture_output=True, text=True, cwd=tmp_path)
    if 'No module named' in done.stderr and 'setuptools' in done.stderr:
        pytest.skip('building a wheel needs setuptools')
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob('*.whl'))) as wheel:
        held = set(wheel.namelist())
        wheel.extractall(tmp_path / 'installed')
    wanted = [p for ending in ('py', 'js', 'css', 'typed') for p in PACKAGE.rglob(f'*.{ending}')
              if '__pycache__' not in p.parts]
    missing = {p.relative_to(ROOT).as_posix() for p in wanted} - held
    assert not missing
    env = {'PYTHONPATH': str(tmp_path / 'installed')}
    subprocess.run([sys.executable, '-c', USES, str(tmp_path / 'installed')], check=True, cwd=tmp_path,
                   env=env)
