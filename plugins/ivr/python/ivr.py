"""What scripts import; ivr.pyi in the folder of the scripts describes it to editors and authors."""

import asyncio
import datetime
import itertools
import threading
import time
from typing import NamedTuple

import _ivr

__all__ = [
    "BadPrompt", "BlockingCall", "BlockingIncomingCall", "BlockingMailbox", "Call", "CallError", "Ended",
    "HungUp", "IncomingCall", "Mailbox", "MailboxError", "MailboxFull", "MailboxLocked", "Message",
    "NoCapacity", "NoSuchMailbox", "NoSuchMessage", "NotAnswered", "RecordingFailed", "Take", "TooLong", "Uri",
    "getTime", "play", "playAndDetect", "record", "silence", "tone",
]

tone = _ivr.Tone
silence = _ivr.Silence


class HungUp(BaseException):
    """The caller has hung up. No `Exception`, so that `except Exception` lets it through."""


class Ended(HungUp):
    """The server has ended the call."""


class TooLong(BaseException):
    """The script held the loop too long."""


class CallError(Exception):
    """Something did not work; `status` is the SIP status for a caller who is not answered yet."""

    def __init__(self, text="", status=500):
        super().__init__(text)
        self.status = status


class NotAnswered(CallError):
    """The dialled party did not answer; `status` says why."""


class BadPrompt(CallError):
    """A sound that is not there, or that cannot be read."""


class RecordingFailed(CallError):
    """The disk refused."""


class NoCapacity(CallError):
    """The room, or the server, is full."""


class MailboxError(CallError):
    """The mailbox said no."""


class NoSuchMailbox(MailboxError):
    """Nobody of that name has a mailbox here."""


class NoSuchMessage(MailboxError):
    """The message is gone."""


class MailboxFull(MailboxError):
    """The mailbox holds all it may."""


class MailboxLocked(MailboxError):
    """Too many wrong PINs."""


_ERRORS = {
    kind.__name__: kind
    for kind in (
        CallError, NotAnswered, BadPrompt, RecordingFailed, NoCapacity, NoSuchMailbox, NoSuchMessage,
        MailboxFull, MailboxLocked,
    )
}


def _error(kind, text, status):
    if kind == "HungUp":
        return HungUp(text)
    if kind == "Ended":
        return Ended(text)
    return _ERRORS[kind](text, status)


class Uri(str):
    """A SIP or tel URI: its text, with the parts."""

    def __new__(cls, text, user=None, host="", params=None):
        self = super().__new__(cls, text)
        self.user = user
        self.host = host
        self.params = params or {}
        return self


class Take(NamedTuple):
    path: str
    seconds: float
    ended_by: str


class Message(NamedTuple):
    id: str
    caller: str
    caller_name: "str | None"
    received: datetime.datetime
    seconds: float
    heard: bool


def _messages(rows):
    moment = datetime.datetime.fromtimestamp
    utc = datetime.timezone.utc
    return [
        Message(id, caller, name, moment(received, utc), seconds, heard)
        for id, caller, name, received, seconds, heard in rows
    ]


_tickets = itertools.count()
_waiting = {}


class _Awaited:
    """Does verbs as coroutines, on the loop."""

    __slots__ = ()

    async def _do(self, wire, wrap, verb, *args):
        ticket = next(_tickets)
        future = asyncio.get_running_loop().create_future()
        pending = wire.begin(ticket, verb, args)
        if pending is None:
            # A task that ignores this in an endless loop shall not keep a core busy.
            await asyncio.sleep(1)
            raise HungUp("the call is over")
        _waiting[ticket] = future
        try:
            value = await future
        finally:
            _waiting.pop(ticket, None)
            pending.drop()
        return wrap(value) if wrap else value


def _deliver(ticket, ok, value):
    future = _waiting.get(ticket)
    if future is None or future.done():
        return
    if ok:
        future.set_result(value)
    else:
        future.set_exception(_error(*value))


class _Waited:
    """Does verbs on a thread, which waits."""

    __slots__ = ()

    def _do(self, wire, wrap, verb, *args):
        ok, value = wire.wait(verb, args)
        if not ok:
            raise _error(*value)
        return wrap(value) if wrap else value


class _Facts:
    """What is known of a call."""

    __slots__ = ("_wire",)

    def __init__(self, wire):
        self._wire = wire

    def __repr__(self):
        return f"<{type(self).__name__} {self.id}: {self.caller} to {self.request_uri}>"

    id = property(lambda self: self._wire.id)
    caller = property(lambda self: Uri(*self._wire.caller))
    caller_name = property(lambda self: self._wire.caller_name)
    callee = property(lambda self: Uri(*self._wire.callee))
    request_uri = property(lambda self: Uri(*self._wire.request_uri))
    identity = property(lambda self: self._wire.identity)
    unavailable = property(lambda self: self._wire.unavailable)
    params = property(lambda self: self._wire.params)
    headers = property(lambda self: self._wire.headers)

    @property
    def account(self):
        parts = self._wire.account
        return Uri(*parts) if parts else None

    def header(self, name):
        wanted = name.lower()
        return next((value for name, value in self.headers if name.lower() == wanted), None)

    def mailbox(self, owner=None):
        wrap = lambda opened: self._Mailbox(self._wire, opened)
        return self._do(self._wire, wrap, "mailbox", owner)


