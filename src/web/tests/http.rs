//! The server over real sockets, by a client that writes HTTP/1.1 itself.

use std::{
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sems_core::snapshot::{
    BanSnapshot, CallSnapshot, CallState, Counter, CounterKind, RegistrationSnapshot, RoomSnapshot,
    Snapshots, TracedMessage,
};
use sems_web::{State, Token, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

struct Core {
    ready: AtomicBool,
}

impl Snapshots for Core {
    fn calls(&self) -> Vec<CallSnapshot> {
        vec![CallSnapshot {
            id: "c1".to_owned(),
            from: "sip:alice@localhost".to_owned(),
            to: "sip:echo@localhost".to_owned(),
            application: Some("echo".to_owned()),
            state: CallState::Talking,
            since: 1.5,
            codec: None,
        }]
    }

    fn rooms(&self) -> Vec<RoomSnapshot> {
        vec![RoomSnapshot { name: "conference".to_owned(), members: 3, rate: 16_000 }]
    }

    fn registrations(&self) -> Vec<RegistrationSnapshot> {
        vec![RegistrationSnapshot {
            aor: "sip:alice@localhost".to_owned(),
            contact: "sip:alice@127.0.0.1:5070".to_owned(),
            expires_in: Duration::from_secs(59),
            user_agent: "phone".to_owned(),
            source: "udp:127.0.0.1:5070".to_owned(),
        }]
    }

    fn bans(&self) -> Vec<BanSnapshot> {
        vec![BanSnapshot {
            source: "198.51.100.7".to_owned(),
            reason: "wrong credentials".to_owned(),
            since: 2.0,
            expires_in: Duration::from_secs(9),
            ignored: 4,
        }]
    }

    fn lift_ban(&self, source: &str) -> bool {
        source == "198.51.100.7"
    }

    fn trace(&self, call: String) -> Pin<Box<dyn Future<Output = Vec<TracedMessage>> + Send>> {
        let message = |sent, remote: &str, local: &str, text: &str| TracedMessage {
            at: 1_700_000_000.25,
            sent,
            transport: "tls".to_owned(),
            local: local.to_owned(),
            remote: remote.to_owned(),
            text: text.to_owned(),
        };
        let messages = vec![
            message(
                false,
                "198.51.100.7:5061",
                "192.0.2.9:5061",
                "OPTIONS sip:a@b SIP/2.0\r\nCSeq: 7 OPTIONS\r\n\r\n",
            ),
            message(
                true,
                "[2001:db8::7]:5062",
                "[2001:db8::9]:5060",
                "SIP/2.0 200 OK\r\nCSeq: 7 OPTIONS\r\n\r\n",
            ),
        ];
        let messages = if call == "a@b" { messages } else { Vec::new() };
        Box::pin(std::future::ready(messages))
    }

    fn counters(&self) -> Vec<Counter> {
        let (name, help) = ("sems_calls", "Calls in progress");
        vec![Counter { name, help, kind: CounterKind::Gauge, labels: vec![], value: 1.0 }]
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

struct Server {
    address: SocketAddr,
    token: Token,
    core: Arc<Core>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

async fn start() -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let token = Token::open(&Path::new(folder.path()).join("api.token")).expect("a token");
    let core = Arc::new(Core { ready: AtomicBool::new(true) });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let state = State::new(core.clone(), token.clone());
    let served = tokio::spawn(serve(listener, state, async move {
        let _ = stopped.await;
    }));
    Server { address, token, core, stop, served, _folder: folder }
}

impl Server {
    async fn ask(&self, method: &str, path: &str, token: Option<&str>) -> (u16, String, String) {
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: sems\r\n{authorization}Connection: close\r\n\r\n");
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path, Some(self.token.expose())).await
    }
}

#[tokio::test]
async fn health_is_open_to_all_and_says_when_calls_are_refused() {
    let server = start().await;
    assert_eq!(server.ask("GET", "/healthz", None).await.0, 200);
    server.core.ready.store(false, Ordering::Relaxed);
    assert_eq!(server.ask("GET", "/healthz", None).await.0, 503);
}

#[tokio::test]
async fn nothing_else_is_shown_without_the_token() {
    let server = start().await;
    let paths = ["/metrics", "/api/openapi.json", "/api/v1/calls", "/api/v1/rooms", "/api/v1/bans", "/x"];
    for path in paths {
        for token in [None, Some("wrong"), Some("")] {
            let (status, head, body) = server.ask("GET", path, token).await;
            assert_eq!(status, 401, "{path} with {token:?}");
            assert!(head.contains("www-authenticate: bearer"), "{head}");
            assert!(body.starts_with('{') && !body.contains("alice"), "{body}");
        }
        let expected = if path == "/x" { 404 } else { 200 };
        assert_eq!(server.get(path).await.0, expected, "{path} with the token");
    }
}

#[tokio::test]
async fn the_lists_are_json() {
    let server = start().await;
    for (path, expected) in [
        (
            "/api/v1/calls",
            r#"[{"id":"c1","from":"sip:alice@localhost","to":"sip:echo@localhost","application":"echo","state":"talking","since":1.5,"codec":null}]"#,
        ),
        ("/api/v1/rooms", r#"[{"name":"conference","members":3,"rate":16000}]"#),
        (
            "/api/v1/registrations",
            r#"[{"aor":"sip:alice@localhost","contact":"sip:alice@127.0.0.1:5070","expires_in":59,"user_agent":"phone","source":"udp:127.0.0.1:5070"}]"#,
        ),
    ] {
        let (status, head, body) = server.get(path).await;
        assert_eq!((status, body.as_str()), (200, expected));
        assert!(head.contains("content-type: application/json"), "{head}");
    }
}

#[tokio::test]
async fn metrics_are_in_the_format_of_prometheus() {
    let server = start().await;
    let (status, head, body) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(body, "# HELP sems_calls Calls in progress\n# TYPE sems_calls gauge\nsems_calls 1\n");
}

#[tokio::test]
async fn the_document_describes_every_path_and_field() {
    let server = start().await;
    let (_, _, document) = server.get("/api/openapi.json").await;
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let schemas = &document["components"]["schemas"];
    for (path, schema) in
        [("/api/v1/calls", "Call"), ("/api/v1/rooms", "Room"), ("/api/v1/registrations", "Registration")]
    {
        assert!(document["paths"][path]["get"].is_object(), "{path}");
        let (_, _, body) = server.get(path).await;
        let list: Vec<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(&body).expect("a list");
        let described = schemas[schema]["properties"].as_object().expect("properties");
        for key in list[0].keys() {
            assert!(described.contains_key(key), "{schema}.{key} is not described");
        }
        assert_eq!(described.len(), list[0].len(), "{schema}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let server = start().await;
    let token = server.token.expose().to_owned();
    for (method, path, expected) in
        [("GET", "/api/v1/nothing", 404), ("POST", "/api/v1/calls", 405), ("POST", "/healthz", 405)]
    {
        let (status, head, body) = server.ask(method, path, Some(&token)).await;
        assert_eq!(status, expected, "{method} {path}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["status"], expected);
    }
}

#[tokio::test]
async fn it_stops_when_told_to() {
    let server = start().await;
    server.stop.send(()).expect("still there");
    let ended = tokio::time::timeout(Duration::from_secs(5), server.served).await.expect("in time");
    ended.expect("no panic").expect("no error");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_ban_is_shown_and_lifted() {
    let server = start().await;
    let (status, _, body) = server.get("/api/v1/bans").await;
    assert_eq!(status, 200);
    let expected =
        r#"[{"source":"198.51.100.7","reason":"wrong credentials","since":2.0,"expires_in":9,"ignored":4}]"#;
    assert_eq!(body, expected);
    let token = Some(server.token.expose());
    assert_eq!(server.ask("DELETE", "/api/v1/bans/198.51.100.7", None).await.0, 401);
    assert_eq!(server.ask("DELETE", "/api/v1/bans/198.51.100.7", token).await.0, 204);
    assert_eq!(server.ask("DELETE", "/api/v1/bans/192.0.2.1", token).await.0, 404);
    let (status, head, _) = server.ask("GET", "/api/v1/bans/198.51.100.7", token).await;
    assert!(status == 405 && head.contains("allow: delete"), "{head}");
}

#[tokio::test]
async fn the_messages_of_a_call_are_shown() {
    let server = start().await;
    let (status, _, body) = server.get("/api/v1/calls/a%40b/trace").await;
    assert_eq!(status, 200);
    assert!(
        body.contains("\"remote\":\"198.51.100.7:5061\",\"text\":\"OPTIONS sip:a@b SIP/2.0\\r\\n"),
        "{body}"
    );
    assert_eq!(server.get("/api/v1/calls/x/trace").await.0, 404);
    assert_eq!(server.get("/api/v1/calls/a%40b/trace?format=xml").await.0, 400);
}
