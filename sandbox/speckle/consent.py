"""/authn/verify: the page that asks a person whether an application may use their account.

A real server knows who is signed in in this browser; here nobody has a password, so the page asks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from yarl import URL

from sandbox.http_site import HOST
from sandbox.speckle.entities import SignInApp
from sandbox.speckle.oauth import OAuth

# As a real server says it.
SCOPES: Final[Mapping[str, str]] = {
    "streams:read": "Read your projects and what is in them: models, versions, comments",
    "streams:write": "Create and change projects, models, comments and webhooks for you",
    "profile:read": "Read your profile",
    "profile:email": "Read the email address that you signed up with",
    "users:read": "See other people's profiles",
}


@dataclass(frozen=True, slots=True)
class AskedScope:
    """One thing that an application wants to be allowed."""

    name: str
    words: str


@cache
def _templates() -> Environment:
    """One for all servers: to compile a page takes longer than to start a server."""
    return Environment(
        loader=PackageLoader("sandbox.speckle"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


class ConsentPage:
    """The page, and what comes of its two buttons.

    A server that `can_show_codes` shows the code to copy, where the address asks for that, instead
    of sending the person back with it.
    """

    def __init__(self, oauth: OAuth, release: str, can_show_codes: Callable[[], bool]) -> None:
        self._oauth = oauth
        self._release = release
        self._can_show_codes = can_show_codes
        self._template = _templates().get_template("consent.html")
        self._answer_template = _templates().get_template("exchange_code.html")

    async def show(self, request: web.Request) -> web.Response:
        """Ask."""
        app = self._app(request)
        if app is None:
            return web.Response(status=404, text="App does not exist.")
        text = self._template.render(
            app=app,
            release=self._release,
            people=list(self._oauth.world.users.values()),
            scopes=[AskedScope(one, SCOPES.get(one, one)) for one in app.scopes],
            back_to=None if self._shows_code(request) else app.redirect_url,
        )
        return _page(text, app)

    async def answered(self, request: web.Request) -> web.Response:
        """Go back to the application, with a code or with a no, or show the code."""
        app = self._app(request)
        if app is None:
            return web.Response(status=404, text="App does not exist.")
        if not _is_own_form(request):
            return web.Response(status=403, text="Only this page itself may answer.")
        form = await request.post()
        user = self._oauth.world.users.get(str(form.get("user")))
        back_to = URL(app.redirect_url)
        if form.get("answer") != "allow":
            if self._shows_code(request):
                return self._said(app, None)
            return _see(back_to.update_query(denied="true"))
        if user is None:
            return web.Response(status=400, text="Nobody here has this id. Go back and choose.")
        challenge = request.path_qs.rpartition("/")[2]
        code = self._oauth.approve(user, app, challenge)
        if self._shows_code(request):
            return self._said(app, code)
        return _see(back_to.update_query(access_code=code))

    def _shows_code(self, request: web.Request) -> bool:
        return self._can_show_codes() and request.query.get("returnExchangeToken") == "true"

    def _said(self, app: SignInApp, code: str | None) -> web.Response:
        text = self._answer_template.render(app=app, release=self._release, code=code)
        return _page(text, app)

    def _app(self, request: web.Request) -> SignInApp | None:
        return self._oauth.world.apps.get(request.match_info["app"])


def _is_own_form(request: web.Request) -> bool:
    """Whether this page sent the form, at this machine's address and not at a name for it."""
    own = f"http://{request.host}"
    return request.headers.get("Origin") == own and URL(own).host in (HOST, "localhost")


def _policy(app: SignInApp) -> str:
    """A browser holds the address that a form is redirected to against the policy, too."""
    back_to = URL(app.redirect_url).origin()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {back_to}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _page(text: str, app: SignInApp) -> web.Response:
    headers = {"Content-Security-Policy": _policy(app), "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _see(address: URL) -> web.Response:
    return web.Response(status=303, headers={"Location": str(address)})
