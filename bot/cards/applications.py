"""The applications that publish to Speckle, by the names that people know them by."""

import re

from bot.cards.text import one_line, shorten_plain

MAX_NAME = 80  # characters of an application nobody knows

# What connectors send, without spaces and in lower case, and the product's own name. Sources: the
# connectors' HostApplications table (specklesystems/speckle-sharp, Core/Core/Kits/Applications.cs).
NAMES = {
    "advancesteel": "Advance Steel",
    "allplan": "Allplan",
    "arcgis": "ArcGIS",
    "arcgispro": "ArcGIS Pro",
    "archicad": "Archicad",
    "autocad": "AutoCAD",
    "autocadcivil": "Civil 3D",
    "automate": "Speckle Automate",
    "blender": "Blender",
    "bricscad": "BricsCAD",
    "civil3d": "Civil 3D",
    "csibridge": "CSiBridge",
    "dotnet": ".NET",
    "dxf": "DXF Converter",
    "dynamo": "Dynamo",
    "dynamorevit": "Dynamo for Revit",
    "dynamosandbox": "Dynamo Sandbox",
    "etabs": "ETABS",
    "excel": "Excel",
    "grasshopper": "Grasshopper",
    "gsa": "GSA",
    "hypar": "Hypar",
    "ifc": "IFC",
    "inventor": "Inventor",
    "map3d": "Map 3D",
    "microstation": "MicroStation",
    "navisworks": "Navisworks",
    "net": ".NET",
    "openbuildings": "OpenBuildings",
    "openrail": "OpenRail",
    "openroads": "OpenRoads",
    "other": "another application",
    "plant3d": "Plant 3D",
    "powerbi": "Power BI",
    "py": "specklepy",
    "python": "Python",
    "qgis": "QGIS",
    "revit": "Revit",
    "rhino": "Rhino",
    "safe": "SAFE",
    "sap2000": "SAP2000",
    "sketchup": "SketchUp",
    "solibri": "Solibri",
    "solidworks": "SolidWorks",
    "speckleautomate": "Speckle Automate",
    "specklepy": "specklepy",
    "tekla": "Tekla Structures",
    "teklastructures": "Tekla Structures",
    "topsolid": "TopSolid",
    "unity": "Unity",
    "unreal": "Unreal",
    "unrealengine": "Unreal",
    "vectorworks": "Vectorworks",
    "web": "the web app",
}

RELEASE = re.compile(r"v?(?:(?:19|20)?\d{1,2}(?:\.\d+)*)")
# A file that somebody uploaded, read by an importer that is named after the file's kind or not.
IMPORTER = re.compile(r"(?:(?P<kind>.*?)-)??(?:rhino-)?(?:file-?)?importer")
ACC = "-acc"  # by way of Autodesk Construction Cloud
WORD_ENDS = re.compile(r"[-_.\s]+|(?<=[a-z])(?=[A-Z])")
MAX_FILE_KIND = 5  # letters of a kind of file that is written in capitals


def application_name(raw: str | None) -> str | None:
    """The product's name and release, "Revit 2025" for "Revit2025"; unknown ones in readable words.

    None where nothing was sent. Not escaped.
    """
    text = one_line(raw, otherwise="")
    if not text:
        return None
    slug = text.lower()
    importer = IMPORTER.fullmatch(slug)
    if importer is not None:
        return _file_import(importer["kind"])
    if slug.endswith(ACC) and (name := _known(text[: -len(ACC)])) is not None:
        return f"{name} (ACC)"
    return _known(text) or shorten_plain(_readable(text), MAX_NAME)


def _known(text: str) -> str | None:
    """The name and the release of a product that is known."""
    slug = re.sub(r"[\s_-]+", "", text).lower()
    for end in range(len(slug), 0, -1):
        name = NAMES.get(slug[:end].strip("."))
        if name is None:
            continue
        if end == len(slug):
            return name
        if RELEASE.fullmatch(slug, end):
            return f"{name} {slug[end:].removeprefix('v')}"
    return None


def _file_import(kind: str | None) -> str:
    if not kind:
        return "a file import"
    short = len(kind) <= MAX_FILE_KIND
    name = _known(kind) or (kind.upper() if short else shorten_plain(_readable(kind), MAX_NAME))
    return f"{name} (file import)"


def _readable(text: str) -> str:
    """A name in words; one that has spaces is one that somebody wrote for people."""
    if " " in text:
        return text
    words = [word for word in WORD_ENDS.split(text) if word]
    return " ".join(word.capitalize() if word.islower() else word for word in words) or text
