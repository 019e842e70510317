"""Files that broke other readers, rebuilt byte by byte, and thousands of damaged ones: each gives a `Song`
with these notes, or this one error.

Beside each case stands where it was met; numbers are of issues and pull requests on GitHub."""
import json, os, subprocess, sys
from pathlib import Path
import pytest
from emotionwave.files.atomic import write_atomic
from emotionwave.music.song import MAX_BARS, MAX_TICK, MidiError, Song, unlap
from emotionwave.music.read import MAX_BYTES, as_song, read_song
from smf import (END, QUARTERS, TWO, chunk, events, header, meter, midi, notes, off, on, played, program,
                 tempo, title, vlq)
import fuzz

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / 'samples').glob('*.mid'))
LATE = 0x0fffffff  # the largest number of four bytes
ONE = QUARTERS[:1]
def text(size=0): return [0xff, 1, size] + [65] * size
def late(n): return [(LATE, text())] * n  # time that goes by without a note
def far_apart(ticks): return [(0, on(60)), (1, off(60)), (ticks, on(60)), (1, off(60))]
def every_channel_and_program():
    for channel in set(range(16)) - {9}:
        for number in range(128):
            yield 0, program(number, channel)
            yield from played(60, channel=channel, length=1)
def clean(*parts): return events(*parts, END)

