"""Cards for people: roles, invitations, requests for access. Never an e-mail address."""

from bot.cards.card import Field
from bot.cards.card_context import CardContext, CardParts, name_text
from bot.speckle.events import (
    AccessDeclined,
    AccessRequested,
    InvitationAccepted,
    InvitationDeclined,
    InvitationSent,
    PermissionGranted,
    PermissionRevoked,
)

# Speckle's role names, in the words of its own pages.
ROLES = {
    "stream:owner": "Owner (can do everything)",
    "stream:contributor": "Contributor (can edit)",
    "stream:reviewer": "Reviewer (can view and comment)",
}


def role_text(role: str | None) -> str | None:
    """A role in words; one that nobody knows without its prefix."""
    if role is None:
        return None
    return ROLES.get(role.lower()) or name_text(role.rpartition(":")[2])


def permission_granted(context: CardContext, event: PermissionGranted) -> CardParts:
    """Who is now what in the project; sent for a changed role too."""
    role = role_text(event.role)
    fields = (Field("Role", role),) if role else ()
    return _parts(context, "Access granted", event.user_id, fields=fields)


def permission_revoked(context: CardContext, event: PermissionRevoked) -> CardParts:
    """Who is no longer in the project; people can take themselves out."""
    title = "Left the project" if event.user_id == context.actor_id else "Access removed"
    return _parts(context, title, event.user_id)


def invitation_sent(context: CardContext, event: InvitationSent) -> CardParts:
    """Who is invited, if they have an account."""
    sentence = "By e-mail." if event.target_id is None else ""
    return _parts(context, "Invitation sent", event.target_id, sentence)


def invitation_accepted(context: CardContext, event: InvitationAccepted) -> CardParts:
    """Who joined, and as what."""
    role = role_text(event.role)
    fields = (Field("Role", role),) if role else ()
    return _parts(context, "Joined the project", event.user_id, fields=fields)


def invitation_declined(context: CardContext, event: InvitationDeclined) -> CardParts:
    """Who will not join."""
    return _parts(context, "Invitation declined", event.user_id)


def access_requested(context: CardContext, event: AccessRequested) -> CardParts:
    """Who asks, and who can answer."""
    sentence = "An owner of the project can answer in Speckle."
    return _parts(context, "Access requested", event.requester_id, sentence)


def access_declined(context: CardContext, event: AccessDeclined) -> CardParts:
    """Whose request it was."""
    return _parts(context, "Access request declined", event.requester_id)


def _parts(
    context: CardContext,
    title: str,
    person_id: str | None,
    sentence: str = "",
    fields: tuple[Field, ...] = (),
) -> CardParts:
    """The card with the person that the event names, where that is not who did it."""
    person = () if person_id == context.actor_id else context.person_fields("Person", person_id)
    return CardParts(title, context.project_url, sentence=sentence, fields=(*person, *fields))
