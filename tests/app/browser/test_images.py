"""Rows with images: heat maps by mouse and keys, thumbnails, and classification of an uploaded image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from app.shared.data.file_cache import short_id
from app.shared.data.images.upload import MOST_BYTES
from tests.app.browser.parts import choose, column, control, reopen, table
from tests.app.image_tree import D_SAE, DIGITS, PROMPTS, digit_codes, digits, encoded
from tests.app.sample_tree import FIRST

pytestmark = pytest.mark.browser
LATENT = 2
RUNS = {name: short_id(f"m/{name}/train/layer_3/3k/max_top0_bin-none") for name in (DIGITS, PROMPTS)}
SAE = short_id("m/layer_3/3k")


@pytest.fixture(scope="module")
def url(start: Callable[[Sequence[str]], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app on digits and prompts, with a stand-in for the model that read them."""
    return start(["-m", "tests.app.browser.serve_digits", str(tmp_path_factory.mktemp("images"))])


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    """Codes of the digits, [rows, positions, latents]."""
    return digit_codes(digits()[0])


def sample_url(url: str, dataset: str, row: int, **more: Any) -> str:
    asked = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{url}/samples?run={RUNS[dataset]}&classifier=linear&row={row}{asked}"


def loaded(image) -> tuple[int, int, str]:
    """(natural width, shown width, CSS image-rendering) of an image, after it is loaded."""
    expect(image).to_be_visible()
    image.scroll_into_view_if_needed()
    image.page.wait_for_function("e => e.complete && e.naturalWidth > 0", arg=image.element_handle())
    found = image.evaluate("e => [e.naturalWidth, e.clientWidth, getComputedStyle(e).imageRendering]")
    return found[0], found[1], found[2]


def tip(patch) -> str:
    """Tooltip of a patch."""
    return patch.evaluate("e => getComputedStyle(e, '::after').content").strip('"')


def test_a_small_image_is_enlarged_crisply_under_its_heat_map(page, url: str, dense: np.ndarray) -> None:
    page.goto(sample_url(url, DIGITS, FIRST + 4, latent=LATENT))
    patches = page.locator("#sample-text .patch")
    expect(patches).to_have_count(16)
    natural, shown, scaled = loaded(page.locator("#sample-text .shaded img"))
    assert natural == 8
    assert shown > 300
    assert scaled == "pixelated"
    box = page.locator("#sample-text .shaded img").bounding_box()
    first, last = patches.first.bounding_box(), patches.last.bounding_box()
    assert first["x"] == pytest.approx(box["x"], abs=1)
    assert last["x"] + last["width"] == pytest.approx(box["x"] + box["width"], abs=1)
    assert last["y"] + last["height"] == pytest.approx(box["y"] + box["height"], abs=1)
    values = dense[4, 1:, LATENT]
    expect(page.locator("#sample-text .patch-strongest")).to_have_attribute("data-cell", str(values.argmax()))
    marked = page.locator("#sample-text .patch[data-value]").evaluate_all("all => all.map(e => Number(e.dataset.cell))")
    assert marked == np.flatnonzero(values).tolist()
    strongest = page.locator("#sample-text .patch-strongest")
    strongest.hover()
    row, at = divmod(int(values.argmax()), 4)
    assert tip(strongest) == f"patch row {row}, column {at}: {values.max():.3g}"
    expect(page.locator("#sample-text .chip")).to_have_text("cls: 0")


def test_a_click_on_a_patch_lists_its_strongest_latents(page, url: str, dense: np.ndarray) -> None:
    page.goto(sample_url(url, DIGITS, FIRST + 4, latent=LATENT))
    page.locator("#sample-text .patch-strongest").click()
    position = int(dense[4, :, LATENT].argmax())
    page.wait_for_url(f"**token={position}*")
    order = [int(k) for k in np.argsort(-dense[4, position], kind="stable") if dense[4, position, k] > 0]
    assert column(page, "token-latents", "name") == [f"latent {latent}" for latent in order]
    natural, _, _ = loaded(table(page, "token-latents").locator("img").first)
    assert natural == 8
    reopen(page)
    expect(page.locator("#sample-text [aria-current]")).to_have_attribute("data-token", str(position))
    page.locator("#sample-text .chip").click()
    expect(page.locator("#sample-token h3")).to_have_text("The ten strongest latents at cls")
    assert column(page, "token-latents", "name") == [f"latent {D_SAE - 1}"]


