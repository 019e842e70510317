"Finding corpora: every layout from every level, labels of one's own, and what must not be taken."
import os, shutil, sys, tempfile
from functools import lru_cache
from pathlib import Path
import pytest
from emotionwave.data.corpora import corpus_files, File, genres, read_file
from pieces import tune


@lru_cache(1)
def song_bytes():
    with tempfile.TemporaryDirectory() as d:
        tune(1, 5).save(Path(d) / 'a.mid')
        return (Path(d) / 'a.mid').read_bytes()


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(song_bytes())


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


MAESTRO = 'canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration'


@pytest.fixture
def corpora(tmp_path):
    "A folder of one small stand-in for each layout."
    top = tmp_path / 'corpora'
    emopia = top / 'emotions'
    put(emopia / 'midis', 'Q1_abc-d_0.mid', 'Q1_abc-d_1.mid', 'Q2_e_f_0.mid', 'Q3_ghi_4.mid', 'Q4_jkl_0.mid')
    write(emopia / 'label.csv', 'ID,4Q,annotator', 'Q1_abc-d_0,1,A', 'Q4_jkl_0,4,B')
    write(emopia / 'split' / 'train.csv', 'fname,label', 'Q1_abc-d_0,Q1', 'Q1_abc-d_1,Q1', 'Q2_e_f_0,Q2')
    write(emopia / 'split' / 'val.csv', 'fname,label', 'Q3_ghi_4,Q3')
    vg = top / 'games'
    put(vg / 'labelled' / 'midi', 'Star_N64_Star Saga_Long Road.mid', 'Star_N64_Star Saga_Old Tower.mid',
        'Star_N64_Star Saga_Two Minds.mid')
    put(vg / 'labelled' / 'phrases', 'Star_N64_Star Saga_Long Road_0.mid',
        'Star_N64_Star Saga_Long Road_1.mid', 'Star_N64_Star Saga_Old Tower_0.mid',
        'Star_N64_Star Saga_Two Minds_0.mid', 'Star_N64_Star Saga_Two Minds_1.mid')
    put(vg / 'unlabelled' / 'midi', 'Star_Saga_2_LongRoad_by_Some_One.mid', 'Lemmings_Level1.mid')
    rows = [('Long Road_0', 1, 1), ('Long Road_1', 1, -1), ('Old Tower_0', -1, -1), ('Two Minds_0', 1, 1),
            ('Two Minds_1', -1, 1)]
    write(vg / 'vgmidi_labelled.csv', 'id,series,console,game,piece,midi,valence,arousal',
          *(f'1,Star,N64,Star Saga,{n[:-2]},labelled/phrases/Star_N64_Star Saga_{n}.mid,{v},{a}'
            for n, v, a in rows))
    maestro = top / 'maestro-v3.0.0'
    put(maestro, '2004/MIDI-Unprocessed_SMF_02_R1_2004_01-05.midi',
        '2018/MIDI-Unprocessed_Chamber3_10_R3_2018_wav--1.midi',
        '2018/MIDI-Unprocessed_Recital1-3_wav--3.midi')
    write(maestro / 'maestro-v3.0.0.csv', MAESTRO,
          'Alban Berg,Sonata Op. 1,train,'
          '2004,2004/MIDI-Unprocessed_SMF_02_R1_2004_01-05.midi,2004/x.wav,698.66',
          'Alban Berg,Sonata  Op. 1,train,'
          '2018,2018/MIDI-Unprocessed_Chamber3_10_R3_2018_wav--1.midi,2018/x.wav,759.5',
          '"Bach, J. S.","Prelude, '
          'Fugue",validation,2018,2018/MIDI-Unprocessed_Recital1-3_wav--3.midi,2018/y.wav,59.5',
          'Franz Liszt,Ballade No. 2,test,2018,2018/not-fetched.midi,2018/z.wav,9')
    put(top / 'p909' / 'POP909', '001/001.mid', '001/versions/001-v1.mid', '002/002.mid')
    write(top / 'p909' / 'POP909' / '001' / 'chord_midi.txt', '0.05\t0.72\tN')
    put(top / 'p1k7', 'src_001/0.mid', 'src_002/420.mid')
    put(top / 'classics', 'Bach/Fugue/bwv_846/midi_score.mid', 'Bach/Fugue/bwv_846/Shi05M.mid',
        'Haydn/48-1_no_repeat/midi_score.mid', 'Haydn/48-1/midi_score.mid')
    write(top / 'classics' / 'Bach' / 'Fugue' / 'bwv_846' / 'Shi05M_annotations.txt', '1.0\t1.0\tdb,4/4,0')
    put(top / 'contest', '2018_KotysV17.MID', '2004_BLINOV06.MID')
    put(top / 'jazz' / 'midi' / 'live', 'A/B/Oleo.midi', 'C/D/Oleo.midi')
    write(top / 'jazz' / 'pijama.csv', 'midi,artist,album,title,split',
          'midi/live/A/B/Oleo.midi,A,B,Oleo,train', 'midi/live/C/D/Oleo.midi,C,D,Oleo,validation')
    put(top / 'uploads', 'mine.mid', 'deep/yours.midi')
    return top


