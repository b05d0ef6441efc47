"""People's avatars: the questions for that of who made something, and their answers. No I/O.

Whoever may read a project is told of the author of each thing in it, with the avatar. `otherUser`
and a project's `team` need users:read, which the bot asks nobody for; and an old project's list of
collaborators has all avatars at once, inline with up to 400 kB each.
Source: a recorded Speckle Server 2.31, and the types of Speckle 4.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReplied,
    Event,
    IssueCreated,
    IssueReplied,
    IssueUpdated,
    ModelCreated,
    ModelRef,
    VersionCreated,
)
from bot.speckle.payloads import MAX_AVATAR_URL
from bot.speckle.wire import id_of, url_of
from bot.speckle_api.answers import child, items
from bot.speckle_api.optional_questions import OptionalQuestion

# One avatar as large as a webhook may bring it; three of an issue's people are smaller together.
MAX_ANSWER_BYTES: Final = MAX_AVATAR_URL + 10_000

BY_VERSION: Final = OptionalQuestion(
    "Version.authorUser",
    """
query AvatarByVersion($project: String!, $made: String!) {
  project(id: $project) { made: version(id: $made) { by: authorUser { id avatar } } }
}
""",
)
BY_MODEL: Final = OptionalQuestion(
    "Model.author",
    """
query AvatarByModel($project: String!, $made: String!) {
  project(id: $project) { made: model(id: $made) { by: author { id avatar } } }
}
""",
)
BY_COMMENT: Final = OptionalQuestion(
    "Project.comment",
    """
query AvatarByComment($project: String!, $made: String!) {
  project(id: $project) { made: comment(id: $made) { by: author { id avatar } } }
}
""",
)
# Who opened it, who changed it last and who replied last.
BY_ISSUE: Final = OptionalQuestion(
    "Project.issue",
    """
query AvatarByIssue($project: String!, $made: ID!) {
  project(id: $project) {
    made: issue(id: $made) {
      by: author { user { id avatar } }
      activities(input: {limit: 1, sortDirection: desc}) {
        items { by: actor { user { id avatar } } }
      }
      replies(input: {limit: 1, sortBy: createdAt, sortDirection: desc}) {
        items { by: author { user { id avatar } } }
      }
    }
  }
}
""",
)


def asked_by(event: Event) -> tuple[OptionalQuestion, str] | None:
    """The question for the avatar of who did it, and the id of what they made; None for nothing.

    What was changed or deleted was made by somebody else, as a rule.
    """
    match event:
        case VersionCreated(version_id=made):
            return BY_VERSION, made
        case ModelCreated(model=ModelRef(id=str(made))):
            return BY_MODEL, made
        case (
            CommentCreated(thread_id=str(made))
            | CommentReplied(reply_id=str(made))
            | CommentMentioned(comment_id=str(made))
        ):
            return BY_COMMENT, made
        case (
            IssueCreated(ids=(made, *_))
            | IssueUpdated(ids=(made, *_))
            | IssueReplied(ids=(made, *_))
        ):
            return BY_ISSUE, made
        case _:
            return None


def read_avatars(data: Any) -> Mapping[str, str | None]:
    """The avatars of the people in an answer by their ids, None of who has none."""
    return {
        person_id: url_of(child(one, "avatar"), MAX_AVATAR_URL)
        for one in _people(child(data, "project", "made"))
        if (person_id := id_of(child(one, "id"))) is not None
    }


def _people(made: Any) -> Iterator[Any]:
    done = (items(child(made, name, "items")) for name in ("activities", "replies"))
    for one in (made, *(each for some in done for each in some)):
        by = child(one, "by")
        yield child(by, "user") or by
