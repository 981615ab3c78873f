"""What is extracted for transformers is a checkpoint of its own: loaded without archsearch, equal, and with no more in
its files than was selected (P1, P11 of the methods)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import elastic_models
import pytest
import torch
from elastic_models import Sizes, inputs_of, model_of
from safetensors.torch import load_file

from archsearch.elastic.axes import Kept
from archsearch.elastic.export import extract
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.saving import load
from archsearch.elastic.tensor_files import stored_tensors
from archsearch.errors import ElasticError

SIZES = Sizes(layers=3)
TIED = Sizes(layers=3, tied=True)

# Sub-networks, and the families whose own class can say them.
SUBS: dict[str, tuple[Kept, set[str]]] = {
    "half": ({"ffn": 6}, set(elastic_models.FAMILIES)),
    "layers": ({"layers": [0, 2], "ffn": 3}, set(elastic_models.FAMILIES)),
    "heads": ({"heads": 1}, set(elastic_models.FAMILIES) - {"gpt2", "bert"}),
    "mixed": ({"ffn.0": [1, 5, 7], "ffn.2": 4}, set()),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A super-network of every family on disk."""
    root = tmp_path_factory.mktemp("nets")
    for name in elastic_models.FAMILIES:
        MatFormer(model_of(name, TIED if name in ("llama", "gpt2", "bert") else SIZES), [1 / 2, 1]).save(root / name)
    return {name: root / name for name in elastic_models.FAMILIES}


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "archsearch.json").read_text())
    return found


@pytest.mark.parametrize("kind", SUBS)
@pytest.mark.parametrize("name", elastic_models.FAMILIES)
def test_the_checkpoint_is_the_sub_network(saved: dict[str, Path], tmp_path: Path, name: str, kind: str) -> None:
    sub, own = SUBS[kind]
    found = extract(saved[name], tmp_path / "out", sub, format="hf", verify=True)
    assert found.difference == 0
    assert report(tmp_path / "out")["verified"]["equal"]
    assert (tmp_path / "out" / "modeling_cut.py").exists() == (name not in own)
    # The files hold the parameters (and what else the model keeps), tied ones once, and nothing else.
    net = load(saved[name])
    small = net.extract(sub)
    assert found.parameters == sum(parameter.numel() for parameter in small.parameters())
    kept = load_file(tmp_path / "out" / "model.safetensors")
    state = small.state_dict()
    tied = net.cut(sub).rest({n: tuple(t.shape) for n, t in net.model.state_dict().items()}).tied
    assert kept.keys() == state.keys() - tied.keys()
    for key, tensor in kept.items():
        assert torch.equal(tensor, state[key]), key
    size = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert size - sum(t.numel() * t.element_size() for t in kept.values()) < 20_000


@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2", "vit"])
def test_in_half_the_bytes(saved: dict[str, Path], tmp_path: Path, name: str) -> None:
    extract(saved[name], tmp_path / "out", {"ffn": 6, "layers": 2}, format="hf", dtype="bf16", verify=True)
    assert {tensor.dtype for tensor in stored_tensors(tmp_path / "out").values()} == {"BF16"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


WITHOUT_ARCHSEARCH = """
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "archsearch": raise ImportError("archsearch is not to be imported")
sys.meta_path.insert(0, Blocked())
import torch, transformers
for out, auto, trust in {cases!r}:
    batch, expected = torch.load(out + ".pt")
    loading = dict(local_files_only=True, output_loading_info=True, trust_remote_code=trust)
    model, info = getattr(transformers, auto).from_pretrained(out, **loading)
    assert not any(info.values()), info
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch)[0], expected), out
    assert type(model).__module__.startswith("transformers_modules" if trust else "transformers.models"), type(model)
print("all equal")
"""


def test_transformers_loads_it_without_archsearch(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = []
    for name, auto in [
        ("llama", "AutoModelForCausalLM"),
        ("qwen2", "AutoModelForCausalLM"),
        ("gpt2", "AutoModelForCausalLM"),
        ("bert", "AutoModelForMaskedLM"),
        ("vit", "AutoModelForImageClassification"),
    ]:
        for kind in ("half", "mixed"):
            sub, own = SUBS[kind]
            out = tmp_path / f"{name}_{kind}"
            found = extract(saved[name], out, sub, format="hf")
            trust = name not in own
            assert (
                found.load == f"transformers.{auto}.from_pretrained({str(out)!r}{', trust_remote_code=True' * trust})"
            )
            net = load(saved[name])
            batch = inputs_of(net.model)
            with torch.no_grad():
                torch.save((batch, net(batch, sub)[0]), f"{out}.pt")
            cases.append((str(out), auto, trust))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    code = WITHOUT_ARCHSEARCH.format(cases=cases)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "all equal\n", done.stderr[-2000:]


def test_a_tokenizer_goes_along(saved: dict[str, Path], tmp_path: Path) -> None:
    for file in ("tokenizer.json", "special_tokens_map.json", "notes.md", "training.pt"):
        (saved["llama"] / file).write_text("{}")
    extract(saved["llama"], tmp_path / "out", {"ffn": 6}, format="hf")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "config.json",
        "archsearch.json",
        "generation_config.json",
        "tokenizer.json",
        "special_tokens_map.json",
    }


def test_files_of_a_size(saved: dict[str, Path], tmp_path: Path) -> None:
    found = extract(saved["llama"], tmp_path / "out", {"ffn": 6}, format="hf", verify=True, max_shard_size=3000)
    assert found.difference == 0
    assert len(list((tmp_path / "out").glob("model-*-of-*.safetensors"))) > 2


def test_a_user_s_own_model_is_verified_with_a_module(tmp_path: Path) -> None:
    from test_elastic_save import Gated, gated

    gated().save(tmp_path / "net")
    with pytest.raises(ElasticError, match="which is a class of your own: give a module of its shape"):
        extract(tmp_path / "net", tmp_path / "out", {"ffn": [0, 7, 9]}, verify=True)
    assert not (tmp_path / "out").exists()
    found = extract(tmp_path / "net", tmp_path / "out", {"ffn": [0, 7, 9]}, verify=True, model=Gated())
    assert found.difference == 0
    assert found.flops is None
