"""Cards for people: roles, invitations, requests for access. Never an e-mail address."""

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
    "stream:owner": "**owner** (can do everything)",
    "stream:contributor": "**contributor** (can edit)",
    "stream:reviewer": "**reviewer** (can view and comment)",
}


def role_text(role: str | None) -> str | None:
    """A role in words; one that nobody knows without its prefix."""
    if role is None:
        return None
    return ROLES.get(role.lower()) or f"**{name_text(role.rpartition(':')[2])}**"


def permission_granted(context: CardContext, event: PermissionGranted) -> CardParts:
    """Who is now what in the project; sent for a changed role too."""
    person, role = context.person(event.user_id, "A person"), role_text(event.role)
    sentence = f"{person} is now {role}." if role else f"{person} can see this project now."
    return _draft(context, "Access granted", event.user_id, sentence)


def permission_revoked(context: CardContext, event: PermissionRevoked) -> CardParts:
    """Who is no longer in the project; people can take themselves out."""
    if event.user_id == context.actor_id:
        return _draft(context, "Left the project", event.user_id)
    sentence = f"{context.person(event.user_id, 'A person')} is no longer in this project."
    return _draft(context, "Access removed", event.user_id, sentence)


def invitation_sent(context: CardContext, event: InvitationSent) -> CardParts:
    """Who is invited, if they have an account."""
    target = context.person(event.target_id)
    how = ", by e-mail" if event.target_id is None else ""
    return _draft(context, "Invitation sent", event.target_id, f"To {target}{how}.")


def invitation_accepted(context: CardContext, event: InvitationAccepted) -> CardParts:
    """Who joined, and as what."""
    role = role_text(event.role)
    joined = f"Joined this project as {role}." if role else "Joined this project."
    who = _other(context, event.user_id)
    sentence = f"{who} joined{joined.removeprefix('Joined')}" if who else joined
    return _draft(context, "Invitation accepted", event.user_id, sentence)


def invitation_declined(context: CardContext, event: InvitationDeclined) -> CardParts:
    """Who will not join."""
    who = _other(context, event.user_id)
    sentence = f"{who} will not join this project." if who else ""
    return _draft(context, "Invitation declined", event.user_id, sentence)


def access_requested(context: CardContext, event: AccessRequested) -> CardParts:
    """Who asks, and who can answer."""
    who = _other(context, event.requester_id)
    asks = f"{who} asks to join this project. " if who else ""
    sentence = f"{asks}An owner of the project can answer in Speckle."
    return _draft(context, "Access requested", event.requester_id, sentence)


def access_declined(context: CardContext, event: AccessDeclined) -> CardParts:
    """Whose request it was."""
    requester = context.person(event.requester_id, "")
    sentence = f"{requester} had asked to join this project." if requester else ""
    return _draft(context, "Access request declined", event.requester_id, sentence)


def _draft(
    context: CardContext, title: str, person_id: str | None, sentence: str = ""
) -> CardParts:
    """The card with the person's id, where nobody knows the name."""
    fields = context.person_field("Speckle user", person_id)
    return CardParts(title, context.project_url, sentence=sentence, fields=fields)


def _other(context: CardContext, person_id: str | None) -> str | None:
    """The person that an event names, if that is not who did it: nearly always it is."""
    if person_id is None or person_id == context.actor_id:
        return None
    return context.person(person_id, "Someone")
