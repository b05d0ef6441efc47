"""What each JSON error code of Discord's says: of what was sent, of where to, or of neither.

Only a code that is known to speak of this message, channel, thread or person pauses or refuses
anything. All others, those that no table knows included, pass: they are tried again later.

The codes and their names are those of Discord's documentation, August 2026:
https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What a code speaks of, and so what the bot does about it."""

    CARD = "card"  # the message that was sent: tried with less in it, then set aside
    CHANNEL_GONE = "channel_gone"  # the channel: paused until a person does something
    NO_PERMISSION = "no_permission"  # the same
    THREAD_CLOSED = "thread_closed"  # the thread: opened again, else paused
    MESSAGE = "message"  # the message that was to be edited: it stays as it is
    PERSON = "person"  # somebody who takes no direct messages: not written to
    INTERACTION = "interaction"  # a command or button whose time is over: nobody can be answered
    TOKEN = "token"  # noqa: S105  # the bot's own: nothing is sent to anybody
    SLOWER = "slower"  # how often one thing is done: that waits, and nothing else
    SERVICE = "service"  # Discord or the bot as a whole: waits, for all channels where all get it
    OTHER = "other"  # nothing that this bot asks for: the same


CODES: Final[Mapping[int, Meaning]] = {
    20009: Meaning.CARD,  # Explicit content cannot be sent to the desired recipient(s)
    30015: Meaning.CARD,  # Maximum number of attachments in a message reached (10)
    40005: Meaning.CARD,  # Request entity too large. Try sending something smaller in size
    50006: Meaning.CARD,  # Cannot send an empty message
    50035: Meaning.CARD,  # Invalid form body (returned for both application/json and …
    50045: Meaning.CARD,  # File uploaded exceeds the maximum size
    50046: Meaning.CARD,  # Invalid file uploaded
    50109: Meaning.CARD,  # The request body contains invalid JSON.
    50110: Meaning.CARD,  # The provided file is invalid.
    50123: Meaning.CARD,  # The provided file type is invalid.
    50146: Meaning.CARD,  # Uploaded file not found.
    200000: Meaning.CARD,  # Message was blocked by automatic moderation
    200001: Meaning.CARD,  # Title was blocked by automatic moderation
    240000: Meaning.CARD,  # Message blocked by harmful links filter
    400001: Meaning.CARD,  # Access to file uploads has been limited for this guild
    10003: Meaning.CHANNEL_GONE,  # Unknown channel
    10004: Meaning.CHANNEL_GONE,  # Unknown guild
    40058: Meaning.CHANNEL_GONE,  # Cannot send a message in a forum channel
    50008: Meaning.CHANNEL_GONE,  # Cannot send messages in a non-text channel
    50024: Meaning.CHANNEL_GONE,  # Cannot execute action on this channel type
    50001: Meaning.NO_PERMISSION,  # Missing access
    50009: Meaning.NO_PERMISSION,  # Channel verification level is too high for you to gain access
    50013: Meaning.NO_PERMISSION,  # You lack permissions to perform that action
    50083: Meaning.THREAD_CLOSED,  # Tried to perform an operation on an archived thread, such …
    160005: Meaning.THREAD_CLOSED,  # Thread is locked
    160006: Meaning.THREAD_CLOSED,  # Maximum number of active threads reached
    160007: Meaning.THREAD_CLOSED,  # Maximum number of active announcement threads reached
    10008: Meaning.MESSAGE,  # Unknown message
    50005: Meaning.MESSAGE,  # Cannot edit a message authored by another user
    50021: Meaning.MESSAGE,  # Cannot execute action on a system message
    10013: Meaning.PERSON,  # Unknown user
    40007: Meaning.PERSON,  # The user is banned from this guild
    50007: Meaning.PERSON,  # Cannot send messages to this user
    50033: Meaning.PERSON,  # Invalid Recipient(s)
    50278: Meaning.PERSON,  # Cannot send messages to this user due to having no mutual guilds
    10015: Meaning.INTERACTION,  # Unknown webhook
    10062: Meaning.INTERACTION,  # Unknown interaction
    40060: Meaning.INTERACTION,  # Interaction has already been acknowledged
    40094: Meaning.INTERACTION,  # This interaction has hit the maximum number of follow up …
    50027: Meaning.INTERACTION,  # Invalid webhook token provided
    40001: Meaning.TOKEN,  # Unauthorized. Provide a valid token and try again
    50014: Meaning.TOKEN,  # Invalid authentication token provided
    20016: Meaning.SLOWER,  # This action cannot be performed due to slowmode rate limit
    20022: Meaning.SLOWER,  # This message cannot be edited due to announcement rate limits
    20028: Meaning.SLOWER,  # The write action you are performing on the channel has hit the …
    20029: Meaning.SLOWER,  # The write action you are performing on the server has hit the …
    30046: Meaning.MESSAGE,  # Maximum number of edits to messages older than 1 hour reached …
    40003: Meaning.SLOWER,  # You are opening direct messages too fast
    40002: Meaning.SERVICE,  # You need to verify your account in order to perform this action
    40004: Meaning.SERVICE,  # Send messages has been temporarily disabled
    40006: Meaning.SERVICE,  # This feature has been temporarily disabled server-side
    40062: Meaning.SERVICE,  # Service resource is being rate limited
    40333: Meaning.SERVICE,  # Cloudflare is blocking your request. This can often be resolved …
    50041: Meaning.SERVICE,  # Invalid API version provided
    50178: Meaning.SERVICE,  # The user account must first be verified
    110000: Meaning.SERVICE,  # Index not yet available. Try again later
    110001: Meaning.SERVICE,  # Application not yet available. Try again later
    130000: Meaning.SERVICE,  # API resource is currently overloaded. Try again a little later
    0: Meaning.OTHER,  # General error (such as a malformed request body, amongst other things)
    10001: Meaning.OTHER,  # Unknown account
    10002: Meaning.OTHER,  # Unknown application
    10005: Meaning.OTHER,  # Unknown integration
    10006: Meaning.OTHER,  # Unknown invite
    10007: Meaning.OTHER,  # Unknown member
    10009: Meaning.OTHER,  # Unknown permission overwrite
    10010: Meaning.OTHER,  # Unknown provider
    10011: Meaning.OTHER,  # Unknown role
    10012: Meaning.OTHER,  # Unknown token
    10014: Meaning.OTHER,  # Unknown emoji
    10016: Meaning.OTHER,  # Unknown webhook service
    10020: Meaning.OTHER,  # Unknown session
    10021: Meaning.OTHER,  # Unknown Asset
    10026: Meaning.OTHER,  # Unknown ban
    10027: Meaning.OTHER,  # Unknown SKU
    10028: Meaning.OTHER,  # Unknown Store Listing
    10029: Meaning.OTHER,  # Unknown entitlement
    10030: Meaning.OTHER,  # Unknown build
    10031: Meaning.OTHER,  # Unknown lobby
    10032: Meaning.OTHER,  # Unknown branch
    10033: Meaning.OTHER,  # Unknown store directory layout
    10036: Meaning.OTHER,  # Unknown redistributable
    10038: Meaning.OTHER,  # Unknown gift code
    10049: Meaning.OTHER,  # Unknown stream
    10050: Meaning.OTHER,  # Unknown premium server subscribe cooldown
    10057: Meaning.OTHER,  # Unknown guild template
    10059: Meaning.OTHER,  # Unknown discoverable server category
    10060: Meaning.OTHER,  # Unknown sticker
    10061: Meaning.OTHER,  # Unknown sticker pack
    10063: Meaning.OTHER,  # Unknown application command
    10065: Meaning.OTHER,  # Unknown voice state
    10066: Meaning.OTHER,  # Unknown application command permissions
    10067: Meaning.OTHER,  # Unknown Stage Instance
    10068: Meaning.OTHER,  # Unknown Guild Member Verification Form
    10069: Meaning.OTHER,  # Unknown Guild Welcome Screen
    10070: Meaning.OTHER,  # Unknown Guild Scheduled Event
    10071: Meaning.OTHER,  # Unknown Guild Scheduled Event User
    10087: Meaning.OTHER,  # Unknown Tag
    10097: Meaning.OTHER,  # Unknown sound
    10124: Meaning.OTHER,  # Unknown invite target users job (invite exists but has no target …
    10129: Meaning.OTHER,  # Unknown invite target users (invite exists but has no target users)
    20001: Meaning.OTHER,  # Bots cannot use this endpoint
    20002: Meaning.OTHER,  # Only bots can use this endpoint
    20012: Meaning.OTHER,  # You are not authorized to perform this action on this application
    20015: Meaning.OTHER,  # This action requires a premium subscription
    20018: Meaning.OTHER,  # Only the owner of this account can perform this action
    20024: Meaning.OTHER,  # Under minimum age
    20031: Meaning.OTHER,  # Your Stage topic, server name, server description, or channel …
    20035: Meaning.OTHER,  # Guild premium subscription level too low
    30001: Meaning.OTHER,  # Maximum number of guilds reached (100)
    30002: Meaning.OTHER,  # Maximum number of friends reached (1000)
    30003: Meaning.OTHER,  # Maximum number of pins reached for the channel (250)
    30004: Meaning.OTHER,  # Maximum number of recipients reached (10)
    30005: Meaning.OTHER,  # Maximum number of guild roles reached (250)
    30007: Meaning.OTHER,  # Maximum number of webhooks reached (15)
    30008: Meaning.OTHER,  # Maximum number of emojis reached
    30010: Meaning.OTHER,  # Maximum number of reactions reached (20)
    30011: Meaning.OTHER,  # Maximum number of group DMs reached (10)
    30013: Meaning.OTHER,  # Maximum number of guild channels reached (500)
    30016: Meaning.OTHER,  # Maximum number of invites reached (1000)
    30018: Meaning.OTHER,  # Maximum number of animated emojis reached
    30019: Meaning.OTHER,  # Maximum number of server members reached
    30030: Meaning.OTHER,  # Maximum number of server categories has been reached (5)
    30031: Meaning.OTHER,  # Guild already has a template
    30032: Meaning.OTHER,  # Maximum number of application commands reached
    30033: Meaning.OTHER,  # Maximum number of thread participants has been reached (1000)
    30034: Meaning.OTHER,  # Maximum number of daily application command creates has been …
    30035: Meaning.OTHER,  # Maximum number of bans for non-guild members have been exceeded
    30037: Meaning.OTHER,  # Maximum number of bans fetches has been reached
    30038: Meaning.OTHER,  # Maximum number of uncompleted guild scheduled events reached (100)
    30039: Meaning.OTHER,  # Maximum number of stickers reached
    30040: Meaning.OTHER,  # Maximum number of prune requests has been reached. Try again later
    30042: Meaning.OTHER,  # Maximum number of guild widget settings updates has been reached …
    30045: Meaning.OTHER,  # Maximum number of soundboard sounds reached
    30047: Meaning.OTHER,  # Maximum number of pinned threads in a forum channel has been reached
    30048: Meaning.OTHER,  # Maximum number of tags in a forum channel has been reached
    30052: Meaning.OTHER,  # Bitrate is too high for channel of this type
    30056: Meaning.OTHER,  # Maximum number of premium emojis reached (25)
    30058: Meaning.OTHER,  # Maximum number of webhooks per guild reached (1000)
    30060: Meaning.OTHER,  # Maximum number of channel permission overwrites reached (1000)
    30061: Meaning.OTHER,  # The channels for this guild are too large
    40009: Meaning.OTHER,  # Only one channel can have a parent_id modified at a time
    40012: Meaning.OTHER,  # Connection has been revoked
    40018: Meaning.OTHER,  # Only consumable SKUs can be consumed
    40019: Meaning.OTHER,  # You can only delete sandbox entitlements.
    40032: Meaning.OTHER,  # Target user is not connected to voice
    40033: Meaning.OTHER,  # This message has already been crossposted
    40041: Meaning.OTHER,  # An application command with that name already exists
    40043: Meaning.OTHER,  # Application interaction failed to send
    40061: Meaning.OTHER,  # Tag names must be unique
    40066: Meaning.OTHER,  # There are no tags available that can be set by non-moderators
    40067: Meaning.OTHER,  # A tag is required to create a forum post in this channel
    40074: Meaning.OTHER,  # An entitlement has already been granted for this resource
    50002: Meaning.OTHER,  # Invalid account type
    50003: Meaning.OTHER,  # Cannot execute action on a DM channel
    50004: Meaning.OTHER,  # Guild widget disabled
    50010: Meaning.OTHER,  # OAuth2 application does not have a bot
    50011: Meaning.OTHER,  # OAuth2 application limit reached
    50012: Meaning.OTHER,  # Invalid OAuth2 state
    50015: Meaning.OTHER,  # Note was too long
    50016: Meaning.OTHER,  # Provided too few or too many messages to delete. Must provide at …
    50017: Meaning.OTHER,  # Invalid MFA Level
    50019: Meaning.OTHER,  # A message can only be pinned to the channel it was sent in
    50020: Meaning.OTHER,  # Invite code was either invalid or taken
    50025: Meaning.OTHER,  # Invalid OAuth2 access token provided
    50026: Meaning.OTHER,  # Missing required OAuth2 scope
    50028: Meaning.OTHER,  # Invalid role
    50034: Meaning.OTHER,  # A message provided was too old to bulk delete
    50036: Meaning.OTHER,  # An invite was accepted to a guild the application's bot is not in
    50039: Meaning.OTHER,  # Invalid Activity Action
    50054: Meaning.OTHER,  # Cannot self-redeem this gift
    50055: Meaning.OTHER,  # Invalid Guild
    50057: Meaning.OTHER,  # Invalid SKU
    50067: Meaning.OTHER,  # Invalid request origin
    50068: Meaning.OTHER,  # Invalid message type
    50070: Meaning.OTHER,  # Payment source required to redeem gift
    50073: Meaning.OTHER,  # Cannot modify a system webhook
    50074: Meaning.OTHER,  # Cannot delete a channel required for Community guilds
    50080: Meaning.OTHER,  # Cannot edit stickers within a message
    50081: Meaning.OTHER,  # Invalid sticker sent
    50084: Meaning.OTHER,  # Invalid thread notification settings
    50085: Meaning.OTHER,  # before value is earlier than the thread creation date
    50086: Meaning.OTHER,  # Community server channels must be text channels
    50091: Meaning.OTHER,  # The entity type of the event is different from the entity you are …
    50095: Meaning.OTHER,  # This server is not available in your location
    50097: Meaning.OTHER,  # This server needs monetization enabled in order to perform this action
    50101: Meaning.OTHER,  # This server needs more boosts to perform this action
    50124: Meaning.OTHER,  # The provided file duration exceeds maximum of 5.2 seconds.
    50131: Meaning.OTHER,  # Owner cannot be pending member
    50132: Meaning.OTHER,  # Ownership cannot be transferred to a bot user
    50138: Meaning.OTHER,  # Failed to resize asset below the maximum size: 262144
    50144: Meaning.OTHER,  # Cannot mix subscription and non subscription roles for an emoji
    50145: Meaning.OTHER,  # Cannot convert between premium emoji and normal emoji
    50151: Meaning.OTHER,  # The specified emoji is invalid
    50159: Meaning.OTHER,  # Voice messages do not support additional content.
    50160: Meaning.OTHER,  # Voice messages must have a single audio attachment.
    50161: Meaning.OTHER,  # Voice messages must have supporting metadata.
    50162: Meaning.OTHER,  # Voice messages cannot be edited.
    50163: Meaning.OTHER,  # Cannot delete guild subscription integration
    50167: Meaning.OTHER,  # Cannot send voice effect when user is server muted, deafened, or …
    50173: Meaning.OTHER,  # You cannot send voice messages in this channel.
    50192: Meaning.OTHER,  # The provided file does not have a valid duration.
    50600: Meaning.OTHER,  # You do not have permission to send this sticker.
    60003: Meaning.OTHER,  # Two factor is required for this operation
    80004: Meaning.OTHER,  # No users with DiscordTag exist
    90001: Meaning.OTHER,  # Reaction was blocked
    90002: Meaning.OTHER,  # User cannot use burst reactions
    150006: Meaning.OTHER,  # The Stage is already open
    160002: Meaning.OTHER,  # Cannot reply without permission to read message history
    160004: Meaning.OTHER,  # A thread has already been created for this message
    160014: Meaning.OTHER,  # You cannot forward a message whose content you cannot read
    170001: Meaning.OTHER,  # Invalid JSON for uploaded Lottie file
    170002: Meaning.OTHER,  # Uploaded Lotties cannot contain rasterized images such as PNG or JPEG
    170003: Meaning.OTHER,  # Sticker maximum framerate exceeded
    170004: Meaning.OTHER,  # Sticker frame count exceeds maximum of 1000 frames
    170005: Meaning.OTHER,  # Lottie animation maximum dimensions exceeded
    170006: Meaning.OTHER,  # Sticker frame rate is either too small or too large
    170007: Meaning.OTHER,  # Sticker animation duration exceeds maximum of 5 seconds
    180000: Meaning.OTHER,  # Cannot update a finished event
    180002: Meaning.OTHER,  # Failed to create stage needed for stage event
    220001: Meaning.OTHER,  # Webhooks posted to forum channels must have a thread_name or …
    220002: Meaning.OTHER,  # Webhooks posted to forum channels cannot have both a thread_name …
    220003: Meaning.OTHER,  # Webhooks can only create threads in forum channels
    220004: Meaning.OTHER,  # Webhook services cannot be used in forum channels
    340015: Meaning.OTHER,  # Access to joining new servers has been limited for the user
    350000: Meaning.OTHER,  # Cannot enable onboarding, requirements are not met
    350001: Meaning.OTHER,  # Cannot update onboarding while below requirements
    500000: Meaning.OTHER,  # Failed to ban users
    520000: Meaning.OTHER,  # Poll voting blocked
    520001: Meaning.OTHER,  # Poll expired
    520002: Meaning.OTHER,  # Invalid channel type for poll creation
    520003: Meaning.OTHER,  # Cannot edit a poll message
    520004: Meaning.OTHER,  # Cannot use an emoji included with the poll
    520006: Meaning.OTHER,  # Cannot expire a non-poll message
    530000: Meaning.OTHER,  # Your Discord application has not been granted the permission to …
    530001: Meaning.OTHER,  # The ID token JWT you have provided is expired. You will need to …
    530002: Meaning.OTHER,  # The issuer in the ID token JWT you have provided does not match …
    530003: Meaning.OTHER,  # The audience in the ID token JWT you have provided does not match …
    530004: Meaning.OTHER,  # The ID token you provided was issued too long ago. Discord will …
    530006: Meaning.OTHER,  # Discord failed to generate a unique username within the allotted …
    530007: Meaning.OTHER,  # Your client secret is invalid. Double check what you are sending …
    1000: Meaning.OTHER,  # Unknown error
    4000: Meaning.OTHER,  # Invalid payload
    4002: Meaning.OTHER,  # Invalid command
    4003: Meaning.OTHER,  # Invalid guild
    4004: Meaning.OTHER,  # Invalid event
    4005: Meaning.OTHER,  # Invalid channel
    4006: Meaning.OTHER,  # Invalid permissions
    4007: Meaning.OTHER,  # Invalid client ID
    4008: Meaning.OTHER,  # Invalid origin
    4009: Meaning.OTHER,  # Invalid token
    4010: Meaning.OTHER,  # Invalid user
    5000: Meaning.OTHER,  # OAuth2 error
    5001: Meaning.OTHER,  # Select channel timed out
    5002: Meaning.OTHER,  # GET_GUILD timed out
    5003: Meaning.OTHER,  # Select voice force required
    5004: Meaning.OTHER,  # Capture shortcut already listening
    4001: Meaning.OTHER,  # Invalid origin
}


def meaning_of(code: object) -> Meaning:
    """What a code speaks of; OTHER for one that is not in Discord's documentation."""
    return CODES.get(code, Meaning.OTHER) if isinstance(code, int) else Meaning.OTHER
