"""Training super-networks: against plain loops of torch, against gradients by autograd, and across interruptions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from elastic_models import Sizes, inputs_of, model_of
from torch import nn

from archsearch.elastic import checkpoint as checkpoints
from archsearch.elastic.batches import numbered
from archsearch.elastic.losses import cross_entropy, default_loss, divergence, logits_of
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.elastic.optimizer import AdamW
from archsearch.elastic.sampling import Joint, Sampled, Sandwich, SoFT, combinations, stream
from archsearch.elastic.shared import Shared
from archsearch.elastic.soft import Exits
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.sorting import permute
from archsearch.elastic.training import cosine, train
from archsearch.elastic.transformer import Transformer, TransformerConfig
from archsearch.errors import ElasticError

ONLY_THE_LAST = Sampled(probabilities=(0, 0, 0, 1))


def own(dropout: float = 0.0, seed: int = 0, dtype: torch.dtype = torch.float32) -> MatFormer:
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        width=16, layers=3, heads=2, head_dim=8, hidden=32, vocabulary=19, context=16, dropout=dropout, gated=True
    )
    return MatFormer(Transformer(sizes).to(dtype))


def tokens(number: int) -> torch.Tensor:
    return torch.randint(19, (2, 8), generator=torch.Generator().manual_seed(number))


def next_token(logits: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == its and torch.equal(value, twin) for (name, value), (its, twin) in pairs)


class Recorder(torch.optim.Optimizer):
    """An optimiser that keeps the gradients it gets, and moves nothing."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net.parameters(), {"lr": 1.0})
        self.seen: list[list[torch.Tensor]] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        params = self.param_groups[0]["params"]
        self.seen.append([torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in params])


def gradients(net: Elastic, batches: Any = tokens, **given: Any) -> list[torch.Tensor]:
    """What one step of the trainer hands to the optimiser."""
    recorder = Recorder(net)
    train(net, batches, steps=1, optimizer=recorder, clip=None, **given)
    return recorder.seen[0]


def by_autograd(net: Elastic, subs: Sequence[SubNetwork], batches: Sequence[Any]) -> list[torch.Tensor]:
    """The same of separate passes of `net(x, sub)`, added up."""
    net.zero_grad()
    net.train()
    for sub, batch in zip(subs, batches, strict=True):
        default_loss(net(batch, sub), batch).backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.parameters()]


@pytest.mark.parametrize("idle", ["decay", "freeze", "scale"])
def test_the_largest_alone_is_plain_training_bit_for_bit(idle: str) -> None:
    net = own(dropout=0.1)
    model = copy.deepcopy(net.model)
    torch.manual_seed(1)
    train(net, tokens, steps=20, mode=ONLY_THE_LAST, optimizer=AdamW(net, 1e-2, idle=idle), schedule=cosine(20))  # type: ignore[arg-type]
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(20))
    for step in range(20):
        optimizer.zero_grad()
        batch = tokens(step)
        next_token(model(batch), batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    assert equal(net.model, model)


def test_the_largest_alone_is_plain_training_of_a_model_of_transformers() -> None:
    net = MatFormer(model_of("llama", Sizes(ffn=16)))
    model = copy.deepcopy(net.model)
    batches = [{"input_ids": ids, "labels": ids} for ids in (inputs_of(model, i)["input_ids"] for i in range(20))]
    history = train(net, batches, steps=20, mode=ONLY_THE_LAST)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for batch, step in zip(batches, history, strict=True):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        assert step.losses == (loss.item(),)
        assert step.norm == norm.item()
    assert equal(net.model, model)


@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3", "bert", "vit"])
def test_gradients_of_parts_are_autograds(name: str) -> None:
    """Fused and transposed matrices too, and units that are not the first ones, under both ways to run."""
    net = MatFormer(model_of(name, Sizes(ffn=16)), heads=[1 / 2, 1])
    batch: Any = inputs_of(net.model)
    cuts = [
        net.cut(sub) for sub in (1 / 2, {"ffn.0": [0, 3, 4, 9], "heads": [1]}, {"layers": 1} if name != "vit" else 1)
    ]
    shared = Shared(net)
    net.train()
    for cut in cuts:
        net.zero_grad()
        torch.manual_seed(0)  # of dropout
        logits_of(net(batch, cut)).square().sum().backward()
        expected = {n: p.grad for n, p in net.model.named_parameters() if p.grad is not None}
        net.zero_grad()
        torch.manual_seed(0)
        logits_of(shared.module(cut)(**batch)).square().sum().backward()
        shared.gather([cut])
        found = {n: p.grad for n, p in net.model.named_parameters() if p.grad is not None}
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[n], expected[n]) for n in found)
        shared.clear([cut])
    assert all(p.grad is None for p in net.parameters())
    assert not any(buffer.any() for buffer in shared._buffers.values())


