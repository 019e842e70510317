"`emotionwave train`: a network of your own, or one that knows your pieces."
import json, os, sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path
from .terminal import complain, mover, progress_bar

NAME = 'train'
HELP = 'train the model on a formatted folder, or fine-tune it on your own pieces'
EXAMPLES = '''\
DATA is what "emotionwave format" wrote, or a folder of your own MIDI files, formatted into RUN/data first.
RUN will hold last/, from which training goes on; best/, which did best on songs that are not learnt from;
log.csv, curves.png and tensorboard/; and samples/, two of those songs made sadder and happier as training
goes, as MIDI and as piano rolls.
The loss is in nats a token: about 5.9 for a network that knows nothing, below 1 for one that is of use.
Stopped by Ctrl-C, a power cut or anything else, it goes on with --resume as though nothing had happened.

examples:
  emotionwave train data --output runs/first                               # from nothing: hours on a laptop
  emotionwave train data --output runs/first --resume --minutes 60
  emotionwave train my_midi --output runs/mine --from default              # fine-tune the model that ships
  emotionwave train data --output runs/small --set d_model=128 lr=0.002 --steps 3000
  emotionwave train data --output runs/large --preset large --device cuda
  torchrun --nproc_per_node 8 -m emotionwave.cli train data --output runs/large --preset large --device cuda
  emotionwave transfer song.mid --model runs/first/best'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('data', type=Path, metavar='DATA', help='folder that "format" wrote, or one of MIDI files')
    add('--output', type=Path, required=True, metavar='RUN', help='folder of the run')
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument('--preset', choices=('default', 'large', 'paper'),
        help='network and settings: default trains on a CPU, large wants a GPU, paper is the original '
             '(default: default)')
    begin.add_argument('--from', dest='start', metavar='CHECKPOINT',
        help='begin with what a checkpoint knows, with small steps: its folder, or default for the one that '
             'ships')
    add('--resume', action='store_true', help='go on where the run in RUN stopped, with its settings')
    add('--steps', type=int, help="optimizer steps in all (default: the preset's)")
    add('--minutes', type=float, help='stop after so long; --resume goes on')
    add('--set', nargs='+', default=[], metavar='NAME=VALUE', dest='changes',
        help='other settings, of TrainConfig or ModelConfig, as in lr=0.001')
    add('--samples', type=int, default=2, metavar='N',
        help='songs of which samples are written whenever a checkpoint is (default: 2)')
    add('--device', help='cpu or cuda (default: cuda if it is there)')
    add('--compile', action=BooleanOptionalAction, help='compile the network (default: on a GPU)')
    add('--quiet', action='store_true', help='no progress bar')


def run(args:Namespace)->int:
    "Train; returns the exit status. Of several processes, the first alone speaks."
    first = os.environ.get('RANK', '0') == '0'
    try: best = _train(args, first)
    except KeyboardInterrupt:
        if first: complain(f'stopped; {_kept(args.output)}')
        return 130
    except Exception:
        if first: raise
        return 1                                            # the first process has said it
    if first: print(f'best checkpoint: {best}')
    return 0


def _train(args, first):
    from ..learn.loop import begun
    from ..learn.processes import join
    from ..recipes.writer import chosen, train
    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f'--minutes must be above 0, got {args.minutes:g}')
    begins = not begun(args.output, args.resume)
    join(args.device)
    changes = _changes(args)
    start, last = (args.start, None) if begins else (None, args.output / 'last')
    config, sizes = chosen(args.preset, start, last, changes)
    data, progress = _formatted(args), TrainingBar(args.quiet or not first)
    with progress.bar:
        return train(data, args.output, config, sizes, resume=args.resume, callback=progress,
                     device=args.device, minutes=args.minutes, start=args.start, samples=args.samples,
                     sampler=write_samples if args.samples else None, compile=args.compile)


def _kept(run_folder):
    from ..learn.checkpoint import find_checkpoint
    try: return f'{find_checkpoint(run_folder / "last")} is whole, and --resume goes on from it'
    except FileNotFoundError: return 'nothing was begun'


def _changes(args):
    "Read settings that --set and --steps change."
    changes = {} if args.steps is None else {'steps': args.steps}
    for text in args.changes:
        name, equals, value = text.partition('=')
        try: changes[name] = json.loads(value)
        except ValueError: equals = ''
        if not equals:
            raise ValueError(f'--set takes NAME=VALUE, as in lr=0.001 or spell=false, got {text!r}')
    return changes


def _formatted(args):
    "Find the formatted folder to train on; a folder of MIDI is formatted into the run's."
    from ..data.corpora import corpus_files
    from ..data.format import format_corpora
    formatted = (args.data / 'dataset.json').is_file() or any(args.data.glob('*.parquet'))
    if not args.data.is_dir() or formatted or not corpus_files(args.data): return args.data
    if int(os.environ.get('WORLD_SIZE', 1)) > 1:
        raise ValueError(f'{args.data}: a folder of MIDI; for many processes, format it first: '
                         f'emotionwave format {args.data} --output DATA')
    folder = args.output / 'data'
    with progress_bar(args.quiet, desc='formatting', unit='file') as bar:
        report = format_corpora([args.data], folder, progress=mover(bar))
    fragments = sum(report.info['shards'].values())
    print(f'{folder}: {fragments} fragments of the MIDI files in {args.data}', file=sys.stderr)
    return folder


# ---- while it trains

def write_samples(
    net,                    # the network that is being trained
    tokenizer,              # its
    songs:list,             # of `Song`
    folder:Path,            # RUN/samples/STEP, which is made
)->None:
    "Write songs and their sadder and happier versions as MIDI and piano rolls."
    from ..files.atomic import write_atomic
    from ..player.roll import draw, png
    folder.mkdir(parents=True, exist_ok=True)
    for song in songs:
        sadder, happier = _versions(net, tokenizer, song, folder.parents[1] / 'last')
        for name, version in ((song.name, song), (f'{song.name}_1', sadder), (f'{song.name}_2', happier)):
            version.save(folder / f'{name}.mid')
            if len(version): write_atomic(folder / f'{name}.png', png(draw(version, title=name)))


def _versions(net, tokenizer, song, checkpoint):
    "Write a sadder and a happier version of a song."
    from ..networks.vae import EmotionVAE
    valences = ['negative', 'positive']
    if isinstance(net, EmotionVAE):
        from ..generate.versions import write_versions
        return [result.song for result in write_versions(song, valences, candidates=1, model=checkpoint)]
    from ..measure.original import rewrite                  # it has no cache, so a whole fragment takes long
    return [rewrite(net.eval(), tokenizer, song, valence, tokens=150) for valence in valences]


class TrainingBar:
    "The bar of a training run; where there is no terminal, a line at each validation."
    def __init__(self,
        quiet:bool,         # neither bar nor lines
    ):
        form = '{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}'
        self.bar, self.quiet, self.held_out = progress_bar(quiet, unit='step', bar_format=form), quiet, ''

    def __call__(self,
        row:dict,           # a row of the log
    )->None:
        "Show where training stands."
        for remark in row.get('remarks', ()): self.say(remark)
        hours, minutes = row['left_s'] // 3600, row['left_s'] // 60 % 60
        text = f"loss {row['ce']:.3f}, {row['tokens_s']:,.0f} tokens/s, {hours:.0f}:{minutes:02.0f} h left"
        if 'valid_ce' in row:
            self.held_out = f", held out {row['valid_ce']:.3f}"
            if self.bar.disable and not self.quiet:
                self.say(f"step {row['step']} of {row['steps']}: {text}{self.held_out}")
        self.bar.total = row['steps']
        self.bar.set_postfix_str(text + self.held_out, refresh=False)
        self.bar.update(row['step'] - self.bar.n)

    def say(self,
        line:str,           # above the bar
    )->None:
        "Print a line to stderr."
        self.bar.write(line, file=sys.stderr)
