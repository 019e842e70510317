"""The original's network: every tensor as published, causal, the same numbers as its
own recipe, and its defects not ours."""
from dataclasses import replace
import math
from pathlib import Path
import numpy as np
import pytest
import torch
from emotionwave.music.song import Song
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key
from emotionwave.networks.vae import condition_row, EmotionVAE, ModelConfig
from emotionwave.networks.paper import paper_loss, PaperConfig, PaperVAE, waves
from emotionwave.measure.original import BAR_TOKENS, nucleus, rewrite
from emotionwave.music.tokens import BAR, POSITION, Tokenizer
from original_recipe import PAD, Recipe, lay_out, original_step

SAMPLES = Path(__file__).parent.parent / 'samples'
TOKENS = Tokenizer()
TINY = PaperConfig(vocab=50, d_model=32, heads=4, feedforward=64, encoder_layers=2, decoder_layers=2,
                   latent=8, valence_size=6)
SPEAKS = replace(TINY, vocab=len(TOKENS))

def fresh(config=TINY, seed=0, spread=.2):
    "A network whose matrices are large enough that whatever reaches them shows."
    torch.manual_seed(seed)
    model = PaperVAE(config)
    if spread:
        for p in model.parameters():
            if p.dim() > 1: torch.nn.init.normal_(p, std=spread)
    return model

def some(seed=0, B=3, K=8, most=30):
    "Fragments as bars of ids, and the same as the library's tensors; a bar opens with id 1, 0 is padding."
    rng = np.random.default_rng(seed)
    fragments = [[[1] + rng.integers(2, 50, rng.integers(2, most)).tolist() for _ in range(K)]
                 for _ in range(B)]
    rows = [[i for bar in f for i in bar] for f in fragments]
    T = max(map(len, rows)) + 7
    ids = torch.tensor([r + [PAD] * (T - len(r)) for r in rows])
    classes = rng.integers(1, 3, B)
    conditions = torch.nn.functional.one_hot(torch.as_tensor(classes), 3).float()[:, None].expand(B, K, 3)
    return (fragments, classes,
            dict(ids=ids, bar=(ids == 1).cumsum(1) - 1, notes=None, skeleton=None, conditions=conditions))

def targets_of(batch):
    following = torch.nn.functional.pad(batch['ids'][:, 1:], (0, 1))
    return following.masked_fill(following == PAD, -1)


# ---- as published

LAYER = {                                # d 512, so three projections are 1,536; feed-forward 2,048
    'qkv.weight': (1536, 512), 'qkv.bias': (1536,), 'out.weight': (512, 512), 'out.bias': (512,),
    'up.weight': (2048, 512), 'up.bias': (2048,), 'down.weight': (512, 2048), 'down.bias': (512,),
    'norm1.weight': (512,), 'norm1.bias': (512,), 'norm2.weight': (512,), 'norm2.bias': (512,)}
PUBLISHED = {
    'tokens.weight': (267, 512),         # 267 tokens
    'valence.weight': (3, 64),           # padding, negative, positive; an embedding of 64
    **{f'encoder.{i}.{k}': v for i in range(8) for k, v in LAYER.items()},
    # z is 128
    'to_mu.weight': (128, 512), 'to_mu.bias': (128,), 'to_logvar.weight': (128, 512),
    'to_logvar.bias': (128,),
    'in_attention.weight': (512, 192),   # 128 of z and 64 of the valence, without a bias
    **{f'decoder.{i}.{k}': v for i in range(4) for k, v in LAYER.items()},
    'to_token.weight': (267, 512), 'to_token.bias': (267,)}

def test_every_tensor_has_the_published_shape():
    with torch.device('meta'): model = PaperVAE(PaperConfig())
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == PUBLISHED

def test_the_parameters_are_the_published_ones_less_a_layer_that_was_never_called():
    with torch.device('meta'): model = PaperVAE(PaperConfig())
    layer = sum(math.prod(s) for s in LAYER.values())
    assert (layer == 3_152_384
            and sum(p.numel() for p in model.parameters()) == 38_332_107 == 41_484_491 - layer)

