"How notes are played."
from .touch import articulate
