"""The project's own Transformer and ViT: against other implementations, and cut to every size."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from archsearch.elastic import transformer
from archsearch.elastic.declare import shapes_of
from archsearch.elastic.families import family_of
from archsearch.elastic.network import Elastic
from archsearch.elastic.skeleton import is_uniform
from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, ViTConfig, build, per_layer

Own = Transformer | ViT


def sizes(layers: int, most: int = 4, of: int = 1) -> st.SearchStrategy[Any]:
    """A number, or one for each layer."""
    number = st.integers(1, most).map(lambda n: n * of)
    return number | st.lists(number, min_size=layers, max_size=layers)


@st.composite
def transformer_configs(draw: st.DrawFn) -> TransformerConfig:
    layers = draw(st.integers(1, 3))
    groups = draw(st.lists(st.integers(1, 3), min_size=layers, max_size=layers))
    shared = draw(st.integers(1, 2))
    return TransformerConfig(
        vocabulary=11,
        context=8,
        width=draw(st.integers(1, 12)),
        layers=layers,
        heads=[shared * n for n in groups],
        groups=groups,
        head_dim=draw(st.sampled_from([2, 4])),
        hidden=draw(sizes(layers, 9)),
        gated=draw(st.booleans()),
        norm=draw(st.sampled_from(["rms", "layer"])),
        bias=draw(st.booleans()),
        tied=draw(st.booleans()),
    )


@st.composite
def vit_configs(draw: st.DrawFn) -> ViTConfig:
    layers, patch = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return ViTConfig(
        image=2 * patch,
        patch=patch,
        channels=draw(st.integers(1, 3)),
        classes=draw(st.integers(1, 5)),
        width=draw(st.integers(1, 12)),
        layers=layers,
        heads=draw(sizes(layers)),
        head_dim=draw(st.integers(1, 4)),
        hidden=draw(sizes(layers, 9)),
    )


CONFIGS = transformer_configs() | vit_configs()


def made(config: TransformerConfig | ViTConfig, seed: int = 0) -> Own:
    """The model with weights that are all random, biases and norms too."""
    torch.manual_seed(seed)
    model = build(config.to_dict()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def inputs(config: TransformerConfig | ViTConfig, examples: int = 2) -> torch.Tensor:
    if isinstance(config, TransformerConfig):
        return torch.randint(config.vocabulary, (examples, config.context))
    return torch.randn(examples, config.channels, config.image, config.image)


def subs(draw: Callable[..., Any], net: Elastic) -> dict[str, Any]:
    """What a random sub-network keeps: any units of any axes, and any layers."""
    kept: dict[str, Any] = {}
    dropped: set[str] = set()
    for axis in net.axes:
        if axis.layer in dropped or draw(st.booleans()):
            continue
        units = draw(st.sets(st.integers(0, axis.units - 1), min_size=1))
        kept[axis.name] = draw(st.sampled_from([len(units), sorted(units)]))
        dropped |= net.axes.dropped(kept)
    return kept


@given(CONFIGS)
def test_a_configuration_survives_json(config: TransformerConfig | ViTConfig) -> None:
    data = json.loads(json.dumps(config.to_dict()))
    assert type(config).from_dict(data) == config
    assert build(data).config == config


def test_sizes_are_given_once_or_for_each_layer() -> None:
    config = TransformerConfig(layers=2, heads=4, hidden=[8, 16])
    assert (config.heads, config.groups, config.hidden) == ((4, 4), (4, 4), (8, 16))
    assert config == TransformerConfig(layers=2, heads=(4, 4), groups=[4, 4], hidden=(8, 16))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"hidden": [8, 16, 8]}, r"hidden must be a number, or a list .* 2 layers, but it is \[8, 16, 8\]"),
        ({"heads": [2, 0]}, r"heads must be a number"),
        ({"heads": [2, 2.0]}, r"heads must be a number"),
        ({"hidden": None}, "hidden must be a number"),
        ({"width": 0}, "width must be a number of at least 1, but it is 0"),
        ({"context": "64"}, "context must be a number of at least 1, but it is '64'"),
        ({"gated": 1}, "gated must be true or false, but it is 1"),
        ({"dropout": "0"}, "dropout must be in"),
        ({"heads": 3, "groups": 2}, "layer 0: 3 heads cannot be 2 groups"),
        ({"head_dim": 3}, "head_dim must be even for rotary positions, but it is 3"),
        ({"norm": "batch"}, "norm must be 'rms' or 'layer', but it is 'batch'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but it is 1.0"),
    ],
)
def test_sizes_that_cannot_be(given_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerConfig(layers=2, **given_)


def test_other_configurations() -> None:
    with pytest.raises(ValueError, match="patches of 5 do not divide images of 28"):
        ViTConfig(patch=5)
    with pytest.raises(ValueError, match="of archsearch-transformer, but it has the unknown keys depth"):
        TransformerConfig.from_dict({"depth": 3})
    with pytest.raises(ValueError, match="but it has model_type 'archsearch-vit'"):
        TransformerConfig.from_dict(ViTConfig().to_dict())
    with pytest.raises(ValueError, match="archsearch-transformer or archsearch-vit, but got 'llama'"):
        build({"model_type": "llama"})


@given(transformer_configs())
@settings(max_examples=20, deadline=None)
def test_transformer_is_llama(config: TransformerConfig) -> None:
    """Llama of transformers is the same function where it has the same parts, with other code."""
    heads, groups, hidden = (per_layer(value)[0] for value in (config.heads, config.groups, config.hidden))
    width = heads * (config.width // heads + 1)  # which their configuration wants, and nothing of the model needs
    layout = {**config.to_dict(), "width": width, "heads": heads, "groups": groups, "hidden": hidden}
    model = made(TransformerConfig.from_dict(layout | {"gated": True, "norm": "rms", "bias": False})).double()
    assert isinstance(model, Transformer)
    names = {
        "embedding": "model.embed_tokens",
        "norm": "model.norm",
        "head": "lm_head",
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attention.out": "self_attn.o_proj",
        **{f"attention.{x}": f"self_attn.{x}_proj" for x in "qkv"},
        **{f"ffn.{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
    }

    def renamed(name: str) -> str:
        name = name.removesuffix(".weight")
        if name.startswith("layers."):
            _, i, part = name.split(".", 2)
            return f"model.layers.{i}.{names[part]}.weight"
        return f"{names[name]}.weight"

    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=width,
            intermediate_size=hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=heads,
            num_key_value_heads=groups,
            head_dim=config.head_dim,
            rms_norm_eps=transformer.EPSILON,
            rope_parameters={"rope_type": "default", "rope_theta": transformer.ROTARY_BASE},
            tie_word_embeddings=config.tied,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
    ).double()
    llama.load_state_dict({renamed(name): tensor for name, tensor in model.state_dict().items()}, strict=True)
    llama.train(False)
    ids = inputs(config)
    # Both have float32 tables of angles, which are made in another order of operations.
    torch.testing.assert_close(model(ids), llama(ids).logits, rtol=1e-4, atol=1e-5)


@given(vit_configs())
@settings(max_examples=20, deadline=None)
def test_vit_blocks_are_torchs_encoder_layers(config: ViTConfig) -> None:
    model = made(ViTConfig.from_dict(config.to_dict() | {"width": 12, "heads": 3, "head_dim": 4})).double()
    assert isinstance(model, ViT)
    for block, hidden in zip(model.layers, per_layer(model.config.hidden), strict=True):
        layer = nn.TransformerEncoderLayer(
            12, 3, hidden, 0.0, "gelu", transformer.EPSILON, batch_first=True, norm_first=True
        ).double()
        own = block.state_dict()
        theirs = {
            f"self_attn.in_proj_{kind}": torch.cat([own[f"attention.{x}.{kind}"] for x in "qkv"])
            for kind in ("weight", "bias")
        }
        names = {
            "attention.out": "self_attn.out_proj",
            "ffn.up": "linear1",
            "ffn.down": "linear2",
            "attention_norm": "norm1",
            "ffn_norm": "norm2",
        }
        theirs |= {f"{new}.{kind}": own[f"{old}.{kind}"] for old, new in names.items() for kind in ("weight", "bias")}
        layer.load_state_dict(theirs)
        x = torch.randn(2, 4, 12, dtype=torch.float64)
        torch.testing.assert_close(block(x), layer.eval()(x), rtol=1e-9, atol=1e-9)


def test_vit_sees_patches_row_by_row() -> None:
    """Patches as unfold cuts them, with their own positions; then the mean."""
    model = made(ViTConfig(image=6, patch=2, channels=3, width=8, layers=1, heads=2, head_dim=4, hidden=8))
    assert isinstance(model, ViT)
    images = torch.randn(2, 3, 6, 6)
    patches = nn.functional.unfold(images, 2, stride=2).transpose(1, 2)  # [B, 9, 12]
    x = nn.functional.linear(patches, model.patches.weight.flatten(1), model.patches.bias) + model.positions
    torch.testing.assert_close(model.embed(images), x)
    torch.testing.assert_close(model(images), model.head(model.norm(model.layers[0](x)).mean(1)))


@given(transformer_configs(), st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_a_token_changes_nothing_before_it(config: TransformerConfig, at: int) -> None:
    model, ids = made(config), inputs(config)
    other = ids.clone()
    other[:, at:] = (other[:, at:] + 1) % config.vocabulary
    torch.testing.assert_close(model(ids)[:, :at], model(other)[:, :at])
    torch.testing.assert_close(model(ids[:, :at]), model(ids)[:, :at])


def test_a_sequence_beyond_the_context() -> None:
    model = Transformer(TransformerConfig(context=8, layers=1))
    with pytest.raises(ValueError, match="at most 8 tokens here, but got 9"):
        model(torch.zeros(1, 9, dtype=torch.long))


def test_fresh_weights_know_nothing() -> None:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig())
    loss = nn.functional.cross_entropy(model(torch.randint(256, (4, 128))).flatten(0, 1), torch.randint(256, (512,)))
    assert abs(loss.item() - math.log(256)) < 0.1
    assert model.head.weight is model.embedding.weight
    assert model.head.weight.std().item() < 0.021


@given(transformer_configs())
@settings(deadline=None)
def test_parameters_follow_from_the_sizes(config: TransformerConfig) -> None:
    """Property P2: the formula of ../shared/methods/elastic.md, 7.1."""
    d, k = config.width, config.head_dim
    norm = d * (1 + (config.norm == "layer" and config.bias))
    expected = config.vocabulary * d * (2 - config.tied) + norm
    sizes_ = zip(*(per_layer(x) for x in (config.heads, config.groups, config.hidden)), strict=True)
    for heads, groups, hidden in sizes_:
        matrices = 3 if config.gated else 2
        expected += d * heads * k * 2 + d * groups * k * 2 + matrices * d * hidden + 2 * norm
        if config.bias:
            expected += heads * k + 2 * groups * k + d + (matrices - 1) * hidden + d
    model = build(config.to_dict())
    assert sum(p.numel() for p in model.parameters()) == expected
    family = family_of(model)
    net = Elastic(model, family.axes(model), [], family.inputs(model))
    assert net.blueprint().parameters(net.cut(None)) == expected


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_is_the_model_of_its_configuration(data: st.DataObject) -> None:
    """Property P1: running equals the extracted model equals the model that its configuration builds from its weights,
    but for rounding in odd sizes (BLAS goes by where a row begins in memory); and so for a cut of a cut."""
    config, dtype = data.draw(CONFIGS), data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    model, x = made(config).to(dtype), inputs(config)
    x = x.to(dtype) if x.is_floating_point() else x
    net = Elastic(model, family_of(model).axes(model), [])
    for _ in range(2):
        sub = subs(data.draw, net)
        small = net.extract(sub)
        assert isinstance(small, Own)
        assert is_uniform(net.cut(sub))
        built = build(json.loads(json.dumps(small.config.to_dict()))).to(dtype).eval()
        built.load_state_dict(small.state_dict(), strict=True)
        assert built.config == small.config
        expected = small(x).detach()
        rounding = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
        for found in (net(x, sub), built(x)):
            torch.testing.assert_close(found, expected, rtol=rounding, atol=rounding * float(expected.abs().max()))
        rest = net.cut(sub).rest(shapes_of(net.model))
        # The axes of the sub-network are those that its own family declares.
        assert rest == family_of(small).axes(small)
        net = Elastic(small, rest, [])
    assert model.config == config


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "config",
    [
        TransformerConfig(width=64, heads=4, groups=2, hidden=128, gated=True, context=16),
        ViTConfig(width=64, heads=4, hidden=128, image=8),
    ],
)
def test_it_runs_as_it_is_cut_out_to_the_last_bit_in_sizes_that_are_used(
    config: TransformerConfig | ViTConfig, dtype: torch.dtype
) -> None:
    model, x = made(config).to(dtype), inputs(config)
    x = x.to(dtype) if x.is_floating_point() else x
    net = Elastic(model, family_of(model).axes(model), [])
    subs: list[dict[str, int | list[int]]] = [
        {"ffn": 32},
        {"ffn.0": 16, "ffn.3": 96, "heads.1": 1},
        {"layers": [0, 2], "ffn": 64},
        {"width": 32, "ffn": 64, "heads": 1},
    ]
    for sub in subs:
        assert torch.equal(net(x, sub), net.extract(sub)(x)), sub


def test_the_file_stands_alone(tmp_path: Path) -> None:
    """A copy of it, in a place of its own, imports torch and nothing of ours, and loads a sub-model."""
    source = Path(transformer.__file__).read_text()
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            found.add(str(node.module))
    assert {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) == {"torch"}

    copied = shutil.copy(transformer.__file__, tmp_path / "shipped.py")
    spec = importlib.util.spec_from_file_location("shipped", copied)
    assert spec is not None
    assert spec.loader is not None
    shipped = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shipped)
    for config in (TransformerConfig(layers=2), ViTConfig(layers=2)):
        model = made(config)
        small = Elastic(model, family_of(model).axes(model), []).extract({"ffn.0": 64, "width": 32, "heads": 1})
        assert isinstance(small, Own)
        loaded = shipped.build(small.config.to_dict()).eval()
        loaded.load_state_dict(small.state_dict())
        x = inputs(config)
        assert type(loaded) is not type(small)
        assert torch.equal(loaded(x), small(x))
