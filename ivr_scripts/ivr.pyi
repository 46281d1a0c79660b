"""The module `ivr` of the server's scripts.

The server brings the module itself; this file tells editors and type checkers what is in it.

A script is a file in this folder with one function::

    import ivr

    async def serve(call: ivr.IncomingCall) -> None:
        call = await call.answer()
        await call.play("welcome")

`async def serve` gets an `IncomingCall`, whose verbs are awaited. A plain `def serve` gets a
`BlockingIncomingCall`, which has the same verbs and waits in them. Returning from `serve` hangs up.
"""

import datetime
import os
from typing import Any, Literal, NamedTuple, Sequence

class Uri(str):
    """A SIP or tel URI. It is its own text, as `sip:alice@example.org`."""

    user: str | None
    """The part before the `@`, decoded; the number of a tel URI. The caller chose it: do not make a path of it."""
    host: str
    """The host in lower case; empty for tel URIs."""
    params: dict[str, str]
    """The parameters, names in lower case; a parameter without a value has the value `""`."""

class tone:
    """A sine tone, to be played."""

    def __init__(self, hz: float, seconds: float) -> None: ...

class silence:
    """Quiet, to be played between other prompts."""

    def __init__(self, seconds: float) -> None: ...

Sound = str | os.PathLike[str] | tone | silence
Prompt = Sound | Sequence["Prompt"]
"""What can be played.

A text that ends in .wav, .mp3, .ogg or .flac, or begins with `/`, is a file; a relative one is looked for beside
the scripts, then in their data folder, then where the server looks for its files. Any other text is a prompt of
the sound set: `"message/menu"` is `sounds/en/message/menu.wav`. A list or tuple plays one after the other.
"""

class HungUp(BaseException):
    """The caller has hung up. Every verb raises it from then on, and letting it out ends a script normally.

    It is no `Exception`, so that `except Exception` lets it through; to do something after the call, use `finally`
    or catch it by name.
    """

class Ended(HungUp):
    """The server ended the call: shutdown, or silence on the wire."""

class TooLong(BaseException):
    """A coroutine has kept the loop to itself for longer than the budget (1 s): it should have awaited something."""

class CallError(Exception):
    """Something did not work. Unhandled, it refuses a call that is not answered yet with its `status`."""

    status: int
    """A SIP status."""
    def __init__(self, text: str = "", status: int = 500) -> None: ...

class NotAnswered(CallError):
    """The dialled party did not answer; `status` says why (486 busy, 408 never, ...)."""

class BadPrompt(CallError):
    """A sound that is not there, or that cannot be read."""

class RecordingFailed(CallError):
    """The disk took no recording."""

class NoCapacity(CallError):
    """The room, or the server, is full."""

class MailboxError(CallError):
    """The mailbox said no, or its database failed."""

class NoSuchMailbox(MailboxError):
    """Nobody of that name has a mailbox here."""

class NoSuchMessage(MailboxError):
    """The message is gone."""

class MailboxFull(MailboxError):
    """The mailbox holds all it may."""

class MailboxLocked(MailboxError):
    """Too many wrong PINs; it opens again after a while."""

class Take(NamedTuple):
    """A recording."""

    path: str
    """The WAV file."""
    seconds: float
    """Its length, without the silence at its end."""
    ended_by: str
    """The digit that ended it, or `"silence"`, `"limit"`, `"hang-up"`, `"disk"`."""

class Message(NamedTuple):
    """A message in a mailbox."""

    id: str
    caller: str
    """A URI."""
    caller_name: str | None
    received: datetime.datetime
    """When the recording began, in UTC."""
    seconds: float
    heard: bool

