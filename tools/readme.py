"""Write README.md from nbs/index.ipynb: the same text, with links and pictures that work from the top of the repository."""
import re
from pathlib import Path

from execnb.nbio import read_nb
from nbdev.config import get_config

root = Path(__file__).resolve().parent.parent
cells = [c for c in read_nb(root/'nbs'/'index.ipynb').cells if not c.source.startswith('#| hide')]
text = '\n\n'.join(c.source if c.cell_type == 'markdown' else f'```python\n{c.source}\n```' for c in cells)
cfg = get_config()
# only the built page paints
text = text.replace('](paint_here.md)', f']({cfg.doc_host}{cfg.doc_baseurl}/paint_here.html)')
text = re.sub(r'\]\((?!https?:|#)([^)]+)\)', r'](nbs/\1)', text)
(root/'README.md').write_text('<!-- Made from nbs/index.ipynb by tools/readme.py: edit the notebook. -->\n\n' + text
                              + '\n', encoding='utf-8')
