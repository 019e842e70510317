"Fetching corpora, from servers on this machine that behave badly; and archives that mean harm."
import gzip, hashlib, io, json, os, re, signal, stat, struct, subprocess, sys, tarfile
import threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np
import pytest
import emotionwave.data.downloads as data_downloads
from emotionwave.cli import main
from emotionwave.data.corpora import corpus_files
from emotionwave.data.downloads import download, Source, source_of, sources, unpack
from emotionwave.music.song import Song

ROOT = Path(__file__).parent.parent


# ---- a server with habits

class Server:
    "Serves `bodies`; what goes wrong is set by path."
    def __init__(self):
        self.bodies, self.tags, self.asked = {}, {}, []  # asked: (path, Range, If-Range)
        self.ranges, self.lengths, self.slow_s, self.wait = True, True, 0, None
        self.cut, self.answers, self.redirects = {}, {}, {}
        outer = self
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_): pass
            def do_GET(self): outer.answer(self)
        self.http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.daemon_threads, self.http.handle_error = True, lambda *_: None
        threading.Thread(target=self.http.serve_forever, kwargs=dict(poll_interval=.02), daemon=True).start()
        self.url = f'http://127.0.0.1:{self.http.server_address[1]}'

    def answer(self, h):
        path, wanted, condition = h.path, h.headers.get('Range'), h.headers.get('If-Range')
        self.asked.append((path, wanted, condition))
        if path in self.redirects:
            h.send_response(302)
            h.send_header('Location', self.redirects[path])
            h.send_header('Content-Length', '0')
            return h.end_headers()
        if self.answers.get(path):
            code, headers = self.answers[path].pop(0)
            h.send_response(code)
            for k, v in headers.items(): h.send_header(k, v)
            h.send_header('Content-Length', '0')
            return h.end_headers()
        body = self.bodies.get(path)
        if body is None: return h.send_error(404)
        tag, start = self.tags.get(path, '"one"'), 0
        if self.ranges and wanted and condition == tag:
            start = int(re.fullmatch(r'bytes=(\d+)-', wanted)[1])
            if start >= len(body):
                h.send_response(416)
                h.send_header('Content-Range', f'bytes */{len(body)}')
                h.send_header('Content-Length', '0')
                return h.end_headers()
        h.send_response(206 if start else 200)
        if start: h.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
        if tag: h.send_header('ETag', tag)
        if self.lengths: h.send_header('Content-Length', str(len(body) - start))
        h.end_headers()
        cuts = self.cut.get(path)
        rest = body[start:][:cuts.pop(0) if cuts else None]
        for i in range(0, len(rest), 1 << 14):
            if self.wait: self.wait.wait(5)
            h.wfile.write(rest[i:i + (1 << 14)])
            h.wfile.flush()
            if self.slow_s: time.sleep(self.slow_s)
        h.close_connection = True

    def ranges_asked(self, path): return [r for p, r, _ in self.asked if p == path]


@pytest.fixture
def server():
    s = Server()
    yield s
    s.http.shutdown()
    s.http.server_close()


def song_bytes(folder):
    Song(onset=480 * np.arange(16), duration=[480] * 16, pitch=range(60, 76),
         velocity=[64] * 16).save(folder / 'song.mid')
    return (folder / 'song.mid').read_bytes()


def zipped(files, comment=b''):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_STORED) as z:
        for name, body in files.items(): z.writestr(name, body)
        z.comment = comment
    return out.getvalue()


@pytest.fixture
def clips(tmp_path):
    "A small corpus as an archive of 200 KB."
    song = song_bytes(tmp_path)
    (tmp_path / 'song.mid').unlink()
    return zipped({'EMOPIA_9/midis/Q1_abc_0.mid': song, 'EMOPIA_9/midis/Q3_def_0.mid': song,
                   '__MACOSX/EMOPIA_9/midis/._Q1_abc_0.mid': b'x',
                   'EMOPIA_9/README.md': np.random.default_rng(0).bytes(200_000)})


def md5(body): return 'md5:' + hashlib.md5(body).hexdigest()

