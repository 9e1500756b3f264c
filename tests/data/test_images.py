"""Decoding of all supported kinds of images, and errors for invalid ones."""

from __future__ import annotations

import multiprocessing
import struct
import zlib
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from saefari.data.images import MAX_PIXELS, BadImage, ImageSource, decode_image, pixels_digest

LOSSLESS = ("BMP", "PNG", "TIFF")
ORIENTED = ("JPEG", "PNG", "TIFF", "WEBP")
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
ORIENTATION = 0x0112
WHITE = [255, 255, 255]


def encoded(image: Image.Image, kind: str = "PNG", **keys: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **keys)
    return file.getvalue()


def decoded(content: Path | bytes | np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]"""
    image = decode_image(ImageSource("photos/cat", content))
    assert image.mode == "RGB"
    return np.asarray(image)


def picture(width: int = 5, height: int = 4, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(width: int, height: int, depth: int, pixels: bytes, transparent: bytes = b"") -> bytes:
    """Return a grey PNG, built by hand because Pillow cannot write such a header."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    if transparent:
        chunks.insert(1, chunk(b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def fails(content: Path | bytes | np.ndarray) -> str:
    with pytest.raises(BadImage) as caught:
        decoded(content)
    assert str(caught.value).startswith("image 'photos/cat': ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("image 'photos/cat': ")


def test_grey_becomes_three_equal_channels():
    grey = np.array([[0, 7], [128, 255]], dtype=np.uint8)
    expected = np.repeat(grey[..., None], 3, axis=2)
    for pixels in (grey, grey[..., None], expected):
        np.testing.assert_array_equal(decoded(pixels), expected)
    for kind in (*LOSSLESS, "GIF", "PPM"):
        np.testing.assert_array_equal(decoded(encoded(Image.fromarray(grey), kind)), expected)


def test_one_bit_images_are_black_and_white():
    image = Image.fromarray(np.array([[True, False]]))
    for kind in (*LOSSLESS, "PPM"):
        assert decoded(encoded(image, kind)).tolist() == [[WHITE, [0, 0, 0]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind):
    deep = Image.fromarray(np.array([[0, 257, 32768, 65535]], dtype=np.uint16))
    found = decoded(encoded(deep.convert("I") if kind == "PPM" else deep, kind))
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]
    assert (found == found[..., :1]).all()


def test_16_bit_grey_keeps_transparency_and_orientation():
    assert decoded(png(2, 1, 16, b"\0\x10\x00\x80\x00", b"\x10\x00")).tolist() == [[WHITE, [128] * 3]]
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    deep = Image.fromarray(np.array([[0, 65535]], dtype=np.uint16))
    assert decoded(encoded(deep, exif=exif))[..., 0].tolist() == [[0], [255]]


def test_transparency_becomes_white():
    pixels = np.array([[[200, 0, 0, 0], [200, 0, 0, 255], [200, 0, 0, 51]]], dtype=np.uint8)
    expected = [[WHITE, [200, 0, 0], [244, 204, 204]]]
    assert decoded(pixels).tolist() == expected
    assert decoded(encoded(Image.fromarray(pixels), "PNG")).tolist() == expected
    assert decoded(encoded(Image.fromarray(pixels), "TIFF")).tolist() == expected
    grey = Image.fromarray(pixels).convert("LA")
    assert decoded(encoded(grey))[0, 0].tolist() == WHITE
    assert decoded(encoded(Image.new("L", (1, 1), 9), transparency=9)).tolist() == [[WHITE]]


@pytest.mark.parametrize(("kind", "transparency"), [("PNG", 1), ("PNG", bytes([255, 0])), ("GIF", 1)])
def test_palette_with_a_transparent_colour(kind, transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    assert decoded(encoded(image, kind)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert decoded(encoded(image, kind, transparency=transparency)).tolist() == [[[10, 20, 30], WHITE]]


def test_cmyk_and_ycbcr_become_rgb():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert decoded(encoded(cyan, "TIFF"))[0, 0].tolist() == [0, 255, 255]
    assert np.abs(decoded(encoded(cyan, "JPEG"))[0, 0].astype(int) - [0, 255, 255]).max() <= 2
    red = Image.new("RGB", (8, 8), (255, 0, 0)).convert("YCbCr")
    for content in (encoded(red, "TIFF", compression="tiff_lzw"), encoded(red, "JPEG")):
        assert np.abs(decoded(content)[0, 0].astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("kind", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind, orientation):
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    image = Image.new("RGB", (32, 16))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = decoded(encoded(image, kind, exif=exif))
    expected = turned[orientation](np.asarray(image))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_animation_is_read_as_its_first_frame(kind):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    found = decoded(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless))
    assert found.shape == (3, 4, 3)
    assert (found == [255, 0, 0]).all()


def test_arrays_need_not_be_contiguous():
    pixels = np.asarray(picture())
    np.testing.assert_array_equal(decoded(pixels[::2, ::-1]), pixels[::2, ::-1])
    np.testing.assert_array_equal(decoded(np.asfortranarray(pixels)), pixels)


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    seed=st.integers(0, 9),
)
def test_lossless_formats_give_equal_pixels_for_any_size_and_mode(width, height, mode, seed):
    image = picture(width, height, seed)
    image = image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
    kinds = [kind for kind in ("PNG", "TIFF") if (kind, mode) != ("TIFF", "P")]
    digests = {pixels_digest(decode_image(ImageSource(kind, encoded(image, kind)))) for kind in kinds}
    assert len(digests) == 1
    assert decoded(encoded(image)).shape == (height, width, 3)
    if mode == "RGB":
        np.testing.assert_array_equal(decoded(encoded(image)), np.asarray(image))


def test_digest_depends_on_the_pixels_and_not_on_the_encoding(tmp_path):
    image = picture(7, 3)
    for kind in LOSSLESS:
        (tmp_path / kind).write_bytes(encoded(image, kind))
    sources = [ImageSource(kind, tmp_path / kind) for kind in LOSSLESS]
    sources += [ImageSource("bytes", encoded(image)), ImageSource("pixels", np.asarray(image))]
    assert len({pixels_digest(decode_image(source)) for source in sources}) == 1
    assert pixels_digest(image) != pixels_digest(picture(7, 3, seed=1))
    flat = np.zeros((2, 3, 3), dtype=np.uint8)
    assert pixels_digest(Image.fromarray(flat)) != pixels_digest(Image.fromarray(flat.reshape(3, 2, 3)))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_file_is_an_error(kind, share, tmp_path):
    content = encoded(picture(60, 50), kind)
    decoded(content)
    cut = content[: int(len(content) * share)]
    (tmp_path / "cut").write_bytes(cut)
    assert "damaged or truncated" in fails(cut)
    assert fails(tmp_path / "cut") == fails(cut)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@settings(max_examples=300)
@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_any_damage_is_an_error_or_harmless(data, kind):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = bytearray(encoded(picture(12, 9), kind, **({"exif": exif} if kind in ORIENTED else {})))
    places = st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
        content[place] = value
    with suppress(BadImage):
        decoded(bytes(content))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am a text, not an image", "not an image in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an image in a supported format"),
        (encoded(Image.new("F", (2, 2)), "TIFF"), "floating-point"),
        (encoded(Image.new("I", (2, 2)), "TIFF"), "32-bit integers"),
    ],
)
def test_invalid_image_is_an_error_with_the_reason(content, reason, tmp_path):
    (tmp_path / "file.png").write_bytes(content)
    assert reason in fails(content)
    assert reason in fails(tmp_path / "file.png")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 3)),
        np.zeros((2, 3), dtype=bool),
        np.zeros(4, dtype=np.uint8),
        np.zeros((0, 3), dtype=np.uint8),
        np.zeros((2, 3, 2), dtype=np.uint8),
        np.zeros((1, 2, 3, 3), dtype=np.uint8),
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}",
)
def test_arrays_of_other_types_and_shapes_are_an_error(pixels):
    assert f"{pixels.dtype} {list(pixels.shape)} are not pixels" in fails(pixels)