@pytest.mark.parametrize('change, said', [
    (dict(heads=3), 'multiple of the heads'),
    (dict(latent=0), 'latent must be a whole number of at least 1'),
    (dict(dropout=1.), 'dropout must be'),
    (dict(conditions={'valence': 2, 'mode': 2}), 'the only one')])
def test_sizes_that_make_no_network_are_refused(change, said):
    with pytest.raises(ValueError, match=said): PaperConfig(**change)

@pytest.mark.parametrize('at, feature', [(0, 0), (0, 1), (1, 0), (1, 1), (7, 6), (127, 31)])
def test_positions_are_the_sinusoids_of_the_transformer_paper(at, feature):
    angle = at / 10_000 ** (feature // 2 * 2 / 32)
    assert waves(128, 32)[at, feature].item() == pytest.approx(math.cos(angle) if feature % 2
                                                               else math.sin(angle), abs=1e-5)


# ---- what it computes

def test_it_computes_what_the_recipe_computes_bar_by_bar_with_everything_padded():
    model, (fragments, classes, batch) = fresh().eval(), some()
    recipe = Recipe(TINY).take(model).eval()
    with torch.no_grad():
        theirs, mu, logvar = recipe(**lay_out(fragments, classes))
        logits, my_mu, my_logvar = model(**batch)
    torch.testing.assert_close(my_mu.flatten(0, 1), mu, atol=1e-4, rtol=0)
    torch.testing.assert_close(my_logvar.flatten(0, 1), logvar, atol=1e-4, rtol=0)
    for b, f in enumerate(fragments):
        n = sum(map(len, f))
        torch.testing.assert_close(logits[b, :n], theirs[:n, b], atol=1e-4, rtol=0)

def test_a_later_token_never_changes_an_earlier_logit():
    model, (_, _, batch) = fresh().eval(), some()
    given = model.bar_input(torch.randn(3, 8, 8), batch['conditions'])
    late = batch['ids'].clone()
    late[:, 40:] = 7
    with torch.no_grad():
        a, b = (model.decode(ids, batch['bar'], given) for ids in (batch['ids'], late))
    assert torch.equal(a[:, :40], b[:, :40]) and not torch.allclose(a[:, 40:], b[:, 40:])

def test_a_latent_knows_its_own_bar_and_no_padding():
    model, (fragments, _, batch) = fresh().eval(), some()
    other = batch['ids'].clone()
    third = (batch['bar'] == 3) & (other > 1)
    other[third] = 51 - other[third]
    with torch.no_grad():
        mu, changed = (model.encode(ids, batch['bar'], 8)[0] for ids in (batch['ids'], other))
        n = sum(map(len, fragments[0]))
        alone = model.encode(batch['ids'][:1, :n], batch['bar'][:1, :n].contiguous(), 8)[0]
    same = [k for k in range(8) if torch.allclose(mu[:, k], changed[:, k], atol=1e-5)]
    assert same == [0, 1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(alone, mu[:1], atol=1e-5, rtol=0)

def test_valence_and_latent_enter_at_every_layer():
    model, (_, _, batch) = fresh().eval(), some()
    seen = []
    for layer in model.decoder:
        layer.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    zero = torch.zeros(3, 8, 32)
    with torch.no_grad():
        for given in (zero, zero + 1): model.decode(batch['ids'], batch['bar'], given)
    torch.testing.assert_close(seen[2] - seen[0], torch.ones_like(seen[0]), atol=1e-5, rtol=0)
    assert len(seen) == 4 and not torch.allclose(seen[3], seen[1])

def test_a_soft_valence_is_the_class_it_is_nearer_to():
    model, z = fresh().eval(), torch.randn(1, 1, 8)
    row = lambda v: model.bar_input(z, condition_row(TINY, valence=v)[None, None])
    assert (torch.equal(row([.3, .7]), row(1)) and torch.equal(row([.5, .5]), row(0))
            and not torch.equal(row(0), row(None)))

def test_gradients_reach_every_parameter():
    model, (_, _, batch) = fresh(), some(B=8)
    logits, mu, logvar = model(**batch)
    model.loss(logits, targets_of(batch), mu, logvar, torch.ones(8, 8, dtype=torch.bool))[0].backward()
    assert not [k for k, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

def test_training_draws_and_listening_does_not():
    model, (_, _, batch) = fresh(), some()
    assert not torch.equal(model(**batch)[0], model(**batch)[0])
    model.eval()
    assert torch.equal(model(**batch)[0], model(**batch)[0])

@pytest.mark.parametrize('network', ['paper', 'default'])
def test_a_forward_and_its_loss_are_one_graph(network):
    "So that it compiles whole: nothing in it depends on data in Python."
    torch.manual_seed(0)
    model = (fresh() if network == 'paper'
             else EmotionVAE(ModelConfig(vocab=50, d_model=16, heads=2, encoder_layers=1, decoder_layers=1,
                                         latent=4)))
    _, _, batch = some()
    batch['notes'] = batch['skeleton'] = torch.zeros(3, 4, 5, dtype=torch.long)
    if network != 'paper': batch['conditions'] = condition_row(model.config).expand(3, 8, -1)
    model.eval()
    torch._dynamo.reset()
    def whole(batch, targets):
        logits, mu, logvar, *unnamed = model(**batch)
        return sum(unnamed, model.loss(logits, targets, mu, logvar, torch.ones(3, 8, dtype=torch.bool))[0])
    a, b = (f(batch, targets_of(batch))
            for f in (whole, torch.compile(whole, backend='eager', fullgraph=True)))
    assert torch.equal(a, b)


# ---- the loss

def test_the_loss_by_hand():
    # two bars: mu (1, 0) and (3, 0), logvar 0: divergence .5 * mean(mu^2) = 2.5 in the first dimension, 0 in
    # the second, which free bits lift to .25
    mu, zero = torch.tensor([[[1., 0.], [3., 0.]]]), torch.zeros(1, 2, 2)
    # probabilities 3/4 and 1/2; the third isn't counted
    logits, targets = torch.tensor([[[0., math.log(3)], [0., 0.], [5., 5.]]]), torch.tensor([[1, 0, -1]])
    loss, ce, kl = paper_loss(logits, targets, mu, zero, torch.ones(1, 2, dtype=torch.bool), beta=.5)
    assert ce.item() == pytest.approx(-(math.log(.75) + math.log(.5)) / 2) and kl.item() == pytest.approx(2.5)
    assert loss.item() == pytest.approx(ce.item() + .5 * (2.5 + .25) / 2)
    one = paper_loss(logits, targets, mu, zero, torch.tensor([[True, False]]), beta=1.)
    assert one[2].item() == pytest.approx(.5) and one[0].item() == pytest.approx(ce.item() + (.5 + .25) / 2)

def test_the_loss_agrees_with_the_recipe_where_nothing_is_padded():
    model, (_, _, batch) = fresh().eval(), some(K=2)
    logits, mu, logvar = model(**{k: v if v is None else v[:1] for k, v in batch.items()})
    target = torch.full((1, logits.shape[1]), 3)
    ours = model.loss(logits, target, mu, logvar, torch.ones(1, 2, dtype=torch.bool))[0]
    theirs = Recipe(TINY).loss(logits.transpose(0, 1), target, mu[0], logvar[0])
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)

def test_both_learn_and_in_twelve_steps_know_more_than_chance():
    fragments, classes, batch = some(K=4, most=8)
    model, recipe = fresh(spread=0), Recipe(TINY).take(fresh(spread=0))
    padded, there = (lay_out(fragments, classes, bars=4, per_bar=16, sequence=40),
                     torch.ones(3, 4, dtype=torch.bool))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, betas=(.9, .999))
    ours = []
    for _ in range(12):
        logits, mu, logvar = model(**batch)
        loss, ce, _ = model.loss(logits, targets_of(batch), mu, logvar, there)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.append(ce.item())
    optimizer = torch.optim.Adam(recipe.parameters(), 1e-2)
    theirs = [original_step(recipe, optimizer, padded) for _ in range(12)]
    assert (ours[0] == pytest.approx(math.log(50), abs=.3) and ours[-1] < ours[0] - .3
            and theirs[-1] < theirs[0] - .3)


# ---- rewriting

PIECE = read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 10)

