"Python reads this file when it starts, if this folder is in PYTHONPATH: with PRETENDED_CARDS=1 (or 2, or 0) it sees as many pretended cards."
import os

if os.environ.get('PRETENDED_CARDS'):
    import pretended_card
    pretended_card.install(int(os.environ['PRETENDED_CARDS']), os.environ.get('PRETENDED_KIND', 'T4'))