FOLDERS = [('emotions', 'EMOPIA', 5), ('games', 'VGMIDI', 10), ('maestro-v3.0.0', 'MAESTRO', 3),
           ('p909', 'POP909', 2), ('p1k7', 'Pop1K7', 2), ('classics', 'ASAP', 4),
           ('contest', 'piano-e-competition', 2), ('jazz', 'PiJAMA', 2), ('uploads', 'uploads', 2)]


def by_name(files): return {f.name: f for f in files}


# ---- layouts

@pytest.mark.parametrize('folder, corpus, n', FOLDERS, ids=lambda x: x)
def test_each_layout_is_recognised_by_its_contents(corpora, folder, corpus, n):
    (corpora / folder).rename(corpora / 'renamed')
    files = corpus_files(corpora / 'renamed')
    assert [f.corpus for f in files] == [corpus if corpus != 'uploads' else 'renamed'] * n
    assert ([f.name for f in files] == sorted(f.name for f in files)
            and all(f.path.is_file() and f.name in f.path.as_posix() for f in files))
    assert {f.genre for f in files} == {genres.get(corpus, 'other')}


def test_a_folder_of_corpora_holds_them_all(corpora):
    together = corpus_files(corpora)
    apart = [f for d in corpora.iterdir() if d.name != 'uploads' for f in corpus_files(d)]
    assert {f for f in apart} < {f for f in together}
    assert {f.name for f in together if f.corpus == 'corpora'} == {'uploads/mine.mid',
                                                                   'uploads/deep/yours.midi'}


def test_corpora_are_found_further_down_and_from_above(corpora):
    (corpora.parent / 'a' / 'b').mkdir(parents=True)
    corpora.rename(corpora.parent / 'a' / 'b' / 'corpora')
    files = corpus_files(corpora.parent)
    assert ({f.corpus for f in files} == {c for _, c, _ in FOLDERS[:-1]} | {corpora.parent.name}
            and len(files) == sum(n for _, _, n in FOLDERS))


@pytest.mark.parametrize('part',
                         ['emotions/midis', 'games/labelled', 'games/labelled/phrases', 'games/labelled/midi',
                          'games/unlabelled/midi', 'maestro-v3.0.0/2018', 'p909/POP909',
                                  'p909/POP909/001', 'p1k7/src_001', 'classics/Bach', 'classics/Bach/Fugue',
                          'classics/Bach/Fugue/bwv_846', 'jazz/midi', 'jazz/midi/live', 'jazz/midi/live/A'])
def test_a_part_of_a_corpus_says_what_the_whole_says(corpora, part):
    strip = lambda f: (f.corpus, f.name, f.song, f.valence, f.arousal, f.split, f.grid, f.label_source,
                       f.genre, f.path.resolve())
    whole = {strip(f) for f in corpus_files(corpora / part.split('/')[0])}
    here = {strip(f) for f in corpus_files(corpora / part)}
    assert here == {f for f in whole if (corpora / part).resolve() in f[-1].parents} and here


def test_a_relative_path_gives_the_same(corpora, monkeypatch):
    whole = corpus_files(corpora)
    key = lambda f: (f.corpus, f.name, f.song, f.split)
    monkeypatch.chdir(corpora)
    assert sorted(map(key, corpus_files('.'))) == sorted(map(key, whole))
    monkeypatch.chdir(corpora / 'emotions' / 'midis')
    assert list(map(key, corpus_files('.'))) == [key(f) for f in whole if f.corpus == 'EMOPIA']


def test_emopia_quadrants_become_valence_and_arousal(corpora):
    files = by_name(corpus_files(corpora / 'emotions'))
    assert {n[6:8]: (f.valence, f.arousal)
            for n, f in files.items()} == {'Q1': (1, 1), 'Q2': (0, 1), 'Q3': (0, 0), 'Q4': (1, 0)}
    assert (files['midis/Q2_e_f_0.mid'].song == 'e_f'
            and files['midis/Q1_abc-d_0.mid'].song == files['midis/Q1_abc-d_1.mid'].song == 'abc-d')
    assert (files['midis/Q3_ghi_4.mid'].split == 'valid' and files['midis/Q2_e_f_0.mid'].split == 'train'
            and files['midis/Q4_jkl_0.mid'].split is None)
    assert {f.label_source for f in files.values()} == {'people'}


def test_emopia_label_file_outranks_the_file_name(corpora):
    write(corpora / 'emotions' / 'label.csv', 'ID,4Q,annotator', 'Q4_jkl_0,3,B')
    assert by_name(corpus_files(corpora / 'emotions'))['midis/Q4_jkl_0.mid'].valence == 0


def test_emopia_2_layout_with_splits_by_video_and_a_stray_file(corpora):
    top = corpora / 'EMOPIA_2.2'
    (corpora / 'emotions').rename(top)
    shutil.rmtree(top / 'split')
    for name in ('metadata_by_song.csv', 'key_mode_tempo.csv'):
        write(top / name, 'name,keyname', 'Q1_abc-d_0,G')
    write(top / 'split' / 'test.csv', 'songID', 'ghi')
    put(top / 'midis', 'stray.mid')
    files = by_name(corpus_files(top))
    assert (files['midis/Q3_ghi_4.mid'].split == 'test' and files['midis/Q1_abc-d_0.mid'].split is None
            and len(files) == 6)
    assert (files['midis/stray.mid'].valence, files['midis/stray.mid'].label_source) == (None, None)


def test_maestro_years_titles_and_splits(corpora):
    files = by_name(corpus_files(corpora / 'maestro-v3.0.0'))
    assert ([f.split for f in files.values()] == ['train', 'train', 'valid']
            and {f.grid for f in files.values()} == {'performance'})
    assert [f.song for f in files.values()] == ['Alban Berg - Sonata Op. 1'] * 2 + ['Bach, J. S. '
                                                                                    '- Prelude, Fugue']
    assert '2018/not-fetched.midi' not in files


def test_maestro_without_a_column_says_which(corpora):
    write(corpora / 'maestro-v3.0.0' / 'maestro-v3.0.0.csv', 'canonical_title,split,midi_filename',
          'Sonata,train,2018/x.midi')
    with pytest.raises(ValueError, match='maestro-v3.0.0.csv: no column canonical_composer'):
        corpus_files(corpora / 'maestro-v3.0.0')


def test_vgmidi_versions_of_a_title_are_one_song(corpora):
    files = by_name(corpus_files(corpora / 'games'))
    road = {f.song for n, f in files.items() if 'Long' in n}
    assert len(road) == 1 and len({f.song for f in files.values()}) == 4