def test_arrow_keys_move_between_patches(page, url: str) -> None:
    page.goto(sample_url(url, DIGITS, FIRST + 4, latent=LATENT, token=1))
    first = page.locator("#sample-text [data-cell='0']")
    expect(first).to_have_attribute("aria-current", "true")
    assert page.locator("#sample-text .patch[tabindex='0']").count() == 1
    first.focus()
    page.keyboard.press("ArrowLeft")
    expect(first).to_be_focused()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    there = page.locator("#sample-text [data-cell='6']")
    expect(there).to_be_focused()
    assert tip(there).startswith("patch row 1, column 2: ")
    page.keyboard.press("Enter")
    page.wait_for_url("**token=7*")
    expect(there).to_have_attribute("aria-current", "true")
    expect(page.locator("#sample-token h3")).to_have_text("The ten strongest latents at patch row 1, column 2")
    expect(there).to_be_focused()


def test_evidence_colours_the_image_for_and_against(page, url: str) -> None:
    page.goto(sample_url(url, DIGITS, FIRST + 8))
    control(page, "latent").click()
    page.get_by_role("option", name="all latents together").click()
    page.wait_for_url("**latent=evidence*")
    expect(page.locator("#sample-text .scale-against")).to_be_visible()
    reopen(page)
    expect(page.locator("#sample-text .chip")).to_contain_text("cls: ")
    expect(page.get_by_text("Orange: for digit")).to_be_visible()


def test_the_list_has_thumbnails_and_finds_images_by_name(page, url: str) -> None:
    page.goto(sample_url(url, DIGITS, FIRST))
    natural, _, scaled = loaded(table(page, "samples").locator("img").first)
    assert (natural, scaled) == (8, "pixelated")
    assert column(page, "samples", "text")[0] == "digits/<b>0</b>.png", "names are text, never markup"
    page.get_by_label("Name contains, or id is").fill("/<b>16<")
    expect(page.locator("#samples-found")).to_contain_text("1 of 30 test rows")


def test_a_prompt_shows_image_and_text_and_a_row_of_text_no_image(page, url: str) -> None:
    page.goto(sample_url(url, PROMPTS, FIRST + 4))
    natural, _, scaled = loaded(page.locator("#sample-text .shaded img"))
    assert (natural, scaled) == (96, "pixelated")
    expect(page.locator("#sample-text .tokens")).to_have_text("a <i>flag</i> number4")
    page.locator("#sample-text .token", has_text="flag").click()
    expect(page.locator("#sample-token h3")).to_have_text("The ten strongest latents at «<i>flag</i>»")
    page.goto(sample_url(url, PROMPTS, FIRST + 8))
    expect(page.locator("#sample-text .tokens")).to_have_text("a <i>flag</i> number8")
    expect(page.locator("#sample-text img")).to_have_count(0)
    expect(table(page, "samples").locator(".ag-row-selected img")).to_have_count(0)


def test_a_latents_page_outlines_where_it_fires_most(page, url: str, dense: np.ndarray) -> None:
    page.goto(f"{url}/latent?sae={SAE}&latent={LATENT}&codes={short_id(f'm/{DIGITS}/train/layer_3/3k')}")
    images = page.locator("#latent-activity .view")
    expect(images).to_have_count(20)
    expect(images.locator(".patch-strongest")).to_have_count(20)
    assert loaded(images.locator("img").first)[0] == 8
    row = int(dense[:, :, LATENT].max(axis=1).argmax())
    at = divmod(int(dense[row, 1:, LATENT].argmax()), 4)
    expect(images.locator("img").first).to_have_attribute(
        "alt",
        f"digits/<b>{row}</b>.png: strongest, {dense[row, :, LATENT].max():.3g}, at patch row {at[0]}, column {at[1]}",
    )
    expect(page.locator("#latent-deciles .view")).to_have_count(10)
    choose(page, "decile", "decile 1 (weakest)")
    expect(page.locator("#latent-deciles .view")).to_have_count(8)


