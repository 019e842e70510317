"From corpora to shards, and from shards to batches."
from .corpora import corpus_files, read_file
from .downloads import download
from .format import format_corpora
from .fragments import FormatConfig
from .shards import load_dataset, read_report
