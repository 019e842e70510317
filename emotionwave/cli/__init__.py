"The `emotionwave` command: parses, calls the library, prints."
from .command import main
from .parser import build_parser
