"""MIDI files: round trips of every sample, and anything a user may have. Broken files
are in test_bad_files.py."""
import struct
from pathlib import Path
import numpy as np
import pytest
from emotionwave.music.song import Song
from emotionwave.music.read import as_song, read_song
from smf import END, QUARTERS, TWO, chunk, events, header, meter, midi, notes, off, on, tempo, title

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / 'samples').glob('*.mid'))
every_sample = pytest.mark.parametrize('path', SAMPLES, ids=lambda p: p.stem)

def read(tmp_path, data, name='x.mid'):
    (tmp_path / name).write_bytes(data)
    return read_song(tmp_path / name)


# ---- round trips

@every_sample
def test_sample_survives_its_own_file(path, tmp_path):
    song = read_song(path)
    song.save(tmp_path / path.name)
    assert read_song(tmp_path / path.name) == song and len(song) > 50

def but_channels(song):
    "The other libraries know no channels."
    return song.replace(tracks=[t.replace(channel=0) for t in song.tracks])

@every_sample
def test_sample_survives_miditoolkit(path, tmp_path):
    song = read_song(path)
    assert but_channels(as_song(song.to_miditoolkit())) == but_channels(song)
    song.to_miditoolkit().dump(str(tmp_path / 'x.mid'))
    assert notes(read_song(tmp_path / 'x.mid')) == notes(song)

@every_sample
def test_sample_survives_pretty_midi(path, tmp_path):
    song = read_song(path)
    assert but_channels(as_song(song.to_pretty_midi())) == but_channels(song)
    song.to_pretty_midi().write(str(tmp_path / 'x.mid'))
    assert np.array_equal(read_song(tmp_path / 'x.mid').onset, song.onset)

@every_sample
def test_sample_survives_symusic(path, tmp_path):
    song = read_song(path)
    assert but_channels(as_song(song.to_symusic())) == but_channels(song)
    (tmp_path / 'x.mid').write_bytes(bytes(song.to_symusic().dumps_midi()))
    assert notes(read_song(tmp_path / 'x.mid')) == notes(song)

@every_sample
def test_libraries_agree_on_what_a_sample_holds(path):
    from miditoolkit import MidiFile
    from pretty_midi import PrettyMIDI
    from symusic import Score
    song = read_song(path)
    for other in (MidiFile(str(path)), PrettyMIDI(str(path)), Score(path)):
        assert notes(as_song(other)) == notes(song)

@every_sample
def test_bars_of_a_sample_put_together_give_all_its_notes(path):
    song = read_song(path)
    edges = song.bar_ticks()
    parts = [song.bars(k, k + 1) for k in range(len(edges) - 1)]
    assert np.array_equal(np.concatenate([p.onset + t for p, t in zip(parts, edges)]), song.onset)
    assert np.allclose(song.ticks_at(song.seconds(song.onset)), song.onset)

def test_saving_the_same_song_twice_gives_the_same_bytes(tmp_path):
    song = read_song(SAMPLES[0])
    for name in 'ab': song.save(tmp_path / name)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


# ---- what users have

@pytest.mark.parametrize('kind', [0, 1, 2])
def test_every_format_is_read(kind, tmp_path):
    assert notes(read(tmp_path, midi(TWO, kind=kind))) == QUARTERS

def test_tracks_are_merged_and_drums_left_out(tmp_path):
    hands = [events((0, title(name)), (0, on(p, channel=c)), (480, off(p, channel=c)), END)
             for name, p, c in (('Right', 72, 0), ('Left', 48, 1), ('Kit', 36, 9))]
    song = read(tmp_path, midi(events((0, tempo(400_000)), END), *hands))
    assert notes(song) == [(0, 480, 48, 64), (0, 480, 72, 64)]
    assert song.tempo_bpm.tolist() == [150] and song.name == 'x'      # a hand's name is no title

def test_format_0_with_drums_on_channel_10_leaves_them_out(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (0, on(36, channel=9)), (480, off(60)),
                                      (0, off(36, channel=9)), END)))
    assert notes(song) == QUARTERS[:1]

def test_a_file_without_tempo_and_meter_has_120_and_4_4(tmp_path):
    song = read(tmp_path, midi(TWO))
    assert (song.tempo_bpm.tolist(), song.meter_num.tolist(), song.meter_den.tolist()) == ([120], [4], [4])
    assert song.name == 'x'

def test_a_tempo_of_0_is_left_out(tmp_path):
    song = read(tmp_path, midi(events((0, tempo(0)), (240, tempo(600_000))) + TWO))
    assert song.tempo_tick.tolist() == [0, 240] and song.tempo_bpm.tolist() == [120, 100]

def test_a_late_first_tempo_has_120_before_it(tmp_path):
    song = read(tmp_path, midi(events((960, tempo(1_000_000))) + TWO))
    assert song.tempo_tick.tolist() == [0, 960] and song.tempo_bpm.tolist() == [120, 60]
    assert song.seconds(1440).item() == pytest.approx(2)

