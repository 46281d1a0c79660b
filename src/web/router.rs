//! Which path is what, and who may see it.

use axum::{
    Router,
    extract::{Request, State as Extract},
    http::header,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get},
};

use crate::{State, api, openapi, problem::Problem};

/// All paths.
pub fn router(state: State) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(api::metrics))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/v1/calls", get(api::calls))
        .route("/api/v1/calls/{call}/trace", get(api::trace))
        .route("/api/v1/rooms", get(api::rooms))
        .route("/api/v1/registrations", get(api::registrations))
        .route("/api/v1/bans", get(api::bans))
        .route("/api/v1/bans/{source}", delete(api::lift_ban))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(state.clone(), authorize));
    let open = Router::new()
        .route("/healthz", get(api::health))
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed });
    open.merge(guarded).with_state(state)
}

async fn authorize(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.is_some_and(|given| state.token.opens(given)) {
        next.run(request).await
    } else {
        Problem::Unauthorized.into_response()
    }
}
