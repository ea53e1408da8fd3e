//! The framework's limit: an axum handler that does nothing but the JSON.
//!
//! It runs in a process of its own (the bench executable with the hidden
//! subcommand [`SUBCOMMAND`]), as the measured service does, so that both are
//! scheduled, reached and sampled alike.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::post;
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};

/// The hidden subcommand; its one argument is the address to listen on.
pub(crate) const SUBCOMMAND: &str = "bare-server";

/// The create call's path, the one route of this server.
pub(crate) const CREATE_PATH: &str = "/koodrive/ose/v1/task/create";

/// All the fields of a create call, so that the parse costs what it costs the
/// service.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsed for the cost of it, never used")]
struct Create {
    task_type: Option<u8>,
    src_user_id: Option<String>,
    dst_user_id: Option<String>,
    result_id: Option<String>,
    org_id: Option<String>,
    org_user_id: Option<String>,
}

/// The answer, of the same shape and length as the service's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    task_id: String,
    code: u32,
    msg: &'static str,
}

/// Serves until the process is ended, on tokio's default multi-thread runtime.
pub(crate) fn serve(listen: &str) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(listen)
                .await?
                .tap_io(|stream| {
                    // Without it the comparison only loses a little.
                    let _ = stream.set_nodelay(true);
                });
            axum::serve(listener, Router::new().route(CREATE_PATH, post(create))).await
        })
}

/// Parses the body, and answers with the next number of 19 digits.
async fn create(
    body: Bytes,
) -> Result<([(HeaderName, HeaderValue); 1], Vec<u8>), (StatusCode, String)> {
    static NEXT: AtomicU64 = AtomicU64::new(1_534_087_020_903_704_704);

    serde_json::from_slice::<Create>(&body)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let answer = Created {
        task_id: NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
        code: 0,
        msg: "Success.",
    };
    let answer = serde_json::to_vec(&answer)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], answer))
}
