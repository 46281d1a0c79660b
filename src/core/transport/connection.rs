//! One connection: what it reads goes to the signalling task, what waits in its queue is written.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sems_sip::{
    Flow,
    framing::{Framed, Framer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::room::Seat;

/// Messages waiting for one peer to read them: some milliseconds of a proxy's traffic. One that reads nothing for
/// so many is gone.
const UNSENT: usize = 256;
/// Messages written at once.
const AT_ONCE: usize = 32;
/// How long a blocked write may last.
pub(super) const WRITE: Duration = Duration::from_secs(10);

/// What a connection tells the signalling task.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// The peer opened it.
    Opened { flow: Flow, line: Line },
    /// A whole message.
    Message { flow: Flow, bytes: Bytes },
    /// It is closed.
    Closed { flow: Flow, number: u64 },
}

/// The table's end of a connection, which lives as long as this does.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) unsent: mpsc::Sender<Bytes>,
    /// Dropped with the rest: tells the connection to end, whatever it waits for.
    _held: oneshot::Sender<()>,
}

/// The other end, before there is a stream for it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    pub(crate) seat: Seat,
    pub(crate) events: mpsc::Sender<StreamEvent>,
    pub(super) unsent: mpsc::Receiver<Bytes>,
    /// For answers to keepalives; weak, so that the table alone keeps the connection.
    answers: mpsc::WeakSender<Bytes>,
    pub(super) released: oneshot::Receiver<()>,
}

impl Connection {
    pub(crate) fn new(flow: Flow, seat: Seat, events: mpsc::Sender<StreamEvent>) -> (Self, Line) {
        let (sender, unsent) = mpsc::channel(UNSENT);
        let (held, released) = oneshot::channel();
        let answers = sender.downgrade();
        let line = Line { number: seat.number, unsent: sender, _held: held };
        (Self { flow, seat, events, unsent, answers, released }, line)
    }

    /// Tells the table of it; false when nobody listens any more.
    pub(crate) async fn opened(&self, line: Line) -> bool {
        self.events.send(StreamEvent::Opened { flow: self.flow.clone(), line }).await.is_ok()
    }

    /// Carries messages until either side ends it. `started` is when the connection began.
    pub(crate) async fn run<S>(self, stream: S, started: Instant)
    where
        S: AsyncRead + AsyncWrite,
    {
        let Self { flow, mut seat, events, unsent, answers, released } = self;
        let (reader, writer) = tokio::io::split(stream);
        tokio::select! {
            () = read(reader, &flow, &mut seat, started, &answers, &events) => {}
            () = write(writer, unsent) => {}
            _ = released => {}
        }
        let _ = events.send(StreamEvent::Closed { flow, number: seat.number }).await;
    }

    /// It could not be opened, or its beginning went wrong.
    pub(crate) async fn fail(self) {
        let closed = StreamEvent::Closed { flow: self.flow, number: self.seat.number };
        let _ = self.events.send(closed).await;
    }
}

async fn read<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    flow: &Flow,
    seat: &mut Seat,
    started: Instant,
    answers: &mpsc::WeakSender<Bytes>,
    events: &mpsc::Sender<StreamEvent>,
) {
    let limits = *seat.limits();
    let mut framer = Framer::new(limits.message);
    let mut buffer = BytesMut::with_capacity(8192);
    let mut seen = false;
    loop {
        let patience = if seen { limits.idle } else { limits.first.saturating_sub(started.elapsed()) };
        buffer.reserve(4096);
        match timeout(patience, reader.read_buf(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => {}
            _ => return,
        }
        framer.push(&buffer.split());
        loop {
            match framer.next_frame() {
                Ok(Some(Framed::Message(bytes))) => {
                    seen = true;
                    seat.proved();
                    if events.send(StreamEvent::Message { flow: flow.clone(), bytes }).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Framed::Ping)) => {
                    // RFC 5626 section 4.4.1: a double CRLF is answered with one.
                    if let Some(unsent) = answers.upgrade() {
                        let _ = unsent.try_send(Bytes::from_static(b"\r\n"));
                    }
                }
                Ok(Some(Framed::Pong)) => {}
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(remote = %flow.remote, %error, "a stream lost its framing");
                    return;
                }
            }
        }
    }
}

async fn write<S: AsyncWrite>(mut writer: WriteHalf<S>, mut unsent: mpsc::Receiver<Bytes>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut joined = BytesMut::new();
    while unsent.recv_many(&mut batch, AT_ONCE).await > 0 {
        let bytes = match batch.as_slice() {
            [one] => one.clone(),
            several => {
                several.iter().for_each(|bytes| joined.extend_from_slice(bytes));
                joined.split().freeze()
            }
        };
        batch.clear();
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if !matches!(timeout(WRITE, written).await, Ok(Ok(()))) {
            return;
        }
    }
}
