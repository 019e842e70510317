"""How the original trains: every bar padded to 128 tokens, every sequence to 1,024, Python loops over batch
and bars, fp32.

Written anew after its description, as a yardstick for speed and as a second opinion on
`emotionwave.networks.paper`."""
import math
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

BARS, PER_BAR, SEQUENCE = 8, 128, 1024
PAD = 0


def lay_out(
    fragments,         # list of fragments, each a list of `bars` lists of ids
    classes,           # valence of each, 1 negative or 2 positive
    bars=BARS, per_bar=PER_BAR, sequence=SEQUENCE,
):
    "Pad fragments as the original does: a dict of tensors with the batch first."
    out = dict(encoder=[], mask=[], decoder=[], target=[], edges=[], valence=[])
    for fragment, cls in zip(fragments, classes):
        encoder, mask = torch.full((per_bar, bars), PAD), torch.ones(bars, per_bar, dtype=torch.bool)
        decoder, valence, edges, end = torch.full((sequence,), PAD), torch.full((sequence,), 0), [0], 0
        for k, bar in enumerate(fragment):
            ids = torch.tensor(bar)
            encoder[:len(ids), k] = ids
            mask[k, :len(ids)] = False
            decoder[end:end + len(ids)], valence[end:end + len(ids)] = ids, cls
            end += len(ids)
            edges.append(end)
        for name, t in dict(encoder=encoder, mask=mask, decoder=decoder,
                            target=torch.cat([decoder[1:], torch.tensor([PAD])]), edges=torch.tensor(edges),
                            valence=valence).items():
            out[name].append(t)
    return {k: torch.stack(v) for k, v in out.items()}


def bars_of(data, row, first):
    "A fragment of `emotionwave.data.batches.Fragments` as a list of bars of ids; `first` is the id of Bar."
    ids = data.ids[data.id_at[row]:data.id_at[row + 1]]
    return [b.tolist() for b in np.split(ids, np.flatnonzero(ids == first)[1:])]


class Recipe(nn.Module):
    "The published network in PyTorch's own layers, sequence first; sizes of a `PaperConfig`."
    def __init__(self, config):
        super().__init__()
        self.config, d, z = config, config.d_model, config.latent
        layer = lambda: nn.TransformerEncoderLayer(d, config.heads, config.feedforward, config.dropout,
                                                   'relu')
        self.tokens, self.valence = nn.Embedding(config.vocab, d), nn.Embedding(3, config.valence_size)
        self.encoder, self.decoder = (nn.ModuleList(layer() for _ in range(n))
                                      for n in (config.encoder_layers, config.decoder_layers))
        self.to_mu, self.to_logvar = nn.Linear(d, z), nn.Linear(d, z)
        self.in_attention, self.to_token = (nn.Linear(z + config.valence_size, d, bias=False),
                                            nn.Linear(d, config.vocab))
        wave = torch.zeros(SEQUENCE, 1, d)
        for i in range(0, d, 2):
            angle = torch.arange(SEQUENCE) * math.exp(-math.log(10_000) * i / d)
            wave[:, 0, i], wave[:, 0, i + 1] = angle.sin(), angle.cos()
        self.register_buffer('wave', wave)

    def take(self, paper):
        "Copy the weights of a `PaperVAE`."
        names = {'qkv.weight': 'self_attn.in_proj_weight', 'qkv.bias': 'self_attn.in_proj_bias',
                 'out.': 'self_attn.out_proj.', 'up.': 'linear1.', 'down.': 'linear2.'}
        def own(name):
            if name.startswith(('encoder.', 'decoder.')):
                for a, b in names.items(): name = name.replace(a, b)
            return name
        left = self.load_state_dict({own(k): v for k, v in paper.state_dict().items()}, strict=False)
        assert left.missing_keys == ['wave'] and not left.unexpected_keys, left
        return self

    def embed(self, ids):
        return (F.dropout(self.tokens(ids) * self.config.d_model ** .5, self.config.dropout, self.training)
                + self.wave[:len(ids)])

    def forward(self, encoder, mask, decoder, target, edges, valence):
        "Logits (T, B, V), mu and logvar (B * K, Z)."
        B, K = len(encoder), encoder.shape[2]
        x = self.embed(encoder.permute(1, 0, 2).reshape(encoder.shape[1], -1))             # (128, B * K, d)
        for layer in self.encoder:
            x = layer(x, src_key_padding_mask=mask.reshape(-1, mask.shape[-1]))
        mu, logvar = self.to_mu(x[0]), self.to_logvar(x[0])
        z = mu + torch.randn_like(mu) * (logvar / 2).exp() if self.training else mu
        z, x = z.reshape(B, K, -1), self.embed(decoder.T)
        given = torch.zeros(*x.shape[:2], z.shape[-1])
        for b in range(B):
            for k in range(K): given[edges[b, k]:edges[b, k + 1], b] = z[b, k]
        given = self.in_attention(torch.cat([given, self.valence(valence.T) * self.config.valence_size ** .5],
                                            -1))
        past = torch.full((len(x), len(x)), -torch.inf).triu(1)
        for layer in self.decoder: x = layer(x + given, src_mask=past)
        return self.to_token(x), mu, logvar

    def loss(self, logits, target, mu, logvar, beta=1., free_bits=.25):
        "Cross-entropy over every position, padding included, as the original counts it, and the divergence."
        ce = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.T.reshape(-1))
        kl = (-.5 * (1 + logvar - mu ** 2 - logvar.exp())).mean(0)
        return ce + beta * kl.clamp(min=free_bits).mean()


def original_step(net, optimizer, batch, beta=1.):
    "One step of training as the original takes it; returns the loss."
    logits, mu, logvar = net(**batch)
    loss = net.loss(logits, batch['target'], mu, logvar, beta)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), .5)
    optimizer.step()
    return loss.item()
