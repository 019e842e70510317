"""The app without a browser: what each control does, threads, uploads of both versions of ipywidgets, hostile
names, never twice at once."""
import sys, threading, time
from datetime import datetime, timezone
from html import unescape
from pathlib import Path
import pytest
import emotionwave.music.keys as music_keys
import emotionwave.widgets.inputs as widgets_inputs
import emotionwave.widgets.panel as widgets_panel
from emotionwave.generate.versions import Result, write_versions
from emotionwave.music.song import Song, only
from emotionwave.music.read import read_song
from emotionwave.widgets.inputs import read_upload, songs_in, uploads
from emotionwave.widgets.words import feeling, heard_html, progress_html, said_html
from emotionwave.widgets.jobs import Background, Cancelled
from emotionwave.widgets.panel import app, App

SAMPLES = Path(__file__).parent.parent / 'samples'
MINUET = (SAMPLES / 'minuet_in_g.mid').read_bytes()
HOSTILE = '<img src=x onerror=alert(1)>"\'&.mid'

pytest.importorskip('ipywidgets')

def transferred(a):
    "Click the button that writes, and wait for the version."
    a.controls.go.click()
    a.wait()

def labels(a): return [label for label, _ in a.controls.piece.options]

def players(html): return html.count('&lt;section&gt;')

@pytest.fixture
def mine(tiny):
    made = App(model=str(tiny), bars=2)
    made.wait()
    yield made
    made.stop()
    made.wait()

def put(a, name, data):
    "Upload a file the way the installed ipywidgets does."
    import ipywidgets
    upload = a.controls.upload
    about = dict(name=name, type='audio/midi', size=len(data))
    if ipywidgets.__version__.startswith('7'):
        upload.set_trait('data', [data])
        upload.set_trait('metadata', [dict(about, lastModified=0)])
        upload.set_trait('_counter', upload._counter + 1)
    else:
        modified = datetime(2026, 1, 1, tzinfo=timezone.utc)
        upload.value = (dict(about, content=memoryview(data), last_modified=modified),)

class Slow:
    "Stands in for `write_versions`: waits for a word before it ends."
    def __init__(self): self.go, self.calls, self.started = threading.Event(), [], threading.Event()

    def __call__(self, song, valences, callback=None, bars=None, seed=0, **settings):
        self.calls.append((valences, bars, seed, settings))
        self.started.set()
        part = song.bars(*bars)
        for k in range(1, 201):
            callback(k, 200)
            if self.go.wait(.02): break
        new = part.replace(pitch=part.pitch - 1)
        return [Result(new, part, v, music_keys.find_key(part), seed) for v in valences]

@pytest.fixture
def slow(monkeypatch):
    made = Slow()
    monkeypatch.setattr(widgets_panel, 'write_versions', made)
    yield made
    made.go.set()


# ---- choosing

def test_app_opens_with_the_samples_and_shows_the_first(mine):
    controls = mine.controls
    assert list(controls.source.options) == ['Samples', 'A folder', 'Your own file']
    assert 'minuet in g' in labels(mine) and not any(label.endswith((' 1', ' 2')) for label in labels(mine))
    assert mine.songs.song == read_song(controls.piece.value)
    assert (controls.first.value, controls.last.value) == (1, 2)
    assert controls.stage.value.startswith('<iframe') and players(controls.stage.value) == 1
    assert not controls.go.disabled and controls.cancel.disabled

def test_another_song_is_shown_when_it_is_chosen(mine):
    mine.controls.piece.value = dict(mine.controls.piece.options)['gymnopedie']
    mine.wait()
    assert 'Gymnop' in mine.controls.stage.value and mine.controls.last.max == 39

def test_only_the_last_of_several_wishes_is_shown(mine):
    songs = dict(mine.controls.piece.options)
    for name in ('gymnopedie', 'arabesque', 'ode to joy'): mine.controls.piece.value = songs[name]
    mine.wait()
    assert 'Ode to Joy' in mine.controls.stage.value

def test_bars_stay_in_order_and_within_the_piece(mine):
    first, last = mine.controls.first, mine.controls.last
    last.value = 5
    first.value = 9
    assert (first.value, last.value) == (9, 9)
    mine.controls.whole.click()
    assert (first.value, last.value) == (1, first.max)
    last.value = 10**6
    assert last.value == last.max

