"""A tiny folder of random weights, of the form in which Hugging Face models are handed around."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from engines.encoder.text_huggingface import Body, read_config
from tests.engines.safetensors import write_safetensors

PIECES = "[PAD] [UNK] [CLS] [SEP] smoke in the kitchen alarm door open cat ##s dog"
WORDS = PIECES.split()
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 34,
}


def write_folder(folder: Path, prefix: str = "bert.", **changes: Any) -> Path:
    """`config.json`, `tokenizer.json` and `model.safetensors`, with a pooler that nobody needs."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "bert", "hidden_act": "gelu", **SIZES, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(5)
    weights = Body(read_config(folder), 8).state_dict()
    named = {f"{prefix}{key}": value for key, value in weights.items()}
    named |= {f"{prefix}pooler.dense.weight": torch.zeros(24, 24)}
    write_safetensors(folder / "model.safetensors", named)
    return folder


def write_tokenizer(path: Path) -> None:
    """A lower-case WordPiece tokenizer with [CLS] in front and [SEP] at the end."""
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
        | {"strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: number for number, word in enumerate(WORDS)},
        },
    }
    path.write_text(json.dumps(tokenizer))