@pytest.mark.parametrize('piece, other, same', [
    ('Final Fantasy_PS1_Final Fantasy VII_Main Theme', 'Final_Fantasy_2_MainTheme', False),
    ('Final Fantasy_PS1_Final Fantasy VII_Main Theme', 'Final_Fantasy_7_MainTheme', True),
    ('The Legend of Zelda_N64_The Legend of Zelda Ocarina of Time_Introduction',
     'Legend_Of_Zelda_The_The_Wind_Waker_IntroductionStory', False),
    ('The Legend of Zelda_N64_The Legend of Zelda Ocarina of Time_Kakariko Village',
     'Legend_of_Zelda_A_Link_to_the_Past_Kakariko_Village_by_Gori_Fater', True),
    ('Other_NES_Tetris_Music A', 'Tetris_MusicABossRemix', True),
    ('Final Fantasy_PS1_Final Fantasy VII_Aeriths Theme', 'Final_Fantasy_7_AerithsThemePiano', True),
    ('Star Fox_SNES_Star Fox_Corneria', 'Metroid_Corneria', False),
], ids=lambda x: str(x)[-24:])
def test_a_title_that_every_game_has_joins_only_the_same_game(tmp_path, piece, other, same):
    put(tmp_path, f'labelled/midi/{piece}.mid', f'unlabelled/midi/{other}.mid')
    write(tmp_path / 'vgmidi_labelled.csv', 'midi,valence,arousal')
    a, b = corpus_files(tmp_path)
    assert (a.song == b.song) is same


def test_vgmidi_piece_takes_the_label_on_which_its_phrases_agree(corpora):
    files = by_name(corpus_files(corpora / 'games'))
    piece = lambda title: files[f'labelled/midi/Star_N64_Star Saga_{title}.mid']
    assert (piece('Long Road').valence, piece('Long Road').arousal) == (1, None)
    assert (piece('Old Tower').valence, piece('Old Tower').arousal) == (0, 0)
    assert (piece('Two Minds').valence, piece('Two Minds').arousal) == (None, 1)
    assert files['labelled/phrases/Star_N64_Star Saga_Two Minds_1.mid'].valence == 0
    plain = files['unlabelled/midi/Lemmings_Level1.mid']
    assert (plain.valence, plain.label_source, piece('Long Road').label_source) == (None, None, 'people')


def test_vgmidi_label_that_is_no_number_is_told_with_its_line(corpora):
    write(corpora / 'games' / 'vgmidi_labelled.csv', 'midi,valence,arousal', 'labelled/phrases/a.mid,1,1',
          'labelled/phrases/b.mid,sad,1')
    with pytest.raises(ValueError, match="line 3 has no label.*'sad'"):
        corpus_files(corpora / 'games')


def test_pop909_takes_the_song_with_its_beats_and_chords_and_no_versions(corpora):
    one, two = corpus_files(corpora / 'p909')
    assert ((one.name, one.song, one.beats.name, one.chords.name)
            == ('001/001.mid', '001', 'beat_midi.txt', 'chord_midi.txt') and two.chords is None)


def test_pop1k7_takes_one_stage_of_its_processing(tmp_path):
    for stage in ('midi_analyzed', 'midi_synchronized', 'midi_transcribed'):
        put(tmp_path / 'Pop1K7' / 'Pop1K7' / stage, 'src_001/0.mid', 'src_004/9.mid')
    files = corpus_files(tmp_path)
    assert ([(f.corpus, f.name) for f in files] == [('Pop1K7', 'src_001/0.mid'), ('Pop1K7', 'src_004/9.mid')]
            and 'midi_analyzed' in str(files[0].path))
    assert [f.name for f in corpus_files(tmp_path / 'Pop1K7' / 'Pop1K7'
                                         / 'midi_synchronized')] == ['src_001/0.mid', 'src_004/9.mid']