def test_unreadable_file_is_an_error_without_its_absolute_path(tmp_path):
    assert fails(tmp_path / "nowhere" / "cat.png") == "the file does not exist"
    assert fails(tmp_path) == "it is not a file"
    for name in ("zero\0byte", "long" * 200):
        assert str(tmp_path) not in fails(tmp_path / name)
    (tmp_path / "text.png").write_text("not an image")
    assert str(tmp_path) not in fails(tmp_path / "text.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(MAX_PIXELS + 1, 1), (10_000, 9_000), (60_000, 60_000)])
def test_decompression_bomb_is_rejected_by_its_header(monkeypatch, width, height):
    def decode(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    bomb = png(width, height, 8, b"")
    assert "more than 89,478,485 pixels" in fails(bomb)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert "more than 89,478,485 pixels" in fails(bomb)


@pytest.mark.filterwarnings("error")
def test_decompression_bomb_is_an_error_if_warnings_are_errors():
    assert "more than 89,478,485 pixels" in fails(png(10_000, 9_000, 8, b""))


def test_worker_processes_decode_and_report_like_the_main_process(tmp_path):
    (tmp_path / "good.png").write_bytes(encoded(picture()))
    content = [tmp_path / "good.png", encoded(picture()), np.asarray(picture())]
    good = [ImageSource("good", item) for item in content]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as workers:
        for image in workers.map(decode_image, good):
            np.testing.assert_array_equal(np.asarray(image), np.asarray(picture()))
        with pytest.raises(BadImage, match="image 'photos/dog': it is empty"):
            workers.submit(decode_image, ImageSource("photos/dog", b"")).result()
