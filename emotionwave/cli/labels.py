"`emotionwave label`: how songs feel, or the songs of a formatted folder."
import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .terminal import mover, one_line, progress_bar

NAME = 'label'
HELP = 'hear the valence, arousal, quadrant and key of songs, or label a formatted folder anew'
EXAMPLES = '''examples:
  emotionwave label song.mid other.mid
  emotionwave label my_midi_folder --json > labels.jsonl
  emotionwave label data                    # a folder that "emotionwave format" wrote
In such a folder, fragments that people did not label are labelled anew.
Stopped while it does that and started again, it goes on where it was.'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('inputs', nargs='+', type=Path, metavar='FILE_OR_DIR',
        help='MIDI files, folders of them, or one folder that "format" wrote')
    add('--json', action='store_true', help='print one JSON object a song')
    add('--by', choices=('listener', 'labeller', 'judge'),
        help='who hears: the listener is the most accurate, the labeller labels training data, the judge '
             'only judges (default: listener for songs, labeller for a formatted folder)')
    add('--quiet', action='store_true', help='no progress bar')


def run(args:Namespace)->int:
    "Label songs, or a formatted corpus; returns the exit status, 1 if a song has no label."
    data = [path for path in args.inputs if (path / 'dataset.json').is_file()]
    if not data: return _label_songs(args)
    if len(args.inputs) > 1: raise ValueError(f'{data[0]}: a formatted folder; label it by itself')
    if args.by == 'judge':
        raise ValueError('the judge labels no training data, or what learns from it could not be judged; '
                         'use --by labeller')
    return _label_data(args, data[0])


def _classifier(name):
    from ..hearing.classifiers import load_judge, load_labeller, load_listener
    return dict(listener=load_listener, labeller=load_labeller, judge=load_judge)[name]()


def _label_data(args, folder):
    from ..hearing.labels import label_dataset
    classifier = _classifier(args.by or 'labeller')
    with progress_bar(args.quiet, unit='shard') as bar:
        move = mover(bar)
        done = label_dataset(folder, classifier, lambda name, shard, shards: move(shard, shards))
    shards = done['shards'] - done['skipped']
    print(one_line(f"{folder}: {done['labelled']} fragments labelled in {shards} shards, "
                   f"{done['kept']} labels by people kept, {done['skipped']} shards were done before"))
    return 0


def _label_songs(args):
    from ..hearing.labels import label_files
    classifier = _classifier(args.by or 'listener')
    one_file = len(args.inputs) == 1 and args.inputs[0].is_file()
    with progress_bar(args.quiet or one_file, unit='song') as bar:
        rows = label_files(args.inputs, classifier, mover(bar))
    if args.json:
        for row in rows: print(json.dumps(row))
    else: _print_table(rows)
    return int(any(row['problem'] for row in rows))


def _print_table(rows):
    from ..hearing.classifiers import QUADRANTS
    print(f"{'valence':>7} {'arousal':>7}  {'quadrant':9} {'key':9} file")
    for row in rows:
        file = one_line(row['file'])
        if row['problem']:
            print(f"{'-':>7} {'-':>7}  {'-':9} {'-':9} {file}: {one_line(row['problem'])}")
        else:
            quadrant = QUADRANTS[row['quadrant'] - 1]
            print(f"{row['valence']:7.2f} {row['arousal']:7.2f}  {quadrant:9} {row['key']:9} {file}")
