//! HTTP: health, metrics and the read-only API.
//!
//! It shows what [`Snapshots`] shows and owns no state. `/healthz` is open to all; everything else wants the
//! token that lies in a file of the data folder, readable by its owner alone (RFC 6750 section 2.1).
//!
//! ```no_run
//! # async fn start(snapshots: std::sync::Arc<dyn sems_core::snapshot::Snapshots>) -> std::io::Result<()> {
//! let token = sems_web::Token::open("var/api.token".as_ref())?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! sems_web::serve(listener, sems_web::State::new(snapshots, token), std::future::pending()).await
//! # }
//! ```

mod api;
mod listener;
mod metrics;
mod openapi;
mod pcap;
mod problem;
mod router;
mod token;

use std::{future::Future, io, sync::Arc};

use sems_core::snapshot::Snapshots;
use tokio::net::TcpListener;

pub use router::router;
pub use token::Token;

/// What requests are answered from; cheap to clone.
#[derive(Clone)]
pub struct State {
    snapshots: Arc<dyn Snapshots>,
    token: Token,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl State {
    /// Shows `snapshots` to whoever has `token`.
    pub fn new(snapshots: Arc<dyn Snapshots>, token: Token) -> Self {
        Self { snapshots, token }
    }
}

/// Answers requests until `shutdown`, then those under way.
///
/// # Errors
/// None that a client causes.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener::Limited::new(listener), router(state)).with_graceful_shutdown(shutdown).await
}