def test_a_folder_is_listed_and_a_wrong_one_is_named(mine, tmp_path):
    controls = mine.controls
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'empty').mkdir()
    for name in ('deep/b_song.MID', 'a.midi', 'a_1.midi'): (tmp_path / name).write_bytes(MINUET)
    (tmp_path / 'bad.mid').write_bytes(b'nothing')
    (tmp_path / 'notes.txt').write_text('x')
    controls.source.value = 'A folder'
    assert controls.piece.layout.display == 'none' and controls.go.disabled
    assert controls.folder.layout.display == ''
    controls.folder.value = str(tmp_path)
    assert labels(mine) == ['a', 'bad', 'deep/b song'] and not controls.go.disabled
    controls.piece.value = tmp_path / 'bad.mid'
    said = controls.said.value
    assert 'role="alert"' in said and 'bad.mid: not a MIDI file' in said and str(tmp_path) not in said
    assert controls.go.disabled
    controls.piece.value = tmp_path / 'a.midi'
    assert 'alert' not in controls.said.value and not controls.go.disabled
    controls.folder.value = str(tmp_path / 'none')
    assert 'no such folder' in controls.said.value
    controls.folder.value = str(tmp_path / 'empty')
    assert 'no MIDI files' in controls.said.value

def test_a_folder_may_be_given(tiny, tmp_path):
    (tmp_path / 'a.mid').write_bytes(MINUET)
    a = app(tmp_path, model=str(tiny), bars=2)
    a.wait()
    assert a.controls.source.value == 'Folder' and labels(a) == ['a']
    assert a.controls.folder.layout.display == ''
    (tmp_path / 'next').mkdir()
    (tmp_path / 'next' / 'b.mid').write_bytes(MINUET)
    a.controls.folder.value = str(tmp_path / 'next')
    a.wait()
    assert labels(a) == ['b']
    a = app(tmp_path, model=str(tiny), bars=2, browse=False)
    a.wait()
    assert labels(a) == ['a', 'next/b'] and a.controls.folder.layout.display == 'none'

def test_without_samples_there_are_a_folder_and_an_upload(tiny, monkeypatch):
    monkeypatch.setattr(widgets_panel, 'sample_folder', lambda: None)
    a = app(model=str(tiny))
    a.wait()
    assert list(a.controls.source.options) == ['A folder', 'Your own file'] and a.songs.song is None
    assert a.controls.go.disabled and 'Write the path' in a.controls.said.value
    assert 'run this cell' in a._repr_mimebundle_()['text/html']

def test_strangers_in_voila_cannot_look_around(tiny, monkeypatch):
    monkeypatch.setenv('VOILA_REQUEST_URL', 'http://somewhere/')
    a = app(model=str(tiny), bars=2)
    a.wait()
    assert list(a.controls.source.options) == ['Samples', 'Your own file']
    assert a.controls.folder.layout.display == 'none'

def test_long_folders_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(widgets_inputs, 'MAX_LISTED', 5)
    for k in range(9): (tmp_path / f'{k}.mid').write_bytes(b'')
    assert len(songs_in(tmp_path)) == 5


# ---- uploads

def test_uploads_of_both_versions_of_ipywidgets_are_read_alike():
    seven = {HOSTILE: {'metadata': {'name': HOSTILE, 'size': len(MINUET)}, 'content': MINUET}}
    eight = ({'name': HOSTILE, 'type': 'audio/midi', 'size': len(MINUET), 'content': memoryview(MINUET),
              'last_modified': None},)
    assert uploads(seven) == uploads(eight) == [(HOSTILE, MINUET)]
    assert uploads({}) == uploads(()) == []

def test_an_uploaded_file_is_taken_and_chosen(mine):
    controls = mine.controls
    controls.source.value = 'Your own file'
    assert controls.go.disabled and 'Upload' in controls.said.value
    put(mine, 'mine.mid', MINUET)
    mine.wait()
    assert list(controls.piece.options) == [('mine.mid', 'mine.mid')]
    assert mine.songs.song == read_song(SAMPLES / 'minuet_in_g.mid') and not controls.go.disabled
    assert 'mine.mid' in controls.said.value and controls.stage.value.startswith('<iframe')
    put(mine, 'other.mid', (SAMPLES / 'gymnopedie.mid').read_bytes())
    mine.wait()
    assert controls.piece.value == 'other.mid' and len(controls.piece.options) == 2

BAD_UPLOADS = {
    'empty': (b'', 'empty'),
    'text': (b'no music', 'not a MIDI file'),
    'half': (MINUET[:60], 'truncated'),
    'large': (MINUET + bytes(3_000_000), 'MB; files up to 2 MB are taken'),
}

