//! A browser as one end of a call: a headless Chromium in the network of that end, with a page that reports.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use link::Namespace;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::end::{End, MESSAGES_MAX};

/// What the pages are made of: this bench's own, and the desk's module that dials.
const PAGE: &str = include_str!("page.html");
const PEER: &str = include_str!("../../../src/desk/page/peer.js");

/// The camera's picture, as long as its movement takes to come back.
const CAMERA_FRAMES: u32 = 16;

/// A running Chromium. Dropping it ends it.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself, which the missing reports told.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a browser in `network` whose files are in `folder`. Where there is `speech`, that is its microphone.
pub async fn open(network: &Namespace, folder: &Path, speech: Option<&Path>) -> Result<End> {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0");
    let (pages, sockets) = network.within(|| Ok::<_, std::io::Error>((listen()?, listen()?)))??;
    let ports = (pages.local_addr()?.port(), sockets.local_addr()?.port());
    let [pages, sockets] = [pages, sockets].map(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let serving = tokio::spawn(serve(pages?));
    std::fs::create_dir_all(folder)?;
    let camera = folder.join("camera.y4m");
    std::fs::write(&camera, busy_picture())?;
    let mut command = Command::new("chromium");
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"])
        .arg(format!("--use-file-for-fake-video-capture={}", camera.display()))
        .arg("--autoplay-policy=no-user-gesture-required")
        .args(["--disable-renderer-backgrounding", "--disable-background-timer-throttling"])
        .arg(format!("--user-data-dir={}", folder.display()))
        .args(speech.map(|speech| format!("--use-file-for-fake-audio-capture={}", speech.display())))
        .arg(format!("http://127.0.0.1:{}/?socket={}&voice={}", ports.0, ports.1, speech.is_some()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    network.place(&mut command)?;
    let browser = Browser(command.spawn().context("chromium (Debian package chromium)")?);
    let (stream, _) = sockets?.accept().await?;
    let mut page = tokio_tungstenite::accept_async(stream).await?;
    let (to, mut told) = mpsc::channel::<Value>(MESSAGES_MAX);
    let (says, from) = mpsc::channel(MESSAGES_MAX);
    tokio::spawn(async move {
        let _running = browser;
        loop {
            tokio::select! {
                message = told.recv() => match message {
                    Some(message) => if page.send(Message::text(message.to_string())).await.is_err() { break },
                    None => break,
                },
                message = page.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let Ok(message) = serde_json::from_str(&text) else { break };
                        if says.send(message).await.is_err() { break }
                    }
                    Some(Ok(_)) => {}
                    _ => break,
                },
            }
        }
        serving.abort();
    });
    Ok(End { to, from })
}

/// A browser opens spare connections: each is on its own task.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            let Ok(read) = stream.read(&mut request).await else { return };
            let (kind, body) = match request[..read].starts_with(b"GET /peer.js") {
                true => ("text/javascript", PEER),
                false => ("text/html", PAGE),
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nConnection: close");
            // A browser that went away needs no answer.
            let _ =
                stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
        });
    }
}

/// The picture of `call::VideoSource::BusyPicture` as a file that Chromium plays as a camera: rings that run, in which
/// every pixel changes, so that the encoder needs all that it may spend.
fn busy_picture() -> Vec<u8> {
    let (width, height) = (640_u32, 480_u32);
    let mut file = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420\n").into_bytes();
    for frame in 0..CAMERA_FRAMES {
        file.extend_from_slice(b"FRAME\n");
        for y in 0..height {
            for x in 0..width {
                let (right, down) = (f64::from(x) - 320.0, f64::from(y) - 240.0);
                let cycles = (20.0 * (right * right / 640.0 + down * down / 480.0) + 16.0 * f64::from(frame)) / 256.0;
                file.push((128.0 + 110.0 * (cycles * std::f64::consts::TAU).sin()) as u8);
            }
        }
        file.resize(file.len() + (width * height / 2) as usize, 128);
    }
    file
}