# name: bytes, and what must come of them: the notes (with tempos and meters where they matter), or what the
# error must say
CASES = {
    # -- not a MIDI file at all
    'empty': (b'', 'empty file'),                                               # foo_midi 4: a crash
    'a web page': (b'<html>404</html>' * 9, 'not a MIDI file (it does not begin with MThd)'),  # mido 107
    'one byte': (b'M', 'not a MIDI file'),
    'zero bytes': (bytes(5000), 'not a MIDI file'),
    'RIFF without MIDI': (b'RIFF' + bytes(200), 'not a MIDI file'),
    'RIFF cut short': (b'RIFF\x20\0\0\0RMIDdata\x14\0\0\0MThd', 'truncated: the header'),
    'RIFF of headers': (b'RIFF' + b'MThd' * 100, 'its header says 1,297,377,380 bytes'),
    'MacBinary': (b'\0\5x.mid' + bytes(121) + midi(TWO), QUARTERS),

    # -- the header
    'only MThd': (b'MThd', 'truncated: the header alone takes 14 bytes'),
    'header alone': (header(), 'no tracks'),
    'MThd of length 0': (header(size=0) + chunk(TWO), 'its header says 0 bytes, where 6 are usual'),
    'MThd of length 5': (header(size=5) + chunk(TWO), 'its header says 5 bytes'),
    # the standard lets it grow
    'MThd of length 10': (header(size=10, more=b'\1\2\3\4') + chunk(TWO), QUARTERS),
    'MThd of length 1000': (header(size=1000) + chunk(TWO), 'its header says 1,000 bytes'),
    'MThd of length 1000 in a long file': (header(size=1000) + chunk(TWO) + bytes(2000), 'no tracks'),
    'MThd of length 0xFFFFFFFF': (header(size=0xffffffff) + chunk(TWO),
                                  'its header says 4,294,967,295 bytes'),
    '1,000 headers': (header() * 1000, 'no tracks'),
    'zero bytes after the header': (header() + bytes(5000), 'no tracks'),
    'division 0': (midi(TWO, tpq=0), '0 ticks per quarter'),
    # pretty_midi 173: notes at negative seconds
    'division -10096': (midi(TWO, tpq=-10096), 'film frames (SMPTE); save it with ticks per quarter'),
    'division of film frames': (midi(TWO, tpq=-25 << 8 | 40), 'film frames (SMPTE)'),
    'division 0x8000': (midi(TWO, tpq=0x8000), 'film frames (SMPTE)'),
    # pretty_midi 112, 175, 228: refused as corrupt
    '32767 ticks a quarter': (midi(clean((14_325_216, on(60)), (32767, off(60))), tpq=32767),
                              [(14_325_216, 32767, 60, 64)]),
    '1 tick a quarter': (midi(clean((0, on(60)), (1, off(60))), tpq=1), [(0, 1, 60, 64)]),
    'format 2': (midi(TWO, kind=2), QUARTERS),
    'format 7': (midi(TWO, kind=7), QUARTERS),
    'format 0 with two tracks': (header(2, kind=0) + chunk(TWO) + chunk(clean((0, on(48)), (480, off(48)))),
                                 [(0, 480, 48, 64), *QUARTERS]),
    '0 tracks by the header': (header(0) + chunk(TWO), QUARTERS),
    '65,535 tracks by the header': (header(65535, kind=1) + chunk(TWO), QUARTERS),
    # midilib 6: written past a table of 256
    '300 tracks': (midi(*[clean((i, on(20 + i % 88)), (480, off(20 + i % 88))) for i in range(300)]), 300),
    '5,000 empty tracks': (header(5000, kind=1) + chunk(clean()) * 5000, 'no notes'),
    '70,000 tracks': (header(65535, kind=1) + chunk(clean()) * 70_000 + chunk(TWO),
                      'more than 10,000 tracks'),

    # -- lengths of tracks
    # it ends with its end of track: nothing is missing
    'track of length 0xFFFFFFFF': (header() + chunk(TWO, 0xffffffff), QUARTERS),
    'track of length 0x7FFFFFFF': (header() + chunk(TWO, 0x7fffffff), QUARTERS),
    'track of length 0': (header() + chunk(TWO, 0), QUARTERS),
    'track 5 bytes too long': (header() + chunk(TWO, len(TWO) + 5), QUARTERS),  # mido 480: what XMI2MID wrote
    'track 5 bytes too short': (header() + chunk(TWO, len(TWO) - 5), QUARTERS),
    'first of two tracks 3 bytes too long': (header(2, 1) + chunk(TWO, len(TWO) + 3)
                                             + chunk(clean((0, on(48)), (480, off(48)))),
                                             [(0, 480, 48, 64), *QUARTERS]),
    'first of two tracks 3 bytes too short': (header(2, 1) + chunk(TWO, len(TWO) - 3)
                                              + chunk(clean((0, on(48)), (480, off(48)))),
                                              [(0, 480, 48, 64), *QUARTERS]),
    'all lengths 0xFFFFFFFF': (header(2, 1) + chunk(TWO, 0xffffffff)
                               + chunk(clean((0, on(48)), (480, off(48))), 0xffffffff),
                               [(0, 480, 48, 64), *QUARTERS]),
    # MIDIopsy 15
    'cut in a track': (midi(TWO)[:-8], 'truncated: a track says 22 bytes and 14 are there; fetch it again'),
    'cut in the second of two tracks': (midi(TWO, TWO)[:-8], 'truncated'),
    # midifile 31
    'rubbish between two tracks': (header(2, 1) + chunk(TWO) + b'\0\1\2\3\4'
                                   + chunk(clean((0, on(48)), (480, off(48)))),
                                   [(0, 480, 48, 64), *QUARTERS]),
    'rubbish after the last track': (midi(TWO) + b'\0\0\1garbage', QUARTERS),
    'a line feed after the last track': (midi(TWO) + b'\n', QUARTERS),                      # MidiPlayerJS 57
    'a chunk of another kind': (header() + chunk(b'hello', kind=b'XFIH') + chunk(TWO)
                                + chunk(b'more', kind=b'XFKM'), QUARTERS),
    'events after the end of track': (midi(TWO + events((0, on(70)), (480, off(70)))), QUARTERS),
    'zero bytes after the end of track': (midi(TWO + bytes(3)), QUARTERS),
    'no end of track': (midi(TWO[:-4]), QUARTERS),
    'empty track': (midi(b''), 'no notes'),
    'track that ends within a note': (midi(TWO[:-6], clean()),
                                      'damaged MIDI: track 1, byte 13: '
                                      'the track ends within an event; save it anew'),
    'four million empty chunks': (header() + chunk(b'', kind=b'junk') * 2_400_000 + chunk(TWO),
                                  'more than 10,000 tracks and other chunks'),

    # -- variable-length numbers
    'number of 4 bytes': (midi(clean((vlq(480, more=2), on(60)), (480, off(60)))), [(480, 480, 60, 64)]),
    'number of 5 bytes': (midi(clean((vlq(480, more=3), on(60)), (480, off(60)))),
                          'damaged MIDI: track 1, byte 0: a number of more than 4 bytes'),
    'number of 12 bytes': (midi(clean((vlq(480, more=10), on(60)), (480, off(60)))),
                           'a number of more than 4 bytes'),
    # pretty_midi 263, as Ardour wrote it
    'tick 1.4e17': (midi(clean((vlq(144115188075998575), on(60)), (480, off(60)))),
                    'a number of more than 4 bytes'),
    'a negative time in 64 bits': (midi(clean((vlq((1 << 64) - 17), on(60)), (480, off(60)))),
                                   'a number of more than 4 bytes'),
    'number of 9 high bytes': (midi(b'\xff' * 9 + b'\x7f' + bytes(on(60)) + events((480, off(60)), END)),
                               'a number of more than 4 bytes'),
    # midi-parser 3: an endless loop
    'number without an end': (midi(b'\xff' * 40), 'a number of more than 4 bytes'),
    'ten million bytes 80': (midi(b'\x80' * 10_000_000), 'a number of more than 4 bytes'),
    'ten million bytes F0': (midi(b'\xf0' * 10_000_000), 'a number of more than 4 bytes'),
    'ten million bytes F7': (midi(b'\xf7' * 10_000_000), 'a number of more than 4 bytes'),
    'ten million bytes 00': (midi(bytes(10_000_000)), 'a data byte where an event should begin'),
    'a sysex half a million times': (midi(b'\0\xf0\2\1\xf7' * 500_000 + b'\0\xf7\0' + TWO), QUARTERS),
    'number cut by the end': (midi(b'\0\x90\x3c\x40\x83'), 'the track ends within an event'),
    # mido 95: out of memory
    'text of 34 GB': (midi(b'\0\xff\1' + vlq(34359738240) + b'abc'), 'a number of more than 4 bytes'),
    'text of 2 GB': (midi(b'\0\xff\1' + vlq(0x7fffffff) + b'abc'), 'a number of more than 4 bytes'),
    'text of 256 MB': (midi(b'\0\xff\1' + vlq(LATE) + b'abc'),
                       'an event says 268,435,455 bytes, and the track has 3 left'),
    'sysex of 256 MB': (midi(b'\0\xf0' + vlq(LATE) + b'abc'), 'an event says 268,435,455 bytes'),

    # -- ticks
    'late but within reach': (midi(clean((199_999_520, on(60)), (480, off(60))), tpq=32767),
                              [(199_999_520, 480, 60, 64)]),
    # pretty_midi 49, 182: out of memory
    'one huge tick': (midi(clean((LATE, on(60)), (480, off(60)))),
                      'it goes on to tick 268,435,935; up to 200,000,000 are read; '
                      'check where its last notes end'),
    'a million bars': (midi(clean((0, meter(1, 2)), *far_apart(199_000_000))),
                       f'the limit is {MAX_BARS:,}; check its last notes and its meters'),
    'a million bars of 1 tick a quarter': (midi(clean(*far_apart(4_000_000)), tpq=1),
                                           f'the limit is {MAX_BARS:,}'),
    'many huge ticks': (midi(clean(*[(LATE, on(60)), (LATE, off(60))] * 40)),
                        'it goes on to tick 21,474,836,400'),
    # symusic 37: -1879048201
    'a note at a negative tick': (midi(clean(*late(9), (0, on(60)), (480, off(60)))),
                                  'it goes on to tick 2,415,919,575'),
    # comes out as an early note
    'a note at 2**32 and a little': (midi(clean(*late(16), (100, on(60)), (480, off(60)))),
                                     'it goes on to tick 4,294,967,860'),
    'a note that ends at 2**32': (midi(clean((0, on(60)), *late(16), (480, off(60)))),
                                  'it goes on to tick 4,294,967,760'),
    'ticks beyond 2**31 in small steps': (midi(clean(*[((1 << 21) - 1, text())] * 1100, (0, on(60)),
                                                     (480, off(60)))), 'it goes on to tick 2,306'),
    'texts beyond the last note': (midi(events(*[(0, on(60)), (480, off(60))], *late(3)) + TWO),
                                   'it goes on to tick 805'),
    'a note of 58 hours': (midi(clean((0, on(60)), (199_999_999, off(60)))),
                           'it lasts 58 hours; up to 24 are read; check where its last notes end'),
    'a note of the largest length': (midi(clean((0, on(60)), (LATE, off(60)))),
                                     'it goes on to tick 268,435,455'),
    'a tempo of 17 seconds a quarter for days': (midi(clean((0, tempo(0xffffff)), (0, on(60)),
                                                            (480 * 9000, off(60)))), 'it lasts 42 hours'),
    'a note never let go': (midi(clean((0, on(60)), (480, on(64)), (480, off(64)))), QUARTERS[1:]),
    'a note-off without a note': (midi(events((0, off(50)), (0, off(60))) + TWO), QUARTERS),
    'a zero-length note': (midi(clean((0, on(60)), (0, off(60)))), [(0, 1, 60, 64)]),
    # symusic 38: it ate the next note-off
    'a zero-length note before another': (midi(clean((0, on(60)), (0, off(60)), (0, on(64)), (480, off(64)),
                                                     (0, on(60)), (480, off(60)))),
                                          [(0, 1, 60, 64), (0, 480, 64, 64), (480, 480, 60, 64)]),
    # pretty_midi 131
    'note-offs said twice': (midi(clean((0, on(60)), (480, off(60)), (0, off(60)), (0, on(64)),
                                        (480, off(64)), (0, off(64)))), QUARTERS),
    'a pitch struck again before it ends': (midi(clean((0, on(60)), (240, on(60)), (240, off(60)),
                                                       (240, off(60)))),
                                            [(0, 480, 60, 64), (240, 480, 60, 64)]),
    'a pitch struck 1,000 times': (midi(clean(*[(1, on(60))] * 1000, *[(1, off(60))] * 1000)), 1000),

    # -- tempos and meters
    # pretty_midi 249: hung
    '20,000 tempos': (midi(events(*[(1, tempo(400_000 + i)) for i in range(20_000)]) + TWO),
                      [(20_000, 480, 60, 64), (20_480, 480, 64, 64)]),
    '2 million tempos': (midi(events((1, tempo(500_000))) * 2_000_000 + TWO),
                         '2,000,000 tempos and meters; up to 100,000 are read'),
    '3 million pedals': (midi(b'\0\xb0\x40\x40' + b'\1\x40\0\0\x40\x40' * 1_500_000 + TWO),
                         '3,000,001 pedals and other controllers; up to 1,000,000 are read'),
    '20,000 meters': (midi(events(*[(1, meter(3 + i % 2, 2)) for i in range(20_000)]) + TWO),
                      f'the limit is {MAX_BARS:,}'),
    'tempo 0': (midi(events((0, tempo(0))) + TWO), (QUARTERS, [120.], ['4/4'])),
    'slowest tempo': (midi(events((0, tempo(0xffffff))) + TWO), (QUARTERS, [3.58], ['4/4'])),
    'fastest tempo': (midi(events((0, tempo(1))) + TWO), (QUARTERS, [6e7], ['4/4'])),
    # mido 653, 659; symusic takes in the bytes after it
    'empty tempo': (midi(events((0, [0xff, 0x51, 0])) + TWO), (QUARTERS, [120.], ['4/4'])),
    'tempo of one byte': (midi(events((0, [0xff, 0x51, 1, 7])) + TWO), (QUARTERS, [120.], ['4/4'])),
    # the standard: ignore what is more
    'tempo of five bytes': (midi(events((0, [0xff, 0x51, 5, 9, 0x27, 0xc0, 1, 2])) + TWO),
                            (QUARTERS, [100.], ['4/4'])),
    'tempo with a length of two bytes': (midi(events((0, [0xff, 0x51, 0x80, 3, 9, 0x27, 0xc0])) + TWO),
                                         (QUARTERS, [100.], ['4/4'])),
    # bytes beyond the file
    'empty tempo as the last event': (midi(TWO[:-4] + b'\0\xff\x51\0'), (QUARTERS, [120.], ['4/4'])),
    'tempo cut by the end': (header() + chunk(events((0, on(60)), (480, off(60))) + b'\0\xff\x51\3'),
                             'an event says 3 bytes, and the track has 0 left'),
    'empty meter': (midi(events((0, [0xff, 0x58, 0])) + TWO), (QUARTERS, [120.], ['4/4'])),
    'meter of two bytes': (midi(events((0, [0xff, 0x58, 2, 3, 2])) + TWO), (QUARTERS, [120.], ['3/4'])),
    # MuseScore 15158: a crash
    'meter 0/4': (midi(events((0, meter(0, 2))) + TWO), (QUARTERS, [120.], ['4/4'])),
    'meter 4/2**255': (midi(events((0, meter(4, 255))) + TWO), (QUARTERS, [120.], ['4/4'])),
    # 4/1 for those who shift 32 bits
    'meter 4/2**32': (midi(events((0, meter(4, 32))) + TWO), (QUARTERS, [120.], ['4/4'])),
    # PianoBooster 356: refused
    'meter 13/32': (midi(events((0, meter(13, 5))) + TWO), (QUARTERS, [120.], ['13/32'])),
    'meter 255/128': (midi(events((0, meter(255, 7))) + TWO), (QUARTERS, [120.], ['255/128'])),
    'bars shorter than a tick': (midi(events((0, meter(1, 7)), (0, on(60)), (2, off(60)), (0, on(64)),
                                             (2, off(64)), END), tpq=1), [(0, 2, 60, 64), (2, 2, 64, 64)]),

    # -- other meta events, which may be wrong without harm
    # mido 187, pretty_midi 165
    'key signature of 128 flats': (midi(events((0, [0xff, 0x59, 2, 0x80, 0])) + TWO), QUARTERS),
    'key signature of 8 sharps': (midi(events((0, [0xff, 0x59, 2, 8, 0])) + TWO), QUARTERS),  # mido 105
    'short key signature': (midi(events((0, [0xff, 0x59, 1, 0])) + TWO), QUARTERS),
    # mido 358, as th08_10.mid has it
    'empty key signature': (midi(events((0, [0xff, 0x59, 0])) + TWO), QUARTERS),
    # mido 42: the last three bytes of a file
    'empty sequence number': (midi(TWO[:-4] + events((0, [0xff, 0, 0]))), QUARTERS),
    'empty port': (midi(events((0, [0xff, 0x21, 0])) + TWO), QUARTERS),  # mido 93
    'names not in UTF-8': (midi(events((0, [0xff, 3, 3, 0xff, 0xfe, 0xc0])) + TWO), QUARTERS),
    'name with zero bytes': (midi(events((0, [0xff, 3, 3, 0, 65, 0])) + TWO), QUARTERS),
    'lyrics not in UTF-8': (midi(events((0, [0xff, 5, 3, 0xff, 0xfe, 0xc0])) + TWO), QUARTERS),
    'a title of a megabyte': (midi(b'\0\xff\3' + vlq(1_000_000) + b'a' * 1_000_000 + TWO), QUARTERS),
    'a million lyrics': (midi(b'\0\xff\5\1a' * 1_000_000 + TWO), QUARTERS),

    # -- events
    # mido 63
    'data byte above 127': (midi(clean((0, [0x90, 0xe0, 0xff]), (480, [0x80, 0xe0, 0]))),
                            'damaged MIDI: track 1, byte 0: a value of 255, '
                            'where 127 is the most; save it anew'),
    # symusic 104: a crash
    'velocity above 127': (midi(clean((0, [0x90, 60, 0xf0]), (480, off(60)))),
                           'a value of 240, where 127 is the most'),
    'note-off velocity above 127': (midi(clean((0, on(60)), (480, [0x80, 60, 200]))), 'a value of 200'),
    'controller above 127': (midi(events((0, [0xb0, 200, 1])) + TWO), 'a value of 200'),
    'program above 127': (midi(events((0, [0xc0, 200])) + TWO), 'a value of 200'),
    # mido 476
    'data byte without status': (midi(clean((0, [60, 64]), (480, [60, 0]))),
                                 'track 1, byte 0: a data byte where an event should begin'),
    'undefined status F4': (midi(events((0, [0xf4])) + TWO), '0xf4 begins no event of a MIDI file'),
    'events that only a cable carries': (midi(events((0, on(60)), (240, [0xf8]), (240, off(60)),
                                                     (0, [0xf2, 1, 2]), (0, [0xf1, 1]), (0, [0xfe]),
                                                     (0, on(64)), (480, [64, 0]), END)), QUARTERS),
    'sysex of length 0': (midi(events((0, [0xf0, 0])) + TWO), QUARTERS),
    # as the standard has it; symusic put all that follows 2 ticks late
    'sysex and F7 that goes on with it': (midi(events((0, [0xf0, 3, 0x43, 0x12, 0]), (0, [0xf7, 2, 1, 0xf7]))
                                               + TWO), QUARTERS),
    'F7 with a note inside': (midi(events((0, [0xf7, 3, 0x90, 0x30, 0x40])) + TWO), QUARTERS),
    'status that goes on after a sysex': (midi(events((0, on(60)), (480, [60, 0]),
                                                      (0, [0xf0, 5, 0x7e, 0x7f, 9, 1, 0xf7]), (0, [64, 64]),
                                                      (480, [64, 0]), END)), QUARTERS),
    'no notes': (midi(clean((0, tempo(500_000)))), 'no notes'),
    'only drums': (midi(clean((0, on(36, channel=9)), (480, off(36, channel=9)))),
                   'only drums, no piano notes'),
    'every channel and program': (midi(clean(*every_channel_and_program())), 15 * 128),
    'three million notes': (midi(b'\0\x90\x3c\x40' + b'\1\x3c\0\0\x3c\x40' * 3_000_000 + clean()),
                            '3,000,000 notes; up to 1,000,000 are read'),
    'two million events and a bad one': (midi(b'\0\x90\x3c\x40' + b'\1\x3c\0\0\x3c\x40' * 1_000_000
                                              + b'\0\xf4\0'),
                                         'more than 1,500,000 events, and some need mending'),
    'nine million programs': (midi(b'\0\xc0\1' + b'\0\1' * 9_000_000 + clean()),
                              'more than 1,500,000 events'),
}

