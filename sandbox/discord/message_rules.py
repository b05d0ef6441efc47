"""A message as it comes in: checked as Discord checks it, and made into one that can be shown."""

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.discord.component_rules import check_components, with_ids
from sandbox.discord.embed_rules import check_embeds, with_addresses
from sandbox.discord.emoji_rules import KnownParts
from sandbox.discord.guilds import (
    LOADING,
    V2,
    Attachment,
    SandboxChannel,
    SandboxMember,
    SandboxMessage,
)
from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.mention_rules import (
    FORWARD,
    check_allowed_mentions,
    check_may_reply,
    check_reference,
)
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.poll_rules import check_poll, opened
from sandbox.discord.refusals import (
    EMPTY_MESSAGE,
    INVALID_STICKER,
    MISSING_PERMISSIONS,
    NO_EDIT_OF_A_POLL,
    NO_PRIVATE_MESSAGES,
    NOT_A_TEXT_CHANNEL,
    THREAD_ARCHIVED,
    THREAD_LOCKED,
    TOO_LARGE,
    Form,
)
from sandbox.discord.world import DiscordWorld

MAX_CONTENT = 2000
MAX_NONCE = 25
REPLY_MESSAGE = 19  # a message type
MAX_STICKERS = 3
MAX_FILES = 10
MAX_FILE_TEXT = 1024
MAX_FILE_BYTES = 10 * 1024 * 1024  # a bot's, in a guild without boosts
MAX_REQUEST_BYTES = 25 * 1024 * 1024
SENDER_FLAGS = (1 << 2) | (1 << 6) | (1 << 12) | V2


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart request; `index` is the n of files[n]."""

    index: int
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A checked message; what is None was not in the body and stays as it is."""

    content: str | None
    embeds: list[JSON] | None
    components: list[JSON] | None
    files: list[Attachment] | None
    flags: int | None
    nonce: str | None
    enforce_nonce: bool
    allowed_mentions: JSON | None
    reference: JSON | None
    poll: JSON | None


def read_draft(
    world: DiscordWorld,
    channel: SandboxChannel,
    body: JSON,
    uploads: Sequence[Upload],
    old: SandboxMessage | None = None,
    prefix: FieldPath = (),
) -> MessageDraft:
    """Check the body of a message, or of an edit of `old`; raises Refusal.

    `prefix` is where the message is in the whole body.
    """
    form = Form(prefix)
    files = _files(world, form, channel, body, uploads, old)
    kept = files if files is not None else (old.files if old else [])
    flags = body.get("flags")
    v2 = bool(((flags or 0) | (old.flags if old else 0)) & V2)
    known = KnownParts(frozenset(file.name for file in kept), world.emojis.keys())
    form.length(("content",), body.get("content"), MAX_CONTENT)
    embeds = check_embeds(form, body.get("embeds"), [file.name for file in kept])
    components = check_components(form, body.get("components"), known, v2=v2)
    _check_v2(form, body, old, v2=v2)
    check_allowed_mentions(form, body.get("allowed_mentions"))
    nonce = body.get("nonce")
    form.length(("nonce",), None if nonce is None else str(nonce), MAX_NONCE)
    poll, reference = None, None
    if old is None:
        poll = body.get("poll")
        check_poll(form, poll, known)
        reference = check_reference(form, channel, body.get("message_reference"))
    stickers = form.items(("sticker_ids",), body.get("sticker_ids"), MAX_STICKERS)
    form.finish()
    if stickers:  # no guild of the sandbox has any
        raise INVALID_STICKER
    return MessageDraft(
        content=(body["content"] or "").strip() if "content" in body else None,
        embeds=with_addresses(embeds, {f.name: f.url for f in kept}) if "embeds" in body else None,
        components=with_ids(components) if "components" in body else None,
        files=files,
        flags=None if flags is None else flags & SENDER_FLAGS,
        nonce=None if nonce is None else str(nonce),
        enforce_nonce=bool(body.get("enforce_nonce")),
        allowed_mentions=body.get("allowed_mentions"),
        reference=reference,
        poll=poll,
    )


