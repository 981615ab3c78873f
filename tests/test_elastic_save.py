"""A super-network on disk comes back as it was, is a plain checkpoint too, and what is no super-network is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archsearch.elastic.declare import axis, tensors_of
from archsearch.elastic.export import extract
from archsearch.elastic.manifest import Manifest
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.own_families import image, own, tokens
from archsearch.elastic.saving import load
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, ViTConfig
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor


class Gated(nn.Module):
    """A user's own model, with a tied matrix and a buffer."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.up = nn.Linear(8, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.down = nn.Linear(hidden, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.head(self.down(self.norm(torch.relu(self.up(self.embedding(ids))))))
        return hidden


def gated() -> Elastic:
    model = Gated().eval()
    nn.init.normal_(model.norm.running_mean)  # type: ignore[arg-type]
    ffn = axis(model, "ffn", 16, outputs=["up", "norm"], inputs=["down"])
    return MatFormer(model, [1 / 4, 1], axes=[ffn], inputs={"ids": Tensor(dtype="int64", below=11)})


def llama(dtype: torch.dtype = torch.float32, **config: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    settings = transformers.LlamaConfig(**sizes, **heads, **config)
    made: nn.Module = transformers.LlamaForCausalLM._from_config(settings, dtype=dtype).eval()
    return made


def transformer() -> Elastic:
    model = Transformer(TransformerConfig(hidden=(32, 64, 64, 32))).eval()
    return MatFormer(model, [1 / 4, 1 / 2, 1], axes=own(model), inputs=tokens(model))


def vit() -> Elastic:
    model = ViT(ViTConfig()).eval()
    return SortedNet(model, axes=own(model), inputs=image(model), ffn=[1 / 2, 1], heads=[1 / 2, 1])


NETS: dict[str, Callable[[], Elastic]] = {
    "llama": lambda: MatFormer(llama(), [1 / 4, 1 / 2, 1], heads=[1 / 2, 1]),
    "llama tied bf16": lambda: MatFormer(llama(torch.bfloat16, tie_word_embeddings=True)),
    "llama layers": lambda: SortedNet(llama(), layers=[2, 3], ffn=[16, 64]),
    "transformer": transformer,
    "vit": vit,
    "own": gated,
}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> Elastic:
    torch.manual_seed(0)
    return NETS[request.param]()


def given(net: Elastic) -> dict[str, torch.Tensor]:
    """A batch of what a super-network takes."""
    torch.manual_seed(1)
    return {
        name: torch.randint(0, of.below, (3, *of.shape)) if of.below else torch.randn(3, *of.shape)
        for name, of in net.inputs.items()
    }


def logits(net: Elastic, sub: Any = None) -> torch.Tensor:
    with torch.no_grad():
        out = net(given(net), sub)
    found: torch.Tensor = getattr(out, "logits", out)
    return found


def model_for(net: Elastic) -> nn.Module | None:
    return Gated() if isinstance(net.model, Gated) else None


@pytest.mark.parametrize("max_shard_size", [10**9, 400])
def test_what_is_saved_comes_back(net: Elastic, tmp_path: Path, max_shard_size: int) -> None:
    net.save(tmp_path / "net", max_shard_size)
    assert len(list((tmp_path / "net").glob("*.safetensors"))) > 1 or max_shard_size == 10**9
    back = load(tmp_path / "net", model_for(net))
    assert type(back) is type(net)
    assert (back.axes, back.decisions, back.inputs) == (net.axes, net.decisions, net.inputs)
    mine, others = tensors_of(net.model), tensors_of(back.model)
    assert list(mine) == list(others)
    for name, tensor in mine.items():
        assert tensor.dtype == others[name].dtype, name
        assert torch.equal(tensor, others[name]), name
    back.eval()
    least = {
        decision.group: int(decision.granularities[0] * net.axes.groups()[decision.group][0].units)
        for decision in net.decisions
    }
    assert torch.equal(logits(net), logits(back))
    assert torch.equal(logits(net, least), logits(back, least))
    tied = {name: id(tensor) for name, tensor in others.items()}
    for name, first in net.axes.tied.items():
        assert tied[name] == tied[first]


def test_the_folder_is_a_plain_checkpoint_of_the_whole_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    net = NETS["llama"]()
    net.save(tmp_path / "net")
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "net", local_files_only=True).eval()
    with torch.no_grad():
        assert torch.equal(plain(**given(net)).logits, logits(net))