class _Facts:
    @property
    def id(self) -> str:
        """The call's name in the log."""
    @property
    def caller(self) -> Uri:
        """The account that proved itself, else what the From header claims."""
    @property
    def caller_name(self) -> str | None:
        """The display name: a claim."""
    @property
    def callee(self) -> Uri:
        """Whom the caller wanted: the request URI, or the one it was diverted from."""
    @property
    def request_uri(self) -> Uri:
        """The URI that was called."""
    @property
    def account(self) -> Uri | None:
        """The caller's account here, when he has proved it."""
    @property
    def identity(self) -> Literal["account", "trusted", "stranger"]:
        """How the caller is known: an account, a trusted server that names nobody of ours, or not at all."""
    @property
    def unavailable(self) -> Literal["offline", "busy", "no-answer", "declined"] | None:
        """Why the callee did not take the call himself, when he was tried."""
    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the route that led here, `script` among them."""
    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers of the INVITE, in order."""
    def header(self, name: str) -> str | None:
        """The first header of that name, in whatever case."""

# Addresses are URIs, `user@domain`, or a user of the called domain. Times are seconds.

class IncomingCall(_Facts):
    """A call that is not answered yet. Returning from `serve` refuses it with 480."""

    async def ringing(self) -> None:
        """Tells the caller that it rings."""
    async def early(self) -> Call:
        """Opens media before the answer: the caller hears, and pays nothing. `Call.answer` answers then."""
    async def answer(self) -> Call:
        """Answers."""
    async def reject(self, status: int = 480) -> None:
        """Refuses, with a status from 400 to 699."""
    async def redirect(self, *uris: str) -> None:
        """Sends the caller elsewhere, in order of preference."""
    async def mailbox(self, owner: str | None = None) -> Mailbox:
        """The mailbox of an address; the caller's own, if he has proved who he is, when none is given."""

class Call(_Facts):
    """A call with sound."""

    async def answer(self) -> None:
        """Answers a call that was opened by `IncomingCall.early`."""
    async def play(self, prompt: Prompt, stop_on: str = "", repeat: bool = False) -> str | None:
        """Plays to the end, or to a digit of `stop_on`, which is returned. Other digits are kept."""
    async def record(
        self,
        path: str | os.PathLike[str] | None = None,
        max_seconds: float = 60,
        silence: float = 0,
        stop_on: str = "#",
        warn: float = 0,
    ) -> Take:
        """Records into a WAV file, until a digit of `stop_on`, `silence` seconds of it, the limit, or the end of
        the call, which is no exception here. A relative path begins at the scripts' data folder; without one, the
        file is gone when the call is over. A beep warns `warn` seconds before the limit."""
    async def digits(self, count: int, timeout: float = 10, between: float = 2, finish_on: str = "#") -> str:
        """Up to `count` digits, those typed ahead first; what there is when `timeout` (for the first) or `between`
        (for each next one) is over. A digit of `finish_on` completes the input and is no part of it."""
    async def ask(
        self,
        prompt: Prompt,
        digits: int = 1,
        timeout: float = 60,
        between: float = 2,
        finish_on: str | None = None,
    ) -> str:
        """Plays a prompt, which any digit cuts short, and collects digits; `""` when none came for `timeout` after
        the prompt. Several digits are finished by `#`."""
    async def echo(self, stop_on: str = "") -> str | None:
        """Sends the caller's voice back to him, until a digit of `stop_on`."""
    async def join(self, room: str, max_members: int = 0, stop_on: str = "") -> str | None:
        """Enters a conference room, until a digit of `stop_on`. 0 is no limit; `NoCapacity` when it is full."""
    async def dial(self, uri: str, timeout: float = 25, caller: str | None = None) -> Call:
        """Calls somebody; `NotAnswered` when he does not answer. `caller` is the identity he sees."""
    async def bridge(self, other: Call) -> None:
        """Connects this call with one that was dialled, until the other side hangs up."""
    async def refer(self, uri: str) -> int:
        """Sends the other side elsewhere (REFER); the final status of its attempt."""
    async def send_digits(self, digits: str) -> None:
        """Sends digits; `,` is a pause of half a second."""
    async def hang_up(self) -> None:
        """Hangs up."""
    async def mailbox(self, owner: str | None = None) -> Mailbox:
        """The mailbox of an address; the caller's own, if he has proved who he is, when none is given."""

