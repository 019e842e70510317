"MIDI files: round trips of every sample, anything a user may have, and a corpus of broken files."
import json, os, struct, subprocess, sys
from pathlib import Path
import numpy as np
import pytest
from emotionwave.midi import MAX_BARS, MidiError, Song, as_song, read_song, unlap

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / 'samples').glob('*.mid'))
every_sample = pytest.mark.parametrize('path', SAMPLES, ids=lambda p: p.stem)


# ---- files byte by byte

def vlq(n, more=0):
    "A variable-length number; `more` puts needless zero bytes before it."
    out = [n & 0x7f]
    while n := n >> 7: out.append(n & 0x7f | 0x80)
    return bytes([0x80] * more + out[::-1])

def events(*pairs): return b''.join((vlq(d) if isinstance(d, int) else d) + bytes(e) for d, e in pairs)
def chunk(body, size=None, kind=b'MTrk'): return kind + struct.pack('>I', len(body) if size is None else size) + body
def header(tracks=1, kind=0, tpq=480, size=6, more=b''): return b'MThd' + struct.pack('>IHHH', size, kind, tracks, tpq & 0xffff) + more

def on(pitch, velocity=64, channel=0): return [0x90 | channel, pitch, velocity]
def off(pitch, channel=0): return [0x80 | channel, pitch, 0]
def tempo(us): return [0xff, 0x51, 3, *us.to_bytes(3, 'big')]
def meter(num, power): return [0xff, 0x58, 4, num, power, 24, 8]
def title(text): return [0xff, 0x03, len(text), *text.encode()]
END = (0, [0xff, 0x2f, 0])
TWO = events((0, on(60)), (480, off(60)), (0, on(64)), (480, off(64)), END)     # two quarters
def midi(*bodies, **how): return header(len(bodies), **{'kind': int(len(bodies) > 1), **how}) + b''.join(map(chunk, bodies))

def read(tmp_path, data, name='x.mid'):
    (tmp_path / name).write_bytes(data)
    return read_song(tmp_path / name)

def notes(song): return list(zip(*(c.tolist() for c in (song.onset, song.duration, song.pitch, song.velocity))))
QUARTERS = [(0, 480, 60, 64), (480, 480, 64, 64)]


# ---- round trips

@every_sample
def test_sample_survives_its_own_file(path, tmp_path):
    song = read_song(path)
    song.save(tmp_path / path.name)
    assert read_song(tmp_path / path.name) == song and len(song) > 50

@every_sample
def test_sample_survives_miditoolkit(path, tmp_path):
    song = read_song(path)
    assert as_song(song.to_miditoolkit()) == song
    song.to_miditoolkit().dump(str(tmp_path / 'x.mid'))
    assert read_song(tmp_path / 'x.mid') == song

@every_sample
def test_sample_survives_pretty_midi(path, tmp_path):
    song = read_song(path)
    assert as_song(song.to_pretty_midi()) == song
    song.to_pretty_midi().write(str(tmp_path / 'x.mid'))
    assert np.array_equal(read_song(tmp_path / 'x.mid').onset, song.onset)

@every_sample
def test_sample_survives_symusic(path, tmp_path):
    song = read_song(path)
    assert as_song(song.to_symusic()) == song
    (tmp_path / 'x.mid').write_bytes(bytes(song.to_symusic().dumps_midi()))
    assert read_song(tmp_path / 'x.mid') == song

@every_sample
def test_libraries_agree_on_what_a_sample_holds(path):
    from miditoolkit import MidiFile
    from pretty_midi import PrettyMIDI
    from symusic import Score
    song = read_song(path)
    for other in (MidiFile(str(path)), PrettyMIDI(str(path)), Score(path)): assert notes(as_song(other)) == notes(song)

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
    hands = [events((0, title(name)), (0, on(p, channel=c)), (480, off(p, channel=c)), END) for name, p, c in (('Right', 72, 0), ('Left', 48, 1), ('Kit', 36, 9))]
    song = read(tmp_path, midi(events((0, tempo(400_000)), END), *hands))
    assert notes(song) == [(0, 480, 48, 64), (0, 480, 72, 64)]
    assert song.tempo_bpm.tolist() == [150] and song.name in ('Right', 'Left')

def test_format_0_with_drums_on_channel_10_leaves_them_out(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (0, on(36, channel=9)), (480, off(60)), (0, off(36, channel=9)), END)))
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
    song = read(tmp_path, midi(events((0, meter(3, 2)), (1440 + 480, meter(6, 3)), (1440, meter(2, 1))) + TWO))
    assert list(zip(song.meter_num.tolist(), song.meter_den.tolist())) == [(3, 4), (6, 8), (2, 2)]
    assert song.bar_ticks().tolist() == [0, 1440, 1920, 3360, 5280]