def test_saving_again_replaces_the_weights_and_keeps_what_else_is_there(tmp_path: Path) -> None:
    net = transformer()
    net.save(tmp_path / "net", 400)
    (tmp_path / "net" / "tokenizer.json").write_text("mine")
    (tmp_path / "net" / "table.json").write_text("measured on other weights")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    net.save(tmp_path / "net")
    assert {path.name for path in (tmp_path / "net").iterdir()} == {
        "model.safetensors",
        "config.json",
        "archsearch.json",
        "tokenizer.json",
    }
    assert torch.equal(logits(load(tmp_path / "net")), logits(net))
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("name", ["llama", "own"])
def test_weights_can_be_read_by_whoever_can_read_the_rest(name: str, tmp_path: Path) -> None:
    NETS[name]().save(tmp_path / "net")
    assert len({file.stat().st_mode for file in (tmp_path / "net").iterdir()}) == 1


def test_saving_spares_what_is_no_super_network(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("mine")
    with pytest.raises(ElasticError, match="thesis exists already"):
        transformer().save(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter"]
    (tmp_path / "empty").mkdir()
    transformer().save(tmp_path / "empty")
    assert load(tmp_path / "empty")


def test_a_save_that_fails_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = transformer()
    net.save(tmp_path / "net")
    before = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Manifest, "write", full)
    for name in ("net", "new"):
        with pytest.raises(ElasticError, match="No space left on device"):
            net.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()} == before


def test_a_class_of_your_own_needs_a_module_of_its_shape(tmp_path: Path) -> None:
    gated().save(tmp_path / "net")
    with pytest.raises(ElasticError, match=r"holds a Gated, which is a class of your own: give a module of its shape"):
        load(tmp_path / "net")
    with pytest.raises(ElasticError, match=r"does not fit this Gated; they differ in up\.weight: \(20, 8\)"):
        load(tmp_path / "net", Gated(20))


def test_a_transformers_model_without_its_configuration_is_incomplete(tmp_path: Path) -> None:
    NETS["llama"]().save(tmp_path / "net")
    (tmp_path / "net" / "config.json").unlink()
    with pytest.raises(ElasticError, match=r"net is incomplete: it holds no config\.json"):
        load(tmp_path / "net")
    with pytest.raises(ElasticError, match=r"net is incomplete: it holds no config\.json"):
        extract(tmp_path / "net", tmp_path / "out", 1, format="hf")
    assert not (tmp_path / "out").exists()


def test_a_model_that_its_configuration_does_not_say_needs_a_module(tmp_path: Path) -> None:
    net = NETS["llama"]()
    small = net.extract({"ffn.0": 16, "ffn.2": 32})
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors_of(net.model).items()}
    rest = net.cut({"ffn.0": 16, "ffn.2": 32}).rest(shapes)
    MatFormer(small, [1 / 4, 1], axes=rest, inputs=net.inputs).save(tmp_path / "net")
    with pytest.raises(ElasticError, match="give a module of its shape"):
        load(tmp_path / "net")
    back = load(tmp_path / "net", net.extract({"ffn.0": 16, "ffn.2": 32}))
    assert torch.equal(logits(back), logits(net, {"ffn.0": 16, "ffn.2": 32}))


def test_a_space_says_where_its_super_network_lies(tmp_path: Path) -> None:
    net = transformer()
    assert net.space().describe()["saved"] == {}
    net.save(tmp_path / "net")
    told = net.space().describe()
    assert told["saved"]["folder"] == str(tmp_path / "net")
    (tmp_path / "net").rename(tmp_path / "moved")
    again = load(tmp_path / "moved").space().describe()
    assert again["supernet"] == told["supernet"]
    assert again["saved"] == {"folder": str(tmp_path / "moved"), "weights": told["saved"]["weights"]}