def test_joint_is_the_sum_of_separate_passes_and_the_mean_a_share_of_it() -> None:
    net = own(dtype=torch.float64)
    added, averaged = gradients(net, mode="joint"), gradients(net, mode=Joint(mean=True))
    expected = by_autograd(net, combinations(net)[::-1], [tokens(0)] * 4)
    assert all(torch.equal(g, e) for g, e in zip(added, expected, strict=True))
    for g, e in zip(averaged, expected, strict=True):
        torch.testing.assert_close(4 * g, e, rtol=1e-12, atol=1e-15)


def test_draws_can_share_a_batch_or_have_their_own() -> None:
    net = own(dtype=torch.float64)
    cuts = combinations(net)
    gradients(net, mode="joint")  # of which nothing may be left
    for own_batch, batches in ((False, [tokens(0)] * 4), (True, [tokens(i) for i in range(4)])):
        found = gradients(net, mode=Sampled(draws=4, own_batch=own_batch))
        for g, e in zip(found, by_autograd(net, cuts, batches), strict=True):
            torch.testing.assert_close(4 * g, e, rtol=1e-12, atol=1e-15)


def test_accumulated_batches_are_one_large_batch() -> None:
    net = own(dtype=torch.float64)
    small = Sampled(subs=[1 / 4])
    found = gradients(net, mode=small, accumulate=2)
    large = gradients(net, lambda i: torch.cat([tokens(2 * i), tokens(2 * i + 1)]), mode=small)
    for g, e in zip(found, large, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-12, atol=1e-15)


def test_a_layer_that_never_runs_stays_as_it_is() -> None:
    torch.manual_seed(0)
    net = SortedNet(own().model, layers=[1, 2, 3], ffn=[1 / 2, 1])
    before = copy.deepcopy(net.model.state_dict())
    small = {"layers": 2, "ffn": 16}
    train(net, tokens, steps=5, mode=Sampled(subs=[small]), optimizer=AdamW(net, 1e-2, idle="freeze"))
    cut = net.cut(small)
    for name, value in net.model.state_dict().items():
        idle = torch.ones_like(value, dtype=torch.bool)
        if cut.name(name) is not None and name in dict(net.model.named_parameters(remove_duplicate=False)):
            cut.take(name, idle).fill_(False)
        assert torch.equal(value[idle], before[name][idle])
        assert idle.all() or not torch.equal(value[~idle], before[name][~idle])


