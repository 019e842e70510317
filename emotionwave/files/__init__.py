"Files and folders: writing whole or not at all, and the models that ship."
from .atomic import write_atomic
from .models import MODELS
