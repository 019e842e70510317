"""Rolls and sound: right lengths, whichever synthesiser there is, and nothing half-written."""
import base64, io, json, os, re, sys, time, wave
from html import unescape
import numpy as np
import pytest
import emotionwave.music.hands as music_hands
import emotionwave.sound.files as sound_files
import emotionwave.sound.synth as sound_synth
from emotionwave.sound.synth import render, synth_name
from emotionwave.sound.files import mp3_bytes, save_mp3, save_wav, wav_bytes
from emotionwave.player.roll import changed, draw, png
from emotionwave.player.player import player_html, show, Shown
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from pathlib import Path

SAMPLES = sorted(p for p in (Path(__file__).parent.parent / 'samples').glob('*.mid')
                 if not re.search(r'_[12]$', p.stem))
scale = Song(np.arange(8) * 480, [480] * 8, [60, 62, 64, 65, 67, 69, 71, 72], [80] * 8, name='scale')
RATE = 22050


@pytest.fixture
def no_fluidsynth(monkeypatch):
    monkeypatch.setattr(sound_synth, '_libraries', lambda: iter([('/no/such/libfluidsynth.so', 'system')]))
    sound_synth._fluidsynth.cache_clear()
    yield
    monkeypatch.undo()
    sound_synth._fluidsynth.cache_clear()


def power(x): return float(np.square(x).mean())

def inside(page):
    "What a player's frame holds: its HTML and its data."
    html = unescape(re.search(r'srcdoc="([^"]*)"', page)[1])
    return (html, json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html,
                                       re.S)[1]))


def test_sound_lasts_as_long_as_the_song_and_its_tail():
    sound = render(scale, RATE)
    assert (sound.dtype == np.float32 and sound.ndim == 1
            and len(sound) == int((4 + sound_synth.TAIL_S) * RATE))
    assert power(sound[:4 * RATE]) > 1e-5 and np.abs(sound).max() <= 1 and np.abs(sound[-5:]).max() < 1e-3


def test_tempo_change_moves_the_sound():
    slow = scale.replace(tempo_tick=[0, 1920], tempo_bpm=[120, 60])
    assert len(render(slow, RATE)) == int((6 + sound_synth.TAIL_S) * RATE)


def test_pitch_heard_is_the_pitch_written():
    for song in (Song([0], [960], [69], [90]), Song([0], [960], [57], [90])):
        spectrum = np.abs(np.fft.rfft(render(song, RATE)[:RATE]))             # a second, so bins are hertz
        hz = 440 * 2 ** ((int(song.pitch[0]) - 69) / 12)
        low = int(hz * .75)
        assert abs(low + spectrum[low:int(hz * 1.4)].argmax() - hz) < 3


def test_sines_stand_in_for_fluidsynth(no_fluidsynth):
    assert synth_name() == 'sines'
    sound = render(scale, RATE)
    assert (len(sound) == int((4 + sound_synth.TAIL_S) * RATE) and power(sound) > 1e-5
            and np.isfinite(sound).all() and np.abs(sound).max() <= 1)
    assert np.argmax(np.abs(np.fft.rfft(render(Song([0], [960], [69], [90]),
                                               RATE)[:RATE]))) in range(437, 444)
    page = show(scale)._repr_html_()
    assert 'pip install pygame-ce' in inside(page)[1]['note'] and inside(page)[1]['versions'][0]['sound']


def test_a_library_that_is_not_fluidsynth_is_passed_over(monkeypatch):
    from ctypes.util import find_library
    monkeypatch.setattr(sound_synth, '_libraries', lambda: iter([(find_library('c'), 'system')]))
    sound_synth._fluidsynth.cache_clear()
    assert synth_name() == 'sines'
    monkeypatch.undo()
    sound_synth._fluidsynth.cache_clear()


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
    for call, what in ((render, 'play'), (wav_bytes, 'play'), (mp3_bytes, 'play'), (player_html, 'show'),
                       (draw, 'draw'), (show, 'show')):
        with pytest.raises(ValueError, match=f'nothing to {what}: the song has no notes; give'):
            call(Song())
    with pytest.raises(ValueError, match='nothing to play: silence'): render(Song(name='silence'))


