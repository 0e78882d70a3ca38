"""A BERT-like encoder from the local folder of a Hugging Face model; own code, no package.

`config.json` says the sizes and `model.safetensors` or `pytorch_model.bin` holds the weights; the
names are those of BertModel and RobertaModel. After "BERT: Pre-training of Deep Bidirectional
Transformers" (Devlin and others, 2018); the layers are post-norm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from engines.bundle import TextSpec
from engines.encoder.letters import known_letters
from engines.encoder.weights import load_weights, read_weights
from engines.error import EngineError
from engines.fusion.mask import masked

FILES = ("model.safetensors", "pytorch_model.bin")
# Of the body's names: not those of a pooler, a language model, or positions that are 0, 1, 2 ...
IGNORED = ("pooler.", "cls.", "lm_head.", "embeddings.position_ids")
PREFIXES = ("bert.", "roberta.")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": nn.functional.gelu,
    "gelu_new": partial(nn.functional.gelu, approximate="tanh"),
    "relu": torch.relu,
}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What of `config.json` counts."""

    model_type: Literal["bert", "roberta", "xlm-roberta"]
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    hidden_act: Literal["gelu", "gelu_new", "relu"] = "gelu"
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    position_embedding_type: Literal["absolute"] = "absolute"

    @property
    def first_position(self) -> int:
        """RoBERTa counts positions from the one after its padding."""
        return 0 if self.model_type == "bert" else self.pad_token_id + 1


class TextHuggingFace(nn.Module):
    """Ids plus one, int32 (B, length), zero is padding, to tokens (B, 2, D): first and mean.

    Raises EngineError for a folder that lacks something or that another kind of model wrote.
    """

    TOKENS = 2

    def __init__(self, spec: TextSpec, width: int, folder: Path) -> None:
        super().__init__()
        config = read_config(folder)
        longest = config.max_position_embeddings - config.first_position
        if spec.length > longest:
            raise EngineError(f"length {spec.length}: {folder} reads at most {longest} tokens")
        self.body = Body(config, spec.length)
        load_weights(self.body, _weights(folder), IGNORED)
        self.project = nn.Linear(config.hidden_size, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tensor) -> Tensor:
        known = known_letters(text)
        states = self.body((text - 1).clamp(min=0), known)
        # A mean of numbers from anywhere: what is padding is chosen away, not multiplied.
        kept = torch.where(known > 0.5, states, torch.zeros_like(states))
        mean = kept.sum(1) / known.sum(1).clamp(min=1.0)
        tokens = torch.stack([states[:, 0], mean], 1)
        return self.norm(self.project(tokens))  # type: ignore[no-any-return]


class Body(nn.Module):
    """Ids (B, length) and what is known (B, length, 1) to hidden states (B, length, hidden)."""

    def __init__(self, config: Config, length: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(config, length)
        self.encoder = nn.Module()
        layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.encoder.layer = layers

    def forward(self, ids: Tensor, known: Tensor) -> Tensor:
        mask = masked(known.squeeze(2) > 0.5)[:, None, None, :]
        states: Tensor = self.embeddings(ids)
        for layer in self.encoder.layer:  # type: ignore[union-attr]
            states = layer(states, mask)
        return states


class Embeddings(nn.Module):
    """Words, positions, and the first of the sentence types."""

    def __init__(self, config: Config, length: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size)
        self.LayerNorm = nn.LayerNorm(size, config.layer_norm_eps)
        self.places = slice(config.first_position, config.first_position + length)

    def forward(self, ids: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[self.places]
        states = self.word_embeddings(ids) + positions + self.token_type_embeddings.weight[0]
        return self.LayerNorm(states)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """A post-norm transformer layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size, inner, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.heads, self.act = config.num_attention_heads, ACTIVATIONS[config.hidden_act]
        own = {name: nn.Linear(size, size) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict({"self": nn.ModuleDict(own), "output": Out(size, size, eps)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, inner)})
        self.output = Out(inner, size, eps)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        mixed = self.attention["output"](self._mixed(states, mask), states)
        made: Tensor = self.output(self.act(self.intermediate["dense"](mixed)), mixed)
        return made

    def _mixed(self, states: Tensor, mask: Tensor) -> Tensor:
        batch, length, size = states.shape
        own: Any = self.attention["self"]
        query, key, value = (
            own[name](states).reshape(batch, length, self.heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(2, 3) * (size // self.heads) ** -0.5 + mask
        mixed = (torch.softmax(scores, 3) @ value).transpose(1, 2)
        return mixed.reshape(batch, length, size)  # type: ignore[no-any-return]


class Out(nn.Module):
    """A linear layer, and the normalised sum with what came in."""

    def __init__(self, before: int, size: int, eps: float) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(before, size), nn.LayerNorm(size, eps)

    def forward(self, states: Tensor, came_in: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(states) + came_in)  # type: ignore[no-any-return]


def read_config(folder: Path) -> Config:
    """The `config.json` of a folder. Raises EngineError."""
    path = folder / "config.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise EngineError(f"{path}: {error}; BERT and RoBERTa are read") from error


def _weights(folder: Path) -> dict[str, Tensor]:
    """The weights by the names of the body; older files say gamma and beta."""
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise EngineError(f"{folder}: has no {' or '.join(FILES)}")
    return {_own_name(key): value for key, value in read_weights(path).items()}


def _own_name(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return key.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )
