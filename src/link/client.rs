//! The screen's end of an engine's socket.

use std::{io, path::Path};

use tokio::{io::AsyncWriteExt as _, net::UnixStream, sync::mpsc};

use super::{
    frame,
    local::{Client, REQUESTS},
    server::{Approval, Hello},
};
use crate::domain::{crew::Wish, id::StepId};

/// Frames that were read and wait to be taken: the engine's own queue holds the rest.
const READ_AHEAD: usize = 1024;

/// Connects to an engine's control socket.
///
/// # Errors
/// The system's: nobody listens there, or may not be asked.
pub async fn connect(path: &Path, hello: &Hello) -> io::Result<Client> {
    let hello = frame::encode(hello).map_err(io::Error::other)?;
    attach(path, Some(hello)).await
}

/// Connects to a socket for watching. Nothing is ever sent there.
///
/// # Errors
/// As [`connect`]; or the engine belongs to another user than the directory of its socket.
pub async fn watch(path: &Path) -> io::Result<Client> {
    attach(path, None).await
}

/// Says on the approvers' socket that a step may begin, and listens for what becomes of it.
///
/// # Errors
/// As [`connect`].
pub async fn approve(path: &Path, step: Option<StepId>) -> io::Result<Client> {
    let approval = frame::encode(&Approval { approve: step }).map_err(io::Error::other)?;
    attach(path, Some(approval)).await
}

/// Whether somebody takes connections at a socket, and lets this user in. Nothing is said.
#[must_use]
pub fn answers(path: &Path) -> bool {
    let connect = |path: &Path| std::os::unix::net::UnixStream::connect(super::short(path)?.path());
    connect(path).is_ok()
}

/// What a client that came for this says first.
pub fn hello(wish: Wish, name: Option<String>) -> Hello {
    Hello { wish, name }
}

async fn attach(path: &Path, first: Option<Vec<u8>>) -> io::Result<Client> {
    let stream = UnixStream::connect(super::short(path)?.path()).await?;
    let (mut reader, mut writer) = stream.into_split();
    let silent = first.is_none();
    if let Some(first) = first {
        writer.write_all(&first).await?;
    }
    let (requests, mut outgoing) = mpsc::channel::<Vec<u8>>(REQUESTS);
    let (incoming, updates) = mpsc::channel(READ_AHEAD);
    tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if !silent && writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    tokio::spawn(async move {
        loop {
            match frame::read(&mut reader, frame::MAX_FRAME).await {
                Ok(Some(bytes)) => {
                    if incoming.send(bytes).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => return tracing::warn!(%error, "the engine's update can't be decoded"),
            }
        }
    });
    Ok(Client::new(requests, updates))
}