def test_wrong_rate_and_endless_song_are_refused():
    with pytest.raises(ValueError, match='rate must be from 8000 to 96000.*got 100'):
        render(scale, 100)
    with pytest.raises(ValueError, match='lasts 3472 minutes'):
        render(Song([0, 2 * 10**8], [1, 1], [60, 60], [80, 80]))


def test_wav_file_holds_the_sound(tmp_path):
    save_wav(scale, tmp_path / 'a.wav', RATE)
    with wave.open(str(tmp_path / 'a.wav')) as f:
        assert (f.getnchannels(), f.getsampwidth(), f.getframerate(),
                f.getnframes()) == (1, 2, RATE, int((4 + sound_synth.TAIL_S) * RATE))
        pcm = np.frombuffer(f.readframes(10**7), '<i2')
    assert np.abs(pcm).max() > 1000
    assert os.listdir(tmp_path) == ['a.wav']


def test_failed_wav_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    old = tmp_path / 'a.wav'
    old.write_bytes(b'old')
    with pytest.raises(ValueError): save_wav(Song(), old)
    monkeypatch.setattr(os, 'replace', lambda *a: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'): save_wav(scale, old, 8000)
    assert old.read_bytes() == b'old' and os.listdir(tmp_path) == ['a.wav']
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match='no such folder'):
        save_wav(scale, tmp_path / 'none' / 'a.wav', 8000)


@pytest.mark.slow
def test_mp3_is_small_and_whole(tmp_path):
    soundfile = pytest.importorskip('soundfile')
    song = read_song(SAMPLES[0])
    save_mp3(song, tmp_path / 'a.mp3')
    audio, rate = soundfile.read(tmp_path / 'a.mp3')
    wanted_s = float(song.seconds(song.end_tick)) + sound_synth.TAIL_S
    assert rate == sound_files.RATE and abs(len(audio) / rate - wanted_s) < .15 and power(audio) > 1e-5
    assert (tmp_path / 'a.mp3').stat().st_size * 4 / 3 < 600_000 * wanted_s / 60
    assert len(mp3_bytes(song, 2)) < len(mp3_bytes(song, 1)) < len(mp3_bytes(song))
    assert os.listdir(tmp_path) == ['a.mp3']


@pytest.mark.slow
def test_a_minute_is_rendered_in_two_seconds_and_weighs_less_than_600_kb():
    pytest.importorskip('soundfile')
    n = 480                                                                   # eight notes a second
    song = Song(np.arange(n) * 120, [400] * n, 40 + (np.arange(n) * 7) % 45, [90] * n,
                pedal_tick=np.arange(60) * 960, pedal_value=[0, 127] * 30)
    start = time.process_time()
    render(song)
    assert time.process_time() - start < (2 if synth_name() != 'sines' else 20)
    assert len(player_html(song)) < 600_000 * 62 / 60


def test_player_falls_back_to_wav_without_soundfile(monkeypatch):
    monkeypatch.setitem(sys.modules, 'soundfile', None)
    _, data = inside(player_html(scale))
    kind, sound = re.fullmatch('data:([^;]+);base64,(.+)', data['versions'][0]['sound']).groups()
    assert kind == 'audio/wav' and data['rate'] == sound_files.RATE // 2
    with wave.open(io.BytesIO(base64.b64decode(sound))) as f:
        assert f.getframerate() == sound_files.RATE // 2 and abs(f.getnframes() / f.getframerate() - 6) < .01
    with pytest.raises(ImportError, match='MP3 needs soundfile: pip install soundfile'):
        mp3_bytes(scale)


def test_player_holds_all_it_needs_and_asks_nobody():
    page = player_html((scale, scale.replace(pitch=scale.pitch - 1, duration=[480] * 7 + [1920])),
                       names=('Was', 'Is'))
    html, data = inside(page)
    assert (page.startswith('<iframe') and page.count('<iframe') == 1
            and 'sandbox="allow-scripts allow-downloads"' in page)
    assert (not re.findall(r'https?:|//[a-z]+\.|import\(|fetch\(|autoplay', html)
            and html.count('<canvas') == 2)
    assert (data['total'] == 7.5 and data['bars'] == [0, 2, 4] and data['unit'] == 'bar'
            and len(data['beats']) == 6)
    sizes = {len(base64.b64decode(v['sound'].split(',')[1])) for v in data['versions']}
    assert (len(data['versions']) == 2 and all(v['sound'].startswith('data:audio/') for v in data['versions'])
            and sizes)
    notes = [np.array(v['notes'].split(), int).reshape(-1, 5) for v in data['versions']]
    assert (notes[0][:, 0].tolist() == [500 * k for k in range(8)] and notes[0][:, 2].tolist()
            == scale.pitch.tolist() and notes[0][0].tolist()[1:4] == [500, 60, 80])
    assert notes[0][:, 4].sum() == notes[1][:, 4].sum() == 8
    assert (re.findall(r'class="pick"[^>]*>([^<]+)<', html) == ['Was', 'Is']
            and 'Piano roll: Is, 8 notes, 8 of them not in the other version' in html)


