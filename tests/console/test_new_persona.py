"""A new persona in the console: the form, its preview and its problems, cards, folders of writing."""

from __future__ import annotations

import json
import re

from playwright.async_api import Page, expect

from tests.console.browser import text_files

CARD = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Wren",
        "description": "{{char}} keeps a lighthouse and a log of storms.",
        "personality": "dry, exact",
        "first_mes": "The lamp is lit.",
        "mes_example": "<START>\n{{user}}: Storm?\n{{char}}: Two, before supper.",
        "extensions": {"somebody_elses": {"kept": True}},
    },
}


async def begin(visitor, gateway) -> Page:
    page: Page = await visitor.open("#/new")
    await visitor.sign_in(gateway.admin_key)
    return page


async def test_the_preview_follows_what_is_typed(visitor, gateway):
    """An id is suggested, the templates' words are shown, and the file can be read before it is written."""
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    preview = page.get_by_role("complementary", name="Preview")
    await expect(preview).to_contain_text("An imitation of Ada Lovelace, not the person.")
    await expect(page.get_by_label("Short name")).to_have_value("ada-lovelace")
    await page.get_by_label("Short name").fill("ada")
    await page.get_by_label("Manner and subjects").fill("Plain and exact; of engines.")
    await expect(preview).to_contain_text("/ask ada")
    await expect(preview).to_contain_text("Plain and exact; of engines.")
    await preview.get_by_text("persona.toml").click()
    await expect(preview.locator("pre")).to_contain_text('id = "ada"')
    assert not (gateway.config.own_cast / "ada").exists()


async def test_problems_are_told_at_their_fields(visitor, gateway):
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await page.get_by_text("Prompts, disclosure and freedom").click()
    disclosure = page.get_by_label("Disclosure", exact=True)
    await disclosure.fill("It is really her.")
    await page.get_by_text("Prompts, disclosure and freedom").click()
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("alert")).to_contain_text("mended")
    await expect(disclosure).to_be_focused()
    await expect(disclosure).to_have_attribute("aria-invalid", "true")
    said = await disclosure.get_attribute("aria-errormessage")
    await expect(page.locator(f"#{said}")).to_contain_text("imitation")
    assert not (gateway.config.own_cast / "ada-lovelace").exists()


async def test_without_the_key_it_can_be_filled_in_but_not_made(visitor, gateway):
    """What was typed is still there after signing in."""
    page = await visitor.open("#/new")
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await expect(page.get_by_role("button", name="Make this persona")).to_be_disabled()
    await visitor.sign_in(gateway.admin_key)
    await expect(page.get_by_role("button", name="Make this persona")).to_be_enabled()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Ada Lovelace")
    await page.get_by_role("link", name="Traffic").click()
    await page.get_by_role("link", name="New persona").first.click()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Ada Lovelace")


async def test_a_character_card_fills_in_the_form(visitor, gateway, tmp_path):
    """Chosen or dropped, it becomes a persona, and what is not ours of it is kept."""
    path = tmp_path / "wren.json"
    path.write_text(json.dumps(CARD))
    page = await begin(visitor, gateway)
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Choose a file").click()
    await (await chosen.value).set_files(path)
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Wren")
    about = page.get_by_label("Manner and subjects")
    await expect(about).to_have_value(re.compile("Wren keeps a lighthouse"))
    await expect(page.get_by_role("radio", name="Somebody made up")).to_be_checked()
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("heading", name="Wren is here")).to_be_visible()
    kept = json.loads((gateway.config.own_cast / "wren" / "card.json").read_text())
    assert kept["data"]["extensions"] == CARD["data"]["extensions"]


DROP = """
([zone, files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  zone.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}
"""


async def test_files_are_dropped_looked_at_and_taken_away(visitor, gateway):
    page = await begin(visitor, gateway)
    zone = page.get_by_role("group", name="Drop a folder of writing here")
    files = [["a.txt", "One."], ["b.md", "Two."], [".hidden", "x"]]
    await page.evaluate(DROP, [await zone.element_handle(), files])
    await expect(page.get_by_text("2 files, 8 B")).to_be_visible()
    await page.get_by_role("button", name="Take a.txt away").click()
    await expect(page.get_by_text("1 file, 4 B")).to_be_visible()


