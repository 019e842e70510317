"""The app in a real browser: JupyterLab and Voila, seen and operated as a user would;
screenshots go to EMOTIONWAVE_SCREENSHOTS or tests/screenshots."""
import json, os, shutil, signal, socket, subprocess, sys, time, urllib.request, wave
from importlib.util import find_spec
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
SHOTS = Path(os.environ.get('EMOTIONWAVE_SCREENSHOTS') or ROOT / 'tests' / 'screenshots')
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync', '--mute-audio']
IDLE = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
ERROR = ('.jp-OutputArea [data-mime-type="application/vnd.jupyter.error"], '
         '.jp-OutputArea [data-mime-type="application/vnd.jupyter.stderr"]')
DIALOG = '.jp-Dialog .jp-mod-accept'
RAN = 'document.querySelector(".jp-CodeCell .jp-InputPrompt").textContent.match(/[1-9]/)'  # the first cell
WAIT = 60_000  # ms; a busy machine is slow, not wrong

def chromium():
    "The path of a Chromium that runs, or `None`."
    for name in (os.environ.get('CHROMIUM') or 'chromium', 'chromium-browser', 'google-chrome',
                 'google-chrome-stable'):
        path = shutil.which(name)
        if path and subprocess.run([path, '--version'], capture_output=True).returncode == 0:
            return path

def missing():
    "What is not there, in words, or `None`."
    for module in ('playwright', 'voila', 'jupyterlab', 'nbformat'):
        if find_spec(module) is None:
            return f'tests in a browser need {module}: pip install {module}'
    if chromium() is None:
        return 'tests in a browser need Chromium: apt install chromium, or set CHROMIUM to the path of one'

pytestmark = pytest.mark.browser

@pytest.fixture(scope='module')
def browser():
    if why := missing(): pytest.skip(why)
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield b
        b.close()


def serve(command, folder, url):
    "Start a server in a folder, with settings of its own, and wait until it answers; returns its process."
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', HOME=str(folder),
               EMOTIONWAVE_PLACE=str(folder / 'place'),
               **{f'JUPYTER_{k}_DIR': str(folder / k.lower()) for k in ('CONFIG', 'DATA', 'RUNTIME')},
               JUPYTER_PLATFORM_DIRS='1')
    settings = folder / 'config' / 'lab' / 'user-settings' / '@jupyterlab' / 'apputils-extension'
    settings.mkdir(parents=True, exist_ok=True)
    (settings / 'notification.jupyterlab-settings').write_text(
        '{"fetchNews": "false", "checkForUpdates": false}')
    tracker = settings.with_name('notebook-extension') / 'tracker.jupyterlab-settings'
    tracker.parent.mkdir(exist_ok=True)
    tracker.write_text('{"windowingMode": "none"}')  # cells that are not in sight stay in the page
    with open(folder / 'log', 'w') as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT,
                                  start_new_session=True)
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return server
        except OSError: time.sleep(.1)
        assert server.poll() is None, (folder / 'log').read_text()[-3000:]
    raise AssertionError((folder / 'log').read_text()[-3000:])

def end(server):
    os.killpg(server.pid, signal.SIGTERM)
    try: server.wait(4)
    except subprocess.TimeoutExpired: os.killpg(server.pid, signal.SIGKILL)

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def lay_out(folder, tiny):
    """A copy of the third notebook for Colab without outputs, set to a tiny checkpoint
    and few bars, and the place it works in."""
    import nbformat
    best = folder / 'place' / 'runs' / 'tiny' / 'best'
    shutil.copytree(tiny, best)
    config = json.loads((best / 'config.json').read_text())
    config['training'] = dict(step=0, fragments=0, best_valid_ce=0.)
    (best / 'config.json').write_text(json.dumps(config))
    nb = nbformat.read(ROOT / 'nbs' / 'colab' / '3_generate.ipynb', 4)
    for c in nb.cells:
        if c.cell_type == 'code': c.outputs, c.execution_count = [], None
    next(c for c in nb.cells
         if c.source.startswith('place =')).source += "\nmodel, most, last_bar = 'tiny', 1, 2"
    nb.metadata['kernelspec'] = dict(name='python3', display_name='Python 3', language='python')
    nbformat.write(nb, folder / '3_generate.ipynb')

def page_of_its_own(folder, tiny):
    "A notebook that holds the app alone."
    import nbformat
    cell = nbformat.v4.new_code_cell(f'from emotionwave.widgets import app\napp(model={str(tiny)!r})')
    nb = nbformat.v4.new_notebook(cells=[cell])
    nb.metadata['kernelspec'] = dict(name='python3', display_name='Python 3', language='python')
    nbformat.write(nb, folder / 'app.ipynb')