def test_training_a_part_is_training_the_part() -> None:
    """With units frozen, a sub-network trains inside the super-network as it does on its own."""
    net = own(dtype=torch.float64)
    alone = Sampled(subs=[1 / 4])
    model = net.extract(1 / 4)
    train(net, tokens, steps=10, mode=alone, optimizer=AdamW(net, 1e-2, idle="freeze"))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(10):
        optimizer.zero_grad()
        next_token(model(tokens(step)), tokens(step)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for p, q in zip(net.extract(1 / 4).parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["sampled", "joint", "sandwich", Sampled(draws=2, per_layer=True), SoFT([1, 3])])
@pytest.mark.parametrize("idle", ["decay", "freeze", "scale"])
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, mode: Any, idle: Any) -> None:
    def run(net: MatFormer, batches: Any, steps: int, **given: Any) -> list[Any]:
        optimizer = AdamW(net, 1e-2, idle=idle)
        found: list[Any] = train(
            net, batches, steps=steps, mode=mode, optimizer=optimizer, schedule=cosine(9), seed=3, **given
        )
        return [*found, optimizer]

    whole, stopped, again = own(0.1), own(0.1), own(0.1, seed=9)
    torch.manual_seed(5)
    *history, optimizer = run(whole, tokens, 9)

    def until_five(number: int) -> torch.Tensor:
        if number == 5:
            raise KeyboardInterrupt
        return tokens(number)

    torch.manual_seed(5)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, until_five, 9, checkpoint=tmp_path, every=2)
    torch.manual_seed(6)
    *rest, its = run(again, [tokens(i) for i in range(9)], 9, checkpoint=tmp_path)
    assert [step.step for step in rest] == [4, 5, 6, 7, 8]
    assert [step.losses for step in rest] == [step.losses for step in history[4:]]
    assert equal(whole, again)
    for p, q in zip(whole.parameters(), again.parameters(), strict=True):
        assert optimizer.state[p].keys() == its.state[q].keys()
        for key, value in optimizer.state[p].items():
            assert (
                torch.equal(value, its.state[q][key]) if isinstance(value, torch.Tensor) else value == its.state[q][key]
            )
    assert run(again, tokens, 9, checkpoint=tmp_path)[:-1] == []
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.NAME]


def test_a_checkpoint_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.write(tmp_path, {"step": 1})

    def half(state: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.write(tmp_path, {"step": 2})
    assert checkpoints.read(tmp_path) == {"step": 1}
    assert len(list(tmp_path.iterdir())) == 1


class Trap:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (pytest.fail, ("code of a checkpoint was run",))


@pytest.mark.parametrize("bad", ["text", "cut short", "code", "something else"])
def test_bad_checkpoints(tmp_path: Path, bad: str) -> None:
    path = tmp_path / checkpoints.NAME
    checkpoints.write(tmp_path, {"step": 1, "net": torch.zeros(1000)})
    if bad == "text":
        path.write_text("no checkpoint")
    elif bad == "cut short":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        torch.save({"step": Trap()} if bad == "code" else [1, 2], path)
    with pytest.raises(ElasticError, match="is not a checkpoint of archsearch's training, or is damaged"):
        train(own(), tokens, steps=2, checkpoint=tmp_path)


def test_a_checkpoint_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ElasticError, match=r"expected a folder, but .*file is a file"):
        train(own(), tokens, steps=2, checkpoint=tmp_path / "file")


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(own(), tokens, steps=2, checkpoint=tmp_path)
    for given in ({"seed": 1}, {"mode": "joint"}, {"accumulate": 2}):
        with pytest.raises(ElasticError, match="of a run with other"):
            train(own(), tokens, steps=4, checkpoint=tmp_path, **given)
    other = Transformer(TransformerConfig(width=16, layers=3, heads=2, head_dim=8, hidden=32, vocabulary=20))
    with pytest.raises(ElasticError, match="does not fit this model"):
        train(MatFormer(other), tokens, steps=4, checkpoint=tmp_path)


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral", "gemma", "phi3", "gpt2", "own"])
def test_exits_are_the_truncated_models(name: str) -> None:
    if name == "own":
        net: Elastic = SortedNet(own().model.eval(), layers=[1, 2, 3])
        batch: Any = tokens(0)
    else:
        net = SortedNet(model_of(name, Sizes(layers=3)), layers=[1, 2, 3])
        batch = inputs_of(net.model)
    module = Exits(net.model, net.axes, [1, 2, 3])
    found = module(**batch) if isinstance(batch, dict) else module(batch)
    for depth, output in zip([1, 2, 3], found, strict=True):
        expected = net(batch, {"layers": depth})
        assert torch.equal(logits_of(output), logits_of(expected))
        assert torch.equal(default_loss(output, batch), default_loss(expected, batch))


