"""The app without a browser: what each control does, threads, uploads of both versions of ipywidgets, hostile names, never twice at once."""
import threading, time
from html import unescape
from pathlib import Path
import pytest
import emotionwave.music.keys as music_keys
import emotionwave.widgets.inputs as widgets_inputs
import emotionwave.widgets.panel as widgets_panel
from emotionwave.generate.versions import Result, write_versions
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.widgets.inputs import read_upload, songs_in, uploads
from emotionwave.widgets.words import feeling, heard_html, progress_html, said_html
from emotionwave.widgets.jobs import Background, Cancelled
from emotionwave.widgets.panel import app, App

SAMPLES = Path(__file__).parent.parent / 'samples'
MINUET = (SAMPLES / 'minuet_in_g.mid').read_bytes()
HOSTILE = '<img src=x onerror=alert(1)>"\'&.mid'

pytest.importorskip('ipywidgets')

@pytest.fixture
def mine(tiny):
    made = App(model=str(tiny), bars=2)
    made.wait()
    yield made
    made.stop(); made.wait()

def put(a, name, data):
    "Upload a file the way the installed ipywidgets does."
    import ipywidgets
    if ipywidgets.__version__.startswith('7'):
        a.controls.upload.set_trait('data', [data]); a.controls.upload.set_trait('metadata', [dict(name=name, type='audio/midi', size=len(data), lastModified=0)])
        a.controls.upload.set_trait('_counter', a.controls.upload._counter + 1)
    else: a.controls.upload.value = (dict(name=name, type='audio/midi', size=len(data), content=memoryview(data), last_modified=__import__('datetime').datetime(2026, 1, 1, tzinfo=__import__('datetime').timezone.utc)),)

class Slow:
    "Stands in for `write_versions`: waits for a word before it ends."
    def __init__(self): self.go, self.calls, self.started = threading.Event(), [], threading.Event()

    def __call__(self, song, valences, callback=None, bars=None, seed=0, **settings):
        self.calls.append((valences, bars, seed, settings)); self.started.set()
        part = song.bars(*bars)
        for k in range(1, 201):
            callback(k, 200)
            if self.go.wait(.02): break
        return [Result(part.replace(pitch=part.pitch - 1), part, v, music_keys.find_key(part), seed) for v in valences]

@pytest.fixture
def slow(monkeypatch):
    made = Slow()
    monkeypatch.setattr(widgets_panel, 'write_versions', made)
    yield made
    made.go.set()


# ---- choosing

def test_app_opens_with_the_samples_and_shows_the_first(mine):
    assert [o for o in mine.controls.source.options] == ['Samples', 'A folder', 'Your own file']
    assert 'minuet in g' in dict(mine.controls.piece.options) and not any(label.endswith((' 1', ' 2')) for label in dict(mine.controls.piece.options))
    assert mine.songs.song == read_song(mine.controls.piece.value) and (mine.controls.first.value, mine.controls.last.value) == (1, 2)
    assert mine.controls.stage.value.startswith('<iframe') and mine.controls.stage.value.count('&lt;section&gt;') == 1 and not mine.controls.go.disabled and mine.controls.cancel.disabled

def test_another_song_is_shown_when_it_is_chosen(mine):
    mine.controls.piece.value = dict(mine.controls.piece.options)['gymnopedie']; mine.wait()
    assert 'Gymnop' in mine.controls.stage.value and mine.controls.last.max == 39

def test_only_the_last_of_several_wishes_is_shown(mine):
    for name in ('gymnopedie', 'arabesque', 'ode to joy'): mine.controls.piece.value = dict(mine.controls.piece.options)[name]
    mine.wait()
    assert 'Ode to Joy' in mine.controls.stage.value

def test_bars_stay_in_order_and_within_the_piece(mine):
    mine.controls.last.value = 5; mine.controls.first.value = 9
    assert (mine.controls.first.value, mine.controls.last.value) == (9, 9)
    mine.controls.whole.click(); assert (mine.controls.first.value, mine.controls.last.value) == (1, mine.controls.first.max)
    mine.controls.last.value = 10**6; assert mine.controls.last.value == mine.controls.last.max

