"""Tiny models of every family that elastic knows, with random numbers in all of their tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

hf: Any = transformers  # its models and configurations are not typed


@dataclass(frozen=True)
class Sizes:
    """What the models of all families have; where a family has no groups of heads, all heads are groups."""

    layers: int = 2
    groups: int = 2
    per_group: int = 2
    head_dim: int = 4
    ffn: int = 12
    width: int = 16
    vocabulary: int = 29
    tied: bool = False


def decoder(config: Callable[..., Any], model: Callable[[Any], nn.Module], **more: Any) -> Callable[[Sizes], nn.Module]:
    """A maker of models that are configured as Llama is."""

    def make(sizes: Sizes) -> nn.Module:
        return model(
            config(
                vocab_size=sizes.vocabulary,
                hidden_size=sizes.width,
                intermediate_size=sizes.ffn,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.groups * sizes.per_group,
                num_key_value_heads=sizes.groups,
                head_dim=sizes.head_dim,
                max_position_embeddings=64,
                tie_word_embeddings=sizes.tied,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                **more,
            )
        )

    return make


def gpt2(model: Callable[[Any], nn.Module], **more: Any) -> Callable[[Sizes], nn.Module]:
    def make(sizes: Sizes) -> nn.Module:
        return model(
            hf.GPT2Config(
                vocab_size=sizes.vocabulary,
                n_embd=sizes.groups * sizes.head_dim,
                n_inner=sizes.ffn if sizes.ffn != 4 * sizes.groups * sizes.head_dim else None,
                n_layer=sizes.layers,
                n_head=sizes.groups,
                n_positions=64,
                tie_word_embeddings=sizes.tied,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                **more,
            )
        )

    return make


def bert(model: Callable[[Any], nn.Module], **more: Any) -> Callable[[Sizes], nn.Module]:
    def make(sizes: Sizes) -> nn.Module:
        return model(
            hf.BertConfig(
                vocab_size=sizes.vocabulary,
                hidden_size=sizes.groups * sizes.head_dim,
                intermediate_size=sizes.ffn,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.groups,
                max_position_embeddings=64,
                tie_word_embeddings=sizes.tied,
                pad_token_id=0,
                **more,
            )
        )

    return make


def vit(model: Callable[[Any], nn.Module]) -> Callable[[Sizes], nn.Module]:
    def make(sizes: Sizes) -> nn.Module:
        return model(
            hf.ViTConfig(
                hidden_size=sizes.groups * sizes.head_dim,
                intermediate_size=sizes.ffn,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.groups,
                image_size=8,
                patch_size=4,
                encoder_stride=4,
                num_channels=2,
                num_labels=5,
            )
        )

    return make


# The models of each family whose head is the usual one.
FAMILIES: dict[str, Callable[[Sizes], nn.Module]] = {
    "llama": decoder(hf.LlamaConfig, hf.LlamaForCausalLM, attention_bias=True, mlp_bias=True),
    "mistral": decoder(hf.MistralConfig, hf.MistralForCausalLM, sliding_window=5),
    "qwen2": decoder(
        hf.Qwen2Config, hf.Qwen2ForCausalLM, use_sliding_window=True, sliding_window=5, max_window_layers=1
    ),
    "qwen3": decoder(hf.Qwen3Config, hf.Qwen3ForCausalLM),
    "gemma": decoder(hf.GemmaConfig, hf.GemmaForCausalLM),
    "gemma2": decoder(hf.Gemma2Config, hf.Gemma2ForCausalLM, sliding_window=5),
    "phi3": decoder(hf.Phi3Config, hf.Phi3ForCausalLM),
    "gpt2": gpt2(hf.GPT2LMHeadModel),
    "bert": bert(hf.BertForMaskedLM),
    "vit": vit(hf.ViTForImageClassification),
}

# Base models, and other heads.
OTHERS: dict[str, Callable[[Sizes], nn.Module]] = {
    "llama base": decoder(hf.LlamaConfig, hf.LlamaModel),
    "llama classes": decoder(hf.LlamaConfig, hf.LlamaForSequenceClassification, num_labels=3),
    "llama spans": decoder(hf.LlamaConfig, hf.LlamaForQuestionAnswering),
    "qwen2 tokens": decoder(hf.Qwen2Config, hf.Qwen2ForTokenClassification, num_labels=3),
    "mistral base": decoder(hf.MistralConfig, hf.MistralModel),
    "phi3 base": decoder(hf.Phi3Config, hf.Phi3Model),
    "phi3 classes": decoder(hf.Phi3Config, hf.Phi3ForSequenceClassification, num_labels=3),
    "gpt2 base": gpt2(hf.GPT2Model),
    "gpt2 classes": gpt2(hf.GPT2ForSequenceClassification, num_labels=3),
    "gpt2 tokens": gpt2(hf.GPT2ForTokenClassification, num_labels=3),
    "gpt2 spans": gpt2(hf.GPT2ForQuestionAnswering),
    "gpt2 choices": gpt2(hf.GPT2DoubleHeadsModel, num_labels=1),
    "bert base": bert(hf.BertModel),
    "bert decoder": bert(hf.BertLMHeadModel, is_decoder=True),
    "bert classes": bert(hf.BertForSequenceClassification, num_labels=3),
    "bert tokens": bert(hf.BertForTokenClassification, num_labels=3),
    "bert spans": bert(hf.BertForQuestionAnswering),
    "bert pretraining": bert(hf.BertForPreTraining),
    "bert next sentence": bert(hf.BertForNextSentencePrediction),
    "vit base": vit(hf.ViTModel),
    "vit masked": vit(hf.ViTForMaskedImageModeling),
}


def model_of(name: str, sizes: Sizes = Sizes(), seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A model in evaluation mode whose weights, norms and biases are all random."""
    torch.manual_seed(seed)
    model = (FAMILIES.get(name) or OTHERS[name])(sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    return model.to(dtype).eval()


def inputs_of(model: nn.Module, seed: int = 0, batch: int = 2, length: int = 9) -> dict[str, torch.Tensor]:
    """A batch of what a model takes."""
    generator = torch.Generator().manual_seed(seed)
    config: Any = model.config
    if config.model_type == "vit":
        pixels = torch.randn(batch, config.num_channels, config.image_size, config.image_size, generator=generator)
        return {"pixel_values": pixels.to(next(model.parameters()).dtype)}
    return {"input_ids": torch.randint(3, config.vocab_size, (batch, length), generator=generator)}


def outputs_of(given: Any) -> list[torch.Tensor]:
    """The tensors among a model's outputs, in order, those of caches left out."""
    values = given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else [given]
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += outputs_of(value)
    return found
