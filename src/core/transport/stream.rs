//! The table of connections, kept by the signalling task, and the listeners that fill it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sems_sip::{Flow, Transport};
use socket2::{Protocol, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::server;
use tokio_tungstenite::WebSocketStream;

use super::{
    Listener, bind,
    connection::{Connection, Line, StreamEvent},
    room::{Room, Seat},
    tls::Tls,
    websocket,
};

/// Messages of all connections on their way to the signalling task: some milliseconds of work for it. Beyond
/// it the readers wait, each in its turn, and TCP holds the peers back.
pub(crate) const EVENTS: usize = 1024;
/// How long a connection attempt may take: below Timer B, so that the transaction still hears of it.
const CONNECT: Duration = Duration::from_secs(8);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It waits for the peer on an open connection.
    Queued,
    /// It waits for a connection that is being opened.
    Opening,
}

/// The open connections, by flow.
#[derive(Debug)]
pub(crate) struct Streams {
    open: HashMap<Flow, Line>,
    events: mpsc::Sender<StreamEvent>,
    room: Arc<Room>,
    tls: Arc<Tls>,
}

impl Streams {
    /// A table whose connections are counted with those that are accepted.
    pub(crate) fn new(entrance: Entrance) -> Self {
        let Entrance { events, room, tls } = entrance;
        Self { open: HashMap::new(), events, room, tls }
    }

    /// An accepted connection. It lives as long as its line is in the table.
    pub(crate) fn opened(&mut self, flow: Flow, line: Line) {
        self.open.insert(flow, line);
    }

