"""A terminal without a window: runs a program in a pty, keeps what its screen shows, and draws that as a picture.

Needs pyte and Pillow (pip install pyte pillow), and DejaVu Sans Mono, which has box and block characters (Debian:
fonts-dejavu-core).
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import pyte
from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono"
KEYS = {"enter": "\r", "esc": "\x1b", "space": " ", "tab": "\t"}
INK, PAPER = "#d0d4dc", "#14161b"
# The sixteen colours by pyte's names, where brown is yellow.
PALETTE = {
    "black": "#1d1f21",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#d0d4dc",
    "brightblack": "#6b7280",
    "brightred": "#ff7b85",
    "brightgreen": "#b5e890",
    "brightbrown": "#ffd68a",
    "brightblue": "#82c4ff",
    "brightmagenta": "#dd9cf0",
    "brightcyan": "#7fe0ec",
    "brightwhite": "#ffffff",
}


class NotShown(Exception):
    """What was waited for did not come."""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, command, columns, lines, environment):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(environment)
            try:
                os.execvp(command[0], command)
            except OSError as error:
                print(f"{command[0]}: {error}", file=sys.stderr)
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds):
        """Takes in what the program writes for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                raise NotShown(f"the program has ended:\n{self.text()}")
            self.stream.feed(data)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, pattern, seconds):
        """Reads until the screen shows a pattern."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            if time.monotonic() > end:
                raise NotShown(f"{pattern!r} did not show within {seconds} s:\n{self.text()}")
            self.read(0.05)

    def press(self, *keys):
        for key in keys:
            os.write(self.fd, KEYS.get(key, key).encode())
            self.read(0.1)

    def close(self):
        """Ends the program: the screen, not what it shows."""
        os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
            time.sleep(0.05)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def picture(self, path, size=15):
        draw(self.screen, path, size)


def draw(screen, path, size=15):
    """Draws a screen as a PNG."""
    regular = ImageFont.truetype(FONTS + ".ttf", size)
    bold = ImageFont.truetype(FONTS + "-Bold.ttf", size)
    wide, high = round(regular.getlength("M")), size + 4
    image = Image.new("RGB", (screen.columns * wide, screen.lines * high), PAPER)
    paint = ImageDraw.Draw(image)
    for y in range(screen.lines):
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            ink, paper = colour(cell.fg, INK), colour(cell.bg, PAPER)
            if cell.reverse:
                ink, paper = paper, ink
            left, top = x * wide, y * high
            if paper != PAPER:
                paint.rectangle([left, top, left + wide - 1, top + high - 1], fill=paper)
            if "\u2800" <= cell.data <= "\u28ff":
                dots(paint, ord(cell.data) - 0x2800, left, top, wide, high, ink)
            elif "\u2581" <= cell.data <= "\u2588":
                filled = high * (ord(cell.data) - 0x2580) // 8
                paint.rectangle([left, top + high - filled, left + wide - 1, top + high - 1], fill=ink)
            elif cell.data.strip():
                paint.text((left, top + 1), cell.data, font=bold if cell.bold else regular, fill=ink)
            if cell.underscore:
                paint.line([left, top + high - 2, left + wide - 1, top + high - 2], fill=ink)
    image.save(path)


def dots(paint, pattern, left, top, wide, high, ink):
    """A braille sign. Few monospaced fonts have them."""
    for bit, (column, row) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
        if pattern >> bit & 1:
            x, y = left + wide * (1 + 2 * column) / 4, top + high * (1 + 2 * row) / 8
            paint.ellipse([x - 1, y - 1, x + 1, y + 1], fill=ink)


def colour(name, default):
    if name in PALETTE:
        return PALETTE[name]
    return "#" + name if re.fullmatch("[0-9a-fA-F]{6}", name) else default
