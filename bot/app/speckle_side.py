"""What asks Speckle servers."""

from dataclasses import dataclass

from bot.network import Network
from bot.pipeline.event_pictures import EventPictures
from bot.services.known_names import KnownNames
from bot.services.token_lending import TokenLender
from bot.settings import Settings
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import Previews
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.storage import Storage
from bot.timing import utc_now


@dataclass(frozen=True, slots=True)
class SpeckleSide:
    """What asks Speckle servers."""

    client: SpeckleClient
    pictures: EventPictures
    sign_in: SpeckleSignIn
    lender: TokenLender
    known_names: KnownNames
    counts: ObjectCounts


def build_speckle_side(
    settings: Settings,
    storage: Storage,
    http: SpeckleHttp,
    breakers: CircuitBreakers,
    network: Network,
) -> SpeckleSide:
    """Build what asks Speckle servers."""
    client = SpeckleClient(
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        breakers=breakers,
        network=network,
    )
    token = settings.speckle_token
    sign_in = SpeckleSignIn(http)
    lender = TokenLender(
        storage,
        client,
        sign_in,
        apps=settings.apps(),
        first_server=settings.speckle_servers[0],
        operator_token=None if token is None else token.get_secret_value(),
        served_guilds=settings.organisation.guilds,
        now=utc_now,
    )
    known_names = KnownNames(storage, client, lender, now=utc_now)
    counts = ObjectCounts(http)
    pictures = EventPictures(Previews(http), ServerFiles(http), lender)
    return SpeckleSide(client, pictures, sign_in, lender, known_names, counts)
