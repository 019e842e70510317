"""Small runs of every network that trains: a few steps on a few tunes, as tests and
their processes start them."""
from dataclasses import replace
import numpy as np
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.music.write import save
from emotionwave.networks.reader import ReaderConfig
from emotionwave.networks.vae import ModelConfig
from emotionwave.data.format import format_corpora
from emotionwave.data.batches import TrainConfig
from emotionwave.recipes.beats import BeatTraining, fit_beats, marked
from emotionwave.recipes.ear import EarTraining, pretrain
from emotionwave.recipes.reader import ReaderTraining, fit_reader
from emotionwave.recipes.writer import train

WRITER = ModelConfig(d_model=32, heads=2, encoder_layers=1, skeleton_layers=1, decoder_layers=2, latent=8)
READER = ReaderConfig(d_model=16, heads=2, layers=1, context=32)
STEPS = 6
SETTINGS = {
    'writer': TrainConfig(steps=STEPS, batch_tokens=1500, lr=1e-2, warmup=2, beta_warmup=4, bf16=False,
                          threads=1),
    'reader': ReaderTraining(steps=STEPS, size=200, lr=1e-2, bf16=False),
    'ear': EarTraining(steps=STEPS, batch=4, width=8, layers=2, bf16=False),
    'beats': BeatTraining(steps=STEPS, batch=2, length_s=10, bf16=False)}
NETWORKS = list(SETTINGS)


class Half:
    "A labeller that can't tell."
    fingerprint = 'half'
    def predict(self, songs): return np.full(len(songs), .5)

def make_data(folder):
    "Write 24 tunes of eight bars to `midi/`, and format them to `data/`."
    (folder / 'midi').mkdir(parents=True)
    for seed in range(24):
        rng = np.random.default_rng(seed)
        scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 10])
        pitch = 60 + seed % 5 + scale[rng.integers(0, 7, 32)]
        song = Song(np.arange(32) * 480, [480] * 32, pitch, rng.integers(50, 90, 32), name=f'tune {seed}')
        save(song, folder / f'midi/{seed:02}.mid')
    format_corpora([folder / 'midi'], folder / 'data', labeller=Half(), workers=1)
    return folder

def _songs(folder): return [read_song(p) for p in sorted((folder / 'midi').glob('*.mid'))]

def _beats_of(song):
    beat_s = np.arange(0, 16, .5)
    return marked(song, beat_s, np.arange(len(beat_s)) % 4 == 0, 'tunes', song.name, True)

def run(name, folder, output, settings=None, **how):
    "Train the network of that name on the data of `make_data`."
    settings = settings or SETTINGS[name]
    if name == 'writer':
        return train(folder / 'data', output, settings, WRITER, device='cpu', **how)
    if name == 'reader':
        return fit_reader(folder / 'data', output, READER, settings, corpora=None, **how)
    if name == 'ear': return pretrain(_songs(folder), settings, output, **how)
    return fit_beats([_beats_of(s) for s in _songs(folder)], {'tunes': 1.}, settings, output, **how)

def changed(name, **changes): return replace(SETTINGS[name], **changes)
