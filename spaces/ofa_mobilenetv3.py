"""The MobileNetV3 of Once-for-All (Cai, Gan, Wang, Zhang, Han 2020, "Once-for-All: Train One Network and Specialize it
for Efficient Deployment", arXiv:1908.09791).

Five units of 2, 3 or 4 inverted bottlenecks, each with its own kernel and expansion, between the stem and the head of
MobileNetV3-Large (Howard et al. 2019, arXiv:1905.02244): ((3*3)^2 + (3*3)^3 + (3*3)^4)^5 = 7371^5, about 2.18e19
architectures. The paper runs every one of them at any of 25 resolutions: `space(resolutions=RESOLUTIONS)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.errors import SpaceError
from archsearch.spaces import nn
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Module, Repeat, Residual, Scope, Sequential, Value
from archsearch.spaces.space import Space
from archsearch.spaces.values import input

RESOLUTIONS = tuple(range(128, 225, 4))

# Of the stem with the first block, of the five units, and of the two last layers before the classifier.
WIDTHS = (16, 24, 40, 80, 112, 160, 960, 1280)

# Of each unit: stride of the first layer, activation, squeeze-and-excitation.
UNITS = (
    (2, nn.ReLU(), False),
    (2, nn.ReLU(), True),
    (2, nn.Hardswish(), False),
    (1, nn.Hardswish(), True),
    (2, nn.Hardswish(), True),
)


def bottleneck(
    width: int, stride: int, act: Module, squeeze: bool, kernel: int | Value = 3, expansion: Value | None = None
) -> Sequential:
    """An inverted bottleneck (Sandler et al. 2018, arXiv:1801.04381); without expansion, its first block's."""
    wide = None
    if expansion is not None:
        wide = Sequential(conv=nn.Conv2d(expansion * input.channels, 1, bias=False), bn=nn.BatchNorm2d(), act=act)
    depthwise = nn.Conv2d(input.channels, kernel, stride=stride, padding=kernel // 2, groups=input.channels, bias=False)
    gate = module("archsearch.spaces.ofa_mobilenetv3_layers:SqueezeExcite") if squeeze else None
    return Sequential(
        expand=wide,
        depthwise=Sequential(conv=depthwise, bn=nn.BatchNorm2d(), act=act, se=gate),
        project=Sequential(conv=nn.Conv2d(width, 1, bias=False), bn=nn.BatchNorm2d()),
    )


def unit(
    width: int,
    stride: int,
    act: Module,
    squeeze: bool,
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
) -> Scope:
    """`depth` layers: the first strides and widens, the others have a shortcut."""
    kernel, expansion = Choice(list(kernels), name="kernel"), Choice(list(expansions), name="expansion")
    first = bottleneck(width, stride, act, squeeze, kernel, expansion)
    other = Residual(bottleneck(width, 1, act, squeeze, kernel, expansion), project=None)
    more = Repeat(Scope(other, "kernel", "expansion"), Choice(list(depths), name="depth") - 1)
    return Scope(Sequential(first=Scope(first, "kernel", "expansion"), more=more), "depth")


def space(
    classes: int = 1000,
    resolutions: Sequence[int] = (224,),
    widths: Sequence[int] = WIDTHS,
    depths: Sequence[int] = (2, 3, 4),
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (3, 4, 6),
) -> Space:
    """The space; 21,758,655,492,572,485,851 architectures by default.

    Args:
        classes: outputs of the classifier.
        resolutions: one side of the square image. Where there are several, it is decided, and images of the largest
            are brought to it by the model's first module, so that FLOPs are those of the resolution.
        widths: channels, as in `WIDTHS`.
        depths, kernels, expansions: what is decided for each unit, and for each of its layers.

    Raises:
        SpaceError: there are not 8 widths.
    """
    if len(widths) != len(WIDTHS):
        raise SpaceError(f"ofa_mobilenetv3 takes {len(WIDTHS)} widths, but got {len(widths)}: {tuple(widths)}")
    first, *middle, last, features = widths
    units = [unit(width, *kind, depths, kernels, expansions) for width, kind in zip(middle, UNITS, strict=True)]
    resize = None
    if len(resolutions) > 1:
        size = Choice(list(resolutions), name="resolution")
        resize = module("torch.nn.functional:interpolate", size=size, mode="bilinear", antialias=True)
    model = Sequential(
        resize=resize,
        stem=Sequential(
            conv=nn.Conv2d(first, 3, stride=2, padding=1, bias=False), bn=nn.BatchNorm2d(), act=nn.Hardswish()
        ),
        block=Residual(bottleneck(first, 1, nn.ReLU(), squeeze=False), project=None),
        units=Sequential(*units),
        head=Sequential(
            expand=Sequential(conv=nn.Conv2d(last, 1, bias=False), bn=nn.BatchNorm2d(), act=nn.Hardswish()),
            pool=nn.AdaptiveAvgPool2d(1),
            mix=Sequential(conv=nn.Conv2d(features, 1, bias=False), act=nn.Hardswish()),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.1),
            classifier=nn.Linear(classes),
        ),
    )
    side = max(resolutions)
    return Space(model, input_shape=(3, side, side))
