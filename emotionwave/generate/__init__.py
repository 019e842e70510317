"Music under control: play a piece again, sadder or happier."
from .versions import Result, transfer, write_versions