CHILD = '''
import faulthandler, json, sys, tempfile, time
from pathlib import Path
import fuzz

def told(song):
    "What is told of a song that was read: how many notes, the first of them, tempos and meters."
    columns = [c.tolist()[:9] for c in (song.onset, song.duration, song.pitch, song.velocity)]
    meters = [f"{n}/{d}" for n, d in zip(song.meter_num[:9], song.meter_den[:9])]
    return [len(song), list(zip(*columns)), song.tempo_bpm.tolist()[:9], meters]

with tempfile.TemporaryDirectory() as folder, open(sys.argv[1], "rb") as f:
    path, whole_way = Path(folder) / "x.mid", fuzz.make_whole_way()
    fuzz.examine_warm(path, whole_way)
    fuzz.limit_memory()
    from emotionwave.music.song import MidiError
    from emotionwave.music.read import read_song
    while size := f.read(8):
        path.write_bytes(f.read(int.from_bytes(size, "big")))
        faulthandler.dump_traceback_later(fuzz.HANG, exit=True)
        start, song, said = time.process_time(), None, None
        try: song = read_song(path)
        except MidiError as e: said = str(e).removeprefix(f"{path}: ")
        except BaseException as e: said = f"{type(e).__name__}! {e}"
        took = time.process_time() - start
        if song is not None:
            try: whole_way(song, path)
            except BaseException as e: said = f"on the way, {type(e).__name__}! {e}"
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([said, song and told(song), took]), flush=True)
'''

