"""Speckle's own colours, one for each kind of event.

Source: packages/tailwind-theme/src/plugin.ts of specklesystems/speckle-server, its dark theme,
since most of Discord is dark.
"""

from collections.abc import Mapping

from bot.speckle.events import EventKind

PRIMARY = 0x136CFF  # --primary
VIOLET = 0x4B40C9  # --outline-4
SUCCESS = 0x34D399  # --success
WARNING = 0xFBBF24  # --warning
DANGER = 0xF87171  # --danger
INFO = 0xB8C0CC  # --info

COLOURS: Mapping[EventKind, int] = {
    EventKind.VERSION_CREATED: PRIMARY,
    EventKind.VERSION_UPDATED: INFO,
    EventKind.VERSION_RECEIVED: INFO,
    EventKind.VERSION_DELETED: DANGER,
    EventKind.VERSION_MOVED: INFO,
    EventKind.MODEL_CREATED: PRIMARY,
    EventKind.MODEL_UPDATED: INFO,
    EventKind.MODEL_DELETED: DANGER,
    EventKind.COMMENT_CREATED: VIOLET,
    EventKind.COMMENT_REPLIED: VIOLET,
    EventKind.COMMENT_RESOLVED: SUCCESS,
    EventKind.COMMENT_REOPENED: VIOLET,
    EventKind.COMMENT_MENTIONED: VIOLET,
    EventKind.PROJECT_UPDATED: INFO,
    EventKind.PROJECT_DELETED: DANGER,
    EventKind.PERMISSION_GRANTED: SUCCESS,
    EventKind.PERMISSION_REVOKED: DANGER,
    EventKind.INVITATION_SENT: INFO,
    EventKind.INVITATION_ACCEPTED: SUCCESS,
    EventKind.INVITATION_DECLINED: DANGER,
    EventKind.ACCESS_REQUESTED: WARNING,
    EventKind.ACCESS_DECLINED: DANGER,
    EventKind.UNKNOWN: INFO,
}
