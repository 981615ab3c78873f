"""`archsearch extract`: what the flags name is cut out; what cannot be cut is one line, and leaves no folder."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import archsearch as A
from archsearch.cli import main
from archsearch.elastic.export import extract
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.saving import load
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.table import measured
from archsearch.elastic.tensor_files import stored_tensors
from archsearch.elastic.transformer import Transformer, TransformerConfig
from archsearch.trial import TrialRecord


def matformer(seed: int = 0) -> MatFormer:
    torch.manual_seed(seed)
    config = TransformerConfig(vocabulary=32, context=8, width=16, layers=3, heads=2, head_dim=8, hidden=32)
    return MatFormer(Transformer(config).eval(), [1 / 4, 1 / 2, 1])


@pytest.fixture
def net(tmp_path: Path) -> Path:
    matformer().save(tmp_path / "net")
    return tmp_path / "net"


def score(trial: A.Trial) -> dict[str, float]:
    return {"score": -abs(trial.arch.parameters - 5000)}


@pytest.fixture
def record(tmp_path: Path, net: Path) -> Path:
    """A study of ten trials; more parameters are better, up to 5,000."""
    space = load(net).space()
    A.Study(space, score, objective="score", store=str(tmp_path / "runs.db"), name="sizes", seed=1).run(trials=10)
    return tmp_path / "runs.db"


def report(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "archsearch.json").read_text())
    return found


def failed(words: list[str], capsys: pytest.CaptureFixture[str], out: Path) -> str:
    """The one line that a command ends with, where it leaves nothing behind."""
    before = set(out.parent.iterdir())
    assert main(["extract", *words, "--out", str(out)]) in (1, 2)
    assert set(out.parent.iterdir()) == before
    said = capsys.readouterr()
    assert said.err.startswith("archsearch: ")
    assert said.err.count("\n") == 1
    return said.err


def test_a_granularity(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["extract", str(net), "--granularity", "1/2", "--out", str(out), "--verify"]) == 0
    said = capsys.readouterr().out
    assert "granularity 1/2" in said
    assert "equal bit for bit" in said
    small = matformer().extract(1 / 2)
    number = sum(p.numel() for p in small.parameters())
    assert report(out)["parameters"] == number
    assert report(out)["granularity"] == "1/2"
    found = load_file(out / "model.safetensors")
    assert sum(t.numel() for t in found.values()) == number
    for name, tensor in found.items():
        assert torch.equal(tensor, small.state_dict()[name]), name


def test_the_largest_within_a_budget(net: Path, tmp_path: Path) -> None:
    sizes = sorted({arch.parameters for arch in matformer().space().enumerate()})
    for budget in (sizes[0], sizes[2] + 1, sizes[-1]):
        out = tmp_path / f"out{budget}"
        assert main(["extract", str(net), "--max-parameters", str(budget), "--out", str(out)]) == 0
        assert report(out)["parameters"] == max(size for size in sizes if size <= budget)


def test_the_best_measured_within_a_budget(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = TransformerConfig(vocabulary=32, context=8, width=16, layers=4, heads=2, head_dim=8, hidden=32)
    net = SortedNet(Transformer(config).eval(), layers=[2, 4], ffn=[1 / 4, 1])
    net.save(tmp_path / "net")
    # Two whole layers are better than four narrow ones.
    table = measured(net, lambda arch: {"loss": float(arch.values["layers"]) - 10 * arch.values["ffn"]})
    table.save(tmp_path / "net" / "table.json")
    assert main(["extract", str(tmp_path / "net"), "--max-parameters", "1M", "--out", str(tmp_path / "out")]) == 0
    assert report(tmp_path / "out")["kept"] == {"layers": 2}
    net.save(tmp_path / "net")  # other weights, perhaps: what was measured does not hold for them
    assert main(["extract", str(tmp_path / "net"), "--max-parameters", "1M", "--out", str(tmp_path / "all")]) == 0
    assert report(tmp_path / "all")["kept"] == {}


def test_a_trial_and_the_best_of_a_study(record: Path, tmp_path: Path) -> None:
    net = load(tmp_path / "net")
    study = A.Study(net.space(), score, objective="score", store=str(record), name="sizes", seed=1)
    best = study.best
    assert isinstance(best, TrialRecord)
    assert main(["extract", str(record), "--out", str(tmp_path / "best"), "--verify"]) == 0
    assert report(tmp_path / "best")["parameters"] == best.arch.parameters
    for trial in study.trials[:3]:
        out = tmp_path / f"trial{trial.number}"
        assert main(["extract", str(record), "--trial", str(trial.number), "--out", str(out)]) == 0
        small = net.extract(trial.arch)
        for name, tensor in load_file(out / "model.safetensors").items():
            assert torch.equal(tensor, small.state_dict()[name]), name
    least = min(trial.arch.parameters for trial in study.trials)
    assert main(["extract", str(record), "--max-parameters", str(least), "--out", str(tmp_path / "least")]) == 0
    assert report(tmp_path / "least")["parameters"] == least


def test_a_super_network_may_move(record: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net.rename(tmp_path / "elsewhere")
    assert "give --supernet DIR" in failed([str(record)], capsys, tmp_path / "out")
    assert (
        main(["extract", str(record), "--supernet", str(tmp_path / "elsewhere"), "--out", str(tmp_path / "out")]) == 0
    )
    # The study goes on, too, and knows the new place from then on.
    space = load(tmp_path / "elsewhere").space()
    study = A.Study(space, lambda _: {"score": 0.0}, objective="score", store=str(record), name="sizes", seed=1)
    study.run(trials=11)
    assert main(["extract", str(record), "--trial", "10", "--out", str(tmp_path / "again")]) == 0


def test_other_weights_than_the_study_s_are_said(
    record: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", str(record), "--out", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().err == ""
    matformer(seed=1).save(net)
    assert main(["extract", str(record), "--out", str(tmp_path / "two")]) == 0
    assert "has other weights than when study 'sizes' ran" in capsys.readouterr().err


def test_a_study_on_some_sub_networks(net: Path, tmp_path: Path) -> None:
    space = load(net).space()
    pool = A.Pool(space, [arch for arch in space.enumerate() if arch.parameters < 5000])
    A.Study(pool, score, objective="score", store=str(tmp_path / "runs.db"), name="some").run(trials=3)
    assert main(["extract", str(tmp_path / "runs.db"), "--out", str(tmp_path / "out")]) == 0
    assert isinstance(number := report(tmp_path / "out")["parameters"], int)
    assert number < 5000


def test_the_project_s_own_model_needs_no_archsearch(net: Path, tmp_path: Path) -> None:
    sub: dict[str, int | list[int]] = {"ffn.0": [1, 5, 30], "ffn.1": 16}
    extract(net, tmp_path / "out", sub, verify=True)
    readme = (tmp_path / "out" / "README.md").read_text()
    code = readme.split("```python\n")[1].split("```")[0]
    torch.save(matformer()(torch.arange(8)[None], sub), tmp_path / "expected")
    code = (
        f"{BLOCKED}\n{code}\nassert torch.equal(net(torch.arange(8)[None]), torch.load({str(tmp_path / 'expected')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "archsearch": raise ImportError("archsearch is not to be imported")
sys.meta_path.insert(0, Blocked())
"""