@pytest.fixture(scope='module')
def speaker(): return fresh(SPEAKS, spread=.05).eval()

def written(monkeypatch, *args, **settings):
    "The ids that `rewrite` writes, and the song they make."
    ids, fill = [], Tokenizer.fill
    monkeypatch.setattr(Tokenizer, 'fill',
                        lambda self, bars, new: ids.append(np.array(new)) or fill(self, bars, new))
    song = rewrite(*args, **settings)
    monkeypatch.undo()
    return ids[0], song

def test_the_same_seed_writes_the_same_and_the_valence_matters(speaker, monkeypatch):
    a, b, c, d = (written(monkeypatch, speaker, TOKENS, PIECE, v, seed, tokens=60)[0].tolist()
                  for v, seed in (('negative', 0), (1, 0), (2, 0), (1, 1)))
    assert a == b != c and a != d

def whole_each_time(model, tokenizer, bars, valence, generator, temperature, top_p):
    "The ids of a fragment as the original draws them: every token from the whole of those before it."
    starts = [b[:2].tolist() for b in bars]
    flat, bar = np.concatenate(bars).astype(np.int64), np.repeat(np.arange(len(bars)), [len(b) for b in bars])
    mu, _ = model.encode(torch.tensor(flat)[None], torch.tensor(bar)[None], len(bars))
    condition = condition_row(model.config, valence=valence).expand(1, len(bars), -1)
    given, ids, at, position = model.bar_input(mu, condition), starts[0], [0, 0], 0
    while True:
        logits = model.decode(torch.tensor([ids]), torch.tensor([at]), given)[0, -1]
        no = np.isin(tokenizer.kind, (0, tokenizer.kind[starts[0][1]]))
        no[tokenizer.first[POSITION]:tokenizer.first[POSITION] + position] = True
        no |= at.count(at[-1]) >= BAR_TOKENS
        no[tokenizer.first[BAR]], no[tokenizer.eos_id] = False, at[-1] < len(bars) - 1
        new = nucleus(logits.masked_fill(torch.tensor(no), -torch.inf), temperature, top_p, generator)
        if new in (tokenizer.first[BAR], tokenizer.eos_id):
            if at[-1] == len(bars) - 1: return ids
            at, position = at + [at[-1] + 1] * 2, 0
            ids = ids + starts[at[-1]]
        else:
            if tokenizer.kind[new] == POSITION: position = new - tokenizer.first[POSITION]
            ids, at = ids + [new], at + [at[-1]]

