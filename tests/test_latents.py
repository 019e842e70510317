"""Latents: what is read doesn't depend on the batch, probes find what is there and nothing else, and the
ablation's script runs from end to end and goes on."""
import json
import numpy as np
import pytest
import torch
import ablate
from emotionwave.data.shards import load_dataset
from emotionwave.data.format import format_corpora
from emotionwave.data.batches import Fragments
from emotionwave.measure.latents import (
    accuracy, active_units, auc, Latents, nats_a_bar, note_summaries, note_summary, probe, read_latents)
from emotionwave.music.song import Song
from emotionwave.networks.vae import EmotionVAE, ModelConfig
from emotionwave.networks.paper import PaperConfig, PaperVAE
from emotionwave.music.tokens import Tokenizer

TOKENS = Tokenizer()
SIZES = ModelConfig(vocab=len(TOKENS), positions=len(TOKENS.ids('Position')),
                    pitches=len(TOKENS.ids('Pitch')), durations=len(TOKENS.ids('Duration')),
                    d_model=32, heads=2, encoder_layers=1, skeleton_layers=1, decoder_layers=1, latent=8)

class Half:
    "A labeller that can't tell."
    fingerprint = 'half'
    def predict(self, songs): return np.full(len(songs), .5)

def tune(seed, bars=8):
    "Even numbers are in minor, odd ones in major; they begin on the tonic's triad."
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 11])
    step = np.where(np.arange(4 * bars) % 4 == 0, rng.choice([0, 2, 4], 4 * bars),
                    rng.integers(0, 7, 4 * bars))
    return Song(np.arange(4 * bars) * 480, [480] * 4 * bars, 60 + seed % 5 + scale[step],
                rng.integers(50, 90, 4 * bars), name=f'tune {seed}')

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('latents')
    (folder / 'midi').mkdir()
    for seed in range(40): tune(seed).save(folder / f'midi/{seed:02}.mid')
    format_corpora([folder / 'midi'], folder / 'data', labeller=Half(), workers=1)
    return folder / 'data'

@pytest.fixture(scope='module')
def rows(folder): return load_dataset(folder)

def fresh(kind=EmotionVAE):
    torch.manual_seed(0)
    if kind is EmotionVAE: return EmotionVAE(SIZES).eval()
    return PaperVAE(PaperConfig(vocab=len(TOKENS), d_model=32, heads=2, feedforward=64, encoder_layers=1,
                                decoder_layers=1, latent=8)).eval()


@pytest.mark.parametrize('kind', (EmotionVAE, PaperVAE))
def test_latents_of_a_fragment_do_not_depend_on_those_beside_it(rows, kind):
    model = fresh(kind)
    data = Fragments(rows, TOKENS, model.config)
    whole, one = read_latents(model, data, TOKENS), read_latents(model, data, TOKENS, rows=[7])
    assert np.bincount(whole.owner).tolist() == data.bars.tolist()
    np.testing.assert_allclose(whole.mu[whole.owner == 7], one.mu, atol=1e-4)
    np.testing.assert_allclose(whole.fragment_means()[7], one.mu.mean(0), atol=1e-4)

@pytest.mark.parametrize('kind', (EmotionVAE, PaperVAE))
def test_accuracy_is_a_share_of_every_kind_of_token(rows, kind):
    model = fresh(kind)
    data = Fragments(rows[:12], TOKENS, model.config)
    for way in (dict(), dict(skeleton=False), dict(latent=False)):
        found = accuracy(model, data, TOKENS, **way)
        assert (set(found) == {'Bar', 'Pitch', 'Velocity', 'Duration', 'Position', 'TimeSig', 'all'}
                and all(0 <= x <= 1 for x in found.values()))

def test_a_dimension_that_never_moves_is_inactive_and_says_nothing():
    rng = np.random.default_rng(0)
    mu = rng.normal(0, 1, (50, 3))
    mu[:, 1] = 0
    latents = Latents(mu, np.zeros((50, 3)), np.repeat(np.arange(10), 5))
    assert active_units(latents).tolist() == [True, False, True]
    assert nats_a_bar(latents)[1] == 0 and (nats_a_bar(latents)[[0, 2]] > .2).all()

