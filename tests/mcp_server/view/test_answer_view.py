"""The view in a real browser, against a strict host; skipped where there is no Chromium or no playwright."""

import base64
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mcp_server.view.register import answer_html

playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the view need playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.heavy, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

HOST = (Path(__file__).parent / "host.html").read_text("utf-8")
FULL: dict[str, Any] = {
    "protocolVersion": "2026-01-26",
    "hostInfo": {"name": "strict", "version": "1"},
    "hostCapabilities": {"serverResources": {}, "serverTools": {}, "openLinks": {}},
    "hostContext": {"theme": "light", "locale": "en-GB"},
}
BARE: dict[str, Any] = {**FULL, "hostCapabilities": {}, "hostContext": {}}
PAGE, DRAWN = "kb://passage/p1/page", "lorgnette://picture/" + "a" * 32
REGIONS = [
    {"page": 3, "x1": 100, "y1": 200, "x2": 500, "y2": 220},
    {"page": 3, "x1": 100, "y1": 230, "x2": 300, "y2": 250},
]
ANSWER: dict[str, Any] = {
    "answer": "It lasts 36 months [1].",
    "citations": [
        {"id": "p1", "source": "warranty.pdf", "page": 3, "start": 0, "end": 9, "quote": "36 months", "place": "page 3",
         "regions": REGIONS, "weak": False},
        {"id": "p2", "source": "prices.xlsx", "page": None, "start": 0, "end": 9, "quote": "99 euro",
         "place": "sheet 'A', cell B2", "regions": [], "weak": True},
    ],
    "boxes": [{"label": "red circle", "image": 0, "x1": 50, "y1": 20, "x2": 100, "y2": 60, "picture": "a.png"}],
    "drawn": [{"image": 0, "uri": DRAWN, "path": "/tmp/a.png", "width": 200, "height": 100}],
    "plan": {"task": "answer", "steps": ["look it up"], "needs_knowledge": True, "queries": []},
    "review": {"verdict": "PASS", "feedback": "36 months", "rewrites": 1},
    "degraded": ["dense: still loading"],
    "session_id": "s-1",
}  # fmt: skip


def png(width: int, height: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def result(structured: Any, text: str = "As text.") -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "structuredContent": structured}


class Host:
    """One view in its host, and everything that its console said."""

    def __init__(self, page: Any, hello: dict[str, Any] | None) -> None:
        self.page, self.complaints = page, list[str]()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_content(HOST)
        page.evaluate(
            "([a, b]) => { window.resources = {[a[0]]: a[1], [b[0]]: b[1]}; }",
            [[PAGE, png(300, 400)], [DRAWN, png(400, 200)]],
        )
        page.evaluate("([html, hello]) => window.start(html, hello)", [answer_html(), hello])
        self.view = page.frame_locator("iframe")
        self.until("window.heard.some(m => m.method === 'ui/notifications/initialized')", hello is not None)

    def _hear(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def until(self, condition: str, wanted: bool = True) -> None:
        if wanted:
            self.page.wait_for_function(condition, timeout=60_000)

    def notify(self, method: str, params: Any) -> None:
        self.page.evaluate("(m) => window.send(m)", {"method": f"ui/notifications/{method}", "params": params})

    def heard(self, method: str) -> list[Any]:
        found: list[Any] = self.page.evaluate("(name) => window.heard.filter(m => m.method === name)", method)
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def host(browser: Any) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(hello: dict[str, Any] | None = FULL) -> Host:
        hosts.append(Host(browser.new_page(viewport={"width": 800, "height": 1200}), hello))
        return hosts[-1]

    yield start
    for one in hosts:
        one.page.close()
        assert one.complaints == []


def test_the_document_is_small_and_needs_nothing_else() -> None:
    html = answer_html()
    assert len(html.encode()) <= 25_000
    assert "innerHTML" not in html and "http://" not in html and "https://" not in html and "eval(" not in html


@pytest.mark.parametrize("hello", [FULL, BARE], ids=["full", "bare"])
def test_the_handshake_comes_first_and_nothing_is_asked_before_it(hello: dict[str, Any], host: Any) -> None:
    started = host(hello)
    (first, second) = started.page.evaluate("window.heard.slice(0, 2)")
    assert first["method"] == "ui/initialize" and first["params"]["protocolVersion"] == "2026-01-26"
    assert {"appInfo", "appCapabilities"} <= first["params"].keys()
    assert second["method"] == "ui/notifications/initialized" and "id" not in second
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator("#answer")).to_have_text("It lasts 36 months [1].")
    assert started.page.evaluate("window.early") == []
    assert not started.heard("resources/read") if hello is BARE else started.heard("resources/read")


