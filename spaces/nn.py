"""The layers of torch.nn as descriptions.

Written by tools/generate_nn.py from torch 2.13.0, not by hand.

Each function has the parameters of torch's class. What the caller gives is kept; all else stays torch's default.
A size that follows from the input stands last, by keyword, and is inferred where it is not given; so is what
order the batch comes in. `device` and `dtype` are left out. Nothing here imports torch.

>>> Conv2d(16, 3, padding=1)
Conv2d(out_channels=16, kernel_size=3, padding=1)
"""

# mypy: disable-error-code="empty-body"
# ruff: noqa: N802, RUF022

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from archsearch.spaces.mirror import INFER, Bool, Float, Inferred, Int, Open, Str, always, layer
from archsearch.spaces.node import Node
from archsearch.spaces.nodes import Module
from archsearch.spaces.targets import second_features

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AlphaDropout",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "CELU",
    "ChannelShuffle",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineSimilarity",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "ELU",
    "Embedding",
    "EmbeddingBag",
    "FeatureAlphaDropout",
    "Flatten",
    "Fold",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "GELU",
    "GLU",
    "GRU",
    "GRUCell",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTM",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "PairwiseDistance",
    "PixelShuffle",
    "PixelUnshuffle",
    "RMSNorm",
    "RNN",
    "RNNCell",
    "RReLU",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "Zero",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


@layer("torch.nn:AdaptiveAvgPool1d")
def AdaptiveAvgPool1d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveAvgPool1d`."""


@layer("torch.nn:AdaptiveAvgPool2d")
def AdaptiveAvgPool2d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveAvgPool2d`."""


@layer("torch.nn:AdaptiveAvgPool3d")
def AdaptiveAvgPool3d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveAvgPool3d`."""


@layer("torch.nn:AdaptiveMaxPool1d")
def AdaptiveMaxPool1d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveMaxPool1d`."""


@layer("torch.nn:AdaptiveMaxPool2d")
def AdaptiveMaxPool2d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveMaxPool2d`."""


@layer("torch.nn:AdaptiveMaxPool3d")
def AdaptiveMaxPool3d(output_size: Int | tuple[Int | None, ...] | None) -> Module:
    """`torch.nn.AdaptiveMaxPool3d`."""


@layer("torch.nn:AlphaDropout")
def AlphaDropout(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.AlphaDropout`."""


@layer("torch.nn:AvgPool1d")
def AvgPool1d(
    kernel_size: Int | tuple[Int],
    stride: Int | tuple[Int] | None = None,
    padding: Int | tuple[Int] = 0,
    ceil_mode: Bool = False,
    count_include_pad: Bool = True,
) -> Module:
    """`torch.nn.AvgPool1d`."""


@layer("torch.nn:AvgPool2d")
def AvgPool2d(
    kernel_size: Int | tuple[Int, Int],
    stride: Int | tuple[Int, Int] | None = None,
    padding: Int | tuple[Int, Int] = 0,
    ceil_mode: Bool = False,
    count_include_pad: Bool = True,
    divisor_override: Int | None = None,
) -> Module:
    """`torch.nn.AvgPool2d`."""


@layer("torch.nn:AvgPool3d")
def AvgPool3d(
    kernel_size: Int | tuple[Int, Int, Int],
    stride: Int | tuple[Int, Int, Int] | None = None,
    padding: Int | tuple[Int, Int, Int] = 0,
    ceil_mode: Bool = False,
    count_include_pad: Bool = True,
    divisor_override: Int | None = None,
) -> Module:
    """`torch.nn.AvgPool3d`."""


