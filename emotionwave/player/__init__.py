"See and hear a `Song`."
from .roll import draw
from .player import show
