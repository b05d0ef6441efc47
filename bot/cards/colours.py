"""Speckle's own colours.

Source: packages/tailwind-theme/src/plugin.ts of specklesystems/speckle-server, its dark theme,
because most people see Discord dark.
"""

PRIMARY = 0x136CFF  # --primary
VIOLET = 0x4B40C9  # --outline-4
SUCCESS = 0x34D399  # --success
WARNING = 0xFBBF24  # --warning
DANGER = 0xF87171  # --danger
INFO = 0xB8C0CC  # --info
