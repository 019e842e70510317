"Package metadata, read from settings.ini as nbdev does."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
s = config['DEFAULT']

setup(
    name=s['lib_name'], version=s['version'], description=s['description'], keywords=s['keywords'], license='MIT',
    author=s['author'], author_email=s['author_email'], url=s['git_url'],
    long_description=(here / 'README.md').read_text('utf-8'), long_description_content_type='text/markdown',
    packages=[s['lib_name']], package_data={s['lib_name']: [f'models/**/*.{ending}' for ending in ('safetensors', 'json', 'md')]},
    python_requires=f">={s['min_python']}", install_requires=s['requirements'].split(),
    extras_require={'dev': s['dev_requirements'].split(), 'dask': s['dask_requirements'].split(), 'tensorboard': s['tensorboard_requirements'].split()}, entry_points={'console_scripts': [s['console_scripts']]},
)