def read_elsewhere(blobs, folder):
    """Read each blob in another process, and go the whole way with what was read: what was said, what was
    read, and how long reading took."""
    put = folder / 'blobs'
    with open(put, 'wb') as f:
        for blob in blobs:
            f.write(len(blob).to_bytes(8, 'big'))
            f.write(blob)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join((str(ROOT), str(ROOT / 'tests'))), OMP_NUM_THREADS='1',
               OPENBLAS_NUM_THREADS='1', PYTHONWARNINGS='error::RuntimeWarning')
    done = subprocess.run([sys.executable, '-c', CHILD, put], capture_output=True, text=True, timeout=400,
                          env=env)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    died = f'reading died (exit status {done.returncode}) at number {len(out)}\n{done.stderr[-2000:]}'
    assert len(out) == len(blobs), died
    return out

limits = pytest.mark.skipif(sys.platform == 'win32', reason='needs signals and pipes to wait for')

@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
    return dict(zip(CASES, read_elsewhere([b for b, _ in CASES.values()], tmp_path_factory.mktemp('bad'))))

@pytest.mark.slow
@limits
@pytest.mark.parametrize('name', CASES)
def test_bad_file_gives_these_notes_or_this_error(name, outcomes):
    wanted, (said, read, took) = CASES[name][1], outcomes[name]
    if isinstance(wanted, str):
        assert said and wanted in said and read is None
        assert said.isprintable() and len(said) < 200                           # one line
    else:
        assert said is None
        count, first, tempos, meters = read
        first = [tuple(n) for n in first]
        if isinstance(wanted, int): assert count == wanted
        elif isinstance(wanted, list): assert first == wanted and count == len(wanted)
        else:
            wanted_notes, wanted_tempos, wanted_meters = wanted
            assert first == wanted_notes
            assert tempos == pytest.approx(wanted_tempos, abs=.01)
            assert meters == wanted_meters
    assert took < 10