def test_an_out_that_exists_is_left_as_it_is(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    assert "exists already" in failed([str(net), "--granularity", "1/2"], capsys, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-parameters", "10"], "no sub-network fits a budget of 10: the smallest costs 4"),
        (["--max-flops", "10"], "no sub-network fits a budget of 10: the smallest costs"),
        (["--granularity", "1/3"], "has 32 units, of which 1/3 would be 10.6667; nearest: 5/16 (10 units) or 11/32"),
        (["--granularity", "2.5"], "a granularity is a share in (0, 1]"),
        (["--granularity", "half"], "expected a share such as 1/2, but got 'half'"),
        (["--max-parameters", "many"], "expected a number such as 5M, 800k or 2e6, but got 'many'"),
        (["--max-parameters", "5M", "--max-flops", "1G"], "not both"),
        (["--max-parameters", "5M", "--granularity", "1/2"], "say which sub-network"),
        ([], "say which sub-network"),
        (["--trial", "3"], "--trial is of a study's record"),
        (["--granularity", "1/2", "--format", "hf"], "needs a model of transformers"),
        (["--granularity", "1/2", "--format", "onnx"], "no 'onnx'; there is safetensors, hf"),
    ],
)
def test_what_cannot_be_cut(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in failed([str(net), *words], capsys, tmp_path / "out")


def truncate(net: Path) -> str:
    file = net / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return "model.safetensors is truncated"


def truncate_header(net: Path) -> str:
    file = net / "model.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    return "model.safetensors is truncated"


def empty(net: Path) -> str:
    (net / "model.safetensors").write_bytes(b"")
    return "model.safetensors is no safetensors file, or is truncated"


def garble(net: Path) -> str:
    file = net / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:9] + b"\xff{{" + content[12:])
    return "model.safetensors is corrupt"


