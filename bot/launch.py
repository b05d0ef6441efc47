"""What run.py does: a `.venv` with the pinned packages in it, then the bot or the tests.

Standard library only, and of the bot only its version: this runs before anything is installed.
"""

import difflib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bot.program import NAME, version

ROOT: Final = Path(__file__).resolve().parent.parent
RUNTIME: Final = "requirements.txt"
TESTS: Final = "tests/requirements.txt"
BUNDLES: Final = "requirements-bundles.txt"
DEMO: Final = "requirements-demo.txt"
COMMANDS: Final[Mapping[str, str]] = {
    "demo": "try it out: a Discord on this computer, sample deliveries, no account needed",
    "init": "write a first .env with a new key in it, and config.toml, where they are missing",
    "run": "run the bot in your Discord servers",
    "check": "try every setting and show how to fix those that do not work",
    "bundles": "also count and compare versions that are bundles (installs DuckDB, 70 MB)",
    "test": "run the checks and tests; arguments go to pytest only",
    "migrate": "bring the database's tables up to date (run does that too)",
    "backup": "write the whole database into one file, while the bot runs",
    "restore": "put a backup back",
    "copy-database": "move everything to another database, such as PostgreSQL",
    "subscriptions": "export all subscriptions to a file, or import those of one",
    "support": "write a bundle for a report of a bug, with nothing secret in it",
    "key": "print a new key for ENCRYPTION_KEYS",
    "keys": "keys rotate: encrypt all secrets again with the first key, while the bot runs",
    "outbox": "list the cards that wait or were refused; try them again or drop them",
    "events": "list what Speckle sent, and what became of it in each channel, and why",
    "audit": "list who changed what: subscriptions, filters, webhooks, settings",
    "pictures": "take the pictures of README and docs again, for authors (needs Chromium)",
    "soak": "kill the bot repeatedly while things fail; check that nothing is lost or shown twice",
    "bench": "measure the bot beside what limits it; writes bench/RESULTS.md",
}
FURTHER: Final[Mapping[str, Sequence[str]]] = {
    "test": (TESTS,),
    "bundles": (BUNDLES,),
    "demo": (DEMO, BUNDLES),
    "pictures": (TESTS,),
}
HELP: Final = ("-h", "--help")
FORMER_COMMAND: Final = "deliveries"  # `outbox` in the release before
STOPPED: Final = 130  # what a shell says of a program that Ctrl-C ended
# How the output of pip, or uv, says that no registry answered, rather than that a package is wrong.
UNREACHABLE: Final = (
    "NewConnectionError",
    "NameResolutionError",
    "Failed to establish a new connection",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "CERTIFICATE_VERIFY_FAILED",
    "Retrying (Retry(",
    "Network is unreachable",
    "client error (Connect)",
    "dns error",
    "operation timed out",
    "network was disabled",
)
VERSION_CODE: Final = "import sys; print('%d.%d' % sys.version_info[:2])"
# The system's certificates are trusted, as pip does; uv's names for that, new and old.
UV_ENVIRONMENT: Final[Mapping[str, str]] = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
PIP_OPTIONS: Final = ("--quiet", "--no-input", "--no-user", "--disable-pip-version-check")


class CannotStart(Exception):
    """Something on this computer is missing; the text is a sentence for the person."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code unless another process takes over."""
    command, *rest = arguments or ["--help"]
    if command == "--version":
        sys.stdout.write(f"{NAME} {version()}\n")
        return 0
    if command not in {*COMMANDS, FORMER_COMMAND}:
        is_help = command in HELP or command == "help"
        _say(
            usage() if is_help else f"There is no command {command!r}.{_guess(command)}\n{usage()}"
        )
        return 0 if is_help and arguments else 2
    if command == "bundles" and rest:
        _say(f"python3 run.py bundles: {COMMANDS['bundles']}. It has no options.")
        return 0 if rest[0] in HELP else 2
    os.chdir(ROOT)
    further = FURTHER.get(command, ())
    if any(one in HELP for one in rest):  # for which nothing is installed
        further = further if command == "test" else ()
        if _is_installed(ROOT, (RUNTIME, *further)) is None:
            sys.stdout.write(help_of(ROOT, command))
            return 0
    try:
        python = prepare(ROOT, (RUNTIME, *further))
        if command == "test":
            return run_tests(python, rest)
        if command == "bundles":
            _say("DuckDB is installed. Start the bot again; it then reads bundles too.")
            return 0
        return hand_over([str(python), "-m", "bot", command, *rest])
    except CannotStart as problem:
        _say(str(problem))
        return 1
    except KeyboardInterrupt:
        _say("Stopped.")
        return STOPPED


