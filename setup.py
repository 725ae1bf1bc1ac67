"Build the package from what settings.ini says."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    license='Apache-2.0',
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    classifiers=['Intended Audience :: Education', 'Intended Audience :: Developers',
                 'License :: OSI Approved :: Apache Software License', 'Programming Language :: Python :: 3'],
    packages=find_packages(include=['monet_course', 'monet_course.*']),
    include_package_data=True,
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require={'score': cfg['score_requirements'].split(), 'jury': cfg['jury_requirements'].split(),
                    'docs': cfg['docs_requirements'].split(),
                    'students': cfg['students_requirements'].split(), 'kaggle': cfg['kaggle_requirements'].split(),
                    'onnx': cfg['onnx_requirements'].split(), 'heic': cfg['heic_requirements'].split(),
                    'wandb': cfg['wandb_requirements'].split(),
                    'dev': ' '.join(cfg[f'{name}_requirements']
                                    for name in ('dev', 'score', 'jury', 'onnx', 'heic', 'wandb')).split()},
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  'nbdev': ['monet_course=monet_course._modidx:d']},
    zip_safe=False,
)