@layer("torch.nn:BatchNorm1d", num_features="channels")
def BatchNorm1d(
    *,
    eps: Float = 1e-05,
    momentum: Float | None = 0.1,
    affine: Bool = True,
    track_running_stats: Bool = True,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.BatchNorm1d`."""


@layer("torch.nn:BatchNorm2d", num_features="channels")
def BatchNorm2d(
    *,
    eps: Float = 1e-05,
    momentum: Float | None = 0.1,
    affine: Bool = True,
    track_running_stats: Bool = True,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.BatchNorm2d`."""


@layer("torch.nn:BatchNorm3d", num_features="channels")
def BatchNorm3d(
    *,
    eps: Float = 1e-05,
    momentum: Float | None = 0.1,
    affine: Bool = True,
    track_running_stats: Bool = True,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.BatchNorm3d`."""


@layer("torch.nn:Bilinear", in1_features="features", in2_features=second_features)
def Bilinear(
    out_features: Int, bias: Bool = True, *, in1_features: Int | Inferred = INFER, in2_features: Int | Inferred = INFER
) -> Module:
    """`torch.nn.Bilinear`."""


@layer("torch.nn:CELU")
def CELU(alpha: Float = 1.0, inplace: Bool = False) -> Module:
    """`torch.nn.CELU`."""


@layer("torch.nn:ChannelShuffle")
def ChannelShuffle(groups: Int) -> Module:
    """`torch.nn.ChannelShuffle`."""


@layer("torch.nn:CircularPad1d")
def CircularPad1d(padding: Int | tuple[Int, Int]) -> Module:
    """`torch.nn.CircularPad1d`."""


@layer("torch.nn:CircularPad2d")
def CircularPad2d(padding: Int | tuple[Int, Int, Int, Int]) -> Module:
    """`torch.nn.CircularPad2d`."""


@layer("torch.nn:CircularPad3d")
def CircularPad3d(padding: Int | tuple[Int, Int, Int, Int, Int, Int]) -> Module:
    """`torch.nn.CircularPad3d`."""


@layer("torch.nn:ConstantPad1d")
def ConstantPad1d(padding: Int | tuple[Int, Int], value: Float) -> Module:
    """`torch.nn.ConstantPad1d`."""


@layer("torch.nn:ConstantPad2d")
def ConstantPad2d(padding: Int | tuple[Int, Int, Int, Int], value: Float) -> Module:
    """`torch.nn.ConstantPad2d`."""


@layer("torch.nn:ConstantPad3d")
def ConstantPad3d(padding: Int | tuple[Int, Int, Int, Int, Int, Int], value: Float) -> Module:
    """`torch.nn.ConstantPad3d`."""


@layer("torch.nn:Conv1d", in_channels="channels")
def Conv1d(
    out_channels: Int,
    kernel_size: Int | tuple[Int],
    stride: Int | tuple[Int] = 1,
    padding: Str | Int | tuple[Int] = 0,
    dilation: Int | tuple[Int] = 1,
    groups: Int = 1,
    bias: Bool = True,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.Conv1d`."""


@layer("torch.nn:Conv2d", in_channels="channels")
def Conv2d(
    out_channels: Int,
    kernel_size: Int | tuple[Int, Int],
    stride: Int | tuple[Int, Int] = 1,
    padding: Str | Int | tuple[Int, Int] = 0,
    dilation: Int | tuple[Int, Int] = 1,
    groups: Int = 1,
    bias: Bool = True,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.Conv2d`."""


@layer("torch.nn:Conv3d", in_channels="channels")
def Conv3d(
    out_channels: Int,
    kernel_size: Int | tuple[Int, Int, Int],
    stride: Int | tuple[Int, Int, Int] = 1,
    padding: Str | Int | tuple[Int, Int, Int] = 0,
    dilation: Int | tuple[Int, Int, Int] = 1,
    groups: Int = 1,
    bias: Bool = True,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.Conv3d`."""


@layer("torch.nn:ConvTranspose1d", in_channels="channels")
def ConvTranspose1d(
    out_channels: Int,
    kernel_size: Int | tuple[Int],
    stride: Int | tuple[Int] = 1,
    padding: Int | tuple[Int] = 0,
    output_padding: Int | tuple[Int] = 0,
    groups: Int = 1,
    bias: Bool = True,
    dilation: Int | tuple[Int] = 1,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.ConvTranspose1d`."""


@layer("torch.nn:ConvTranspose2d", in_channels="channels")
def ConvTranspose2d(
    out_channels: Int,
    kernel_size: Int | tuple[Int, Int],
    stride: Int | tuple[Int, Int] = 1,
    padding: Int | tuple[Int, Int] = 0,
    output_padding: Int | tuple[Int, Int] = 0,
    groups: Int = 1,
    bias: Bool = True,
    dilation: Int | tuple[Int, Int] = 1,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.ConvTranspose2d`."""


@layer("torch.nn:ConvTranspose3d", in_channels="channels")
def ConvTranspose3d(
    out_channels: Int,
    kernel_size: Int | tuple[Int, Int, Int],
    stride: Int | tuple[Int, Int, Int] = 1,
    padding: Int | tuple[Int, Int, Int] = 0,
    output_padding: Int | tuple[Int, Int, Int] = 0,
    groups: Int = 1,
    bias: Bool = True,
    dilation: Int | tuple[Int, Int, Int] = 1,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] | Open = "zeros",
    *,
    in_channels: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.ConvTranspose3d`."""


@layer("torch.nn:CosineSimilarity")
def CosineSimilarity(dim: Int = 1, eps: Float = 1e-08) -> Module:
    """`torch.nn.CosineSimilarity`."""


@layer("torch.nn:Dropout")
def Dropout(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.Dropout`."""


@layer("torch.nn:Dropout1d")
def Dropout1d(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.Dropout1d`."""


@layer("torch.nn:Dropout2d")
def Dropout2d(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.Dropout2d`."""


@layer("torch.nn:Dropout3d")
def Dropout3d(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.Dropout3d`."""


@layer("torch.nn:ELU")
def ELU(alpha: Float = 1.0, inplace: Bool = False) -> Module:
    """`torch.nn.ELU`."""


@layer("torch.nn:Embedding")
def Embedding(
    num_embeddings: Int,
    embedding_dim: Int,
    padding_idx: Int | None = None,
    max_norm: Float | None = None,
    norm_type: Float = 2.0,
    scale_grad_by_freq: Bool = False,
    sparse: Bool = False,
) -> Module:
    """`torch.nn.Embedding`."""


@layer("torch.nn:EmbeddingBag")
def EmbeddingBag(
    num_embeddings: Int,
    embedding_dim: Int,
    max_norm: Float | None = None,
    norm_type: Float = 2.0,
    scale_grad_by_freq: Bool = False,
    mode: Str = "mean",
    sparse: Bool = False,
    include_last_offset: Bool = False,
    padding_idx: Int | None = None,
) -> Module:
    """`torch.nn.EmbeddingBag`."""


@layer("torch.nn:FeatureAlphaDropout")
def FeatureAlphaDropout(p: Float = 0.5, inplace: Bool = False) -> Module:
    """`torch.nn.FeatureAlphaDropout`."""


@layer("torch.nn:Flatten")
def Flatten(start_dim: Int = 1, end_dim: Int = -1) -> Module:
    """`torch.nn.Flatten`."""


@layer("torch.nn:Fold")
def Fold(
    output_size: Int | tuple[Int, ...],
    kernel_size: Int | tuple[Int, ...],
    dilation: Int | tuple[Int, ...] = 1,
    padding: Int | tuple[Int, ...] = 0,
    stride: Int | tuple[Int, ...] = 1,
) -> Module:
    """`torch.nn.Fold`."""


@layer("torch.nn:FractionalMaxPool2d")
def FractionalMaxPool2d(
    kernel_size: Int | tuple[Int, Int],
    output_size: Int | tuple[Int, Int] | None = None,
    output_ratio: Float | tuple[Float, Float] | None = None,
) -> Module:
    """`torch.nn.FractionalMaxPool2d`."""


@layer("torch.nn:FractionalMaxPool3d")
def FractionalMaxPool3d(
    kernel_size: Int | tuple[Int, Int, Int],
    output_size: Int | tuple[Int, Int, Int] | None = None,
    output_ratio: Float | tuple[Float, Float, Float] | None = None,
) -> Module:
    """`torch.nn.FractionalMaxPool3d`."""


@layer("torch.nn:GELU")
def GELU(approximate: Str = "none") -> Module:
    """`torch.nn.GELU`."""


@layer("torch.nn:GLU")
def GLU(dim: Int = -1) -> Module:
    """`torch.nn.GLU`."""


@layer("archsearch.spaces.layers:GRU", input_size="features", batch_first=always)
def GRU(
    hidden_size: Int,
    num_layers: Int = 1,
    bias: Bool = True,
    dropout: Float = 0.0,
    bidirectional: Bool = False,
    *,
    input_size: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.GRU`, its sequence of outputs alone."""


@layer("torch.nn:GRUCell", input_size="features")
def GRUCell(hidden_size: Int, bias: Bool = True, *, input_size: Int | Inferred = INFER) -> Module:
    """`torch.nn.GRUCell`."""


@layer("torch.nn:GroupNorm", num_channels="channels")
def GroupNorm(
    num_groups: Int, *, eps: Float = 1e-05, affine: Bool = True, bias: Bool = True, num_channels: Int | Inferred = INFER
) -> Module:
    """`torch.nn.GroupNorm`."""


@layer("torch.nn:Hardshrink")
def Hardshrink(lambd: Float = 0.5) -> Module:
    """`torch.nn.Hardshrink`."""


@layer("torch.nn:Hardsigmoid")
def Hardsigmoid(inplace: Bool = False) -> Module:
    """`torch.nn.Hardsigmoid`."""


@layer("torch.nn:Hardswish")
def Hardswish(inplace: Bool = False) -> Module:
    """`torch.nn.Hardswish`."""


@layer("torch.nn:Hardtanh")
def Hardtanh(
    min_val: Float = -1.0,
    max_val: Float = 1.0,
    inplace: Bool = False,
    min_value: Float | None = None,
    max_value: Float | None = None,
) -> Module:
    """`torch.nn.Hardtanh`."""


@layer("torch.nn:Identity")
def Identity() -> Module:
    """`torch.nn.Identity`."""


@layer("torch.nn:InstanceNorm1d", num_features="channels")
def InstanceNorm1d(
    *,
    eps: Float = 1e-05,
    momentum: Float = 0.1,
    affine: Bool = False,
    track_running_stats: Bool = False,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.InstanceNorm1d`."""


@layer("torch.nn:InstanceNorm2d", num_features="channels")
def InstanceNorm2d(
    *,
    eps: Float = 1e-05,
    momentum: Float = 0.1,
    affine: Bool = False,
    track_running_stats: Bool = False,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.InstanceNorm2d`."""


@layer("torch.nn:InstanceNorm3d", num_features="channels")
def InstanceNorm3d(
    *,
    eps: Float = 1e-05,
    momentum: Float = 0.1,
    affine: Bool = False,
    track_running_stats: Bool = False,
    bias: Bool = True,
    num_features: Int | Inferred = INFER,
) -> Module:
    """`torch.nn.InstanceNorm3d`."""


@layer("torch.nn:LPPool1d")
def LPPool1d(
    norm_type: Float,
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.LPPool1d`."""


@layer("torch.nn:LPPool2d")
def LPPool2d(
    norm_type: Float,
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.LPPool2d`."""


@layer("torch.nn:LPPool3d")
def LPPool3d(
    norm_type: Float,
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.LPPool3d`."""


@layer("archsearch.spaces.layers:LSTM", input_size="features", batch_first=always)
def LSTM(
    hidden_size: Int,
    num_layers: Int = 1,
    bias: Bool = True,
    dropout: Float = 0.0,
    bidirectional: Bool = False,
    proj_size: Int = 0,
    *,
    input_size: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.LSTM`, its sequence of outputs alone."""


@layer("torch.nn:LayerNorm", normalized_shape="features")
def LayerNorm(
    *,
    eps: Float = 1e-05,
    elementwise_affine: Bool = True,
    bias: Bool = True,
    normalized_shape: Int | list[Int] | tuple[Int, ...] | Inferred = INFER,
) -> Module:
    """`torch.nn.LayerNorm`."""


@layer("torch.nn:LeakyReLU")
def LeakyReLU(negative_slope: Float = 0.01, inplace: Bool = False) -> Module:
    """`torch.nn.LeakyReLU`."""


@layer("torch.nn:Linear", in_features="features")
def Linear(out_features: Int, bias: Bool = True, *, in_features: Int | Inferred = INFER) -> Module:
    """`torch.nn.Linear`."""


@layer("torch.nn:LocalResponseNorm")
def LocalResponseNorm(size: Int, alpha: Float = 0.0001, beta: Float = 0.75, k: Float = 1.0) -> Module:
    """`torch.nn.LocalResponseNorm`."""


@layer("torch.nn:LogSigmoid")
def LogSigmoid() -> Module:
    """`torch.nn.LogSigmoid`."""


@layer("torch.nn:LogSoftmax")
def LogSoftmax(dim: Int | None = None) -> Module:
    """`torch.nn.LogSoftmax`."""


@layer("torch.nn:MaxPool1d")
def MaxPool1d(
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    padding: Int | tuple[Int, ...] = 0,
    dilation: Int | tuple[Int, ...] = 1,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.MaxPool1d`."""


@layer("torch.nn:MaxPool2d")
def MaxPool2d(
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    padding: Int | tuple[Int, ...] = 0,
    dilation: Int | tuple[Int, ...] = 1,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.MaxPool2d`."""


@layer("torch.nn:MaxPool3d")
def MaxPool3d(
    kernel_size: Int | tuple[Int, ...],
    stride: Int | tuple[Int, ...] | None = None,
    padding: Int | tuple[Int, ...] = 0,
    dilation: Int | tuple[Int, ...] = 1,
    ceil_mode: Bool = False,
) -> Module:
    """`torch.nn.MaxPool3d`."""


@layer("torch.nn:Mish")
def Mish(inplace: Bool = False) -> Module:
    """`torch.nn.Mish`."""


@layer("archsearch.spaces.layers:MultiheadAttention", embed_dim="features", batch_first=always)
def MultiheadAttention(
    num_heads: Int,
    dropout: Float = 0.0,
    bias: Bool = True,
    add_bias_kv: Bool = False,
    add_zero_attn: Bool = False,
    kdim: Int | None = None,
    vdim: Int | None = None,
    *,
    embed_dim: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.MultiheadAttention`, its output alone; of one input it is self-attention."""


@layer("torch.nn:PReLU")
def PReLU(num_parameters: Int = 1, init: Float = 0.25) -> Module:
    """`torch.nn.PReLU`."""


@layer("torch.nn:PairwiseDistance")
def PairwiseDistance(p: Float = 2.0, eps: Float = 1e-06, keepdim: Bool = False) -> Module:
    """`torch.nn.PairwiseDistance`."""


@layer("torch.nn:PixelShuffle")
def PixelShuffle(upscale_factor: Int) -> Module:
    """`torch.nn.PixelShuffle`."""


@layer("torch.nn:PixelUnshuffle")
def PixelUnshuffle(downscale_factor: Int) -> Module:
    """`torch.nn.PixelUnshuffle`."""


@layer("torch.nn:RMSNorm", normalized_shape="features")
def RMSNorm(
    *,
    eps: Float | None = None,
    elementwise_affine: Bool = True,
    normalized_shape: Int | list[Int] | tuple[Int, ...] | Inferred = INFER,
) -> Module:
    """`torch.nn.RMSNorm`."""


@layer("archsearch.spaces.layers:RNN", input_size="features", batch_first=always)
def RNN(
    hidden_size: Int,
    num_layers: Int = 1,
    bias: Bool = True,
    dropout: Float = 0.0,
    bidirectional: Bool = False,
    *,
    nonlinearity: Str = "tanh",
    input_size: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.RNN`, its sequence of outputs alone."""


@layer("torch.nn:RNNCell", input_size="features")
def RNNCell(
    hidden_size: Int, bias: Bool = True, nonlinearity: Str = "tanh", *, input_size: Int | Inferred = INFER
) -> Module:
    """`torch.nn.RNNCell`."""


@layer("torch.nn:RReLU")
def RReLU(lower: Float = 0.125, upper: Float = 0.3333333333333333, inplace: Bool = False) -> Module:
    """`torch.nn.RReLU`."""


@layer("torch.nn:ReLU")
def ReLU(inplace: Bool = False) -> Module:
    """`torch.nn.ReLU`."""


@layer("torch.nn:ReLU6")
def ReLU6(inplace: Bool = False) -> Module:
    """`torch.nn.ReLU6`."""


@layer("torch.nn:ReflectionPad1d")
def ReflectionPad1d(padding: Int | tuple[Int, Int]) -> Module:
    """`torch.nn.ReflectionPad1d`."""


@layer("torch.nn:ReflectionPad2d")
def ReflectionPad2d(padding: Int | tuple[Int, Int, Int, Int]) -> Module:
    """`torch.nn.ReflectionPad2d`."""


@layer("torch.nn:ReflectionPad3d")
def ReflectionPad3d(padding: Int | tuple[Int, Int, Int, Int, Int, Int]) -> Module:
    """`torch.nn.ReflectionPad3d`."""


@layer("torch.nn:ReplicationPad1d")
def ReplicationPad1d(padding: Int | tuple[Int, Int]) -> Module:
    """`torch.nn.ReplicationPad1d`."""


@layer("torch.nn:ReplicationPad2d")
def ReplicationPad2d(padding: Int | tuple[Int, Int, Int, Int]) -> Module:
    """`torch.nn.ReplicationPad2d`."""


@layer("torch.nn:ReplicationPad3d")
def ReplicationPad3d(padding: Int | tuple[Int, Int, Int, Int, Int, Int]) -> Module:
    """`torch.nn.ReplicationPad3d`."""


@layer("torch.nn:SELU")
def SELU(inplace: Bool = False) -> Module:
    """`torch.nn.SELU`."""


@layer("torch.nn:SiLU")
def SiLU(inplace: Bool = False) -> Module:
    """`torch.nn.SiLU`."""


@layer("torch.nn:Sigmoid")
def Sigmoid() -> Module:
    """`torch.nn.Sigmoid`."""


@layer("torch.nn:Softmax")
def Softmax(dim: Int | None = None) -> Module:
    """`torch.nn.Softmax`."""


@layer("torch.nn:Softmax2d")
def Softmax2d() -> Module:
    """`torch.nn.Softmax2d`."""


@layer("torch.nn:Softmin")
def Softmin(dim: Int | None = None) -> Module:
    """`torch.nn.Softmin`."""


@layer("torch.nn:Softplus")
def Softplus(beta: Float = 1.0, threshold: Float = 20.0) -> Module:
    """`torch.nn.Softplus`."""


@layer("torch.nn:Softshrink")
def Softshrink(lambd: Float = 0.5) -> Module:
    """`torch.nn.Softshrink`."""


@layer("torch.nn:Softsign")
def Softsign() -> Module:
    """`torch.nn.Softsign`."""


@layer("torch.nn:Tanh")
def Tanh() -> Module:
    """`torch.nn.Tanh`."""


@layer("torch.nn:Tanhshrink")
def Tanhshrink() -> Module:
    """`torch.nn.Tanhshrink`."""


@layer("torch.nn:Threshold")
def Threshold(threshold: Float, value: Float, inplace: Bool = False) -> Module:
    """`torch.nn.Threshold`."""


@layer("torch.nn:Transformer", d_model="features", batch_first=always)
def Transformer(
    nhead: Int = 8,
    num_encoder_layers: Int = 6,
    num_decoder_layers: Int = 6,
    dim_feedforward: Int = 2048,
    dropout: Float = 0.1,
    activation: Str | Callable[..., Any] = "relu",
    custom_encoder: Node | None = None,
    custom_decoder: Node | None = None,
    layer_norm_eps: Float = 1e-05,
    norm_first: Bool = False,
    bias: Bool = True,
    *,
    d_model: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.Transformer`."""


@layer("torch.nn:TransformerDecoder")
def TransformerDecoder(decoder_layer: Node, num_layers: Int, norm: Node | None = None) -> Module:
    """`torch.nn.TransformerDecoder`."""


@layer("torch.nn:TransformerDecoderLayer", d_model="features", batch_first=always)
def TransformerDecoderLayer(
    nhead: Int,
    dim_feedforward: Int = 2048,
    dropout: Float = 0.1,
    activation: Str | Callable[..., Any] = "relu",
    layer_norm_eps: Float = 1e-05,
    norm_first: Bool = False,
    bias: Bool = True,
    *,
    d_model: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.TransformerDecoderLayer`."""


@layer("torch.nn:TransformerEncoder")
def TransformerEncoder(
    encoder_layer: Node,
    num_layers: Int,
    norm: Node | None = None,
    enable_nested_tensor: Bool = True,
    mask_check: Bool = True,
) -> Module:
    """`torch.nn.TransformerEncoder`."""


@layer("torch.nn:TransformerEncoderLayer", d_model="features", batch_first=always)
def TransformerEncoderLayer(
    nhead: Int,
    dim_feedforward: Int = 2048,
    dropout: Float = 0.1,
    activation: Str | Callable[..., Any] = "relu",
    layer_norm_eps: Float = 1e-05,
    norm_first: Bool = False,
    bias: Bool = True,
    *,
    d_model: Int | Inferred = INFER,
    batch_first: Bool | Inferred = INFER,
) -> Module:
    """`torch.nn.TransformerEncoderLayer`."""


@layer("torch.nn:Unflatten")
def Unflatten(dim: Int, unflattened_size: tuple[Int, ...] | list[Int]) -> Module:
    """`torch.nn.Unflatten`."""


@layer("torch.nn:Unfold")
def Unfold(
    kernel_size: Int | tuple[Int, ...],
    dilation: Int | tuple[Int, ...] = 1,
    padding: Int | tuple[Int, ...] = 0,
    stride: Int | tuple[Int, ...] = 1,
) -> Module:
    """`torch.nn.Unfold`."""


@layer("torch.nn:Upsample")
def Upsample(
    size: Int | tuple[Int, ...] | None = None,
    scale_factor: Float | tuple[Float, ...] | None = None,
    mode: Str = "nearest",
    align_corners: Bool | None = None,
    recompute_scale_factor: Bool | None = None,
) -> Module:
    """`torch.nn.Upsample`."""


@layer("torch.nn:UpsamplingBilinear2d")
def UpsamplingBilinear2d(
    size: Int | tuple[Int, Int] | None = None, scale_factor: Float | tuple[Float, Float] | None = None
) -> Module:
    """`torch.nn.UpsamplingBilinear2d`."""


@layer("torch.nn:UpsamplingNearest2d")
def UpsamplingNearest2d(
    size: Int | tuple[Int, Int] | None = None, scale_factor: Float | tuple[Float, Float] | None = None
) -> Module:
    """`torch.nn.UpsamplingNearest2d`."""


@layer("archsearch.spaces.layers:Zero")
def Zero() -> Module:
    """Zeros of the input's shape."""


@layer("torch.nn:ZeroPad1d")
def ZeroPad1d(padding: Int | tuple[Int, Int]) -> Module:
    """`torch.nn.ZeroPad1d`."""


@layer("torch.nn:ZeroPad2d")
def ZeroPad2d(padding: Int | tuple[Int, Int, Int, Int]) -> Module:
    """`torch.nn.ZeroPad2d`."""


@layer("torch.nn:ZeroPad3d")
def ZeroPad3d(padding: Int | tuple[Int, Int, Int, Int, Int, Int]) -> Module:
    """`torch.nn.ZeroPad3d`."""