class _IncomingVerbs(_Facts):
    __slots__ = ()

    def _opened(self, _):
        return self._Call(self._wire)

    def ringing(self):
        return self._do(self._wire, None, "ringing")

    def early(self):
        return self._do(self._wire, self._opened, "early")

    def answer(self):
        return self._do(self._wire, self._opened, "answer")

    def reject(self, status=480):
        return self._do(self._wire, None, "reject", status)

    def redirect(self, *uris):
        return self._do(self._wire, None, "redirect", list(uris))


class _CallVerbs(_Facts):
    __slots__ = ()

    def answer(self):
        return self._do(self._wire, None, "answer")

    def play(self, prompt, stop_on="", repeat=False):
        return self._do(self._wire, None, "play", prompt, stop_on, repeat)

    def record(self, path=None, max_seconds=60, silence=0, stop_on="#", warn=0):
        wrap = lambda take: Take(*take)
        return self._do(self._wire, wrap, "record", path, max_seconds, silence, stop_on, warn)

    def digits(self, count, timeout=10, between=2, finish_on="#"):
        return self._do(self._wire, None, "digits", None, count, timeout, between, finish_on)

    def ask(self, prompt, digits=1, timeout=60, between=2, finish_on=None):
        if finish_on is None:
            finish_on = "#" if digits > 1 else ""
        return self._do(self._wire, None, "ask", prompt, digits, timeout, between, finish_on)

    def echo(self, stop_on=""):
        return self._do(self._wire, None, "echo", stop_on)

    def join(self, room, max_members=0, stop_on=""):
        return self._do(self._wire, None, "join", room, max_members, stop_on)

    def dial(self, uri, timeout=25, caller=None):
        return self._do(self._wire, type(self), "dial", uri, timeout, caller)

    def bridge(self, other):
        if other._wire is self._wire:
            raise ValueError("a call cannot be bridged with itself")
        return self._do(self._wire, None, "bridge", other._wire)

    def refer(self, uri):
        return self._do(self._wire, None, "refer", uri)

    def send_digits(self, digits):
        return self._do(self._wire, None, "send_digits", digits)

    def hang_up(self):
        return self._do(self._wire, None, "hang_up")


class _MailboxVerbs:
    __slots__ = ("_wire", "_opened")

    def __init__(self, wire, opened):
        self._wire = wire
        self._opened = opened

    def messages(self):
        return self._do(self._wire, _messages, "messages", self._opened)

    def audio(self, message):
        return self._do(self._wire, None, "audio", self._opened, _id(message))

    def mark_heard(self, message):
        return self._do(self._wire, None, "mark_heard", self._opened, _id(message))

    def delete(self, message):
        return self._do(self._wire, None, "delete", self._opened, _id(message))

    def verify_pin(self, pin):
        return self._do(self._wire, None, "verify_pin", self._opened, pin)

    def greeting(self):
        return self._do(self._wire, None, "greeting", self._opened)

    def leave_message(self, max_seconds=30, silence=10, stop_on="#", warn=5, min_seconds=2, mode="both"):
        recording = (None, max_seconds, silence, stop_on, warn)
        return self._do(self._wire, None, "leave", self._opened, min_seconds, mode, *recording)


def _id(message):
    return message.id if isinstance(message, Message) else message


class Mailbox(_Awaited, _MailboxVerbs):
    __slots__ = ()


class Call(_Awaited, _CallVerbs):
    __slots__ = ()
    _Mailbox = Mailbox


class IncomingCall(_Awaited, _IncomingVerbs):
    __slots__ = ()
    _Mailbox = Mailbox
    _Call = Call


class BlockingMailbox(_Waited, _MailboxVerbs):
    __slots__ = ()


class BlockingCall(_Waited, _CallVerbs):
    __slots__ = ()
    _Mailbox = BlockingMailbox


class BlockingIncomingCall(_Waited, _IncomingVerbs):
    __slots__ = ()
    _Mailbox = BlockingMailbox
    _Call = BlockingCall


# The functions of classic scripts: they mean the call of their thread.

_current = threading.local()
_KEYS = {"*": 10, "#": 11, "A": 12, "B": 13, "C": 14, "D": 15}


def _call():
    call = getattr(_current, "call", None)
    if call is None:
        raise RuntimeError("only classic scripts, those without serve(), have a call of their own")
    return call


def play(path):
    _call().play(path)


def playAndDetect(path, milliseconds):
    digit = _call().ask(path, 1, milliseconds / 1000)
    if not digit:
        return 0
    return _KEYS[digit] if digit in _KEYS else int(digit)


def record(path, seconds):
    _call().record(path, seconds)


def getTime():
    return int(time.time())
