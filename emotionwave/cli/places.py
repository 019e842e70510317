"Where files go: checked before the work, written all or none."
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

MIDI = '.mid', '.midi'     # endings of what is written


def need_writable(
    folder:Path,            # where something will be written
    make:bool=False,        # a folder that is missing will be made
)->None:
    "Refuse early, before minutes of work, a folder that could not be written in the end."
    if make: folder = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not folder.is_dir():
        what = 'not a folder' if folder.exists() else 'no such folder; make it first'
        raise FileNotFoundError(f'{folder}: {what}')
    if not os.access(folder, os.W_OK):
        raise PermissionError(f'{folder}: not writable; choose another place for --output')


def copy_name(
    source:Path,            # the input
)->str:
    "Name the copy of an input that is put beside its versions; what is wrapped in RIFF keeps its ending."
    return source.name if source.suffix.lower() == '.rmi' else f'{source.stem}.mid'


def copy_place(
    source:Path,            # the input
    folder:Path,            # where its versions go
)->Path|None:               # `None` where it lies there already
    "Find where a copy of the input goes; another piece of that name isn't written over."
    place = folder / copy_name(source)
    if folder.resolve() == source.resolve().parent: return None
    if not place.exists(): return place
    if place.read_bytes() != source.read_bytes():
        raise FileExistsError(f'{place}: is another piece, which would be lost; '
                              'give another folder for --output')


def write_all(
    jobs:Sequence[tuple[Path, Callable]],  # paths in one folder, and what writes each, called with the path
)->None:
    "Write several files, or none of them; a folder that is missing is made."
    folder = jobs[0][0].parent
    written, made = [], [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for place, write in jobs:
            if not place.exists(): written.append(place)
            write(place)
    except BaseException as e:
        _take_back(written, made)
        if isinstance(e, OSError) and e.strerror: e.filename = place
        raise


def _take_back(files, folders):
    for file in files: file.unlink(missing_ok=True)
    with suppress(OSError):                                 # someone else may have put something there
        for folder in folders: folder.rmdir()
