"Package metadata, read from settings.ini as nbdev does."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
s = config['DEFAULT']
name = s['lib_name']
models = [f'models/**/*.{ending}' for ending in ('safetensors', 'json', 'md')]

setup(
    name=name,
    version=s['version'],
    description=s['description'],
    keywords=s['keywords'],
    license='MIT',
    author=s['author'],
    author_email=s['author_email'],
    url=s['git_url'],
    long_description=(here / 'README.md').read_text('utf-8'),
    long_description_content_type='text/markdown',
    packages=find_packages(include=[name, f'{name}.*']),
    package_data={name: [*models, 'py.typed', '**/*.js', '**/*.css']},
    python_requires=f">={s['min_python']}",
    install_requires=s['requirements'].split(),
    extras_require={extra: s[f'{extra}_requirements'].split() for extra in ('dev', 'dask', 'tensorboard')},
    entry_points={'console_scripts': [s['console_scripts']]},
)