@pytest.mark.parametrize('data, words', BAD_UPLOADS.values(), ids=BAD_UPLOADS)
def test_a_bad_upload_is_refused_in_words_with_its_name_as_text(mine, data, words):
    mine.controls.source.value = 'Your own file'
    put(mine, HOSTILE, data)
    said = mine.controls.said.value
    assert 'role="alert"' in said and words in said and '<img' not in said
    assert HOSTILE in unescape(said) and 'upload.mid' not in said
    assert not mine.controls.piece.options and mine.controls.go.disabled

def test_a_hostile_name_stays_text_everywhere(mine, slow):
    slow.go.set()
    controls = mine.controls
    title = '<script>alert(1)</script><img src=x onerror=alert(2)>'
    song = read_song(SAMPLES / 'minuet_in_g.mid').replace(name=title)
    controls.source.value = 'Your own file'
    put(mine, HOSTILE, bytes(widgets_bytes(song)))
    mine.wait()
    transferred(mine)
    assert 'Done' in controls.said.value
    for html in (controls.said.value, controls.stage.value, controls.heard.value, mine.picture()):
        assert '<script' not in html and '<img src=x' not in html
    inner = unescape(controls.stage.value.split('srcdoc="')[1].split('" style=')[0])
    assert inner.count('<script') == 2 and '<img' not in inner                # the two of the player's own

def widgets_bytes(song):
    from emotionwave.music.convert import to_symusic
    return to_symusic(song).dumps_midi()

def test_an_untitled_upload_is_named_after_its_file():
    minuet = read_song(SAMPLES / 'minuet_in_g.mid')
    untitled = Song(minuet.onset, minuet.duration, minuet.pitch, minuet.velocity, minuet.tpq)
    song = read_upload('my song.mid', bytes(widgets_bytes(untitled)))
    assert song.name == 'my song'


# ---- valence

def test_buttons_slider_and_number_agree(mine):
    controls = mine.controls
    def marked(button): return 'ew-on' in button._dom_classes
    controls.happy.click()
    assert controls.valence.value == controls.valence_track.value == 1 and marked(controls.happy)
    controls.valence_track.value = .3
    assert controls.valence.value == .3 and not marked(controls.happy) and not marked(controls.sad)
    controls.sad.click()
    assert controls.valence.value == 0 and marked(controls.sad)

def test_what_is_not_asked_for_stays_as_it_is(mine):
    controls = mine.controls
    assert controls.rhythm.label == controls.polyphony.label == 'as it is'    # and not a blank
    assert controls.asked()['rhythm'] is None and controls.asked()['polyphony'] is None
    controls.rhythm.value = 0
    assert controls.asked()['rhythm'] == 0


# ---- transferring

def test_a_transfer_gives_what_versions_gives_and_shows_both(mine, tiny):
    controls = mine.controls
    controls.valence.value = .7
    controls.strength.value = 1.5
    controls.likeness_track.value = .8
    controls.keep.value = ('melody',)
    controls.rhythm.value = 5
    controls.candidates.value = 2
    controls.seed.value = 3
    controls.go.click()
    assert controls.go.disabled and not controls.cancel.disabled and controls.piece.disabled
    mine.wait()
    same = write_versions(mine.songs.song, [.7], strength=1.5, likeness=.8, keep='melody', rhythm=5,
                          candidates=2, seed=3, bars=(0, 2), model=str(tiny))[0]
    assert mine.result.song == same.song
    assert players(controls.stage.value) == 2
    assert 'Happier' in controls.stage.value and 'melody kept' in controls.stage.value
    assert 'Done' in controls.said.value and controls.progress.value == ''
    assert not controls.go.disabled and controls.cancel.disabled and not controls.piece.disabled
    assert controls.history.layout.display == ''

def test_a_version_with_the_notes_of_the_piece_says_so(mine):
    mine.controls.strength.value = 0.
    transferred(mine)
    said = mine.controls.said.value
    assert mine.result.same_notes
    assert 'these are the notes of the piece' in said and 'try strength 1' in said

class Stubborn:
    "Stands in for `write_versions`: gives the piece back, and another tune only from a likeness down."
    def __init__(self, most): self.most, self.asked = most, []

    def __call__(self, song, valences, callback=None, bars=None, seed=0, likeness=1., **settings):
        self.asked.append((likeness, seed))
        part = song.bars(*bars)
        new = part.replace(pitch=part.pitch - 1) if likeness <= self.most else part
        return [Result(new, part, v, music_keys.find_key(part), seed, likeness=likeness) for v in valences]

