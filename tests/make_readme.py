"""Make README.md from nbs/index.ipynb: markdown as it is, code as python blocks, printed text indented
below. Run it after the notebook.

Links to pages lead from nbs/ in the notebook and from the top in the README."""
import re, sys
from pathlib import Path
import nbformat

ROOT = Path(__file__).parent.parent
NOTEBOOK, README = ROOT / 'nbs' / 'index.ipynb', ROOT / 'README.md'

def code(source):
    "Code without nbdev's directives; empty for a cell that is hidden."
    if re.search(r'^#\| *(hide|default_exp)\b', source, re.M): return ''
    return re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip()

def printed(output):
    "The text of an output; empty for a figure, whose text says nothing."
    data = output.get('data', {})
    if any(k.startswith('image/') for k in data): return ''
    text = output.text if output.output_type == 'stream' else data.get('text/plain', '')
    return re.sub(r'\x1b\[[0-9;]*m', '', text).strip('\n')

def from_the_top(text):
    "Markdown whose links led from nbs/."
    return re.sub(r'\]\((?!https?://|mailto:|#|/)', '](nbs/', text)

def readme(notebook=NOTEBOOK):
    "README.md of a notebook, as text."
    parts = []
    for cell in nbformat.read(notebook, 4).cells:
        if cell.cell_type == 'markdown': parts.append(from_the_top(cell.source.strip()))
        elif cell.cell_type == 'code' and (source := code(cell.source)):
            parts.append(f'```python\n{source}\n```')
            text = '\n'.join(filter(None, map(printed, cell.outputs)))
            if text: parts.append(re.sub('^(?=.)', '    ', text, flags=re.M))
    return '\n\n'.join(filter(None, parts)) + '\n'

if __name__ == '__main__':
    README.write_text(readme(), 'utf-8')
    print(README.name, len(README.read_bytes()), 'bytes', file=sys.stderr)