def test_asap_knows_scores_from_performances_and_joins_repeats(corpora):
    files = by_name(corpus_files(corpora / 'classics'))
    assert (files['Bach/Fugue/bwv_846/midi_score.mid'].grid == 'score'
            and files['Bach/Fugue/bwv_846/Shi05M.mid'].grid == 'performance')
    songs = [files[f'Haydn/{name}/midi_score.mid'].song for name in ('48-1_no_repeat', '48-1')]
    assert songs == ['Haydn/48-1'] * 2
    assert (files['Bach/Fugue/bwv_846/Shi05M.mid'].annotations.name == 'Shi05M_annotations.txt'
            and files['Haydn/48-1/midi_score.mid'].annotations is None)


def test_asap_metadata_names_the_song(corpora):
    write(corpora / 'classics' / 'metadata.csv',
          'composer,title,folder,xml_score,midi_score,midi_performance',
          *('Haydn,Sonata 48 '
            f'I,Haydn/{d},Haydn/{d}/xml_score.musicxml,Haydn/{d}/midi_score.mid,Haydn/{d}/A.mid'
            for d in ('48-1', '48-1_no_repeat')))
    files = by_name(corpus_files(corpora / 'classics'))
    assert ({f.song for n, f in files.items() if 'Haydn' in n} == {'Haydn/Sonata 48 I'}
            and files['Bach/Fugue/bwv_846/Shi05M.mid'].song == 'Bach/Fugue/bwv_846')
    assert [f.song for f in corpus_files(corpora / 'classics' / 'Haydn')] == ['Haydn/Sonata 48 I'] * 2


@pytest.mark.parametrize('at', ['midi', 'data/midi', 'midi_kong', 'midi_hawthorne'])
def test_pijama_as_its_publishers_table_names_it(tmp_path, at):
    put(tmp_path / 'PiJAMA' / at, 'studio/A/B, C/Oleo.midi', 'live/A/live/So What.midi')
    write(tmp_path / 'PiJAMA' / 'pijama.csv', 'id,artist,album,title,midi_filepath,split',
          '0,A,"B, C",Oleo,"data/midi/studio/A/B, C/Oleo.midi",train',
          '1,A,live,So What,data/midi/live/A/live/So What.midi,test')
    files = corpus_files(tmp_path)
    assert [(f.name, f.song, f.split)
            for f in files] == [('live/A/live/So What.midi', 'live/A/live/So What', 'test'),
                                ('studio/A/B, C/Oleo.midi', 'studio/A/B, C/Oleo', 'train')]
    assert [f.split for f in corpus_files(tmp_path / 'PiJAMA' / at)] == ['test', 'train']


def test_pijama_split_is_kept_where_it_has_sides(corpora):
    assert [f.split for f in corpus_files(corpora / 'jazz')] == ['train', 'valid']
    write(corpora / 'jazz' / 'pijama.csv', 'midi,artist,split', 'midi/live/A/B/Oleo.midi,A,train',
          'midi/live/C/D/Oleo.midi,C,train')
    assert [f.split for f in corpus_files(corpora / 'jazz')] == [None, None]


@pytest.mark.parametrize('names', [['2019_holiday1.mid'], ['001/001.mid'], ['src_1/0.mid'], ['Q5_abc_0.mid'],
                                   ['studio/a.mid'], ['Q1_x_0.mid', 'a.mid', 'b.mid']], ids=lambda n: n[0])
def test_what_only_looks_like_a_layout_is_a_plain_folder(tmp_path, names):
    put(tmp_path / 'mine', *names)
    files = corpus_files(tmp_path / 'mine')
    assert ({f.corpus for f in files} == {'mine'} and {f.name for f in files} == set(names)
            and {f.grid for f in files} == {None})


# ---- what lies about in folders

