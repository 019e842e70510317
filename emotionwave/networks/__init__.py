"All networks, and nothing else: no files, no training."
