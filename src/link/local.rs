//! The channel within one process.

use tokio::sync::mpsc;

use super::frame;
use crate::domain::message::{Command, Update};

/// Requests that may wait for the engine; a key press beyond them waits in the screen.
pub(super) const REQUESTS: usize = 64;
/// Updates that may wait for the screen before telemetry is dropped.
const TELEMETRY: usize = 256;
/// Updates that may wait altogether: room for events while the screen is busy drawing.
const UPDATES: usize = 65_536;

/// A screen's end.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::Sender<Vec<u8>>,
    updates: mpsc::Receiver<Vec<u8>>,
}

/// The engine's end of one screen.
#[derive(Debug)]
pub struct Server {
    requests: Option<mpsc::Receiver<Vec<u8>>>,
    updates: mpsc::Sender<Vec<u8>>,
}

/// The engine's end for reading.
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<Vec<u8>>);

/// A connected pair.
pub fn pair() -> (Client, Server) {
    let (requests_in, requests) = mpsc::channel(REQUESTS);
    let (updates, updates_out) = mpsc::channel(UPDATES);
    (Client { requests: requests_in, updates: updates_out }, Server { requests: Some(requests), updates })
}

impl Client {
    pub(super) fn new(requests: mpsc::Sender<Vec<u8>>, updates: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { requests, updates }
    }

    /// Sends a request; waits while the engine is busy. `false` where the engine is gone.
    pub async fn send(&self, request: &Command) -> bool {
        match frame::encode(request) {
            Ok(bytes) => self.requests.send(bytes).await.is_ok(),
            Err(error) => {
                tracing::error!(%error, "a request could not be encoded");
                true
            }
        }
    }

    /// The next update, or none where the engine is gone.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            let bytes = self.updates.recv().await?;
            match frame::decode(&bytes) {
                Ok(update) => return Some(update),
                Err(error) => tracing::error!(%error, "an update could not be decoded"),
            }
        }
    }

    /// The next update if one is there already.
    pub fn try_next(&mut self) -> Option<Update> {
        while let Ok(bytes) = self.updates.try_recv() {
            match frame::decode(&bytes) {
                Ok(update) => return Some(update),
                Err(error) => tracing::error!(%error, "an update could not be decoded"),
            }
        }
        None
    }
}

impl Server {
    /// The reading end; given out once.
    pub fn requests(&mut self) -> Option<Requests> {
        self.requests.take().map(Requests)
    }

    /// Sends an update. Telemetry is dropped while the screen is behind. `false` where the screen is gone, or so far
    /// behind that even an event does not fit: it is dropped then, never waited for, and can come back to a backlog.
    pub fn send(&self, update: &Update) -> bool {
        let behind = self.updates.max_capacity() - self.updates.capacity();
        if behind > TELEMETRY && frame::is_telemetry(update) {
            return true;
        }
        match frame::encode(update) {
            Ok(bytes) => self.updates.try_send(bytes).is_ok(),
            Err(error) => {
                tracing::error!(%error, "an update could not be encoded");
                true
            }
        }
    }
}

impl Requests {
    /// The next request, or none where the screen is gone.
    pub async fn next(&mut self) -> Option<Command> {
        loop {
            let bytes = self.0.recv().await?;
            match frame::decode(&bytes) {
                Ok(request) => return Some(request),
                Err(error) => tracing::error!(%error, "a request could not be decoded"),
            }
        }
    }
}
