"""Cards for people: roles, invitations, requests for access. Never an e-mail address."""

from bot.cards.scene import Draft, Scene, name_text
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


def permission_granted(scene: Scene, event: PermissionGranted) -> Draft:
    """Who is now what in the project; sent for a changed role too."""
    role, person = role_text(event.role), scene.person(event.user_id)
    sentence = f"{scene.who} gave {person} the role {role} in this project."
    if role is None:
        sentence = f"{scene.who} gave {person} access to this project."
    return _draft(scene, "Access granted", sentence, event.user_id)


def permission_revoked(scene: Scene, event: PermissionRevoked) -> Draft:
    """Who is no longer in the project; people can take themselves out."""
    if event.user_id == scene.actor_id:
        return _draft(scene, "Left the project", f"{scene.who} left this project.", event.user_id)
    sentence = f"{scene.who} removed {scene.person(event.user_id)} from this project."
    return _draft(scene, "Access removed", sentence, event.user_id)


def invitation_sent(scene: Scene, event: InvitationSent) -> Draft:
    """Who invited; the invited person only if they have an account."""
    target = scene.person(event.target_id)
    how = " by e-mail" if event.target_id is None else ""
    sentence = f"{scene.who} invited {target} to this project{how}."
    return _draft(scene, "Invitation sent", sentence, event.target_id)


def invitation_accepted(scene: Scene, event: InvitationAccepted) -> Draft:
    """Who joined, and as what."""
    role = role_text(event.role)
    subject, as_role = _subject(scene, event.user_id), f" as {role}" if role else ""
    sentence = f"{subject} accepted an invitation and joined this project{as_role}."
    return _draft(scene, "Invitation accepted", sentence, event.user_id)


def invitation_declined(scene: Scene, event: InvitationDeclined) -> Draft:
    """Who will not join."""
    sentence = f"{_subject(scene, event.user_id)} declined an invitation to this project."
    return _draft(scene, "Invitation declined", sentence, event.user_id)


def access_requested(scene: Scene, event: AccessRequested) -> Draft:
    """Who asks, and who can answer."""
    sentence = (
        f"{_subject(scene, event.requester_id)} asks for access to this project. "
        "An owner of the project can answer in Speckle."
    )
    return _draft(scene, "Access requested", sentence, event.requester_id)


def access_declined(scene: Scene, event: AccessDeclined) -> Draft:
    """Who refused, and whose request it was."""
    requester = scene.person(event.requester_id, "")
    whose = f"the request of {requester}" if requester else "a request"
    sentence = f"{scene.who} declined {whose} for access to this project."
    return _draft(scene, "Access request declined", sentence, event.requester_id)


def _draft(scene: Scene, title: str, sentence: str, person_id: str | None) -> Draft:
    """The card with the person's id, where nobody knows the name."""
    return Draft(
        title=title,
        url=scene.project_url,
        sentence=sentence,
        fields=scene.person_field("Speckle user", person_id),
    )


def _subject(scene: Scene, person_id: str | None) -> str:
    """Who did it themselves: nearly always the person that the event names."""
    if person_id is None or person_id == scene.actor_id:
        return scene.who
    return scene.person(person_id, "Someone")