def _check_v2(form: Form, body: JSON, old: SandboxMessage | None, *, v2: bool) -> None:
    """Content and embeds do not go with the second version, also those that an edit leaves."""
    if not v2:
        return
    left: JSON = {} if old is None else {"content": old.content, "embeds": old.embeds}
    for key in ("content", "embeds", "poll", "sticker_ids"):
        if (left | body).get(key):
            text = "The 'content', 'embeds', 'poll' and 'stickers' fields cannot be used with V2."
            form.add((key,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", text)


def _files(
    world: DiscordWorld,
    form: Form,
    channel: SandboxChannel,
    body: JSON,
    uploads: Sequence[Upload],
    old: SandboxMessage | None,
) -> list[Attachment] | None:
    """The files that the message will have; None where an edit leaves them as they are."""
    listed = body.get("attachments")
    if len(uploads) > MAX_FILES or len(listed or ()) > MAX_FILES:
        form.add(("attachments",), "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    if any(len(upload.content) > MAX_FILE_BYTES for upload in uploads):
        raise TOO_LARGE
    if listed is None and not uploads:
        return None if old else []
    _check_notes(form, listed or ())
    notes = {str(one.get("id")): one for one in listed or () if isinstance(one, dict)}
    kept = [file for file in (old.files if old else ()) if listed is None or str(file.id) in notes]
    known = {str(file.id) for file in kept} | {str(upload.index) for upload in uploads}
    for index, one in enumerate(notes):
        if one not in known:
            text = f'Attachment with id "{one}" was not found.'
            form.add(("attachments", index, "id"), "ATTACHMENT_NOT_FOUND", text)
    if listed is None and len(kept) + len(uploads) > MAX_FILES:  # an edit that only adds
        form.add(("attachments",), "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    new = [_attachment(world, channel, one, notes.get(str(one.index), {})) for one in uploads]
    return kept + new


def _check_notes(form: Form, notes: Sequence[JSON]) -> None:
    """What is said of the files: a name and an alternative text each, and no number twice."""
    for index, one in enumerate(notes):
        if one.get("filename") is not None:
            form.length(("attachments", index, "filename"), one["filename"], MAX_FILE_TEXT, 1)
        form.length(("attachments", index, "description"), one.get("description"), MAX_FILE_TEXT)
    ids = [str(one.get("id")) for one in notes]
    if len(ids) != len(set(ids)):
        form.add(("attachments",), "ATTACHMENT_ID_DUPLICATED", "Attachment ids must be unique.")


def _attachment(
    world: DiscordWorld, channel: SandboxChannel, upload: Upload, note: JSON
) -> Attachment:
    name = re.sub(r"[^\w.-]", "_", str(note.get("filename") or upload.name)).strip(".") or "file"
    media_type = mimetypes.guess_type(name)[0] or upload.media_type
    file_id = world.ids.new_id()
    url = f"{world.url}/attachments/{channel.id}/{file_id}/{name}"
    file = Attachment(file_id, name, upload.content, media_type, url, note.get("description"))
    world.attachments[file_id] = file
    return file


def check_may_write(channel: SandboxChannel, draft: MessageDraft) -> None:
    """Raise what Discord says when the bot may not write this here; visible it is already."""
    if channel.recipient is not None:
        if not channel.recipient.takes_messages:
            raise NO_PRIVATE_MESSAGES
        return
    if channel.guild is None or channel.kind.name in ("CATEGORY", "FORUM", "MEDIA"):
        raise NOT_A_TEXT_CHANNEL
    if not channel.guild.bot.may(needed(draft, in_thread=channel.is_thread), channel):
        raise MISSING_PERMISSIONS
    check_not_locked(channel, channel.guild.bot)
    if draft.reference is not None:
        check_may_reply(channel)


def needed(draft: MessageDraft, *, in_thread: bool) -> PermissionBits:
    """The permissions that this message takes."""
    wanted = PermissionBits.SEND_MESSAGES_IN_THREADS if in_thread else PermissionBits.SEND_MESSAGES
    if draft.embeds:
        wanted |= PermissionBits.EMBED_LINKS
    if draft.files:
        wanted |= PermissionBits.ATTACH_FILES
    if draft.poll:
        wanted |= PermissionBits.SEND_POLLS
    return wanted


def check_not_locked(channel: SandboxChannel, member: SandboxMember) -> None:
    """Raise 160005 for a thread that a moderator has locked."""
    if channel.locked and not member.may(PermissionBits.MANAGE_THREADS, channel):
        raise THREAD_LOCKED


def check_thread_open(channel: SandboxChannel, member: SandboxMember) -> None:
    """Raise 160005 for a locked thread, 50083 for an archived one: its messages stay as they are.

    A new message un-archives it.
    """
    check_not_locked(channel, member)
    if channel.archived:
        raise THREAD_ARCHIVED


def new_message(
    world: DiscordWorld, channel: SandboxChannel, draft: MessageDraft
) -> SandboxMessage:
    """A message of the bot from the draft, not yet put anywhere; raises 50006 if it is empty."""
    shown = (draft.content, draft.embeds, draft.components, draft.files, draft.poll)
    forward = (draft.reference or {}).get("type") == FORWARD
    if not any(shown) and not forward:
        raise EMPTY_MESSAGE
    now = world.ids.time()
    return SandboxMessage(
        world.ids.new_id(),
        channel,
        world.bot,
        content=draft.content or "",
        embeds=draft.embeds or [],
        components=draft.components or [],
        files=draft.files or [],
        flags=draft.flags or 0,
        nonce=draft.nonce,
        kind=0 if draft.reference is None or forward else REPLY_MESSAGE,
        reference=draft.reference,
        poll=None if draft.poll is None else opened(draft.poll, now),
        allowed_mentions=draft.allowed_mentions,
        created_at=now,
    )


def edit(message: SandboxMessage, draft: MessageDraft) -> None:
    """Change the message; what it showed before is kept in its edits. Raises 50006 if empty."""
    if message.poll is not None:
        raise NO_EDIT_OF_A_POLL
    content = message.content if draft.content is None else draft.content
    embeds = message.embeds if draft.embeds is None else draft.embeds
    components = message.components if draft.components is None else draft.components
    files = message.files if draft.files is None else draft.files
    if not (content or embeds or components or files):
        raise EMPTY_MESSAGE
    if not message.thinking:  # a deferred answer that comes at last is no edit
        message.edits.append(message.appearance())
        message.edited_at = datetime.now(UTC)
    message.content, message.embeds = content, embeds
    message.components, message.files = components, files
    message.flags = (message.flags | (draft.flags or 0) & V2) & ~LOADING
    if draft.allowed_mentions is not None:
        message.allowed_mentions = draft.allowed_mentions
