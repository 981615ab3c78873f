"""Consistency of sub-networks: a model agrees with itself, and what is computed is what the definitions say."""

from __future__ import annotations

import math

import pytest
import torch
from test_elastic_evaluate import batches
from test_elastic_space import matformer_of, transformer

from archsearch.elastic.consistency import agree_gen, agreement, continuation
from archsearch.elastic.evaluate import Evaluate
from archsearch.elastic.matformer import MatFormer
from archsearch.errors import ElasticError


@pytest.fixture(scope="module")
def net() -> MatFormer:
    torch.manual_seed(0)
    net = matformer_of([1 / 4, 1 / 2, 1])
    for parameter in net.parameters():
        parameter.data *= 4  # so that sub-networks disagree
    return net


def test_a_model_agrees_with_itself(net: MatFormer) -> None:
    for one, other in (((net, None), (net, 1.0)), ((net, 1 / 4), net.extract(1 / 4).train())):
        assert agreement(one, other, batches()) == {"agree_tf": 1.0, "kl_fwd": 0.0, "kl_rev": 0.0}
        assert agree_gen(one, other, batches()[2][:, :2], 4) == 1.0


def test_divergences_by_their_definition(net: MatFormer) -> None:
    found = agreement((net, None), (net, 1 / 4), batches())
    tokens = torch.cat(batches())
    with torch.no_grad():
        p, q = (net.eval()(tokens, sub)[:, :-1].flatten(0, 1).double().softmax(-1) for sub in (None, 1 / 4))
    assert found["kl_fwd"] == pytest.approx(float((p * (p / q).log()).sum(-1).mean()))
    assert found["kl_rev"] == pytest.approx(float((q * (q / p).log()).sum(-1).mean()))
    assert found["agree_tf"] == float((p.argmax(-1) == q.argmax(-1)).double().mean()) < 1
    back = agreement((net, 1 / 4), (net, None), batches())
    assert back == pytest.approx({"agree_tf": found["agree_tf"], "kl_fwd": found["kl_rev"], "kl_rev": found["kl_fwd"]})


def test_positions_without_a_target_do_not_count(net: MatFormer) -> None:
    tokens = batches()[2]
    targets = tokens.clone()
    targets[:, 3:] = -100
    cut = agreement((net, None), (net, 1 / 2), [(tokens, targets)])
    assert cut == pytest.approx(agreement((net, None), (net, 1 / 2), [(tokens[:, :3], tokens[:, :3])]))
    with pytest.raises(ElasticError, match="something to predict"):
        agreement((net, None), (net, 1 / 2), [(tokens, torch.full_like(tokens, -100))])


def test_a_continuation_is_greedy(net: MatFormer) -> None:
    prompts = batches()[2][:, :3]
    found = continuation((net, 1 / 2), prompts, 3)
    tokens = torch.cat([prompts, found], 1)
    with torch.no_grad():
        logits = net.eval()(tokens, 1 / 2)
    assert torch.equal(logits[:, 2:-1].argmax(-1), found)


def test_agreement_in_generation_is_of_each_models_own_text(net: MatFormer) -> None:
    prompts = batches()[2][:, :3]
    one, other = continuation((net, None), prompts, 3), continuation((net, 1 / 4), prompts, 3)
    expected = sum(a == b for a, b in zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)) / 9
    assert agree_gen((net, None), (net, 1 / 4), prompts, 3) == pytest.approx(expected)
    assert net.training is False


def test_perplexity_is_exp_of_the_loss() -> None:
    """A model that knows nothing has the vocabulary's size as its perplexity, at every granularity by itself."""
    model = transformer()
    for parameter in model.parameters():
        parameter.data.zero_()
    net = matformer_of()
    net.model.load_state_dict(model.state_dict())
    evaluate = Evaluate(net, batches())
    for sub in (1 / 8, 1 / 2, 1.0):
        assert math.exp(evaluate.of(sub)["loss"]) == pytest.approx(20)
