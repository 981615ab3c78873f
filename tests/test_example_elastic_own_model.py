"""examples/elastic_own_model.py: its axes are right for every one of its models, and it runs to the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from archsearch.elastic.sortednet import SortedNet
from archsearch.loading import load

EXAMPLE = Path(__file__).parents[1] / "examples" / "elastic_own_model.py"


def test_every_model_in_it_runs_as_it_is_cut_out() -> None:
    net = load(EXAMPLE)["super_network"]()
    assert isinstance(net, SortedNet)
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    archs = list(net.space().enumerate())
    assert len(archs) == 60
    for arch in archs:
        model = net.extract(arch)
        assert torch.equal(model(x), net(x, arch))
        assert arch.parameters == sum(p.numel() for p in model.parameters())


def test_it_trains_and_cuts_the_best_within_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    load(EXAMPLE, {"STEPS": 40})["main"]()
    said = capsys.readouterr().out
    sizes = [int(text.replace(",", "")) for text in re.findall(r"([\d,]+) parameters, test", said)]
    assert len(sizes) == 2
    assert sizes[1] <= 4000 < sizes[0]
    assert float(re.findall(r"accuracy ([\d.]+)%", said)[0]) > 50
