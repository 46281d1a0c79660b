//! What each path answers.

use axum::{
    Json,
    extract::{Path, Query, State as Extract},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sems_core::snapshot::{BanSnapshot, CallSnapshot, RegistrationSnapshot, RoomSnapshot};

use serde::Deserialize;

use crate::{State, metrics, pcap, problem::Problem};

/// 200 when new calls are taken, 503 when not: for load balancers and supervisors.
pub(crate) async fn health(Extract(state): Extract<State>) -> impl IntoResponse {
    if state.snapshots.ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}

pub(crate) async fn metrics(Extract(state): Extract<State>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&state.snapshots.counters()))
}

pub(crate) async fn calls(Extract(state): Extract<State>) -> Json<Vec<CallSnapshot>> {
    Json(state.snapshots.calls())
}

pub(crate) async fn rooms(Extract(state): Extract<State>) -> Json<Vec<RoomSnapshot>> {
    Json(state.snapshots.rooms())
}

pub(crate) async fn registrations(Extract(state): Extract<State>) -> Json<Vec<RegistrationSnapshot>> {
    Json(state.snapshots.registrations())
}

pub(crate) async fn bans(Extract(state): Extract<State>) -> Json<Vec<BanSnapshot>> {
    Json(state.snapshots.bans())
}

/// 204 when the ban is lifted.
pub(crate) async fn lift_ban(
    Extract(state): Extract<State>,
    Path(source): Path<String>,
) -> Result<StatusCode, Problem> {
    if state.snapshots.lift_ban(&source) { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}

/// How a trace is wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Pcap,
}

/// The query of a trace.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    format: Format,
}

pub(crate) async fn trace(
    Extract(state): Extract<State>,
    Path(call): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let messages = state.snapshots.trace(call).await;
    match wanted.format {
        _ if messages.is_empty() => Err(Problem::NotFound),
        Format::Json => Ok(Json(messages).into_response()),
        Format::Pcap => {
            Ok(([(header::CONTENT_TYPE, pcap::CONTENT_TYPE)], pcap::file(&messages)).into_response())
        }
    }
}