def test_tempo_change_in_the_middle_of_a_bar_moves_no_bar_line(tmp_path):
    song = read(tmp_path, midi(events((0, tempo(500_000)), (700, tempo(300_000)), (1300, on(60)), (480, off(60)), END)))
    assert song.bar_ticks().tolist() == [0, 1920, 3840] and song.tempo_tick.tolist() == [0, 700]

def test_running_status_and_note_on_with_velocity_0_are_read(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (480, [60, 0]), (0, [64, 64]), (480, [64, 0]), END)))
    assert notes(song) == QUARTERS

def test_running_status_goes_on_after_a_meta_event(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (480, [60, 0]), (0, [0xff, 1, 2, 65, 66]), (0, [64, 64]), (480, [64, 0]), END)))
    assert notes(song) == QUARTERS

def test_overlapping_notes_of_a_pitch_are_all_kept_and_saved_as_a_keyboard_plays_them(tmp_path):
    song = Song([0, 240, 480], [960, 480, 480], [60] * 3, [64] * 3)
    assert len(as_song(song.to_miditoolkit())) == 3
    song.save(tmp_path / 'y.mid')
    assert notes(read_song(tmp_path / 'y.mid')) == [(0, 240, 60, 64), (240, 240, 60, 64), (480, 480, 60, 64)]

def test_a_zero_length_note_does_not_eat_the_next_note_off(tmp_path):
    song = read(tmp_path, midi(events((0, on(60)), (0, off(60)), (0, on(64)), (480, off(64)), (0, on(60)), (480, off(60)), END)))
    assert (song.duration >= 1).all() and (480, 480, 60, 64) in notes(song) and (0, 480, 64, 64) in notes(song)

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
    song = read(tmp_path, midi(*[events((i, on(20 + i % 88)), (480, off(20 + i % 88)), END) for i in range(300)]))
    assert len(song) == 300

def test_a_wrong_count_of_tracks_does_not_matter(tmp_path):
    for count in (0, 1, 2, 7, 65535): assert notes(read(tmp_path, header(count, kind=1) + chunk(events(END)) + chunk(TWO))) == QUARTERS

def test_chunks_of_other_kinds_and_rubbish_at_the_end_are_left_out(tmp_path):
    assert notes(read(tmp_path, header() + chunk(b'hello', kind=b'XFIH') + chunk(TWO) + b'\0\0\1garbage')) == QUARTERS

def test_a_longer_header_is_read(tmp_path):
    assert notes(read(tmp_path, header(size=10, more=b'\1\2\3\4') + chunk(TWO))) == QUARTERS

def test_sysex_and_other_events_are_passed_over(tmp_path):
    song = read(tmp_path, midi(events((0, [0xf0, 5, 0x7e, 0x7f, 9, 1, 0xf7]), (0, [0xc0, 3]), (0, [0xe0, 0, 64]), (0, [0xb0, 64, 127]), (0, [0xd0, 9]), (0, [0xa0, 60, 9])) + TWO))
    assert notes(song) == QUARTERS and song.pedal_value.tolist() == [127]

def test_a_title_in_another_encoding_is_no_reason_to_refuse(tmp_path):
    song = read(tmp_path, midi(events((0, [0xff, 3, 4, 0xe4, 0xf6, 0xfc, 0x21])) + TWO))
    assert notes(song) == QUARTERS

def test_objects_that_hold_no_music_are_refused_with_a_hint():
    with pytest.raises(TypeError, match='cannot read music from list'): as_song([1, 2])
    with pytest.raises(FileNotFoundError, match='nowhere.mid: no such file'): as_song('nowhere.mid')


# ---- broken files: a Song or one MidiError, in bounded time and memory, whatever the bytes