def source(server, body, path='/clips.zip', **fields):
    server.bodies[path] = body
    return Source(**{**dict(name='Clips', url=server.url + path, check=md5(body), licence='none',
                            page=server.url), **fields})

def left(folder): return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

FAST = dict(wait_s=0.001, timeout_s=5.)


# ---- fetching

def test_a_corpus_is_fetched_checked_and_unpacked_whole(server, clips, tmp_path):
    steps = []
    made = download(source(server, clips), tmp_path / 'in', lambda *s: steps.append(s))
    assert (made == tmp_path / 'in' / 'Clips' and left(tmp_path / 'in') == ['Clips']
            and left(made) == ['.emotionwave.json', 'README.md', 'midis'])
    assert [f.name for f in corpus_files(made)] == ['midis/Q1_abc_0.mid', 'midis/Q3_def_0.mid']
    assert steps[0] == (0, len(clips)) and steps[-1] == (len(clips), len(clips)) and steps == sorted(steps)
    assert json.loads((made / '.emotionwave.json').read_text())['check'] == md5(clips)
    if os.name == 'posix': assert stat.S_IMODE(made.stat().st_mode) == 0o755

def test_fetched_already_asks_nothing(server, clips, tmp_path):
    s = source(server, clips)
    assert download(s, tmp_path) == download(s, tmp_path) and len(server.asked) == 1

@pytest.mark.parametrize('kind', ['sha256', 'sha1', 'md5'])
def test_each_kind_of_checksum(kind, server, clips, tmp_path):
    assert download(source(server, clips, check=f'{kind}:{hashlib.new(kind, clips).hexdigest()}'),
                    tmp_path).is_dir()

def test_a_line_that_breaks_is_taken_up_where_it_broke(server, clips, tmp_path):
    server.cut['/clips.zip'] = [50_000, 70_000]
    steps = []
    download(source(server, clips), tmp_path, lambda *s: steps.append(s), **FAST)
    assert server.asked == [('/clips.zip', None, None), ('/clips.zip', 'bytes=50000-', '"one"'),
                            ('/clips.zip', 'bytes=120000-', '"one"')]
    assert steps == sorted(steps) and {t for _, t in steps} == {len(clips)}

def test_a_server_without_ranges_starts_anew(server, clips, tmp_path):
    server.ranges, server.cut['/clips.zip'] = False, [50_000, 70_000]
    download(source(server, clips), tmp_path, **FAST)
    assert len(server.asked) == 3

@pytest.mark.parametrize('tag', [None, 'W/"weak"'], ids=['no tag', 'weak'])
def test_without_a_sure_version_no_range_is_asked_for(tag, server, clips, tmp_path):
    server.tags['/clips.zip'], server.cut['/clips.zip'] = tag, [50_000]
    download(source(server, clips), tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None, None]

def test_a_file_that_changes_meanwhile_is_fetched_anew(server, clips, tmp_path):
    s = source(server, clips)
    server.bodies['/clips.zip'], server.tags['/clips.zip'] = b'old' * 60_000, '"old"'
    server.cut['/clips.zip'] = [90_000]
    with pytest.raises(ConnectionError, match='90000 bytes are kept, run it again'):
        download(s, tmp_path, tries=1, **FAST)
    assert left(tmp_path) == ['Clips.part', 'Clips.part.json']
    server.bodies['/clips.zip'], server.tags['/clips.zip'] = clips, '"new"'
    assert left(download(s, tmp_path, **FAST)) and server.asked[1] == ('/clips.zip', 'bytes=90000-', '"old"')

def test_a_part_of_another_version_under_the_same_tag_is_thrown_away_once(server, clips, tmp_path):
    s = source(server, clips)
    server.bodies['/clips.zip'], server.cut['/clips.zip'] = b'o' * len(clips), [90_000]
    with pytest.raises(ConnectionError): download(s, tmp_path, tries=1, **FAST)
    server.bodies['/clips.zip'] = clips
    download(s, tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None, 'bytes=90000-', None]

def test_a_part_of_another_address_is_not_gone_on_with(server, clips, tmp_path):
    server.cut['/old.zip'] = [90_000]
    with pytest.raises(ConnectionError):
        download(source(server, b'o' * 99_000, '/old.zip'), tmp_path, tries=1, **FAST)
    download(source(server, clips), tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None]