def opened(page, name):
    "Wait for the app; where it doesn't come, keep a picture of what came instead."
    try: page.wait_for_selector('.ew-app', timeout=WAIT)
    except Exception:
        shoot(page, f'{name}_without_the_app')
        raise

def run_whole(page, url):
    "Open the notebook, run all of it, and wait for the last cell."
    page.goto(url, timeout=WAIT)
    page.wait_for_selector('.jp-Notebook .jp-CodeCell', timeout=WAIT)
    page.wait_for_selector(IDLE, timeout=WAIT)                            # a kernel
    for _ in range(8):  # early in the life of a page a command may be lost
        try:
            page.click('.lm-MenuBar-itemLabel:text-is("Run")', timeout=3000)
            page.click('.lm-Menu [data-command="runmenu:run-all"]', timeout=3000)
            page.wait_for_function(f'() => document.querySelector({json.dumps(DIALOG)}) || {RAN}',
                                   timeout=10_000)
            # it asks for a kernel until the notebook's has come
            if page.locator(DIALOG).count():
                page.click(DIALOG, timeout=3000)
                continue
            page.wait_for_selector('.ew-app', timeout=WAIT)
            break        # or be lost after the first cell
        except Exception: page.keyboard.press('Escape')
    page.keyboard.press('Control+b')  # without the list of files there is room
    opened(page, 'lab')
    page.wait_for_function(f'() => {{ const p = [...document.querySelectorAll(".jp-CodeCell '
                           f'.jp-InputPrompt")]; return document.querySelector({json.dumps(ERROR)}) || '
                           f'p[p.length - 1].textContent.match(/[1-9]/) }}', timeout=3 * WAIT)

@pytest.fixture(scope='module')
def lab(browser, tmp_path_factory, tiny):
    "A page of JupyterLab in which all of 3_generate has been run."
    folder, port = tmp_path_factory.mktemp('lab'), free_port()
    lay_out(folder, tiny)
    server = serve([sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--port={port}',
                    '--ServerApp.port_retries=0', '--IdentityProvider.token=',
                    f'--ServerApp.root_dir={folder}'],
                   folder, f'http://127.0.0.1:{port}/api')
    page = browser.new_page(viewport=dict(width=1280, height=1400))
    try:
        url = f'http://127.0.0.1:{port}/lab/tree/3_generate.ipynb?reset'
        try: run_whole(page, url)
        except Exception: run_whole(page, url)  # a busy machine may have lost its kernel on the way
        failed = page.locator(ERROR).all_inner_texts()
        assert not failed, failed  # the last cell has run, and none has failed
        page.locator('.ew-app').scroll_into_view_if_needed()
        yield page
    finally: page.close(); end(server)

@pytest.fixture(scope='module')
def voila(browser, tmp_path_factory, tiny):
    "The app as a page of its own."
    folder, port = tmp_path_factory.mktemp('voila'), free_port()
    page_of_its_own(folder, tiny)
    server = serve([sys.executable, '-m', 'voila', 'app.ipynb', '--no-browser', f'--port={port}',
                    '--port_retries=0'], folder, f'http://127.0.0.1:{port}/voila/static/favicon.ico')
    page = browser.new_page(viewport=dict(width=1280, height=1000), color_scheme='dark')
    try:
        page.goto(f'http://127.0.0.1:{port}/', timeout=WAIT)
        opened(page, 'voila')
        yield page
    finally: page.close(); end(server)


def player(page, versions, words=''):
    """The frame of the player, once it shows so many versions and these words; a player that is just being
    replaced is passed over."""
    from playwright.sync_api import Error
    end_s = time.monotonic() + WAIT / 1000
    while time.monotonic() < end_s:
        found = page.query_selector('.ew-app iframe.emotionwave-player')
        try:
            page_of = found and found.get_attribute('srcdoc')
            if page_of and page_of.count('<section>') == versions and words in page_of:
                frame = found.content_frame()  # none of a player that has gone since
                if frame and frame.wait_for_selector('body[data-ready="1"]', timeout=5000):
                    return frame
        except Error: pass
        page.wait_for_timeout(50)
    shoot(page, 'no_player')
    raise AssertionError(f'no player of {versions} versions with {words!r}; the app says: '
                         f'{page.text_content(".ew-said")}')

def said(page, words):
    page.wait_for_function('words => (document.querySelector(".ew-said") || {}).textContent.includes(words)',
                           arg=words, timeout=WAIT)
    return page.text_content('.ew-said')

def control(page, label): return page.locator('.ew-app').get_by_label(label, exact=True)
def press(page, name): page.locator('.ew-app').get_by_role('button', name=name, exact=True).click()

def upload(page, path):
    with page.expect_file_chooser(timeout=WAIT) as chooser:
        page.locator('.ew-app').get_by_role('button', name='Upload a MIDI file').click()
    chooser.value.set_files(path)

