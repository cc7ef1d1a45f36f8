//! A loopback server for tests that misbehaves as told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How one request is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes, then the connection ends.
    Bytes(Vec<u8>),
    /// These bytes, then this chunk for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, then one more every so often.
    Drip(Vec<u8>, Duration),
    /// Nothing, and the connection stays.
    Hang,
    /// Nothing, and the connection ends.
    Close,
}

impl Reply {
    pub(super) fn http(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::with(status, &[("Content-Type", content_type)], body)
    }

    pub(super) fn with(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len())
                .into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        Self::Bytes(bytes)
    }

    pub(super) fn json(body: impl AsRef<[u8]>) -> Self {
        Self::http("200 OK", "application/json", body)
    }

    pub(super) fn text(body: impl AsRef<[u8]>) -> Self {
        Self::http("200 OK", "text/plain; version=0.0.4", body)
    }
}

/// The requests a server has seen, whole.
pub(super) type Requests = Arc<Mutex<Vec<String>>>;

/// Serves until the test's runtime ends. The handler gets the request, head and body.
pub(super) async fn serve(handler: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, handler) = (Requests::default(), Arc::new(handler));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer::<TcpStream>(
                stream,
                Arc::clone(&handler) as Arc<dyn Fn(&str) -> Reply + Send + Sync>,
                Arc::clone(&seen),
            ));
        }
    });
    (address, requests)
}

/// Answers one request on a connection of any kind.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    handler: Arc<dyn Fn(&str) -> Reply + Send + Sync>,
    seen: Requests,
) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = handler(&request);
    seen.lock().unwrap().push(request);
    match reply {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Reply::Endless(head, chunk) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(&chunk).await.is_ok() {}
        }
        Reply::Drip(head, every) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(b"x").await.is_ok() {
                let _ = stream.flush().await;
                tokio::time::sleep(every).await;
            }
        }
        Reply::Hang => std::future::pending().await,
        Reply::Close => {}
    }
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => request.extend(&chunk[..n]),
            _ => return None,
        }
    }
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}
