"""run.py and what it starts, in a copy of the project that pins nothing and has a toy bot."""

import ast
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from bot import launch

ROOT = Path(__file__).resolve().parents[1]
TOY_BOT = """
import signal, sys, time
if sys.argv[1:] == ["run"]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("up", flush=True)
    time.sleep(30)
print("toy", *sys.argv[1:], flush=True)
sys.exit(7)
"""
UNREACHED = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "1",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    "UV_HTTP_RETRIES": "0",
}
UV = shutil.which("uv")
WITHOUT_UV = "import shutil; shutil.which = lambda *_: None"
INSTALLERS = [
    pytest.param(WITHOUT_UV, id="pip"),
    pytest.param("", id="uv", marks=pytest.mark.skipif(UV is None, reason="uv is not installed")),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "bot").mkdir()
    (root / "tests").mkdir()
    shutil.copy(ROOT / "run.py", root)
    shutil.copy(ROOT / "bot/launch.py", root / "bot")
    for name in ("__init__.py", "program.py"):
        shutil.copy(ROOT / "bot" / name, root / "bot")
    (root / "bot/__main__.py").write_text(TOY_BOT)
    (root / "requirements.txt").touch()
    (root / "tests/requirements.txt").touch()
    (root / "requirements-bundles.txt").touch()
    (root / "requirements-demo.txt").touch()
    return root


def start(project: Path, *arguments: str, stub: str = "", **environ: str) -> tuple[int, str, str]:
    """run.py's exit code, output and errors; `stub` is Python that runs before it."""
    runs = f"import runpy, sys; sys.argv = {['run.py', *arguments]!r}; {stub}\n"
    runs += "runpy.run_path('run.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", runs],
        cwd=project,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_too_old_a_python_gets_one_sentence() -> None:
    code, _, said = start(ROOT, "demo", stub="sys.version_info = (3, 8, 10, 'final', 0)")
    assert code == 1
    assert said.count("\n") == 1
    assert "needs Python 3.11 or later, and this is Python 3.8." in said


def test_even_python_2_can_read_run_py() -> None:
    source = (ROOT / "run.py").read_text(encoding="ascii")
    tree = ast.parse(source, feature_version=(3, 0))
    too_new = ast.JoinedStr | ast.AnnAssign | ast.FunctionDef | ast.NamedExpr | ast.Starred
    assert not [node for node in ast.walk(tree) if isinstance(node, too_new)]


def test_a_missing_venv_module_gets_one_sentence_with_the_package_to_install(
    project: Path,
) -> None:
    stub = f"{WITHOUT_UV}; sys.modules['ensurepip'] = None"
    code, _, said = start(project, "demo", stub=stub)
    version = "{}.{}".format(*sys.version_info[:2])
    assert code == 1
    assert said.count("\n") == 1
    assert f"sudo apt install python{version}-venv" in said


def test_what_the_launcher_needs_comes_with_python() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import bot.launch"], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["nope"], ["--help"]])
def test_without_a_command_it_says_which_there_are(arguments: Sequence[str], project: Path) -> None:
    code, _, said = start(project, *arguments)
    assert code == (0 if arguments == ["--help"] else 2)
    assert all(f"run.py {command}" in said for command in launch.COMMANDS)


def test_it_makes_the_environment_once_and_hands_over(project: Path) -> None:
    code, out, said = start(project, "demo", "--port", "0")
    assert (code, out) == (7, "toy demo --port 0\n")
    assert "Installing" in said

    code, out, said = start(project, "demo")
    assert (code, out, said) == (7, "toy demo\n", "")

    (project / "requirements.txt").write_text("# other pins\n")
    assert "Installing" in start(project, "demo")[2]


def test_bundles_are_installed_and_nothing_is_started(project: Path) -> None:
    start(project, "demo")  # whichever test comes first
    code, out, said = start(project, "bundles")
    assert (code, out) == (0, "")
    assert said.splitlines()[-1].startswith("DuckDB is installed. Start the bot again")
    assert start(project, "demo") == (7, "toy demo\n", "")


def test_who_asks_what_bundles_does_gets_nothing_installed(project: Path) -> None:
    code, _, told = start(project, "bundles", "--help")
    assert (code, "installs DuckDB, 70 MB" in told) == (0, True)
    assert "Installing" not in told
    assert start(project, "bundles", "now")[0] == 2


