"""Rolls and sound: right lengths, whichever synthesiser there is, and nothing half-written."""
import base64, io, os, re, sys, wave
import numpy as np
import pytest
from emotionwave import listen
from emotionwave.listen import Shown, audio_html, changed, draw, png, render, save_wav, show, synth_name
from emotionwave.midi import Song, read_song
from pathlib import Path

SAMPLES = sorted(p for p in (Path(__file__).parent.parent / 'samples').glob('*.mid') if not re.search(r'_[12]$', p.stem))
scale = Song(np.arange(8) * 480, [480] * 8, [60, 62, 64, 65, 67, 69, 71, 72], [80] * 8, name='scale')
RATE = 22050


@pytest.fixture
def no_fluidsynth(monkeypatch):
    monkeypatch.setattr(listen, '_libraries', lambda: iter([('/no/such/libfluidsynth.so', 'system')]))
    listen._fluidsynth.cache_clear()
    yield
    monkeypatch.undo(); listen._fluidsynth.cache_clear()


def power(x): return float(np.square(x).mean())


def test_sound_lasts_as_long_as_the_song_and_its_tail():
    sound = render(scale, RATE)
    assert sound.dtype == np.float32 and sound.ndim == 1 and len(sound) == int((4 + listen.TAIL_S) * RATE)
    assert power(sound[:4 * RATE]) > 1e-5 and np.abs(sound).max() <= 1 and np.abs(sound[-5:]).max() < 1e-3


def test_tempo_change_moves_the_sound():
    slow = scale.replace(tempo_tick=[0, 1920], tempo_bpm=[120, 60])
    assert len(render(slow, RATE)) == int((6 + listen.TAIL_S) * RATE)


def test_pitch_heard_is_the_pitch_written():
    for song in (Song([0], [960], [69], [90]), Song([0], [960], [57], [90])):
        spectrum = np.abs(np.fft.rfft(render(song, RATE)[:RATE]))             # a second, so bins are hertz
        hz = 440 * 2 ** ((int(song.pitch[0]) - 69) / 12)
        low = int(hz * .75)
        assert abs(low + spectrum[low:int(hz * 1.4)].argmax() - hz) < 3


def test_sines_stand_in_for_fluidsynth(no_fluidsynth):
    assert synth_name() == 'sines'
    sound = render(scale, RATE)
    assert len(sound) == int((4 + listen.TAIL_S) * RATE) and power(sound) > 1e-5 and np.isfinite(sound).all() and np.abs(sound).max() <= 1
    assert np.argmax(np.abs(np.fft.rfft(render(Song([0], [960], [69], [90]), RATE)[:RATE]))) in range(437, 444)
    page = show(scale)._repr_html_()
    assert 'pip install pygame-ce' in page and '<audio' in page


def test_a_library_that_is_not_fluidsynth_is_passed_over(monkeypatch):
    from ctypes.util import find_library
    monkeypatch.setattr(listen, '_libraries', lambda: iter([(find_library('c'), 'system')]))
    listen._fluidsynth.cache_clear()
    assert synth_name() == 'sines'
    monkeypatch.undo(); listen._fluidsynth.cache_clear()


@pytest.mark.parametrize('sines', [False, True])
def test_pedal_holds_a_note(sines, request):
    if sines: request.getfixturevalue('no_fluidsynth')
    dry = Song([0, 1920], [240, 240], [60, 96], [90, 1])
    held, half = (dry.replace(pedal_tick=[0, 1900], pedal_value=[v, 0]) for v in (127, 63))
    gap = slice(int(1.2 * RATE), int(1.6 * RATE))
    assert power(render(held, RATE)[gap]) > 10 * power(render(dry, RATE)[gap])
    assert power(render(half, RATE)[gap]) < 2 * power(render(dry, RATE)[gap]) + 1e-9


@pytest.mark.parametrize('sines', [False, True])
def test_softer_song_sounds_softer(sines, request):
    if sines: request.getfixturevalue('no_fluidsynth')
    assert power(render(scale.replace(velocity=[30] * 8), RATE)) < .3 * power(render(scale, RATE))