# As a browser gives a folder: entries are read one at a time, and the items are gone after the event.
DROP_FOLDER = """
([zone, tree]) => {
  const entry = (path, content) => {
    if (typeof content === "string") {
      const file = new File([content], path.split("/").pop());
      return {isFile: true, fullPath: path, file: (give) => setTimeout(give, 0, file)};
    }
    if (content === null) {
      return {isFile: true, fullPath: path, file: (_, fail) => setTimeout(fail, 0, new Error("gone"))};
    }
    const rest = Object.entries(content).map(([name, inner]) => entry(`${path}/${name}`, inner));
    const readEntries = (give) => setTimeout(() => give(rest.splice(0, 1)));
    return {isFile: false, fullPath: path, createReader: () => ({readEntries})};
  };
  const items = Object.entries(tree).map(([name, content]) => ({
    webkitGetAsEntry: () => entry(`/${name}`, content),
  }));
  const drop = new DragEvent("drop", {bubbles: true, cancelable: true});
  Object.defineProperty(drop, "dataTransfer", {value: {items, files: []}});
  zone.dispatchEvent(drop);
  items.length = 0;
}
"""


async def test_a_folder_is_dropped_with_all_that_is_in_it(visitor, gateway):
    """Each file keeps its place; what systems leave in folders stays out."""
    page = await begin(visitor, gateway)
    zone = page.get_by_role("group", name="Drop a folder of writing here")
    ada = {"a.txt": "One.", ".DS_Store": "x", "letters": {"1843.txt": "Two.", "1844.txt": "Three."}}
    await page.evaluate(DROP_FOLDER, [await zone.element_handle(), {"ada": ada, "b.md": "Four."}])
    await expect(page.get_by_text("4 files, 19 B")).to_be_visible()
    for name in ("ada/a.txt", "ada/letters/1843.txt", "ada/letters/1844.txt", "b.md"):
        await expect(page.get_by_role("button", name=f"Take {name} away")).to_be_visible()
    await page.evaluate(
        DROP_FOLDER, [await zone.element_handle(), {"c.md": "Five.", "gone.md": None}]
    )
    await expect(page.get_by_role("alert")).to_contain_text(
        "can't be read, so none of it was taken"
    )
    await expect(page.get_by_text("4 files, 19 B")).to_be_visible()


async def test_a_reply_to_an_upload_that_is_none_of_ours_is_told(visitor, gateway, tmp_path):
    """A proxy's page in the gateway's place ends the sending, instead of leaving it under way."""
    page = await begin(visitor, gateway)
    await page.route(
        lambda url: url.endswith("/writing"),
        lambda route: route.fulfill(status=200, content_type="text/html", body="<p>Welcome</p>"),
    )
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Choose files").click()
    await (await chosen.value).set_files(text_files(tmp_path / "ada", {"a.txt": "One."}))
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("alert")).to_contain_text("no JSON")


async def test_a_taken_id_is_told_and_nothing_is_lost(visitor, gateway):
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Abraham Lincoln")
    await page.get_by_label("Short name").fill("lincoln")
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("alert")).to_contain_text("taken")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Abraham Lincoln")


async def test_what_is_no_writing_is_left_out_with_a_reason(visitor, gateway, tmp_path):
    """The rest is taken, and the persona is there to talk to all the same."""
    folder = tmp_path / "ada"
    text_files(folder, {"engine.txt": "The engine weaves.", "song.mp3": "no writing"})
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Choose a folder").click()
    await (await chosen.value).set_files(folder)
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_text("1 file was taken.")).to_be_visible()
    await expect(page.get_by_text("song.mp3:")).to_be_visible()
    await page.get_by_role("link", name="Its page").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")


async def test_another_one_can_be_made_at_once(visitor, gateway):
    """The link to the page that is already there begins it anew."""
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("heading", name="Ada Lovelace is here")).to_be_visible()
    await page.get_by_role("link", name="New persona").first.click()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("")


async def test_a_persona_made_here_can_be_removed(visitor, gateway):
    page = await begin(visitor, gateway)
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await page.get_by_role("button", name="Make this persona").click()
    await page.get_by_role("link", name="Its page").click()
    await page.get_by_role("button", name="Remove this persona").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    gone = page.get_by_role("dialog")
    await expect(gone).to_contain_text("kept in")
    await gone.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Personas")
    await expect(page.get_by_role("heading", name="Ada Lovelace")).to_have_count(0)
    assert not (gateway.config.own_cast / "ada-lovelace").exists()
