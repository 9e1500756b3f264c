"""Tiny random models that read images, saved with processors built here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import transformers as t
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from saefari.models.vision_language_reader import without_videos
from tests.conftest import random_weights

VITS = ["vit", "deit", "deit-distilled", "clip", "siglip", "dinov2", "dinov2-registers", "dinov3"]
VLMS = ["llava", "llava-gemma", "llava-next", "paligemma", "paligemma2", "qwen2-vl", "qwen2.5-vl", "gemma3"]

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "USER", "ASSISTANT", "what", "is", "this", "river"]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<boi>", "<eoi>", "<vstart>", "<vend>", "<video>"]
TOWER = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "vocab_size": 1400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAVA_TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for message in messages %}<s>user\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<vstart><image><vend>{% else %}{{ part.text }}{% endif %}{% endfor %}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
GEMMA_TEMPLATE = (
    "<s>{% for message in messages %}user {% for part in message.content %}"
    "{% if part.type == 'image' %}<boi>{% else %}{{ part.text | trim }}{% endif %}{% endfor %}\n"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT\n{% endif %}"
)


def tower_config(kind: str, **changes: Any) -> Any:
    """Build a tiny configuration of a vision transformer; for CLIP and SigLIP including the text tower."""
    sizes = TOWER | changes
    if kind == "vit":
        return t.ViTConfig(**sizes)
    if kind.startswith("deit"):
        return t.DeiTConfig(**sizes)
    if kind == "dinov2":
        return t.Dinov2Config(**{k: v for k, v in sizes.items() if k != "intermediate_size"}, mlp_ratio=2)
    if kind == "dinov2-registers":
        sizes = {k: v for k, v in sizes.items() if k != "intermediate_size"}
        return t.Dinov2WithRegistersConfig(**sizes, mlp_ratio=2, num_register_tokens=3)
    if kind == "dinov3":
        return t.DINOv3ViTConfig(**sizes, num_register_tokens=2)
    text = {k: TEXT[k] for k in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")}
    text |= {"num_attention_heads": 4, "max_position_embeddings": 16}
    config_class = {"clip": t.CLIPConfig, "siglip": t.SiglipConfig}[kind]
    return config_class(text_config=text, vision_config=sizes)


def image_processor(kind: str) -> Any:
    """Build the model's image processor, with the sizes of `TOWER`."""
    square = {"height": 32, "width": 32}
    if kind in ("clip", "llava", "llava-gemma"):
        return t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    if kind == "llava-next":
        pins = [[32, 64], [64, 32], [64, 64]]
        return t.LlavaNextImageProcessorPil(size={"shortest_edge": 32}, crop_size=square, image_grid_pinpoints=pins)
    if kind.startswith("qwen"):
        return t.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, min_pixels=16 * 16, max_pixels=48 * 48)
    if kind.startswith("dinov2"):
        return t.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    if kind == "gemma3":
        return t.Gemma3ImageProcessorPil(size=square)
    if kind in ("siglip", "paligemma", "paligemma2"):
        processor = t.SiglipImageProcessorPil(size=square)
        processor.image_seq_length = 16
        return processor
    return t.ViTImageProcessorPil(size=square)


def save_vit(folder: Path, kind: str, **changes: Any) -> Path:
    """Save a tiny vision transformer with its processor in `folder`."""
    if kind == "deit-distilled":
        from transformers import DeiTForImageClassificationWithTeacher

        model = DeiTForImageClassificationWithTeacher(tower_config(kind, **changes)).base_model
    else:
        model = t.AutoModel.from_config(tower_config(kind, **changes))
    random_weights(model).save_pretrained(folder)
    image_processor(kind).save_pretrained(folder)
    return folder