def test_same_song_sounds_the_same_twice():
    assert np.array_equal(render(scale, RATE), render(scale, RATE))


@pytest.mark.parametrize('path', SAMPLES, ids=lambda p: p.stem)
def test_every_sample_draws_and_sounds(path):
    song = read_song(path).bars(0, 4)
    assert png(draw(song)).startswith(b'\x89PNG')
    assert power(render(song, 11025)) > 1e-6


def test_empty_song_says_there_is_nothing_to_play():
    for call, what in ((render, 'play'), (audio_html, 'play'), (draw, 'draw'), (show, 'show')):
        with pytest.raises(ValueError, match=f'nothing to {what}: the song has no notes; give'): call(Song())
    with pytest.raises(ValueError, match='nothing to play: silence'): render(Song(name='silence'))


def test_wrong_rate_and_endless_song_are_refused():
    with pytest.raises(ValueError, match='rate must be from 8000 to 96000.*got 100'): render(scale, 100)
    with pytest.raises(ValueError, match='lasts 10417 minutes'): render(Song([0, 6 * 10**8], [1, 1], [60, 60], [80, 80]))


def test_wav_file_holds_the_sound(tmp_path):
    save_wav(scale, tmp_path / 'a.wav', RATE)
    with wave.open(str(tmp_path / 'a.wav')) as f:
        assert (f.getnchannels(), f.getsampwidth(), f.getframerate(), f.getnframes()) == (1, 2, RATE, int((4 + listen.TAIL_S) * RATE))
        pcm = np.frombuffer(f.readframes(10**7), '<i2')
    assert np.abs(pcm).max() > 1000
    assert os.listdir(tmp_path) == ['a.wav']


def test_failed_wav_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    old = tmp_path / 'a.wav'; old.write_bytes(b'old')
    with pytest.raises(ValueError): save_wav(Song(), old)
    monkeypatch.setattr(os, 'replace', lambda *a: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'): save_wav(scale, old, 8000)
    assert old.read_bytes() == b'old' and os.listdir(tmp_path) == ['a.wav']
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match='no such folder'): save_wav(scale, tmp_path / 'none' / 'a.wav', 8000)


def test_mp3_is_small_and_whole():
    soundfile = pytest.importorskip('soundfile')
    song = read_song(SAMPLES[0])
    page = audio_html(song)
    kind, data = re.search(r'src="data:([^;]+);base64,([^"]+)"', page).groups()
    assert kind == 'audio/mpeg'
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    minutes = (float(song.seconds(song.end_tick)) + listen.TAIL_S) / 60
    assert rate == 44100 and abs(len(audio) / rate / 60 - minutes) < .01
    assert len(page) < 600_000 * minutes + 10_000


def test_player_falls_back_to_wav_without_soundfile(monkeypatch):
    monkeypatch.setitem(sys.modules, 'soundfile', None)
    page = audio_html(scale)
    kind, data = re.search(r'src="data:([^;]+);base64,([^"]+)"', page).groups()
    assert kind == 'audio/wav'
    with wave.open(io.BytesIO(base64.b64decode(data))) as f: assert f.getframerate() == 22050 and abs(f.getnframes() / 22050 - 6) < .01


def test_names_are_escaped():
    song = scale.replace(name='<script>"x" & \'y\'</script>')
    page = show(song)._repr_html_() + show(song, other=scale.replace(name='<i>'))._repr_html_()
    assert '<script' not in page and '<i>' not in page and '&lt;script&gt;&quot;x&quot; &amp; &#x27;y' in page


def test_shown_song_has_text_html_and_alt_text():
    shown = show(scale)
    assert isinstance(shown, Shown) and repr(shown) == repr(scale)
    page = shown._repr_html_()
    assert 'alt="piano roll of scale, 8 notes"' in page and page.count('<audio') == 1 and page.count('<img') == 1
    assert shown._repr_png_() is None
    silent = show(scale, sound=False)
    assert silent._repr_html_() is None and silent._repr_png_().startswith(b'\x89PNG')
    both = show(scale, other=scale.replace(pitch=scale.pitch - 1))
    assert both._repr_html_().count('<audio') == 2 and 'beside' in repr(both)


