"""The pages as HTML. Everything that isn't ours is escaped; nothing that was typed in is ever shown again."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from scheduler.connections.consent.needs import Needs
from scheduler.connections.trial.report import Report
from worker.errors import HeadraceError

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_OURS = (
    "What you entered can't be kept or used here just now, which is not your fault."
    " Please tell whoever sent you this link."
)


_ELSEWHERE = "Give one that can be reached from the internet, or ask whoever sent you this link."


_OUR_AFFAIR = frozenset({
    "bad_secret_reference", "bad_store", "plain_secret", "secret_client_missing", "secret_missing", "secret_not_writable",
    "secret_of_headrace", "secret_outside_environment", "secret_store_login", "secret_store_unavailable", "secret_unresolved",
})  # fmt: skip
"""These words name stores and references."""


def _page(title: str, body: str, *, status: int = 200, head: str = "") -> HTMLResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/connect/look.css">{head}</head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, HEADERS)


def gone() -> HTMLResponse:
    """Whatever the reason: it was used, has expired, was taken back, was opened elsewhere, or never existed."""
    return _page(
        "This link is not valid",
        "<p>It may have expired, or have been opened or used before.</p><p>Ask whoever sent it to you for a new one.</p>",
        status=404,
    )


def done(title: str, return_url: str | None) -> HTMLResponse:
    """To the browser that did it: the form was sent twice, or its last page is looked at again."""
    return _page(
        f"{title} is connected",
        '<p class="good">This link has done what it was for: nothing more is needed.</p>'
        f'<p class="soft">You can close this page.</p>{_back(return_url)}',
    )


def welcome(title: str, name: str, secret: str) -> HTMLResponse:
    """What a link leads to. Only the button opens it, so that programs which look into mails use nothing up."""
    return _page(
        f"Connect {title}",
        f"<p>You were asked to connect <strong>{escape(name)}</strong>.</p>"
        '<p class="soft">What you enter goes to a secret store and is shown to nobody. This link works once, in this browser.</p>'
        f'<form method="post" action="/connect/start"><input type="hidden" name="link" value="{escape(secret)}">'
        "<button>Continue</button></form>",
    )


def form(
    needs: Needs,
    name: str,
    proof: str,
    *,
    typed: Mapping[str, Any] | None = None,
    wrong: str = "",
    status: int = 200,
) -> HTMLResponse:
    """What is to be typed in. Settings are shown again after a mistake, secrets aren't."""
    fields = [
        _field(f"setting.{each.name}", each.name, each.told, str((typed or {}).get(each.name, "")))
        for each in needs.settings
    ]
    fields += [_field(f"secret.{each.name}", each.name, each.told) for each in needs.secrets]
    act = f"Continue to {needs.title}" if needs.consent is not None else "Connect"
    said = f'<p class="bad" role="alert">{escape(wrong)}</p>' if wrong else ""
    login = f"<p>You will log in at {escape(needs.title)} and come back here.</p>" if needs.consent else ""
    return _page(
        f"Connect {needs.title}",
        f"<p><strong>{escape(name)}</strong></p>{said}{login}"
        f'<form method="post" action="/connect/form" autocomplete="off"><input type="hidden" name="proof" value="{escape(proof)}">'
        f"{''.join(fields)}<button>{escape(act)}</button></form>",
        status=status,
    )


def _field(key: str, name: str, about: str, value: str | None = None) -> str:
    kind = "password" if value is None else "text"
    shown = "" if value is None else f' value="{escape(value)}"'
    label = re.sub(
        r"\b(?:Id|Url|id|url)\b", lambda word: word[0].upper(), name.replace("_", " ").capitalize()
    )
    return (
        f'<label for="{escape(key)}">{escape(label)}</label><small id="{escape(key)}.about">{escape(about.replace("`", ""))}</small>'
        f'<input id="{escape(key)}" name="{escape(key)}" type="{kind}"{shown} required maxlength="8000" '
        f'aria-describedby="{escape(key)}.about" '
        'autocomplete="off" autocapitalize="none" spellcheck="false">'
    )


def away(title: str, address: str) -> HTMLResponse:
    """To where somebody logs in; the browser goes by itself."""
    target = escape(address)
    return _page(
        f"On to {title}",
        f'<p>Log in there; you come back here by yourself.</p><a class="button" rel="noreferrer" href="{target}">Continue</a>',
        head=f'<meta http-equiv="refresh" content="0; url={target}">',
    )


def why_not(report: Report) -> str:
    """What is told to whoever gave what doesn't work."""
    failure = report.first_failure
    ours = failure is not None and (failure.about.startswith("secret ") or failure.code in _OUR_AFFAIR)
    words = _OURS if ours else report.summary() if failure is None else _plain(failure.words, failure.code)
    return f"{words} Nothing was connected."


def refused(title: str, words: str) -> HTMLResponse:
    """Somebody said no at the system, or it did."""
    return _page(
        f"{title} could not be connected",
        f'<p class="bad" role="alert">{escape(words)}</p><a class="button" href="/connect/form">Try again</a>',
        status=422,
    )


def connected(title: str, report: Report, return_url: str | None) -> HTMLResponse:
    """It works."""
    lacking = ""
    if report.missing:
        lacking = (
            f"<p>Your login may not read these, which is fine if you meant so:</p>{_list(report.missing)}"
        )
    return _page(
        f"{title} is connected",
        f'<p class="good">These can be read now:</p>{_list(report.found)}{lacking}'
        f'<p class="soft">You can close this page.</p>{_back(return_url)}',
    )


def said(error: HeadraceError) -> str:
    """The words for whoever has a link: which stores and secrets of ours there are is none of their business."""
    return _OURS if error.code in _OUR_AFFAIR else _plain(error.message, error.code)


def _plain(words: str, code: str | None) -> str:
    """Of an address that they may not name, what they can do about it."""
    return f"{words} {_ELSEWHERE}" if code == "address_refused" else words


def _back(return_url: str | None) -> str:
    return f'<a class="button" href="{escape(return_url)}">Go back</a>' if return_url else ""


def _list(names: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(name.replace('_', ' '))}</li>" for name in names) + "</ul>"