def test_everything_of_an_answer_is_shown(host: Any) -> None:
    started = host()
    started.notify("tool-result", result(ANSWER))
    body = started.view.locator("body")
    weak = "prices.xlsx, sheet 'A', cell B2, weak match"
    for words in ("warranty.pdf, page 3", "36 months", weak, "PASS", "look it up", "dense: still loading"):
        playwright.expect(body).to_contain_text(words)
    playwright.expect(started.view.locator("figure.page img")).to_have_count(1)
    box = started.view.locator(".box")
    box.hover()
    playwright.expect(box.locator("span")).to_have_text("red circle")
    playwright.expect(box.locator("span")).to_be_visible()
    image, place = started.view.locator("figure.picture img").bounding_box(), box.bounding_box()
    assert abs((place["x"] - image["x"]) / image["width"] - 0.25) < 0.01
    assert abs(place["height"] / image["height"] - 0.4) < 0.02


def test_a_citation_scrolls_to_its_page(host: Any) -> None:
    started = host()
    many = [{**ANSWER["citations"][0], "id": f"x{n}", "source": f"{n}.pdf"} for n in range(12)]
    started.notify("tool-result", result({**ANSWER, "citations": [*many, ANSWER["citations"][0]]}))
    started.view.locator("button.cite").last.click()
    page = started.view.locator("figure.page").last
    playwright.expect(page).to_be_focused()
    playwright.expect(page.locator("img")).to_be_in_viewport()


def test_without_resources_the_places_are_sketched_and_the_link_is_shown(host: Any) -> None:
    started = host(BARE)
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator(".sheet .line")).to_have_count(2)
    playwright.expect(started.view.locator("body")).to_contain_text(PAGE)
    playwright.expect(started.view.locator("body")).to_contain_text("/tmp/a.png")


FIELDS = [
    {"name": "total", "value": "119.00", "status": "agrees", "source": "bills/a b.pdf", "page": 2,
     "regions": [{"page": 2, "x1": 100, "y1": 200, "x2": 300, "y2": 220}], "words": "Total / 119.00", "note": ""},
    {"name": "date", "value": "2024-05-03", "status": "unproven", "source": "", "page": None, "regions": [],
     "words": "", "note": "it does not stand there as a whole"},
    {"name": "number", "value": None, "status": "unproven", "source": "", "page": None, "regions": [], "words": "",
     "note": "nothing was found for it"},
    {"name": "seller", "value": "Ada", "status": "agrees", "source": "/pics/a.png", "page": None,
     "regions": [{"page": 1, "x1": 250, "y1": 200, "x2": 500, "y2": 600}], "words": "Seller Ada", "note": ""},
    {"name": "buyer", "value": "Bob", "status": "unproven", "source": "/pics/a.png", "page": None,
     "regions": [{"page": 1, "x1": 100, "y1": 50, "x2": 200, "y2": 90}], "words": "Bob", "note": "no name"},
]  # fmt: skip
EXTRACTED = {**ANSWER, "fields": FIELDS, "boxes": [{**ANSWER["boxes"][0], "label": "seller"}]}
FRAMED = "kb://page/bills%2Fa%20b.pdf/2?frame=100.0,200.0,300.0,220.0"


def test_fields_are_a_table_and_a_value_leads_to_its_words_framed(host: Any) -> None:
    started = host()
    started.page.evaluate("([uri, data]) => { window.resources[uri] = data; }", [FRAMED, png(300, 400)])
    started.notify("tool-input", {"arguments": {"question": "Read it.", "images": ["a.png"]}})
    started.notify("tool-result", result(EXTRACTED))
    rows = started.view.locator("table tr")
    assert [row.split("\t") for row in rows.all_inner_texts()] == [
        ["total", "119.00", "agrees"],
        ["date", "2024-05-03", "unproven: it does not stand there as a whole"],
        ["number", "–", "unproven: nothing was found for it"],
        ["seller", "Ada", "agrees"],
        ["buyer", "Bob", "unproven: no name"],
    ]
    buttons = started.view.locator("table button")
    playwright.expect(buttons).to_have_count(3)
    buttons.first.click()
    proof = started.view.locator("figure.proof")
    playwright.expect(proof.locator("img")).to_be_in_viewport()
    playwright.expect(proof).to_be_focused()
    playwright.expect(proof).to_contain_text("bills/a b.pdf, page 2, Total / 119.00")
    buttons.nth(1).click()
    playwright.expect(started.view.locator(".box")).to_be_focused()
    playwright.expect(started.view.locator(".box span")).to_be_visible()
    asked = [read["params"]["uri"] for read in started.heard("resources/read")]
    buttons.nth(2).click()
    playwright.expect(proof.locator(".sheet .line")).to_have_count(1)
    playwright.expect(proof).to_contain_text("/pics/a.png")
    read = [read["params"]["uri"] for read in started.heard("resources/read")]
    assert FRAMED in asked and read == asked, "a picture that was given is not looked up among the documents"