def test_soft_is_the_mean_over_all_depths() -> None:
    net = SortedNet(own(dtype=torch.float64).model, layers=[1, 2, 3])
    found = gradients(net, mode=SoFT())
    for g, e in zip(found, by_autograd(net, [{"layers": n} for n in (1, 2, 3)], [tokens(0)] * 3), strict=True):
        torch.testing.assert_close(3 * g, e, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("tail", [("norm", "head"), lambda model, x: model.head(model.norm(x))])
def test_soft_of_a_model_of_no_known_family_is_told_what_follows_the_layers(tail: Any) -> None:
    known, other = own(), own()
    other.model.load_state_dict(known.model.state_dict())
    other.model.config = None  # type: ignore[assignment]  # the family goes by it
    with pytest.raises(ElasticError, match=r"not known .* give SoFT\(tail="):
        train(other, tokens, steps=1, mode=SoFT([1, 3]))
    train(known, tokens, steps=2, mode=SoFT([1, 3]))
    train(other, tokens, steps=2, mode=SoFT([1, 3], tail=tail))
    for (name, a), (_, b) in zip(known.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_exits_of_layers_that_are_kept_in_their_own_order() -> None:
    net = own()
    permute(net, {"layers": [0, 1, 2]})
    train(net, tokens, steps=1, mode=SoFT([1, 3]))
    permute(net, {"layers": [0, 2, 1]})
    with pytest.raises(ElasticError, match=r"kept in the order \[0, 2, 1\]"):
        train(net, tokens, steps=1, mode=SoFT([1, 3]))


def test_an_exit_can_have_a_head_of_its_own(tmp_path: Path) -> None:
    net = own()
    head = nn.Linear(16, 19, bias=False)
    net.exits = nn.ModuleDict({"1": head})
    before = head.weight.clone()
    train(net, tokens, steps=2, mode=SoFT([1, 3], heads=net.exits), checkpoint=tmp_path)
    assert not torch.equal(head.weight, before)
    assert "exits.1.weight" in torch.load(tmp_path / checkpoints.NAME, weights_only=True)["net"]


@pytest.mark.parametrize("mode", ["joint", "sandwich", Sampled(probabilities=(1, 0, 0, 0))])
def test_the_others_learn_from_the_largest(mode: Any) -> None:
    net = own(dtype=torch.float64)
    found = gradients(net, mode=mode, distill=0.25)
    plan: Any = mode if isinstance(mode, Sampled) else {"joint": Joint(), "sandwich": Sandwich()}[mode]
    passes = [this.cut for this in plan.plan(net).draw(stream(0, 0))]
    batch = tokens(0)
    teacher = net(batch).detach()
    net.zero_grad()
    for cut in passes:
        logits = net(batch, cut)
        loss = next_token(logits, batch)
        if cut.key != net.cut(None).key:
            p = teacher.softmax(-1)
            kl = (p * (p.log() - logits.log_softmax(-1))).sum(-1).mean()
            loss = 0.75 * loss + 0.25 * kl
        loss.backward()
    for g, p in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(g, torch.zeros_like(g) if p.grad is None else p.grad, rtol=1e-5, atol=1e-7)


def test_divergence_is_of_the_teacher_from_the_student() -> None:
    teacher, student = torch.tensor([[2.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 0.0]], requires_grad=True)
    p = 1 / (1 + torch.e**-2)
    loss = divergence(teacher, student)
    loss.backward()
    assert loss.item() == pytest.approx(p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p)), rel=1e-5)
    assert teacher.grad is None
    assert divergence(student, student).item() == pytest.approx(0, abs=1e-7)


def test_the_loss_follows_from_the_batch() -> None:
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    shifted = cross_entropy(logits[:, :4], ids[:, 1:])
    assert torch.equal(default_loss(logits, ids), shifted)
    assert torch.equal(default_loss(logits, {"input_ids": ids}), shifted)
    assert torch.equal(default_loss((logits,), {"input_ids": ids + 1, "labels": ids}), shifted)
    assert torch.equal(default_loss(logits, (ids, ids)), cross_entropy(logits, ids))
    assert torch.equal(default_loss(logits[:, 0], (None, ids[:, 0])), cross_entropy(logits[:, 0], ids[:, 0]))
    masked = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    expected = cross_entropy(torch.cat([logits[0, :4], logits[1, :2]]), torch.cat([ids[0, 1:], ids[1, 1:3]]))
    found = default_loss(logits, {"input_ids": ids, "attention_mask": masked})
    torch.testing.assert_close(found, expected)
    for batch in (torch.randn(2, 5), (ids, ids[:, :3]), {"x": ids}, "text"):
        with pytest.raises(ElasticError, match="otherwise give loss="):
            default_loss(logits, batch)
    with pytest.raises(ElasticError, match="expected logits"):
        logits_of({"a": 1})


