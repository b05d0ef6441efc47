"""The applications that publish to Speckle, by the names that people know them by."""

import re

from bot.cards.text import one_line, shorten_plain

MAX_NAME = 80  # characters of an application nobody knows

# What connectors send, without spaces and in lower case, and the product's own name. Sources: the
# connectors' HostApplications table (specklesystems/speckle-sharp, Core/Core/Kits/Applications.cs).
NAMES = {
    "advancesteel": "Advance Steel",
    "arcgis": "ArcGIS",
    "arcgispro": "ArcGIS Pro",
    "archicad": "Archicad",
    "autocad": "AutoCAD",
    "autocadcivil": "Civil 3D",
    "blender": "Blender",
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
    "microstation": "MicroStation",
    "navisworks": "Navisworks",
    "net": ".NET",
    "openbuildings": "OpenBuildings",
    "openrail": "OpenRail",
    "openroads": "OpenRoads",
    "other": "another application",
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
    "specklepy": "specklepy",
    "teklastructures": "Tekla Structures",
    "topsolid": "TopSolid",
    "unity": "Unity",
    "unreal": "Unreal",
    "unrealengine": "Unreal",
    "vectorworks": "Vectorworks",
    "web": "the web app",
}

_RELEASE = re.compile(r"(?P<name>.*?[^\dv])v?(?P<release>(?:19|20)?\d{1,2}(?:\.\d+)*)")


def application_name(raw: str | None) -> str | None:
    """The product's name and release, "Revit 2025" for "Revit2025"; unknown ones as they came.

    None where nothing was sent. Not escaped.
    """
    text = one_line(raw, otherwise="")
    if not text:
        return None
    known = _known(text)
    if known is not None:
        return known
    match = _RELEASE.fullmatch(text)
    if match is not None and (name := _known(match["name"])) is not None:
        return f"{name} {match['release']}"
    return shorten_plain(text, MAX_NAME)


def _known(text: str) -> str | None:
    return NAMES.get(re.sub(r"[\s._-]+", "", text).lower())
