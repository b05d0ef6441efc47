"""Comments: the questions about them, and their answers read into values. No I/O.

Servers of 2026 may have issues in their place.
"""

from typing import Any, Final

from bot.speckle.events import ResourceRef
from bot.speckle.facts import CommentFacts
from bot.speckle.rich_text import first_line, read_rich_text
from bot.speckle.wire import id_of, text_of
from bot.speckle_api.answers import child, items, moment, person, read_files
from bot.speckle_api.optional_questions import OptionalQuestion

COMMENT_FACTS: Final = OptionalQuestion(
    "Project.comment",
    """
query CommentFacts($project: String!, $comment: String!) {
  project(id: $project) {
    comment(id: $comment) {
      id
      createdAt
      archived
      author { id name }
      text { doc attachments { id fileName fileSize } }
      viewerResources { modelId versionId }
      parent { id archived text { doc } viewerResources { modelId versionId } }
    }
  }
}
""",
)
OPEN_THREADS: Final = OptionalQuestion(
    "Project.commentThreads",
    """
query OpenThreads($project: String!, $on: String!) {
  project(id: $project) {
    commentThreads(limit: 0, filter: {resourceIdString: $on}) { totalCount }
  }
}
""",
)


def read_comment_facts(data: Any) -> CommentFacts | None:
    """The thread of a comment: itself, or what it replies to; None for an odd answer."""
    comment = child(data, "project", "comment")
    parent = child(comment, "parent")
    thread = parent if isinstance(parent, dict) else comment
    thread_id = id_of(child(thread, "id"))
    if thread_id is None:
        return None
    resources = (
        ResourceRef(id_of(item.get("modelId")), id_of(item.get("versionId")))
        for item in items(child(thread, "viewerResources"))
    )
    return CommentFacts(
        thread_id,
        first_line(read_rich_text(child(thread, "text", "doc"), text_of)),
        tuple(dict.fromkeys(found for found in resources if found != ResourceRef())),
        is_reply=thread is parent,
        archived=child(thread, "archived") is True,
        made_at=moment(child(comment, "createdAt")),
        author=person(child(comment, "author")),
        files=read_files(child(comment, "text", "attachments")),
    )