def test_missing_matplotlib_costs_the_roll_and_not_the_player(monkeypatch):
    for name in [m for m in sys.modules if m.split('.')[0] == 'matplotlib']: monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(ImportError, match='a piano roll needs matplotlib: pip install matplotlib'): draw(scale)
    page = show(scale)._repr_html_()
    assert 'needs matplotlib' in page and '<audio' in page and '<img' not in page


def test_notebook_formatter_finds_roll_and_player():
    from IPython.core.formatters import DisplayFormatter
    data, _ = DisplayFormatter().format(show(scale))
    assert '<audio' in data['text/html'] and data['text/plain'] == repr(scale) and 'image/png' not in data


def test_roll_is_one_collection_with_velocity_as_colour_and_named_octaves():
    from matplotlib.collections import PolyCollection
    ax = draw(scale)
    notes = [c for c in ax.collections if type(c) is PolyCollection]
    assert len(notes) == 1 and notes[0].get_array().tolist() == scale.velocity.tolist()
    assert [t.get_text() for t in ax.get_yticklabels()] == ['C4', 'C5']
    assert [t.get_text() for t in ax.get_xticklabels()] == ['1', '2'] and ax.get_xlabel() == 'bar' and ax.get_title('left') == 'scale'


def test_beats_of_compound_meter_are_dotted():
    song = Song([0, 1440], [240, 240], [60, 60], [80, 80], meter_num=[6], meter_den=[8])
    ax = draw(song)
    lines = sorted(s[0, 0] for c in ax.collections if type(c).__name__ == 'LineCollection' for s in c.get_segments() if s[0, 0] == s[1, 0])
    assert lines == [0, 720, 1440, 2160, 2880]


def test_performance_is_drawn_in_seconds():
    ax = draw(scale.replace(grid='performance'))
    assert ax.get_xlabel() == 'seconds' and [t.get_text() for t in ax.get_xticklabels()][:3] == ['0', '1', '2']


def test_changed_notes_are_marked():
    other = scale.replace(pitch=[60, 62, 63, 65, 67, 68, 71, 72])
    new, gone = changed(scale, other)
    assert new.tolist() == gone.tolist() == [False, False, True, False, False, True, False, False]
    half = Song(other.onset // 2, other.duration // 2, other.pitch, other.velocity, tpq=240)
    assert [a.tolist() for a in changed(scale, half)] == [new.tolist(), gone.tolist()]
    ax = draw(scale, other=half)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ['kept 6', 'new 2', 'gone 2']
    assert len(ax.collections[-1].get_paths()) == 10


def test_draw_uses_the_axes_it_is_given_and_no_pyplot():
    from matplotlib.figure import Figure
    fig = Figure(); ax = fig.subplots()
    assert draw(scale, ax) is ax
    code = 'import sys; from emotionwave.midi import Song; from emotionwave.listen import draw, png; png(draw(Song([0], [480], [60], [80]))); assert "matplotlib.pyplot" not in sys.modules'
    import subprocess
    subprocess.run([sys.executable, '-W', 'error', '-c', code], check=True, cwd=Path(__file__).parent.parent)


def test_importing_listen_imports_no_drawing_or_sound():
    import subprocess
    code = 'import sys, emotionwave.listen; assert not {"matplotlib", "soundfile", "pretty_midi", "pygame", "torch"} & set(sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=Path(__file__).parent.parent)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', ['$x_', 'ピアノ', 'a' * 300, ''])
def test_odd_names_draw_without_a_word(name): assert png(draw(scale.replace(name=name)))


def test_one_note_and_extreme_pitches_draw_and_sound():
    song = Song([0, 0], [1, 1], [0, 127], [1, 127])
    assert png(draw(song)) and np.isfinite(render(song, RATE)).all()
    assert png(draw(Song([0], [1], [60], [64])))
