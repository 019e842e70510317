"""The `emotionwave` command: parses, calls the library, prints."""
import argparse, shutil, sys
from pathlib import Path

EXAMPLES = {
    'transfer': '''examples:
  emotionwave transfer song.mid --valence positive --output happy.mid
  emotionwave transfer song.mid --valence 0.2 --bars 0:8 --seed 7 --output sadder.mid
  emotionwave transfer song.mid --valence both --output versions/
  emotionwave transfer folder/ --valence both --output versions/    # NAME.mid, NAME_1.mid (negative), NAME_2.mid (positive)''',
    'listen': '''examples:
  emotionwave listen happy.mid --output happy.wav --roll happy.png''',
    'format': '''examples:
  emotionwave format EMOPIA_1.0 vgmidi POP909-Dataset Pop1K7 --output data --hop 4
  emotionwave format my_midi_folder --output data''',
    'train': '''examples:
  emotionwave train data --output runs/first --steps 6000
  emotionwave train data --output runs/first --resume
  emotionwave transfer song.mid --model runs/first/best''',
    'evaluate': '''examples:
  emotionwave evaluate songs/ --output report
  emotionwave evaluate songs/ --output report --model runs/first/best --most 40''',
}

def parser():
    "Build the command's parser."
    p = argparse.ArgumentParser(prog='emotionwave', description='Change how a piano piece feels: sadder or happier versions of any MIDI file.')
    from emotionwave import __version__
    p.add_argument('--version', action='version', version=f'emotionwave {__version__}')
    sub = p.add_subparsers(dest='command', required=True, metavar='COMMAND')
    def command(name, help):
        return sub.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.', epilog=EXAMPLES[name],
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    t = command('transfer', 'write a new version of a piece with another valence')
    t.add_argument('input', type=Path, help='a MIDI file, or a folder of them')
    t.add_argument('--valence', default='positive', help='1 or negative, 2 or positive, a number from 0.0 (sad) to 1.0 (happy), or both (default: positive)')
    t.add_argument('--output', type=Path, help='file to write; a folder when there are several (default: NAME_1.mid or NAME_2.mid here)')
    t.add_argument('--bars', metavar='A:B', help='bars A to B-1 only, counted from 0')
    t.add_argument('--strength', type=float, default=1., help='how hard the valence is pressed: 0 not at all, above 1 beyond what is usual (default: 1)')
    t.add_argument('--likeness', type=float, default=1., help="share of the piece's skeleton (onsets, lengths, steps) that is kept in sight, 0 to 1 (default: 1)")
    t.add_argument('--temperature', type=float, default=.9, help='0 for the likeliest notes, higher for bolder ones (default: 0.9)')
    t.add_argument('--seed', type=int, default=0, help='same seed, same bytes (default: 0)')
    t.add_argument('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    t.add_argument('--quiet', action='store_true', help='no progress bar')
    l = command('listen', 'render a MIDI file as sound and as a piano roll')
    l.add_argument('input', type=Path, help='a MIDI file')
    l.add_argument('--output', type=Path, help='WAV file to write')
    l.add_argument('--roll', type=Path, help='PNG file to write')
    f = command('format', 'cut corpora into labelled fragments for training')
    f.add_argument('folders', nargs='+', type=Path, help='folders as their publishers lay them out, or any folder of MIDI')
    f.add_argument('--output', type=Path, required=True, help='folder for the Parquet shards')
    f.add_argument('--hop', type=int, default=8, help='bars from one fragment to the next (default: 8, the length of a fragment)')
    f.add_argument('--workers', type=int, help='processes (default: all cores)')
    r = command('train', 'train the model on a formatted folder')
    r.add_argument('data', type=Path, help='folder that "format" wrote')
    r.add_argument('--output', type=Path, required=True, help='folder of the run')
    r.add_argument('--steps', type=int, help='optimizer steps in all (default: as in TrainConfig)')
    r.add_argument('--minutes', type=float, help='stop after so long; --resume goes on')
    r.add_argument('--resume', action='store_true', help='go on where the run in --output stopped')
    r.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    e = command('evaluate', 'measure a model on songs it has not seen, beside the rules')
    e.add_argument('songs', type=Path, help='a folder of MIDI files')
    e.add_argument('--output', type=Path, required=True, help='folder for report.csv and report.json')
    e.add_argument('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    e.add_argument('--most', type=int, default=100, help='songs at the most, spread evenly over the folder (default: 100)')
    e.add_argument('--bars', type=int, default=8, help='bars of each, from its middle (default: 8)')
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
    from emotionwave.generate import valence_of
    number = lambda v: '1' if valence_of(v) < .5 else '2'
    return [(v, folder / f'{path.stem}_{number(v)}.mid') for v in (('negative', 'positive') if valence == 'both' else (valence,))]

def _settings(args, bars):
    return dict(strength=args.strength, likeness=args.likeness, temperature=args.temperature, seed=args.seed, bars=bars, model=args.model)

def transfer_folder(args, bars):
    "Transfer every MIDI file of a folder; returns the exit status."
    from emotionwave.generate import versions
    out = args.output or Path(f'{args.input.name}_versions')
    if out.suffix.lower() in ('.mid', '.midi') or out.is_file(): raise ValueError(f'{args.input}: a directory; --output must then be a folder, got {out}')
    files = sorted(f for f in args.input.iterdir() if f.suffix.lower() in ('.mid', '.midi') and not f.name.startswith('.'))
    stems = {f.stem for f in files}
    files = [f for f in files if not (f.stem[-2:] in ('_1', '_2') and f.stem[:-2] in stems)]          # versions made before
    if not files: raise ValueError(f'{args.input}: no .mid files in it; give a folder that has some')
    out.mkdir(parents=True, exist_ok=True)
    skipped = []
    with _bar(args.quiet, total=len(files), unit='song') as progress:
        for f in files:
            progress.set_description(f.stem[:30])
            try:
                places = _names(f, args.valence, out)
                for (_, place), result in zip(places, versions(f, [v for v, _ in places], **_settings(args, bars))): result.save(place)
                if (out / f'{f.stem}.mid').resolve() != f.resolve(): shutil.copyfile(f, out / f'{f.stem}.mid')
            except (ValueError, OSError) as e: skipped.append(f'{f.name}: {str(e).removeprefix(f"{f}: ")}')
            progress.update()
    print(f'{len(files) - len(skipped)} of {len(files)} pieces written to {out}')
    if skipped: print('skipped:', *skipped, sep='\n  ', file=sys.stderr)
    return 1 if skipped else 0

def transfer(args):
    "Transfer a file or a folder; returns the exit status."
    from emotionwave.generate import versions, valence_of
    if args.valence != 'both': valence_of(args.valence)
    bars = _bars_of(args.bars)
    if args.input.is_dir(): return transfer_folder(args, bars)
    if args.valence == 'both':
        folder = args.output or Path('.')
        if folder.suffix.lower() in ('.mid', '.midi') or folder.is_file(): raise ValueError(f'--valence both writes two files; --output must be a folder, got {folder}')
        places = _names(args.input, 'both', folder)
    else: places = [(args.valence, args.output or _names(args.input, args.valence, Path('.'))[0][1])]
    for _, p in places:
        if p.is_dir(): raise ValueError(f'{p}: a directory; give --output a file name')
        if args.valence != 'both' and not p.parent.is_dir(): raise FileNotFoundError(f'{p.parent}: no such folder; make it first')
    with _bar(args.quiet, unit='bar') as progress:
        def callback(done, total): progress.total = total; progress.update(done - progress.n)
        results = versions(args.input, [v for v, _ in places], callback=callback, **_settings(args, bars))
    if args.valence == 'both': folder.mkdir(parents=True, exist_ok=True)
    for result, (_, place) in zip(results, places):
        result.save(place)
        print(f'{place}: {result.source.name} in {result.key}, towards valence {result.valence:g}')
    if args.valence == 'both' and (folder / f'{args.input.stem}.mid').resolve() != args.input.resolve(): shutil.copyfile(args.input, folder / f'{args.input.stem}.mid')
    return 0

def listen(args):
    "Render sound and picture; returns the exit status."
    from emotionwave.midi import read_song
    from emotionwave.listen import save_wav, save_roll, synth_name
    song = read_song(args.input)
    wav = args.output or (None if args.roll else Path(f'{args.input.stem}.wav'))
    if wav: save_wav(song, wav); print(f'{wav}: sound by {synth_name()}')
    if args.roll: save_roll(song, args.roll); print(args.roll)
    return 0

def format(args):
    "Format corpora; returns the exit status."
    from emotionwave.format import FormatConfig, format_corpora
    with _bar(False, unit='file') as progress:
        def callback(done, total): progress.total = total; progress.update(done - progress.n)
        report = format_corpora(args.folders, args.output, FormatConfig(hop=args.hop), workers=args.workers, progress=callback)
    print(report)
    return 0

def train(args):
    "Train; returns the exit status."
    from emotionwave.train import TrainConfig, train
    config = TrainConfig(**({'steps': args.steps} if args.steps else {}))
    with _bar(False, total=config.steps, unit='step') as progress:
        def callback(r):
            progress.update(r['step'] - progress.n)
            progress.set_postfix(loss=f"{r['ce']:.3f}", tokens_s=f"{r['tokens_s']:.0f}", left=f"{r['left_s'] / 60:.0f}min", **({'valid': f"{r['valid_ce']:.3f}"} if 'valid_ce' in r else {}))
        best = train(args.data, args.output, config, resume=args.resume, callback=callback, device=args.device, minutes=args.minutes)
    print(f'best checkpoint: {best}')
    return 0

def evaluate(args):
    "Evaluate; returns the exit status."
    from emotionwave.evaluate import evaluate_folder, summary
    with _bar(False, unit='song') as progress:
        def callback(done, total): progress.total = total; progress.update(done - progress.n)
        rows = evaluate_folder(args.songs, args.output, model=args.model, most=args.most, bars=args.bars, callback=callback)
    print(summary(rows).to_string())
    return 0

def main(argv=None):
    "Run the command; exit status 0 when all went well, 1 with one clear line when not, 2 for wrong usage."
    args = parser().parse_args(argv)
    try: return globals()[args.command](args)
    except KeyboardInterrupt:
        print('stopped; nothing half-written was left', file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, TypeError, FloatingPointError) as e:
        text = f'{e.filename}: {e.strerror}' if isinstance(e, OSError) and e.strerror else str(e)
        print(f'emotionwave: {text}', file=sys.stderr)
        return 1

if __name__ == '__main__': sys.exit(main())