def test_hidden_files_of_an_archive_are_left_out(corpora):
    for name in ('emotions/midis/._Q1_abc-d_0.mid', 'uploads/__MACOSX/x.mid', 'uploads/.git/x.mid',
                 'uploads/.x.mid', '.EMOPIA.part/midis/Q1_x_0.mid'):
        write(corpora / name, 'x')
    assert (len(corpus_files(corpora / 'emotions')) == 5 and len(corpus_files(corpora / 'uploads')) == 2
            and len(corpus_files(corpora)) == sum(n for _, _, n in FOLDERS))


def test_suffixes_in_any_case(tmp_path):
    put(tmp_path / 'in', 'a.MID', 'b.Midi', 'c.mid')
    write(tmp_path / 'in' / 'd.mid.txt', 'x')
    (tmp_path / 'in' / 'e.mid').mkdir()
    assert [f.name for f in corpus_files(tmp_path / 'in')] == ['a.MID', 'b.Midi', 'c.mid']


@pytest.mark.skipif(sys.platform == 'win32', reason='links need rights there')
def test_links_are_followed_and_loops_end(corpora):
    (corpora / 'uploads' / 'up').symlink_to(corpora / 'uploads')
    (corpora / 'uploads' / 'deep' / 'self').symlink_to('self')
    (corpora / 'uploads' / 'gone.mid').symlink_to('nowhere.mid')
    (corpora / 'games' / 'unlabelled' / 'loop').symlink_to(corpora / 'games')
    assert (len(corpus_files(corpora / 'uploads')) == 2
            and len(corpus_files(corpora)) == sum(n for _, _, n in FOLDERS))
    (corpora.parent / 'linked').mkdir()
    for d in ('emotions', 'p909'): (corpora.parent / 'linked' / d).symlink_to(corpora / d)
    assert [f.corpus for f in corpus_files(corpora.parent / 'linked')] == ['EMOPIA'] * 5 + ['POP909'] * 2


def test_two_copies_of_a_corpus_are_told(corpora):
    shutil.copytree(corpora / 'emotions', corpora / 'again')
    with pytest.raises(ValueError, match='EMOPIA is there twice.*again.*emotions.*name one of them'):
        corpus_files(corpora)


def test_the_order_of_the_disk_changes_nothing(corpora, monkeypatch):
    before, scandir = corpus_files(corpora), os.scandir
    class Backwards:
        def __init__(self, path): self.it = scandir(path)
        def __enter__(self): return reversed(list(self.it))
        def __exit__(self, *_): self.it.close()
    monkeypatch.setattr(os, 'scandir', Backwards)
    assert corpus_files(corpora) == before


@pytest.mark.parametrize('make, error, text', [
    (lambda p: p / 'none', FileNotFoundError, 'no such folder'),
    (lambda p: p / 'uploads' / 'mine.mid', FileNotFoundError, 'not a folder'),
    (lambda p: (p / 'void').mkdir() or p / 'void', ValueError, 'no MIDI files'),
], ids=['missing', 'file', 'empty'])
def test_a_folder_without_music_is_an_error(corpora, make, error, text):
    with pytest.raises(error, match=text): corpus_files(make(corpora))


# ---- labels of one's own

@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / 'mine'
    put(folder, 'a.mid', 'b.MID', 'x/c.midi', 'y/c.midi')
    return folder


def label(folder, *lines): write(folder / 'labels.csv', *lines)


@pytest.mark.parametrize('written, valence', [
    ('1', 1),
    ('0', 0),
    ('0.3', .3),
    ('"0,3"', .3),
    ('positive', 1),
    ('NEGATIVE', 0),
    (' neutral ', .5),
    ('', None)])
def test_valence_in_each_way_of_writing_it(mine, written, valence):
    label(mine, 'file,valence', f'a.mid,{written}')
    file = by_name(corpus_files(mine))['a.mid']
    assert (file.valence == valence and file.label_source == (None if valence is None else 'labels.csv')
            and file.arousal is None)


