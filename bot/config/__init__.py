"""The settings: what can be set, how it is read, and the page of the docs that says so."""

from bot.config.loading import load_settings, misspelt_names
from bot.config.settings import Organisation, Retention, Settings, environment_names, sections
from bot.config.values import SECRET_HINTS

__all__ = [
    "SECRET_HINTS",
    "Organisation",
    "Retention",
    "Settings",
    "environment_names",
    "load_settings",
    "misspelt_names",
    "sections",
]