@limits
def test_a_file_cut_at_any_byte_gives_a_song_or_one_clear_error(tmp_path):
    whole = midi(clean((0, title('Cut')), (0, tempo(500_000)), (0, meter(3, 2)), (0, [0xff, 0x59, 2, 1, 0])),
                 clean((0, [0xc0, 0]), (0, on(60)), (480, [60, 0]), (0, [0xb0, 64, 127]),
                       (200, [0xe0, 0, 64]), (0, [0xf0, 3, 1, 2, 0xf7]), (0, on(64)), (480, off(64))))
    cut = [whole[:n] for n in range(len(whole))]
    cut_with_a_length_that_fits = [header() + chunk(TWO[:n]) for n in range(len(TWO))]
    said = [s for s, _, _ in read_elsewhere(cut + cut_with_a_length_that_fits, tmp_path)]
    assert all(said[:len(whole)]) and not [s for s in said if s and ('!' in s or not s.isprintable())]

@pytest.mark.slow
@limits
def test_two_thousand_damaged_samples_give_a_song_or_one_clear_error(tmp_path):
    summary = fuzz.run([ROOT / 'samples'], 2000, seed=2026, workers=2, keep=tmp_path)
    assert not summary['failures'], fuzz.show(summary)
    # damage of many kinds was tried
    assert summary['songs'] > 400 and summary['errors'] > 400 and len(summary['by error']) > 10

