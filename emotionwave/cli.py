"""The `emotionwave` command: parses, calls the library, prints."""
import argparse, os, sys, time
from contextlib import suppress
from pathlib import Path

MIDI = '.mid', '.midi'
MOST_WORKERS = 4                                                              # of an evaluation, so that it stays under 2 GB
PARTS = 'melody', 'rhythm', 'harmony', 'left', 'right'                        # as `decode.KEEPS`, which takes long to import

EXAMPLES = {
    'transfer': '''examples:
  emotionwave transfer song.mid --valence positive --output happy.mid
  emotionwave transfer song.mid --valence 0.2 --bars 0:8 --seed 7 --output sadder.mid
  emotionwave transfer song.mid --valence 0.1,0.9 --keep melody left    # a sad beginning and a happy end; the melody and the left hand stay
  emotionwave transfer song.mid --valence 0.2 --rhythm 6,2 --output calmer.mid    # busy at first, calm at the end
  emotionwave transfer song.mid --valence both --output versions/
  emotionwave transfer folder/ --valence both --output versions/    # NAME.mid, NAME_1.mid (negative), NAME_2.mid (positive)''',
    'listen': '''examples:
  emotionwave listen happy.mid --output happy.wav --roll happy.png''',
    'download': '''examples:
  emotionwave download                                              # what there is, with licences
  emotionwave download EMOPIA POP909 --output corpora
  emotionwave format corpora --output data''',
    'format': '''examples:
  emotionwave format EMOPIA_1.0 vgmidi POP909-Dataset Pop1K7 --output data --hop 4
  emotionwave format my_midi_folder --output data --labels none
  emotionwave format corpora/ --output data --corpora EMOPIA ASAP:score --grids score estimated
  emotionwave format lakh/ --output data --engine dask --scheduler tcp://10.0.0.1:8786    # pip install "emotionwave[dask]"
Stopped at any moment and started again, it goes on where it was.''',
    'label': '''examples:
  emotionwave label song.mid other.mid
  emotionwave label my_midi_folder --json > labels.jsonl
  emotionwave label data                    # a folder that "emotionwave format" wrote: what people did not label is labelled anew
Stopped while it labels such a folder and started again, it goes on where it was.''',
    'train': '''DATA is what "emotionwave format" wrote, or a folder of your own MIDI files, which is then formatted into RUN/data first.
RUN will hold last/, from which training goes on; best/, which did best on songs that are not learnt from; log.csv and tensorboard/;
curves.png; and samples/, two of those songs made sadder and happier as training goes, as MIDI and as piano rolls.
The loss is in nats a token: about 5.9 for a network that knows nothing, below 1 for one that is of use.
Stopped by Ctrl-C, a power cut or anything else, it goes on with --resume as though nothing had happened.

examples:
  emotionwave train data --output runs/first                               # from nothing: hours on a laptop
  emotionwave train data --output runs/first --resume --minutes 60
  emotionwave train my_midi --output runs/mine --from default              # get the model that ships used to your own pieces
  emotionwave train data --output runs/small --set d_model=128 lr=0.002 --steps 3000
  emotionwave train data --output runs/large --preset large --device cuda
  torchrun --nproc_per_node 8 -m emotionwave.cli train data --output runs/large --preset large --device cuda
  emotionwave transfer song.mid --model runs/first/best''',
    'evaluate': '''examples:
  emotionwave evaluate songs/ --output report                       # report/report.html shows and plays it
  emotionwave evaluate --model runs/first/best --songs songs/ --output report --most 40 --workers 2
  emotionwave evaluate songs/ --output report --paper runs/paper/best --strengths 0.5 1.5
  emotionwave evaluate songs/ --output report --strengths           # the usual strength alone: a quarter less to wait
Stopped at any moment and started again, it goes on where it was.''',
}

def parts(text): return [w.strip() for w in text.split(',')]
def numbers(text):
    try: return [float(w) for w in text.split(',')]
    except ValueError: raise argparse.ArgumentTypeError(f'takes numbers, as in 0.5 1.5, got {text!r}') from None

def _is_numbers(text):
    try: return bool(numbers(text))
    except argparse.ArgumentTypeError: return False

