#!/usr/bin/env python3
"""Writes docs/cockpit.png: the cockpit in the monitored window of a rehearsal whose new version fails.

    pip install pyte pillow             # and DejaVu Sans Mono: fonts-dejavu-core on Debian
    cargo build
    docs/pictures/cockpit.py            # [PROGRAM], by default target/debug/cutover

The picture is made from the program: it is driven in a terminal of 120x36 from the first question to the countdown.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from terminal import NotShown, Terminal  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 120, 36
# Fast enough to wait for, and slow enough that the countdown of half a minute can be seen.
SPEED = "10"


def main():
    program = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/cutover").resolve()
    with tempfile.TemporaryDirectory() as state:
        environment = {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "HOME": state,
            "USER": "alice",
            "CUTOVER_PILOT": "alice",
            "CUTOVER_SETTINGS": "/dev/null",
            "CUTOVER_STATE_DIR": state,
        }
        command = [str(program), "rehearse", str(ROOT / "runbook.toml")]
        command += ["--scenario", "bad-release", "--speed", SPEED, "--theme", "dark"]
        terminal = Terminal(command, COLUMNS, LINES, environment)
        try:
            to_the_countdown(terminal)
            terminal.picture(ROOT / "docs/cockpit.png")
        except NotShown as error:
            sys.exit(str(error))
        finally:
            terminal.close()
            end(program, environment)


def to_the_countdown(terminal):
    """Answers what is asked and confirms what is due, as an operator does, until the evidence has started the countdown."""
    terminal.wait("ENTER", 30)
    for _ in range(400):
        screen = terminal.text()
        if re.search(r"ROLLBACK IN 0:[12]\d", screen):
            terminal.read(0.5)
            return
        if re.search(r"▶6 MONITOR", screen):
            # Only to be looked at: its checks for a person stay open.
            terminal.read(0.2)
            continue
        terminal.press(*answer(screen))
        terminal.read(0.3)
    raise NotShown(f"no countdown:\n{terminal.text()}")


def answer(screen):
    """The keys for what the line above the footer asks."""
    asks = screen.split("\n")[-2]
    typed = re.search(r"nothing until the word (\S+) is typed", asks)
    if typed:
        return [*typed[1], "enter"]
    if re.search("SPACE (tick|check ok|ok)", asks):
        return ["space"]
    return [] if "ENTER starts nothing" in asks else ["enter"]


def end(program, environment):
    """Ends the rehearsal's engine, which outlives its screen."""
    status = [str(program), "status", "--json"]
    answer = subprocess.run(status, env=environment, capture_output=True, check=False, timeout=30)
    engine = json.loads(answer.stdout or "{}").get("engine", {})
    if engine.get("lives"):
        os.kill(engine["pid"], signal.SIGTERM)
        until = time.monotonic() + 15
        # Its state directory stays until it has written its last.
        while Path(f"/proc/{engine['pid']}").exists() and time.monotonic() < until:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
