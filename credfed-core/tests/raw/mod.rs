//! A server that is nothing but a socket, so that it can do what no server should.
#![allow(dead_code, reason = "each test uses its own")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::sync::{Arc, Mutex};

use futures::channel::oneshot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers one connection with these bytes and closes it. Gives the URL, and the head of the request.
pub(crate) async fn serve(answer: &[u8]) -> (String, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query=canary", listener.local_addr().unwrap());
    let (sender, receiver) = oneshot::channel();
    let answer = answer.to_vec();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = head(&mut socket).await;
        let _ = sender.send(head);
        finish(socket, &answer).await;
    });
    (url, receiver)
}

/// What the server does to one connection.
#[derive(Clone)]
pub(crate) enum Deed {
    /// Reads the request, answers these bytes and closes.
    Answer(Vec<u8>),
    /// Answers at once, without a look at what is sent.
    Babble(Vec<u8>),
    /// Reads the request and resets the connection.
    Reset,
    /// Reads the request, answers some bytes, each by itself, and then lets the time run out.
    Stall(Vec<u8>),
}

/// A server that takes one connection after the other; the last deed goes on for ever.
pub(crate) struct Raw {
    pub(crate) authority: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    pub(crate) async fn new(deeds: Vec<Deed>, time_out: impl Fn() + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut deeds = deeds.into_iter().peekable();
            let mut held = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let deed = if deeds.len() > 1 { deeds.next() } else { deeds.peek().cloned() };
                match deed.unwrap() {
                    Deed::Babble(bytes) => {
                        seen.lock().unwrap().push(String::new());
                        tokio::spawn(async move { finish(socket, &bytes).await });
                    }
                    Deed::Answer(bytes) => {
                        let request = request(&mut socket).await;
                        seen.lock().unwrap().push(request);
                        tokio::spawn(async move { finish(socket, &bytes).await });
                    }
                    Deed::Reset => {
                        let request = request(&mut socket).await;
                        seen.lock().unwrap().push(request);
                        socket.set_zero_linger().unwrap();
                    }
                    Deed::Stall(bytes) => {
                        let request = request(&mut socket).await;
                        seen.lock().unwrap().push(request);
                        for byte in bytes {
                            let _ = socket.write_all(&[byte]).await;
                            tokio::task::yield_now().await;
                        }
                        held.push(socket);
                        time_out();
                    }
                }
            }
        });
        Self { authority, requests }
    }

    /// Head and body of each request, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Writes the bytes and closes. A reset on close could overtake them: waits for the client to hang up.
async fn finish(mut socket: TcpStream, bytes: &[u8]) {
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

async fn request(socket: &mut TcpStream) -> String {
    let head = head(socket).await;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    let _ = socket.read_exact(&mut body).await;
    head + &String::from_utf8_lossy(&body)
}

pub(crate) async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