def test_a_whole_part_is_not_fetched_again(server, clips, tmp_path):
    s = source(server, clips, check='record:' + server.url + '/record')
    with pytest.raises(ConnectionError,
                       match="record's checksum could not be read.*what was fetched is kept"):
        download(s, tmp_path, **FAST)
    server.bodies['/record'] = json.dumps(dict(key='clips.zip', checksum=md5(clips),
                                               size=len(clips))).encode()
    download(s, tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None]

def test_a_file_that_has_become_shorter_is_fetched_anew(server, clips, tmp_path):
    s = source(server, clips)
    server.bodies['/clips.zip'], server.cut['/clips.zip'] = clips + b'x' * 100_000, [len(clips) + 50_000]
    with pytest.raises(ConnectionError): download(s, tmp_path, tries=1, **FAST)
    server.bodies['/clips.zip'] = clips
    download(s, tmp_path, **FAST)                                              # 416, then the whole
    assert server.ranges_asked('/clips.zip') == [None, f'bytes={len(clips) + 50_000}-', None]

def test_a_damaged_note_about_the_part_costs_only_the_part(server, clips, tmp_path):
    (tmp_path / 'Clips.part').write_bytes(b'?' * 1000)
    (tmp_path / 'Clips.part.json').write_text('{"url":')
    download(source(server, clips), tmp_path, **FAST)
    assert left(tmp_path) == ['Clips']

def test_a_length_that_is_not_said_is_done_without(server, clips, tmp_path):
    server.lengths, steps = False, []
    download(source(server, clips), tmp_path, lambda *s: steps.append(s), **FAST)
    assert steps[-1] == (len(clips), None)

def test_a_busy_server_is_asked_again(server, clips, tmp_path):
    server.answers['/clips.zip'] = [(503, {'Retry-After': '0'}), (429, {}), (500, {})]
    download(source(server, clips), tmp_path, **FAST)
    assert len(server.asked) == 4

