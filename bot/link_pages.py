"""The pages of signing in with Speckle: where a link from Discord leads, and where Speckle returns.

Speckle gives back neither a `state` nor the challenge, so a cookie ties the browser that comes back
to the one that started, and through it to one person's request. The cookie is set by the form's
button, never by opening the link: what only looks at links changes nothing. That the form was sent
by our own page is known by a second cookie, which no other site can send along or read.
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import Final, assert_never
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import web

from bot.cards.text import one_line, shorten_plain
from bot.db.accounts import LINK_VALID
from bot.db.rows import Account, LinkRequest
from bot.errors import StorageError
from bot.services.accounts import AccountService, LinkFailed, WhyNotLinked
from bot.speckle.answers import SCOPES, Scope

log = structlog.get_logger()

NONCE: Final = "[A-Za-z0-9_-]{43}"
MAX_FORM_BYTES: Final = 4096
MAX_COOKIE: Final = 200
MAX_CODE: Final = 200
MAX_NAME: Final = 120

WHAT_FOR: Final[Mapping[Scope, str]] = {
    Scope.STREAMS_READ: "read the projects that you can see: their names, versions and comments, "
    "to complete what it shows of projects that channels follow",
    Scope.STREAMS_WRITE: "make webhooks in projects that you own, when you ask it to with "
    "/subscribe, look after them, fetch what they could not deliver, and remove them again",
    Scope.PROFILE_READ: "see who you are, and find your projects by name while you type",
}
STYLE: Final = """
:root{color-scheme:light dark}
body{font:1rem/1.55 system-ui,sans-serif;margin:0;padding:3rem 1.25rem;background:#f4f5f7;
color:#1c2430}
main{max-width:34rem;margin:0 auto;background:#fff;border-radius:.75rem;padding:1.75rem 2rem;
box-shadow:0 1px 4px #0002}
h1{font-size:1.35rem;margin:0 0 1rem;line-height:1.3}
p,ul{margin:0 0 1rem}ul{padding-left:1.25rem}li{margin-bottom:.4rem}
code{font-size:.9em;background:#8882;border-radius:.25rem;padding:.05rem .3rem}
strong{overflow-wrap:anywhere}
.note{border-left:.25rem solid #d97706;padding:.1rem 0 .1rem .9rem}
button{font:inherit;font-weight:600;border:0;border-radius:.5rem;padding:.7rem 1.3rem;
background:#2563eb;color:#fff;cursor:pointer}
button:hover,button:focus-visible{background:#1d4ed8}
small{color:#5b6675}
@media (prefers-color-scheme:dark){body{background:#14181f;color:#e6e9ee}
main{background:#1e242e}small{color:#9aa5b4}}
"""

STYLE_DIGEST: Final = "sha256-" + b64encode(sha256(STYLE.encode()).digest()).decode()

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says when there is nothing more to press."""

    status: HTTPStatus
    title: str
    text: str


class LinkPages:
    """`GET` and `POST /link/{nonce}` and `GET /link/callback`, for the listener's application."""

    def __init__(self, accounts: AccountService, public_url: str) -> None:
        self._accounts = accounts
        address = urlsplit(public_url)
        self._origin = f"{address.scheme}://{address.netloc}"
        self._is_https = address.scheme == "https"
        # The prefix has a browser keep the cookie from other hosts of the same site.
        prefix = "__Host-" if self._is_https else ""
        self._cookie, self._form_cookie = f"{prefix}speckle-link", f"{prefix}speckle-link-form"

    def add_to(self, app: web.Application) -> None:
        """Serve the pages."""
        app.router.add_get("/link/callback", _told(self._callback), allow_head=False)
        page = f"/link/{{nonce:{NONCE}}}"
        app.router.add_get(page, _told(self._start), allow_head=False)
        app.router.add_post(page, _told(self._leave))

    async def _start(self, request: web.Request) -> web.Response:
        """Say for whom this is and what will be asked; the button goes on."""
        link = await self._accounts.request(request.match_info["nonce"])
        proof = secrets.token_urlsafe(32)
        response = _page(_start_page(link, proof), form_to=link.server_url)
        self._set_cookie(response, self._form_cookie, proof, same_site="Strict")
        return response

    async def _leave(self, request: web.Request) -> web.Response:
        """The button: tie this browser to the request, and go to Speckle."""
        nonce = request.match_info["nonce"]
        await self._accounts.request(nonce)
        if not await self._is_our_form(request):
            return _say(
                Told(
                    HTTPStatus.FORBIDDEN,
                    "That did not come from this page",
                    "Your browser did not send along what this page had given it; perhaps it "
                    "refuses cookies, or the page was open for too long. Open the link from "
                    "Discord again and press the button there.",
                )
            )
        leaving = await self._accounts.begin_sign_in(nonce)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": leaving.url})
        _harden(response, "default-src 'none'; frame-ancestors 'none'")
        self._set_cookie(response, self._cookie, leaving.cookie, same_site="Lax")
        return response

    async def _is_our_form(self, request: web.Request) -> bool:
        """Whether our own page sent this: any site can send a form, but not know this cookie."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return False
        # "null" is what a page that sends no referrer calls itself.
        if request.headers.get("Origin", self._origin).lower() not in (self._origin, "null"):
            return False
        length = request.content_length
        if length is None or length > MAX_FORM_BYTES:
            return False
        form = parse_qs((await request.read()).decode("ascii", "replace"))
        sent = _plain(form.get("proof", [""])[0], MAX_COOKIE)
        proof = _plain(request.cookies.get(self._form_cookie, ""), MAX_COOKIE)
        return bool(proof) and hmac.compare_digest(sent, proof)

    async def _callback(self, request: web.Request) -> web.Response:
        """Where Speckle sends people back to, with a code or with a no."""
        cookie = _plain(request.cookies.get(self._cookie, ""), MAX_COOKIE)
        if not cookie:
            return _say(NO_COOKIE)
        if "denied" in request.query:
            _, link = await self._accounts.signing_in(cookie)
            return _say(_denied(link))
        code = _plain(request.query.get("access_code", ""), MAX_CODE)
        if not code:
            return _say(NO_CODE)
        _, link = await self._accounts.signing_in(cookie)
        account = await self._accounts.link_by_code(cookie, code)
        response = _page(_done_page(account, link))
        # Deleted by hand: aiohttp's del_cookie sends no Secure, without which __Host- is ignored.
        self._set_cookie(response, self._cookie, "", same_site="Lax", max_age_s=0)
        self._set_cookie(response, self._form_cookie, "", same_site="Strict", max_age_s=0)
        return response

    def _set_cookie(
        self,
        response: web.Response,
        name: str,
        value: str,
        *,
        same_site: str,
        max_age_s: int = round(LINK_VALID.total_seconds()),
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age_s,
            path="/",
            httponly=True,
            secure=self._is_https,
            samesite=same_site,
        )


def _plain(text: str, most: int) -> str:
    """A value in the letters that ours are made of; empty for any other, such as bytes that are
    no text.
    """
    return text if text.isascii() and text.isprintable() and len(text) <= most else ""


def _told(handler: Handler) -> Handler:
    """Make a page of whatever goes wrong."""

    async def answered(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):  # the latter: the caller broke off
            raise
        except LinkFailed as failed:
            log.info("link_page.failed", why=failed.why)
            return _say(_failed(failed))
        except StorageError as error:
            log.error("link_page.not_stored", reason=str(error))
        except Exception:
            log.exception("link_page.failed")
        return _say(OWN_FAULT)

    return answered


# ── what the pages say ────────────────────────────────────────────────────────────────────────


def _start_page(link: LinkRequest, proof: str) -> str:
    server, person = escape(link.server_url), escape(_person(link))
    asked = "".join(f"<li><code>{scope}</code>: {escape(WHAT_FOR[scope])}</li>" for scope in SCOPES)
    return _html(
        "Link your Speckle account",
        f"""<p>This links an account on <strong>{server}</strong> to the Discord account
<strong>{person}</strong>.</p>
<p class="note">Is that not you? Then close this page. Whoever goes on here lets that Discord
account act with their Speckle account.</p>
<p>Speckle will ask you to let the bot</p>
<ul>{asked}</ul>
<p>The bot keeps the permission sealed, and uses it on that server alone. <code>/unlink</code> in
Discord takes it back, <code>/privacy</code> shows all that is stored about you.</p>
<form method="post"><input type="hidden" name="proof" value="{escape(proof)}">
<button type="submit">Go on to Speckle</button></form>""",
    )


def _done_page(account: Account, link: LinkRequest) -> str:
    name = escape(_one_name(account.name or account.speckle_user_id))
    write = (
        ""
        if Scope.STREAMS_WRITE in account.scopes
        else """<p class="note">The bot was not given <code>streams:write</code>, so it cannot make
webhooks for you; the person who runs the bot can add it to the application in Speckle.</p>"""
    )
    return _html(
        "It worked",
        f"""<p>The Speckle account <strong>{name}</strong> on
<strong>{escape(account.server_url)}</strong> is linked to the Discord account
<strong>{escape(_person(link))}</strong>.</p>{write}
<p>You can close this page and go back to Discord. What waited for this goes on by itself.</p>""",
    )


def _person(link: LinkRequest) -> str:
    return _one_name(link.details.person or f"with the id {link.discord_user_id}")


def _one_name(name: str) -> str:
    """A name that others chose: nothing in it turns the text around it or hides."""
    return shorten_plain(one_line(name), MAX_NAME)


AGAIN = "Go back to Discord and use /link again, or press the link that you were given once more."
NO_COOKIE = Told(
    HTTPStatus.FORBIDDEN,
    "This browser did not start that",
    "Nothing was linked. The sign-in has to end in the browser in which it began, and that browser "
    f"has to accept cookies from this page. {AGAIN}",
)
NO_CODE = Told(
    HTTPStatus.BAD_REQUEST,
    "Something is missing",
    f"Speckle sent neither a yes nor a no, so nothing was linked. {AGAIN}",
)
OWN_FAULT = Told(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The bot cannot do that at the moment",
    "Nothing was linked. Load this page again in a minute; if it stays so, tell the person who "
    "runs the bot.",
)


def _denied(link: LinkRequest) -> Told:
    return Told(
        HTTPStatus.OK,
        "You said no",
        f"Nothing was linked, and the bot got nothing from {link.server_url}. If that was a "
        "mistake, press the link in Discord again.",
    )


def _failed(failed: LinkFailed) -> Told:
    server = failed.server_url
    match failed.why:
        case WhyNotLinked.EXPIRED:
            return Told(
                HTTPStatus.NOT_FOUND,
                "This link has run out",
                "It works for 15 minutes. Use /link in Discord again for a new one.",
            )
        case WhyNotLinked.USED:
            return Told(
                HTTPStatus.GONE,
                "This link has been used",
                "It works once. /account in Discord shows what is linked; /link makes a new one.",
            )
        case WhyNotLinked.OTHER_BROWSER | WhyNotLinked.OTHER_PERSON:
            return NO_COOKIE
        case WhyNotLinked.CODE_REFUSED:
            return Told(
                HTTPStatus.BAD_GATEWAY,
                "Speckle did not accept the sign-in",
                f"{server} refused the code that it had given. Codes work once, within 10 minutes. "
                "Press the link in Discord again. If it happens again, tell the person who runs "
                "the bot: the secret of the application may be wrong.",
            )
        case WhyNotLinked.SCOPES_MISSING | WhyNotLinked.TOKEN_REFUSED:
            missing = ", ".join(failed.scopes) or "some"
            return Told(
                HTTPStatus.BAD_GATEWAY,
                "The application lacks a scope",
                f"Nothing was linked. The application that the bot has on {server} lacks "
                f"{missing} of its scopes, so tell the person who runs the bot. It needs "
                f"{', '.join(SCOPES)}.",
            )
        case WhyNotLinked.SERVER_AWAY:
            return Told(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Speckle does not answer at the moment",
                f"{server} does not answer, so nothing is linked yet, and nothing is lost. Load "
                "this page again in a minute.",
            )
        case WhyNotLinked.NO_APP | WhyNotLinked.SERVER_STRANGE | WhyNotLinked.NOT_A_TOKEN:
            return Told(
                HTTPStatus.BAD_GATEWAY,
                "The bot and Speckle do not understand each other",
                f"Nothing was linked. Tell the person who runs the bot: look at SPECKLE_APPS and "
                f"the application on {server}.",
            )
        case _:
            assert_never(failed.why)


def _say(told: Told) -> web.Response:
    text = f"<p>{escape(told.text)}</p>"
    return _page(_html(escape(told.title), text), status=told.status)


def _html(title: str, inner: str) -> str:
    """A whole page; both arguments are HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title><style>{STYLE}</style></head>
<body><main><h1>{title}</h1>
{inner}
</main></body></html>
"""


def _page(
    html: str, *, status: HTTPStatus = HTTPStatus.OK, form_to: str | None = None
) -> web.Response:
    """The page, for this moment and this reader alone; its form may go to us and on to `form_to`.

    Browsers hold the addresses that a form is redirected to against the policy, too.
    """
    response = web.Response(status=status, text=html, content_type="text/html")
    form = "'none'" if form_to is None else f"'self' {form_to}"
    _harden(
        response,
        f"default-src 'none'; style-src '{STYLE_DIGEST}'; form-action {form}; base-uri 'none'; "
        "frame-ancestors 'none'",
    )
    return response


def _harden(response: web.Response, policy: str) -> None:
    response.headers.update(
        {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Robots-Tag": "noindex",
        }
    )