class Mailbox:
    """A mailbox. Whoever opens somebody's for a caller asks for the PIN first."""

    async def messages(self) -> list[Message]:
        """Unheard before heard, the oldest first in each."""
    async def audio(self, message: Message | str) -> str:
        """The sound file of a message."""
    async def mark_heard(self, message: Message | str) -> None:
        """Marks a message as heard."""
    async def delete(self, message: Message | str) -> None:
        """Takes a message out of the mailbox."""
    async def verify_pin(self, pin: str) -> bool:
        """Whether this is the owner's PIN. Wrong ones lock the mailbox for a while (`MailboxLocked`)."""
    async def greeting(self) -> str | None:
        """The sound file of the owner's own greeting."""
    async def leave_message(
        self,
        max_seconds: float = 30,
        silence: float = 10,
        stop_on: str = "#",
        warn: float = 5,
        min_seconds: float = 2,
        mode: Literal["mail", "box", "both"] = "both",
    ) -> str | None:
        """Records a message for the owner. It is safe when this returns its id; None, and a missed call for the
        owner, when it was shorter than `min_seconds`. A caller who hangs up has left his message."""

class BlockingIncomingCall(_Facts):
    """`IncomingCall` for a plain `def serve`."""

    def ringing(self) -> None: ...
    def early(self) -> BlockingCall: ...
    def answer(self) -> BlockingCall: ...
    def reject(self, status: int = 480) -> None: ...
    def redirect(self, *uris: str) -> None: ...
    def mailbox(self, owner: str | None = None) -> BlockingMailbox: ...

class BlockingCall(_Facts):
    """`Call` for a plain `def serve`."""

    def answer(self) -> None: ...
    def play(self, prompt: Prompt, stop_on: str = "", repeat: bool = False) -> str | None: ...
    def record(
        self,
        path: str | os.PathLike[str] | None = None,
        max_seconds: float = 60,
        silence: float = 0,
        stop_on: str = "#",
        warn: float = 0,
    ) -> Take: ...
    def digits(self, count: int, timeout: float = 10, between: float = 2, finish_on: str = "#") -> str: ...
    def ask(
        self,
        prompt: Prompt,
        digits: int = 1,
        timeout: float = 60,
        between: float = 2,
        finish_on: str | None = None,
    ) -> str: ...
    def echo(self, stop_on: str = "") -> str | None: ...
    def join(self, room: str, max_members: int = 0, stop_on: str = "") -> str | None: ...
    def dial(self, uri: str, timeout: float = 25, caller: str | None = None) -> BlockingCall: ...
    def bridge(self, other: BlockingCall) -> None: ...
    def refer(self, uri: str) -> int: ...
    def send_digits(self, digits: str) -> None: ...
    def hang_up(self) -> None: ...
    def mailbox(self, owner: str | None = None) -> BlockingMailbox: ...

class BlockingMailbox:
    """`Mailbox` for a plain `def serve`."""

    def messages(self) -> list[Message]: ...
    def audio(self, message: Message | str) -> str: ...
    def mark_heard(self, message: Message | str) -> None: ...
    def delete(self, message: Message | str) -> None: ...
    def verify_pin(self, pin: str) -> bool: ...
    def greeting(self) -> str | None: ...
    def leave_message(
        self,
        max_seconds: float = 30,
        silence: float = 10,
        stop_on: str = "#",
        warn: float = 5,
        min_seconds: float = 2,
        mode: Literal["mail", "box", "both"] = "both",
    ) -> str | None: ...

# For classic scripts, which have no serve() and run from top to bottom for each call.

def play(path: str) -> None:
    """Plays a sound file to its end."""

def playAndDetect(path: str, milliseconds: int) -> int:
    """Plays a sound file, which any digit cuts short, and returns the digit: 0 to 9, `*` is 10, `#` is 11, A to D
    are 12 to 15. 0 as well when no digit came for `milliseconds` after the sound."""

def record(path: str, seconds: float) -> None:
    """Records into a WAV file until `#`, for `seconds` at most, or until the caller hangs up."""

def getTime() -> int:
    """Seconds since 1970."""
