"""The server that was recorded, built up again: its people, projects, versions and comments."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.speckle import Model, ServerProject, SpeckleServer, User, Webhook
from sandbox.speckle.documents import raw_text

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "speckle" / "graphql"
RECORDED_URL = "http://127.0.0.1:3000"
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgG"
    "AWjR9awAAAABJRU5ErkJggg=="
)
FULL = ("streams:read", "streams:write", "profile:read", "profile:email", "users:read")
SCOPES = {
    "alice": FULL,
    "bob": FULL,
    "carol": FULL,
    "dave": FULL,
    "alice, scope read": ("streams:read",),
    "alice, scope write": ("streams:write",),
    "alice, scope rw": ("streams:read", "streams:write"),
    "alice, scope profile": ("profile:read",),
    "alice, tokens:read apps:read": (*FULL, "tokens:read", "apps:read"),
}
# Some recordings tell who asked in their name alone.
WHO_ASKED = {
    "bot_preflight": "alice",
    "enrich_version": "alice",
    "enrich_version_missing": "alice",
    "err_webhookCreate_missing_project": "alice",
    "err_webhookCreate_non_owner": "dave",
    "err_webhookCreate_scope_read_only": "alice, scope read",
    "err_webhooks_foreign_private_project": "alice",
    "err_webhooks_missing_project": "alice",
    "err_webhooks_non_member": "dave",
    "err_webhooks_scope_read_only": "alice, scope read",
    "err_webhooks_scope_write_only": "alice, scope write",
    "webhook_history_with_retryCount_BROKEN": "alice",
}
BAD_TOKENS = {"err_webhooks_bad_token": "Bearer deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"}


def at(text: str) -> datetime:
    """A time of the day of the recordings, "22:15:32.536"."""
    return datetime.fromisoformat(f"2026-11-23T{text}+00:00")


@dataclass(frozen=True)
class Recording:
    """One question and its answer, as they were recorded."""

    name: str
    query: str | None
    variables: dict[str, Any]
    status: int
    response: Any
    authorization: str | None
    retry_after: str | None

    @classmethod
    def read(cls, name: str) -> "Recording":
        """From its file."""
        read = json.loads((RECORDINGS / f"{name}.json").read_text())
        headers = read.get("request_headers") or {}
        authorization = headers.get("Authorization", BAD_TOKENS.get(name))
        if name in WHO_ASKED:
            authorization = f"Bearer <{WHO_ASKED[name]}>"
        return cls(
            name,
            read.get("query"),
            read.get("variables") or {},
            read["http_status"],
            read["response"],
            authorization,
            (read.get("response_headers") or {}).get("Retry-After"),
        )


class RecordedWorld:
    """Puts into a server what the recorded one held; `signed` gives a recording's header."""

    def __init__(self, server: SpeckleServer) -> None:
        self.server = server
        self.alice = self._user("baf0d5abc8", 'Alice "Quotes" Müller 🏗️', "alice", DOT)
        self.alice.role = "server:admin"
        self.bob = self._user("954d254474", "Bob Builder", "bob", DOT)
        avatar = "https://avatars.example.test/u/1234?v=4&s=96"
        self.carol = self._user("651db12d88", "Carol URL-Avatar", "carol", avatar)
        self.dave = self._user("333bc8e8d9", "Dave Nonmember", "dave", None)
        self._projects()
        people = {
            "alice": self.alice,
            "bob": self.bob,
            "carol": self.carol,
            "dave": self.dave,
        }
        self.tokens = {
            label: server.token(people[label.split(",")[0]], scopes=scopes)
            for label, scopes in SCOPES.items()
        }
        limited = server.token(self.alice, scopes=FULL, only=[self.public])
        self.tokens["alice, limited to one project"] = limited
        self.tokens["alice, expired"] = server.token(
            self.alice, expires_at=datetime.now(UTC) - timedelta(minutes=1)
        )
        self.tokens["alice, revoked"] = server.token(self.alice)
        server.revoke(self.tokens["alice, revoked"])

    def signed(self, recording: Recording) -> dict[str, str]:
        """The Authorization header of the recording, with a token of this server."""
        said = recording.authorization
        if said is None:
            return {}
        for label, token in self.tokens.items():
            said = said.replace(f"<{label}>", token)
        assert "<" not in said, said
        return {"Authorization": said}

    def _user(self, user_id: str, name: str, nick: str, avatar: str | None) -> User:
        user = self.server.add_user(name, id=user_id, avatar=avatar)
        user.email = f"{nick}@example.test"
        return user

    def _projects(self) -> None:
        add = self.server.add_project
        said = "recorded for the replaying test server"
        alice = self.alice
        self.public = add(
            "Rec public tower",
            owner=alice,
            visibility="PUBLIC",
            description=said,
            id="6742d0c2ac",
        )
        self.private = add("Rec private tower", owner=alice, description=said, id="b92b46ac57")
        for project in (self.public, self.private):
            self.server.set_role(project, self.bob, "stream:contributor")
            self.server.set_role(project, self.carol, "stream:reviewer")
        sent = "private project with real graph"
        self.sent = add("Specklepy sent model", owner=alice, description=sent, id="47e09e5a62")
        self.hooks = add("Hook recordings", owner=alice, description="d", id="f4e7c58a99")
        self.first = add("Legacy rename", owner=alice, visibility="PUBLIC", id="7e14d973e6")
        self.carols = add("Carol's own", owner=self.carol, id="17d3f75c5a")
        self._versions()

    def _versions(self) -> None:
        level = self._model(self.public, "d271e24af8", "structure/level 1", "22:15:31.5", "d")
        mep = self._model(self.public, "8112098b52", "mep", "22:15:32.6")
        self.level, self.mep = level, mep
        self._version(level, "e026abac84", "73bdfc752b2ae530705e5e23b2415942", "22:15:31.970")
        self._version(level, "00cbe9dda1", "c65c60c182a770443100ff53e6469be7", "22:15:32.251")
        self._version(level, "a6ae1bcb76", "337f6217f8a90d8974fe3b4723bc42ad", "22:15:32.536")
        self._version(mep, "8c130a96f4", "3f9d3dfdc486a0a0bafb0161175032f1", "22:15:32.812")
        for name, model_id, moment in (
            ("structure/level 2", "87b3945742", "22:18:12.778"),
            ("structure/level 2/walls", "be84c618ca", "22:18:12.846"),
            ("architecture/façade ü", "fd93366532", "22:18:12.909"),
            ("100% done", "0bc44c2534", "22:18:12.971"),
            ("under_score", "cf32ef3935", "22:18:13.038"),
        ):
            self._model(self.public, model_id, name, moment)
        other = self._model(self.private, "9540b089b3", "structure/level 1", "22:15:33.5", "d")
        self._version(other, "0e6deec485", "187f85e035855631395d886f9880805d", "22:15:33.669")
        self._version(other, "ea7ba545b0", "927350e61d3d70295de3f564c686b6ac", "22:15:33.949")
        self._version(other, "8fe08b90af", "8275de3162261c95507fda64c544fbea", "22:15:34.230")
        sent = self._model(self.sent, "b72f8f6b47", "arch/building a", "21:19:48.0")
        self._version(sent, "9ab6568657", "89925eca5a9280836d4b78265bc9bb70", "21:19:48.602")
        self._version(sent, "e068f087f5", "fcefd2c2604554ad02702b0311c50f3c", "21:19:49.736")
        level.updated_at = at("22:15:32.538")
        mep.updated_at = at("22:15:32.814")
        other.updated_at = at("22:15:34.232")
        sent.updated_at = at("21:19:49.737")
        self.hooks.updated_at = at("22:16:45.558")
        self.private.updated_at = at("22:15:34.505")
        self.public.updated_at = at("22:15:32.815")
        self.sent.updated_at = at("21:19:49.737")
        self.first.updated_at = at("21:10:18.360")

    def _model(
        self, project: ServerProject, model_id: str, name: str, moment: str, said: str | None = None
    ) -> Model:
        return self.server.add_model(
            project, name, description=said, author=self.alice, id=model_id, at=at(moment)
        )

    def _version(self, model: Model, version_id: str, object_id: str, moment: str) -> None:
        message, application, parents = VERSIONS[version_id]
        self.server.add_version(
            model.project,
            model,
            author=self.alice,
            message=message,
            application=application,
            parents=parents,
            object_id=object_id,
            at=at(moment),
            id=version_id,
        )

    def with_comments(self) -> None:
        """The threads that were there when threads were asked for."""
        versions = {version.id: version for version in self.public.versions}
        people = {self.alice.name: self.alice, self.dave.name: self.dave}
        said = Recording.read("threads_with_archived").response["data"]["project"]
        for item in reversed(said["commentThreads"]["items"]):
            on = [versions[r["versionId"]] for r in item["viewerResources"] if r["versionId"]]
            comment = self.server.add_comment(
                self.public,
                on,
                author=people[item["author"]["name"]],
                text=item["rawText"],
                archived=item["archived"],
                id=item["id"],
                at=datetime.fromisoformat(item["createdAt"]),
            )
            assert raw_text(comment.doc) == item["rawText"]
            comment.updated_at = datetime.fromisoformat(item["updatedAt"])
            if item["id"] == "f67ee8f7ce":
                self._replies(comment)
                comment.updated_at = datetime.fromisoformat(item["updatedAt"])
        self.server.add_comment(self.private, self.private.versions, author=self.alice, text="own")

    def _replies(self, thread: Any) -> None:
        pages = [Recording.read(f"comment_replies_page_{page}") for page in (1, 2)]
        said = [
            reply
            for page in pages
            for reply in page.response["data"]["project"]["comment"]["replies"]["items"]
        ]
        people = {user.id: user for user in (self.alice, self.bob)}
        for item in reversed(said):
            self.server.add_reply(
                thread,
                author=people[item["author"]["id"]],
                text=item["rawText"],
                id=item["id"],
                at=datetime.fromisoformat(item["createdAt"]),
            )

    def with_webhook(self, *, enabled: bool = True) -> Webhook:
        """The first webhook that was made in the recordings."""
        return self.server.add_webhook(
            self.hooks,
            f"{RECORDED_URL.removesuffix('3000')}8765/hook/rec2a?guild=1&link=7",
            ["commit_create", "comment_created"],
            description="Discord #site-models",
            secret="s",
            enabled=enabled,
            id="51f7627c97",
        )

    def with_history(self, name: str) -> Webhook:
        """The webhook whose history was recorded, with as many entries, of the same kinds."""
        said = Recording.read(name).response["data"]["project"]["webhooks"]["items"][0]
        hook = self.server.add_webhook(
            self.hooks,
            said["url"],
            said["triggers"],
            description=said["description"],
            secret="s",
            id=said["id"],
        )
        for item in reversed(said["history"]["items"]):
            entry = self.server.new_entry(hook, {}, item["status"])
            entry.id, entry.payload = item["id"], item["payload"]
            entry.last_update = datetime.fromisoformat(item["lastUpdate"])
        return hook


VERSIONS: dict[str, tuple[str | None, str | None, tuple[str, ...]]] = {
    "e026abac84": ("first version", "Revit2025", ()),
    "00cbe9dda1": (None, None, ()),
    "a6ae1bcb76": ("third, with parents", "Grasshopper", ("e026abac84", "00cbe9dda1")),
    "8c130a96f4": ("other model", "Rhino 8", ()),
    "0e6deec485": ("first version", "Revit2025", ()),
    "ea7ba545b0": (None, None, ()),
    "8fe08b90af": ("third, with parents", "Grasshopper", ("0e6deec485", "ea7ba545b0")),
    "9ab6568657": ("sent by specklepy v1", "py", ()),
    "e068f087f5": ("sent by specklepy v2", "py", ("9ab6568657",)),
}