    /// Whether a connection of this flow is open, or being opened.
    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        self.open.get(flow).is_some_and(|line| !line.unsent.is_closed())
    }

    /// A connection ended. False where another one has taken its place since.
    pub(crate) fn closed(&mut self, flow: &Flow, number: u64) -> bool {
        match self.open.get(flow) {
            Some(line) if line.number == number => {
                self.open.remove(flow);
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// Sends on the flow's connection. Where there is none, opens one if the flow's peer listens there.
    ///
    /// # Errors
    /// The peer does not read (its connection is closed then), there is no connection and no way to one, or there
    /// are too many.
    pub(crate) fn send(&mut self, flow: &Flow, mut bytes: Bytes) -> io::Result<Sent> {
        if let Some(line) = self.open.get(flow) {
            match line.unsent.try_send(bytes) {
                Ok(()) => return Ok(Sent::Queued),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::debug!(remote = %flow.remote, "a peer does not read; its connection is closed");
                    self.open.remove(flow);
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(mpsc::error::TrySendError::Closed(unsent)) => {
                    self.open.remove(flow);
                    bytes = unsent;
                }
            }
        }
        if flow.reconnect != Some(flow.remote) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.connect(flow, bytes)
    }

    fn connect(&mut self, flow: &Flow, first: Bytes) -> io::Result<Sent> {
        let seat = self.room.leave_to(flow.remote.ip()).map_err(|full| {
            tracing::debug!(remote = %flow.remote, %full, "no connection is opened");
            io::Error::from(io::ErrorKind::ConnectionRefused)
        })?;
        let (connection, line) = Connection::new(flow.clone(), seat, self.events.clone());
        // The queue is new and has room.
        let _ = line.unsent.try_send(first);
        self.open.insert(flow.clone(), line);
        tokio::spawn(open(connection, self.tls.clone()));
        Ok(Sent::Opening)
    }
}

async fn open(connection: Connection, tls: Arc<Tls>) {
    let started = Instant::now();
    let stream = match timeout(CONNECT, TcpStream::connect(connection.flow.remote)).await {
        Ok(Ok(stream)) => stream,
        _ => return connection.fail().await,
    };
    let _ = stream.set_nodelay(true);
    if connection.flow.transport == Transport::Tcp {
        return connection.run(stream, started).await;
    }
    let left = CONNECT.saturating_sub(started.elapsed());
    match timeout(left, tls.connect(&connection.flow, stream)).await {
        Ok(Ok(stream)) => connection.run(stream, started).await,
        Ok(Err(error)) => {
            tracing::warn!(flow = %connection.flow, name = connection.flow.name.as_deref(), %error, "no TLS connection");
            connection.fail().await;
        }
        Err(_) => connection.fail().await,
    }
}

/// What every connection that is accepted needs.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    pub(crate) events: mpsc::Sender<StreamEvent>,
    pub(crate) room: Arc<Room>,
    pub(crate) tls: Arc<Tls>,
}

impl Entrance {
    /// Binds a listener and accepts from it, as far as there is room, until the receiver of the events is gone.
    pub(crate) fn listen(&self, transport: Transport, address: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::from_std(bind(address, Type::STREAM, Protocol::TCP)?.into())?;
        let address = listener.local_addr()?;
        tokio::spawn(self.clone().accept(transport, listener));
        Ok(Listener { transport, address })
    }

    async fn accept(self, transport: Transport, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.events.closed() => return,
            };
            match accepted {
                Ok((stream, remote)) => match self.room.admit(remote.ip()) {
                    Ok(seat) => {
                        tokio::spawn(self.clone().serve(transport, stream, remote, seat));
                    }
                    Err(full) => tracing::debug!(%remote, %full, "a connection is not taken"),
                },
                Err(error) => {
                    // Out of descriptors, mostly: waiting a little is all that helps.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(self, transport: Transport, stream: TcpStream, remote: SocketAddr, seat: Seat) {
        let started = Instant::now();
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let limits = *seat.limits();
        let (connection, line) = Connection::new(Flow::new(transport, local, remote), seat, self.events);
        let greeted = async {
            Ok(match transport {
                Transport::Tls => Wire::Tls(Box::new(self.tls.accept(stream).await?)),
                Transport::Ws => {
                    Wire::Ws(Box::new(websocket::greet(stream, &limits).await.map_err(io::Error::other)?))
                }
                Transport::Wss => {
                    let stream = self.tls.accept(stream).await?;
                    Wire::Wss(Box::new(websocket::greet(stream, &limits).await.map_err(io::Error::other)?))
                }
                Transport::Udp | Transport::Tcp => Wire::Tcp(stream),
            })
        };
        let wire = match timeout(limits.first, greeted).await {
            Ok(Ok(wire)) => wire,
            Ok::<io::Result<Wire>, _>(Err(error)) => {
                tracing::debug!(%remote, %error, "a connection ended before it began");
                return;
            }
            Err(_) => return,
        };
        if connection.opened(line).await {
            match wire {
                Wire::Tcp(stream) => connection.run(stream, started).await,
                Wire::Tls(stream) => connection.run(*stream, started).await,
                Wire::Ws(socket) => connection.run_socket(*socket, started).await,
                Wire::Wss(socket) => connection.run_socket(*socket, started).await,
            }
        }
    }
}

/// An accepted connection whose greeting is over.
enum Wire {
    Tcp(TcpStream),
    Tls(Box<server::TlsStream<TcpStream>>),
    Ws(Box<WebSocketStream<TcpStream>>),
    Wss(Box<WebSocketStream<server::TlsStream<TcpStream>>>),
}

#[cfg(test)]
mod tests {
    use super::{super::room::Limits, *};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(10);
    const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    struct Listening {
        address: SocketAddr,
        told: mpsc::Receiver<StreamEvent>,
        streams: Streams,
    }

    fn listening(total: usize) -> Listening {
        let (events, told) = mpsc::channel(8);
        let any = "127.0.0.1:0".parse().expect("an address");
        let half_open = 10 * total;
        let (idle, first) = (PATIENCE, PATIENCE);
        let room =
            Room::new(Limits { total, per_peer: total, half_open, idle, first, ping: idle, message: 65_536 });
        let tls = Tls::new(&crate::config::Tls::default()).expect("no files");
        let entrance = Entrance { events, room, tls };
        let listener = entrance.listen(Transport::Tcp, any).expect("a listener");
        Listening { address: listener.address, told, streams: Streams::new(entrance) }
    }

    impl Listening {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("a connection")
        }

        async fn next(&mut self) -> StreamEvent {
            timeout(PATIENCE, self.told.recv()).await.expect("in time").expect("an event")
        }

        async fn opened(&mut self) -> (Flow, Line) {
            match self.next().await {
                StreamEvent::Opened { flow, line } => (flow, line),
                other => panic!("not opened: {other:?}"),
            }
        }
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut rest = Vec::new();
        matches!(timeout(PATIENCE, stream.read_to_end(&mut rest)).await, Ok(Ok(0) | Err(_)))
    }

    #[tokio::test]
    async fn a_connection_beyond_their_number_is_closed_at_once() {
        let mut listening = listening(1);
        let mut first = listening.connect().await;
        let (_, line) = listening.opened().await;
        assert!(is_closed(&mut listening.connect().await).await);
        // The table drops one whose peer does not read: it ends, and there is room again.
        drop(line);
        assert!(is_closed(&mut first).await);
        assert!(matches!(listening.next().await, StreamEvent::Closed { .. }));
        // Its seat goes back right after it said so.
        tokio::task::yield_now().await;
        let _second = listening.connect().await;
        listening.opened().await;
    }

    #[tokio::test]
    async fn a_ping_is_answered_and_a_message_passed_on() {
        let mut listening = listening(1);
        let mut stream = listening.connect().await;
        let _line = listening.opened().await;
        stream.write_all(b"\r\n\r\n").await.expect("written");
        let mut pong = [0; 2];
        timeout(PATIENCE, stream.read_exact(&mut pong)).await.expect("in time").expect("a pong");
        assert_eq!(&pong, b"\r\n");
        stream.write_all(MESSAGE).await.expect("written");
        match listening.next().await {
            StreamEvent::Message { bytes, .. } => assert_eq!(&bytes[..], MESSAGE),
            other => panic!("no message: {other:?}"),
        }
    }

    #[tokio::test]
    async fn only_a_listening_peer_is_connected_to() {
        let mut listening = listening(3);
        let stream = listening.connect().await;
        let (flow, line) = listening.opened().await;
        listening.streams.opened(flow.clone(), line);
        assert!(listening.streams.is_open(&flow));
        drop(stream);
        let StreamEvent::Closed { flow, number } = listening.next().await else { panic!("not closed") };
        assert!(listening.streams.closed(&flow, number) && !listening.streams.is_open(&flow));
        let error = listening.streams.send(&flow, Bytes::from_static(MESSAGE)).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let to = Flow::to_listener(Transport::Tcp, flow.local, listening.address);
        let sent = [0; 2].map(|_| listening.streams.send(&to, Bytes::from_static(MESSAGE)).expect("sent"));
        assert_eq!(sent, [Sent::Opening, Sent::Queued]);
    }

    #[tokio::test]
    async fn who_does_not_read_is_closed_and_blocks_nobody() {
        let mut listening = listening(2);
        let mut slow = listening.connect().await;
        let (flow, line) = listening.opened().await;
        listening.streams.opened(flow.clone(), line);
        let long = Bytes::from(vec![b'x'; 60_000]);
        let mut queued = 0;
        while listening.streams.send(&flow, long.clone()).is_ok() {
            queued += 1;
            tokio::task::yield_now().await;
            assert!(queued < 10_000, "a peer that reads nothing keeps all of it in our memory");
        }
        assert!(!listening.streams.is_open(&flow));
        assert!(matches!(listening.next().await, StreamEvent::Closed { .. }));
        let mut rest = vec![0; 1 << 20];
        while matches!(slow.read(&mut rest).await, Ok(1..)) {}
    }
}
