"What a piece is: notes, bars, keys, hands, chords, tokens. Nothing here needs torch."
from .song import MidiError, Song
from .convert import find_grid
from .read import as_song, read_song
from .keys import Key, find_key
from .tokens import TokenConfig, Tokenizer
from .similarity import sim_chr, sim_grv
from .write import save
