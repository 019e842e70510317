"`emotionwave listen`: a MIDI file as sound and as a picture."
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .arguments import bars_of
from .places import need_writable

NAME = 'listen'
HELP = 'render a MIDI file as sound and as a piano roll'
EXAMPLES = '''examples:
  emotionwave listen happy.mid --output happy.wav --roll happy.png'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('input', type=Path, help='a MIDI file')
    add('--output', type=Path,
        help='WAV or MP3 file to write (default: NAME.wav here, if there is none yet and no picture is '
             'asked for)')
    add('--roll', type=Path, help='PNG file to write')
    add('--bars', metavar='A:B', help='bars A to B-1 only, counted from 0')


def run(args:Namespace)->int:
    "Render sound and picture; returns the exit status."
    from ..music.read import read_song
    song, bars = read_song(args.input), bars_of(args.bars)
    if bars: song = song.bars(*bars)
    sound = args.output or (None if args.roll else Path(f'{args.input.stem}.wav'))
    if sound: _check(sound, args, '--output', ('.wav', '.mp3'))
    if args.roll: _check(args.roll, args, '--roll', ('.png',))
    if sound: _save_sound(song, sound)
    if args.roll: _save_roll(song, args.roll)
    return 0


def _check(place, args, option, endings):
    "Refuse a place that can't be written, where something would be lost, or that has another ending."
    need_writable(place.parent)
    if place.exists() and place.samefile(args.input):
        raise ValueError(f'{place}: is the input, which would be lost; give another name')
    if place.exists() and place not in (args.output, args.roll):
        raise FileExistsError(f'{place}: exists already; say with --output where to write')
    if place.suffix.lower() not in endings:
        raise ValueError(f'{place}: give {option} a name that ends in {" or ".join(endings)}')


def _save_sound(song, place):
    from ..sound.files import save_mp3, save_wav
    from ..sound.synth import synth_name
    save = save_mp3 if place.suffix.lower() == '.mp3' else save_wav
    save(song, place)
    print(f'{place}: sound by {synth_name()}')


def _save_roll(song, place):
    from ..files.atomic import write_atomic
    from ..player.roll import draw, png
    write_atomic(place, png(draw(song)))
    print(place)
