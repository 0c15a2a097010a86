//! Upstreams that are nothing but a socket: they see what a real client really sends.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use credfed_tower::VerifiedBody;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Of HTTP, on one hop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    Http1,
    Http2,
}

/// Forwards as a proxy does, with whatever length the head says.
pub async fn relay(
    request: Request<VerifiedBody<Incoming>>,
    upstream: SocketAddr,
    hop: Version,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut parts, body) = request.into_parts();
    credfed_tower::strip_credentials(&mut parts);
    parts.headers.remove("host");
    parts.uri = format!("http://{upstream}{}", parts.uri.path()).parse().expect("a target");
    parts.version = http::Version::default();
    let client = Client::builder(TokioExecutor::new()).http2_only(hop == Version::Http2).build_http();
    let status = match client.request(Request::from_parts(parts, body)).await {
        Ok(response) => response.status(),
        Err(_) => StatusCode::BAD_GATEWAY,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

/// What arrived until the client was done or went away.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// The head of an HTTP/1 request, empty for HTTP/2.
    pub head: String,
    /// The bytes of the body that arrived.
    pub body: Vec<u8>,
    /// Whether the message was complete: all of Content-Length, the last chunk, or END_STREAM.
    pub complete: bool,
}

/// Accepts one HTTP/1 connection, reads one request, answers 200 when it is complete.
pub async fn http1() -> (SocketAddr, oneshot::Receiver<Seen>) {
    listen(|stream| async move { read_http1(stream).await }).await
}

/// Accepts one HTTP/2 connection and reads one stream, frame by frame.
pub async fn http2() -> (SocketAddr, oneshot::Receiver<Seen>) {
    listen(|stream| async move { read_http2(stream).await }).await
}

async fn listen<F>(
    read: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, oneshot::Receiver<Seen>)
where
    F: Future<Output = Seen> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = tell.send(read(stream).await);
    });
    (address, told)
}

async fn read_http1(mut stream: TcpStream) -> Seen {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = whole_http1(&bytes) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            return seen;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let (head, body) = split_head(&bytes).unwrap_or_default();
    Seen { head, body, complete: false }
}

fn split_head(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end..].to_vec()))
}

fn whole_http1(bytes: &[u8]) -> Option<Seen> {
    let (head, body) = split_head(bytes)?;
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let complete = match field("content-length") {
        Some(length) => body.len() >= length.parse::<usize>().expect("a length"),
        None if field("transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => true,
    };
    complete.then_some(Seen { head, body, complete })
}

async fn read_http2(mut stream: TcpStream) -> Seen {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    let mut seen = Seen::default();
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).await.is_err() {
        return seen;
    }
    // Our settings: none. The client's are acknowledged as they come.
    let _ = stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await;
    let mut frame = [0; 9];
    while stream.read_exact(&mut frame).await.is_ok() {
        let length = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        let (kind, flags) = (frame[3], frame[4]);
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            break;
        }
        match kind {
            SETTINGS if flags & 1 == 0 => {
                let _ = stream.write_all(&[0, 0, 0, SETTINGS, 1, 0, 0, 0, 0]).await;
            }
            DATA => seen.body.extend_from_slice(&payload),
            RST_STREAM => break,
            _ => {}
        }
        if (kind == DATA || kind == HEADERS) && flags & END_STREAM != 0 {
            seen.complete = true;
            // HEADERS on stream 1 with END_STREAM and END_HEADERS: ":status: 200" of the static table.
            let _ = stream.write_all(&[0, 0, 1, HEADERS, 5, 0, 0, 0, 1, 0x88]).await;
            // Whoever closes while something is unread resets the connection, and the answer may be lost: the client
            // closes it when it has the answer.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            break;
        }
    }
    seen
}