def test_player_saves_midi_that_is_the_song(tmp_path):
    html, _ = inside(player_html(scale, sound=False))
    name, data = re.search(r'download="([^"]+)" href="data:audio/midi;base64,([^"]+)"', html).groups()
    (tmp_path / name).write_bytes(base64.b64decode(data))
    assert name == 'scale.mid' and read_song(tmp_path / name) == scale


def test_two_versions_last_equally_long():
    soundfile = pytest.importorskip('soundfile')
    _, data = inside(player_html((scale, scale.bars(0, 1))))
    frames = [soundfile.info(io.BytesIO(base64.b64decode(v['sound'].split(',')[1]))).frames
              for v in data['versions']]
    assert frames[0] == frames[1] and abs(frames[0] / sound_files.RATE - 6) < .1


def test_long_songs_are_compressed_harder_and_endless_ones_are_silent():
    pytest.importorskip('soundfile')
    page, small = player_html(scale), player_html(scale, budget=30_000)
    in_small, in_page = (len(inside(p)[1]['versions'][0]['sound']) for p in (small, page))
    assert in_small < 30_000 < in_page
    _, none = inside(player_html(scale, budget=1000))
    assert none['versions'][0]['sound'] is None and 'Too long to be heard' in none['note']
    hours = Song([0, 480 * 7000], [480] * 2, [60, 62], [80] * 2)              # nearly an hour
    assert inside(player_html((hours, hours)))[1]['versions'][1]['sound'] is None


def test_player_of_a_performance_counts_seconds():
    assert inside(player_html(scale.replace(grid='performance'), sound=False))[1] ['unit'] == 's'
    assert inside(player_html(scale, sound=False, first_bar=5))[1]['first'] == 5


def test_a_player_holds_one_or_two():
    with pytest.raises(ValueError, match='a player holds one song, or an original and a new version, got 3'):
        player_html([scale] * 3)
    assert inside(player_html((scale, Song())))[1]['versions'][1]['notes'] == ''   # a version may be empty


HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'&'

def test_names_are_escaped():
    song = scale.replace(name=HOSTILE)
    for page in (show(song)._repr_html_(), show(song, other=song)._repr_html_(),
                 player_html((song, song), names=(HOSTILE, HOSTILE), title=HOSTILE, about=HOSTILE,
                             sound=False)):
        assert '<script' not in page and '<img src=x' not in page
        html, data = inside(page)
        assert html.count('<script') == html.count('</script') == 2 and '<img' not in html
        assert ('javascript:' not in html
                and all(re.fullmatch(r'[\w-]{1,130}', v['file']) for v in data['versions']))


def test_shown_song_has_text_html_and_alt_text():
    shown = show(scale)
    assert isinstance(shown, Shown) and repr(shown) == repr(scale)
    page = shown._repr_html_()
    assert ('alt="piano roll of scale, 8 notes"' in page and page.count('<iframe') == 1
            and page.count('<img') == 1)
    assert 'block-size:0' in page  # the picture is folded away where styles count
    assert shown._repr_png_() is None
    silent = show(scale, sound=False)
    assert silent._repr_html_() is None and silent._repr_png_().startswith(b'\x89PNG')
    both = show(scale, other=scale.replace(pitch=scale.pitch - 1), names=('a', 'b'))
    assert inside(both._repr_html_())[0].count('<canvas') == 2 and 'beside' in repr(both)


def test_missing_matplotlib_costs_the_picture_and_not_the_player(monkeypatch):
    for name in [m for m in sys.modules if m.split('.')[0] == 'matplotlib']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(ImportError, match='a piano roll needs matplotlib: pip install matplotlib'):
        draw(scale)
    page = show(scale)._repr_html_()
    assert '<iframe' in page and '<img' not in page


