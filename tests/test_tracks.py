"""What a file says stays: read, written and in versions: tracks and hands, names of any bytes, programs,
controllers, keys, words and drums."""
import struct
from pathlib import Path
import numpy as np
import pytest
from emotionwave.music.song import CONTROLLER, Song, Track, unlap
from emotionwave.music.read import as_song, read_song
from emotionwave.music.tracks import hand_out, set_aside, set_back
from emotionwave.music.write import midi_bytes
from smf import (END, bend, control, events, key, meter, midi, notes, off, on, played, program, said,
                 tempo, title)

CASES = Path(__file__).parent / 'cases'
TUNE, BASS = (72, 76, 79, 84) * 4, (48, 55, 52, 55) * 4
CONDUCTOR = events((0, title('Waltz')), (0, said(2, '(c) me')), (0, tempo(400_000)), (0, meter(3, 2)),
                   (0, key(1)),
                   (0, said(6, 'A')), (1440, said(6, 'B')), (0, key(-2, 1)), END)

def read(tmp_path, data, name='x.mid'):
    (tmp_path / name).write_bytes(data)
    return read_song(tmp_path / name)

def again(song, tmp_path):
    song.save(tmp_path / 'again.mid')
    return read_song(tmp_path / 'again.mid')

def band(**changed):
    "A flute, strings and a pedalled piano on their channels, and drums on theirs."
    def track(name, number, channel, pitches, *more):
        return events((0, title(name)), (0, program(number, channel)), *more,
                      *played(*pitches, channel=channel), END)
    tracks = dict(flute=track('Flute', 73, 2, TUNE, (0, control(7, 90, 2)), (0, control(10, 20, 2)),
                              (0, bend(100, 2))),
                  strings=track('Strings', 48, 0, [p - 12 for p in TUNE], (0, control(11, 70)),
                                (0, [0xd0, 50])),
                  piano=track('Piano', 0, 1, BASS, (0, control(64, 127, 1)), (0, control(66, 127, 1)),
                              (0, control(67, 127, 1)), (960, control(64, 0, 1))),
                  drums=track('Kit', 0, 9, [36, 42] * 8))
    return midi(CONDUCTOR, *(tracks | changed).values())

KINDS = {
    'a band': band(),
    'one track': midi(events((0, title('Solo')), (0, key(-3, 1)), (0, program(4)), *played(*TUNE), END)),
    'one track of four channels': midi(events((0, title('Four')), *[e for c in (0, 3, 9, 15) for e in
                                              ((0, program(c, c)), *played(60 + c, 64, 67, channel=c))],
                                              END)),
    'two hands on one channel': midi(CONDUCTOR, *(events((0, title(n)), *played(*p), END)
                                                  for n, p in (('Right', TUNE), ('Left', BASS)))),
    'hands without a conductor': midi(*(events((0, title(n)), *played(*p), END)
                                        for n, p in (('Right', TUNE), ('Left', BASS)))),
    'no names': midi(events((0, tempo(400_000)), END), *(events(*played(*p), END) for p in (TUNE, BASS))),
    'words': midi(CONDUCTOR, events((0, title('Song')), *[e for p in TUNE for e in
                  ((0, said(5, 'la')), *played(p))], (0, said(1, 'the end')), END)),
    'bytes of Latin-1 and Shift JIS': midi(events((0, said(3, b'Pr\xe9lude')), END),
                                           events((0, said(3, b'\x83s\x83A\x83m')),
                                                  (0, said(5, b'\xe9t\xe9')),
                                                  *played(*TUNE), END),
                                           events((0, said(3, b'\xff\xfe')), *played(*BASS), END)),
    'programs on the way': midi(events(*played(60), (0, program(9)), *played(64), (0, control(0, 3)),
                                       (0, program(40)),
                                       *played(67), END)),
    'a bank before the program': midi(events((0, control(0, 121)), (0, control(32, 4)), (0, program(5)),
                                             *played(*TUNE), END)),
    'a track of words alone': midi(CONDUCTOR, events((0, title('Words')), (0, said(1, '@KMIDI')),
                                                     (480, said(1, '\\la')), END),
                                   events((0, title('Melody')), *played(*TUNE), END)),
    'odd metas': midi(events((0, said(0x21, [1])), (0, said(0x7f, [0, 0, 65])), (0, said(9, 'synth')),
                             (0, said(0x54, [96, 0, 0, 0, 0])),
                             *played(*TUNE), END)),
    'a long text': midi(events((0, said(2, 'c' * 300)), (0, said(5, 'l' * 20_000)), *played(*TUNE), END)),
    'pressure of keys': midi(events((0, on(60)), (10, [0xa0, 60, 9]), (470, off(60)), END)),
    'a drum loop on an ordinary channel': midi(events((0, title('Keys')), *played(*TUNE), END),
                                               events((0, title('Kick 01')), *played(*[36] * 8, channel=1),
                                                      END)),
    'hands in unison': midi(*(events((0, title(n)), *played(60, 62, 64, channel=c), END)
                              for c, n in enumerate(('Flute', 'Violin')))),
}