class Workshop:
    """A project whose .venv and packages are only claimed to be made, which takes no time."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.stamp = root / ".venv/installed.json"
        self.version: str | None = None
        self.done: list[str] = []
        self.fails: BaseException | None = None
        (root / "requirements.txt").write_text("a==1")
        (root / "tests").mkdir()
        (root / "tests/requirements.txt").write_text("b==1")
        (root / "requirements-bundles.txt").write_text("c==1")
        monkeypatch.setattr(launch, "_version_of", lambda _python: self.version)
        monkeypatch.setattr(launch, "_make_venv", self._make)
        monkeypatch.setattr(launch, "_install", self._install)

    def _make(self, venv: Path) -> None:
        shutil.rmtree(venv, ignore_errors=True)
        venv.mkdir()
        self.version = "3.11"
        self.done.append("make")

    def _install(self, _python: Path, files: Sequence[Path]) -> None:
        self.done.append(f"install {len(files)}")
        if self.fails:
            raise self.fails

    def prepare(self, *files: str) -> list[str]:
        """What had to be done for these files; also before an error came."""
        self.done = []
        with suppress(launch.CannotStart, KeyboardInterrupt):
            launch.prepare(self.root, files or (launch.RUNTIME,))
        return self.done


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)


def test_what_is_installed_already_is_left_alone(workshop: Workshop) -> None:
    assert workshop.prepare() == ["make", "install 1"]
    assert workshop.prepare() == []
    assert workshop.prepare(launch.RUNTIME, launch.TESTS) == ["install 2"]
    assert workshop.prepare() == []
    (workshop.root / "requirements.txt").write_text("a==2")
    assert workshop.prepare() == ["install 1"]
    assert workshop.prepare(launch.RUNTIME, launch.TESTS) == ["install 2"]


def test_bundles_stay_installed_whatever_is_started_later(workshop: Workshop) -> None:
    assert workshop.prepare(launch.RUNTIME, launch.BUNDLES) == ["make", "install 2"]
    assert workshop.prepare() == []
    (workshop.root / "requirements.txt").write_text("a==2")
    assert workshop.prepare() == ["install 2"]
    (workshop.root / "requirements-bundles.txt").write_text("c==2")
    assert workshop.prepare() == ["install 2"]
    workshop.version = "3.12"
    assert workshop.prepare(launch.RUNTIME, launch.TESTS) == ["make", "install 3"]
    assert workshop.prepare() == []


def test_an_install_that_was_cut_off_is_done_again_from_the_start(workshop: Workshop) -> None:
    workshop.fails = KeyboardInterrupt()
    assert workshop.prepare() == ["make", "install 1"]
    workshop.fails = None
    assert workshop.prepare() == ["make", "install 1"]
    assert workshop.prepare() == []


def test_an_install_that_pip_gave_up_is_tried_again_in_place(workshop: Workshop) -> None:
    workshop.fails = launch.CannotStart("The registry is away.")
    assert workshop.prepare() == ["make", "install 1"]
    workshop.fails = None
    assert workshop.prepare() == ["install 1"]
    assert workshop.prepare() == []


@pytest.mark.parametrize("version", [None, "3.12"])
def test_a_broken_or_upgraded_environment_is_made_anew(
    version: str | None, workshop: Workshop
) -> None:
    workshop.prepare()
    workshop.version = version
    assert workshop.prepare() == ["make", "install 1"]


def test_an_environment_that_somebody_made_by_hand_is_kept(workshop: Workshop) -> None:
    (workshop.root / ".venv").mkdir()
    workshop.version = "3.13"
    assert workshop.prepare() == ["install 1"]


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_registry_that_cannot_be_reached_gets_one_sentence(installer: str, project: Path) -> None:
    start(project, "demo")
    pins = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text("no-such-package-here==1\n")
    code, _, said = start(project, "demo", stub=installer, **UNREACHED)
    (project / "requirements.txt").write_text(pins)
    assert code == 1
    assert "registry cannot be reached" in said.splitlines()[-1]
    assert len(said.splitlines()) == 2  # and the line that says what it does
    assert start(project, "demo") == (7, "toy demo\n", "")


@pytest.mark.parametrize(
    ("name", "output", "reason"),
    [
        (
            "pip",
            "ERROR: No matching distribution found for a==1\nnoise",
            "No matching distribution",
        ),
        ("uv", "error: No solution found\n  cause: Because there is no a==1\n", "there is no a==1"),
        (
            "uv",
            "error: No solution\n  cause: Because the current Python version\n",
            "Python version",
        ),
    ],
)
def test_what_an_installer_says_of_a_package_is_passed_on(
    name: str, output: str, reason: str
) -> None:
    said = launch.why_not_installed(name, output)
    assert reason in said
    assert "noise" not in said
    assert said.endswith(f"The packages could not be installed; see {name}'s message above.")


@pytest.mark.skipif(UV is None, reason="uv is not installed")
def test_an_environment_of_uv_is_one_for_pip_and_the_other_way_round(
    project: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(project, tmp_path / "copy", ignore=shutil.ignore_patterns(".venv"))
    of_uv = start(copy, "demo")
    assert (of_uv[0], "Making .venv" in of_uv[2]) == (7, True)
    assert not list(copy.glob(".venv/lib/*/site-packages/pip"))

    assert start(copy, "demo", stub=WITHOUT_UV) == (7, "toy demo\n", "")
    for stub in (WITHOUT_UV, ""):
        (copy / "requirements.txt").write_text(f"# {stub}\n")
        code, _, said = start(copy, "demo", stub=stub)
        assert (code, "Installing" in said, "Making" in said) == (7, True, False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_a_stop_signal_reaches_the_bot(project: Path) -> None:
    start(project, "demo")
    child = subprocess.Popen(
        [sys.executable, "run.py", "run"], cwd=project, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0


def test_a_command_that_a_signal_ended_has_the_shells_exit_code() -> None:
    ends_itself = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert launch.call([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    if os.name != "nt":
        assert launch.call([sys.executable, "-c", ends_itself]) == 128 + signal.SIGTERM


def test_the_tests_stop_at_the_first_check_that_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    checks = {"one": ("-c", "print(1)"), "two": ("-c", "raise SystemExit(5)"), "three": ("-c", "")}
    assert launch.run_tests(Path(sys.executable), [], checks) == 5
    assert capfd.readouterr().err == "── one\n── two\ntwo failed.\n"


def test_words_after_test_go_to_pytest_alone() -> None:
    pytest_alone = ("-c", "import sys; raise SystemExit(len(sys.argv))")
    checks = {"ruff": ("-c", "1/0"), "pytest": pytest_alone}
    assert launch.run_tests(Path(sys.executable), ["-k", "card"], checks) == 3


@pytest.mark.parametrize(("second", "code"), [("0", 0), ("1", 1)])
def test_what_failed_beside_others_is_tried_once_more_alone(
    second: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest_alone = ("-c", f"import sys; sys.exit({second} if '--last-failed' in sys.argv else 1)")
    assert launch.run_tests(Path(sys.executable), [], {"pytest": pytest_alone}) == code
    assert "once more and alone" in capfd.readouterr().err


def test_ci_runs_the_tests_as_a_person_does() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines[-1] == "python3 run.py test"


def test_tests_and_hosts_have_the_same_pins_of_what_reads_bundles() -> None:
    optional, tests = (
        set((ROOT / name).read_text().splitlines()) for name in (launch.BUNDLES, launch.TESTS)
    )
    pins = {line for line in optional if "==" in line}
    assert pins
    assert pins <= tests


def test_help_of_a_command_installs_nothing(project: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(project, fresh, ignore=shutil.ignore_patterns(".venv"))
    (fresh / "docs").mkdir()
    shutil.copy(ROOT / "docs/command-line.md", fresh / "docs")
    for command in ("demo", "soak", "test", "backup"):
        code, out, said = start(fresh, command, "--help")
        assert (code, said) == (0, "")
        assert out.startswith(f"python3 run.py {command}")
        assert "\n## " not in out
    assert "--no-browser" in start(fresh, "demo", "-h")[1]
    shutil.rmtree(fresh / "docs")
    assert start(fresh, "demo", "-h")[1].startswith("python3 run.py demo: try it out")
    assert not (fresh / ".venv").exists()


def test_a_mistyped_command_gets_a_guess(project: Path) -> None:
    code, _, said = start(project, "chek")
    assert code == 2
    assert said.startswith("There is no command 'chek'. Did you mean 'check'?\n")
    assert start(project, "xyzzy")[2].startswith("There is no command 'xyzzy'.\n")
