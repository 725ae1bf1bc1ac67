"""Draw nbs/images/family_tree.svg: which lesson cures which failure of an earlier one."""
from pathlib import Path

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt

PARTS = dict(foundations='#dbe7f5', parts='#e2f0d9', painter='#fde2c8', friends='#eadcf4')
LESSONS = { # number: (name, column, row, part)
    '02': ('Autoencoder, VAE', 0, 2, 'foundations'), '04': ('GAN losses', 1, 3.1, 'foundations'),
    '05': ('GAN, DCGAN', 1, 2, 'foundations'),
    '20': ('WGAN', 2, 3.4, 'friends'), '21': ('Conditional GAN', 2, 2, 'friends'), '23': ('ProGAN', 2, 1.15, 'friends'),
    '25': ('StackGAN', 3, 3, 'friends'), '10': ('Pix2pix', 3, 1.2, 'friends'), '24': ('SRGAN', 2, -1, 'friends'),
    '06': ('Up-sampling', 1, 0, 'parts'), '07-08': ('ResNet, U-Net', 2, .4, 'parts'),
    '09': ('PatchGAN', 2, -.3, 'parts'),
    '11-12': ('CycleGAN\nand its training', 4, 1.2, 'painter'), '13, 16': ('Scores, experiments', 4, 0, 'painter'),
    '14': ('Painting', 4, 2.4, 'painter')}
CURES = [ # from, to, the failure that is cured
    ('02', '05', 'pictures\nare blurred'), ('04', '05', ''), ('05', '20', "modes collapse,\nD's loss says nothing"),
    ('05', '21', 'nobody can ask\nfor a 7'), ('05', '23', 'large pictures\ndo not train'),
    ('21', '25', 'the wish is\na sentence'),
    ('21', '10', 'the wish is\na picture'), ('06', '24', 'enlarged\npictures are soft'),
    ('10', '11-12', 'there are\nno pairs'),
    ('06', '07-08', 'checkerboards'), ('07-08', '10', 'detail is lost\non the way'),
    ('09', '10', 'whole scenes are\nhard to judge'),
    ('11-12', '13, 16', 'which run\nis better?'), ('11-12', '14', 'photos are\nlarge')]
STEP, RISE = 2.9, 1.35 # inches or so between columns and between rows


def draw(path):
    "One box a lesson, one arrow a cure."
    fig, ax = plt.subplots(figsize=(13, 6.2))
    def box(number, name, column, row, part):
        return ax.text(column*STEP, row*RISE, f'{number}  {name}', ha='center', va='center', fontsize=10, zorder=4,
                       bbox=dict(boxstyle='round,pad=.5', facecolor=PARTS[part], edgecolor='0.4'))
    boxes = {number: box(number, *rest) for number, rest in LESSONS.items()}
    for start, end, failure in CURES:
        a, b = boxes[start], boxes[end]
        (x0, y0), (x1, y1) = a.get_position(), b.get_position()
        ax.annotate('', (x1, y1), (x0, y0),
                    arrowprops=dict(arrowstyle='-|>', color='0.35', lw=1.2, patchA=a.get_bbox_patch(),
                                    patchB=b.get_bbox_patch()))
        ax.text((x0 + x1)/2, (y0 + y1)/2, failure, ha='center', va='center', fontsize=9, style='italic',
                color='#7a1f1f', zorder=3,
                bbox=dict(facecolor='white', edgecolor='none', pad=.5))
    ax.set(xlim=(-1, 4*STEP + 1.1), ylim=(-1.8, 5)); ax.axis('off')
    fig.tight_layout(pad=.2)
    matplotlib.rcParams['svg.hashsalt'] = 'monet_course' # the same file every time
    fig.savefig(path, metadata={'Date': None})
    plt.close(fig)


if __name__ == '__main__': draw(Path(__file__).resolve().parent.parent/'nbs'/'images'/'family_tree.svg')
