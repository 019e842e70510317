"Lets `python -m emotionwave.cli` and `torchrun -m emotionwave.cli` run the command."
import sys
from .command import main

if __name__ == '__main__': sys.exit(main())