def test_a_folder_is_listed_and_a_wrong_one_is_named(mine, tmp_path):
    (tmp_path / 'deep').mkdir(); (tmp_path / 'deep' / 'b_song.MID').write_bytes(MINUET); (tmp_path / 'a.midi').write_bytes(MINUET); (tmp_path / 'a_1.midi').write_bytes(MINUET)
    (tmp_path / 'bad.mid').write_bytes(b'nothing'); (tmp_path / 'notes.txt').write_text('x')
    mine.controls.source.value = 'A folder'
    assert mine.controls.piece.layout.display == 'none' and mine.controls.go.disabled and mine.controls.folder.layout.display == ''
    mine.controls.folder.value = str(tmp_path)
    assert [label for label, _ in mine.controls.piece.options] == ['a', 'bad', 'deep/b song'] and not mine.controls.go.disabled
    mine.controls.piece.value = tmp_path / 'bad.mid'
    assert 'role="alert"' in mine.controls.said.value and 'bad.mid: not a MIDI file' in mine.controls.said.value and str(tmp_path) not in mine.controls.said.value and mine.controls.go.disabled
    mine.controls.piece.value = tmp_path / 'a.midi'; assert 'alert' not in mine.controls.said.value and not mine.controls.go.disabled
    mine.controls.folder.value = str(tmp_path / 'none'); assert 'no such folder' in mine.controls.said.value
    (tmp_path / 'empty').mkdir(); mine.controls.folder.value = str(tmp_path / 'empty'); assert 'no MIDI files' in mine.controls.said.value

def test_a_folder_may_be_given(tiny, tmp_path):
    (tmp_path / 'a.mid').write_bytes(MINUET)
    a = app(tmp_path, model=str(tiny), bars=2); a.wait()
    assert a.controls.source.value == 'Folder' and [label for label, _ in a.controls.piece.options] == ['a'] and a.controls.folder.layout.display == ''
    (tmp_path / 'next').mkdir(); (tmp_path / 'next' / 'b.mid').write_bytes(MINUET)
    a.controls.folder.value = str(tmp_path / 'next'); a.wait()
    assert [label for label, _ in a.controls.piece.options] == ['b']
    a = app(tmp_path, model=str(tiny), bars=2, browse=False); a.wait()
    assert [label for label, _ in a.controls.piece.options] == ['a', 'next/b'] and a.controls.folder.layout.display == 'none'

def test_without_samples_there_are_a_folder_and_an_upload(tiny, monkeypatch):
    monkeypatch.setattr(widgets_panel, 'sample_folder', lambda: None)
    a = app(model=str(tiny)); a.wait()
    assert list(a.controls.source.options) == ['A folder', 'Your own file'] and a.songs.song is None and a.controls.go.disabled and 'Write the path' in a.controls.said.value
    assert 'run this cell' in a._repr_mimebundle_()['text/html']

def test_strangers_in_voila_cannot_look_around(tiny, monkeypatch):
    monkeypatch.setenv('VOILA_REQUEST_URL', 'http://somewhere/')
    a = app(model=str(tiny), bars=2); a.wait()
    assert list(a.controls.source.options) == ['Samples', 'Your own file'] and a.controls.folder.layout.display == 'none'

def test_long_folders_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(widgets_inputs, 'MAX_LISTED', 5)
    for k in range(9): (tmp_path / f'{k}.mid').write_bytes(b'')
    assert len(songs_in(tmp_path)) == 5


# ---- uploads

def test_uploads_of_both_versions_of_ipywidgets_are_read_alike():
    seven = {HOSTILE: {'metadata': {'name': HOSTILE, 'size': len(MINUET)}, 'content': MINUET}}
    eight = ({'name': HOSTILE, 'type': 'audio/midi', 'size': len(MINUET), 'content': memoryview(MINUET), 'last_modified': None},)
    assert uploads(seven) == uploads(eight) == [(HOSTILE, MINUET)] and uploads({}) == uploads(()) == []

def test_an_uploaded_file_is_taken_and_chosen(mine):
    mine.controls.source.value = 'Your own file'
    assert mine.controls.go.disabled and 'Upload' in mine.controls.said.value
    put(mine, 'mine.mid', MINUET); mine.wait()
    assert list(mine.controls.piece.options) == [('mine.mid', 'mine.mid')] and mine.songs.song == read_song(SAMPLES / 'minuet_in_g.mid') and not mine.controls.go.disabled
    assert 'mine.mid' in mine.controls.said.value and mine.controls.stage.value.startswith('<iframe')
    put(mine, 'other.mid', (SAMPLES / 'gymnopedie.mid').read_bytes()); mine.wait()
    assert mine.controls.piece.value == 'other.mid' and len(mine.controls.piece.options) == 2

