"""The axes of encoders of `transformers`: BERT and ViT."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from archsearch.elastic.axes import Axes, Axis
from archsearch.elastic.declare import axes, axis, layers
from archsearch.elastic.pretrained import Pretrained

# What stands on BERT: modules that take the channels, and those that give them on.
BERT_READERS = ("cls.predictions.transform.dense", "cls.predictions.decoder", "cls.seq_relationship", "classifier")
BERT_WRITERS = ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm")
VIT_READERS = ("classifier", "decoder.0")


def bert(model: nn.Module) -> Axes:
    """BERT: learned positions and token types, LayerNorm after every part, a pooler, and heads of several parts."""
    at = Pretrained(model)
    base, config, paths = at.base, at.config, at.layers("encoder.layer")
    readers, absent = (*BERT_READERS, "qa_outputs"), {}
    unknown = at.unknown((*readers, *BERT_WRITERS, "cls.predictions"))  # the last has a bias for each word
    if config.add_cross_attention:
        absent["heads"] = absent["width"] = "its cross-attention has heads and a width of the encoder's"
    elif unknown:
        absent["width"] = f"it is not known what of {', '.join(unknown)} belongs to a channel"

    def found() -> Iterator[Axis]:
        yield layers(model, f"{base}encoder.layer", config=["num_hidden_layers"])
        for i, layer in enumerate(paths):
            yield axis(
                model,
                f"ffn.{i}",
                config.intermediate_size,
                outputs=[f"{layer}.intermediate.dense"],
                inputs=[f"{layer}.output.dense"],
                config=["intermediate_size"],
                layer=layer,
            )
            if "heads" not in absent:
                attention = f"{layer}.attention.self"
                yield axis(
                    model,
                    f"heads.{i}",
                    config.num_attention_heads,
                    outputs=[f"{attention}.{name}" for name in ("query", "key", "value")],
                    inputs=[f"{layer}.attention.output.dense"],
                    counts=[f"{attention}.num_attention_heads", f"{attention}.all_head_size"],
                    config=["num_attention_heads"],
                    layer=layer,
                )
        if "width" not in absent:
            embeddings = [f"{base}embeddings.{name}_embeddings" for name in ("word", "position", "token_type")]
            pooler = at.present([f"{base}pooler.dense"])
            ends = [f"{layer}.{name}" for layer in paths for name in ("attention.output", "output")]
            reading = [f"{layer}.attention.self.{name}" for layer in paths for name in ("query", "key", "value")]
            yield axis(
                model,
                "width",
                config.hidden_size,
                outputs=[
                    *(*embeddings, f"{base}embeddings.LayerNorm"),
                    *(f"{end}.{name}" for end in ends for name in ("dense", "LayerNorm")),
                    *(*pooler, *at.present(BERT_WRITERS)),
                ],
                inputs=[*reading, *(f"{layer}.intermediate.dense" for layer in paths), *pooler, *at.present(readers)],
                config=["hidden_size"],
            )

    return axes(model, found(), absent)


def vit(model: nn.Module) -> Axes:
    """ViT: patches by a convolution, a class token, learned positions, LayerNorm before every part."""
    at = Pretrained(model)
    base, config, paths = at.base, at.config, at.layers("layers")
    fixed = {"head_dim": at.at(f"{paths[0]}.attention.head_dim")}
    unknown = at.unknown(VIT_READERS)

    def found() -> Iterator[Axis]:
        yield layers(model, f"{base}layers", config=["num_hidden_layers"])
        for i, layer in enumerate(paths):
            yield axis(
                model,
                f"ffn.{i}",
                config.intermediate_size,
                outputs=[f"{layer}.mlp.fc1"],
                inputs=[f"{layer}.mlp.fc2"],
                config=["intermediate_size"],
                layer=layer,
            )
            yield axis(
                model,
                f"heads.{i}",
                config.num_attention_heads,
                outputs=[f"{layer}.attention.{name}_proj" for name in "qkv"],
                inputs=[f"{layer}.attention.o_proj"],
                counts=[f"{layer}.attention.num_attention_heads"],
                config=["num_attention_heads"],
                fixed=fixed,
                layer=layer,
            )
        if not unknown:
            tokens = [f"{base}embeddings.{name}" for name in ("cls_token", "mask_token", "position_embeddings")]
            norms = [f"{layer}.layernorm_{name}" for layer in paths for name in ("before", "after")]
            writers = [f"{layer}.{name}" for layer in paths for name in ("attention.o_proj", "mlp.fc2")]
            readers = [f"{layer}.attention.{name}_proj" for layer in paths for name in "qkv"]
            readers += [f"{layer}.mlp.fc1" for layer in paths]
            yield axis(
                model,
                "width",
                config.hidden_size,
                outputs=[
                    *at.present(tokens),
                    f"{base}embeddings.patch_embeddings.projection",
                    *(*writers, *norms, f"{base}layernorm"),
                ],
                # The pooler's outputs have a size of their own, which stays.
                inputs=[*readers, *at.present([f"{base}pooler.dense", *VIT_READERS])],
                config=["hidden_size"],
                fixed=fixed,
            )

    absent = {"width": f"it is not known what of {', '.join(unknown)} belongs to a channel"} if unknown else {}
    return axes(model, found(), absent)