def tokenizer() -> Any:
    """Build a tokenizer of words with byte fallback that adds <s>, as Llama's and Gemma's do."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    merges = []
    for word in [w for plain in WORDS for w in (plain, "Ġ" + plain)]:
        for i in range(1, len(word)):
            left, right = word[:i], word[i]
            if left + right not in vocabulary:
                vocabulary[left + right] = len(vocabulary)
                merges.append((left, right))
    bpe = Tokenizer(models.BPE(vocabulary, merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "boi_token": "<boi>",
            "eoi_token": "<eoi>",
            "video_token": "<video>",
        },
        model_max_length=512,
        padding_side="left",
    )


def vlm_config(kind: str) -> Any:
    """Build a tiny configuration of a vision-language model."""
    tower = (
        t.SiglipVisionConfig(**TOWER) if kind in ("paligemma", "paligemma2", "gemma3") else t.CLIPVisionConfig(**TOWER)
    )
    if kind in ("llava", "llava-gemma", "llava-next"):
        text = (t.GemmaConfig if kind == "llava-gemma" else t.LlamaConfig)(**TEXT)
        if kind == "llava-next":
            pins = [[32, 64], [64, 32], [64, 64]]
            return t.LlavaNextConfig(
                vision_config=tower,
                text_config=text,
                image_token_index=4,
                image_grid_pinpoints=pins,
                image_seq_length=16,
                vision_feature_layer=-2,
            )
        return t.LlavaConfig(
            vision_config=tower, text_config=text, image_token_index=4, image_seq_length=16, vision_feature_layer=-2
        )
    if kind in ("paligemma", "paligemma2"):
        gemma2 = {"attn_logit_softcapping": 0.5, "sliding_window": 8, "query_pre_attn_scalar": 8}
        text = t.GemmaConfig(**TEXT) if kind == "paligemma" else t.Gemma2Config(**TEXT, **gemma2)
        return t.PaliGemmaConfig(vision_config=tower, text_config=text, image_token_index=4, projection_dim=32)
    if kind == "gemma3":
        text = t.Gemma3TextConfig(**TEXT, sliding_window=8, query_pre_attn_scalar=8)
        return t.Gemma3Config(
            vision_config=tower,
            text_config=text,
            mm_tokens_per_image=16,
            image_token_index=4,
            boi_token_index=5,
            eoi_token_index=6,
        )
    special = {"image_token_id": 4, "video_token_id": 9, "vision_start_token_id": 7, "vision_end_token_id": 8}
    text = {k: v for k, v in TEXT.items() if k != "head_dim"}
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    if kind == "qwen2-vl":
        vision = {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "patch_size": 8, "mlp_ratio": 2}
        return t.Qwen2VLConfig(text_config=text, vision_config=vision, **special)
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "out_hidden_size": 32,
        "num_heads": 2,
        "patch_size": 8,
        "intermediate_size": 24,
        "window_size": 32,
        "fullatt_block_indexes": [1],
    }
    return t.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **special)


def vlm_processor(kind: str) -> Any:
    """Build the processor of a tiny vision-language model."""
    images, text = image_processor(kind), tokenizer()
    if kind in ("llava", "llava-gemma"):
        return t.LlavaProcessor(
            images,
            text,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=LLAVA_TEMPLATE if kind == "llava" else None,
        )
    if kind == "llava-next":
        return t.LlavaNextProcessor(
            images,
            text,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=LLAVA_TEMPLATE,
        )
    if kind in ("paligemma", "paligemma2"):
        return t.PaliGemmaProcessor(images, text)
    if kind == "gemma3":
        return t.Gemma3Processor(images, text, image_seq_length=16, chat_template=GEMMA_TEMPLATE)
    # The class itself needs a video processor, which needs torchvision; only the parts are saved.
    whole = t.Qwen2VLProcessor if kind == "qwen2-vl" else t.Qwen2_5_VLProcessor
    return without_videos(whole)(images, text, chat_template=QWEN_TEMPLATE)


def save_vlm(folder: Path, kind: str) -> Path:
    """Save a tiny vision-language model with language head and processor in `folder`."""
    model = random_weights(t.AutoModelForImageTextToText.from_config(vlm_config(kind)))
    model.save_pretrained(folder)
    vlm_processor(kind).save_pretrained(folder)
    return folder


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Create colour noise, in which all patches differ."""
    pixels = np.random.default_rng([seed, width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def tinted(number: int, colour: str) -> Image.Image:
    """Create colour noise with a tint that gives the class."""
    noise = picture(20 + number, 44 - number % 7, seed=number)
    return Image.blend(noise, Image.new("RGB", noise.size, colour), 0.4)


def save_colours(root: Path, n_rows: int) -> Path:
    """Write an image folder with the split train and two classes, blue and red."""
    for number in range(n_rows):
        name = ["blue", "red"][number % 2]
        folder = root / "train" / name
        folder.mkdir(parents=True, exist_ok=True)
        tinted(number, name).save(folder / f"{number:02d}.png")
    return root