@pytest.mark.parametrize('kind', KINDS)
def test_what_was_read_is_what_is_written(kind, tmp_path):
    song = read(tmp_path, KINDS[kind])
    assert again(song, tmp_path) == song and midi_bytes(again(song, tmp_path)) == midi_bytes(song)
    assert not song.notices

def test_tracks_come_back_as_they_were(tmp_path):
    song = again(read(tmp_path, band()), tmp_path)
    assert [(t.shown, t.channel, t.program, t.drums) for t in song.tracks] == [
        ('Flute', 2, 73, False), ('Strings', 0, 48, False), ('Piano', 1, 0, False), ('Kit', 9, 0, True)]
    assert song.name == 'Waltz' and [t[:] for t in song.texts] == [(0, 'copyright', '(c) me'),
                                                                   (0, 'marker', 'A'),
                                                                  (1440, 'marker', 'B')]
    assert [song.key_tick.tolist(), song.key_sharps.tolist(),
            song.key_minor.tolist()] == [[0, 1440], [1, -2], [0, 1]]
    assert song.tracks[0].events[1:].tolist() == [[0, CONTROLLER, 7, 90], [0, CONTROLLER, 10, 20],
                                                  [0, 0xe0, 100, 64]]
    assert song.tracks[2].events[1:].tolist() == [[0, CONTROLLER, 66, 127], [0, CONTROLLER, 67, 127]]
    assert song.pedal_track.tolist() == [2, 2] and len(song.tracks[3].notes) == 16 and len(song) == 48

def test_names_keep_their_bytes_and_are_shown_readably(tmp_path):
    song = read(tmp_path, KINDS['bytes of Latin-1 and Shift JIS'])
    assert song.name == 'Prélude' and song.name.isprintable() and song.tracks[0].shown.isprintable()
    data = midi_bytes(song)
    for raw in (b'Pr\xe9lude', b'\x83s\x83A\x83m', b'\xe9t\xe9', b'\xff\xfe'): assert raw in data
    assert (b'Waltz' in midi_bytes(song.replace(name='Waltz'))
            and b'Pr\xe9lude' not in midi_bytes(song.replace(name='Waltz')))

def test_one_track_stays_one_track_and_several_get_a_conductor(tmp_path):
    def tracks(kind): return midi_bytes(read(tmp_path, KINDS[kind])).count(b'MTrk')
    assert [tracks(k) for k in ('one track', 'one track of four channels', 'a band',
                                'hands without a conductor')] == [1, 1, 5, 3]

def test_hands_are_a_grand_staff_for_others(tmp_path):
    mido = pytest.importorskip('mido')
    read(tmp_path, (CASES / 'two_hands_named.mid').read_bytes()).save(tmp_path / 'y.mid')
    file = mido.MidiFile(tmp_path / 'y.mid')
    assert [t.name for t in file.tracks] == ['Evening Song', 'Right hand', 'Left hand'] and file.type == 1
    assert [m.key for m in file.tracks[0] if m.type == 'key_signature'] == ['D']

@pytest.mark.parametrize('name, drums', [
    ('Kick 01', True),
    ('snare', True),
    ('HH open', True),
    ('Drums', True),
    ('perc', True),
    ('Steel', False),
    ('Hatikvah', False),
    ('Comb', False)])
def test_drum_loops_are_told_by_their_names(name, drums, tmp_path):
    song = read(tmp_path, midi(events((0, title('Keys')), *played(*TUNE), END),
                               events((0, title(name)), *played(*[36, 38] * 4, channel=1), END)))
    assert song.tracks[1].drums == drums and len(song) == 16 + 8 * (not drums)

@pytest.mark.parametrize('name', ['The Little Drummer Boy', 'Kick the ball', 'Crash into me'])
def test_a_title_is_no_drum_loop(name, tmp_path):
    assert len(read(tmp_path, midi(events((0, title(name)), *played(*TUNE), END)))) == 16

def test_a_loop_of_drums_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match='only drums'):
        read(tmp_path, midi(events((0, title('kick')), *played(36, 36), END),
                            events((0, title('hat')), *played(42, 42), END)))