SEVERAL = {'--keep': lambda word: set(parts(word)) <= set(PARTS), '--strengths': _is_numbers}   # option -> whether a further word is one of its

class _Parser(argparse.ArgumentParser):
    "A parser that joins the words of an option of `SEVERAL` with commas, so that an input which follows them isn't taken for one; and a value that begins with a minus, as in -4:-2, to its option, so that it isn't taken for another."
    def parse_known_args(self, args=None, namespace=None):
        joined = []
        for word in sys.argv[1:] if args is None else args:
            if joined and joined[-1].startswith('--') and '=' not in joined[-1] and word[:1] == '-' and word[1:2].isdigit(): joined[-1] += f'={word}'; continue
            if len(joined) > 1 and joined[-2] in SEVERAL and not joined[-1].startswith('-'): option = joined[-2]
            else: option = joined[-1].partition('=')[0] if joined and '=' in joined[-1] else None
            if option in SEVERAL and SEVERAL[option](word): joined[-1] += f',{word}'
            else: joined.append(word)
        return super().parse_known_args(joined, namespace)

def parser():
    "Build the command's parser."
    p = _Parser(prog='emotionwave', description='Change how a piano piece feels: sadder or happier versions of any MIDI file.')
    from emotionwave import __version__
    p.add_argument('--version', action='version', version=f'emotionwave {__version__}')
    sub = p.add_subparsers(dest='command', required=True, metavar='COMMAND')
    p.commands = sub.choices
    def command(name, help):
        return sub.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.', epilog=EXAMPLES[name],
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    t = command('transfer', 'write a new version of a piece with another valence')
    t.add_argument('input', type=Path, help='a MIDI file, or a folder of them')
    t.add_argument('--valence', default='positive', help='sad (or negative, or 1), happy (or positive, or 2), a number from 0.0 (sad) to 1.0 (happy), several of these numbers or words with commas from the first bar to the last, or both (default: positive)')
    t.add_argument('--output', type=Path, help='file to write, which ends in .mid; a folder when there are several (default: NAME_1.mid, NAME_2.mid here, if there are none yet; for a folder, NAME_versions)')
    t.add_argument('--bars', metavar='A:B', help='bars A to B-1 only, counted from 0')
    t.add_argument('--strength', type=float, default=1., help='how hard the valence is pressed: 0 gives the input back, but for rounding, above 1 is beyond what is usual, 1.5 is the most (default: 1)')
    t.add_argument('--likeness', type=float, default=1., help="share of the piece's skeleton (onsets, lengths, steps) that is kept in sight, 0 to 1 (default: 1)")
    t.add_argument('--temperature', type=float, default=.7, help='0 for the likeliest notes, higher for bolder ones (default: 0.7)')
    t.add_argument('--top-p', type=float, default=.95, help='share of the probability that notes are drawn from, the likeliest first (default: 0.95)')
    t.add_argument('--keep', type=parts, action='extend', default=[], metavar='PART', help='parts that stay exactly as they are: melody, rhythm, harmony, left, right (hands, as the two tracks of a file have them, else told apart by register), or several, as in melody left; the rest has to fit them, so less of it can change')
    t.add_argument('--rhythm', metavar='CLASS', help='how busy bars are to be, from 0 (calm) to 7 (busy), or several with commas from the first bar to the last (default: as they are)')
    t.add_argument('--polyphony', metavar='CLASS', help='how full bars are to be, from 0 (one or two notes at a time) to 7 (more than six), likewise (default: as they are)')
    t.add_argument('--candidates', type=int, help='how many versions are drawn, of which the best is kept (default: 6)')
    t.add_argument('--seed', type=int, default=0, help='same seed, same bytes on the same machine (default: 0)')
    t.add_argument('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    t.add_argument('--quiet', action='store_true', help='no progress bar')
    l = command('listen', 'render a MIDI file as sound and as a piano roll')
    l.add_argument('input', type=Path, help='a MIDI file')
    l.add_argument('--output', type=Path, help='WAV or MP3 file to write (default: NAME.wav here, if there is none yet and no picture is asked for)')
    l.add_argument('--roll', type=Path, help='PNG file to write')
    l.add_argument('--bars', metavar='A:B', help='bars A to B-1 only, counted from 0')
    d = command('download', 'fetch public corpora, checked and unpacked; a stopped download goes on where it was')
    d.add_argument('names', nargs='*', metavar='NAME', help='one or several; none lists what there is')
    d.add_argument('--output', type=Path, default=Path('.'), help='folder in which a folder of its name is made for each (default: here)')
    d.add_argument('--quiet', action='store_true', help='no progress bar')
    f = command('format', 'cut corpora into labelled fragments for training')
    f.add_argument('folders', nargs='+', type=Path, help='folders as their publishers lay them out, or any folder of MIDI')
    f.add_argument('--output', type=Path, required=True, help='folder for the Parquet shards')
    f.add_argument('--bars', type=int, default=8, help='bars of a fragment (default: 8)')
    f.add_argument('--hop', type=int, help='bars from one fragment to the next (default: as many as a fragment has)')
    f.add_argument('--max-tokens', type=int, default=127, help='tokens that a bar may have; a fragment with a longer one is dropped (default: 127)')
    f.add_argument('--corpora', nargs='+', default=(), metavar='NAME', help='these only, as in EMOPIA or ASAP:score (default: all that are found)')
    f.add_argument('--grids', nargs='+', choices=('score', 'estimated', 'performance'), default=('score', 'estimated'),
                   help="what bars may rest on: score the file's own, estimated beats that are found in a performance, performance the placeholders of its file (default: score estimated)")
    f.add_argument('--labels', choices=('default', 'none'), default='default', help='hear the valence of what people did not label with the classifier that ships, or leave it open (default: default)')
    f.add_argument('--workers', type=int, help='processes (default: all cores)')
    f.add_argument('--engine', choices=('processes', 'dask'), default='processes', help='processes of this machine, or a dask cluster (default: processes)')
    f.add_argument('--scheduler', metavar='ADDRESS', help='of a dask cluster whose machines share the folders (default: a cluster on this machine)')
    f.add_argument('--quiet', action='store_true', help='no progress bar')
    v = command('label', 'hear the valence, arousal, quadrant and key of songs, or label a formatted folder anew')
    v.add_argument('inputs', nargs='+', type=Path, metavar='FILE_OR_DIR', help='MIDI files, folders of them, or one folder that "format" wrote')
    v.add_argument('--json', action='store_true', help='print one JSON object a song')
    v.add_argument('--by', choices=('listener', 'labeller', 'judge'), help='who hears: the listener is the most accurate, the labeller labels training data, the judge only judges (default: listener for songs, labeller for a formatted folder)')
    v.add_argument('--quiet', action='store_true', help='no progress bar')
    r = command('train', 'train the model on a formatted folder, or fine-tune it on your own pieces')
    r.add_argument('data', type=Path, metavar='DATA', help='folder that "format" wrote, or one of MIDI files')
    r.add_argument('--output', type=Path, required=True, metavar='RUN', help='folder of the run')
    begin = r.add_mutually_exclusive_group()
    begin.add_argument('--preset', choices=('default', 'large', 'paper'), help='network and settings: default trains on a CPU, large wants a GPU, paper is the original (default: default)')
    begin.add_argument('--from', dest='start', metavar='CHECKPOINT', help='begin with what a checkpoint knows, with small steps: its folder, or default for the one that ships')
    r.add_argument('--resume', action='store_true', help='go on where the run in RUN stopped, with its settings')
    r.add_argument('--steps', type=int, help="optimizer steps in all (default: the preset's)")
    r.add_argument('--minutes', type=float, help='stop after so long; --resume goes on')
    r.add_argument('--set', nargs='+', default=[], metavar='NAME=VALUE', dest='changes', help='other settings, of TrainConfig or ModelConfig, as in lr=0.001')
    r.add_argument('--samples', type=int, default=2, metavar='N', help='songs of which samples are written whenever a checkpoint is (default: 2)')
    r.add_argument('--device', help='cpu or cuda (default: cuda if it is there)')
    r.add_argument('--compile', action=argparse.BooleanOptionalAction, help='compile the network (default: on a GPU)')
    r.add_argument('--quiet', action='store_true', help='no progress bar')
    e = command('evaluate', 'measure a model on songs it has not seen, beside the rules: is the valence asked for heard, '
                'and is it still the piece?')
    e.add_argument('songs', type=Path, nargs='?', help='a folder of MIDI files')
    e.add_argument('--songs', type=Path, dest='folder', metavar='DIR', help='the same, by name')
    e.add_argument('--output', type=Path, required=True, help='folder for report.html, report.csv and report.json')
    e.add_argument('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    e.add_argument('--paper', type=Path, help="a checkpoint of the original's network, to be measured beside (default: the one that ships, if one does)")
    e.add_argument('--strengths', type=numbers, nargs='?', const=(), default=(.5, 1.5), metavar='NUMBER', help='at which the model is measured besides its usual one, one or several; no number, at no other (default: 0.5 1.5)')
    e.add_argument('--most', type=int, default=100, help='songs at the most, spread evenly over the folder (default: 100)')
    e.add_argument('--bars', type=int, default=8, help='bars of each, from its middle (default: 8)')
    e.add_argument('--strength-songs', type=int, default=20, metavar='N',
                   help='songs, spread evenly, that are measured at --strengths, too, which takes as long again for each (default: 20)')
    e.add_argument('--workers', type=int, help=f'processes (default: all cores, but {MOST_WORKERS} at the most)')
    e.add_argument('--quiet', action='store_true', help='no progress bar, and no word on how long it takes')
    return p

def _bar(quiet, **settings):
    from tqdm import tqdm
    return tqdm(disable=quiet or not sys.stderr.isatty(), **settings)

def _bars_of(text):
    "Read 'A:B'."
    if text is None: return None
    try: a, b = (int(x) for x in text.split(':'))
    except ValueError: raise ValueError(f'--bars takes A:B, two whole numbers, got {text!r}') from None
    return a, b

def _names(path, valence, folder):
    "Where each version of a piece goes: list of (valence, path)."
    from .generate.wishes import curve_of, spread
    number = lambda v: '1' if spread(curve_of(v), 64).mean() < .5 else '2'
    return [(v, folder / f'{path.stem}_{number(v)}.mid') for v in (('negative', 'positive') if valence == 'both' else (valence,))]

def _settings(args):
    return dict(strength=args.strength, likeness=args.likeness, keep=args.keep, rhythm=args.rhythm, polyphony=args.polyphony, temperature=args.temperature, top_p=args.top_p, candidates=args.candidates, seed=args.seed, model=args.model)

def _writable(folder, make=False):
    "Refuse early, before minutes of work, what could not be written in the end; `make` says that a missing folder will be made."
    if make: folder = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not folder.is_dir(): raise FileNotFoundError(f'{folder}: {"not a folder" if folder.exists() else "no such folder; make it first"}')
    if not os.access(folder, os.W_OK): raise PermissionError(f'{folder}: not writable; choose another place for --output')

def _copy(source, folder):
    "Where a copy of the input goes, beside its versions; None where it lies there already. Another piece of that name isn't written over."
    place = folder / f'{source.stem}.mid'
    if folder.resolve() == source.resolve().parent: return None
    if not place.exists(): return place
    if place.read_bytes() != source.read_bytes(): raise FileExistsError(f'{place}: is another piece, which would be lost; give another folder for --output')

def _write(source, results, places, copy=None):
    "Save every version of a piece, and a copy of the input if asked for, or none of them; a folder that is missing is made."
    from .files.atomic import write_atomic
    jobs = [(place, result.save) for result, (_, place) in zip(results, places)]
    if copy: jobs.append((copy, lambda p: write_atomic(p, source.read_bytes())))
    folder = places[0][1].parent
    new, made = [], [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for place, job in jobs:
            if not place.exists(): new.append(place)
            job(place)
    except BaseException as e:
        for p in new: p.unlink(missing_ok=True)
        with suppress(OSError):                                               # someone else may have put something there
            for p in made: p.rmdir()
        if isinstance(e, OSError) and e.strerror: e.filename = place
        raise

def transfer_folder(args, bars):
    "Transfer every MIDI file of a folder; returns the exit status."
    from .generate.versions import write_versions
    out = args.output or Path(f'{args.input.resolve().name}_versions')
    if out.suffix.lower() in MIDI: raise ValueError(f'{args.input}: a directory; --output must then be a folder, got {out}')
    _writable(out, make=True)
    files = sorted(f for f in args.input.iterdir() if f.suffix.lower() in MIDI and not f.name.startswith('.'))
    beside = out.resolve() == args.input.resolve()
    if beside:                                                                # versions made before are no inputs
        stems = {f.stem for f in files}
        files = [f for f in files if not (f.stem[-2:] in ('_1', '_2') and f.stem[:-2] in stems)]
    if not files: raise ValueError(f'{args.input}: no .mid files in it; give a folder that has some')
    taken, skipped = {}, []                                                   # name that is written -> the input it is of
    with _bar(args.quiet, total=len(files), unit='song') as progress:
        for f in files:
            progress.set_description(f.stem[:30])
            try:
                places = _names(f, args.valence, out); names = [f'{f.stem}.mid', *(p.name for _, p in places)][beside:]
                if other := next((taken[n] for n in names if n in taken), None): raise ValueError(f'would be written over what is written of {other}; rename one of them')
                copy = _copy(f, out)
                _write(f, write_versions(f, [v for v, _ in places], bars=bars, **_settings(args)), places, copy)
                taken |= dict.fromkeys(names, f.name)
            except (ValueError, OSError) as e: skipped.append(f'{f.name}: {_line(e).removeprefix(f"{f}: ")}')
            progress.update()
    print(f'{len(files) - len(skipped)} of {len(files)} pieces written to {out}')
    if skipped: print('skipped:', *skipped, sep='\n  ', file=sys.stderr)
    return 1 if skipped else 0

def transfer(args):
    "Transfer a file or a folder; returns the exit status."
    from .generate.versions import write_versions
    from .music.song import Song
    both, bars = args.valence == 'both', _bars_of(args.bars)
    write_versions(Song(), ['positive' if both else args.valence], **_settings(args))   # a wrong setting or checkpoint is one error, not one a file
    if args.input.is_dir(): return transfer_folder(args, bars)
    if both:
        folder = args.output or Path('.')
        if folder.suffix.lower() in MIDI: raise ValueError(f'--valence both writes several files; --output must be a folder, got {folder}')
        _writable(folder, make=True)
        places = _names(args.input, 'both', folder)
        copy = _copy(args.input, folder) if args.output and args.input.is_file() else None
    else:
        copy = None
        places = [(args.valence, args.output or _names(args.input, args.valence, Path('.'))[0][1])]
        _writable(places[0][1].parent)
    for _, p in places:
        if p.is_dir(): raise ValueError(f'{p}: a directory; give --output a file name that ends in .mid')
        if p.suffix.lower() not in MIDI: raise ValueError(f'{p}: a version is a MIDI file; give --output a name that ends in .mid')
        if p.exists() and args.input.exists() and p.samefile(args.input): raise ValueError(f'{p}: is the input, which would be lost; give --output another name')
        if p.exists() and not args.output: raise FileExistsError(f'{p}: exists already; say with --output where to write')
    with _bar(args.quiet, unit='bar') as progress:
        def callback(done, total): progress.total = total; progress.update(done - progress.n)
        results = write_versions(args.input, [v for v, _ in places], bars=bars, callback=callback, **_settings(args))
    _write(args.input, results, places, copy)
    for result, (_, place) in zip(results, places):
        if len(result.source): became = f'towards valence {result.asked} · {result.line}' + ' · no pitch is changed' * result.same_notes
        else: became = f'has no notes in bars {args.bars}, so there was nothing to change'
        print(_one_line(f'{place}: {result.source.name} {became}'))
    return 0

def listen(args):
    "Render sound and picture; returns the exit status."
    from .files.atomic import write_atomic
    from .music.read import read_song
    from .sound.synth import synth_name
    from .sound.files import save_mp3, save_wav
    from .player.roll import draw, png
    song, bars = read_song(args.input), _bars_of(args.bars)
    if bars: song = song.bars(*bars)
    wav = args.output or (None if args.roll else Path(f'{args.input.stem}.wav'))
    for p, kinds in ((wav, ('.wav', '.mp3')), (args.roll, ('.png',))):
        if not p: continue
        _writable(p.parent)
        if p.exists() and p.samefile(args.input): raise ValueError(f'{p}: is the input, which would be lost; give another name')
        if p.exists() and p not in (args.output, args.roll): raise FileExistsError(f'{p}: exists already; say with --output where to write')
        if p.suffix.lower() not in kinds: raise ValueError(f'{p}: give {"--roll" if p == args.roll else "--output"} a name that ends in {" or ".join(kinds)}')
    if wav: (save_mp3 if wav.suffix.lower() == '.mp3' else save_wav)(song, wav); print(f'{wav}: sound by {synth_name()}')
    if args.roll: write_atomic(args.roll, png(draw(song))); print(args.roll)
    return 0

def download(args):
    "Fetch public corpora, or list them; returns the exit status."
    from .data.corpora import corpus_files
    from .data.downloads import download, source_of, sources
    if not args.names:
        for s in sources.values():
            print(f'{s.name:11} {f"{s.size_mb:.0f} MB" if s.size_mb else "":>7}  licence: {s.licence:28} check: {s.check.partition(":")[0]:7} {s.page}')
        return 0
    for s in [source_of(n) for n in args.names]:                              # a wrong name is told before anything is fetched
        print(f'{s.name}: licence {s.licence}; {s.page}')
        with _bar(args.quiet, desc=s.name, unit='B', unit_scale=True, unit_divisor=1024) as progress:
            def callback(done, total):
                progress.total = total
                if done < progress.n: progress.reset(total)                   # it started anew
                progress.update(done - progress.n)
            try: folder = download(s, args.output, callback)
            except KeyboardInterrupt:
                progress.close()
                print(f'emotionwave: stopped; {args.output / s.name}.part is kept, run it again to go on', file=sys.stderr)
                return 130
        print(f'{folder}: {len(corpus_files(folder))} MIDI files')
    return 0

def format(args):
    "Format corpora; returns the exit status."
    from .data.fragments import FormatConfig
    from .data.format import format_corpora
    config = FormatConfig(bars=args.bars, hop=args.bars if args.hop is None else args.hop, min_bars=min(4, args.bars), max_tokens=args.max_tokens, grids=args.grids, corpora=args.corpora)
    with _bar(args.quiet, unit='file') as progress:
        now = None
        def callback(done, total, stage):
            nonlocal now
            if stage != now: now = stage; progress.reset(total); progress.set_description(stage)
            progress.update(done - progress.n)
        report = format_corpora(args.folders, args.output, config, labeller=None if args.labels == 'none' else 'default', workers=args.workers,
                                engine=args.engine, scheduler=args.scheduler, progress=callback)
    print(report)
    return 0

def label(args):
    "Label songs, or a formatted corpus; returns the exit status, 1 if a song has no label."
    import json
    from .hearing.labels import label_dataset, label_files
    from .hearing.classifiers import QUADRANTS, load_judge, load_labeller, load_listener
    data = [p for p in args.inputs if (p / 'dataset.json').is_file()]
    if data and len(args.inputs) > 1: raise ValueError(f'{data[0]}: a formatted folder; label it by itself')
    if data and args.by == 'judge': raise ValueError('the judge labels no training data, or what learns from it could not be judged; use --by labeller')
    classifier = dict(listener=load_listener, labeller=load_labeller, judge=load_judge)[args.by or ('labeller' if data else 'listener')]()
    with _bar(args.quiet or not data and len(args.inputs) == 1 and args.inputs[0].is_file(), unit='shard' if data else 'song') as progress:
        def callback(done, total): progress.total = total; progress.update(done - progress.n)
        if data: done = label_dataset(data[0], classifier, lambda name, i, n: callback(i, n))
        else: rows = label_files(args.inputs, classifier, callback)
    if data:
        print(_one_line(f"{data[0]}: {done['labelled']} fragments labelled in {done['shards'] - done['skipped']} shards, {done['kept']} labels by people kept, {done['skipped']} shards were done before"))
        return 0
    if not args.json: print(f"{'valence':>7} {'arousal':>7}  {'quadrant':9} {'key':9} file")
    for r in rows:
        if args.json: print(json.dumps(r))
        elif r['problem']: print(f"{'-':>7} {'-':>7}  {'-':9} {'-':9} {_one_line(r['file'])}: {_one_line(r['problem'])}")
        else: print(f"{r['valence']:7.2f} {r['arousal']:7.2f}  {QUADRANTS[r['quadrant'] - 1]:9} {r['key']:9} {_one_line(r['file'])}")
    return int(any(r['problem'] for r in rows))

def _changes(args):
    "Settings that --set and --steps change."
    import json
    out = {} if args.steps is None else {'steps': args.steps}
    for text in args.changes:
        name, equals, value = text.partition('=')
        try: out[name] = json.loads(value)
        except ValueError: equals = ''
        if not equals: raise ValueError(f'--set takes NAME=VALUE, as in lr=0.001 or spell=false, got {text!r}')
    return out

def _formatted(args):
    "The formatted folder to train on; a folder of MIDI is formatted into the run's."
    from .data.corpora import corpus_files
    from .data.format import format_corpora
    if not args.data.is_dir() or (args.data / 'dataset.json').is_file() or any(args.data.glob('*.parquet')) or not corpus_files(args.data): return args.data
    if int(os.environ.get('WORLD_SIZE', 1)) > 1: raise ValueError(f'{args.data}: a folder of MIDI; for many processes, format it first: emotionwave format {args.data} --output DATA')
    folder = args.output / 'data'
    with _bar(args.quiet, desc='formatting', unit='file') as progress:
        def callback(done, total, stage): progress.total = total; progress.update(done - progress.n)
        report = format_corpora([args.data], folder, progress=callback)
    print(f"{folder}: {sum(report.info['shards'].values())} fragments of the MIDI files in {args.data}", file=sys.stderr)
    return folder

def _sampler(net, tokenizer, songs, folder):
    "Write songs and their sadder and happier versions as MIDI and piano rolls."
    from .player.roll import draw, png
    from .files.atomic import write_atomic
    from .networks.vae import EmotionVAE
    if isinstance(net, EmotionVAE):
        from .generate.versions import write_versions
        make = lambda song: [r.song for r in write_versions(song, ['negative', 'positive'], candidates=1, model=folder.parents[1] / 'last')]
    else:
        from .measure.original import rewrite
        make = lambda song: [rewrite(net.eval(), tokenizer, song, v, tokens=150) for v in ('negative', 'positive')]   # it has no cache, so a whole fragment takes long
    folder.mkdir(parents=True, exist_ok=True)
    for song in songs:
        for ending, s in zip(('', '_1', '_2'), (song, *make(song))):
            s.save(folder / f'{song.name}{ending}.mid')
            if len(s): write_atomic(folder / f'{song.name}{ending}.png', png(draw(s, title=f'{song.name}{ending}')))

class _Progress:
    "The bar of a training run; where there is no terminal, a line at each validation."
    def __init__(self, quiet):
        self.bar, self.quiet = _bar(quiet, unit='step', bar_format='{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}'), quiet

    def __call__(self, r):
        for note in r.get('notes', ()): self.say(note)
        left = f"{r['left_s'] // 3600:.0f}:{r['left_s'] // 60 % 60:02.0f} h left"
        text = f"loss {r['ce']:.3f}, {r['tokens_s']:,.0f} tokens/s, {left}"
        if 'valid_ce' in r:
            self.seen = f", held out {r['valid_ce']:.3f}"
            if self.bar.disable and not self.quiet: self.say(f"step {r['step']} of {r['steps']}: {text}{self.seen}")
        self.bar.total = r['steps']
        self.bar.set_postfix_str(text + getattr(self, 'seen', ''), refresh=False)
        self.bar.update(r['step'] - self.bar.n)

    def say(self, line): self.bar.write(line, file=sys.stderr)

def train(args):
    "Train; returns the exit status."
    from .learn.checkpoint import find_checkpoint
    from .recipes.writer import begun, chosen, join, train
    first = os.environ.get('RANK', '0') == '0'
    try:
        if args.minutes is not None and not args.minutes > 0: raise ValueError(f'--minutes must be above 0, got {args.minutes:g}')
        begins = not begun(args.output, args.resume)
        join(args.device)
        changes, run = _changes(args), None if begins else args.output / 'last'
        config, sizes = chosen(args.preset, None if run else args.start, run, changes)
        data, progress = _formatted(args), _Progress(args.quiet or not first)
        with progress.bar:
            best = train(data, args.output, config, sizes, resume=args.resume, callback=progress, device=args.device, minutes=args.minutes, start=args.start,
                         sampler=_sampler if args.samples else None, samples=args.samples, compile=args.compile)
    except KeyboardInterrupt:
        try: kept = f'{find_checkpoint(args.output / "last")} is whole, and --resume goes on from it'
        except FileNotFoundError: kept = 'nothing was begun'
        if first: print(f'emotionwave: stopped; {kept}', file=sys.stderr)
        return 130
    except Exception:
        if first: raise
        return 1                                                               # the first process has said it
    if first: print(f'best checkpoint: {best}')
    return 0

def _about(seconds):
    "A length of time in words."
    minutes = round(seconds / 60)
    return 'under a minute' if seconds < 50 else f'about {max(minutes, 1)} minute{"s" * (minutes > 1)}'

class _Songs:
    "How long an evaluation takes, said beforehand, and its bar; where there is no terminal, a line at each tenth."
    def __init__(self, quiet):
        self.bar, self.quiet, self.said, self.begun_s = _bar(quiet, unit='song'), quiet, 0, time.monotonic()

    def estimate(self, seconds):
        self.begun_s = time.monotonic()
        self.bar.write(f'measuring takes {_about(seconds)}', file=sys.stderr)

    def __call__(self, done, total):
        self.bar.total = total
        self.bar.update(done - self.bar.n)
        if not self.bar.disable or self.quiet or done == total or done * 10 // total <= self.said: return
        self.said, passed_s = done * 10 // total, time.monotonic() - self.begun_s
        print(f'{done} of {total} songs, {_about(passed_s * (total - done) / done)} left', file=sys.stderr)

def evaluate(args):
    "Evaluate; returns the exit status."
    from .measure.report import summary
    from .measure.evaluation import evaluate_folder
    if (args.songs is None) == (args.folder is None):
        raise ValueError('give one folder of songs, as in: emotionwave evaluate songs/ --output report')
    workers = min(os.cpu_count() or 1, MOST_WORKERS) if args.workers is None else args.workers
    settings = {k: getattr(args, k) for k in ('model', 'paper', 'strengths', 'strength_songs', 'most', 'bars')}
    progress = _Songs(args.quiet)
    with progress.bar:
        try:
            rows = evaluate_folder(args.songs or args.folder, args.output, workers=workers, callback=progress,
                                   estimate=None if args.quiet else progress.estimate, **settings)
        except KeyboardInterrupt:
            progress.bar.close()
            print('emotionwave: stopped; songs that are done are kept, and the same command goes on from there', file=sys.stderr)
            return 130
    table = summary(rows)
    print(table[[c for c in table if not c.endswith('_labeller')]].to_string())
    for name, reason in rows.attrs['skipped']: print(_one_line(f'left out: {name}: {reason}'), file=sys.stderr)
    print(args.output / 'report.html')
    return 0

def _one_line(text): return ' '.join(str(text).split())

def _line(e):
    "What an error says, in one line."
    return _one_line(f'{e.filename}: {e.strerror}' if isinstance(e, OSError) and e.filename and e.strerror else e) or type(e).__name__

def main(argv=None):
    "Run the command; exit status 0 when all went well, 1 with one clear line when not, 2 for wrong usage."
    for stream in (sys.stdout, sys.stderr):                                   # a terminal that lacks a letter shows a question mark
        if hasattr(stream, 'reconfigure'): stream.reconfigure(errors='replace')
    p = parser()
    args, odd = p.parse_known_args(argv)
    if odd: p.commands[args.command].error(f'unrecognized arguments: {" ".join(odd)}')   # its usage, not that of all commands
    try:
        status = globals()[args.command](args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:                                                   # the reader of what is printed has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print('emotionwave: stopped; nothing half-written was left', file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, TypeError, FloatingPointError, RuntimeError, MemoryError) as e:
        print(f'emotionwave: {_line(e)}', file=sys.stderr)
        return 1

if __name__ == '__main__': sys.exit(main())
