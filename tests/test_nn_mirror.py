"""The mirror of torch.nn: its signatures, its types, and every layer of it against torch."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mypy import api
from torch.utils.flop_counter import FlopCounterMode

from archsearch import nn
from archsearch.errors import SpaceError
from archsearch.spaces.build import build
from archsearch.spaces.nodes import Choice, Module
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.settle import settle
from archsearch.spaces.tensor import Tensor

ROOT = Path(__file__).resolve().parent.parent


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_nn", ROOT / "tools" / "generate_nn.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned() -> str:
    found = re.search(r"^torch==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.skipif(
    torch.__version__.partition("+")[0] != pinned(), reason="another torch than that of constraints.txt"
)
def test_the_committed_file_is_what_the_generator_writes() -> None:
    assert (ROOT / "spaces" / "nn.py").read_text() == generator().generate()


def test_every_class_of_torch_is_mirrored_or_left_out_by_name() -> None:
    left_out = generator().LEFT_OUT
    theirs = {n for n, c in vars(torch.nn).items() if isinstance(c, type) and issubclass(c, torch.nn.Module)}
    theirs = {n for n in theirs if "Loss" not in n and not n.startswith("Lazy")}
    assert theirs | {"Zero"} == set(nn.__all__) | set(left_out)
    assert not set(nn.__all__) & set(left_out)


def describe(node: Module) -> Leaf:
    def value(given: Any) -> Any:
        return describe(given) if isinstance(given, Module) else given

    return Leaf("here", node.target, {k: value(v) for k, v in node.arguments.items()}, node.infer, node.shape)


image = Tensor(4, 9, 8)
sequence = Tensor(6, 8)
line = Tensor(4, 9)
volume = Tensor(4, 5, 6, 7)
vector = Tensor(8)
ids = Tensor(6, dtype="int64", below=10)
of_rank = {1: line, 2: image, 3: volume}

elementwise = (
    "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU RReLU ReLU"
)
elementwise += " ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink Zero Dropout AlphaDropout"
elementwise += " FeatureAlphaDropout"

LAYERS: dict[str, tuple[Module, tuple[Tensor, ...]]] = {
    **{name: (getattr(nn, name)(), (image,)) for name in elementwise.split()},
    **{name: (getattr(nn, name)(dim=-1), (sequence,)) for name in ("GLU", "LogSoftmax", "Softmax", "Softmin")},
    **{f"AdaptiveAvgPool{d}d": (getattr(nn, f"AdaptiveAvgPool{d}d")(2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"AdaptiveMaxPool{d}d": (getattr(nn, f"AdaptiveMaxPool{d}d")(2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"AvgPool{d}d": (getattr(nn, f"AvgPool{d}d")(2, padding=1), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"MaxPool{d}d": (getattr(nn, f"MaxPool{d}d")(3, 2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"LPPool{d}d": (getattr(nn, f"LPPool{d}d")(2.0, 2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"FractionalMaxPool{d}d": (getattr(nn, f"FractionalMaxPool{d}d")(2, 3), (of_rank[d],)) for d in (2, 3)},
    **{f"BatchNorm{d}d": (getattr(nn, f"BatchNorm{d}d")(), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"InstanceNorm{d}d": (getattr(nn, f"InstanceNorm{d}d")(affine=True), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"Dropout{d}d": (getattr(nn, f"Dropout{d}d")(), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"Conv{d}d": (getattr(nn, f"Conv{d}d")(6, 3, 2, 1, groups=2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"ConvTranspose{d}d": (getattr(nn, f"ConvTranspose{d}d")(6, 3, 2), (of_rank[d],)) for d in (1, 2, 3)},
    **{f"ConstantPad{d}d": (getattr(nn, f"ConstantPad{d}d")(1, 0.5), (of_rank[d],)) for d in (1, 2, 3)},
    **{
        f"{kind}Pad{d}d": (getattr(nn, f"{kind}Pad{d}d")(1), (of_rank[d],))
        for kind in ("Circular", "Reflection", "Replication", "Zero")
        for d in (1, 2, 3)
    },
    "Bilinear": (nn.Bilinear(5), (Tensor(3), Tensor(4))),
    "ChannelShuffle": (nn.ChannelShuffle(2), (image,)),
    "CosineSimilarity": (nn.CosineSimilarity(), (image, image)),
    "PairwiseDistance": (nn.PairwiseDistance(keepdim=True), (vector, vector)),
    "Embedding": (nn.Embedding(10, 8), (ids,)),
    "EmbeddingBag": (nn.EmbeddingBag(10, 8), (ids,)),
    "Flatten": (nn.Flatten(), (image,)),
    "Fold": (nn.Fold((4, 5), 2), (Tensor(12, 12),)),
    "Unfold": (nn.Unfold(2), (image,)),
    "GroupNorm": (nn.GroupNorm(2), (image,)),
    "LayerNorm": (nn.LayerNorm(bias=False), (sequence,)),
    "RMSNorm": (nn.RMSNorm(), (sequence,)),
    "LocalResponseNorm": (nn.LocalResponseNorm(2), (image,)),
    "Linear": (nn.Linear(10, bias=False), (sequence,)),
    "PixelShuffle": (nn.PixelShuffle(2), (image,)),
    "PixelUnshuffle": (nn.PixelUnshuffle(2), (Tensor(4, 8, 8),)),
    "Softmax2d": (nn.Softmax2d(), (image,)),
    "Threshold": (nn.Threshold(0.1, 20.0), (image,)),
    "Unflatten": (nn.Unflatten(1, (2, 4)), (vector,)),
    "Upsample": (nn.Upsample(scale_factor=2), (image,)),
    "UpsamplingBilinear2d": (nn.UpsamplingBilinear2d(scale_factor=2), (image,)),
    "UpsamplingNearest2d": (nn.UpsamplingNearest2d(size=(5, 7)), (image,)),
    "RNN": (nn.RNN(5, nonlinearity="relu"), (sequence,)),
    "GRU": (nn.GRU(5, 2, bidirectional=True), (sequence,)),
    "LSTM": (nn.LSTM(5, 2), (sequence,)),
    "RNNCell": (nn.RNNCell(5), (vector,)),
    "GRUCell": (nn.GRUCell(5), (vector,)),
    "MultiheadAttention": (nn.MultiheadAttention(2), (sequence,)),
    "Transformer": (nn.Transformer(2, 1, 1, 16), (sequence, sequence)),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(2, 16), (sequence,)),
    "TransformerDecoderLayer": (nn.TransformerDecoderLayer(2, 16), (sequence, sequence)),
    "TransformerEncoder": (nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 16), 2), (sequence,)),
    "TransformerDecoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(2, 16), 2, nn.LayerNorm()),
        (sequence, sequence),
    ),
}

# Fused kernels that torch's counter does not know on a CPU.
FUSED = {"LSTM", "MultiheadAttention"} | {name for name in LAYERS if name.startswith("Transformer")}


def sample(tensor: Tensor, device: str) -> torch.Tensor:
    if tensor.below is not None:
        return torch.zeros((1, *tensor.shape), dtype=getattr(torch, tensor.dtype), device=device)
    return torch.rand((1, *tensor.shape), dtype=getattr(torch, tensor.dtype), device=device)


@pytest.mark.parametrize("name", nn.__all__)
def test_every_layer_is_what_torch_makes_of_it(name: str) -> None:
    node, inputs = LAYERS[name]
    settled = settle(describe(node), inputs)
    expected = settled.output
    assert isinstance(expected, Tensor)
    for device in ("cpu", "meta"):
        built = build(settled, device=device).eval()
        assert type(built).__name__ == name
        assert isinstance(built, getattr(torch.nn, name, torch.nn.Module))
        counter = FlopCounterMode(display=False)
        with counter:
            output = built(*[sample(tensor, device) for tensor in inputs])
        assert tuple(output.shape[1:]) == expected.shape
        assert str(output.dtype) == f"torch.{expected.dtype}"
        assert sum(p.numel() for p in built.parameters()) == settled.parameters
        if device == "meta" or name not in FUSED:
            assert counter.get_total_flops() == settled.flops


def test_only_what_was_given_is_kept() -> None:
    assert nn.Conv2d(16, 3, stride=1).arguments == {"out_channels": 16, "kernel_size": 3, "stride": 1}
    assert nn.BatchNorm2d().arguments == {}
    assert nn.Linear(3, in_features=4).infer == {}
    choice = Choice([16, 32])
    assert nn.Linear(choice).arguments["out_features"] is choice


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(16, 3, pading=1), ["Conv2d", "'pading'", "did you mean 'padding'"]),  # type: ignore[call-arg]
        (lambda: nn.Conv2d(16), ["'kernel_size'"]),  # type: ignore[call-arg]
        (lambda: nn.BatchNorm2d(64), ["num_features can be left out"]),  # type: ignore[call-arg]
        (lambda: nn.LayerNorm(64), ["normalized_shape can be left out"]),  # type: ignore[call-arg]
        (lambda: nn.GroupNorm(4, 64), ["num_channels can be left out"]),  # type: ignore[call-arg]
        (lambda: nn.Linear(32, 64), ["bias is True or False", "64", "in_features can be left out"]),  # type: ignore[arg-type]
    ],
)
def test_mistakes_name_what_is_right(make: Any, words: list[str]) -> None:
    with pytest.raises(SpaceError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_editors_see_the_arguments() -> None:
    assert [p.name for p in inspect.signature(nn.Conv2d).parameters.values()] == [
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "bias",
        "padding_mode",
        "in_channels",
    ]
    assert inspect.signature(nn.Conv2d).parameters["stride"].default == 1
    assert repr(inspect.signature(nn.Conv2d).parameters["in_channels"].default) == "inferred"


SNIPPET = """
from archsearch import nn
from archsearch.spaces.nodes import Choice, Integer