@pytest.mark.parametrize('seed', range(5))
def test_area_is_the_share_of_pairs_in_order(seed):
    rng = np.random.default_rng(seed)
    score, label = rng.integers(0, 5, 30), rng.integers(0, 2, 30)
    up, down = score[label == 1], score[label == 0]
    pairs = (up[:, None] > down) + .5 * (up[:, None] == down)
    assert auc(score, label) == pytest.approx(pairs.mean())
    assert np.isnan(auc(score, np.ones(30)))

def test_a_probe_reads_the_mode_of_notes_as_written_but_not_in_disguise(rows):
    data, minor = Fragments(rows, TOKENS, SIZES), rows['mode'] == 'minor'
    written, seen = note_summaries(fresh(), data, TOKENS)
    assert probe(written, minor, rows.piece).auc > .95
    assert probe(seen[:, :12], minor, rows.piece).auc < .8
    assert not seen[:, [3, 8]].any()  # neither a lowered third nor a lowered sixth is left

def test_a_probe_cannot_learn_a_piece_by_heart():
    rng = np.random.default_rng(1)
    piece = np.repeat(np.arange(40), 6)
    # the same in all of a piece, and without meaning beyond it
    x, label = rng.normal(0, 1, (40, 5))[piece], rng.integers(0, 2, 40)[piece]
    for kernel in (False, True): assert probe(x, label, piece, kernel=kernel).auc < .7

def test_summary_of_padding_alone_is_nothing():
    assert not note_summary(np.full((2, 4, 5), -1)).any()

def test_probes_say_what_they_lack():
    x = np.zeros((6, 2))
    with pytest.raises(ValueError, match='both labels'): probe(x, np.zeros(6), np.arange(6))
    with pytest.raises(ValueError, match='at least 5 pieces, got 2'):
        probe(x, [0, 1] * 3, [0, 0, 0, 1, 1, 1])


# ---- the ablation's script

def test_ablation_runs_from_end_to_end_and_goes_on(folder, tmp_path, monkeypatch, capsys):
    people = load_dataset(folder, ablate.COLUMNS).assign(label_source='people',
                                                         valence=lambda r: (r['mode'] == 'major')
                                                         .astype(float))
    monkeypatch.setattr(ablate, 'load_dataset', lambda *_: people)
    monkeypatch.setattr(ablate, 'by_people', lambda rows: rows)
    monkeypatch.setattr(ablate, 'excerpts', lambda *_: [tune(100, bars=1), tune(101, bars=1)])
    call = [str(folder), '--output', str(tmp_path / 'a.json'), '--tokens', '1500', '--width', '32', '--rows']
    ablate.main([*call, 'all', 'key'])
    ablate.main([*call, 'all', 'paper'])
    report = json.loads((tmp_path / 'a.json').read_text())
    assert list(report['rows']) == ['all', 'key', 'paper'] and capsys.readouterr().out.count('all parts') == 1
    sizes = [r['parameters'] for r in report['rows'].values()]
    assert max(sizes) < 1.25 * min(sizes)
    for name, r in report['rows'].items():
        assert r['valid_ce'] > 0 and len(r['hit']) == 3 and r['units'] == 32 and r['train_curve'], name
    assert 'skeleton only' not in report['rows']['paper']['accuracy'] and report['notes']
    with pytest.raises(SystemExit, match='another width'):
        ablate.main([*call[:-2], '64', '--rows', 'all'])

def test_rows_get_what_they_were_trained_with_and_the_package_stays_as_it_was():
    places = ([(ablate.versions, k) for k in ('GUIDANCE', 'SHIFT', 'Part', 'find_sections', 'write_window')]
              + [(ablate.piece, 'spell_major')])
    before = {at: getattr(*at) for at in places}
    for name in ablate.ROWS:
        with ablate.unaided(ablate.settings(name, 10)): assert ablate.versions.SHIFT == (0, 0)
    assert all(getattr(*at) is v for at, v in before.items())
    assert ({'anchor', 'strokes', 'mediants', 'register'} <= set(ablate.UNAIDED)
            and 'timing' not in ablate.UNAIDED)