@pytest.mark.parametrize('parts', ['LIST data', 'data LIST', 'DISP LIST data', 'data'])
def test_a_riff_file_is_read_whatever_the_order_of_its_chunks(parts, tmp_path):
    data = midi(events(*played(60, 64), END))
    body = {'LIST': b'INFOINAM\5\0\0\0MThd\0', 'DISP': b'\1\0\0\0x', 'data': data}
    def part(name):
        return name.encode() + struct.pack('<I', len(body[name])) + body[name] + b'\0' * (len(body[name]) % 2)
    inside = b'RMID' + b''.join(map(part, parts.split()))
    song = read(tmp_path, b'RIFF' + struct.pack('<I', len(inside)) + inside, 'x.rmi')
    assert notes(song) == [(0, 480, 60, 64), (480, 480, 64, 64)]

def test_patterns_of_format_2_are_played_one_after_the_other_and_told(tmp_path):
    first = events((0, title('One')), (0, tempo(1_000_000)), (0, meter(3, 2)), *played(60, 62), END)
    song = read(tmp_path, midi(first, events((0, title('Two')), *played(64), END), kind=2))
    assert notes(song) == [(0, 480, 60, 64), (480, 480, 62, 64), (1440, 480, 64, 64)]  # from a bar line on
    assert song.tempo_tick.tolist() == [0, 1440] and song.tempo_bpm.tolist() == [60, 120]
    assert (song.meter_num.tolist() == [3, 4]
            and song.notices == ('format 2: its 2 patterns are played one after the other',))
    assert again(song, tmp_path) == song

def test_notes_without_an_end_are_told(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (0, on(62)), *played(64), END)))
    assert len(song) == 1 and song.notices == ('2 notes have no end and are left out',)

def test_plain_files_are_read_alike_with_and_without_symusic(tmp_path, monkeypatch):
    import emotionwave.music.read as reader
    paths = [*sorted((CASES.parent.parent / 'samples').glob('*.mid'))[:12], *sorted(CASES.iterdir())]
    quick = [read_song(p) for p in paths]
    calls = []
    monkeypatch.setattr(reader, '_plain', lambda *_: calls.append(1))
    assert [read_song(p) for p in paths] == quick and len(calls) == len(paths)

def test_objects_of_mido_work_and_others_are_refused_with_what_works(tmp_path):
    mido = pytest.importorskip('mido')
    (tmp_path / 'x.mid').write_bytes(band())
    assert as_song(mido.MidiFile(tmp_path / 'x.mid')) == read_song(tmp_path / 'x.mid')
    Score = type('Score', (), {'__module__': 'music21.stream.base'})
    with pytest.raises(TypeError,
                       match='music21.Score; give a path, .*miditoolkit, pretty_midi, symusic or mido'):
        as_song(Score())

def test_other_libraries_keep_tracks_too(tmp_path):
    song = read(tmp_path, band())
    for other in (song.to_symusic(), song.to_miditoolkit(), song.to_pretty_midi()):
        back = as_song(other)
        assert [(t.name, t.program, t.drums, len(t.notes)) for t in back.tracks] == [
            (t.name, t.program, t.drums, len(t.notes)) for t in song.tracks]
        assert np.array_equal(back.track, song.track) and np.array_equal(back.key_sharps, song.key_sharps)
        assert np.array_equal(back.pedal_track, song.pedal_track)


# ---- what is done to songs

def test_a_cut_takes_what_holds_and_what_stands_there(tmp_path):
    song = read(tmp_path, band())
    part = song.bars(1, 2)  # the second bar of three quarters
    assert part.key_sharps.tolist() == [-2] and [t.text for t in part.texts] == ['B']
    assert [t.events.tolist() for t in part.tracks] == [t.events.tolist() for t in song.tracks]
    assert (len(part.tracks[3].notes) == 3
            and part.track.tolist() == song.track[(song.onset >= 1440) & (song.onset < 2880)].tolist())
    assert sum(len(song.bars(k, k + 1).tracks[3].notes) for k in range(6)) == 16

def test_tracks_that_stand_aside_come_back(tmp_path):
    song = read(tmp_path, band())
    for tracks in ('Flute', '1', ['Piano', 0], 'flute, strings'):
        part = set_aside(song, tracks)
        assert len(part) in (16, 32) and set_back(part, song) == song
    with pytest.raises(ValueError, match="no track 'Tuba'; there are 0 Flute, 1 Strings, 2 Piano, 3 Kit"):
        set_aside(song, 'Tuba')
    with pytest.raises(ValueError, match='track 3 Kit: drums have no pitch'): set_aside(song, 'kit')

def test_each_new_note_goes_to_the_track_that_it_came_from(tmp_path):
    song = read(tmp_path, band())
    piano = unlap(song.replace(onset=song.onset))
    for moved in (piano, piano.replace(pitch=piano.pitch + 12),
                  piano.replace(pitch=piano.pitch - (piano.pitch % 12 == 4))):
        made = hand_out(moved, song)
        assert made.track.tolist() == song.track.tolist() and made.tracks == song.tracks

