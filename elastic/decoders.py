"""The axes of decoders of `transformers`: Llama and what has its layout, Phi-3, GPT-2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from archsearch.elastic.axes import Axes, Axis, Count
from archsearch.elastic.declare import Blocks, axes, axis, layers
from archsearch.elastic.pretrained import Pretrained

# The linear layers that stand on a decoder, by their names in the models for language, classes, tokens and spans.
HEADS = ("lm_head", "score", "classifier", "qa_outputs", "multiple_choice_head.summary")


def llama(model: nn.Module) -> Axes:
    """Llama, Mistral, Qwen2, Qwen3, Gemma, Gemma 2: gated feed-forward, grouped-query attention, RMSNorm."""
    at = Pretrained(model)
    base, config, paths = at.base, at.config, at.layers("layers")
    fixed = {"head_dim": at.at(f"{paths[0]}.self_attn.head_dim")}
    absent: dict[str, str] = {}
    if at.at(f"{base}embed_tokens.embed_scale") is not None:
        absent["width"] = "its embeddings are scaled by the root of the whole width"
    elif at.unknown(HEADS):
        absent["width"] = f"it is not known what of {', '.join(at.unknown(HEADS))} belongs to a channel"

    def found() -> Iterator[Axis]:
        yield layers(model, f"{base}layers", config=["num_hidden_layers"], lists=["layer_types"])
        for i, layer in enumerate(paths):
            yield axis(
                model,
                f"ffn.{i}",
                config.intermediate_size,
                outputs=[f"{layer}.mlp.gate_proj", f"{layer}.mlp.up_proj"],
                inputs=[f"{layer}.mlp.down_proj"],
                counts=[f"{layer}.mlp.intermediate_size"],
                config=["intermediate_size"],
                layer=layer,
            )
            yield axis(
                model,
                f"heads.{i}",
                config.num_key_value_heads,
                outputs=[f"{layer}.self_attn.{name}_proj" for name in "qkv"],
                inputs=[f"{layer}.self_attn.o_proj"],
                counts=at.present(f"{layer}.self_attn.num_{name}heads" for name in ("", "attention_", "key_value_")),
                config=["num_attention_heads", "num_key_value_heads"],
                fixed=fixed,
                layer=layer,
            )
        if not absent:
            norms = [f"{layer}.{name}_layernorm" for layer in paths for name in ("input", "post_attention")]
            writers = [f"{layer}.{name}" for layer in paths for name in ("self_attn.o_proj", "mlp.down_proj")]
            readers = [f"{layer}.self_attn.{name}_proj" for layer in paths for name in "qkv"]
            readers += [f"{layer}.mlp.{name}_proj" for layer in paths for name in ("gate", "up")]
            yield axis(
                model,
                "width",
                config.hidden_size,
                outputs=[f"{base}embed_tokens", *writers, *norms, f"{base}norm"],
                inputs=[*readers, *at.present(HEADS)],
                counts=at.present(f"{layer}.{name}hidden_size" for layer in paths for name in ("", "mlp.")),
                config=["hidden_size"],
                fixed=fixed,
            )

    return axes(model, found(), absent)


def phi3(model: nn.Module) -> Axes:
    """Phi-3: as Llama, with queries, keys and values in one matrix, and the gate and what it gates in another."""
    at = Pretrained(model)
    base, config, paths = at.base, at.config, at.layers("layers")
    fixed = {"head_dim": at.at(f"{paths[0]}.self_attn.head_dim")}
    queries, shared = (fixed["head_dim"] * n for n in (config.num_attention_heads, config.num_key_value_heads))
    unknown = at.unknown(HEADS)

    def found() -> Iterator[Axis]:
        yield layers(model, f"{base}layers", config=["num_hidden_layers"], lists=["layer_types"])
        for i, layer in enumerate(paths):
            yield axis(
                model,
                f"ffn.{i}",
                config.intermediate_size,
                outputs=[Blocks(f"{layer}.mlp.gate_up_proj", 2)],
                inputs=[f"{layer}.mlp.down_proj"],
                config=["intermediate_size"],
                layer=layer,
            )
        # One axis for all layers: the attention asks the configuration, which they share, how many heads it has.
        yield axis(
            model,
            "heads",
            config.num_key_value_heads,
            outputs=[Blocks(f"{layer}.self_attn.qkv_proj", (queries, shared, shared)) for layer in paths],
            inputs=[f"{layer}.self_attn.o_proj" for layer in paths],
            counts=[f"{layer}.self_attn.num_key_value_heads" for layer in paths],
            config=["num_attention_heads", "num_key_value_heads"],
            fixed=fixed,
        )
        if not unknown:
            norms = [f"{layer}.{name}_layernorm" for layer in paths for name in ("input", "post_attention")]
            writers = [f"{layer}.{name}" for layer in paths for name in ("self_attn.o_proj", "mlp.down_proj")]
            readers = [f"{layer}.{name}" for layer in paths for name in ("self_attn.qkv_proj", "mlp.gate_up_proj")]
            yield axis(
                model,
                "width",
                config.hidden_size,
                outputs=[f"{base}embed_tokens", *writers, *norms, f"{base}norm"],
                inputs=[*readers, *at.present(HEADS)],
                counts=[f"{layer}.hidden_size" for layer in paths],
                config=["hidden_size"],
                fixed=fixed,
            )

    absent = {"width": f"it is not known what of {', '.join(unknown)} belongs to a channel"} if unknown else {}
    return axes(model, found(), absent)


def gpt2(model: nn.Module) -> Axes:
    """GPT-2: learned positions, LayerNorm, transposed linear layers, queries, keys and values in one of them."""
    at = Pretrained(model)
    base, config, paths = at.base, at.config, at.layers("h")
    absent = {}
    if config.scale_attn_by_inverse_layer_idx:
        absent["layers"] = "the attention of every layer is scaled by the index of the layer"
    if config.add_cross_attention:
        absent["heads"] = absent["width"] = "its cross-attention has heads and a width of the encoder's"
    elif at.unknown(HEADS):
        absent["width"] = f"it is not known what of {', '.join(at.unknown(HEADS))} belongs to a channel"

    def found() -> Iterator[Axis]:
        if "layers" not in absent:
            yield layers(model, f"{base}h", config=["n_layer"])
        for i, layer in enumerate(paths):
            ffn = axis(
                model,
                f"ffn.{i}",
                at.at(f"{layer}.mlp.c_fc").nf,
                outputs=[f"{layer}.mlp.c_fc"],
                inputs=[f"{layer}.mlp.c_proj"],
                layer=layer,
            )
            yield replace(ffn, config=(Count("n_inner"),))  # None in the configuration of the usual 4 widths
            if "heads" not in absent:
                yield axis(
                    model,
                    f"heads.{i}",
                    config.n_head,
                    outputs=[Blocks(f"{layer}.attn.c_attn", 3)],
                    inputs=[f"{layer}.attn.c_proj"],
                    counts=[f"{layer}.attn.num_heads", f"{layer}.attn.split_size"],
                    config=["n_head"],
                    layer=layer,
                )
        if "width" not in absent:
            norms = [f"{layer}.{name}" for layer in paths for name in ("ln_1", "ln_2")]
            yield axis(
                model,
                "width",
                config.n_embd,
                outputs=[
                    *(f"{base}{name}" for name in ("wte", "wpe", "ln_f")),
                    *(f"{layer}.{name}.c_proj" for layer in paths for name in ("attn", "mlp")),
                    *norms,
                ],
                inputs=[*(f"{layer}.{n}" for layer in paths for n in ("attn.c_attn", "mlp.c_fc")), *at.present(HEADS)],
                counts=[f"{base}embed_dim", *(f"{layer}.attn.embed_dim" for layer in paths)],
                config=["n_embd"],
            )

    return axes(model, found(), absent)