@pytest.mark.parametrize('seed', range(4))
def test_with_what_was_computed_before_kept_the_same_tokens_are_drawn(speaker, seed, monkeypatch):
    song = PIECE.bars(2, 4)
    bars = TOKENS.encode(song, find_key(song).tonic)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        whole = whole_each_time(speaker, TOKENS, list(bars), 1, generator, 1.1, .9)
    assert written(monkeypatch, speaker, TOKENS, song, 2, seed)[0].tolist() == whole

def test_the_bars_are_the_inputs(speaker, monkeypatch):
    ids, song = written(monkeypatch, speaker, TOKENS, PIECE, 1, tokens=60)
    assert (ids == TOKENS.first[BAR]).sum() == len(TOKENS.encode(PIECE)) == 10
    for k in ('tpq', 'name', 'grid'): assert getattr(song, k) == getattr(PIECE, k)
    assert np.array_equal(song.meter_num, PIECE.meter_num) and np.array_equal(song.tempo_bpm, PIECE.tempo_bpm)

def test_every_bar_is_written_and_none_is_longer_than_the_original_allows(speaker, monkeypatch):
    ids, _ = written(monkeypatch, speaker, TOKENS, PIECE.bars(0, 3), 2)
    starts = np.flatnonzero(ids == TOKENS.first[BAR])
    assert len(starts) == 3 and np.diff(np.append(starts, len(ids))).max() <= BAR_TOKENS
    for bar in np.split(ids, starts[1:]):
        assert (bar[1] == TOKENS.encode(PIECE, find_key(PIECE).tonic)[0][1]
                and (np.diff(bar[TOKENS.kind[bar] == POSITION]) >= 0).all())