@pytest.mark.parametrize('data, words', [(b'', 'empty'), (b'no music', 'not a MIDI file'), (MINUET[:60], 'truncated'), (MINUET + bytes(3_000_000), 'MB; files up to 2 MB are taken')], ids=['empty', 'text', 'half', 'large'])
def test_a_bad_upload_is_refused_in_words_with_its_name_as_text(mine, data, words):
    mine.controls.source.value = 'Your own file'
    put(mine, HOSTILE, data)
    assert 'role="alert"' in mine.controls.said.value and words in mine.controls.said.value and '<img' not in mine.controls.said.value
    assert HOSTILE in unescape(mine.controls.said.value) and 'upload.mid' not in mine.controls.said.value and not mine.controls.piece.options and mine.controls.go.disabled

def test_a_hostile_name_stays_text_everywhere(mine, slow):
    slow.go.set()
    song = read_song(SAMPLES / 'minuet_in_g.mid').replace(name='<script>alert(1)</script><img src=x onerror=alert(2)>')
    mine.controls.source.value = 'Your own file'
    put(mine, HOSTILE, bytes(widgets_bytes(song))); mine.wait()
    mine.controls.go.click(); mine.wait()
    assert 'Done' in mine.controls.said.value
    for html in (mine.controls.said.value, mine.controls.stage.value, mine.controls.heard.value, mine.picture()):
        assert '<script' not in html and '<img src=x' not in html
    inner = unescape(mine.controls.stage.value.split('srcdoc="')[1].split('" style=')[0])
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
    mine.controls.happy.click(); assert (mine.controls.valence.value, mine.controls.valence_track.value) == (1, 1) and 'ew-on' in mine.controls.happy._dom_classes
    mine.controls.valence_track.value = .3; assert mine.controls.valence.value == .3 and not {'ew-on'} & {*mine.controls.happy._dom_classes, *mine.controls.sad._dom_classes}
    mine.controls.sad.click(); assert mine.controls.valence.value == 0 and 'ew-on' in mine.controls.sad._dom_classes

def test_what_is_not_asked_for_stays_as_it_is(mine):
    for control in (mine.controls.rhythm, mine.controls.polyphony): assert control.label == 'as it is'   # and not a blank
    assert mine.controls.asked()['rhythm'] is None and mine.controls.asked()['polyphony'] is None
    mine.controls.rhythm.value = 0
    assert mine.controls.asked()['rhythm'] == 0


# ---- transferring

def test_a_transfer_gives_what_versions_gives_and_shows_both(mine, tiny):
    mine.controls.valence.value = .7; mine.controls.strength.value = 1.5; mine.controls.likeness_track.value = .8; mine.controls.keep.value = ('melody',); mine.controls.rhythm.value = 5; mine.controls.candidates.value = 2; mine.controls.seed.value = 3
    mine.controls.go.click()
    assert mine.controls.go.disabled and not mine.controls.cancel.disabled and mine.controls.piece.disabled
    mine.wait()
    assert mine.result.song == write_versions(mine.songs.song, [.7], strength=1.5, likeness=.8, keep='melody', rhythm=5, candidates=2, seed=3, bars=(0, 2), model=str(tiny))[0].song
    assert mine.controls.stage.value.count('&lt;section&gt;') == 2 and 'Happier' in mine.controls.stage.value and 'Done' in mine.controls.said.value and mine.controls.progress.value == ''
    assert 'melody kept' in mine.controls.stage.value
    assert not mine.controls.go.disabled and mine.controls.cancel.disabled and not mine.controls.piece.disabled and mine.controls.history.layout.display == ''

def test_a_version_with_the_notes_of_the_piece_says_so(mine):
    mine.controls.strength.value = 0.; mine.controls.go.click(); mine.wait()
    assert mine.result.same_notes and 'these are the notes of the piece' in mine.controls.said.value and 'try strength 1' in mine.controls.said.value

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
    mine.controls.dice.click(); mine.wait()
    assert [likeness for likeness, _ in stubborn.asked] == [1., .8, .6]
    assert {seed for _, seed in stubborn.asked} == {mine.controls.seed.value} != {before}
    assert mine.controls.likeness.value == .6 == mine.result.likeness and 'likeness 0.6' in mine.controls.stage.value
    assert 'Done at likeness 0.6, as it came out the same above it' in mine.controls.said.value