def test_a_song_of_many_notes_on_tracks_stays_cheap():
    import time
    rng, n = np.random.default_rng(0), 20_000
    song = Song(np.sort(rng.integers(0, n * 60, n)), rng.integers(1, 900, n), rng.integers(30, 90, n),
                rng.integers(1, 128, n),
                tracks=[Track(channel=c) for c in range(4)], track=rng.integers(0, 4, n))
    start = time.process_time()
    made = hand_out(unlap(song.replace(onset=song.onset)), song)
    song = unlap(song, by_track=True)
    assert len(midi_bytes(song)) > 100_000 and len(made) <= n and time.process_time() - start < 2


# ---- versions

def transferred(source, valence, **settings):
    from emotionwave.generate.versions import transfer
    return transfer(source, valence, **settings)

@pytest.mark.slow
def test_a_version_keeps_what_the_file_says_and_turns_its_key():
    song = read_song(CASES / 'two_hands_named.mid')
    result = transferred(song, 'sad')
    made = result.song
    assert made.tracks == song.tracks and made.texts == song.texts and made.name == 'Evening Song'
    assert made.key_sharps.tolist() == [-1] and made.key_minor.tolist() == [1]
    assert (set(made.track.tolist()) == {0, 1}
            and made.pitch[made.right].mean() > made.pitch[~made.right].mean() + 12)
    happy = transferred(song, 'happy').song
    assert happy.key_sharps.tolist() == [2] and happy.key_minor.tolist() == [0]

@pytest.mark.slow
def test_drums_and_tracks_that_are_not_named_sound_along_untouched(tmp_path):
    song = read(tmp_path, band())
    every, some = transferred(song, 'sad').song, transferred(song, 'sad', tracks=['Flute', 'Piano']).song
    for made in (every, some):
        assert np.array_equal(made.tracks[3].notes, song.tracks[3].notes) and made.tracks == song.tracks
    def track(song, k): return [n for n, t in zip(notes(song), song.track.tolist()) if t == k]
    assert track(some, 1) == track(song, 1) and track(some, 0) != track(song, 0)
    assert set(every.track.tolist()) == {0, 1, 2} and again(every, tmp_path).tracks == song.tracks

@pytest.mark.slow
def test_bars_of_a_band_are_a_band(tmp_path):
    made = transferred(read(tmp_path, band()), 'happy', bars=(1, 3), tracks=0).song
    assert ([t.shown for t in made.tracks] == ['Flute', 'Strings', 'Piano', 'Kit']
            and len(made.tracks[3].notes) == 6)

@pytest.mark.slow
@pytest.mark.parametrize('name', ['two_hands_named.mid', 'name_latin1.mid', 'riff_list_before_data.rmi'])
def test_the_command_keeps_what_a_file_says(name, tmp_path, capsys):
    from emotionwave.cli.command import main
    assert main(['transfer', str(CASES / name), '--valence', 'sad', '--candidates', '1', '--quiet',
                 '--output',
                 str(tmp_path / 'y.mid')]) == 0
    song, made = read_song(CASES / name), read_song(tmp_path / 'y.mid')
    assert made.tracks == song.tracks and made.name == song.name and made.title == song.title

@pytest.mark.slow
def test_every_kind_of_file_counts_in_a_folder(tmp_path, capsys):
    from emotionwave.cli.command import main
    from emotionwave.files.folders import midi_below
    from emotionwave.hearing.labels import label_files
    from emotionwave.measure.evaluation import midi_files
    from emotionwave.widgets.inputs import songs_in
    folder = tmp_path / 'songs'
    folder.mkdir()
    data = midi(events((0, title('Kick')), *played(36, channel=1), END),
                events((0, title('Keys')), *played(*TUNE), END))
    names = ['a.mid', 'b.midi', 'c.KAR', 'd.rmi']
    for name in names: (folder / name).write_bytes(data)
    assert [p.name for p in midi_below(folder)] == names == [Path(f.path).name for f in midi_files(folder)]
    assert [p.name for _, p in songs_in(folder)] == names and len(label_files(folder)) == 4
    assert main(['transfer', str(folder), '--valence', 'sad', '--candidates', '1', '--quiet', '--tracks',
                 'keys', '--output',
                 str(tmp_path / 'out')]) == 0
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['a.mid', 'a_1.mid', 'b.mid', 'b_1.mid',
                                                                    'c.mid', 'c_1.mid',
                                                                    'd.rmi', 'd_1.mid']
    for name in 'abcd':
        assert len(read_song(tmp_path / 'out' / f'{name}_1.mid').tracks[0].notes) == 1