def test_fields_without_resources_have_their_sketch_and_follow_the_language(host: Any) -> None:
    started = host({**BARE, "hostContext": {"locale": "zh-CN"}})
    started.notify("tool-result", result({"answer": EXTRACTED}))  # as a job has it
    playwright.expect(started.view.locator("table")).to_contain_text("未证实: nothing was found for it")
    started.view.locator("table button").first.click()
    playwright.expect(started.view.locator("figure.proof .line")).to_have_count(1)
    playwright.expect(started.view.locator("figure.proof code")).to_have_text(FRAMED)


def test_a_search_shows_its_hits_and_an_error_its_words(host: Any) -> None:
    started = host()
    hit = {**ANSWER["citations"][0], "text": "36 months from delivery", "match": "weak", "stale": True}
    started.notify("tool-result", result({"hits": [hit], "mode": "lexical", "degraded": []}))
    playwright.expect(started.view.locator("body")).to_contain_text("weak match, the file has changed since")
    started.notify("tool-result", {"isError": True, "content": [{"type": "text", "text": "There is no such picture."}]})
    playwright.expect(started.view.locator("#answer")).to_have_text("There is no such picture.")


def test_theme_and_language_are_the_hosts_and_follow_it(host: Any) -> None:
    started = host({**FULL, "hostContext": {"theme": "dark", "locale": "de-DE"}})
    playwright.expect(started.view.locator("html")).to_have_attribute("data-theme", "dark")
    playwright.expect(started.view.locator("body")).to_contain_text("Warte auf die Antwort")
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator("body")).to_contain_text("Quellen")
    variables = {"--color-background-primary": "rgb(1, 2, 3)", "bad name": "x", "--x": "url(http://a/)"}
    started.notify("host-context-changed", {"theme": "light", "locale": "zh-CN", "styles": {"variables": variables}})
    playwright.expect(started.view.locator("body")).to_contain_text("来源")
    playwright.expect(started.view.locator("body")).to_have_css("background-color", "rgb(1, 2, 3)")


def test_sizes_are_told_after_the_handshake_and_when_they_change(host: Any) -> None:
    started = host()
    started.until("window.heard.some(m => m.method === 'ui/notifications/size-changed')")
    before = started.heard("ui/notifications/size-changed")[-1]["params"]["height"]
    started.notify("tool-result", result(ANSWER))
    started.until(
        f"window.heard.some(m => m.method === 'ui/notifications/size-changed' && m.params.height > {before + 100})"
    )


def drag(started: Host, image: str) -> None:
    box = started.view.locator(image).bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] * 0.7
    started.page.mouse.move(x, y)
    started.page.mouse.down()
    started.page.mouse.move(x + box["width"] / 4, y + box["height"] / 5, steps=4)
    started.page.mouse.move(x + box["width"] / 2, y + box["height"] / 5)
    started.page.mouse.up()


def test_a_dragged_rectangle_becomes_a_question_about_that_part(host: Any) -> None:
    started = host()
    started.page.evaluate(
        "(r) => { window.toolResult = r; }", result({**ANSWER, "answer": "A blue square."}, "In words.")
    )
    started.notify("tool-input", {"arguments": {"question": "What?", "images": ["shapes.png"]}})
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator("figure.picture img")).to_be_visible()
    drag(started, "figure.picture img")
    started.view.locator(".ask input").fill("What is here?")
    started.view.locator(".ask input").press("Enter")
    playwright.expect(started.view.locator("#answer")).to_have_text("A blue square.")
    (call,) = started.heard("tools/call")
    arguments = call["params"]["arguments"]
    assert (call["params"]["name"], arguments["question"], arguments["session_id"]) == (
        "ask_image",
        "What is here?",
        "s-1",
    )
    (source,) = arguments["images"]
    name, _, numbers = source.partition("#xywh=percent:")
    x, y, width, height = map(float, numbers.split(","))
    assert name == "shapes.png" and abs(x - 25) < 1 and abs(y - 70) < 1 and abs(width - 50) < 1 and abs(height - 20) < 1


def test_where_tools_cannot_be_called_the_question_goes_into_the_chat(host: Any) -> None:
    started = host({**FULL, "hostCapabilities": {"serverResources": {}}})
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator("figure.page img")).to_be_visible()
    drag(started, "figure.page img")
    started.view.locator(".ask input").fill("What is this?")
    started.view.locator(".ask button").click()
    started.until("window.heard.some(m => m.method === 'ui/message')")
    (message,) = started.heard("ui/message")
    assert message["params"]["content"][0]["text"].startswith("What is this? (warranty.pdf#page=3&xywh=percent:")