k = Choice([1, 3], name="k")
nn.Conv2d(16, k, padding=k // 2)
nn.Linear(Integer(8, 32), in_features=4)
nn.LayerNorm(normalized_shape=(3, 4))
reveal_type(nn.Conv2d)
nn.Conv2D(16, 3)
nn.Conv2d(16, 3, pading=1)
nn.Linear("many")
nn.BatchNorm2d(64)
nn.Conv2d(16)
"""


def test_mypy_knows_the_layers(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    # What building needs takes mypy long, and describing needs none of it.
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\n[mypy-torch.*,numpy.*,networkx.*]\nfollow_imports = skip\n")
    assert pytestconfig.cache is not None
    cache = str(pytestconfig.cache.mkdir("mypy"))
    output, problems, _ = api.run(["--config-file", str(config), "--cache-dir", cache, str(file)])
    assert problems == ""
    found = {int(m[1]): m[2] for m in re.finditer(r"snippet\.py:(\d+): error: (.*)", output)}
    assert set(found) == {10, 11, 12, 13, 14}
    assert 'no attribute "Conv2D"' in found[10]
    assert 'Unexpected keyword argument "pading"' in found[11]
    assert 'incompatible type "str"' in found[12]
    assert "Too many positional arguments" in found[13]
    assert 'Missing positional argument "kernel_size"' in found[14]
    revealed = re.search(r"snippet\.py:9: note: (.*)", output)
    assert revealed is not None
    assert all(word in revealed[1] for word in ("out_channels: int |", "in_channels:", "-> "))
