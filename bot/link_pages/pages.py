"""What the pages say, as HTML: the templates escape whatever other people typed."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bot.cards.text import one_line, shorten_plain
from bot.model import Account
from bot.pending import LinkRequest
from bot.services.linking import LinkFailed, WhyNotLinked
from bot.speckle.tokens import SCOPES, TokenScope

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_NAME: Final = 120  # characters

PURPOSES: Final[Mapping[TokenScope, str]] = {
    TokenScope.STREAMS_READ: "read the projects that you can see: their names, versions, "
    "comments and issues, to complete what it shows of projects that channels follow",
    TokenScope.STREAMS_WRITE: "create webhooks in projects that you own, when you ask it to with "
    "/subscribe, maintain them, fetch what they could not deliver, and remove them again",
    TokenScope.PROFILE_READ: "see who you are, and find your projects by name while you type",
}


@dataclass(frozen=True, slots=True)
class PageMessage:
    """What a page says when there is nothing to press."""

    status: HTTPStatus
    title: str
    text: str


class Pages:
    """The templates, and the digest by which a policy allows their style."""

    @cached_property
    def _templates(self) -> "Environment":
        # Slow to load, and many hosts let nobody sign in.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        return Environment(
            loader=PackageLoader("bot.link_pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )

    @cached_property
    def style_digest(self) -> str:
        """The digest of the style, as a policy names it."""
        style = self._render("style.css").encode()
        return f"sha256-{b64encode(sha256(style).digest()).decode()}"

    def confirm(self, link: LinkRequest, proof: str) -> str:
        """Who links what, and what Speckle will ask; the form sends `proof` back."""
        return self._render(
            "confirm.html",
            server_url=link.server_url,
            person=_person(link),
            purposes={scope: PURPOSES[scope] for scope in SCOPES},
            proof=proof,
        )

    def linked(self, account: Account, link: LinkRequest) -> str:
        """It worked."""
        return self._render(
            "linked.html",
            name=_one_name(account.name or account.speckle_user_id),
            server_url=account.server_url,
            person=_person(link),
            write_scope=TokenScope.STREAMS_WRITE,
            can_write=TokenScope.STREAMS_WRITE in account.scopes,
        )

    def message(self, message: PageMessage) -> str:
        """A title and a text."""
        return self._render("message.html", title=message.title, text=message.text)

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(values)


def _person(link: LinkRequest) -> str:
    return _one_name(link.details.person or f"with the id {link.discord_user_id}")


def _one_name(name: str) -> str:
    """A name that others chose: nothing in it turns the text around it or hides."""
    return shorten_plain(one_line(name), MAX_NAME)


# ── when it did not work ──────────────────────────────────────────────────────────────────────

AGAIN: Final = "Go back to Discord and use /link again, or press the link in Discord once more."
NO_COOKIE: Final = PageMessage(
    HTTPStatus.FORBIDDEN,
    "This browser did not start the sign-in",
    "Nothing was linked. The sign-in must end in the browser in which it began, and that browser "
    f"must accept cookies from this page. {AGAIN}",
)
NO_PROOF: Final = PageMessage(
    HTTPStatus.FORBIDDEN,
    "That did not come from this page",
    "Your browser did not send back what this page gave it; perhaps it refuses cookies, or the "
    "page was open for too long. Open the link from Discord again and press the button there.",
)
NO_CODE: Final = PageMessage(
    HTTPStatus.BAD_REQUEST,
    "Something is missing",
    f"Speckle's answer was incomplete, so nothing was linked. {AGAIN}",
)
MANGLED: Final = PageMessage(
    HTTPStatus.NOT_FOUND,
    "This link is not complete",
    "Nothing was linked: a part of the address is missing, or something was added to it. Press the "
    "link in Discord itself, or use /link there again for a new one.",
)
OWN_FAULT: Final = PageMessage(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The bot cannot do that at the moment",
    "Nothing was linked. Load this page again in a minute; if that does not help, tell the person "
    "who runs the bot.",
)
_SCOPE_MISSING: Final = PageMessage(
    HTTPStatus.BAD_GATEWAY,
    "The application lacks a scope",
    "Nothing was linked. The application that the bot has on {server} lacks {missing} of its "
    f"scopes, so tell the person who runs the bot. It needs {', '.join(SCOPES)}.",
)
_NOT_UNDERSTOOD: Final = PageMessage(
    HTTPStatus.BAD_GATEWAY,
    "The bot and Speckle do not understand each other",
    "Nothing was linked. Tell the person who runs the bot: look at SPECKLE_APPS and the "
    "application on {server}.",
)
_FAILURES: Final[Mapping[WhyNotLinked, PageMessage]] = {
    WhyNotLinked.EXPIRED: PageMessage(
        HTTPStatus.NOT_FOUND,
        "This link has expired",
        "It works for 15 minutes. Use /link in Discord again for a new one.",
    ),
    WhyNotLinked.USED: PageMessage(
        HTTPStatus.GONE,
        "This link has been used",
        "It works once. /account in Discord shows what is linked; /link makes a new one.",
    ),
    WhyNotLinked.OTHER_BROWSER: NO_COOKIE,
    WhyNotLinked.OTHER_PERSON: NO_COOKIE,
    WhyNotLinked.CODE_REFUSED: PageMessage(
        HTTPStatus.BAD_GATEWAY,
        "Speckle did not accept the sign-in",
        "{server} refused its own sign-in code. Codes work once, within 10 minutes. Press "
        "the link in Discord again. If it happens again, tell the person who runs the bot: the "
        "secret of the application may be wrong.",
    ),
    WhyNotLinked.SCOPES_MISSING: _SCOPE_MISSING,
    WhyNotLinked.TOKEN_REFUSED: _SCOPE_MISSING,
    WhyNotLinked.SERVER_AWAY: PageMessage(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Speckle does not answer at the moment",
        "{server} does not answer, so nothing is linked yet. Load this page again in a minute.",
    ),
    WhyNotLinked.NO_APP: _NOT_UNDERSTOOD,
    WhyNotLinked.SERVER_STRANGE: _NOT_UNDERSTOOD,
    WhyNotLinked.NOT_A_TOKEN: _NOT_UNDERSTOOD,
    WhyNotLinked.NOT_A_CODE: _NOT_UNDERSTOOD,
}


def denied(link: LinkRequest) -> PageMessage:
    """Someone refused at Speckle."""
    return PageMessage(
        HTTPStatus.OK,
        "You said no",
        f"Nothing was linked, and the bot got nothing from {link.server_url}. If that was a "
        "mistake, press the link in Discord again.",
    )


def failed(failure: LinkFailed) -> PageMessage:
    """Why nothing was linked, and what to do."""
    message = _FAILURES[failure.why]
    missing = ", ".join(failure.scopes) or "some"
    text = message.text.format(server=failure.server_url, missing=missing)
    return PageMessage(message.status, message.title, text)