def test_batches_of_an_iterable_come_again() -> None:
    supply = numbered([1, 2, 3], 4)
    assert [next(supply) for _ in range(4)] == [2, 3, 1, 2]
    with pytest.raises(ElasticError, match="there are none"):
        list(numbered(iter([1, 2]), 0))


def test_bfloat16_is_near_and_leaves_the_weights_as_they_are() -> None:
    exact, rough = own(), own()
    losses = [train(net, tokens, steps=3, precision=p)[-1].losses for net, p in ((exact, None), (rough, "bf16"))]  # type: ignore[arg-type]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert {p.dtype for p in rough.parameters()} == {torch.float32}


def test_training_mode_is_given_back_and_progress_is_shown_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    net = own().eval()
    train(net, tokens, steps=2)
    assert not net.training
    assert capsys.readouterr().err == ""
    train(net, tokens, steps=2, progress=True)
    assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": -1}, "steps >= 0"),
        ({"steps": 2.5}, "expected integers steps >= 0"),
        ({"optimizer": "adam"}, "expected one of torch's or AdamW"),
        ({"batches": torch.zeros(2, 3)}, "of a single batch make a list"),
        ({"batches": "text"}, "of a single batch make a list"),
        ({"batches": 3}, "of a single batch make a list"),
        ({"net": nn.Linear(2, 2)}, r"a super-network such as MatFormer\(model\), but got Linear"),
        ({"accumulate": 0}, "accumulate >= 1"),
        ({"every": 0}, "every >= 1"),
        ({"distill": 2}, r"share of the loss in \[0, 1\], but got 2"),
        ({"clip": 0}, "clip is a positive norm"),
        ({"precision": "fp8"}, "expected None or \"bf16\", but got 'fp8'"),
        ({"mode": "all"}, "sampled, joint, sandwich"),
        ({"mode": Sampled(per_layer=True), "compile": True}, "no graph that serves all steps"),
        ({"mode": Sampled(probabilities=(1, 1))}, "expected 4 of them"),
        ({"mode": Sampled(draws=0)}, "at least one draw"),
        ({"mode": Sampled(subs=[1], per_layer=True)}, "not from subs"),
        ({"mode": Sampled(subs=[])}, "but got none"),
        ({"mode": Sandwich(random=3)}, "there are 4 sub-networks"),
        ({"mode": SoFT()}, r"depths=\[2, 4, 6\]"),
        ({"mode": SoFT([2, 1])}, "from 1 to 3, ascending"),
        ({"loss": lambda output, batch: output}, "wants .mean()"),
        ({"loss": lambda output, batch: 1.0}, "one number"),
    ],
)
def test_errors_say_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ElasticError, match=message):
        train(**{"net": own(), "batches": tokens, "steps": 2, **given})


def test_as_many_graphs_are_compiled_as_there_are_granularities(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than torch's limit. They are traced as ever, but run as they are: making machine code takes minutes."""
    torch._dynamo.reset()
    traced: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(len(inputs))
        return graph.forward

    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **given: compiler(module, backend=backend, **given))
    granularities = [*range(2, 20, 2), 32]
    nets = [MatFormer(own().model, granularities) for _ in range(2)]
    history = train(nets[0], tokens, steps=3, mode="joint", compile=True)
    expected = train(nets[1], tokens, steps=3, mode="joint")
    assert len(traced) == len(granularities) == 10
    assert [step.losses for step in history] == [pytest.approx(step.losses, rel=1e-5) for step in expected]
