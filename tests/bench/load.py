#!/usr/bin/env python3
"""What a call costs: runs `sems serve` under load and prints CPU per call-second beside other media servers.

    SIPLOAD=/path/to/sipload tests/bench/load.py [--mode echo] [--json runs.json]

SIPLOAD names the load generator; SEMS the server (default: target/release/sems). QUICK=1 runs each row once instead
of three times, DURATION=12 is the time measured, CALLS="400 1000" the sizes. Everything stays on 127.0.0.1: the server
on the first core that we may use, the generator on the last. The figure is that of the generator, from
/proc/PID/stat. A run that the generator itself was too late for, or that lost something, is marked and explained:
it says nothing about cost.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# CPU ms per call-second with the same generator on two cores, single runs, +-20 %: docs/performance.md.
PEERS = {
    ("echo", 100): (1.55, 0.94, 1.82, 0.107),
    ("echo", 400): (1.11, 0.81, 1.71, 0.107),
    ("echo", 800): (1.28, 0.69, 1.34, 0.107),
    ("play", 400): (0.22, 1.58, 1.83, 0.055),
    ("record", 400): (0.44, 0.80, 2.11, 0.055),
    ("room", 100): (0.77, 1.89, 2.87, 0.11),
    ("threes", 399): (0.49, 3.26, 3.38, 0.124),
}

CONFIG = """
[server]
data_dir = "var"
domains = ["localhost", "127.0.0.1"]

[sip]
listen = ["udp:127.0.0.1:0"]

[media]
rtp_ports = "10000-29999"
workers = 1
codecs = ["pcmu"]
sounds = "{sounds}"
rtp_timeout = "0s"

[calls]
max = {calls}

[http]
listen = "127.0.0.1:0"

[log]
level = "warn"

[[account]]
user = "bench"
password = "only-for-this-run"

[[route]]
user = "echo"
app = "echo"

[[route]]
user = "conference*"
app = "conference"

[[route]]
user = "play"
app = "announcement"
file = "{sounds}/en/welcome.wav"
loop = true