LATE = 0x0fffffff
BAD = {                                                                         # name -> bytes, what the error says ("" for either outcome, None for a Song)
    'empty': (b'', 'empty'),
    'text': (b'<html>404</html>' * 9, 'not a MIDI file'),
    'one byte': (b'M', 'not a MIDI file'),
    'only MThd': (b'MThd', 'truncated'),
    'header alone': (header(), 'no tracks'),
    'MThd of length 0': (header(size=0) + chunk(TWO), 'header'),
    'MThd of length 5': (header(size=5) + chunk(TWO), 'header'),
    'MThd of length 1000': (header(size=1000) + chunk(TWO), 'header'),
    'MThd of length 0xFFFFFFFF': (header(size=0xffffffff) + chunk(TWO), 'header'),
    'track of length 0xFFFFFFFF': (header() + chunk(TWO, 0xffffffff), 'truncated'),
    'track of length 0x7FFFFFFF': (header() + chunk(TWO, 0x7fffffff), 'truncated'),
    'track shorter than it says': (header() + chunk(TWO, len(TWO) + 5), 'truncated'),
    'track longer than it says': (header() + chunk(TWO, len(TWO) - 5), ''),
    'empty track': (midi(b''), ''),
    'no notes': (midi(events((0, tempo(500_000)), END)), 'no notes'),
    'only drums': (midi(events((0, on(36, channel=9)), (480, off(36, channel=9)), END)), 'only drums'),
    'division 0': (midi(TWO, tpq=0), '0 ticks'),
    'SMPTE division': (midi(TWO, tpq=-25 << 8 | 40), 'SMPTE'),
    'division 0x8000': (midi(TWO, tpq=0x8000), 'SMPTE'),
    'format 7': (midi(TWO, kind=7), ''),
    'number of 5 bytes': (midi(events((vlq(480, more=3), on(60)), (480, off(60)), END)), ''),
    'number of 12 bytes': (midi(events((vlq(480, more=10), on(60)), (480, off(60)), END)), ''),
    'number without an end': (midi(b'\xff' * 40), ''),
    'number of 9 high bytes': (midi(b'\xff' * 9 + b'\x7f' + bytes(on(60)) + events((480, off(60)), END)), ''),
    'huge tick': (midi(events((LATE, on(60)), (480, off(60)), END)), 'bars'),
    'many huge ticks': (midi(events(*[(LATE, e) for _ in range(40) for e in (on(60), off(60))], END)), ''),
    'ticks beyond 2**31': (midi(events(*[(LATE, [0xff, 1, 0])] * 9, (0, on(60)), (480, off(60)), END)), ''),
    'note of huge length': (midi(events((0, on(60)), (LATE, off(60)), END)), ''),
    'a million bars': (midi(events((0, meter(1, 2)), (0, on(60)), (1, off(60)), (480_000_000 // 2, on(60)), (1, off(60)), END)), 'bars'),
    'a million bars at tpq 1': (midi(events((0, on(60)), (1, off(60)), (4_000_000, on(60)), (1, off(60)), END), tpq=1), f'the limit is {MAX_BARS:,}'),
    'meter 0/4': (midi(events((0, meter(0, 2))) + TWO), None),
    'meter of 2**255': (midi(events((0, meter(4, 255))) + TWO), None),
    'meter 255/128': (midi(events((0, meter(255, 7))) + TWO), None),
    'tempo 0': (midi(events((0, tempo(0))) + TWO), None),
    'slowest tempo': (midi(events((0, tempo(0xffffff))) + TWO), None),
    'fastest tempo': (midi(events((0, tempo(1))) + TWO), None),
    '20,000 tempo changes': (midi(events(*[(1, tempo(400_000 + i)) for i in range(20_000)]) + TWO), None),
    '20,000 meter changes': (midi(events(*[(1, meter(3 + i % 2, 2)) for i in range(20_000)]) + TWO), ''),
    'data byte above 127': (midi(events((0, [0x90, 0xe0, 0xff]), (480, [0x80, 0xe0, 0]), END)), ''),
    'velocity above 127': (midi(events((0, [0x90, 60, 0xf0]), (480, off(60)), END)), 'damaged MIDI: velocity=240; save it anew'),
    'data byte without status': (midi(events((0, [60, 64]), (480, [60, 0]), END)), ''),
    'bad key signature': (midi(events((0, [0xff, 0x59, 2, 99, 7])) + TWO), ''),
    'short key signature': (midi(events((0, [0xff, 0x59, 1, 0])) + TWO), ''),
    'empty key signature': (midi(events((0, [0xff, 0x59, 0])) + TWO), ''),
    'short tempo': (midi(events((0, [0xff, 0x51, 1, 7])) + TWO), ''),
    'empty tempo': (midi(events((0, [0xff, 0x51, 0])) + TWO), ''),
    'long tempo': (midi(events((0, [0xff, 0x51, 5, 1, 2, 3, 4, 5])) + TWO), ''),
    'short meter': (midi(events((0, [0xff, 0x58, 2, 4, 2])) + TWO), ''),
    'empty meter': (midi(events((0, [0xff, 0x58, 0])) + TWO), ''),
    'tempo at the very end': (header() + chunk(events((0, on(60)), (480, off(60))) + b'\0\xff\x51\3'), ''),
    'text of 2 GB': (midi(b'\0\xff\1' + vlq(0x7fffffff) + b'abc'), ''),
    'text of a 34 GB length': (midi(b'\0\xff\1' + b'\xff' * 4 + b'\x7f' + b'abc'), ''),
    'sysex without an end': (midi(b'\0\xf0' + vlq(LATE) + b'abc'), ''),
    'sysex of length 0': (midi(events((0, [0xf0, 0])) + TWO), ''),
    'undefined status F4': (midi(events((0, [0xf4])) + TWO), 'damaged MIDI: Unknown or unsupported status byte: 0xf4; save it anew'),
    'no end of track': (midi(TWO[:-4]), ''),
    'note never let go': (midi(events((0, on(60)), (480, on(64)), (480, off(64)), END)), ''),
    'a pitch struck 1,000 times': (midi(events(*[(1, on(60))] * 1000, *[(1, off(60))] * 1000, END)), ''),
    'names not in UTF-8': (midi(events((0, [0xff, 3, 3, 0xff, 0xfe, 0xc0])) + TWO), None),
    'name with zero bytes': (midi(events((0, [0xff, 3, 3, 0, 65, 0])) + TWO), None),
    'lyrics not in UTF-8': (midi(events((0, [0xff, 5, 3, 0xff, 0xfe, 0xc0])) + TWO), None),
    'RIFF without MIDI': (b'RIFF' + bytes(200), 'not a MIDI file'),
    'RIFF cut short': (b'RIFF\x20\0\0\0RMIDdata\x14\0\0\0MThd', 'truncated'),
    '1,000 headers': (header() * 1000, ''),
    '5,000 empty tracks': (header(5000, kind=1) + chunk(events(END)) * 5000, 'no notes'),
    'zero-length note': (midi(events((0, on(60)), (0, off(60)), END)), ''),
    'zero bytes': (bytes(5000), 'not a MIDI file'),
    'zero bytes after the header': (header() + bytes(5000), ''),
}

CHILD = '''
import faulthandler, json, sys, tempfile, pathlib
try:
    import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
except (ImportError, ValueError, OSError): pass
import numpy as np
from emotionwave.midi import Song, MidiError, read_song
with tempfile.TemporaryDirectory() as folder, open(sys.argv[1], "rb") as f:
    path = pathlib.Path(folder) / "file.mid"
    while size := f.read(8):
        path.write_bytes(f.read(int.from_bytes(size, "big")))
        faulthandler.dump_traceback_later(10, exit=True)                        # a file that hangs, even in C++, ends the process
        try:
            song = read_song(path)
            ok = isinstance(song, Song) and len(song) > 0 and len(song.bar_ticks()) > 1 and np.isfinite(song.seconds(song.end_tick))
            said = None if ok else "a Song that holds nothing"
            if ok:
                song.save(path)
                read_song(path)                                                 # what was read can be written, and read again
        except MidiError as e: said = "MidiError " + str(e)
        except BaseException as e: said = f"{type(e).__name__} {e}"
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(said), flush=True)
'''

def read_elsewhere(blobs, tmp_path):
    "Read each blob in another process; list of None for a Song or the error's class and text. Fails when the process dies."
    put = tmp_path / 'blobs'
    put.write_bytes(b''.join(len(b).to_bytes(8, 'big') + b for b in blobs))
    done = subprocess.run([sys.executable, '-c', CHILD, put], capture_output=True, text=True, timeout=400, env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1'))
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(out) == len(blobs), f'reading died (exit status {done.returncode}) at number {len(out)}: {blobs[len(out)][:4000].hex()}\n{done.stderr[-2000:]}'
    return out

def only_songs_and_midi_errors(blobs, outcomes):
    wrong = [(i, o, blobs[i][:4000].hex()) for i, o in enumerate(outcomes) if o is not None and not o.startswith('MidiError ')]
    assert not wrong, wrong[:5]
    long = [o for o in outcomes if o and ('\n' in o or len(o) > 400)]
    assert not long, long[:5]                                                   # one clear line

@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
    return dict(zip(BAD, read_elsewhere([b for b, _ in BAD.values()], tmp_path_factory.mktemp('bad'))))

@pytest.mark.parametrize('name', BAD)
def test_broken_file_gives_a_song_or_one_clear_error(name, outcomes):
    said, expected = outcomes[name], BAD[name][1]
    only_songs_and_midi_errors([BAD[name][0]], [said])
    if expected is None: assert said is None, said
    elif expected: assert said and expected in said

def test_a_file_cut_at_any_byte_gives_a_song_or_one_clear_error(tmp_path):
    whole = midi(events((0, title('Cut')), (0, tempo(500_000)), (0, meter(3, 2)), (0, [0xff, 0x59, 2, 1, 0]), END),
                 events((0, [0xc0, 0]), (0, on(60)), (480, [60, 0]), (0, [0xb0, 64, 127]), (200, [0xe0, 0, 64]), (0, [0xf0, 3, 1, 2, 0xf7]), (0, on(64)), (480, off(64)), END))
    blobs = [whole[:n] for n in range(len(whole))] + [header() + chunk(TWO[:n]) for n in range(len(TWO))]    # the second with a length that fits
    outcomes = read_elsewhere(blobs, tmp_path)
    only_songs_and_midi_errors(blobs, outcomes)
    assert all(outcomes[:len(whole) - 8])

def mutate(data, rng, others):
    "Damage a file in one to three places; half of the time track lengths are put right again, so that damage reaches the events."
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, how = int(rng.integers(len(data))), rng.integers(10)
        n = int(rng.integers(1, 20))
        if how < 2: data[at] = rng.integers(256)
        elif how > 7: data[at] = data[at] & 0x80 | rng.integers(128)                # stays the kind of byte it was
        elif how == 2: data[at] = rng.choice([0, 1, 0x7f, 0x80, 0xff, 0x90, 0xf0, 0xf7])
        elif how == 3: data[at:at + n] = b''
        elif how == 4: data[at:at] = rng.integers(0, 256, n, np.uint8).tobytes()
        elif how == 5: data[at:at + n] = data[(b := int(rng.integers(len(data)))):b + n]
        elif how == 6: data[at:at + 4] = bytes(rng.choice([b'\xff' * 4, b'\x7f\xff\xff\xff', bytes(4), b'\xff\x51\3\0', b'\xff\x58\4\0']))
        else: data[at:at + n] = (other := others[rng.integers(len(others))])[(b := int(rng.integers(len(other)))):b + n]
        if len(data) < 2: return bytes(data)
    if rng.random() < .5:
        at = data.find(b'MTrk')
        while at >= 0:
            after = data.find(b'MTrk', at + 4)
            data[at + 4:at + 8] = struct.pack('>I', max((after if after > 0 else len(data)) - at - 8, 0))
            at = after
    return bytes(data)

@pytest.mark.parametrize('seed', [0, 1])
def test_a_thousand_damaged_samples_give_a_song_or_one_clear_error(seed, tmp_path):
    rng, whole = np.random.default_rng([2026, seed]), [p.read_bytes() for p in SAMPLES]
    blobs = [mutate(whole[i % len(whole)], rng, whole) for i in range(1000)]
    outcomes = read_elsewhere(blobs, tmp_path)
    only_songs_and_midi_errors(blobs, outcomes)
    assert sum(o is None for o in outcomes) > 50 and sum(o is not None for o in outcomes) > 50   # damage of both kinds was tried


# ---- refused before anything is read

def test_a_file_over_50_mb_is_refused_unread(tmp_path):
    with open(tmp_path / 'big.mid', 'wb') as f: f.write(midi(TWO)); f.truncate(50_000_001)
    with pytest.raises(MidiError, match='big.mid: 50 MB; files up to 50 MB'): read_song(tmp_path / 'big.mid')

def test_a_directory_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(MidiError, match='a directory'): read_song(tmp_path)
    with pytest.raises(FileNotFoundError, match='no.mid: no such file'): read_song(tmp_path / 'no.mid')

def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    song = read_song(SAMPLES[0])
    with pytest.raises(FileNotFoundError, match='no such folder'): song.save(tmp_path / 'no' / 'x.mid')
    with pytest.raises(IsADirectoryError, match='a directory'): song.save(tmp_path)
    assert not list(tmp_path.iterdir())

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_or_device_is_written_to_and_not_replaced(tmp_path):
    song = read_song(SAMPLES[0])
    song.save(tmp_path / 'x.mid')
    os.mkfifo(tmp_path / 'pipe')
    end = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    song.save(tmp_path / 'pipe')
    assert os.read(end, 100_000) == (tmp_path / 'x.mid').read_bytes() and (tmp_path / 'pipe').is_fifo()
    os.close(end)

def test_a_song_without_notes_can_be_unlapped_cut_and_saved(tmp_path):
    assert unlap(Song()) == Song() == Song().bars(0, 1)
    Song().save(tmp_path / 'x.mid')
    with pytest.raises(MidiError, match='x.mid: no notes'): read_song(tmp_path / 'x.mid')
