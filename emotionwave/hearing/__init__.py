"Where the beats are, and how a piece feels."
from .beats import barred, find_beats
from .attributes import describe
from .classifiers import hear, load_judge, load_labeller, load_listener
from .explanations import explain
from .labels import label_dataset, label_files, label_files as label
