//! SIP over WebSockets (RFC 7118): one message each way is one SIP message.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sems_sip::Flow;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        handshake::server::{Callback, ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

use super::{
    connection::{Connection, StreamEvent, WRITE},
    room::{Limits, Seat},
};

/// The subprotocol of RFC 7118 section 4.
const SIP: &str = "sip";
/// What a connection reads at once.
const READ: usize = 8192;

/// The upgrade of a connection that offers our subprotocol, and the refusal of any other.
struct Upgrade;

impl Callback for Upgrade {
    #[allow(clippy::result_large_err, reason = "the trait wants it so")]
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let mut names = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        if names.any(|name| name.trim().eq_ignore_ascii_case(SIP)) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SIP));
            return Ok(response);
        }
        let mut refusal =
            ErrorResponse::new(Some("the WebSocket subprotocol \"sip\" is served here\n".to_owned()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        Err(refusal)
    }
}

/// Carries out the upgrade of an HTTP connection.
pub(crate) async fn greet<S>(stream: S, limits: &Limits) -> Result<WebSocketStream<S>, tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * limits.message)
        .max_message_size(Some(limits.message))
        .max_frame_size(Some(limits.message));
    accept_hdr_async_with_config(stream, Upgrade, Some(config)).await
}

impl Connection {
    /// Carries messages until either side ends it. A peer that leaves two pings in a row unanswered is gone.
    pub(crate) async fn run_socket<S>(self, mut socket: WebSocketStream<S>, started: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { flow, mut seat, events, mut unsent, mut released, .. } = self;
        let limits = *seat.limits();
        let mut ping = interval(limits.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut unanswered = 0;
        let mut seen = false;
        loop {
            let first = limits.first.saturating_sub(started.elapsed());
            let patience = if seen { limits.idle } else { first };
            tokio::select! {
                _ = &mut released => break,
                bytes = unsent.recv() => {
                    let Some(bytes) = bytes else { break };
                    if !send(&mut socket, message(bytes)).await {
                        break;
                    }
                }
                read = timeout(patience, socket.next()) => {
                    let Ok(Some(Ok(read))) = read else { break };
                    unanswered = 0;
                    match take(&mut socket, &flow, &mut seat, &events, read).await {
                        Taken::Message => seen = true,
                        Taken::Other => {}
                        Taken::End => break,
                    }
                }
                _ = ping.tick() => {
                    unanswered += 1;
                    if unanswered > 2 || !send(&mut socket, Message::Ping(Bytes::new())).await {
                        tracing::debug!(remote = %flow.remote, "a WebSocket is not answering");
                        break;
                    }
                }
            }
        }
        // Says goodbye where the peer still reads; what it does with it is its own affair.
        let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        let _ = events.send(StreamEvent::Closed { flow, number: seat.number }).await;
    }
}

enum Taken {
    Message,
    Other,
    End,
}

async fn take<S>(
    socket: &mut WebSocketStream<S>,
    flow: &Flow,
    seat: &mut Seat,
    events: &mpsc::Sender<StreamEvent>,
    read: Message,
) -> Taken
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes: Bytes = match read {
        Message::Text(text) => text.into(),
        Message::Binary(bytes) => bytes,
        // The answer to a ping goes by itself.
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Taken::Other,
        Message::Close(_) => return Taken::End,
    };
    if bytes.as_ref() == b"\r\n\r\n" {
        // RFC 5626 section 4.4.1, as browsers' libraries send it here too.
        let sent = send(socket, Message::Text(Utf8Bytes::from_static("\r\n"))).await;
        return if sent { Taken::Other } else { Taken::End };
    }
    seat.proved();
    match events.send(StreamEvent::Message { flow: flow.clone(), bytes }).await {
        Ok(()) => Taken::Message,
        Err(_) => Taken::End,
    }
}

/// Text where it is text (RFC 7118 section 5).
fn message(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

async fn send<S>(socket: &mut WebSocketStream<S>, message: Message) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    matches!(timeout(WRITE, socket.send(message)).await, Ok(Ok(())))
}