def bars(page, last):
    control(page, 'to bar').fill(str(last))
    control(page, 'to bar').press('Enter')
    return player(page, 1, f'bars 1 to {last}')

def transfer(page, words=''):
    press(page, 'Transfer')
    frame = player(page, 2, words)
    said(page, 'Done')
    return frame

def at(frame): return float(frame.get_attribute('body', 'data-at'))

def shoot(page, name, *, width=None, scheme=None):
    SHOTS.mkdir(parents=True, exist_ok=True)
    if scheme: page.emulate_media(color_scheme=scheme)
    if width:
        page.set_viewport_size(dict(width=width, height=1400))
        page.wait_for_timeout(300)
    page.screenshot(path=SHOTS / f'{name}.png')

INK = '''i => {
    const c = document.querySelectorAll('canvas')[i];
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
    for (let k = 0; k < d.length; k += 4) seen.add((d[k] << 16) + (d[k + 1] << 8) + d[k + 2]);
    return [c.width, c.height, seen.size];
}'''

# without a loudspeaker Chromium sometimes stops the clock of what is audible: all is muted in truth, while
# the player sees what it asked for
MUTE = '''sounds.forEach(a => {
    const real = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'muted');
    let wanted = a.muted;
    real.set.call(a, true);
    Object.defineProperty(a, 'muted', {get: () => wanted, set: v => { wanted = v; }});
})'''

def check_player(page, frame, folder):
    """A new version with sound of the right length, rolls with something on them, and a
    playhead that moves with the sound."""
    from emotionwave.music.read import read_song
    from emotionwave.sound.synth import TAIL_S
    frame.wait_for_function('() => sounds.every(a => a.readyState >= 1)', timeout=WAIT)
    lasts_s = frame.evaluate('sounds.map(a => a.duration)')
    files = [save(page, frame, 'mid', i, folder) for i in (0, 1)]
    old, new = map(read_song, files)
    assert files[0].read_bytes() != files[1].read_bytes() and old != new
    piece = read_song(ROOT / 'samples' / 'minuet_in_g.mid').bars(0, 4)
    assert [c.tolist() for c in (old.onset, old.pitch)] == [c.tolist() for c in (piece.onset, piece.pitch)]
    wanted_s = max(float(s.seconds(s.end_tick)) for s in (old, new)) + TAIL_S
    assert all(abs(s - wanted_s) < .1 for s in lasts_s)
    peak = frame.evaluate('''async () => {
        const raw = atob(versions[1].sound.split(',')[1]), b = new Uint8Array(raw.length);
        for (let k = 0; k < raw.length; k++) b[k] = raw.charCodeAt(k);
        const heard = await new OfflineAudioContext(1, 1, data.rate).decodeAudioData(b.buffer);
        return heard.getChannelData(0).reduce((m, v) => Math.max(m, v), 0);
    }''')
    assert peak > .02                                                         # it isn't silence
    for i in (0, 1):
        width, height, colours = frame.evaluate(INK, i)
        assert width > 200 and height > 60 and colours > 8
    # nothing plays by itself
    assert at(frame) == 0 and frame.get_attribute('body', 'data-playing') == 'false'
    frame.evaluate(MUTE)
    frame.click('#play')
    frame.wait_for_function('() => +document.body.dataset.at > .4', timeout=WAIT)
    before = at(frame)
    frame.click('.pick >> nth=0')  # the other version, at the same place
    frame.wait_for_function('s => +document.body.dataset.at > s + .2', arg=before, timeout=WAIT)
    state = frame.evaluate('[active, ...sounds.map(a => a.muted), Math.abs(sounds[0].currentTime - '
                           'sounds[1].currentTime)]')
    assert (state[:3] == [0, False, True] and state[3] < .3
            and abs(frame.evaluate('sounds[0].currentTime') - at(frame)) < .3)
    box = frame.locator('canvas').nth(1).bounding_box()
    page.mouse.click(box['x'] + 30 + (box['width'] - 30) * .5, box['y'] + box['height'] / 2)
    assert (abs(at(frame) - frame.evaluate('view.start + view.span / 2')) < .5
            and frame.get_attribute('body', 'data-active') == '1')
    frame.press('body', ' ')                                                  # the keyboard does it, too
    assert frame.get_attribute('body', 'data-playing') == 'false'
    before = at(frame)
    frame.press('body', '1')
    frame.press('body', 'ArrowLeft')
    assert frame.get_attribute('body', 'data-active') == '0' and abs(before - at(frame) - 2) < .3
    frame.press('body', '2')

def save(page, frame, what, index, folder):
    with page.expect_download(timeout=WAIT) as d: frame.click(f'.{what} >> nth={index}')
    d.value.save_as(folder / d.value.suggested_filename)
    return folder / d.value.suggested_filename


