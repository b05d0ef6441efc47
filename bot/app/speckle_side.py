"""What asks Speckle servers."""

from dataclasses import dataclass

from bot.app.base import Base
from bot.pipeline.event_pictures import EventPictures
from bot.services.known_names import KnownNames
from bot.services.token_lending import TokenLender
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.comparisons import Comparisons
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.live_socket import LiveSockets
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import Previews
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.speckle_api.version_pictures import VersionPictures


@dataclass(frozen=True, slots=True)
class SpeckleSide:
    """What asks Speckle servers."""

    client: SpeckleClient
    pictures: EventPictures
    version_pictures: VersionPictures
    sign_in: SpeckleSignIn
    lender: TokenLender
    known_names: KnownNames
    counts: ObjectCounts
    comparisons: Comparisons
    sockets: LiveSockets


def build_speckle_side(base: Base, http: SpeckleHttp, sockets: LiveSockets) -> SpeckleSide:
    """Build what asks Speckle servers."""
    client = SpeckleClient(
        servers=base.settings.speckle_servers,
        deadline_s=base.settings.speckle.enrich_deadline_s,
        breakers=base.breakers,
        network=base.network,
    )
    token = base.settings.speckle_token
    sign_in = SpeckleSignIn(http)
    lender = TokenLender(
        base.storage,
        client,
        sign_in,
        apps=base.settings.apps(),
        first_server=base.settings.speckle_servers[0],
        operator_token=None if token is None else token.get_secret_value(),
        served_guilds=base.settings.organisation.guilds,
        now=base.now,
    )
    known_names = KnownNames(base.storage, client, lender, now=base.now)
    bundles = BundleReader()  # one, so that both together run few processes
    counts, comparisons = ObjectCounts(http, bundles), Comparisons(http, bundles=bundles)
    version_pictures = VersionPictures(Previews(http))
    pictures = EventPictures(version_pictures, ServerFiles(http), lender)
    return SpeckleSide(
        client,
        pictures,
        version_pictures,
        sign_in,
        lender,
        known_names,
        counts,
        comparisons,
        sockets,
    )
