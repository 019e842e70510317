from dataclasses import replace
import numpy as np, pytest, torch
from pathlib import Path
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key
from emotionwave.networks.reader import Reader, ReaderConfig
from emotionwave.measure.surprise import load_reader, nats_a_note, note_nats, read_notes
from emotionwave.recipes.reader import ReaderTraining, fit_reader, plan_epoch, rounded_lengths, stacked
from emotionwave.music.tokens import Tokenizer

SAMPLES = Path(__file__).parent.parent / 'samples'
PIECES = sorted(p for p in SAMPLES.glob('*.mid') if not p.stem.endswith(('_1', '_2')))
TINY = ReaderConfig(d_model=16, heads=2, layers=1, context=32)


@pytest.fixture(scope='module')
def tiny():
    torch.manual_seed(0)
    return Reader(TINY).eval()


def random_notes(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, c, n) for c in TINY.classes], 1)


def test_a_note_is_not_changed_by_those_after_it(tiny):
    notes = random_notes(20)
    later = notes.copy()
    later[12:] = random_notes(8, 1)
    with torch.no_grad(): a, b = (tiny(torch.as_tensor(n)[None])[0, :12] for n in (notes, later))
    assert torch.allclose(a, b, atol=1e-5)


def test_a_number_of_a_note_is_not_changed_by_those_that_are_guessed_after_it(tiny):
    notes = random_notes(20)
    other = notes.copy()
    other[-1, 3] = (other[-1, 3] + 5) % 32
    with torch.no_grad(): a, b = (tiny(torch.as_tensor(n)[None])[0, -1] for n in (notes, other))
    assert torch.allclose(a[:3], b[:3], atol=1e-5) and not torch.allclose(a[3], b[3])


def test_the_chances_of_all_values_add_up_to_one(tiny):
    notes = np.repeat(random_notes(5)[None], 32, 0)
    notes[:, -1, 3] = np.arange(32)
    with torch.no_grad(): nats = tiny(torch.as_tensor(notes))[:, -1, 3]
    assert float((-nats).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_windows_say_what_one_reading_says_as_far_as_it_reaches(tiny):
    notes = random_notes(70)
    nats = note_nats(tiny, notes)
    with torch.no_grad():
        assert nats[:32] == pytest.approx(tiny(torch.as_tensor(notes[None, :32]))[0].sum(-1).numpy(),
                                          abs=1e-4)
        assert nats[32:48] == pytest.approx(tiny(torch.as_tensor(notes[None, 16:48]))[0, 16:].sum(-1).numpy(),
                                            abs=1e-4)
    assert (nats > 0).all() and note_nats(tiny, notes[:0]).shape == (0,)


@pytest.mark.parametrize('n', [1, 2, 31, 32, 33, 48, 49, 64, 100])
def test_every_note_is_read_once(n, tiny):
    assert (note_nats(tiny, random_notes(n)) > 0).all()


def test_the_reader_that_ships_prefers_music_to_noise_in_any_key():
    songs = [read_song(p).bars(0, 8) for p in PIECES[:4]]
    rng = np.random.default_rng(0)
    noise = [s.replace(pitch=rng.permutation(s.pitch), onset=rng.permutation(s.onset)) for s in songs]
    music = nats_a_note(songs)
    assert (music < nats_a_note(noise)).all() and (music == nats_a_note(songs)).all()
    key = find_key(songs[0])
    up = songs[0].replace(pitch=songs[0].pitch + 1)
    if find_key(up).tonic == (key.tonic + 1) % 12:
        assert nats_a_note([up])[0] == pytest.approx(music[0], rel=.15)
    assert np.isnan(nats_a_note([Song()])[0])


def test_bars_without_notes_are_counted_up_to_three_or_more():
    t = Tokenizer()
    song = Song([0, 480, 1920, 5 * 1920, 15 * 1920], [100] * 5, [60] * 5, [64] * 5)
    assert read_notes(t.encode(song).ids, t)[:, 0].tolist() == [0, 0, 1, 3, 3]


def test_batches_hold_every_fragment_once_an_epoch_padded_to_few_lengths():
    fragments = [np.full((n, 5), i) for i, n in enumerate((3, 40, 31, 70, 5, 33))]
    lengths, seen = rounded_lengths(fragments), []
    for rows in plan_epoch(lengths, 80, np.random.default_rng(0)):
        batch = stacked([fragments[i] for i in rows], lengths[rows[0]])
        assert batch.shape[1] % 32 == 0 and batch.shape[0] * batch.shape[1] <= max(80, batch.shape[1])
        seen += batch[:, 0, 0].tolist()
    assert sorted(seen) == list(range(6))


def test_ten_steps_lower_the_loss_and_the_reader_comes_back_as_it_was(tmp_path):
    from emotionwave.data.format import format_corpora
    (tmp_path / 'midi').mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        Song(np.arange(32) * 480, [400] * 32, 60 + rng.choice([0, 2, 4, 7, 9], 32),
             [70] * 32).save(tmp_path / 'midi' / f'{i}.mid')
    format_corpora([tmp_path / 'midi'], tmp_path / 'data', labeller=None, workers=1)
    seen, settings = [], ReaderTraining(steps=10, size=200, lr=1e-2, bf16=True)
    best = fit_reader(tmp_path / 'data', tmp_path / 'r', TINY, settings, corpora=None, every_s=0,
                      callback=lambda row: seen.append(row['loss']))
    assert len(seen) == 10 and seen[-1] < seen[0] - 1
    reader, tokenizer, told = load_reader(best)
    assert (reader.config.d_model == 16 and len(tokenizer) == len(Tokenizer())
            and told['step'] == min(told['curve'], key=lambda x: x[1])[0])
    more = fit_reader(tmp_path / 'data', tmp_path / 'r2', TINY, replace(settings, steps=4), corpora=None,
                      start=best)
    first, second = (nats_a_note([read_song(tmp_path / 'midi' / '0.mid')], folder)[0]
                     for folder in (best, more))
    assert second < first and 'It began with a reader of 10 steps' in (more / 'README.md').read_text()
    with pytest.raises(ValueError, match='no training fragments'):
        fit_reader(tmp_path / 'data', tmp_path / 'x', TINY)
    with pytest.raises(FileNotFoundError, match='no reader'): load_reader(tmp_path)


def test_another_models_folder_is_no_reader():
    with pytest.raises(ValueError, match="of 'judge', not of a reader"):
        load_reader(SAMPLES.parent / 'emotionwave' / 'models' / 'judge')
