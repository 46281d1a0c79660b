//! The OpenAPI document of the paths in [`router`](crate::router()).

use axum::Json;
use serde_json::{Value, json};

pub(crate) async fn document() -> Json<Value> {
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "sems", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "token": [] }],
        "paths": {
            "/healthz": { "get": {
                "summary": "Whether new calls are taken",
                "security": [],
                "responses": {
                    "200": { "description": "They are" },
                    "503": { "description": "They are not: starting or draining" },
                },
            } },
            "/metrics": { "get": {
                "summary": "Counters in the text format of Prometheus",
                "responses": { "200": { "description": "The counters", "content": { "text/plain": {} } } },
            } },
            "/api/v1/calls": listing("The calls in progress", "Call"),
            "/api/v1/calls/{call}/trace": trace(),
            "/api/v1/rooms": listing("The conference rooms with somebody in them", "Room"),
            "/api/v1/registrations": listing("The registrations that have not expired", "Registration"),
            "/api/v1/bans": listing("The sources that are not listened to", "Ban"),
            "/api/v1/bans/{source}": ban(),
        },
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Call": object(&[
                    ("id", "string"), ("from", "string"), ("to", "string"), ("application", "string|null"),
                    ("state", "string"), ("since", "number"), ("codec", "string|null"),
                ]),
                "Room": object(&[("name", "string"), ("members", "integer"), ("rate", "integer")]),
                "Registration": object(&[
                    ("aor", "string"), ("contact", "string"), ("expires_in", "integer"),
                    ("user_agent", "string"), ("source", "string"),
                ]),
                "Message": object(&[
                    ("at", "number"), ("sent", "boolean"), ("transport", "string"), ("local", "string"),
                    ("remote", "string"), ("text", "string"),
                ]),
                "Ban": object(&[
                    ("source", "string"), ("reason", "string"), ("since", "number"),
                    ("expires_in", "integer"), ("ignored", "integer"),
                ]),
                "Problem": object(&[("status", "integer"), ("title", "string")]),
            },
        },
    }))
}

fn trace() -> Value {
    json!({ "get": {
        "summary": "The SIP messages of a call, by its id or a Call-ID, also of one that ended lately",
        "parameters": [
            { "name": "call", "in": "path", "required": true, "schema": { "type": "string" } },
            { "name": "format", "in": "query", "schema": { "enum": ["json", "pcap"] } },
        ],
        "responses": {
            "200": { "description": "Them", "content": {
                "application/json": { "schema": {
                    "type": "array", "items": { "$ref": "#/components/schemas/Message" },
                } },
                "application/vnd.tcpdump.pcap": {},
            } },
            "404": { "description": "None are kept" },
        },
    } })
}

fn ban() -> Value {
    json!({ "delete": {
        "summary": "End the ban of an address",
        "parameters": [{
            "name": "source", "in": "path", "required": true, "schema": { "type": "string" },
        }],
        "responses": {
            "204": { "description": "It is heard again" },
            "404": { "description": "It was not banned" },
        },
    } })
}

fn listing(summary: &str, schema: &str) -> Value {
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "get": {
        "summary": summary,
        "responses": {
            "200": {
                "description": "All of them",
                "content": { "application/json": { "schema": { "type": "array", "items": schema } } },
            },
            "401": {
                "description": "No token, or a wrong one",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    } })
}

/// An object all of whose properties are always there; `string|null` may be either.
fn object(properties: &[(&str, &str)]) -> Value {
    let types = |text: &str| match text.split_once('|') {
        Some((one, other)) => json!({ "type": [one, other] }),
        None => json!({ "type": text }),
    };
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> =
        properties.iter().map(|(name, kind)| ((*name).to_owned(), types(kind))).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}
