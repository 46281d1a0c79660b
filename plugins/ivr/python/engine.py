"""Loads scripts and runs them; called by the server, never by scripts."""

import asyncio
import collections
import ctypes
import inspect
import logging
import os
import symtable
import sys
import threading
import traceback
import types

import _ivr
import ivr


class _Log:
    """Standard output and error of scripts: lines in the server's log."""

    encoding = "utf-8"
    # A line longer than this is cut: a script that never ends one must not gather it for ever.
    LONGEST = 4096

    def __init__(self, level):
        self._level = level
        self._rest = threading.local()

    def write(self, text):
        rest = getattr(self._rest, "text", "") + str(text)
        *lines, rest = rest.split("\n")
        if len(rest) > self.LONGEST:
            lines.append(rest)
            rest = ""
        self._rest.text = rest
        for line in lines:
            if line.strip():
                _ivr.log(self._level, line[: self.LONGEST])
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


class _Handler(logging.Handler):
    def handle(self, record):
        # Without the lock: a script that is interrupted while it has it would never give it back.
        if self.filter(record):
            self.emit(record)

    def emit(self, record):
        _ivr.log(record.levelno, f"{record.name}: {self.format(record)}")


sys.stdout = _Log(logging.INFO)
sys.stderr = _Log(logging.WARNING)
# The folder of the scripts is the operator's; it may not even be writable.
sys.dont_write_bytecode = True
logging.basicConfig(handlers=[_Handler()], level=logging.INFO)


def search(folder):
    """Lets scripts import what lies in the folder."""
    folder = os.path.abspath(folder)
    if folder not in sys.path:
        sys.path.append(folder)


# Loading

_loading = {}


def load(path):
    """(kind, object) of a script; the traceback in the place of the kind when it does not load."""
    path = os.fspath(path)
    _loading[path] = threading.get_ident()
    try:
        return _load(path)
    except BaseException as error:
        return (_trace(error, skip=2), None)
    finally:
        _loading.pop(path, None)


def _load(path):
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec")
    if not _defines_serve(source, path):
        return ("classic", code)
    name = "ivr_script_" + os.path.basename(path).removesuffix(".py")
    module = types.ModuleType(name)
    module.__file__ = path
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
        serve = module.serve
        if not callable(serve):
            raise TypeError("serve is no function")
        inspect.signature(serve).bind(None)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return ("coroutine" if inspect.iscoroutinefunction(serve) else "plain", serve)


def _defines_serve(source, path):
    # Not by `ast`: two threads in it at once fail (CPython gh-106905).
    symbols = symtable.symtable(source, path, "exec")
    if "serve" not in symbols.get_identifiers():
        return False
    serve = symbols.lookup("serve")
    return serve.is_assigned() or serve.is_imported()


def stop_loading(path):
    ident = _loading.get(os.fspath(path))
    if ident is not None:
        interrupt(ident)


# How scripts end

def _trace(error, skip):
    """The traceback without the frames of this file at its top."""
    tb = error.__traceback__
    for _ in range(skip):
        if tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb))


def _ended(error):
    """(kind, traceback, status) of what a script let out."""
    if error is None:
        return ("returned", "", 0)
    if isinstance(error, ivr.HungUp):
        return ("hung-up", "", 0)
    if isinstance(error, SystemExit):
        return ("returned", "", 0)
    status = error.status if isinstance(error, ivr.CallError) else 500
    status = status if isinstance(status, int) and 400 <= status <= 699 else 500
    return ("raised", _trace(error, skip=1), status)


# Plain and classic scripts, each on a thread of its own

_threads = {}
# The interpreter's name of a thread is given to the next one when it ends.
_naming = threading.Lock()


def interrupt_run(number):
    with _naming:
        ident = _threads.get(number)
        if ident is not None:
            interrupt(ident)


def forget_run(number):
    with _naming:
        _threads.pop(number, None)


def run_plain(number, serve, wire):
    _threads[number] = threading.get_ident()
    try:
        serve(ivr.BlockingIncomingCall(wire))
    except BaseException as error:
        return _ended(error)
    return _ended(None)


def run_classic(number, code, wire, names):
    _threads[number] = threading.get_ident()
    caller, callee, messages_path, wav_path = names
    variables = {
        "__name__": "__main__",
        "__builtins__": __builtins__,
        "__file__": code.co_filename,
        "os": os,
        "ivr": ivr,
        "caller": caller,
        "callee": callee,
        "messages_path": messages_path,
        "wav_path": wav_path,
        "x": 100,
    }
    try:
        ivr._current.call = ivr.BlockingIncomingCall(wire).answer()
        exec(code, variables)
    except BaseException as error:
        return _ended(error)
    return _ended(None)


# Coroutines, all on one loop

_loops = {}
_left = []


def run(lane):
    """Runs a loop on this thread until its lane is closed."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    ident = threading.get_ident()
    _loops[ident] = loop
    # By the number of the call. The loop knows its tasks by weak references only.
    tasks = {}
    backlog = collections.deque()

    def beat():
        try:
            lane.beat(ident)
        finally:
            loop.call_later(lane.beats, beat)

    def gathered():
        items = lane.take()
        if items is None:
            loop.stop()
            return
        backlog.extend(items)
        try:
            while backlog:
                hand_over(*backlog.popleft())
        finally:
            # An interruption meant for a script may come just after it let go.
            if backlog:
                loop.call_soon(gathered)

    def hand_over(ticket, *result):
        match ticket, result:
            case -1, (serve, wire, number):
                task = loop.create_task(_serve(serve, wire, lane, number))
                tasks[number] = task
                task.add_done_callback(lambda _: tasks.pop(number, None))
            case -2, (number,):
                if number in tasks:
                    tasks[number].cancel()
            case _:
                ivr._deliver(ticket, *result)

    loop.add_reader(lane.fileno(), gathered)
    loop.call_soon(beat)
    while True:
        try:
            loop.run_forever()
            break
        except (ivr.TooLong, SystemExit, KeyboardInterrupt):
            # Meant for a script that had just let go, or raised by one: nothing that ends the others.
            continue
    _loops.pop(ident, None)
    # Not to be collected: that would close coroutines half-way, on whatever thread, and one that swallows even
    # this exception in an endless loop would hold that thread for ever.
    if tasks:
        _left.append((loop, tasks))


async def _serve(serve, wire, lane, number):
    try:
        await serve(ivr.IncomingCall(wire))
    except BaseException as error:
        lane.finish(number, *_ended(error))
    else:
        lane.finish(number, *_ended(None))


def running(ident):
    """A number for the task that a loop runs now, 0 for none."""
    loop = _loops.get(ident)
    task = asyncio.current_task(loop) if loop is not None else None
    return id(task) if task is not None else 0


def interrupt(ident):
    """Raises TooLong in a thread, when it next runs Python code."""
    raised = ctypes.py_object(ivr.TooLong)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised)