def test_a_column_with_negative_numbers_runs_from_minus_one_to_one(mine):
    label(mine, 'name,valence,arousal', 'a,-1,0', 'b,0.5,1', 'x/c.midi,positive,0.25')
    files = by_name(corpus_files(mine))
    assert ([files[n].valence for n in ('a.mid', 'b.MID', 'x/c.midi')] == [0, .75, 1]
            and [files[n].arousal for n in ('a.mid', 'b.MID', 'x/c.midi')] == [0, 1, .25])
    assert files['y/c.midi'].valence is None


def test_quadrants_splits_songs_and_genres(mine):
    label(mine, 'MIDI ; Quadrant;Song;Split;Genre', 'a.mid;Q2;one;validation;Jazz', 'b.mid;q4;two;test;',
          '.\\x\\c.midi;3;one;valid;pop')
    put(mine, 'b.mid')
    (mine / 'b.MID').unlink()
    files = by_name(corpus_files(mine))
    assert [(f.valence, f.arousal, f.song, f.split, f.genre) for f in files.values()] == [
        (0, 1, 'one', 'valid', 'jazz'), (1, 0, 'two', 'test', 'other'), (0, 0, 'one', 'valid', 'pop'),
        (None, None, 'y/c', None, 'other')]


def test_valence_outranks_the_quadrant(mine):
    label(mine, 'file,quadrant,valence', 'a.mid,Q3,0.9')
    file = corpus_files(mine)[0]
    assert (file.valence, file.arousal) == (.9, 0)


def test_labels_add_to_a_known_layout_and_cover_what_is_below(corpora):
    label(corpora / 'p909', 'file,valence', '001.mid,1', 'POP909/002/002.mid,0')
    assert [(f.corpus, f.valence, f.label_source) for f
            in corpus_files(corpora / 'p909')] == [('POP909', 1, 'labels.csv'), ('POP909', 0, 'labels.csv')]
    label(corpora, 'file,valence,split', 'mine,0.5,test', '0.mid,1,test')
    (corpora / 'p909' / 'labels.csv').unlink()
    files = corpus_files(corpora)
    assert [(f.corpus, f.name, f.valence) for f in files if f.label_source
            == 'labels.csv'] == [('Pop1K7', 'src_001/0.mid', 1), ('corpora', 'uploads/mine.mid', .5)]
    assert sum(f.label_source == 'people' for f in files) == 5 + 5 + 3


def test_labels_of_the_whole_hold_for_a_part(corpora):
    label(corpora / 'p1k7', 'file,valence', '0.mid,0.25')
    assert [f.valence for f in corpus_files(corpora / 'p1k7' / 'src_001')] == [.25]


@pytest.mark.parametrize('written', ['Caf\u00e9.mid', 'Cafe\u0301.mid'], ids=['one character', 'two'])
def test_an_accent_may_be_one_character_or_two(mine, written):
    put(mine, written)
    label(mine, 'file,valence', 'Caf\u00e9.mid,1')
    assert by_name(corpus_files(mine))['Caf\u00e9.mid'].valence == 1


def test_a_folder_with_labels_in_a_folder_of_corpora_is_a_corpus(corpora):
    label(corpora / 'uploads', 'file,valence', 'mine.mid,1')
    files = [f for f in corpus_files(corpora) if f.corpus == 'uploads']
    assert [(f.name, f.valence) for f in files] == [('deep/yours.midi', None), ('mine.mid', 1)]