def test_another_goes_down_in_likeness_until_the_music_differs(mine, monkeypatch):
    stubborn = Stubborn(.6)
    monkeypatch.setattr(widgets_panel, 'write_versions', stubborn)
    before = mine.controls.seed.value
    mine.controls.dice.click()
    mine.wait()
    assert [likeness for likeness, _ in stubborn.asked] == [1., .8, .6]
    assert {seed for _, seed in stubborn.asked} == {mine.controls.seed.value} != {before}
    assert mine.controls.likeness.value == .6 == mine.result.likeness
    assert 'likeness 0.6' in mine.controls.stage.value
    assert 'Done at likeness 0.6, as it came out the same above it' in mine.controls.said.value

def test_another_says_that_there_is_no_other(mine, monkeypatch):
    monkeypatch.setattr(widgets_panel, 'write_versions', Stubborn(1.))
    controls = mine.controls
    controls.dice.click()
    mine.wait()
    assert controls.likeness.value == 1 and len(mine.stage.results) == 1
    controls.dice.click()                                 # all that comes is what was shown before
    mine.wait()
    assert 'There is no other version' in controls.said.value and 'alert' not in controls.said.value
    assert controls.likeness.value == 1 and len(mine.stage.results) == 1 and not controls.go.disabled

def test_another_is_by_another_seed(mine, slow):
    slow.go.set()
    seeds = set()
    for _ in range(3):
        mine.stage.results = []
        mine.controls.dice.click()
        mine.wait()
        seeds.add(mine.result.seed)
    assert len(seeds) > 1 and {seed for _, _, seed, _ in slow.calls} == seeds

def test_what_was_done_is_said_and_comes_back_with_an_earlier_result(mine, slow):
    slow.go.set()
    controls = mine.controls
    transferred(mine)
    sentence = unescape(mine.result.sentence)
    assert 'pitches changed' in sentence
    assert sentence in unescape(controls.said.value) and sentence in unescape(controls.heard.value)
    controls.history.value = -1
    mine.wait()
    assert sentence not in unescape(controls.heard.value)
    controls.history.value = 0
    mine.wait()
    assert sentence in unescape(controls.heard.value)

def test_the_app_hears_what_the_command_hears(mine, tmp_path):
    from emotionwave.hearing.labels import label_files
    transferred(mine)
    mine.result.save(tmp_path / 'new.mid')
    mine.result.source.save(tmp_path / 'old.mid')
    rows = label_files([tmp_path / 'old.mid', tmp_path / 'new.mid'])
    heard = [f'{row["valence"]:.2f}' for row in rows]
    assert [f'{p:.2f}' for p in mine.result.figures['valence']] == heard
    assert all(f'<b>{p}</b>' in mine.controls.heard.value for p in heard)
    assert f'heard {heard[0]} → {heard[1]}' in mine.result.line

def test_it_never_runs_twice_at_once(mine, slow):
    mine.controls.go.click()
    assert slow.started.wait(5)
    for _ in range(5):
        mine.controls.go.click()
        mine.transfer()
    assert len(slow.calls) == 1 and mine.job.busy
    slow.go.set()
    mine.wait()
    transferred(mine)
    assert len(slow.calls) == 2 and len(mine.stage.results) == 2

def test_the_click_returns_at_once_and_progress_is_shown(mine, slow):
    start = time.monotonic()
    mine.controls.go.click()
    assert time.monotonic() - start < 2 and mine.job.busy
    assert slow.started.wait(5)
    time.sleep(.1)
    progress = mine.controls.progress
    assert 'role="progressbar"' in progress.value and 'aria-valuemax="200"' in progress.value
    assert 'of 200 bars' in mine.controls.said.value
    slow.go.set()
    mine.wait()
    assert progress.value == ''

def test_cancel_cancels_and_changes_nothing(mine, slow):
    controls = mine.controls
    before = controls.stage.value
    controls.go.click()
    assert slow.started.wait(5)
    controls.cancel.click()
    assert 'Cancelling' in controls.said.value and controls.cancel.disabled
    mine.wait(5)
    assert 'Cancelled' in controls.said.value and controls.progress.value == ''
    assert mine.stage.results == [] and controls.stage.value == before
    assert not mine.job.busy and not controls.go.disabled
    slow.go.set()
    transferred(mine)                                                         # and it works again
    assert len(mine.stage.results) == 1

def test_cancel_without_work_does_nothing(mine):
    said = mine.controls.said.value
    mine.stop()
    assert mine.controls.said.value == said

