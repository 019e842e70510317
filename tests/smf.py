"Standard MIDI files byte by byte, for tests: small enough to hear in your head."
import struct

def vlq(n, more=0):
    "A variable-length number; `more` puts needless zero bytes before it."
    out = [n & 0x7f]
    while n := n >> 7: out.append(n & 0x7f | 0x80)
    return bytes([0x80] * more + out[::-1])

def events(*pairs):
    return b''.join((vlq(d) if isinstance(d, int) else d) + bytes(e) for d, e in pairs)
def chunk(body, size=None, kind=b'MTrk'):
    return kind + struct.pack('>I', len(body) if size is None else size) + body
def header(tracks=1, kind=0, tpq=480, size=6, more=b''):
    return b'MThd' + struct.pack('>IHHH', size, kind, tracks, tpq & 0xffff) + more

def on(pitch, velocity=64, channel=0): return [0x90 | channel, pitch, velocity]
def off(pitch, channel=0): return [0x80 | channel, pitch, 0]
def tempo(us): return [0xff, 0x51, 3, *us.to_bytes(3, 'big')]
def meter(num, power): return [0xff, 0x58, 4, num, power, 24, 8]
def title(text): return [0xff, 0x03, len(text), *text.encode()]
END = (0, [0xff, 0x2f, 0])
TWO = events((0, on(60)), (480, off(60)), (0, on(64)), (480, off(64)), END)     # two quarters
def midi(*bodies, **how):
    return header(len(bodies), **{'kind': int(len(bodies) > 1), **how}) + b''.join(map(chunk, bodies))

def notes(song):
    return list(zip(*(c.tolist() for c in (song.onset, song.duration, song.pitch, song.velocity))))
QUARTERS = [(0, 480, 60, 64), (480, 480, 64, 64)]                               # what `TWO` holds

def said(kind, data):
    "A meta event; text is written as UTF-8."
    data = data.encode() if isinstance(data, str) else bytes(data)
    return [0xff, kind, *vlq(len(data)), *data]
def key(sharps, minor=0): return said(0x59, [sharps & 255, minor])
def control(number, value, channel=0): return [0xb0 | channel, number, value]
def program(number, channel=0): return [0xc0 | channel, number]
def bend(value, channel=0): return [0xe0 | channel, value + 8192 & 127, value + 8192 >> 7]
def played(*pitches, channel=0, length=480, velocity=64):
    "Notes one after the other."
    return [e for p in pitches for e in ((0, on(p, velocity, channel)), (length, off(p, channel)))]
