"""What Discord asks of components in messages, the second version included.

https://discord.com/developers/docs/components/reference
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.discord.component_kinds import (
    BUTTON,
    CONTAINER,
    FILE,
    MAX_CUSTOM_ID,
    MAX_TEXT_DISPLAY,
    MEDIA_GALLERY,
    ROW,
    SECTION,
    SELECTS,
    SEPARATOR,
    TEXT_DISPLAY,
    THUMBNAIL,
)
from sandbox.discord.embed_rules import check_picture, check_url
from sandbox.discord.emoji_rules import KnownParts, check_emoji
from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.refusals import Form, units
from sandbox.discord.select_rules import check_select

LINK_STYLE, PREMIUM_STYLE = 5, 6
V1_TOP = frozenset({ROW})
IN_CONTAINER = frozenset({ROW, SECTION, TEXT_DISPLAY, MEDIA_GALLERY, FILE, SEPARATOR})
V2_TOP = IN_CONTAINER | {CONTAINER}
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_COMPONENTS = 40
MAX_TEXTS_IN_SECTION = 3
MAX_PICTURES = 10
MAX_ALT_TEXT = 1024
MAX_ID = (1 << 31) - 1


def walk(components: list[Any]) -> Iterator[JSON]:
    """All components, the nested ones too, in order."""
    for component in components:
        if isinstance(component, dict):
            yield component
            yield from walk(component.get("components") or [])
            yield from walk([component.get("component"), component.get("accessory")])


def with_ids(components: list[Any]) -> list[Any]:
    """The components with a number each, as Discord gives where the bot gave none."""
    parts = list(walk(components))
    taken = {part["id"] for part in parts if part.get("id")}
    free = (number for number in range(1, len(parts) + len(taken) + 1) if number not in taken)
    for part in parts:
        part["id"] = part.get("id") or next(free)
    return components


def check_components(form: Form, value: Any, known: KnownParts, *, v2: bool) -> list[JSON]:
    """Check the components of a message; `v2` is whether its flag says Components V2."""
    most = MAX_COMPONENTS if v2 else MAX_ROWS
    components = form.items(("components",), value, most)
    top = V2_TOP if v2 else V1_TOP
    for index, component in enumerate(components):
        _check_one(form, ("components", index), component, top, known)
    parts = list(walk(components))
    if len(parts) > MAX_COMPONENTS:
        form.add(("components",), "BASE_TYPE_MAX_LENGTH", "Must be 40 or fewer in length.")
    if sum(units(str(part.get("content") or "")) for part in parts) > MAX_TEXT_DISPLAY:
        text = f"Total displayable text size exceeds maximum size of {MAX_TEXT_DISPLAY}"
        form.add(("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", text)
    check_unique(form, ("components",), components)
    return components


def check_unique(form: Form, path: FieldPath, components: list[JSON]) -> None:
    """No custom id twice, and no number."""
    custom_ids = [part["custom_id"] for part in walk(components) if part.get("custom_id")]
    if len(custom_ids) != len(set(map(str, custom_ids))):
        text = "Component custom id cannot be duplicated"
        form.add(path, "COMPONENT_CUSTOM_ID_DUPLICATED", text)
    ids = [part["id"] for part in walk(components) if part.get("id")]
    if len(ids) != len(set(map(str, ids))):
        form.add(path, "COMPONENT_ID_DUPLICATED", "Component id cannot be duplicated")


def _check_one(
    form: Form, path: FieldPath, component: Any, allowed: frozenset[int], known: KnownParts
) -> None:
    kind = component.get("type") if isinstance(component, dict) else None
    if kind not in allowed:
        form.choices((*path, "type"), ", ".join(map(str, sorted(allowed))))
        return
    check_id(form, path, component)
    if kind in SELECTS:
        check_select(form, path, component, known)
    else:
        CHECKS[kind](form, path, component, known)


def check_id(form: Form, path: FieldPath, component: JSON) -> None:
    """The number of a component, where it has one."""
    form.whole((*path, "id"), component.get("id"), 0, MAX_ID)


def _check_row(form: Form, path: FieldPath, row: JSON, known: KnownParts) -> None:
    inside = form.items((*path, "components"), row.get("components"), MAX_BUTTONS, 1)
    kinds = [one.get("type") for one in inside if isinstance(one, dict)]
    if len(inside) > 1 and SELECTS & set(kinds):
        text = "A row holds one select, or buttons."
        form.add((*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", text)
    for index, one in enumerate(inside):
        _check_one(form, (*path, "components", index), one, SELECTS | {BUTTON}, known)


def _check_button(form: Form, path: FieldPath, button: JSON, known: KnownParts) -> None:
    style = button.get("style")
    form.length((*path, "label"), button.get("label"), 80)
    check_emoji(form, (*path, "emoji"), button.get("emoji"), known)
    if style == PREMIUM_STYLE:
        _check_premium(form, path, button)
        return
    if not (button.get("label") or "").strip() and not button.get("emoji"):
        text = "A button must have a label or emoji"
        form.add(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", text)
    if style == LINK_STYLE:
        _check_link(form, path, button)
    elif style in (1, 2, 3, 4):
        form.length((*path, "custom_id"), button.get("custom_id"), MAX_CUSTOM_ID, 1)
        _check_without(form, path, button, ("url", "sku_id"))
    else:
        form.choices((*path, "style"), "1, 2, 3, 4, 5, 6")


def _check_premium(form: Form, path: FieldPath, button: JSON) -> None:
    if not str(button.get("sku_id") or "").isdecimal():
        form.required((*path, "sku_id"))
    _check_without(form, path, button, ("custom_id", "label", "url", "emoji"))


def _check_link(form: Form, path: FieldPath, button: JSON) -> None:
    if not button.get("url"):
        form.required((*path, "url"))
    check_url(form, (*path, "url"), button.get("url"), {"http", "https", "discord"}, most=512)
    _check_without(form, path, button, ("custom_id", "sku_id"))


def _check_without(form: Form, path: FieldPath, button: JSON, keys: tuple[str, ...]) -> None:
    for key in keys:
        if button.get(key) is not None:
            text = f"A {key} cannot be set for this style"
            form.add((*path, key), "BUTTON_COMPONENT_INVALID_FIELD_FOR_STYLE", text)


# ── the second version ────────────────────────────────────────────────────────────────────────


def _check_text(form: Form, path: FieldPath, display: JSON, _: KnownParts) -> None:
    form.length((*path, "content"), display.get("content"), MAX_TEXT_DISPLAY, 1)


def _check_section(form: Form, path: FieldPath, section: JSON, known: KnownParts) -> None:
    below = (*path, "components")
    texts = form.items(below, section.get("components"), MAX_TEXTS_IN_SECTION, 1)
    for index, one in enumerate(texts):
        _check_one(form, (*below, index), one, frozenset({TEXT_DISPLAY}), known)
    accessory = section.get("accessory")
    if accessory is None:
        form.required((*path, "accessory"))
    else:
        both = frozenset({BUTTON, THUMBNAIL})
        _check_one(form, (*path, "accessory"), accessory, both, known)


def _check_gallery(form: Form, path: FieldPath, gallery: JSON, known: KnownParts) -> None:
    for index, one in enumerate(
        form.items((*path, "items"), gallery.get("items"), MAX_PICTURES, 1)
    ):
        _check_media(form, (*path, "items", index), one, known)


def _check_media(form: Form, path: FieldPath, one: JSON, known: KnownParts) -> None:
    """A picture of a gallery, or beside a section."""
    media = one.get("media") or {}
    if not media.get("url"):
        form.required((*path, "media", "url"))
    check_picture(form, (*path, "media", "url"), media.get("url"), known.file_names)
    if one.get("description") is not None:
        form.length((*path, "description"), one["description"], MAX_ALT_TEXT, 1)


def _check_file(form: Form, path: FieldPath, one: JSON, known: KnownParts) -> None:
    url = (one.get("file") or {}).get("url")
    if not str(url).startswith("attachment://"):
        text = "A file component shows an attachment of this message: attachment://<filename>"
        form.add((*path, "file", "url"), "UNFURLED_MEDIA_ITEM_ATTACHMENT_REQUIRED", text)
    else:
        check_picture(form, (*path, "file", "url"), url, known.file_names)


def _check_separator(form: Form, path: FieldPath, separator: JSON, _: KnownParts) -> None:
    if separator.get("spacing") not in (None, 1, 2):
        form.choices((*path, "spacing"), "1, 2")


def _check_container(form: Form, path: FieldPath, container: JSON, known: KnownParts) -> None:
    form.between((*path, "accent_color"), container.get("accent_color"), 0, 0xFFFFFF)
    below = (*path, "components")
    inside = form.items(below, container.get("components"), MAX_COMPONENTS, 1)
    for index, one in enumerate(inside):
        _check_one(form, (*below, index), one, IN_CONTAINER, known)


CHECKS: Mapping[int, Callable[[Form, FieldPath, JSON, KnownParts], None]] = {
    ROW: _check_row,
    BUTTON: _check_button,
    SECTION: _check_section,
    TEXT_DISPLAY: _check_text,
    THUMBNAIL: _check_media,
    MEDIA_GALLERY: _check_gallery,
    FILE: _check_file,
    SEPARATOR: _check_separator,
    CONTAINER: _check_container,
}
