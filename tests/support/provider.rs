//! A provider of a key set, over HTTP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Answers every request alike, as a test says.
#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<(StatusCode, String)>,
    asked: AtomicUsize,
}

impl Provider {
    /// On a port of its own, with this answer.
    pub async fn start(status: StatusCode, body: &str) -> Self {
        let shared = Arc::new(Shared {
            answer: Mutex::new((status, body.to_owned())),
            asked: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// As the configuration names it.
    pub fn setting(&self) -> String {
        format!("jwks_url = \"http://{}/jwks\"", self.address)
    }

    /// Has it answer otherwise.
    pub fn answer(&self, status: StatusCode, body: &str) {
        *self.shared.answer.lock().unwrap() = (status, body.to_owned());
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let answer = shared.answer.lock().unwrap().clone();
    let location = [("location", "/elsewhere")];
    (answer.0, location, answer.1).into_response()
}