[[route]]
user = "record"
app = "voicemail"
mailbox = "bench@localhost"
mode = "box"
greeting = "{short}"
max_duration = "10m"
silence = "0s"
"""


def setting(name, default):
    return os.environ.get(name) or default


def rows(sizes):
    """(mode, calls, arguments of the generator)"""
    for calls in sizes:
        yield "echo", calls, ["--mode", "echo", "--user", "echo"]
        yield "play", calls, ["--mode", "play", "--user", "play"]
        yield "record", calls, ["--mode", "record", "--user", "record"]
        # Whole rooms: one who is left over hears nobody.
        yield "threes", calls // 3 * 3, ["--mode", "conf", "--user", "conference-%r", "--room-size", "3"]
    yield "room", 100, ["--mode", "conf", "--user", "conference", "--room-size", "100"]


class Server:
    """A server with its own data; ended by pid."""

    def __init__(self, binary, cpu, most):
        self.folder = tempfile.TemporaryDirectory(prefix="sems-bench-")
        folder = Path(self.folder.name)
        short = folder / "short.wav"
        with wave.open(str(short), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            out.writeframes(bytes(1600))
        # A little above: calls of the run before may still be ending.
        config = CONFIG.format(calls=2 * most, sounds=ROOT / "sounds", short=short)
        (folder / "sems.toml").write_text(config)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--config", str(folder / "sems.toml")],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
            )
        line = self.process.stdout.readline().decode()
        words = [word for word in line.split() if word.startswith("sip=udp:")]
        if not words:
            self.process.wait()
            sys.exit(f"the server did not start:\n{self.said()}")
        self.sip = words[0].removeprefix("sip=udp:")

    def said(self):
        return self.log.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def pin_generator(cpu):
    os.sched_setaffinity(0, {cpu})
    try:
        # Where others use the machine as well, a late generator would spoil the run.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass


def run(generator, server, cpu, calls, seconds, arguments):
    command = [generator, "--target", server.sip, "--calls", str(calls), "--seconds", str(seconds)]
    # Greeting and beep of a recording are over before the measured time begins.
    command += ["--ramp", "200", "--settle", "5", "--pid", str(server.process.pid), *arguments]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        timeout=seconds + calls / 200 + 90,
        preexec_fn=lambda: pin_generator(cpu),
    )
    lines = done.stdout.decode().strip().splitlines()
    if not lines:
        sys.exit(f"{' '.join(command)}: no result\n{server.said()}")
    return json.loads(lines[-1])


def faults(result):
    """Why a run does not count."""
    found = []
    for key in ("failed", "bad_calls", "calls_mute", "peer_byes", "port_conflicts"):
        if result[key]:
            found.append(f"{key} {result[key]}")
    if result["up"] < result["calls"]:
        found.append(f"only {result['up']} calls up")
    # One tick is 1 ms: more than 2 % of them late is a generator that starved.
    if result["gen_late_ticks"] > 20 * result["seconds"]:
        found.append(f"generator late {result['gen_late_ticks']} times")
    if result["other_cpu_pct"] > 15:
        found.append(f"others used {result['other_cpu_pct']:.0f} % of a core")
    return found


def table(results):
    head = ("mode", "calls", "sems ms", "rtt ms", "jitter ms", "MB", "SEMS", "Asterisk", "FreeSWITCH", "kernel")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for (mode, calls), runs in results.items():
        median = lambda key: statistics.median(one[key] for one in runs)
        peers = PEERS.get((mode, calls))
        beside = [f"{figure:.3g}" for figure in peers] if peers else ["-"] * 4
        mark = " (!)" if any(faults(one) for one in runs) else ""
        trip = f"{median('rtt_ms_p50'):.1f}" if mode == "echo" else "-"
        jitter = "-" if mode == "record" else f"{median('jitter_ms_p95'):.2f}"
        memory = f"{median('server_rss_kb') / 1024:.0f}"
        cells = [mode, str(calls), f"{median('cpu_ms_per_call_s'):.4f}{mark}", trip, jitter, memory, *beside]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", action="append", help="only this row: echo, play, record, threes, room")
    parser.add_argument("--json", help="keep every run's own line here")
    options = parser.parse_args()
    generator = setting("SIPLOAD", "")
    if not generator:
        sys.exit("SIPLOAD does not name a load generator")
    target = Path(setting("CARGO_TARGET_DIR", ROOT / "target"))
    binary = setting("SEMS", str(target / "release" / "sems"))
    repeats = 1 if os.environ.get("QUICK") else 3
    seconds = float(setting("DURATION", "12"))
    sizes = [int(word) for word in setting("CALLS", "400 1000").split()]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("one core only: generator and server take it from each other", file=sys.stderr)

    chosen = [row for row in rows(sizes) if not options.mode or row[0] in options.mode]
    if not chosen:
        parser.error("no such row")
    if not Path(binary).is_file():
        sys.exit(f"{binary} is not there: cargo build --release")
    results, kept = {}, []
    for mode, calls, arguments in chosen:
        for _ in range(repeats):
            # A server of its own for each run: none begins with what another left behind.
            with Server(binary, cores[0], calls) as server:
                result = run(generator, server, cores[-1], calls, seconds, arguments)
            results.setdefault((mode, calls), []).append(result)
            kept.append(result)
            why = "; ".join(faults(result))
            print(f"{mode} {calls}: {result['cpu_ms_per_call_s']:.4f} ms {why}", file=sys.stderr)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.release()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"CPU ms per call-second, medians of {repeats}; (!) marks runs that do not count\n")
    table(results)
    if options.json:
        Path(options.json).write_text("".join(json.dumps(one) + "\n" for one in kept))


if __name__ == "__main__":
    main()