def test_it_gives_up_after_some_tries_that_bring_nothing(server, clips, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(time, 'sleep', slept.append)
    server.answers['/clips.zip'] = [(503, {})] * 9
    with pytest.raises(ConnectionError, match='the server says 503.*is there a connection'):
        download(source(server, clips), tmp_path)
    assert slept == [1, 2, 4, 8] and len(server.asked) == 5 and left(tmp_path) == []

def test_progress_counts_the_tries_anew(server, clips, tmp_path):
    server.cut['/clips.zip'] = [20_000] * 9
    download(source(server, clips), tmp_path, tries=2, **FAST)
    assert len(server.asked) == 10

def test_not_found_is_told_at_once(server, tmp_path):
    with pytest.raises(ConnectionError, match='/clips.zip: the server says 404 Not Found; it may have moved'):
        download(Source('Clips', server.url + '/clips.zip', 'md5:0', 'none', server.url), tmp_path, **FAST)
    assert len(server.asked) == 1 and left(tmp_path) == []

def test_nobody_at_the_address(tmp_path):
    s = Source('Clips', 'http://127.0.0.1:9/x.zip', 'md5:0', 'none', '')
    with pytest.raises(ConnectionError, match='127.0.0.1:9/x.zip: .*is there a connection'):
        download(s, tmp_path, tries=2, **FAST)

def test_a_silent_server_is_not_waited_for_for_ever(server, clips, tmp_path):
    server.wait = threading.Event()
    with pytest.raises(ConnectionError, match='timed out'):
        download(source(server, clips), tmp_path, tries=1, wait_s=.001, timeout_s=.2)
    server.wait.set()

def test_redirects_are_followed_with_their_range(server, clips, tmp_path):
    server.redirects = {'/old': '/older', '/older': server.url + '/clips.zip'}
    server.cut['/clips.zip'] = [50_000]
    download(source(server, clips, url=server.url + '/old'), tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None, 'bytes=50000-']

def test_redirects_in_a_circle_end(server, clips, tmp_path):
    server.redirects = {'/a': '/b', '/b': '/a'}
    with pytest.raises(ConnectionError, match='302'):
        download(source(server, clips, url=server.url + '/a'), tmp_path, **FAST)

@pytest.mark.parametrize('to', ['file:///etc/passwd', 'ftp://127.0.0.1/x'])
def test_a_redirect_leads_to_no_file_of_this_machine(to, server, clips, tmp_path):
    server.redirects = {'/a': to}
    with pytest.raises(ConnectionError):
        download(source(server, clips, url=server.url + '/a'), tmp_path, **FAST)
    assert left(tmp_path) == []

def test_https_leads_to_nothing_unencrypted(monkeypatch):
    class Opener:  # as a server that answers with a redirect
        def __init__(self, handler): self.handler = handler()
        def open(self, request, timeout):
            return self.handler.redirect_request(request, None, 302, 'Found', {}, 'http://elsewhere/x')
    monkeypatch.setattr('urllib.request.build_opener', Opener)
    with pytest.raises(ValueError,
                       match='https://here/x: sends on to http://elsewhere/x, which is not encrypted'):
        data_downloads._open('https://here/x', 1)

def test_what_does_not_fit_on_the_disk_is_not_begun(server, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(data_downloads.shutil, 'disk_usage', lambda p: type('U', (), dict(free=1000)))
    with pytest.raises(OSError, match='MB are to come, 0 MB are free'):
        download(source(server, clips), tmp_path, **FAST)

def test_an_endless_answer_is_stopped(server, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(data_downloads, '_MOST_BYTES', 100_000)
    with pytest.raises(ValueError, match='more than any of the corpora; not fetched'):
        download(source(server, clips), tmp_path, **FAST)
    server.lengths = False
    with pytest.raises(ValueError, match='longer than any of the corpora; stopped'):
        download(source(server, clips), tmp_path, **FAST)


# ---- checking

def test_a_wrong_checksum_is_told_and_nothing_is_left(server, clips, tmp_path):
    with pytest.raises(ValueError, match=f'{md5(clips)[4:]}, and should be 0000.*thrown away.*the publisher '
                                         'has changed it'):
        download(source(server, clips, check='md5:0000'), tmp_path)
    assert left(tmp_path) == [] and len(server.asked) == 1

def test_the_commit_in_an_archive_is_checked(server, tmp_path):
    body = zipped({'top-abc/midis/Q1_x_0.mid': b'MThd'}, b'0123abc')
    assert download(source(server, body, check='commit:0123abc'), tmp_path / 'a').is_dir()
    with pytest.raises(ValueError, match='commit is 0123abc, and should be fff'):
        download(source(server, body, check='commit:fff'), tmp_path / 'b')
    with pytest.raises(ValueError, match='commit is no zip archive'):
        download(source(server, b'<html>', check='commit:fff'), tmp_path / 'b')

def test_the_record_of_a_file_is_asked_for_its_checksum(server, clips, tmp_path):
    server.bodies['/record'] = json.dumps(dict(key='clips.zip', checksum='md5:' + 32 * 'a'),
                                          indent=1).encode()
    s = source(server, clips, check=f'record:{server.url}/record')
    with pytest.raises(ValueError, match='should be aaaa'): download(s, tmp_path)
    server.bodies['/record'] = json.dumps(dict(checksum=md5(clips))).encode()
    assert download(s, tmp_path).is_dir()
    for wrong in (b'{}', b'\xff', b''):
        server.bodies['/record'] = wrong
        with pytest.raises(ConnectionError, match='checksum could not be read'):
            download(s, tmp_path / 'again')

def test_a_damaged_file_in_an_archive_whose_checksum_is_not_known(server, tmp_path):
    body = bytearray(zipped({'top/midis/Q1_x_0.mid': b'MThd' + bytes(1000)}, b'abc'))
    body[200] ^= 1
    with pytest.raises(ValueError, match='Clips.part: damaged.*CRC'):
        download(source(server, bytes(body), check='commit:abc'), tmp_path)
    assert left(tmp_path) == []


# ---- places

def test_what_is_there_is_not_written_over(server, clips, tmp_path):
    (tmp_path / 'Clips').mkdir()
    download(source(server, clips), tmp_path)                                  # an empty folder will do
    (tmp_path / 'b' / 'Clips').mkdir(parents=True)
    (tmp_path / 'b' / 'Clips' / 'mine.mid').write_bytes(b'x')
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c' / 'Clips').write_bytes(b'x')
    for d in 'bc':
        with pytest.raises(ValueError, match='is there, and was not made by download'):
            download(source(server, clips), tmp_path / d)
    assert left(tmp_path / 'b' / 'Clips') == ['mine.mid'] and len(server.asked) == 1

def test_archives_inside_and_files_beside(server, tmp_path):
    song = song_bytes(tmp_path)
    inner = zipped({'phrases/A_B_C_D_0.mid': song})
    server.bodies['/table.csv'] = b'midi,valence,arousal\nlabelled/phrases/A_B_C_D_0.mid,1,-1\n'
    s = source(server, zipped({'top/labelled/phrases.zip': inner, 'top/labelled/midi/A_B_C_D.mid': song,
                               'top/unlabelled/midi/x.mid': song}),
               inside=('labelled/phrases.zip', 'labelled/none.zip'),
               beside=(('vgmidi_labelled.csv', server.url + '/table.csv'),))
    made = download(s, tmp_path / 'in')
    assert {f.name: (f.valence, f.arousal)
            for f in corpus_files(made)} == {'labelled/midi/A_B_C_D.mid': (1, 0),
                                             'labelled/phrases/A_B_C_D_0.mid': (1, 0),
                                             'unlabelled/midi/x.mid': (None, None)}
    assert (not (made / 'labelled' / 'phrases.zip').exists()
            and left(made) == ['.emotionwave.json', 'labelled', 'unlabelled', 'vgmidi_labelled.csv'])

def test_an_evil_archive_inside_refuses_the_whole(server, tmp_path):
    s = source(server, zipped({'top/a.zip': zipped({'../../x': b'x'}), 'top/b.mid': b'MThd'}),
               inside=('a.zip',))
    with pytest.raises(ValueError, match="a.zip: refused, '../../x' climbs out"):
        download(s, tmp_path / 'in')
    assert left(tmp_path / 'in') == [] and left(tmp_path) == ['in']

def test_a_file_beside_that_fails_leaves_the_archive_for_next_time(server, clips, tmp_path):
    s = source(server, clips, beside=(('table.csv', server.url + '/table.csv'),))
    with pytest.raises(ConnectionError, match='table.csv: the server says 404'):
        download(s, tmp_path, **FAST)
    assert left(tmp_path) == ['Clips.part', 'Clips.part.json']
    server.bodies['/table.csv'] = b'a,b\n'
    assert 'table.csv' in left(download(s, tmp_path, **FAST)) and server.ranges_asked('/clips.zip') == [None]

def test_what_a_killed_run_left_is_cleared_away(server, clips, tmp_path):
    (tmp_path / '.Clips.x1' / 'midis').mkdir(parents=True)
    download(source(server, clips), tmp_path)
    assert left(tmp_path) == ['Clips']

def test_names_in_any_case_and_unknown_ones():
    assert source_of('maestro') is sources['MAESTRO']
    with pytest.raises(ValueError, match='no corpus Lakh to download; there are EMOPIA, '):
        source_of('Lakh')

def test_the_sources_are_whole():
    kinds = dict(md5=r'[0-9a-f]{32}', sha256=r'[0-9a-f]{64}', commit=r'[0-9a-f]{40}',
                 record=r'https://zenodo\.org/api/records/\d+/files/\S+\.zip')
    assert {'EMOPIA', 'VGMIDI', 'MAESTRO', 'POP909', 'Pop1K7', 'ASAP', 'PiJAMA'} <= set(sources)
    for name, s in sources.items():
        kind, _, value = s.check.partition(':')
        assert (s.name == name and s.url.startswith('https://') and s.page.startswith('https://')
                and s.licence and re.fullmatch(kinds[kind], value))
        if kind == 'commit': assert s.url == f'{s.page}/archive/{value}.zip'
        if kind == 'record': assert s.url == value + '/content'
        assert all(url.startswith('https://') for _, url in s.beside)


# ---- being stopped

CHILD = '''
import signal, sys
# a shell that starts jobs in the background has it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
from emotionwave.data.downloads import download, Source
name, url, check, folder = sys.argv[1:]
download(Source(name, url, check, "none", url), folder, lambda done, total: print(done, flush=True))
'''

@pytest.mark.skipif(sys.platform == 'win32', reason='signals')
@pytest.mark.parametrize('sign', [signal.SIGINT, signal.SIGKILL], ids=['stopped', 'killed'])
def test_stopped_in_the_middle_it_goes_on_where_it_was(sign, server, clips, tmp_path):
    s = source(server, clips)
    server.slow_s = .1
    child = subprocess.Popen([sys.executable, '-c', CHILD, s.name, s.url, s.check, str(tmp_path)],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             env=dict(os.environ, PYTHONPATH=str(ROOT)))
    while int(child.stdout.readline()) < 30_000: pass
    child.send_signal(sign)
    child.wait(20)
    child.stdout.close()
    assert left(tmp_path) == ['Clips.part', 'Clips.part.json']
    have, server.slow_s = (tmp_path / 'Clips.part').stat().st_size, 0
    assert 0 < have < len(clips)
    download(s, tmp_path, **FAST)
    assert server.ranges_asked('/clips.zip') == [None, f'bytes={have}-'] and left(tmp_path) == ['Clips']

@pytest.mark.parametrize('lengths', [True, False], ids=['length', 'no length'])
def test_stopped_while_unpacking_it_unpacks_anew(lengths, server, clips, tmp_path, monkeypatch):
    server.lengths = lengths
    original = data_downloads._write_plan
    def stop(*a):
        original(*a)
        raise KeyboardInterrupt
    monkeypatch.setattr(data_downloads, '_write_plan', stop)
    with pytest.raises(KeyboardInterrupt): download(source(server, clips), tmp_path)
    assert left(tmp_path) == ['Clips.part', 'Clips.part.json']
    monkeypatch.undo()
    download(source(server, clips), tmp_path)
    assert len(server.asked) == 1 and left(tmp_path) == ['Clips']


# ---- archives

def zip_of(path, *entries):
    "Entries of (name, body, mode)."
    with zipfile.ZipFile(path, 'w') as z:
        for name, body, mode in entries:
            info = zipfile.ZipInfo('x')
            info.filename, info.external_attr, info.create_system = name, mode << 16, 3
            z.writestr(info, body)
    return path

def tar_of(path, *entries):
    "Entries of (name, body, fields)."
    with tarfile.open(path, 'w:gz' if path.name.endswith('gz') else 'w') as t:
        for name, body, fields in entries:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            for k, v in fields.items(): setattr(info, k, v)
            t.addfile(info, io.BytesIO(body))
    return path

GOOD = ('good.mid', b'MThd')
EVIL = {
    'climbs': ('../evil', 'climbs out'), 'climbs deep': ('a/b/../../../evil', 'climbs out'),
    'climbs back': ('a/../b', 'climbs out'), 'absolute': ('/tmp/evil', 'absolute'),
    'backslash': ('..\\evil', 'climbs out'), 'drive': ('C:\\evil', 'absolute'),
    'drive slash': ('c:/evil', 'absolute'), 'share': ('\\\\host\\evil', 'absolute')}

@pytest.mark.parametrize('evil', EVIL)
@pytest.mark.parametrize('kind', ['zip', 'tar', 'tar.gz'])
def test_a_path_that_leads_out_refuses_the_whole(kind, evil, tmp_path):
    name, said = EVIL[evil]
    archive = (zip_of(tmp_path / 'a.zip', (*GOOD, 0), (name, b'x', 0)) if kind == 'zip'
               else tar_of(tmp_path / f'a.{kind}', (*GOOD, {}), (name, b'x', {})))
    with pytest.raises(ValueError, match=f'refused, .* {said}.*nothing was written'):
        unpack(archive, tmp_path / 'sub' / 'out')
    assert left(tmp_path) == [archive.name]

@pytest.mark.parametrize('mode', [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK],
                         ids=['link', 'pipe', 'character', 'block', 'socket'])
def test_links_and_devices_in_a_zip_are_refused(mode, tmp_path):
    with pytest.raises(ValueError, match='is a link, a device or encrypted'):
        unpack(zip_of(tmp_path / 'a.zip', (*GOOD, 0), ('x', b'/etc/passwd', mode | 0o777)), tmp_path / 'out')
    assert left(tmp_path) == ['a.zip']

@pytest.mark.parametrize('fields',
                         [dict(type=tarfile.SYMTYPE, linkname='/etc'),
                          dict(type=tarfile.SYMTYPE, linkname='good.mid'),
                          dict(type=tarfile.LNKTYPE, linkname='../x'),
                                    dict(type=tarfile.CHRTYPE), dict(type=tarfile.BLKTYPE),
                          dict(type=tarfile.FIFOTYPE)],
                         ids=['link out', 'link', 'hard link', 'character', 'block', 'pipe'])
def test_links_and_devices_in_a_tar_are_refused(fields, tmp_path):
    with pytest.raises(ValueError, match='is a link, a device or encrypted'):
        unpack(tar_of(tmp_path / 'a.tar.gz', (*GOOD, {}), ('x', b'', fields)), tmp_path / 'out')
    assert left(tmp_path) == ['a.tar.gz']

def test_a_link_and_then_a_file_through_it_is_refused(tmp_path):
    archive = tar_of(tmp_path / 'a.tar', ('d', b'', dict(type=tarfile.SYMTYPE, linkname='/tmp')),
                     ('d/evil', b'x', {}))
    with pytest.raises(ValueError, match='refused'): unpack(archive, tmp_path / 'out')

def test_an_encrypted_zip_is_refused(tmp_path):
    body = bytearray(zip_of(tmp_path / 'a.zip', ('x', b'x', 0)).read_bytes())
    body[body.rindex(b'PK\x01\x02') + 8] |= 1
    (tmp_path / 'a.zip').write_bytes(body)
    with pytest.raises(ValueError, match='encrypted'): unpack(tmp_path / 'a.zip', tmp_path / 'out')

def test_bombs_are_refused_by_what_they_declare(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr('zeros', bytes(20 << 20))
    with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz') as t:
        info = tarfile.TarInfo('zeros')
        info.size = 20 << 20
        t.addfile(info, io.BytesIO(bytes(info.size)))
    info = tarfile.TarInfo('huge')  # a header that promises far more than follows
    info.size = 1 << 50
    (tmp_path / 'b.tar.gz').write_bytes(gzip.compress(info.tobuf() + bytes(1024)))
    for name in ('a.zip', 'a.tar.gz', 'b.tar.gz'):
        with pytest.raises(ValueError, match='unpacks to more than any of the corpora; nothing was written'):
            unpack(tmp_path / name, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()

def test_a_zip_that_lies_about_sizes_is_stopped(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr('zeros', bytes(4 << 20))
    body = bytearray((tmp_path / 'a.zip').read_bytes())
    at = body.rindex(b'PK\x01\x02')
    body[at + 24:at + 28] = struct.pack('<I', 100)                             # in the directory: 100 bytes
    (tmp_path / 'a.zip').write_bytes(body)
    with pytest.raises(ValueError, match='damaged'): unpack(tmp_path / 'a.zip', tmp_path / 'out')
    assert sum(p.stat().st_size for p in (tmp_path / 'out').rglob('*') if p.is_file()) <= 100

def test_a_name_that_comes_twice_or_lies_in_a_file_is_refused(tmp_path):
    with pytest.warns(UserWarning): zip_of(tmp_path / 'a.zip', ('x/a', b'1', 0), ('x/a', b'2', 0))
    with pytest.raises(ValueError, match="'x/a' comes twice"):
        unpack(tmp_path / 'a.zip', tmp_path / 'out')
    with pytest.raises(ValueError, match="'X/A' comes twice"):
        unpack(zip_of(tmp_path / 'b.zip', ('x/a', b'1', 0), ('X/A', b'2', 0)), tmp_path / 'out')
    with pytest.raises(ValueError, match='lies in a file'):
        unpack(tar_of(tmp_path / 'c.tar', ('x', b'1', {}), ('x/a', b'2', {})), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()

@pytest.mark.parametrize('body',
                         [b'', b'not an archive', b'PK\x03\x04' + bytes(100), gzip.compress(b'no tar'),
                          b'\x1f\x8b' + bytes(50)], ids=['empty', 'text', 'zip head', 'gzip', 'gzip head'])
def test_what_is_no_archive_is_told(body, tmp_path):
    (tmp_path / 'a.part').write_bytes(body)
    with pytest.raises(ValueError, match='a.part: damaged, or no archive'):
        unpack(tmp_path / 'a.part', tmp_path / 'out')

@pytest.mark.parametrize('share', [.3, .6, .95])
@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_a_truncated_archive_is_told(kind, share, tmp_path):
    noise = np.random.default_rng(1).bytes(50_000)
    archive = (zip_of(tmp_path / 'a.zip', ('x', noise, 0), ('y', noise, 0)) if kind == 'zip'
               else tar_of(tmp_path / 'a.tar.gz', ('x', noise, {}), ('y', noise, {})))
    archive.write_bytes(archive.read_bytes()[:int(share * archive.stat().st_size)])
    with pytest.raises(ValueError, match='damaged, or no archive'):
        unpack(archive, tmp_path / 'out')

def test_the_one_folder_of_an_archive_is_left_out_only_if_asked(tmp_path):
    archive = tar_of(tmp_path / 'a.tar.gz', ('top', b'', dict(type=tarfile.DIRTYPE)),
                     ('./top/a.mid', b'1', {}), ('top/sub/b.mid', b'2', {}), ('__MACOSX/._a.mid', b'3', {}))
    assert (unpack(archive, tmp_path / 'all') == 2
            and sorted(p.relative_to(tmp_path / 'all').as_posix() for p in (tmp_path / 'all').rglob('*.mid'))
            == ['top/a.mid', 'top/sub/b.mid'])
    assert (unpack(archive, tmp_path / 'bare', strip=True) == 2
            and (tmp_path / 'bare' / 'sub' / 'b.mid').read_bytes() == b'2')
    with pytest.raises(FileExistsError): unpack(archive, tmp_path / 'bare', strip=True)

def test_an_evil_archive_leaves_nothing_of_a_download(server, tmp_path):
    body = zip_of(tmp_path / 'evil.zip', (*GOOD, 0), ('../../evil', b'x', 0)).read_bytes()
    with pytest.raises(ValueError, match='Clips.part: refused'):
        download(source(server, body), tmp_path / 'in')
    assert left(tmp_path / 'in') == [] and left(tmp_path) == ['evil.zip', 'in']


# ---- the command

def test_the_command_lists_what_there_is(capsys):
    assert main(['download']) == 0
    out = capsys.readouterr().out.splitlines()
    assert ([line.split()[0] for line in out] == list(sources)
            and all(s.licence in line and s.page in line for s, line in zip(sources.values(), out)))

def test_the_command_says_the_licence_and_then_fetches(server, clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sources, 'Clips', source(server, clips, licence='CC BY 4.0'))
    assert main(['download', 'clips', '--output', str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f'Clips: licence CC BY 4.0; {server.url}',
                                                    f'{tmp_path / "Clips"}: 2 MIDI files']

@pytest.mark.parametrize('args, said', [(['Clips', 'Lakh'], 'no corpus Lakh to download; there are EMOPIA'),
                                        (['gone'], 'the server says 404')], ids=['unknown', 'gone'])
def test_the_command_says_in_one_line_what_went_wrong(args, said, server, clips, tmp_path, capsys,
                                                      monkeypatch):
    monkeypatch.setitem(sources, 'Clips', source(server, clips))
    monkeypatch.setitem(sources, 'gone', Source('gone', server.url + '/gone', 'md5:0', 'none', server.url))
    assert main(['download', *args, '--output', str(tmp_path)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1 and said in err[0] and left(tmp_path) == []

def test_the_command_stopped_says_what_is_kept(server, clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sources, 'Clips', source(server, clips))
    monkeypatch.setattr(data_downloads, 'download', lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(['download', 'Clips', '--output', str(tmp_path)]) == 130
    says = f'emotionwave: stopped; {tmp_path / "Clips"}.part is kept, run it again to go on'
    assert capsys.readouterr().err.splitlines()[-1] == says
