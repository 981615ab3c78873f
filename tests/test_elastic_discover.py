"""The rule for models of unknown families: it finds what the known ones declare, and says where it is not sure."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from elastic_models import FAMILIES, Sizes, hf, inputs_of, model_of, outputs_of
from torch import nn
from torch.nn import functional

from archsearch.elastic.axes import Axes
from archsearch.elastic.discover import discover
from archsearch.elastic.families import family_of
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.sortednet import SortedNet
from archsearch.errors import ElasticError
from archsearch.spaces import llama, transformer
from archsearch.spaces.tensor import Tensor

TOKENS = {"x": Tensor(9, dtype="int64", below=29)}


def governed(axes: Axes) -> dict[str, tuple[int, set[Any]]]:
    return {axis.name: (axis.units, set(axis.runs)) for axis in axes if axis.group in ("ffn", "heads")}


def exact(model: nn.Module, axes: Axes, given: Any) -> bool:
    """Whether half of everything runs as it is extracted."""
    net = Elastic(model, axes, [])
    kept = {axis.name: max(1, axis.units // 2) for axis in axes}
    with torch.no_grad():
        run, part = net(given, kept), net.extract(kept)
        extracted = part(**given) if isinstance(given, dict) else part(given)
    return all(torch.equal(a, b) for a, b in zip(outputs_of(run), outputs_of(extracted), strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_it_finds_the_axes_of_known_families(name: str) -> None:
    model = model_of(name)
    declared = family_of(model).axes(model)
    found = discover(model, family_of(model).inputs(model))
    expected = governed(declared)
    if name == "phi3":  # its heads are one axis for all layers, which the rule does not look for
        expected = {axis: runs for axis, runs in expected.items() if axis != "heads"}
        assert "heads in" in str(found)
    assert governed(found.axes) == expected
    assert found.tried
    assert exact(model, found.axes, inputs_of(model))


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"gpt2", "phi3", "qwen3"}))
def test_without_inputs_what_has_one_reading_is_found_too(name: str) -> None:
    model = model_of(name, Sizes(head_dim=8))
    found = discover(model)
    assert governed(found.axes) == governed(family_of(model).axes(model))
    assert "not tried" in str(found)


def test_without_inputs_what_has_two_readings_is_left_out() -> None:
    found = discover(model_of("phi3"))
    assert not len(found.axes)
    assert str(found).count("two ways to lie in one matrix, and no inputs= to try it on") == 2
    found = discover(model_of("gpt2"))
    assert set(found.axes.groups()) == {"ffn"}
    assert "two ways" in found.axes.absent["heads"]


small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 29}

UNKNOWN: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, str]]] = {
    # The model, hidden units, groups of heads, and what of the report tells.
    "opt": (
        lambda: hf.OPTForCausalLM(hf.OPTConfig(**small, ffn_dim=24, word_embed_proj_dim=16)),
        (24, 4, "fc1 -> fc2"),
    ),
    "gpt_neox": (
        lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**small, intermediate_size=24, eos_token_id=1)),
        (24, 4, "each group's queries, keys and values together"),
    ),
    "falcon": (
        lambda: hf.FalconForCausalLM(hf.FalconConfig(**small, new_decoder_architecture=True, num_kv_heads=2)),
        (64, 2, "2 groups of 2 heads of 4"),
    ),
    "glm4": (
        lambda: hf.Glm4ForCausalLM(
            hf.Glm4Config(**small, intermediate_size=24, num_key_value_heads=2, head_dim=4, pad_token_id=0)
        ),
        (24, 2, "one half gates the other"),
    ),
    # Biases by the distance of positions, one for each head; norms over all heads; experts.
    "bloom": (
        lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=29, hidden_size=16, n_layer=2, n_head=4)),
        (64, 0, ""),
    ),
    "t5": (
        lambda: hf.T5EncoderModel(hf.T5Config(vocab_size=29, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4)),
        (24, 0, "left out heads.0 to heads.1 (2)"),
    ),
    "olmo2": (
        lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**small, intermediate_size=24, pad_token_id=0, eos_token_id=1)),
        (24, 0, "does not run"),
    ),
    "mixtral": (
        lambda: hf.MixtralForCausalLM(
            hf.MixtralConfig(**small, intermediate_size=24, num_key_value_heads=2, num_local_experts=2)
        ),
        (0, 2, "no ffn can be cut"),
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_it_finds_what_is_sure_in_other_models_of_transformers(name: str, caplog: pytest.LogCaptureFixture) -> None:
    make, (hidden, groups, text) = UNKNOWN[name]
    torch.manual_seed(0)
    model = make().eval()
    with caplog.at_level(logging.WARNING, logger="archsearch.elastic"):
        axes = family_of(model).axes(model)
    units = {group: {axis.units for axis in of} for group, of in axes.groups().items()}
    assert units == {group: {n} for group, n in (("ffn", hidden), ("heads", groups)) if n}
    assert {len(of) for of in axes.groups().values()} == {2}
    assert text in caplog.text
    assert exact(model, axes, {"input_ids": torch.randint(3, 29, (2, 9))})


class Attention(nn.Module):
    """Causal attention; `layout` says how queries, keys and values stand in one matrix, or that they have their own."""

    def __init__(self, width: int, heads: int, layout: str, sloped: bool = False) -> None:
        super().__init__()
        self.num_heads, self.layout = heads, layout
        if layout == "apart":
            self.wq, self.wk, self.wv = (nn.Linear(width, width) for _ in range(3))
        else:
            self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.slopes = nn.Buffer(torch.linspace(0.1, 0.9, heads)) if sloped else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.layout == "apart":
            q, k, v = (layer(x).unflatten(-1, (self.num_heads, -1)) for layer in (self.wq, self.wk, self.wv))
        elif self.layout == "blocks":
            q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        else:
            q, k, v = self.qkv(x).unflatten(-1, (self.num_heads, 3, -1)).unbind(-2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        if self.slopes is not None:
            y = y * self.slopes[: y.shape[1], None, None]
        out: torch.Tensor = self.proj(y.transpose(1, 2).flatten(-2))
        return out


class Block(nn.Module):
    def __init__(self, width: int, hidden: int, attention: nn.Module, ffn: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.ffn = attention, ffn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + torch.as_tensor(self.ffn(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self, blocks: list[nn.Module], width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(29, width)
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, 29)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.head(x))


def plain(width: int = 16, hidden: int = 24) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def gpt(layout: str = "apart", ffn: Callable[[], nn.Module] = plain, sloped: bool = False) -> GPT:
    torch.manual_seed(1)
    return GPT([Block(16, 24, Attention(16, 4, layout, sloped), ffn()) for _ in range(2)]).eval()


@pytest.mark.parametrize(
    ("layout", "text"),
    [("apart", "attn.wq, attn.wk, attn.wv -> attn.proj"), ("blocks", "queries, then keys"), ("groups", "together")],
)
def test_a_model_by_hand(layout: str, text: str) -> None:
    model = gpt(layout)
    found = discover(model, TOKENS)
    assert {name: units for name, (units, _) in governed(found.axes).items()} == {
        "ffn.0": 24,
        "heads.0": 4,
        "ffn.1": 24,
        "heads.1": 4,
    }
    assert text in str(found)
    assert "24 hidden units, plain: ffn.0 -> ffn.2" in str(found)
    assert exact(model, found.axes, torch.randint(29, (2, 9)))
    without = discover(model)
    assert set(without.axes.groups()) == ({"ffn", "heads"} if layout == "apart" else {"ffn"})


class Normed(nn.Module):
    """A feed-forward with a normalisation of its hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(16, 24), nn.LayerNorm(24), nn.Linear(24, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.fc2(self.norm(self.fc1(x).relu())))