def overlap(net: Path) -> str:
    file = net / "model.safetensors"
    name = next(iter(stored_tensors(net)))
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"data_offsets":[0,', b'"data_offsets":[4,', 1))
    assert name
    return "model.safetensors is corrupt: its header puts"


def no_axes(net: Path) -> str:
    (net / "archsearch.json").unlink()
    return "is a checkpoint without axes"


def other_axes(net: Path) -> str:
    file = net / "archsearch.json"
    file.write_text(file.read_text().replace('"units": 32', '"units": 16', 1))
    return "archsearch.json is corrupt"


def no_json(net: Path) -> str:
    (net / "archsearch.json").write_text("{")
    return "archsearch.json cannot be read"


def newer(net: Path) -> str:
    file = net / "archsearch.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2', 1))
    return "has format 2, and this archsearch reads 1"


def pickled(net: Path) -> str:
    (net / "model.safetensors").unlink()
    (net / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    return "may be a pickle"


def a_tensor_less(net: Path) -> str:
    from safetensors.torch import save_file

    tensors = load_file(net / "model.safetensors")
    name = next(iter(tensors))
    del tensors[name]
    save_file(tensors, net / "model.safetensors")
    return f"hold no {name}"


@pytest.mark.parametrize(
    "harm",
    [truncate, truncate_header, empty, garble, overlap, no_axes, other_axes, no_json, newer, pickled, a_tensor_less],
)
def test_a_damaged_folder(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: object) -> None:
    said = harm(net)  # type: ignore[operator]
    assert said in failed([str(net), "--granularity", "1/2"], capsys, tmp_path / "out")
    with pytest.raises(A.ElasticError) as raised:
        load(net)
    assert said in str(raised.value)


def test_what_is_no_super_network(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = ["--granularity", "1/2"]
    assert "there is no " in failed([str(tmp_path / "nothing"), *half], capsys, tmp_path / "out")
    (tmp_path / "model.pt").write_bytes(pickle.dumps({}))
    assert "may be a pickle" in failed([str(tmp_path / "model.pt"), *half], capsys, tmp_path / "out")
    (tmp_path / "notes.txt").write_text("notes")
    assert "is a file" in failed([str(tmp_path / "notes.txt"), *half], capsys, tmp_path / "out")
    extract(net, tmp_path / "small", 1 / 2)
    assert "holds sub-network" in failed([str(tmp_path / "small"), *half], capsys, tmp_path / "out")


def test_what_no_study_has(record: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert "has no trial 99; it has 10, from 0" in failed([str(record), "--trial", "99"], capsys, out)
    assert "has no study 'size'; did you mean 'sizes'?" in failed([str(record), "--name", "size"], capsys, out)
    assert "no finished trial" in failed([str(record), "--max-parameters", "10"], capsys, out)
    assert "--granularity is of a super-network's folder" in failed([str(record), "--granularity", "1"], capsys, out)
    other = tmp_path / "other"
    SortedNet(matformer().model, ffn=[1 / 2, 1]).save(other)
    load(other).axes  # noqa: B018 - it is a super-network, of the same axes
    A.Study(
        A.Space({"x": A.Integer(1, 9)}), lambda t: {"y": 1.0}, objective="y", store=str(tmp_path / "x.db"), name="x"
    ).run(1)
    assert "is not on the sub-networks of a super-network" in failed([str(tmp_path / "x.db")], capsys, out)


def test_a_mismatch_leaves_nothing(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from archsearch.elastic import streaming

    honest = streaming.converted
    monkeypatch.setattr(streaming, "converted", lambda block, part: memoryview(bytearray(honest(block, part))[::-1]))
    assert "verify: outputs differ by up to" in failed(
        [str(net), "--granularity", "1/2", "--verify"], capsys, tmp_path / "out"
    )