def test_the_likeliest_tokens_of_a_network_that_knows_a_piece_give_the_piece(monkeypatch):
    "A network that copies: its logits are the input's own next ids."
    song = TOKENS.quantise(PIECE.bars(0, 8), find_key(PIECE.bars(0, 8)).tonic)
    ids = TOKENS.encode(song, find_key(song).tonic).ids.astype(int)
    class Knows(torch.nn.Module):
        heard = 0
        def forward(self, x):
            self.heard += x.shape[1]
            following = [*ids, TOKENS.eos_id][self.heard]
            return 50. * torch.nn.functional.one_hot(torch.tensor([[following]]), len(TOKENS))
    model = PaperVAE(SPEAKS).eval()
    model.to_token = Knows()
    assert rewrite(model, TOKENS, song, 'positive') == song

@pytest.mark.parametrize('valence', [3, 'happyish', .5, None])
def test_it_knows_two_valences(speaker, valence):
    with pytest.raises(ValueError, match='valence is 1 or "negative", 2 or "positive" here'):
        rewrite(speaker, TOKENS, PIECE, valence)

def test_silence_stays_silence(speaker):
    assert len(rewrite(speaker, TOKENS, Song(), 1, tokens=10)) == 0

def test_a_draw_stays_in_the_nucleus():
    logits, g = torch.tensor([3., 2., 1., -torch.inf]), torch.Generator().manual_seed(0)
    assert ({nucleus(logits, 1., .95, g) for _ in range(200)} == {0, 1, 2}
            and {nucleus(logits, 1.1, .6, g) for _ in range(50)} == {0})


# ---- its defects are not ours

@pytest.fixture(scope='module')
def formatted(tmp_path_factory):
    "Thirty songs of several fragments each."
    from emotionwave.data.shards import load_dataset
    from emotionwave.data.format import format_corpora
    class Half:
        fingerprint = 'half'
        def predict(self, songs): return np.full(len(songs), .5)
    folder = tmp_path_factory.mktemp('paper')
    (folder / 'midi').mkdir()
    for seed in range(30):
        pitch = 60 + np.random.default_rng(seed).choice([0, 2, 4, 5, 7, 9, 11], 96)
        Song(np.arange(96) * 480, [480] * 96, pitch, [70] * 96,
             name=f'tune {seed}').save(folder / f'midi/{seed}.mid')
    format_corpora([folder / 'midi'], folder / 'data', labeller=Half(), workers=1)
    return load_dataset(folder / 'data')

def test_the_learning_rate_never_climbs_again():
    from emotionwave.recipes.writer import PRESETS, learning_rate
    config = PRESETS['paper'][1]
    rate = [learning_rate(replace(config, steps=204_000), step) for step in range(0, 204_000, 50)]
    top = int(np.argmax(rate))
    assert (top * 50 <= 250 and max(rate) == pytest.approx(1e-4, rel=1e-3)
            and (np.diff(rate[top:]) <= 0).all() and rate[-1] == pytest.approx(5e-6))

def test_a_song_stays_on_one_side(formatted):
    assert (formatted.groupby('song').size().min() > 1
            and formatted.groupby('song').split.nunique().max() == 1 and formatted.split.nunique() > 1)

def test_shuffling_shuffles(formatted):
    from emotionwave.data.batches import Fragments, plan_batches
    from emotionwave.recipes.writer import PRESETS
    train = Fragments(formatted[formatted.split == 'train'], TOKENS, SPEAKS)
    first, second = (np.concatenate(plan_batches(train, replace(PRESETS['paper'][1], seed=3), epoch)).tolist()
                     for epoch in (0, 1))
    assert set(first) == set(second) == set(range(len(train))) and first != sorted(first) and first != second
