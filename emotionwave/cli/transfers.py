"`emotionwave transfer`: a new version of a piece, or of each piece of a folder."
import json, math, sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from ..files.folders import is_midi
from .arguments import RULES, bars_of, parts
from .places import MIDI, copy_name, copy_place, need_writable, write_all
from .terminal import complain, error_line, mover, one_line, progress_bar

CLASSES = {'1': 'negative', '2': 'positive'}
NAME = 'transfer'
HELP = 'write a new version of a piece with another valence'
EXAMPLES = '''examples:
  emotionwave transfer song.mid --valence positive --output happy.mid
  emotionwave transfer song.mid --valence 0.2 --bars 0:8 --seed 7 --output sadder.mid
  emotionwave transfer song.mid --valence 0.1,0.9 --keep melody left     # sad at first, happy at the end
  emotionwave transfer song.mid --valence 0.2 --rhythm 6,2 --output calmer.mid    # busy, then calm
  emotionwave transfer song.mid --valence both --output versions/
  emotionwave transfer folder/ --valence both --output versions/
  emotionwave transfer song.mid --valence-class 1 --output sad.mid       # as the original numbered them
Of each piece of a folder, --valence both writes NAME.mid, NAME_1.mid (negative) and NAME_2.mid (positive).'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('input', type=Path, help='a MIDI file, or a folder of them')
    add('--valence',
        help='sad (or negative), happy (or positive), a number from 0.0 (sad) to 1.0 (happy), several of '
             'these numbers or words with commas from the first bar to the last, or both '
             '(default: positive)')
    add('--valence-class', choices=CLASSES,
        help="the original's classes, in place of --valence: 1 is negative, 2 is positive")
    add('--output', type=Path,
        help='file to write, which ends in .mid; a folder when there are several (default: NAME_1.mid, '
             'NAME_2.mid here, if there are none yet; for a folder, NAME_versions)')
    add('--bars', metavar='A:B', help='bars A to B-1 only, counted from 0')
    add('--strength', type=float, default=1.,
        help='how hard the valence is pressed: 0 gives the input back, but for rounding, above 1 is beyond '
             'what is usual, 1.5 is the most (default: 1)')
    add('--likeness', type=float, default=1.,
        help="share of the piece's skeleton (onsets, lengths, steps) that is kept in sight, 0 to 1 "
             '(default: 1)')
    add('--temperature', type=float, default=.7,
        help='0 for the likeliest notes, higher for bolder ones (default: 0.7)')
    add('--top-p', type=float, default=.95,
        help='share of the probability that notes are drawn from, the likeliest first (default: 0.95)')
    add('--keep', type=parts, action='extend', default=[], metavar='PART',
        help='parts that stay exactly as they are: melody, rhythm, harmony, left, right (hands, as the two '
             'tracks of a file have them, else told apart by register), or several, as in melody left; '
             'keeping parts leaves less to change')
    add('--tracks', type=parts, action='extend', metavar='TRACK',
        help='names or numbers (from 0) of the tracks that take part, as in "Right hand,2"; the others sound '
             'along untouched (default: all but drums)')
    add('--rhythm', metavar='CLASS',
        help='how busy bars are to be, from 0 (calm) to 7 (busy), or several with commas from the first bar '
             'to the last (default: as they are)')
    add('--polyphony', metavar='CLASS',
        help='how full bars are to be, from 0 (one or two notes at a time) to 7 (more than six), likewise '
             '(default: as they are)')
    add('--without', type=parts, action='extend', default=[], metavar='NAME',
        help='rules and moves that are left out, as in mediants touch: ' + ', '.join(RULES))
    add('--candidates', type=int, help='how many versions are drawn, of which the best is kept (default: 6)')
    add('--seed', type=int, default=0, help='same seed, same bytes on the same machine (default: 0)')
    add('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    add('--json', action='store_true', help='print one JSON object a version: what became of the piece')
    add('--quiet', action='store_true', help='no progress bar')


def run(args:Namespace)->int:
    "Transfer a file or a folder; returns the exit status."
    from ..generate.versions import write_versions
    from ..music.song import Song
    args.span, args.valence = bars_of(args.bars), _valence(args)
    valence = 'positive' if args.valence == 'both' else args.valence
    # a wrong setting is one error, not one a file; tracks differ from file to file
    write_versions(Song(), [valence], **_settings(args) | dict(tracks=None))
    return _transfer_folder(args) if args.input.is_dir() else _transfer_file(args)


def _valence(args):
    "Read which valence is asked for."
    if args.valence_class is None: return args.valence or 'positive'
    if args.valence is None: return CLASSES[args.valence_class]
    raise ValueError('--valence and --valence-class say the same; give one of them')


def _settings(args):
    "Pick what `write_versions` takes as it stands."
    names = 'strength likeness keep rhythm polyphony temperature top_p candidates without seed model tracks'
    return {name: getattr(args, name) for name in names.split()}


def _write_versions(args, path, places, callback=None):
    "Write a version for each of the places."
    from ..generate.versions import write_versions
    valences = [valence for valence, _ in places]
    return write_versions(path, valences, bars=args.span, callback=callback, **_settings(args))


def _places(path, valence, folder):
    "Name each version of a piece: list of (valence, path)."
    from ..generate.wishes import curve_of, spread
    places = []
    for v in ('negative', 'positive') if valence == 'both' else (valence,):
        number = 1 if spread(curve_of(v), 64).mean() < .5 else 2
        places.append((v, folder / f'{path.stem}_{number}.mid'))
    return places


def _save(source, results, places, copy):
    "Save all versions of a piece, and a copy of it if asked for."
    from ..files.atomic import write_atomic
    jobs = [(place, result.save) for result, (_, place) in zip(results, places)]
    if copy: jobs.append((copy, partial(write_atomic, data=source.read_bytes())))
    write_all(jobs)


# ---- one file

def _transfer_file(args):
    places, copy = _file_places(args)
    for _, place in places: _check_place(place, args)
    with progress_bar(args.quiet, unit='bar') as bar:
        results = _write_versions(args, args.input, places, mover(bar))
    _save(args.input, results, places, copy)
    for notice in results[0].source.notices: complain(f'{args.input}: {notice}')
    for result, (_, place) in zip(results, places): print(_said(args, result, place))
    return 0


def _file_places(args):
    "Find where versions go, as (valence, path), and where a copy of the input goes, if anywhere."
    if args.valence != 'both':
        place = args.output or _places(args.input, args.valence, Path('.'))[0][1]
        need_writable(place.parent)
        return [(args.valence, place)], None
    folder = args.output or Path('.')
    if is_midi(folder):
        raise ValueError(f'--valence both writes several files; --output must be a folder, got {folder}')
    need_writable(folder, make=True)
    copy = copy_place(args.input, folder) if args.output and args.input.is_file() else None
    return _places(args.input, 'both', folder), copy


def _check_place(place, args):
    "Refuse a place that is no MIDI file, or where something would be lost."
    if place.is_dir():
        raise ValueError(f'{place}: a directory; give --output a file name that ends in .mid')
    if place.suffix.lower() not in MIDI:
        raise ValueError(f'{place}: a version is a MIDI file; give --output a name that ends in .mid')
    if not place.exists(): return
    if args.input.exists() and place.samefile(args.input):
        raise ValueError(f'{place}: is the input, which would be lost; give --output another name')
    if not args.output:
        raise FileExistsError(f'{place}: exists already; say with --output where to write')


# ---- what is said

def _said(args, result, place):
    "Say in a line what became of a piece."
    if args.json: return json.dumps(_as_json(args, result, place), ensure_ascii=False)
    return one_line(f'{place}: {result.source.name} {_became(result, args.bars)}')


def _became(result, bars):
    if not len(result.source):
        where = f' in bars {bars}' if bars else ''
        return f'has no notes{where}, so there was nothing to change'
    return f'towards valence {result.asked}: {result.sentence} · {result.line}'


def _as_json(args, result, place):
    figures = result.figures
    def numbers(values): return [None if math.isnan(x) else x for x in values]
    alike = 'sim_chr', 'sim_grv', 'strokes', 'register'
    return dict(file=str(place), name=result.source.name, bars=args.span,
                asked=result.valence, heard=numbers(figures['valence']), sentence=result.sentence,
                account=[told._asdict() for told in result.account], advice=result.advice, key=figures['key'],
                **dict(zip(alike, numbers(figures[name] for name in alike))), notes=figures['notes'],
                seed=result.seed, applied=result.applied)


# ---- a folder

def _transfer_folder(args):
    out = args.output or Path(f'{args.input.resolve().name}_versions')
    if is_midi(out):
        raise ValueError(f'{args.input}: a directory; --output must then be a folder, got {out}')
    need_writable(out, make=True)
    files = _inputs(args.input, out)
    say = partial(print, file=sys.stderr) if args.json else print           # JSON stands alone on stdout
    taken, skipped = {}, []                                 # name that is written -> the input it is of
    with progress_bar(args.quiet, total=len(files), unit='song') as bar:
        for file in files:
            bar.set_description(file.stem[:30])
            try: taken |= _transfer_one(args, file, out, taken, bar.write)
            except (ValueError, OSError) as e:
                skipped.append(f'{file.name}: {error_line(e).removeprefix(f"{file}: ")}')
            bar.update()
    say(f'{len(files) - len(skipped)} of {len(files)} pieces written to {out}')
    if skipped: print('skipped:', *skipped, sep='\n  ', file=sys.stderr)
    return 1 if skipped else 0


def _inputs(folder, out):
    "List the pieces of a folder; versions that were made in it before are none."
    files = sorted(f for f in folder.iterdir() if is_midi(f) and not f.name.startswith('.'))
    if out.resolve() == folder.resolve():
        stems = {f.stem for f in files}
        files = [f for f in files if not (f.stem[-2:] in ('_1', '_2') and f.stem[:-2] in stems)]
    if not files: raise ValueError(f'{folder}: no .mid files in it; give a folder that has some')
    return files


def _transfer_one(args, file, out, taken, say):
    "Write the versions of one piece of a folder; returns the names that are taken by it."
    places = _places(file, args.valence, out)
    names = [place.name for _, place in places]
    if out.resolve() != args.input.resolve(): names.insert(0, copy_name(file))
    for name in names:
        if name in taken:
            raise ValueError(f'would be written over what is written of {taken[name]}; rename one of them')
    copy = copy_place(file, out)
    results = _write_versions(args, file, places)
    _save(file, results, places, copy)
    for result, (_, place) in zip(results, places): say(_said(args, result, place))
    return dict.fromkeys(names, file.name)
