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
    role, person = role_text(event.role), context.person(event.user_id)
    sentence = f"{context.who} gave {person} the role {role} in this project."
    if role is None:
        sentence = f"{context.who} gave {person} access to this project."
    return _draft(context, "Access granted", sentence, event.user_id)


def permission_revoked(context: CardContext, event: PermissionRevoked) -> CardParts:
    """Who is no longer in the project; people can take themselves out."""
    if event.user_id == context.actor_id:
        return _draft(
            context, "Left the project", f"{context.who} left this project.", event.user_id
        )
    sentence = f"{context.who} removed {context.person(event.user_id)} from this project."
    return _draft(context, "Access removed", sentence, event.user_id)


def invitation_sent(context: CardContext, event: InvitationSent) -> CardParts:
    """Who invited; the invited person only if they have an account."""
    target = context.person(event.target_id)
    how = " by e-mail" if event.target_id is None else ""
    sentence = f"{context.who} invited {target} to this project{how}."
    return _draft(context, "Invitation sent", sentence, event.target_id)


def invitation_accepted(context: CardContext, event: InvitationAccepted) -> CardParts:
    """Who joined, and as what."""
    role = role_text(event.role)
    subject, as_role = _subject(context, event.user_id), f" as {role}" if role else ""
    sentence = f"{subject} accepted an invitation and joined this project{as_role}."
    return _draft(context, "Invitation accepted", sentence, event.user_id)


def invitation_declined(context: CardContext, event: InvitationDeclined) -> CardParts:
    """Who will not join."""
    sentence = f"{_subject(context, event.user_id)} declined an invitation to this project."
    return _draft(context, "Invitation declined", sentence, event.user_id)


def access_requested(context: CardContext, event: AccessRequested) -> CardParts:
    """Who asks, and who can answer."""
    sentence = (
        f"{_subject(context, event.requester_id)} asks for access to this project. "
        "An owner of the project can answer in Speckle."
    )
    return _draft(context, "Access requested", sentence, event.requester_id)


def access_declined(context: CardContext, event: AccessDeclined) -> CardParts:
    """Who refused, and whose request it was."""
    requester = context.person(event.requester_id, "")
    whose = f"the request of {requester}" if requester else "a request"
    sentence = f"{context.who} declined {whose} for access to this project."
    return _draft(context, "Access request declined", sentence, event.requester_id)


def _draft(context: CardContext, title: str, sentence: str, person_id: str | None) -> CardParts:
    """The card with the person's id, where nobody knows the name."""
    return CardParts(
        title=title,
        url=context.project_url,
        sentence=sentence,
        fields=context.person_field("Speckle user", person_id),
    )


def _subject(context: CardContext, person_id: str | None) -> str:
    """Who did it themselves: nearly always the person that the event names."""
    if person_id is None or person_id == context.actor_id:
        return context.who
    return context.person(person_id, "Someone")