@pytest.mark.slow
@limits
def test_the_same_seed_gives_the_same_mutants_with_any_number_of_workers():
    one, two = (fuzz.run([ROOT / 'samples'], 30, seed=1, workers=n, chunk=7) for n in (1, 2))
    for k in ('digest', 'songs', 'by error', 'damage'): assert one[k] == two[k]
    assert fuzz.run([ROOT / 'samples'], 30, seed=2)['digest'] != one['digest']


# ---- the fuzzer sees what it should: this runs a reader that is broken on purpose

BREAK = '''
import os, sys, time
import emotionwave.music.read as music_read
true, calls = music_read._parse, []
def broken(data, name):
    calls.append(name)
    if len(calls) < 4: return true(data, name)              # the sample with which it warms up
    if len(data) % 5 == 1: os.abort()                       # as a crash in C++ would
    if len(data) % 5 == 2: raise IndexError('oops')
    if len(data) % 5 == 3: bytearray(3 << 30)
    return true(data, name)
music_read._parse = broken
'''

# what Python runs in each process that the fuzzer starts
SITE = f'''
import sys
if '--child' in sys.argv:
    sys.path.insert(0, {str(ROOT)!r})
    exec({BREAK!r})
'''

@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='needs a limit on memory that holds')
def test_the_fuzzer_finds_crashes_and_other_errors_and_goes_on(tmp_path, monkeypatch):
    (tmp_path / 'sitecustomize.py').write_text(SITE)
    true = subprocess.Popen
    def popen(args, env=None, **kw):
        path = os.pathsep.join((str(tmp_path), env['PYTHONPATH']))
        return true(args, env=dict(env, PYTHONPATH=path), **kw)
    monkeypatch.setattr(fuzz.subprocess, 'Popen', popen)
    samples = tmp_path / 'few'
    samples.mkdir()
    unharmed = next(p for p in SAMPLES if p.stat().st_size % 5 == 0)
    (samples / 'a.mid').write_bytes(unharmed.read_bytes())
    summary = fuzz.run([samples], 20, keep=tmp_path / 'kept')
    why = [f['why'] for f in summary['failures']]
    for said in ('ended with status -6', 'IndexError: oops', 'MemoryError'):
        assert any(said in w for w in why), said
    assert summary['mutants'] == 20 and summary['songs'] + summary['errors'] + len(why) == 20
    kept = {p.name for p in (tmp_path / 'kept').iterdir()}
    assert kept == {f'0_{f["number"]}.mid' for f in summary['failures']}


