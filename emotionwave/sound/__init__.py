"From notes to sound."
from .synth import render
from .files import save_mp3, save_wav