@pytest.mark.parametrize('lines, said', [
    (['file,valence'], ['it is empty']),
    (['song,valence', 'a,1'], ['no column says which file', 'got song, valence']),
    (['file,mood', 'a.mid,1'], ['nothing to take', 'got file, mood']),
    (['file,valence', 'a.mid,1', 'b.mid,7'], ['line 3: valence', "got '7'"]),
    (['file,arousal', 'a.mid,nan'], ['line 2: arousal', "got 'nan'"]),
    (['file,quadrant', 'a.mid,Q5'], ["line 2: quadrant is Q1, Q2, Q3 or Q4, got 'Q5'"]),
    (['file,split', 'a.mid,later'], ["line 2: split is train, valid or test, got 'later'"]),
    (['file,genre', 'a.mid,rock'], ["line 2: genre is one of pop, game, classical, jazz, other, got 'rock'"]),
    (['file,valence', 'c,1'], ["line 2: 'c' may be x/c.midi or y/c.midi; write the path"]),
    (['file,valence', 'a.mid,1', 'a,0'], ["line 3: 'a' was in line 2 already"]),
    (['file,valence', 'd.mid,1', 'e.mid,1'], ["2 files not there: line 2: 'd.mid', line 3: 'e.mid'"]),
    (['file,valence', *(f'n{i}.mid,1' for i in range(30))], ['30 files not there', "line 11: 'n9.mid', ..."]),
    (['file,song,split', 'a.mid,s,train', 'b.mid,s,test'],
     ['line 3: its song is in split train in line 2, and in test here']),
    (['file,valence,genre', 'a.mid,seven,rock', 'z.mid,1,'],
     ["got 'seven'", "got 'rock'", "1 file not there: line 3: 'z.mid'"]),
], ids=lambda x: x[-1][:24] if isinstance(x, list) else None)
def test_what_does_not_fit_is_told_with_line_and_value(mine, lines, said):
    label(mine, *lines)
    with pytest.raises(ValueError) as e: corpus_files(mine)
    assert str(e.value).startswith(f"{mine / 'labels.csv'}: ") and all(s in str(e.value)
                                                                       for s in said), e.value


def test_a_table_that_is_no_text_is_told(mine):
    (mine / 'labels.csv').write_bytes('file,song\na.mid,Dvořák\n'.encode('utf-16'))
    with pytest.raises(ValueError, match='labels.csv: not text in UTF-8'): corpus_files(mine)
    (mine / 'labels.csv').write_bytes('\ufefffile,song\r\na.mid,Dvořák\r\n'.encode())
    assert corpus_files(mine)[0].song == 'Dvořák'


# ---- reading

@pytest.mark.parametrize('beats, meter', [(4, 4), (3, 3), (2, 2)])
def test_a_song_is_laid_on_the_beats_of_its_corpus(tmp_path, beats, meter):
    song = tune(5, 15, meter_num=[1])
    song = song.replace(onset=song.onset + 211)
    song.save(tmp_path / '007.mid')
    write(tmp_path / 'beat_midi.txt', *(f'{song.seconds(480 * i + 211)} '
                                        f'{float(i % (beats if beats == 3 else 2) == 0)} '
                                        f'{float(i % (6 if beats == 3 else beats) == 0)}' for i in range(60)))
    laid = read_file(File(tmp_path / '007.mid', 'POP909', '007/007.mid', '007', grid='score',
                          beats=tmp_path / 'beat_midi.txt'))
    assert (set(laid.meter_num) == {meter} and (laid.onset % 240 == 0).all() and laid.grid == 'score'
            and len(laid) == len(song))


def test_beats_that_are_none_are_told_by_name_and_missing_ones_do_without(tmp_path):
    tune(1, 5).save(tmp_path / 'a.mid')
    file = File(tmp_path / 'a.mid', 'POP909', 'a.mid', 'a', beats=tmp_path / 'beat_midi.txt')
    assert len(read_file(file)) == 40
    write(tmp_path / 'beat_midi.txt', 'not a beat')
    with pytest.raises(ValueError, match='^beat_midi.txt: not a file of beats'): read_file(file)


def test_a_meter_said_twice_starts_no_bar(tmp_path):
    tune(6, 16, meter_tick=[0, 480], meter_num=[4, 4], meter_den=[4, 4]).save(tmp_path / 'a.mid')
    assert len(read_file(File(tmp_path / 'a.mid', '', 'a.mid', 'a')).bar_ticks()) == 17