def test_in_jupyterlab_a_song_is_chosen_transferred_heard_seen_and_saved(lab, tmp_path):
    control(lab, 'Song').select_option(label='minuet in g')
    player(lab, 1, 'Minuet in G<')
    bars(lab, 4)
    press(lab, '☺ Happier')
    lab.wait_for_function('() => document.querySelector(".ew-happy").classList.contains("ew-on")',
                          timeout=WAIT)
    assert control(lab, 'Valence').input_value() == '1'
    control(lab, 'Valence').fill('0.2')
    control(lab, 'Valence').press('Enter')
    frame = transfer(lab, 'valence 0.2')
    assert frame.text_content('.pick >> nth=1') == 'Sadder'
    check_player(lab, frame, tmp_path)
    shoot(lab, 'lab_1280_light')
    assert {p.name for p in tmp_path.glob('*.mid')} == {'Minuet_in_G_original.mid', 'Minuet_in_G_sadder.mid'}
    with wave.open(str(save(lab, frame, 'wav', 1, tmp_path))) as f:
        assert abs(f.getnframes() / f.getframerate() - frame.evaluate('sounds[1].duration')) < .2
    shoot(lab, 'lab_800_dark', width=800, scheme='dark')
    shoot(lab, 'lab_800_light', scheme='light')
    lab.set_viewport_size(dict(width=1280, height=1400))

def test_in_jupyterlab_an_earlier_result_comes_back(lab):
    control(lab, 'Seed').fill('7')
    control(lab, 'Seed').press('Enter')
    transfer(lab, 'seed 7')
    results = control(lab, 'Results')
    assert results.locator('option').count() == 3
    results.select_option(index=2)
    player(lab, 2, 'seed 0')

def test_in_jupyterlab_cancel_cancels(lab):
    press(lab, 'All')
    player(lab, 1, 'bars 1 to 32')
    press(lab, 'Transfer')
    lab.wait_for_selector('.ew-progress', timeout=WAIT)
    assert lab.locator('.ew-app').get_by_role('button', name='Transfer').is_disabled()
    press(lab, 'Cancel')
    said(lab, 'Cancelled')
    lab.wait_for_function('() => !document.querySelector(".ew-go").disabled', timeout=WAIT)
    assert lab.locator('.ew-progress').count() == 0 and control(lab, 'Results').locator('option').count() == 3

def test_in_jupyterlab_a_broken_upload_says_what_is_wrong_and_a_good_one_is_taken(lab, tmp_path):
    control(lab, 'Choose from').select_option(label='Your own file')
    broken = tmp_path / '<img src=x onerror=document.title=1>.mid'
    broken.write_bytes(b'words, not music')
    upload(lab, broken)
    words = said(lab, 'not a MIDI file')
    assert '<img src=x onerror' in words and lab.locator('.ew-said img').count() == 0
    assert lab.locator('.ew-said[role=alert]').count() == 1
    shoot(lab, 'lab_broken_upload')
    good = tmp_path / '<img src=x onerror=document.title=2>.mid'
    good.write_bytes((ROOT / 'samples' / 'greensleeves.mid').read_bytes())
    upload(lab, good)
    said(lab, 'notes.')
    assert [t.replace('\xa0', ' ')
            for t in control(lab, 'Song').locator('option').all_inner_texts()] == [good.name]
    player(lab, 1, 'Greensleeves')
    bars(lab, 2)
    transfer(lab, 'Greensleeves')
    assert lab.locator('.ew-app img').count() == 0 and lab.title() not in '12'

def test_in_jupyterlab_another_is_another_and_what_was_done_is_said(lab):
    before, seed = lab.text_content('.ew-said'), control(lab, 'Seed').input_value()
    press(lab, 'Another')
    lab.wait_for_function('''before => {
        const said = document.querySelector('.ew-said').textContent;
        const told = document.querySelector('.ew-told');
        return said != before && said.startsWith('Done') && told && said.includes(told.textContent);
    }''', arg=before, timeout=WAIT)
    assert control(lab, 'Seed').input_value() != seed and 'changed' in lab.text_content('.ew-told')
    shoot(lab, 'lab_another')

def test_in_voila_the_same_app_works(voila, tmp_path):
    assert 'A folder' not in control(voila, 'Choose from').inner_text()  # strangers don't look around here
    control(voila, 'Song').select_option(label='minuet in g')
    player(voila, 1, 'Minuet in G<')
    bars(voila, 4)
    press(voila, '☹ Sadder')
    frame = transfer(voila)
    check_player(voila, frame, tmp_path)
    shoot(voila, 'voila_1280_dark')
    shoot(voila, 'voila_800_light', width=800, scheme='light')
