"""What a page is to whoever looks at it: how its words stand out, how wide it is on a phone, what the browser complains of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page

WIDTHS = (320, 1280)
TEXT, EDGE = 4.5, 3.0
"""How much lighter or darker words, and the edges of what is typed into, must be than what is behind them (WCAG 2.2, AA)."""
LOOK = """
([text, edge]) => {
  const canvas = document.body.appendChild(document.createElement('i'));
  canvas.style.backgroundColor = 'Canvas';
  const paper = parts(getComputedStyle(canvas).backgroundColor);
  canvas.remove();
  function parts(color) {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  }
  const over = ([r, g, b, a], below) => [r, g, b].map((each, n) => each * a + below[n] * (1 - a)).concat(1);
  function behind(element) {
    if (element === null) return paper;
    return over(parts(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  }
  const light = color => color.slice(0, 3).map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, n) => sum + each * [0.2126, 0.7152, 0.0722][n], 0);
  function contrast(color, below) {
    const [low, high] = [light(over(color, below)), light(below)].sort((one, other) => one - other);
    return (high + 0.05) / (low + 0.05);
  }
  const wrong = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.checkVisibility() || element.getClientRects().length === 0 || element.type === 'hidden') continue;
    const style = getComputedStyle(element), what = element.tagName + ' ' + (element.textContent || element.name).slice(0, 40);
    const speaks = element.tagName === 'INPUT' || [...element.childNodes].some(each => each.nodeType === 3 && each.data.trim());
    const found = contrast(parts(style.color), behind(element));
    if (speaks && found < text) wrong.push(`${what}: its words have a contrast of ${found.toFixed(2)}`);
    if (element.tagName !== 'INPUT') continue;
    const rim = contrast(parts(style.borderTopColor), behind(element.parentElement));
    if (rim < edge) wrong.push(`${what}: its edge has a contrast of ${rim.toFixed(2)}`);
    if (element.labels.length === 0) wrong.push(`${what}: it has no label`);
    if (!element.ariaDescribedByElements?.length) wrong.push(`${what}: what is said of it is told to no reader`);
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`it is ${root.scrollWidth} px wide and ${root.clientWidth} are there`);
  if (document.querySelectorAll('h1').length !== 1) wrong.push('it has no heading, or several');
  if (!root.lang || !document.title) wrong.push('it names no language or title');
  return wrong;
}
"""


@dataclass
class Sight:
    """Somebody's browser: a profile of its own, with one page in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """What the console of its pages was told: refusals by their policy, what couldn't be loaded, scripts that failed."""

    def look(self, name: str) -> None:
        """The page as it stands is fit to be looked at: in light and in dark, on a phone and on a desk."""
        before = self.page.viewport_size
        assert before
        self.page.wait_for_load_state()  # a click that leads on returns before there is a body
        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": 800})
                wrong = self.page.evaluate(LOOK, [TEXT, EDGE])
                assert not wrong, f"{name} in {scheme}, {width} px wide: {wrong}"
                if folder := os.environ.get("SCREENSHOTS"):
                    self.page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png")
        self.page.set_viewport_size(before)

    @property
    def words(self) -> str:
        """What a person reads."""
        return self.page.inner_text("body")

    def focused(self) -> str:
        """On what the keyboard is, and that it shows."""
        return str(
            self.page.evaluate(
                "() => { const on = document.activeElement, style = getComputedStyle(on);"
                " return style.outlineStyle === 'none' ? 'nothing that shows' : on.name || on.textContent }"
            )
        )

    def _heard(self, message: ConsoleMessage) -> None:
        place = message.location["url"]
        # A page that says no comes with a status that says no, and a browser looks for an icon where none is promised.
        says_no = (
            message.text.startswith("Failed to load resource") and place.partition("?")[0] == self.page.url
        )
        if message.type in {"error", "warning"} and not says_no and not place.endswith("/favicon.ico"):
            self.complaints.append(f"{place}: {message.text}")


@contextmanager
def somebody(browser: Browser) -> Iterator[Sight]:
    """A new person, who complains at the end if their browser did."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    sight = Sight(context.new_page())
    sight.page.on("console", sight._heard)
    sight.page.on("pageerror", lambda error: sight.complaints.append(str(error)))
    try:
        yield sight
        assert sight.complaints == []
    finally:
        context.close()
