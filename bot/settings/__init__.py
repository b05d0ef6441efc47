"""The settings: what can be set, how it is read, and the page of the docs about it."""

from bot.settings.loading import load_settings, misspelt_names, named_database_url
from bot.settings.settings import (
    LiveSettings,
    OperatorSettings,
    OrganisationSettings,
    RetentionSettings,
    Settings,
    environment_names,
    sections,
)
from bot.settings.validators import KEY_AMONG_OTHERS, SECRET_HINTS

__all__ = [
    "KEY_AMONG_OTHERS",
    "SECRET_HINTS",
    "LiveSettings",
    "OperatorSettings",
    "OrganisationSettings",
    "RetentionSettings",
    "Settings",
    "environment_names",
    "load_settings",
    "misspelt_names",
    "named_database_url",
    "sections",
]
