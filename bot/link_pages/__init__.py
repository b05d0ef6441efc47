"""The pages of signing in with Speckle: where a link from Discord leads, and where Speckle returns.

Speckle gives back no `state` and no challenge, so a cookie ties the browser that comes back
to the one that started, and through it to one person's request. The cookie is set by the form's
button, never by opening the link: what only looks at links changes nothing. That the form was sent
by our own page is known by a second cookie, which no other site can send along or read.
"""

from bot.link_pages.routes import LinkPages

__all__ = ["LinkPages"]