@pytest.mark.parametrize('error, words', [
    (ValueError('strength must be from 0.0 to 10.0, got <b>'), 'strength must be'),
    (KeyError('x'), 'This should not have happened (KeyError'),
    (FileNotFoundError('models/x: no such folder'), 'no such folder'),
    (MemoryError(), 'MemoryError'),
])
def test_an_error_is_said_in_words_and_the_app_goes_on(mine, slow, monkeypatch, error, words, capsys):
    def fail(*a, **k): raise error
    monkeypatch.setattr(widgets_panel, 'write_versions', fail)
    transferred(mine)
    said = mine.controls.said.value
    assert 'role="alert"' in said and words in unescape(said) and '<b>' not in said
    assert not mine.controls.go.disabled and not mine.job.busy
    assert capsys.readouterr() == ('', '')                                    # no traceback anywhere
    monkeypatch.setattr(widgets_panel, 'write_versions', slow)
    slow.go.set()
    transferred(mine)
    assert 'Done' in mine.controls.said.value

def test_a_checkpoint_that_is_not_there_is_said(tmp_path):
    a = app(model=str(tmp_path / 'none'), bars=2)
    a.wait()
    transferred(a)
    assert 'role="alert"' in a.controls.said.value and not a.controls.go.disabled

def test_bars_without_notes_are_said(mine):
    song = read_song(SAMPLES / 'minuet_in_g.mid')
    late = only(song, song.onset >= song.bar_ticks()[2])
    mine.controls.source.value = 'Your own file'
    put(mine, 'gap.mid', bytes(widgets_bytes(late)))
    mine.wait()
    assert 'no notes' in mine.controls.stage.value
    transferred(mine)
    assert 'These bars have no notes' in mine.controls.said.value and 'alert' in mine.controls.said.value

def test_results_are_kept_and_come_back(mine, slow):
    slow.go.set()
    controls, most = mine.controls, widgets_panel.KEPT_RESULTS
    for seed in range(most + 2):
        controls.seed.value = seed
        transferred(mine)
    assert len(mine.stage.results) == most and len(controls.history.options) == most + 1
    assert controls.history.value == 0 and mine.result.seed == most + 1
    controls.history.value = 3
    assert mine.result.seed == most - 2 and f'seed {most - 2}' in controls.stage.value
    controls.history.value = -1
    mine.wait()
    assert mine.result is None and players(controls.stage.value) == 1

def test_a_preview_never_covers_a_result(mine, slow):
    slow.go.set()
    mine.controls.first.value = 2
    transferred(mine)
    assert players(mine.controls.stage.value) == 2


# ---- what it is made of

def test_a_job_frees_its_lock_whatever_happens():
    def done(check): return 1
    def failed(check): return 1 / 0
    def cancelled(check): raise Cancelled()
    job, seen = Background(), []
    for work in (done, failed, cancelled):
        assert job.start(work, seen.append)
        job.wait()
        assert not job.busy
    assert seen[0] == 1 and isinstance(seen[1], ZeroDivisionError) and isinstance(seen[2], Cancelled)

def test_words_are_escaped_and_roles_are_there():
    assert said_html(HOSTILE, 'alert').startswith('<div class="ew-said ew-alert" role="alert">')
    assert '<img' not in said_html(HOSTILE) and 'role="status"' in said_html('')
    assert 'aria-valuenow="3"' in progress_html(3, 4) and 'width:75%' in progress_html(3, 4)
    assert '<b>x' not in heard_html([read_song(SAMPLES / 'minuet_in_g.mid')], ['<b>x'])
    assert heard_html([Song([0], [9], [60], [60])], ['x']) == ''
    assert [feeling(v) for v in (0, .5, 1)] == ['Sadder', 'In between', 'Happier']

def test_every_control_has_a_label(mine):
    import ipywidgets as w
    labelled = (w.Dropdown, w.Text, w.BoundedIntText, w.BoundedFloatText, w.Button, w.FileUpload)
    def walk(x):
        yield x
        for c in getattr(x, 'children', ()): yield from walk(c)
    for x in walk(mine.controls.box):
        if isinstance(x, labelled): assert x.description, x
        assert type(x).__module__.startswith('ipywidgets'), x                 # core widgets alone

def test_what_a_notebook_gets_holds_the_widget_a_picture_and_text(mine, monkeypatch):
    data = mine._repr_mimebundle_()
    view = data['application/vnd.jupyter.widget-view+json']
    assert view['model_id'] == mine.controls.box.model_id and 'EmotionWave' in data['text/plain']
    html = data['text/html']
    assert '<img src="data:image/png' in html and 'block-size' not in html and 'iframe' not in html
    monkeypatch.setitem(sys.modules, 'google.colab', object())
    assert 'text/html' not in mine._repr_mimebundle_()

def test_without_ipywidgets_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ipywidgets', None)
    with pytest.raises(ImportError, match='the app needs ipywidgets: pip install ipywidgets'): app()