def test_another_says_that_there_is_no_other(mine, monkeypatch):
    monkeypatch.setattr(widgets_panel, 'write_versions', Stubborn(1.))
    mine.controls.dice.click(); mine.wait()
    assert mine.controls.likeness.value == 1 and len(mine.stage.results) == 1
    mine.controls.dice.click(); mine.wait()               # all that comes is what was shown before
    assert 'There is no other version' in mine.controls.said.value and 'alert' not in mine.controls.said.value
    assert mine.controls.likeness.value == 1 and len(mine.stage.results) == 1 and not mine.controls.go.disabled

def test_another_is_by_another_seed(mine, slow):
    slow.go.set()
    seeds = set()
    for _ in range(3): mine.stage.results = []; mine.controls.dice.click(); mine.wait(); seeds.add(mine.result.seed)
    assert len(seeds) > 1 and {call[2] for call in slow.calls} == seeds

def test_what_was_done_is_said_and_comes_back_with_an_earlier_result(mine, slow):
    slow.go.set()
    mine.controls.go.click(); mine.wait()
    sentence = unescape(mine.result.sentence)
    assert 'pitches changed' in sentence and sentence in unescape(mine.controls.said.value) and sentence in unescape(mine.controls.heard.value)
    mine.controls.history.value = -1; mine.wait()
    assert sentence not in unescape(mine.controls.heard.value)
    mine.controls.history.value = 0; mine.wait()
    assert sentence in unescape(mine.controls.heard.value)

def test_the_app_hears_what_the_command_hears(mine, tmp_path):
    from emotionwave.hearing.labels import label_files
    mine.controls.go.click(); mine.wait()
    mine.result.save(tmp_path / 'new.mid'); mine.result.source.save(tmp_path / 'old.mid')
    heard = [f'{row["valence"]:.2f}' for row in label_files([tmp_path / 'old.mid', tmp_path / 'new.mid'])]
    assert [f'{p:.2f}' for p in mine.result.figures['valence']] == heard
    assert all(f'<b>{p}</b>' in mine.controls.heard.value for p in heard)
    assert f'heard {heard[0]} → {heard[1]}' in mine.result.line

def test_it_never_runs_twice_at_once(mine, slow):
    mine.controls.go.click(); assert slow.started.wait(5)
    for _ in range(5): mine.controls.go.click(); mine.transfer()
    assert len(slow.calls) == 1 and mine.job.busy
    slow.go.set(); mine.wait()
    mine.controls.go.click(); mine.wait()
    assert len(slow.calls) == 2 and len(mine.stage.results) == 2

def test_the_click_returns_at_once_and_progress_is_shown(mine, slow):
    start = time.monotonic(); mine.controls.go.click(); assert time.monotonic() - start < 2 and mine.job.busy
    assert slow.started.wait(5); time.sleep(.1)
    assert 'role="progressbar"' in mine.controls.progress.value and 'aria-valuemax="200"' in mine.controls.progress.value and 'of 200 bars' in mine.controls.said.value
    slow.go.set(); mine.wait(); assert mine.controls.progress.value == ''

def test_cancel_cancels_and_changes_nothing(mine, slow):
    before = mine.controls.stage.value
    mine.controls.go.click(); assert slow.started.wait(5)
    mine.controls.cancel.click()
    assert 'Cancelling' in mine.controls.said.value and mine.controls.cancel.disabled
    mine.wait(5)
    assert 'Cancelled' in mine.controls.said.value and not mine.job.busy and mine.stage.results == [] and mine.controls.stage.value == before and not mine.controls.go.disabled and mine.controls.progress.value == ''
    slow.go.set(); mine.controls.go.click(); mine.wait(); assert len(mine.stage.results) == 1  # and it works again

def test_cancel_without_work_does_nothing(mine):
    said = mine.controls.said.value; mine.stop(); assert mine.controls.said.value == said

@pytest.mark.parametrize('error, words', [(ValueError('strength must be from 0.0 to 10.0, got <b>'), 'strength must be'), (KeyError('x'), 'This should not have happened (KeyError'), (FileNotFoundError('models/x: no such folder'), 'no such folder'), (MemoryError(), 'MemoryError')])
def test_an_error_is_said_in_words_and_the_app_goes_on(mine, slow, monkeypatch, error, words, capsys):
    def fail(*a, **k): raise error
    monkeypatch.setattr(widgets_panel, 'write_versions', fail)
    mine.controls.go.click(); mine.wait()
    assert 'role="alert"' in mine.controls.said.value and words in unescape(mine.controls.said.value) and '<b>' not in mine.controls.said.value and not mine.controls.go.disabled and not mine.job.busy
    assert capsys.readouterr() == ('', '')                                    # no traceback anywhere
    monkeypatch.setattr(widgets_panel, 'write_versions', slow); slow.go.set()
    mine.controls.go.click(); mine.wait(); assert 'Done' in mine.controls.said.value

