"""Hooks, on both databases."""

import asyncio
from datetime import timedelta

import pytest
from conftest import FACADE, HARBOUR_TOWER, MAREN_ODUYA, SERVER, STRUCTURE, STUDIO_KESTREL, Clock

from bot.db.rows import Hook, HookKind, HookState
from bot.db.vault import Vault
from bot.errors import SealError
from bot.storage import Storage
