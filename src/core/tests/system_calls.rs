//! What the packet path asks of the system.

#[expect(dead_code, reason = "the other tests use the rest of it")]
mod phone;

use std::{path::Path, process::Command};

use phone::{Phone, config, pass};
use sems_core::media::{Engine, EngineConfig, MediaIo};
use sems_media::CodecKind;

/// Receive, send, look for what came, wait for the next tick.
const ALLOWED: [&str; 9] = [
    "io_uring_enter",
    "recvfrom",
    "recvmsg",
    "sendto",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "clock_nanosleep",
    "restart_syscall",
];

fn media_thread() -> Option<String> {
    std::fs::read_dir("/proc/self/task").ok()?.find_map(|task| {
        let path = task.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        (name.trim() == "sems-media-0").then(|| path.file_name()?.to_str().map(str::to_owned))?
    })
}

/// The system calls of a thread in a second, and how often; none where nobody may look.
fn traced(thread: &str, table: &Path) -> Option<Vec<(String, u64)>> {
    let table_name = table.to_str()?;
    let trace = ["-s", "INT", "1", "strace", "-c", "-o", table_name, "-p", thread];
    Command::new("timeout").args(trace).output().ok()?;
    let text = std::fs::read_to_string(table).ok()?;
    // % time, seconds, usecs/call, calls, [errors,] name.
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        words.last().filter(|name| **name != "total").map(|name| ((*name).to_owned(), calls))
    };
    Some(text.lines().filter_map(row).collect()).filter(|rows: &Vec<_>| !rows.is_empty())
}

/// strace holds up both ends, so that packets may come when none is looked for: one good second of these is enough.
const LOOKS: usize = 5;

#[tokio::test]
async fn packets_cost_no_other_system_calls_than_to_receive_send_and_wait() {
    for (io, first_port) in [(MediaIo::Auto, 39_600), (MediaIo::Plain, 39_800)] {
        look_at(io, first_port).await;
    }
}

async fn look_at(io: MediaIo, first_port: u16) {
    let engine = Engine::start(EngineConfig { io, ..config(1, first_port) }).expect("an engine");
    let calls: Vec<_> = (0..8).map(|_| Phone::call(&engine, CodecKind::Pcmu)).collect();
    for (phone, leg, _) in &calls {
        leg.echo(true);
        phone.say(441);
    }
    pass(2500).await;
    let folder = tempfile::tempdir().expect("folder");
    let thread = media_thread().expect("a media thread");
    let mut seen = Vec::new();
    for _ in 0..LOOKS {
        let (thread, table) = (thread.clone(), folder.path().join("calls"));
        let traced = tokio::task::spawn_blocking(move || traced(&thread, &table)).await.expect("no panic");
        let Some(traced) = traced else {
            eprintln!("not looked at: strace is not installed, or not permitted");
            return;
        };
        let foreign: Vec<_> = traced.iter().filter(|(name, _)| !ALLOWED.contains(&name.as_str())).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
        let of = |names: &[&str]| -> u64 {
            traced.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, calls)| calls).sum()
        };
        let sent = of(&["sendto", "io_uring_enter"]);
        assert!((100..900).contains(&sent), "{traced:?}");
        // 400 packets came, of which few are asked for in vain, and none twice.
        if of(&["recvfrom", "recvmsg", "io_uring_enter"]) < 600 {
            seen.clear();
            break;
        }
        seen.push(traced);
    }
    assert!(seen.is_empty(), "{seen:?}");
    drop(calls);
    engine.shutdown();
}
