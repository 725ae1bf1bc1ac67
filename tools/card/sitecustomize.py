"Python reads this at its start, if this folder is in PYTHONPATH: PRETENDED_CARDS=1 (or 2, or 0) are the cards it then sees."
import os

if os.environ.get('PRETENDED_CARDS'):
    import pretended_card
    pretended_card.install(int(os.environ['PRETENDED_CARDS']), os.environ.get('PRETENDED_KIND', 'T4'))