# ---- refused before anything is read

def test_a_file_over_20_mb_is_refused(tmp_path):
    with open(tmp_path / 'big.mid', 'wb') as f:
        f.write(midi(TWO))
        f.truncate(MAX_BYTES + 1)
    with pytest.raises(MidiError, match='big.mid: 20.0 MB; files up to 20 MB'):
        read_song(tmp_path / 'big.mid')

def test_a_directory_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(MidiError, match='a directory'): read_song(tmp_path)
    for name in ('no.mid', 'x/no.mid', 'a\0b.mid'):
        with pytest.raises((FileNotFoundError, MidiError),
                           match='no.mid: no such file|a.b.mid: no such file'):
            read_song(tmp_path / name)

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_and_a_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mid')
    for path in (tmp_path / 'pipe.mid', Path('/dev/zero')):
        with pytest.raises(MidiError, match='a pipe or a device'): read_song(path)

@pytest.mark.skipif(sys.platform == 'win32' or getattr(os, 'geteuid', lambda: 1)() == 0,
                    reason='needs permissions that hold')
def test_a_file_that_may_not_be_read_is_one_clear_error(tmp_path):
    (tmp_path / 'x.mid').write_bytes(midi(TWO))
    (tmp_path / 'x.mid').chmod(0)
    with pytest.raises(MidiError, match='Permission denied; check that it can be read'):
        read_song(tmp_path / 'x.mid')

def test_a_name_too_long_for_the_system_is_one_clear_error(tmp_path):
    with pytest.raises(MidiError, match='check that it can be read'):
        read_song(tmp_path / ('a' * 5000))

@pytest.mark.skipif(sys.platform != 'linux', reason='needs file names of any bytes')
@pytest.mark.parametrize('name', [b'\xff\xfe.mid', b'a\nb\tc.mid', 'ä ☂.mid'.encode()])
def test_a_file_of_any_name_is_read_and_its_song_saved(name, tmp_path):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(midi(TWO))
    song = read_song(path)
    assert notes(song) == QUARTERS and song.name.isprintable()
    song.save(tmp_path / 'y.mid')
    assert notes(read_song(tmp_path / 'y.mid')) == QUARTERS
    path.write_bytes(b'rubbish')
    with pytest.raises(MidiError) as e: read_song(path)
    assert str(e.value).isprintable()

def test_a_title_becomes_one_line(tmp_path):
    (tmp_path / 'x.mid').write_bytes(midi(events((0, title('  Two\nlines \t\0 '))) + TWO))
    assert read_song(tmp_path / 'x.mid').name == 'Two lines'


# ---- hostile objects of other libraries

def note(start, end, pitch=60, velocity=64):
    from miditoolkit import Note
    return Note(velocity, pitch, start, end)

def toolkit(*made):
    from miditoolkit import Instrument, MidiFile
    midi, piano = MidiFile(ticks_per_beat=480), Instrument(0)
    piano.notes = list(made)
    midi.instruments.append(piano)
    return midi

@pytest.mark.parametrize('made, said', [
    ([note(-5, 480)], 'a note starts before the beginning, at tick -5'),
    # pretty_midi 263
    ([note(0, 480), note(144115188075998575, 144115188075999000)], f'must be from 0 to {MAX_TICK}'),
    ([note(1 << 70, (1 << 70) + 1)], 'MidiFile holds what no MIDI file could'),
    ([note(0, 1 << 40)], f'must be from 1 to {MAX_TICK}'),
    ([note(0, 200_000_000)], 'hours; up to 24 are read'),
    ([note(0, 480), note(200_000_000, 200_000_480)], 'the limit is 20,000'),
    ([], 'no notes'),
])
def test_impossible_notes_of_miditoolkit_are_one_error(made, said):
    with pytest.raises(MidiError) as e: as_song(toolkit(*made))
    assert said in str(e.value) and '\n' not in str(e.value)

def test_notes_of_other_libraries_that_end_before_they_start_last_one_tick():
    song = as_song(toolkit(note(480, 100), note(0, 480, velocity=900), note(0, 480, pitch=200)))
    assert notes(song) == [(0, 480, 60, 127), (480, 1, 60, 64)]

@pytest.mark.parametrize('start, end', [(float('nan'), 1), (1e15, 1e15 + 1), (0, float('inf'))])
def test_impossible_notes_of_pretty_midi_are_one_error(start, end):
    from pretty_midi import Instrument, Note, PrettyMIDI
    midi, piano = PrettyMIDI(), Instrument(0)
    piano.notes = [Note(64, 60, start, end)]
    midi.instruments.append(piano)
    with pytest.raises(MidiError): as_song(midi)