class Alike(nn.Module):
    """A feed-forward whose hidden width is the model's, called by names that say nothing, used last first."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__()
        self.one, self.other = one, other
        self.add_module(one, nn.Linear(16, 16))
        self.add_module(other, nn.Linear(16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.get_submodule(self.one)(self.get_submodule(self.other)(x).relu()))


def test_a_norm_between_belongs_to_the_hidden_units() -> None:
    model = gpt(ffn=Normed)
    found = discover(model, TOKENS)
    assert {run.tensor for run in found.axes.by_name["ffn.0"].runs} == {
        f"blocks.0.ffn.{name}" for name in ("fc1.weight", "fc1.bias", "norm.weight", "norm.bias", "fc2.weight")
    }
    assert exact(model, found.axes, torch.randint(29, (2, 9)))


def test_names_decide_where_shapes_do_not_and_otherwise_it_is_left_out() -> None:
    found = discover(gpt(ffn=lambda: Alike("fc2", "fc1")), TOKENS)
    assert "16 hidden units, plain: ffn.fc1 -> ffn.fc2" in str(found)
    found = discover(gpt(ffn=lambda: Alike("alpha", "beta")), TOKENS)
    assert set(found.axes.groups()) == {"heads"}
    assert "two readings: the last linear layer of a feed-forward may be ffn.alpha or ffn.beta" in str(found)
    # Names that are wrong are found out by trying.
    found = discover(gpt(ffn=lambda: Alike("fc1", "fc2")), TOKENS)
    assert set(found.axes.groups()) == {"heads"}
    assert "ffn.fc1 -> ffn.fc2: without some of them it does not run" in str(found)


def test_heads_that_are_not_alike_are_no_heads() -> None:
    found = discover(gpt(sloped=True), TOKENS)
    assert set(found.axes.groups()) == {"ffn"}
    assert "what comes out changes where two of them are exchanged" in found.axes.absent["heads"]
    found = discover(gpt(sloped=True))
    assert "attn may belong to the heads as well, and no inputs= to try it on" in str(found)


def test_the_heads_of_torch_are_left_out_and_said_to_be() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    found = discover(model, {"src": Tensor(9, 16)})
    assert set(found.axes.groups()) == {"ffn"}
    assert "heads in torch.nn.MultiheadAttention" in found.axes.absent["heads"]
    net = MatFormer(model, [1 / 2, 1], inputs={"src": Tensor(9, 16)})
    x = torch.randn(2, 9, 16)
    with torch.no_grad():
        torch.testing.assert_close(net(x, 1 / 2), net.extract(1 / 2)(x), rtol=0, atol=0)
    with pytest.raises(ElasticError, match=r"no axes 'heads': .*MultiheadAttention"):
        SortedNet(model, heads=[1 / 2, 1])


def test_built_architectures_of_spaces() -> None:
    sizes: dict[str, Any] = {"vocabulary": 29, "widths": [32], "depths": [3], "ratios": [2.0, 2.5], "head_dim": 8}
    space = llama.space(**sizes, context=16, heads=[4], groups=[1, 2, 4])
    other = transformer.space(vocabulary=29, length=16, depth=(2, 3), head_dim=8)
    for arch in [*space.sample(random.Random(0), 3), *other.sample(random.Random(0), 3)]:
        torch.manual_seed(0)
        model = arch.build().eval()
        found = discover(model, TOKENS)
        attentions: list[Any] = [module for module in model.modules() if hasattr(module, "head_dim")]
        groups = [a.k.out_features // a.head_dim if hasattr(a, "k") else a.num_heads for a in attentions]
        assert len(attentions) > 1
        assert {name: units for name, (units, _) in governed(found.axes).items() if name.startswith("heads")} == {
            f"heads.{i}": n for i, n in enumerate(groups) if n > 1
        }
        ups = [
            m.out_features for name, m in model.named_modules() if name.endswith(".up") and hasattr(m, "out_features")
        ]
        assert [units for name, (units, _) in governed(found.axes).items() if name.startswith("ffn")] == ups
        assert str(found).count("one unit alone") == (1 in groups)
        assert exact(model, found.axes, torch.randint(29, (2, 9)))


def test_matformer_runs_on_a_model_of_no_family_and_says_what_it_found(caplog: pytest.LogCaptureFixture) -> None:
    model = gpt()
    net = MatFormer(model, [1 / 4, 1 / 2, 1], heads=[1 / 2, 1], inputs=TOKENS)
    assert "The family of GPT is not known; found by shape and name (tried" in caplog.text
    assert repr(net.axes) == "Axes(ffn: 2 x 24, heads: 2 x 4)"
    x = torch.randint(29, (2, 9))
    arch = net.space().sample(random.Random(0))
    with torch.no_grad():
        assert torch.equal(net(x, arch), net.extract(arch)(x))
    assert arch.parameters == sum(p.numel() for p in net.extract(arch).parameters())
    assert arch.flops > 0
    with pytest.raises(ElasticError, match="no axes 'width': the rule for unknown families"):
        SortedNet(model, width=[1 / 2, 1], inputs=TOKENS)


def test_a_model_in_which_nothing_is_found_and_inputs_that_are_not_the_models() -> None:
    with pytest.raises(
        ElasticError, match=r"the axes of Sequential are not known [^$]*neither feed-forwards nor heads"
    ):
        MatFormer(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)))
    with pytest.raises(ElasticError, match=r"GPT does not run on inputs=x \(2, 4\): "):
        MatFormer(gpt(), inputs={"x": Tensor(4)})


def test_trying_changes_nothing() -> None:
    model = gpt()
    model.train()
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    discover(model, TOKENS)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
