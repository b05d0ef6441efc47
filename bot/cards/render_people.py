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
PERSON = "Speckle user"


def role_text(role: str | None) -> str | None:
    """A role in words; one that nobody knows without its prefix."""
    if role is None:
        return None
    return ROLES.get(role.lower()) or f"**{name_text(role.rpartition(':')[2])}**"


def permission_granted(scene: Scene, event: PermissionGranted) -> Draft:
    """Who is now what in the project; sent for a changed role too."""
    role = role_text(event.role)
    person = scene.person(event.user_id)
    sentence = f"{scene.who} gave {person} the role {role} in this project."
    if role is None:
        sentence = f"{scene.who} gave {person} access to this project."
    return Draft(
        title="Access granted",
        url=scene.project_url,
        sentence=sentence,
        fields=scene.person_field(PERSON, event.user_id),
    )


def permission_revoked(scene: Scene, event: PermissionRevoked) -> Draft:
    """Who is no longer in the project; people can take themselves out."""
    left = event.user_id == scene.actor_id
    sentence = f"{scene.who} removed {scene.person(event.user_id)} from this project."
    return Draft(
        title="Left the project" if left else "Access removed",
        url=scene.project_url,
        sentence=f"{scene.who} left this project." if left else sentence,
        fields=scene.person_field(PERSON, event.user_id),
    )


def invitation_sent(scene: Scene, event: InvitationSent) -> Draft:
    """Who invited; the invited person only if they have an account."""
    target = scene.person(event.target_id)
    how = " by e-mail" if event.target_id is None else ""
    return Draft(
        title="Invitation sent",
        url=scene.project_url,
        sentence=f"{scene.who} invited {target} to this project{how}.",
        fields=scene.person_field(PERSON, event.target_id),
    )


def invitation_accepted(scene: Scene, event: InvitationAccepted) -> Draft:
    """Who joined, and as what."""
    role = role_text(event.role)
    as_role = f" as {role}" if role else ""
    return Draft(
        title="Invitation accepted",
        url=scene.project_url,
        sentence=f"{_subject(scene, event.user_id)} accepted an invitation and joined this "
        f"project{as_role}.",
        fields=scene.person_field(PERSON, event.user_id),
    )


def invitation_declined(scene: Scene, event: InvitationDeclined) -> Draft:
    """Who will not join."""
    return Draft(
        title="Invitation declined",
        url=scene.project_url,
        sentence=f"{_subject(scene, event.user_id)} declined an invitation to this project.",
        fields=scene.person_field(PERSON, event.user_id),
    )


def access_requested(scene: Scene, event: AccessRequested) -> Draft:
    """Who asks, and who can answer."""
    return Draft(
        title="Access requested",
        url=scene.project_url,
        sentence=f"{_subject(scene, event.requester_id)} asks for access to this project. "
        "An owner of the project can answer in Speckle.",
        fields=scene.person_field(PERSON, event.requester_id),
    )


def access_declined(scene: Scene, event: AccessDeclined) -> Draft:
    """Who said no, and to whom."""
    requester = scene.person(event.requester_id, "")
    whose = f"the request of {requester}" if requester else "a request"
    return Draft(
        title="Access request declined",
        url=scene.project_url,
        sentence=f"{scene.who} declined {whose} for access to this project.",
        fields=scene.person_field(PERSON, event.requester_id),
    )


def _subject(scene: Scene, person_id: str | None) -> str:
    """Whose doing it is: nearly always the actor's own."""
    if person_id is None or person_id == scene.actor_id:
        return scene.who
    return scene.person(person_id, "Someone")
