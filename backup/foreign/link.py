"""What the governing process and the keeper say to each other: one small message a packet."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_LONGEST = 1 << 16


class Word(StrEnum):
    """What a message is about."""

    GO = "go"  # start the program
    SIGNAL = "signal"  # to the program itself
    SIGNAL_ALL = "signal all"  # to its process group
    FREEZE = "freeze"  # for so many seconds; the keeper ends it by itself
    READY = "ready"  # what could be entered and lowered is, everything else is in the notes
    STARTED = "started"
    FAILED = "failed"  # with the errno of exec
    STOPPED = "stopped"  # by a terminal's signal
    EXITED = "exited"  # with the wait status, and how many processes were left


@dataclass(frozen=True, slots=True)
class Message:
    """One packet."""

    word: Word
    number: int = 0
    seconds: float = 0.0
    left: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)


def send(link: socket.socket, message: Message) -> bool:
    """Send a message; False when nobody listens any more."""
    packet = {
        "word": message.word,
        "number": message.number,
        "seconds": message.seconds,
        "left": message.left,
        "notes": dict(message.notes),
    }
    try:
        link.send(json.dumps(packet).encode())
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def receive(link: socket.socket) -> Message | None:
    """Wait for the next message; None when the other side has gone."""
    try:
        data = link.recv(_LONGEST)
    except ConnectionResetError:
        return None
    if not data:
        return None
    packet = json.loads(data)
    return Message(
        Word(packet["word"]),
        packet["number"],
        packet["seconds"],
        packet["left"],
        packet["notes"],
    )
