"""A folder is cut in slices: what is written is what a cut takes in memory, and memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from archsearch.elastic import streaming
from archsearch.elastic.axes import Axes, Axis, Layers, Run
from archsearch.elastic.cut import Cut
from archsearch.elastic.streaming import cut_folder
from archsearch.elastic.tensor_files import stored_tensors

# Three layers: rows, columns, both blocks of a fused matrix, a middle dimension, a vector, and what no axis governs.
SHAPES = {"up": (12, 5), "down": (5, 12), "fused": (24, 3), "mid": (2, 12, 3), "bias": (12,), "norm": (5,), "scale": ()}
AXES = Axes(
    [
        Layers("layers", "layers", 3, path="layers"),
        *(
            Axis(
                f"ffn.{i}",
                "ffn",
                6,
                f"layers.{i}",
                (
                    Run(f"layers.{i}.up", 0, 2),
                    Run(f"layers.{i}.down", 1, 2),
                    Run(f"layers.{i}.fused", 0, 2),
                    Run(f"layers.{i}.fused", 0, 2, 12),
                    Run(f"layers.{i}.mid", 1, 2),
                    Run(f"layers.{i}.bias", 0, 2),
                ),
            )
            for i in range(3)
        ),
        Axis(
            "width",
            "width",
            5,
            "",
            tuple(Run(f"layers.{i}.{n}", d) for i in range(3) for n, d in [("up", 1), ("down", 0), ("norm", 0)]),
        ),
    ],
    {"head": "embedding"},
)


def tensors(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {f"layers.{i}.{name}": torch.randn(shape) for i in range(3) for name, shape in SHAPES.items()}
    made = {name: (100 * tensor).to(dtype) for name, tensor in made.items()}
    return {**made, "embedding": torch.randn(4, 3), "steps": torch.tensor([1, 2], dtype=torch.int64)}


def units(n: int) -> st.SearchStrategy[int | list[int]]:
    return st.integers(1, n) | st.sets(st.integers(0, n - 1), min_size=1).map(sorted)


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    kept: dict[str, int | list[int]] = {"layers": draw(units(3)), "width": draw(units(5))}
    stay = AXES.by_name["layers"].kept(kept["layers"])
    return Cut.of(AXES, kept | {f"ffn.{i}": draw(units(6)) for i in stay})


@given(
    cut=cuts(),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64, torch.uint8]),
    window=st.sampled_from([1, 40, 1 << 20]),
    shard=st.sampled_from([1, 300, 10**9]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_what_the_cut_takes(cut: Cut, dtype: torch.dtype, window: int, shard: int) -> None:
    source = tensors(dtype)
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "WINDOW", window)
        patch.setattr(streaming, "PIECE", max(8, window))
        folder, out = Path(root, "in"), Path(root, "out")
        folder.mkdir()
        out.mkdir()
        save_file(source, folder / "model.safetensors")
        parts = cut_folder(folder, cut, out, max_shard_size=shard)
        expected = cut.tensors(source)
        found = {name: t for file in out.glob("*.safetensors") for name, t in load_file(file).items()}
        assert found.keys() == expected.keys() == parts.keys() == stored_tensors(out).keys()
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor), name
        size = sum(file.stat().st_size for file in out.glob("*.safetensors"))
        assert size - sum(t.numel() * t.element_size() for t in expected.values()) < 300 * len(expected)


@pytest.mark.parametrize("name", streaming.DTYPES)
def test_numbers_are_converted_as_torch_does(tmp_path: Path, name: str) -> None:
    source = tensors(torch.float32)
    save_file(source, tmp_path / "model.safetensors")
    (tmp_path / "out").mkdir()
    cut = Cut.of(AXES, {"ffn.1": [0, 3, 4], "width": 3})
    cut_folder(tmp_path, cut, tmp_path / "out", name)
    dtype = streaming.TORCH[streaming.DTYPES[name]]
    for key, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
        expected = cut.take(key, source[key])
        assert torch.equal(tensor, expected.to(dtype) if expected.is_floating_point() else expected), key


CUT_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from archsearch.elastic.streaming import cut_folder
from archsearch.elastic.axes import Axes, Axis, Run
from archsearch.elastic.cut import Cut

axes = Axes([Axis("ffn", "ffn", 64, "", (Run("up", 0, 1024), Run("down", 1, 1024)))])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
limit = 2**30 + int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
cut_folder(Path(sys.argv[1]), Cut.of(axes, {"ffn": 1}), Path(sys.argv[2]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process by /proc and setrlimit")
def test_ten_gigabytes_are_cut_in_little_memory(tmp_path: Path) -> None:
    """The file is sparse: it takes no room on the disk, and reads as zeros. No tensor would fit into the limit."""
    (tmp_path / "out").mkdir()
    rows, columns = 65536, 40960  # 5 GB each in 16 bits
    size = rows * columns * 2
    header = json.dumps(
        {
            "up": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, size]},
            "down": {"dtype": "BF16", "shape": [columns, rows], "data_offsets": [size, 2 * size]},
        }
    ).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2 * size)
    script = [sys.executable, "-c", CUT_IN_LITTLE_MEMORY, str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150, "MB over what Python and torch took"
    assert stored_tensors(tmp_path / "out")["down"].shape == (columns, rows // 64)
