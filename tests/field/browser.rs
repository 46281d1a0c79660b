//! A browser's side of SIP over WebSocket (RFC 7118).

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use tungstenite::{
    Message, WebSocket,
    client::IntoClientRequest,
    handshake::client::Response,
    http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
};

use super::wire::{PATIENCE, Stream};

/// A socket that is written and read like a stream: each write is a message.
pub struct Socket<S: Read + Write> {
    socket: WebSocket<S>,
    unread: Vec<u8>,
}

impl<S: Read + Write> Read for Socket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            match self.socket.read() {
                Ok(Message::Text(text)) => self.unread.extend_from_slice(text.as_bytes()),
                Ok(Message::Binary(bytes)) => self.unread.extend_from_slice(&bytes),
                Ok(Message::Close(_)) => return Ok(0),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let length = self.unread.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Ok(length)
    }
}

impl<S: Read + Write> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).map_err(io::Error::other)?;
        self.socket.send(Message::text(text)).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().map_err(io::Error::other)
    }
}

/// Upgrades a connection, offering these subprotocols.
pub fn upgrade<S: Read + Write>(
    stream: S,
    protocols: &'static str,
) -> Result<(WebSocket<S>, Response), tungstenite::Error> {
    let mut request = "ws://localhost/".into_client_request().expect("a request");
    if !protocols.is_empty() {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocols));
    }
    tungstenite::client(request, stream).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(error) => error,
        tungstenite::HandshakeError::Interrupted(_) => panic!("no answer to the upgrade"),
    })
}

/// A TCP connection for one.
pub fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// SIP over a socket that speaks it; `transport` as it stands in Via.
pub fn sip<S: Read + Write + Send + 'static>(
    stream: S,
    local: SocketAddr,
    transport: &'static str,
) -> Stream {
    let (socket, response) = upgrade(stream, "chat, sip").expect("an upgrade");
    assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "sip");
    Stream::over(Box::new(Socket { socket, unread: Vec::new() }), local, transport)
}
