//! TCP connections: a reader and a writer task each, the table of them with the signalling task.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use sems_sip::{
    Flow, Transport,
    framing::{Framed, Framer},
};
use socket2::{Protocol, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{Listener, bind};

/// Messages of all connections on their way to the signalling task: some milliseconds of work for it. Beyond
/// it the readers wait, and TCP holds the peers back.
pub(crate) const EVENTS: usize = 1024;
/// Messages waiting for one peer to read them. One that reads nothing for so many is gone.
const UNSENT: usize = 256;
/// Connections at once, all peers together; a later one is closed at once. Fewer where the system allows fewer
/// open files.
pub(crate) const CONNECTIONS: usize = 20_000;
/// How long a connection attempt may take: below Timer B, so that the transaction still hears of it.
const CONNECT: Duration = Duration::from_secs(8);
/// A connection on which nothing came for this long is closed: above the longest registration.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// A connection that has not completed its first message by then is closed.
const FIRST: Duration = Duration::from_secs(30);
/// How long a blocked write may last.
const WRITE: Duration = Duration::from_secs(10);

/// What a connection tells the signalling task.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// It is open; messages go to `writer`.
    Opened { flow: Flow, writer: mpsc::Sender<Bytes> },
    /// A whole message.
    Message { flow: Flow, bytes: Bytes },
    /// It is closed.
    Closed { flow: Flow },
}

/// The open connections, by flow.
#[derive(Debug)]
pub(crate) struct Streams {
    open: HashMap<Flow, mpsc::Sender<Bytes>>,
    events: mpsc::Sender<StreamEvent>,
    room: Arc<Semaphore>,
}

impl Streams {
    /// A table whose connections each take a permit of `room`, as those that are accepted do.
    pub(crate) fn new(events: mpsc::Sender<StreamEvent>, room: Arc<Semaphore>) -> Self {
        Self { open: HashMap::new(), events, room }
    }

    /// An accepted connection. It lives as long as its writer is in the table.
    pub(crate) fn opened(&mut self, flow: Flow, writer: mpsc::Sender<Bytes>) {
        self.open.insert(flow, writer);
    }

    pub(crate) fn closed(&mut self, flow: &Flow) {
        if self.open.get(flow).is_some_and(mpsc::Sender::is_closed) {
            self.open.remove(flow);
        }
    }

    /// Sends on the flow's connection, opening one where there is none.
    ///
    /// # Errors
    /// The peer does not read, or there are too many connections.
    pub(crate) fn send(&mut self, flow: &Flow, bytes: Bytes) -> io::Result<()> {
        if let Some(writer) = self.open.get(flow) {
            match writer.try_send(bytes) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.open.remove(flow);
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(mpsc::error::TrySendError::Closed(bytes)) => return self.connect(flow, bytes),
            }
        }
        self.connect(flow, bytes)
    }

    fn connect(&mut self, flow: &Flow, first: Bytes) -> io::Result<()> {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (writer, unsent) = mpsc::channel(UNSENT);
        // The channel is new and has room.
        let _ = writer.try_send(first);
        let pong = writer.downgrade();
        self.open.insert(flow.clone(), writer);
        let (flow, events) = (flow.clone(), self.events.clone());
        tokio::spawn(async move {
            open(flow, pong, unsent, events).await;
            drop(permit);
        });
        Ok(())
    }
}

/// Binds a TCP listener and accepts from it, as far as there is `room`, until the receiver of `events` is gone.
pub(crate) fn listen(
    address: SocketAddr,
    events: mpsc::Sender<StreamEvent>,
    room: Arc<Semaphore>,
) -> io::Result<Listener> {
    let listener = TcpListener::from_std(bind(address, Type::STREAM, Protocol::TCP)?.into())?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, events, room));
    Ok(Listener { transport: Transport::Tcp, address })
}

