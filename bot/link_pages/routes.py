"""The routes of the link pages: cookies that tie a browser to a request, and the headers."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import web

from bot.errors import StorageError
from bot.link_pages.pages import (
    MANGLED,
    NO_CODE,
    NO_COOKIE,
    NO_PROOF,
    OWN_FAULT,
    PageMessage,
    Pages,
    denied,
    failed,
)
from bot.pending import LINK_VALID
from bot.services.linking import AccountLinking, LinkFailed

log = structlog.get_logger()

NONCE: Final = "[A-Za-z0-9_-]{43}"
MAX_FORM_BYTES: Final = 4096
MAX_COOKIE: Final = 200  # characters
MAX_CODE: Final = 200  # characters

Handler = Callable[[web.Request], Awaitable[web.Response]]


class LinkPages:
    """`GET` and `POST /link/{nonce}` and `GET /link/callback`, for the listener's application."""

    def __init__(self, linking: AccountLinking, public_url: str) -> None:
        self._linking = linking
        self._pages = Pages()
        address = urlsplit(public_url)
        self._origin = f"{address.scheme}://{address.netloc}"
        self._is_https = address.scheme == "https"
        # The prefix has a browser keep the cookie from other hosts of the same site.
        prefix = "__Host-" if self._is_https else ""
        self._cookie, self._form_cookie = f"{prefix}speckle-link", f"{prefix}speckle-link-form"

    def add_to(self, app: web.Application) -> None:
        """Serve the pages."""
        app.router.add_get("/link/callback", self._safe(self._callback), allow_head=False)
        page = f"/link/{{nonce:{NONCE}}}"
        app.router.add_get(page, self._safe(self._start), allow_head=False)
        app.router.add_post(page, self._safe(self._leave))
        for mangled in ("/link", "/link/{rest:.*}"):
            app.router.add_get(mangled, self._mangled, allow_head=False)

    async def _start(self, request: web.Request) -> web.Response:
        """Say for whom this is and what Speckle will ask; the button leads there."""
        link = await self._linking.request(request.match_info["nonce"])
        proof = secrets.token_urlsafe(32)
        response = self._page(self._pages.confirm(link, proof), form_to=link.server_url)
        self._set_cookie(response, self._form_cookie, proof, same_site="Strict")
        return response

    async def _mangled(self, _request: web.Request) -> web.Response:
        """An address that cannot be one of ours: part of it was lost on the way from Discord."""
        return self._say(MANGLED)

    async def _leave(self, request: web.Request) -> web.Response:
        """The button: tie this browser to the request, and go to Speckle."""
        nonce = request.match_info["nonce"]
        await self._linking.request(nonce)
        if not await self._is_our_form(request):
            return self._say(NO_PROOF)
        leaving = await self._linking.begin_sign_in(nonce)
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
            return self._say(NO_COOKIE)
        if "denied" in request.query:
            _, link = await self._linking.signing_in(cookie)
            return self._say(denied(link))
        code = _plain(request.query.get("access_code", ""), MAX_CODE)
        if not code:
            return self._say(NO_CODE)
        _, link = await self._linking.signing_in(cookie)
        account = await self._linking.link_by_code(cookie, code)
        response = self._page(self._pages.linked(account, link))
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

    def _safe(self, handler: Handler) -> Handler:
        """Make a page of whatever goes wrong."""

        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except (web.HTTPException, ConnectionError):  # the latter: the caller broke off
                raise
            except LinkFailed as failure:
                log.info("link_page.failed", why=failure.why)
                return self._say(failed(failure))
            except StorageError as error:
                log.error("link_page.not_stored", reason=str(error))
            except Exception:  # the top: the person reads our page instead of aiohttp's
                log.exception("link_page.failed")
            return self._say(OWN_FAULT)

        return answer

    def _say(self, message: PageMessage) -> web.Response:
        return self._page(self._pages.message(message), status=message.status)

    def _page(
        self, html: str, *, status: HTTPStatus = HTTPStatus.OK, form_to: str | None = None
    ) -> web.Response:
        """The page, for this moment and this reader alone; its form may go to us and to `form_to`.

        Browsers hold the addresses that a form is redirected to against the policy, too.
        """
        response = web.Response(status=status, text=html, content_type="text/html")
        form = "'none'" if form_to is None else f"'self' {form_to}"
        _harden(
            response,
            f"default-src 'none'; style-src '{self._pages.style_digest}'; form-action {form}; "
            "base-uri 'none'; frame-ancestors 'none'",
        )
        return response


def _plain(text: str, most: int) -> str:
    """A value in the letters that ours are made of; empty for any other, such as bytes that are
    no text.
    """
    return text if text.isascii() and text.isprintable() and len(text) <= most else ""


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