def test_meter_changes_start_bars_even_in_the_middle_of_one(tmp_path):
    song = read(tmp_path, midi(events((0, meter(3, 2)), (1440 + 480, meter(6, 3)), (1440, meter(2, 1)))
                               + TWO))
    assert list(zip(song.meter_num.tolist(), song.meter_den.tolist())) == [(3, 4), (6, 8), (2, 2)]
    assert song.bar_ticks().tolist() == [0, 1440, 1920, 3360, 5280]

def test_tempo_change_in_the_middle_of_a_bar_moves_no_bar_line(tmp_path):
    song = read(tmp_path, midi(events((0, tempo(500_000)), (700, tempo(300_000)), (1300, on(60)),
                                      (480, off(60)), END)))
    assert song.bar_ticks().tolist() == [0, 1920, 3840] and song.tempo_tick.tolist() == [0, 700]

def test_running_status_and_note_on_with_velocity_0_are_read(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (480, [60, 0]), (0, [64, 64]), (480, [64, 0]), END)))
    assert notes(song) == QUARTERS

def test_running_status_goes_on_after_a_meta_event(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (480, [60, 0]), (0, [0xff, 1, 2, 65, 66]), (0, [64, 64]),
                                      (480, [64, 0]), END)))
    assert notes(song) == QUARTERS

def test_overlapping_notes_of_a_pitch_are_all_kept_and_saved_as_a_keyboard_plays_them(tmp_path):
    song = Song([0, 240, 480], [960, 480, 480], [60] * 3, [64] * 3)
    assert len(as_song(song.to_miditoolkit())) == 3
    song.save(tmp_path / 'y.mid')
    assert notes(read_song(tmp_path / 'y.mid')) == [(0, 240, 60, 64), (240, 240, 60, 64), (480, 480, 60, 64)]

def test_a_zero_length_note_does_not_eat_the_next_note_off(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (0, off(60)), (0, on(64)), (480, off(64)), (0, on(60)),
                                      (480, off(60)), END)))
    assert ((song.duration >= 1).all() and (480, 480, 60, 64) in notes(song)
            and (0, 480, 64, 64) in notes(song))

def test_a_note_off_without_a_note_is_left_out(tmp_path):
    assert notes(read(tmp_path, midi(events((0, off(50)), (0, off(60))) + TWO))) == QUARTERS

def test_a_riff_wrapper_is_taken_off(tmp_path):
    data = midi(TWO)
    wrapped = b'RIFF' + struct.pack('<I', len(data) + 12) + b'RMIDdata' + struct.pack('<I', len(data)) + data
    assert notes(read(tmp_path, wrapped, 'x.rmi')) == QUARTERS

@pytest.mark.parametrize('name', ['x.midi', 'x.MID', 'x.kar', 'x.txt', 'x', 'ä ☂.mid'])
def test_the_extension_does_not_matter(name, tmp_path):
    assert notes(read(tmp_path, midi(TWO), name)) == QUARTERS

@pytest.mark.parametrize('tpq', [1, 24, 96, 960, 32767])
def test_every_resolution_is_read_and_kept(tpq, tmp_path):
    song = read(tmp_path, midi(TWO, tpq=tpq))
    assert song.tpq == tpq and notes(song) == QUARTERS
    song.save(tmp_path / 'y.mid')
    assert read_song(tmp_path / 'y.mid').tpq == tpq

def test_300_tracks_are_read(tmp_path):
    song = read(tmp_path, midi(*[events((i, on(20 + i % 88)), (480, off(20 + i % 88)), END)
                                 for i in range(300)]))
    assert len(song) == 300

def test_a_wrong_count_of_tracks_does_not_matter(tmp_path):
    for count in (0, 1, 2, 7, 65535):
        assert notes(read(tmp_path, header(count, kind=1) + chunk(events(END)) + chunk(TWO))) == QUARTERS

def test_chunks_of_other_kinds_and_rubbish_at_the_end_are_left_out(tmp_path):
    assert notes(read(tmp_path,
                      header() + chunk(b'hello', kind=b'XFIH') + chunk(TWO) + b'\0\0\1garbage')) == QUARTERS

def test_a_longer_header_is_read(tmp_path):
    assert notes(read(tmp_path, header(size=10, more=b'\1\2\3\4') + chunk(TWO))) == QUARTERS

def test_sysex_and_other_events_are_passed_over(tmp_path):
    song = read(tmp_path, midi(events((0, [0xf0, 5, 0x7e, 0x7f, 9, 1, 0xf7]), (0, [0xc0, 3]),
                                      (0, [0xe0, 0, 64]), (0, [0xb0, 64, 127]), (0, [0xd0, 9]),
                                      (0, [0xa0, 60, 9])) + TWO))
    assert notes(song) == QUARTERS and song.pedal_value.tolist() == [127]