def test_hostile_words_are_shown_and_never_run(host: Any) -> None:
    started = host()
    evil = "<img src=x onerror=\"parent.postMessage('run','*')\"><script>parent.postMessage('run','*')</script>"
    said = json.dumps({**EXTRACTED, "boxes": ANSWER["boxes"]})
    for words in ("119.00", "no name", "red circle", "36 months", "warranty"):
        said = said.replace(words, "EVIL")
    text = json.loads(said.replace("EVIL", json.dumps(evil)[1:-1]))
    started.notify("tool-result", result(text))
    playwright.expect(started.view.locator("#answer")).to_contain_text("<script>")
    started.view.locator(".box").hover()
    for button in started.view.locator("table button").all():
        button.click()
    playwright.expect(started.view.locator("table")).to_contain_text("<script>")
    assert started.view.locator("main script").count() == 0 and started.view.locator('img[src="x"]').count() == 0
    assert "run" not in started.page.evaluate("window.heard.map(String)")


def test_a_host_that_never_answers_leaves_a_sentence_and_no_error(host: Any) -> None:
    started = host(None)
    playwright.expect(started.view.locator("body")).to_contain_text("The host does not answer", timeout=60_000)


def test_five_thousand_boxes_are_bounded(host: Any) -> None:
    started = host()
    started.notify("tool-result", result({**ANSWER, "boxes": ANSWER["boxes"] * 5_000}))
    playwright.expect(started.view.locator(".box")).to_have_count(200)


def test_pings_and_teardown_are_answered_and_other_requests_refused(host: Any) -> None:
    started = host()
    for id, method in enumerate(("ping", "ui/resource-teardown", "constructor"), 900):
        started.page.evaluate("(m) => window.send(m)", {"id": id, "method": method, "params": {}})
    started.until("window.heard.filter(m => m.id >= 900).length === 3")
    answers = {m["id"]: m for m in started.page.evaluate("window.heard.filter(m => m.id >= 900)")}
    assert answers[900]["result"] == answers[901]["result"] == {} and answers[902]["error"]["code"] == -32601


def anything(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON: mostly of the keys and words that the view looks for, with values of any kind."""
    words = (
        *("hits", "answer", "citations", "regions", "boxes", "drawn", "image", "uri", "label", "page", "x1", "blob"),
        *("id", "content", "type", "text", "structuredContent", "isError", "plan", "steps", "review", "verdict"),
        *(
            "theme",
            "locale",
            "styles",
            "variables",
            "arguments",
            "images",
            "__proto__",
            "fields",
            "status",
            "value",
            "source",
            "degraded",
            "dark",
            "PASS",
            DRAWN,
        ),
    )
    kind = chance.randrange(9 if depth < 5 else 6)
    if kind > 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind > 5 or not depth:
        return {chance.choice(words): anything(chance, depth + 1) for _ in range(chance.randrange(6))}
    return (None, True, chance.choice(words), chance.uniform(-1e9, 1e9), chance.randrange(-5, 5), "é\u202e\0<b>")[kind]


def test_a_thousand_random_messages_leave_the_console_silent_and_the_view_alive(host: Any) -> None:
    chance = random.Random(7)
    methods = ("tool-input", "tool-input-partial", "tool-result", "tool-cancelled", "host-context-changed", "other")
    messages: list[Any] = []
    for n in range(1_000):
        params = anything(chance)
        if n % 3 == 0:
            params = {"structuredContent": {**EXTRACTED, chance.choice([*EXTRACTED]): anything(chance, 1)}}
        message: Any = {"jsonrpc": "2.0", "method": f"ui/notifications/{chance.choice(methods)}", "params": params}
        if n % 10 == 9:
            odd: tuple[Any, ...] = (
                *(anything(chance), "text", 7, None, {"jsonrpc": "2.0", "id": n, "result": anything(chance)}),
                {"jsonrpc": "2.0", "id": 1, "error": anything(chance)},
                {"jsonrpc": "2.0", "id": [n], "method": anything(chance, 1)},
            )
            message = chance.choice(odd)
        messages.append(message)
    started = host()
    started.page.evaluate("(all) => all.forEach((one) => window.sendRaw(one))", messages)
    started.page.evaluate("() => { window.silentOn = []; }")
    started.notify("tool-result", result(ANSWER))
    playwright.expect(started.view.locator("#answer")).to_have_text("It lasts 36 months [1].")