def test_notebook_formatter_finds_roll_and_player():
    from IPython.core.formatters import DisplayFormatter
    data, _ = DisplayFormatter().format(show(scale))
    assert '<iframe' in data['text/html'] and data['text/plain'] == repr(scale) and 'image/png' not in data


def test_roll_is_one_collection_with_velocity_as_colour_and_named_octaves():
    from matplotlib.collections import PolyCollection
    ax = draw(scale)
    notes = [c for c in ax.collections if type(c) is PolyCollection]
    assert len(notes) == 1 and notes[0].get_array().tolist() == scale.velocity.tolist()
    assert [t.get_text() for t in ax.get_yticklabels()] == ['C4', 'C5']
    assert ([t.get_text() for t in ax.get_xticklabels()] == ['1', '2'] and ax.get_xlabel() == 'bar'
            and ax.get_title('left') == 'scale')


def test_beats_of_compound_meter_are_dotted():
    song = Song([0, 1440], [240, 240], [60, 60], [80, 80], meter_num=[6], meter_den=[8])
    ax = draw(song)
    lines = sorted(s[0, 0] for c in ax.collections if type(c).__name__ == 'LineCollection'
                   for s in c.get_segments() if s[0, 0] == s[1, 0])
    assert lines == [0, 720, 1440, 2160, 2880]


def test_performance_is_drawn_in_seconds():
    ax = draw(scale.replace(grid='performance'))
    assert (ax.get_xlabel() == 'seconds'
            and [t.get_text() for t in ax.get_xticklabels()][:3] == ['0', '1', '2'])


def test_changed_notes_are_marked():
    other = scale.replace(pitch=[60, 62, 63, 65, 67, 68, 71, 72])
    new, gone = changed(scale, other)
    assert new.tolist() == gone.tolist() == [False, False, True, False, False, True, False, False]
    half = Song(other.onset // 2, other.duration // 2, other.pitch, other.velocity, tpq=240)
    assert [a.tolist() for a in changed(scale, half)] == [new.tolist(), gone.tolist()]
    ax = draw(scale, other=half)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ['kept 6', 'new 2', 'gone 2']
    assert len(ax.collections[-1].get_paths()) == 10


def test_hands_are_told_apart_and_coloured():
    both = Song(np.repeat(np.arange(8) * 480, 2), [480] * 16,
                [48, 72, 50, 74, 52, 76, 53, 77, 55, 79, 57, 81, 59, 83, 60, 84], [80] * 16, name='two')
    assert music_hands.right_hand(both).tolist() == (both.pitch > 65).tolist()
    ax = draw(both, by_hand=True)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ['right hand 8', 'left hand 8'] and png(ax)
    for song in (Song(), Song([0], [1], [0], [1]), Song([0], [1], [127], [1])):
        assert len(music_hands.right_hand(song)) == len(song)
    with pytest.raises(ValueError, match='by_hand colours one song'):
        draw(both, other=both, by_hand=True)


def test_draw_uses_the_axes_it_is_given_and_no_pyplot():
    from matplotlib.figure import Figure
    fig = Figure()
    ax = fig.subplots()
    assert draw(scale, ax) is ax
    code = ('import sys; from emotionwave.music.song import Song; from emotionwave.player.roll import draw, '
            'png; png(draw(Song([0], [480], [60], [80]))); assert "matplotlib.pyplot" not in sys.modules')
    import subprocess
    subprocess.run([sys.executable, '-W', 'error', '-c', code], check=True, cwd=Path(__file__).parent.parent)


def test_importing_listen_imports_no_drawing_or_sound():
    import subprocess
    code = ('import sys, emotionwave.player.player; assert not {"matplotlib", "soundfile", "pretty_midi", '
            '"pygame", "torch"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True, cwd=Path(__file__).parent.parent)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', ['$x_', 'ピアノ', 'a' * 300, ''])
def test_odd_names_draw_without_a_word(name): assert png(draw(scale.replace(name=name)))


def test_one_note_and_extreme_pitches_draw_and_sound():
    song = Song([0, 0], [1, 1], [0, 127], [1, 127])
    assert png(draw(song)) and np.isfinite(render(song, RATE)).all()
    assert png(draw(Song([0], [1], [60], [64])))