def test_a_title_in_another_encoding_is_no_reason_to_refuse(tmp_path):
    song = read(tmp_path, midi(events((0, [0xff, 3, 4, 0xe4, 0xf6, 0xfc, 0x21])) + TWO))
    assert notes(song) == QUARTERS

def test_objects_that_hold_no_music_are_refused_with_a_hint():
    with pytest.raises(TypeError, match='cannot read music from list'): as_song([1, 2])
    with pytest.raises(FileNotFoundError, match='nowhere.mid: no such file'): as_song('nowhere.mid')


def test_a_changed_meter_moves_the_bars_and_what_was_found_before_is_forgotten():
    song = Song([0, 1920, 3840], [480] * 3, [60, 62, 64], [80] * 3)
    assert song.bar_ticks().tolist() == [0, 1920, 3840, 5760]
    assert (song.replace(meter_num=[3]).bar_ticks().tolist() == [0, 1440, 2880, 4320]
            and song.bars(1, 3).bar_ticks().tolist() == [0, 1920, 3840])
    assert song.replace(grid='performance').bar_ticks().tolist() == song.bar_ticks().tolist()
    with pytest.raises(ValueError, match='read-only'): song.bar_ticks()[0] = 1
    with pytest.raises(TypeError, match='metre'): song.replace(metre=[3])
    with pytest.raises(ValueError, match='meter_num must be from 1 to 255'):
        song.replace(meter_num=[0])


def test_notes_equal_but_for_their_velocity_are_sorted_by_it():
    rng = np.random.default_rng(0)
    columns = (rng.integers(0, 3, 500), rng.integers(1, 3, 500), rng.integers(60, 62, 500),
               rng.integers(1, 128, 500))
    song, order = Song(*columns), np.lexsort((columns[3], columns[1], columns[2], columns[0]))
    for k, c in zip(('onset', 'duration', 'pitch', 'velocity'), columns):
        assert np.array_equal(getattr(song, k), c[order])


def test_a_cut_keeps_the_seconds_of_notes_that_ring_beyond_it():
    song = Song([0, 1920], [3840, 480], [60, 62], [80] * 2, tempo_tick=[0, 1920], tempo_bpm=[120, 60])
    part = song.bars(0, 1)
    assert float(part.seconds(part.end_tick)) == float(song.seconds(3840)) == 6


# ---- hands

def two_hands(programs=(0, 0)):
    "A file whose hands cross: for a moment the left one is above the right one."
    from miditoolkit import Instrument, MidiFile, Note
    midi = MidiFile(ticks_per_beat=480)
    for program, name, pitches in zip(programs, ('upper', 'lower'), ((60, 72, 55, 76), (48, 50, 64, 52))):
        track = Instrument(program, name=name)
        track.notes = [Note(70, p, 480 * k, 480 * k + 400) for k, p in enumerate(pitches)]
        midi.instruments.append(track)
    return midi

def test_a_hand_is_a_track_where_a_file_has_two_of_them(tmp_path):
    from pretty_midi import PrettyMIDI
    from symusic import Score
    two_hands().dump(str(tmp_path / 'x.mid'))
    songs = [read_song(tmp_path / 'x.mid'), as_song(two_hands()),
             as_song(PrettyMIDI(str(tmp_path / 'x.mid'))), as_song(Score(str(tmp_path / 'x.mid')))]
    for song in songs:
        assert (song.pitch[song.right].tolist() == [60, 72, 55, 76]
                and song.pitch[~song.right].tolist() == [48, 50, 64, 52])
    assert as_song(two_hands((0, 40))).right is None                          # a violin is no hand
    one = two_hands()
    one.instruments.pop()
    assert as_song(one).right is None
    stray = two_hands()
    stray.instruments[0].notes *= 10
    del stray.instruments[1].notes[1:]
    assert as_song(stray).right is None

def test_hands_go_with_their_notes_until_these_are_others():
    song = as_song(two_hands())
    assert song.replace(pitch=song.pitch[::-1]).right.sum() == song.replace(name='x').right.sum() == 4
    assert song.replace(pitch=np.where(song.right, 40, 80)).right.tolist() == [True, False] * 4  # sorted anew
    assert (song.bars(0, 1).right.tolist() == song.right.tolist()
            and song.replace(meter_num=[1]).bars(2, 3).right.tolist() == [True, False])
    assert song.replace(onset=song.onset + 1).right is None
    assert song.replace(track=None).right is None
    with pytest.raises(ValueError, match='track has 2 values for 8; give one for each, or None'):
        song.replace(track=[1, 0])
    with pytest.raises(ValueError, match='track must be from 0 to 1, the last of tracks, got 2 to 2'):
        song.replace(track=[2] * 8)