def usage() -> str:
    """The commands, one line each."""
    lines = [f"  python3 run.py {name:<13} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["Use it like this:", *lines])


def _guess(command: str) -> str:
    near = difflib.get_close_matches(command.lower(), COMMANDS, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def help_of(root: Path, command: str) -> str:
    """What the page about the command line says of a command, before anything is installed."""
    page = root / "docs/command-line.md"
    text = page.read_text("utf-8") if page.is_file() else ""
    section = text.partition(f"\n## {command}\n")[2].partition("\n## ")[0].strip()
    return f"{section or f'python3 run.py {command}: {COMMANDS[command]}.'}\n"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


# ── the environment ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `.venv` holds: its Python and the pinned files that were installed, by content.

    While pip works another text is in its place. If that is still there at the next start,
    the install was cut off, in an unknown state, and `.venv` is made again.
    """

    python: str
    files: Mapping[str, str]

    def covers(self, wanted: "Stamp") -> bool:
        """Whether everything in `wanted` is installed already."""
        return self.python == wanted.python and wanted.files.items() <= self.files.items()

    def to_json(self) -> str:
        """The text of the stamp file."""
        return json.dumps({"python": self.python, "files": dict(self.files)})

    @classmethod
    def from_json(cls, text: str) -> "Stamp | None":
        """The stamp that a file holds; None for one that is damaged or says "installing"."""
        try:
            data = json.loads(text)
            return cls(str(data["python"]), {str(k): str(v) for k, v in data["files"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def fingerprint(path: Path) -> str:
    """A file's content in short; the same for both kinds of line ends."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def venv_python(venv: Path) -> Path:
    """Where a virtual environment keeps its Python on this system."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(root: Path, files: Sequence[str]) -> Path:
    """The Python of `.venv`, with the packages that `files` pin; both made if they are not there.

    What reads bundles, once asked for, is in every later `.venv` too. Errors: CannotStart.
    """
    venv = root / ".venv"
    stamp_file = venv / "installed.json"
    python = venv_python(venv)
    version = _version_of(python)
    had = stamp_file.read_text() if stamp_file.is_file() else ""
    stamp = Stamp.from_json(had)
    if stamp and BUNDLES in stamp.files:
        files = (*files, *({BUNDLES} - set(files)))
    pins = {name: fingerprint(root / name) for name in files}
    if version and stamp and stamp.covers(Stamp(version, pins)):
        return python
    if version is None or (had and stamp is None) or (stamp and stamp.python != version):
        _make_venv(venv)
        version, stamp = _version_of(python), None
        if version is None:
            raise CannotStart(f"The Python in {venv} does not run. Delete that folder, try again.")
    _say(f"Installing the packages of {' and '.join(files)} (a minute or so the first time) ...")
    stamp_file.write_text("installing")  # stays only if this is cut off in the middle
    try:
        _install(python, [root / name for name in files])
    except CannotStart:
        stamp_file.write_text((stamp or Stamp(version, {})).to_json())  # pip undid what it began
        raise
    kept = stamp.files if stamp and stamp.files.get(RUNTIME) == pins.get(RUNTIME) else {}
    stamp_file.write_text(Stamp(version, {**kept, **pins}).to_json())
    return python


def _is_installed(root: Path, files: Sequence[str]) -> Path | None:
    """The Python of `.venv` if it has these packages already."""
    stamp_file, python = root / ".venv/installed.json", venv_python(root / ".venv")
    stamp = Stamp.from_json(stamp_file.read_text()) if stamp_file.is_file() else None
    version = _version_of(python) if stamp else None
    pins = {name: fingerprint(root / name) for name in files}
    return python if version and stamp and stamp.covers(Stamp(version, pins)) else None


def _version_of(python: Path) -> str | None:
    """A Python's version, as 3.11; None for one that is not there or does not run."""
    try:
        asked = subprocess.run(
            [python, "-I", "-c", VERSION_CODE],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() or None


def _make_venv(venv: Path) -> None:
    with_pip = uv() is None
    needed = ("venv", "ensurepip") if with_pip else ("venv",)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        _no_venv_module(missing[0])
    from venv import EnvBuilder

    version = "{}.{}".format(*sys.version_info[:2])
    _say(f"Making .venv with Python {version} ...")
    try:
        EnvBuilder(clear=True, with_pip=with_pip, symlinks=os.name != "nt").create(venv)
    except subprocess.CalledProcessError:
        _no_venv_module("ensurepip")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CannotStart(f"The folder {venv} cannot be made: {why}.") from error


def _no_venv_module(name: str) -> NoReturn:
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    raise CannotStart(
        f"This Python has no working {name} module, which creates the bot's own environment. "
        f"On Debian and Ubuntu: sudo apt install {package}. Then run this again."
    )


def uv() -> str | None:
    """The program uv, which installs many times faster than pip; None where there is none."""
    return shutil.which("uv")


def _install(python: Path, files: Sequence[Path]) -> None:
    pins = [part for file in files for part in ("-r", str(file))]
    faster = uv()
    if faster is not None:
        _run_installer("uv", [faster, "pip", "install", "--quiet", "--python", str(python), *pins])
        return
    if not _has_pip(python):  # uv made it, and is no longer there
        _run_installer("ensurepip", [str(python), "-m", "ensurepip", "--default-pip"])
    _run_installer("pip", [str(python), "-m", "pip", "install", *PIP_OPTIONS, *pins])


def _has_pip(python: Path) -> bool:
    asked = subprocess.run([python, "-I", "-c", "import pip"], capture_output=True)
    return asked.returncode == 0


def _run_installer(name: str, command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        env={**UV_ENVIRONMENT, **os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise CannotStart(why_not_installed(name, done.stdout))


def why_not_installed(name: str, output: str) -> str:
    """One sentence out of what pip or uv wrote, and its own errors where they are needed."""
    if any(sign in output for sign in UNREACHABLE):
        return (
            "The packages could not be downloaded, because the package registry cannot be "
            f"reached. Look at the network (or at {name}'s proxy and mirror settings), try again."
        )
    lines = output.splitlines()
    errors = [line for line in lines if line.lower().strip().startswith(("error", "cause:"))]
    message = "\n".join(errors or lines[-5:])
    return f"{message}\nThe packages could not be installed; see {name}'s message above."


# ── handing over ──────────────────────────────────────────────────────────────────────────────


def hand_over(command: Sequence[str]) -> int:
    """Become `command`, so that signals and the exit code are its own.

    Windows cannot do that: there it runs below this process, and its exit code is returned.
    """
    if os.name != "nt":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(command[0], list(command))  # noqa: S606  # no shell is wanted
    return call(command)


def call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end and return its exit code, 128 + n where signal n ended it.

    Ctrl-C reaches the command directly, as it uses the same terminal; the command decides what to
    do.
    """
    child = subprocess.Popen(command, env=environment)
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                code = child.wait()
            except KeyboardInterrupt:
                continue
            return code if code >= 0 else 128 - code
    finally:
        signal.signal(signal.SIGTERM, before)


# Side by side, as most tests wait more than they compute: for clocks, processes and sockets.
WORKERS: Final = "6"
TESTS_FAILED: Final = 1  # pytest's exit code for it
# Many tests start processes and wait for each other; on a busy machine one may look too early.
AGAIN: Final = ("--last-failed", "--last-failed-no-failures", "none")
LINT_IMPORTS: Final = "from importlinter.cli import lint_imports_command as c; c()"
CHECKS: Final[Mapping[str, Sequence[str]]] = {
    "ruff check": ("-m", "ruff", "check"),
    "ruff format": ("-m", "ruff", "format", "--check"),
    "mypy": ("-m", "mypy"),
    "lint-imports": ("-c", LINT_IMPORTS),
    "pytest": ("-m", "pytest"),
}
# mypy keeps one core busy. On another, one process compiles what each worker would compile alone.
BESIDE: Final[Mapping[str, Sequence[str]]] = {
    "mypy": ("-m", "pytest", "--collect-only", "-p", "no:cacheprovider"),
}


def run_tests(
    python: Path, arguments: Sequence[str], checks: Mapping[str, Sequence[str]] = CHECKS
) -> int:
    """Every check up to the first that fails; with arguments, pytest alone with those.

    Compiled code is kept, whatever the environment says of that: the tests start the bot
    often, and to compile it takes longer than to start it.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    if arguments:
        return call([str(python), *checks["pytest"], *arguments], environment)
    for name, command in checks.items():
        _say(f"── {name}")
        side_by_side = ("-n", WORKERS, "--dist", "worksteal") if name == "pytest" else ()
        with (
            _beside([str(python), *BESIDE[name]], environment) if name in BESIDE else nullcontext()
        ):
            code = call([str(python), *command, *side_by_side], environment)
        if name == "pytest" and code == TESTS_FAILED:
            _say("── pytest, what failed, once more and alone")
            code = call([str(python), *command, *AGAIN], environment)
        if code:
            _say(f"{name} failed.")
            return code
    return 0


@contextmanager
def _beside(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Run a command silently while the block lasts, and wait for its end."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
    ) as process:
        try:
            yield
            process.wait()
        finally:
            process.terminate()
