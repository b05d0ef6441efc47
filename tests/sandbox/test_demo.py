"""The try-out plays both projects' days, and ends at Ctrl-C without a trace."""

import asyncio
import os
import signal
import sys
from pathlib import Path

WITHIN_S = 90
RUN = "import asyncio; from sandbox.demo import run_demo; asyncio.run(run_demo(0, pace_s=0.3))"
SHOWN = (
    "#project-log now follows Harbour Tower",
    "#quay-house now follows Quay House",
    "Maren Oduya published a new version of structure/level 1 from Revit 2025.",
    "Objects: 1,482",
    "Tomas Reyes resolved a thread",
    "Tomas Reyes opened QH-1",
    "Priority: High",
    "Status: Open → Resolved",
)


async def test_the_demo_shows_a_project_on_each_kind_of_server_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert demo.stdout is not None
    said = ""
    async with asyncio.timeout(WITHIN_S):
        while "Ctrl-C ends the demo" not in said:
            line = await demo.stdout.readline()
            assert line, said
            said += line.decode()
        demo.send_signal(signal.SIGINT)
        said += (await demo.stdout.read()).decode()
    assert await demo.wait() == 0, said
    assert "Or type a command" not in said, "nobody can type here"
    assert [text for text in SHOWN if text not in said] == []
    assert os.listdir(tmp_path) == []