async fn accept(listener: TcpListener, events: mpsc::Sender<StreamEvent>, room: Arc<Semaphore>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = events.closed() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let Ok(local) = stream.local_addr() else { continue };
                let Ok(permit) = room.clone().try_acquire_owned() else {
                    tracing::debug!(%remote, "too many TCP connections");
                    continue;
                };
                let flow = Flow { transport: Transport::Tcp, local, remote };
                let (writer, unsent) = mpsc::channel(UNSENT);
                let pong = writer.downgrade();
                let opened = StreamEvent::Opened { flow: flow.clone(), writer };
                if events.send(opened).await.is_err() {
                    return;
                }
                let events = events.clone();
                tokio::spawn(async move {
                    run(stream, flow, pong, unsent, events).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: waiting a little is all that helps.
                tracing::warn!(%error, "a TCP connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn open(
    flow: Flow,
    pong: mpsc::WeakSender<Bytes>,
    unsent: mpsc::Receiver<Bytes>,
    events: mpsc::Sender<StreamEvent>,
) {
    match timeout(CONNECT, TcpStream::connect(flow.remote)).await {
        Ok(Ok(stream)) => run(stream, flow, pong, unsent, events).await,
        _ => {
            drop(unsent);
            let _ = events.send(StreamEvent::Closed { flow }).await;
        }
    }
}

async fn run(
    stream: TcpStream,
    flow: Flow,
    pong: mpsc::WeakSender<Bytes>,
    unsent: mpsc::Receiver<Bytes>,
    events: mpsc::Sender<StreamEvent>,
) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    tokio::select! {
        () = read(reader, &flow, pong, &events) => {}
        () = write(writer, unsent) => {}
    }
    let _ = events.send(StreamEvent::Closed { flow }).await;
}

async fn read(
    mut reader: OwnedReadHalf,
    flow: &Flow,
    pong: mpsc::WeakSender<Bytes>,
    events: &mpsc::Sender<StreamEvent>,
) {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::with_capacity(8192);
    let started = Instant::now();
    let mut seen = false;
    loop {
        let patience = if seen { IDLE } else { FIRST.saturating_sub(started.elapsed()) };
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
                    if events.send(StreamEvent::Message { flow: flow.clone(), bytes }).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Framed::Ping)) => {
                    // RFC 5626 section 4.4.1: a double CRLF is answered with one.
                    if let Some(writer) = pong.upgrade() {
                        let _ = writer.try_send(Bytes::from_static(b"\r\n"));
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

async fn write(mut writer: OwnedWriteHalf, mut unsent: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = unsent.recv().await {
        if !matches!(timeout(WRITE, writer.write_all(&bytes)).await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Listening {
        address: SocketAddr,
        told: mpsc::Receiver<StreamEvent>,
    }

    fn listening(room: usize) -> Listening {
        let (events, told) = mpsc::channel(8);
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = listen(any, events, Arc::new(Semaphore::new(room))).expect("a listener");
        Listening { address: listener.address, told }
    }

    impl Listening {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("a connection")
        }

        async fn next(&mut self) -> StreamEvent {
            timeout(WRITE, self.told.recv()).await.expect("in time").expect("an event")
        }

        async fn opened(&mut self) -> mpsc::Sender<Bytes> {
            match self.next().await {
                StreamEvent::Opened { writer, .. } => writer,
                other => panic!("not opened: {other:?}"),
            }
        }
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut rest = Vec::new();
        matches!(timeout(WRITE, stream.read_to_end(&mut rest)).await, Ok(Ok(0) | Err(_)))
    }

    #[tokio::test]
    async fn a_connection_beyond_their_number_is_closed_at_once() {
        let mut listening = listening(1);
        let mut first = listening.connect().await;
        let writer = listening.opened().await;
        assert!(is_closed(&mut listening.connect().await).await);
        // The table drops one whose peer does not read: it ends, and there is room again.
        drop(writer);
        assert!(is_closed(&mut first).await);
        assert!(matches!(listening.next().await, StreamEvent::Closed { .. }));
        // Its permit goes back right after it said so.
        tokio::task::yield_now().await;
        let _second = listening.connect().await;
        listening.opened().await;
    }

    #[tokio::test]
    async fn a_ping_is_answered_and_a_message_passed_on() {
        let mut listening = listening(1);
        let mut stream = listening.connect().await;
        let _writer = listening.opened().await;
        stream.write_all(b"\r\n\r\n").await.expect("written");
        let mut pong = [0; 2];
        timeout(WRITE, stream.read_exact(&mut pong)).await.expect("in time").expect("a pong");
        assert_eq!(&pong, b"\r\n");
        let message = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(message).await.expect("written");
        match listening.next().await {
            StreamEvent::Message { bytes, .. } => assert_eq!(&bytes[..], message),
            other => panic!("no message: {other:?}"),
        }
    }
}