def test_a_checkpoint_that_is_not_there_is_said(tmp_path):
    a = app(model=str(tmp_path / 'none'), bars=2); a.wait()
    a.controls.go.click(); a.wait()
    assert 'role="alert"' in a.controls.said.value and not a.controls.go.disabled

def test_bars_without_notes_are_said(mine):
    song = read_song(SAMPLES / 'minuet_in_g.mid')
    late = song.onset >= song.bar_ticks()[2]
    mine.controls.source.value = 'Your own file'
    put(mine, 'gap.mid', bytes(widgets_bytes(song.replace(**{k: getattr(song, k)[late] for k in ('onset', 'duration', 'pitch', 'velocity')})))); mine.wait()
    assert 'no notes' in mine.controls.stage.value
    mine.controls.go.click(); mine.wait()
    assert 'These bars have no notes' in mine.controls.said.value and 'alert' in mine.controls.said.value

def test_results_are_kept_and_come_back(mine, slow):
    slow.go.set()
    for seed in range(widgets_panel.KEPT_RESULTS + 2): mine.controls.seed.value = seed; mine.controls.go.click(); mine.wait()
    assert len(mine.stage.results) == widgets_panel.KEPT_RESULTS and len(mine.controls.history.options) == widgets_panel.KEPT_RESULTS + 1 and mine.controls.history.value == 0 and mine.result.seed == widgets_panel.KEPT_RESULTS + 1
    mine.controls.history.value = 3
    assert mine.result.seed == widgets_panel.KEPT_RESULTS - 2 and f'seed {widgets_panel.KEPT_RESULTS - 2}' in mine.controls.stage.value
    mine.controls.history.value = -1; mine.wait()
    assert mine.result is None and mine.controls.stage.value.count('&lt;section&gt;') == 1

def test_a_preview_never_covers_a_result(mine, slow):
    slow.go.set()
    mine.controls.first.value = 2; mine.controls.go.click(); mine.wait()
    assert mine.controls.stage.value.count('&lt;section&gt;') == 2


# ---- what it is made of

def test_a_job_frees_its_lock_whatever_happens():
    job, seen = Background(), []
    for work in (lambda check: 1, lambda check: 1 / 0, lambda check: (_ for _ in ()).throw(Cancelled())):
        assert job.start(work, seen.append); job.wait(); assert not job.busy
    assert seen[0] == 1 and isinstance(seen[1], ZeroDivisionError) and isinstance(seen[2], Cancelled)

def test_words_are_escaped_and_roles_are_there():
    assert said_html(HOSTILE, 'alert') == f'<div class="ew-said ew-alert" role="alert">{said_html(HOSTILE, "alert").split(">", 1)[1]}' and '<img' not in said_html(HOSTILE)
    assert 'role="status"' in said_html('') and 'aria-valuenow="3"' in progress_html(3, 4) and 'width:75%' in progress_html(3, 4)
    assert '<b>x' not in heard_html([read_song(SAMPLES / 'minuet_in_g.mid')], ['<b>x']) and heard_html([Song([0], [9], [60], [60])], ['x']) == ''
    assert [feeling(v) for v in (0, .5, 1)] == ['Sadder', 'In between', 'Happier']

def test_every_control_has_a_label(mine):
    import ipywidgets as w
    def walk(x):
        yield x
        for c in getattr(x, 'children', ()): yield from walk(c)
    for x in walk(mine.controls.box):
        if isinstance(x, (w.Dropdown, w.Text, w.BoundedIntText, w.BoundedFloatText, w.Button, w.FileUpload)): assert x.description, x
        assert type(x).__module__.startswith('ipywidgets'), x                 # core widgets alone

def test_what_a_notebook_gets_holds_the_widget_a_picture_and_text(mine, monkeypatch):
    data = mine._repr_mimebundle_()
    assert data['application/vnd.jupyter.widget-view+json']['model_id'] == mine.controls.box.model_id and 'EmotionWave' in data['text/plain']
    assert '<img src="data:image/png' in data['text/html'] and 'block-size' not in data['text/html'] and 'iframe' not in data['text/html']
    monkeypatch.setitem(__import__('sys').modules, 'google.colab', object())
    assert 'text/html' not in mine._repr_mimebundle_()

def test_without_ipywidgets_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'ipywidgets', None)
    with pytest.raises(ImportError, match='the app needs ipywidgets: pip install ipywidgets'): app()