def test_latents_and_features_have_the_image_in_which_they_are_strongest(page, url: str) -> None:
    page.goto(f"{url}/latents?sae={SAE}&codes={short_id(f'm/{DIGITS}/train/layer_3/3k')}")
    expect(table(page, "latents").locator("img")).to_have_count(5)
    assert loaded(table(page, "latents").locator("img").first)[0] == 8
    page.goto(f"{url}/run?run={RUNS[DIGITS]}&classifier=linear")
    assert loaded(table(page, "features").locator("img").first)[0] == 8


def test_an_image_is_classified(page, url: str) -> None:
    page.goto(f"{url}/try?run={RUNS[DIGITS]}&classifier=linear")
    classify = page.get_by_role("button", name="Classify")
    classify.click()
    expect(page.locator("#try-image-refusal")).to_have_text("Choose an image first.")
    chooser = page.locator("#try-image-file input[type=file]")

    def choose_file(content: bytes, name: str = "digit.png") -> None:
        chooser.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})

    choose_file(bytes(MOST_BYTES + 1))
    expect(page.locator("#try-image-refusal")).to_have_text("The file has 8.0 MB; at most 8 MB are accepted.")
    expect(page.locator("#try-image-name")).to_have_text("No image chosen yet.")
    choose_file(b"no picture")
    expect(page.locator("#try-image-name")).to_have_text("Chosen: digit.png (1 kB)")
    expect(page.locator("#try-image-refusal")).to_be_empty()
    classify.click()
    expect(page.get_by_text("The file is not an image in an accepted format").first).to_be_visible()
    pixels = np.repeat(digits()[0][4][..., None], 3, axis=2)
    choose_file(encoded(pixels), "<b>four</b>.png")
    expect(page.locator("#try-image-name")).to_have_text("Chosen: <b>four</b>.png (1 kB)")
    classify.click()
    expect(page.locator("#answer-own")).to_have_text("digit 1")
    expect(page.locator("#try-tokens .patch")).to_have_count(16)
    assert loaded(page.locator("#try-tokens .shaded img"))[0] == 8
    page.locator("#try-tokens .patch").first.click()


def test_a_large_image_reaches_the_model(page, url: str) -> None:
    """An image of the maximum size, in one request per prediction."""
    page.goto(f"{url}/try?run={RUNS[DIGITS]}&classifier=linear")
    content = encoded(np.zeros((8, 8, 3), dtype=np.uint8))
    content += bytes(MOST_BYTES - len(content))  # bytes after the end of the image are ignored
    page.locator("#try-image-file input[type=file]").set_input_files(
        {"name": "large.png", "mimeType": "image/png", "buffer": content}
    )
    expect(page.locator("#try-image-name")).to_have_text("Chosen: large.png (8.4 MB)")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#answer-own")).to_be_visible()


def test_several_dropped_files_are_rejected(page, url: str) -> None:
    page.goto(f"{url}/try?run={RUNS[DIGITS]}&classifier=linear")
    expect(page.locator("#try-image-choose")).to_be_visible()
    page.locator("#try-image-choose").evaluate(
        """e => {
            const files = new DataTransfer();
            for (const name of ["a.png", "b.png"]) files.items.add(new File(["x"], name, { type: "image/png" }));
            e.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator("#try-image-refusal")).to_have_text("Choose one image at a time, not 2 files.")
    expect(page.locator("#try-image-name")).to_have_text("No image chosen yet.")