def test_a_late_note_takes_no_memory_in_pretty_midi():
    # a table of all ticks would be 2 GB
    song = Song([0, MAX_TICK - 480], [480, 480], [60, 64], [64, 64], tpq=32767)
    assert as_song(song.to_pretty_midi()) == song
    assert len(song.to_pretty_midi()._PrettyMIDI__tick_to_time) < 10

def test_a_late_tempo_is_one_error_for_pretty_midi_and_none_for_the_others():
    song = Song([0, MAX_TICK - 480], [480, 480], [60, 64], [64, 64], tpq=32767,
                tempo_tick=[0, MAX_TICK - 1000], tempo_bpm=[100, 80])
    with pytest.raises(MidiError, match='keeps a table of every tick up to the last tempo, here 268,434,455; '
                                        'it takes 10,000,000'):
        song.to_pretty_midi()
    assert as_song(song.to_miditoolkit()) == song and as_song(song.to_symusic()) == song

def test_columns_that_no_file_could_hold_make_no_song():
    for bad in (dict(onset=[MAX_TICK + 1]), dict(duration=[1 << 40]), dict(onset=[-1]),
                dict(tempo_tick=[0, 1 << 31], tempo_bpm=[1, 2]), dict(pedal_tick=[-5], pedal_value=[0])):
        with pytest.raises(ValueError, match='must be from'):
            Song(**{**dict(onset=[0], duration=[1], pitch=[60], velocity=[64]), **bad})

def test_any_tempo_can_be_written(tmp_path):
    for bpm in (1e-9, 1, 1e12):
        song = Song([0], [480], [60], [64], tempo_bpm=[bpm])
        song.save(tmp_path / 'x.mid')
        assert read_song(tmp_path / 'x.mid').tempo_bpm == pytest.approx(song.tempo_bpm)


# ---- a folder with bad files in it

@limits
def test_a_folder_lists_what_it_cannot_read_and_goes_on(tmp_path):
    from emotionwave.data.shards import load_dataset
    from emotionwave.data.format import format_corpora
    folder = tmp_path / 'songs'
    folder.mkdir()
    (folder / 'good.mid').write_bytes((ROOT / 'samples' / 'ode_to_joy.mid').read_bytes())
    bad = [(f'{i}.mid', data, said) for i, (data, said) in enumerate(CASES.values())
           if isinstance(said, str) and len(data) < 10_000][::4]
    for name, data, _ in bad: (folder / name).write_bytes(data)
    report = format_corpora([folder], tmp_path / 'out')
    listed = dict(zip(report.unreadable.file, report.unreadable.reason))
    assert sorted(listed) == sorted(name for name, _, _ in bad)
    for name, _, said in bad: assert said in listed[name]
    assert set(load_dataset(tmp_path / 'out').file) == {'good.mid'}


# ---- writing

def left(folder): return sorted(p.name for p in folder.iterdir())

def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    song = read_song(ROOT / 'samples' / 'ode_to_joy.mid')
    with pytest.raises(FileNotFoundError, match='no such folder'):
        song.save(tmp_path / 'no' / 'x.mid')
    with pytest.raises(IsADirectoryError, match='a directory'): song.save(tmp_path)
    with pytest.raises(TypeError): write_atomic(tmp_path / 'x.mid', 'text, not bytes')
    assert not left(tmp_path)

def test_ctrl_c_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_atomic(tmp_path / 'x', b'old')
    def stopped(fd): raise KeyboardInterrupt
    monkeypatch.setattr(os, 'fsync', stopped)
    with pytest.raises(KeyboardInterrupt): write_atomic(tmp_path / 'x', b'new')
    assert left(tmp_path) == ['x'] and (tmp_path / 'x').read_bytes() == b'old'

FULL = '''
import resource, signal, sys
from emotionwave.files.atomic import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try: write_atomic(sys.argv[1], bytes(5000))
except OSError as e: print(e.filename, e.errno)
'''

@limits
def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
    write_atomic(tmp_path / 'x', b'old')
    done = subprocess.run([sys.executable, '-c', FULL, tmp_path / 'x'], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)))
    assert done.stdout.split()[0] == str(tmp_path / 'x'), done.stderr
    assert left(tmp_path) == ['x'] and (tmp_path / 'x').read_bytes() == b'old'

@pytest.mark.skipif(sys.platform == 'win32', reason='needs links and modes')
def test_a_link_stays_a_link_and_a_mode_stays(tmp_path):
    (tmp_path / 'real').write_bytes(b'old')
    (tmp_path / 'real').chmod(0o640)
    (tmp_path / 'link').symlink_to('real')
    write_atomic(tmp_path / 'link', b'new')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'real').read_bytes() == b'new'
    assert (tmp_path / 'real').stat().st_mode & 0o777 == 0o640

def test_the_longest_name_can_be_written(tmp_path):
    write_atomic(tmp_path / ('a' * 255), b'new')
    assert left(tmp_path) == ['a' * 255]

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_or_device_is_written_to_and_not_replaced(tmp_path):
    song = read_song(ROOT / 'samples' / 'ode_to_joy.mid')
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
