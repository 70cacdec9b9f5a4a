//! The page of a call made of a browser alone, and the messages of its two ends: what a platform's server would carry.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

const PAGE: &str = include_str!("page.html");
/// The number of the call whose pictures say when they were made.
pub const CODED: usize = 1_000;
/// A question for messages is answered after so long, with none.
const HEAR: Duration = Duration::from_secs(20);

/// Messages that wait, by whom they are for.
#[derive(Default)]
struct Post {
    waiting: Mutex<HashMap<String, VecDeque<String>>>,
    came: Condvar,
}

impl Post {
    fn say(&self, to: &str, message: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(to.to_owned()).or_default().push_back(message);
        self.came.notify_all();
    }

    fn hear(&self, who: &str, within: Duration) -> Option<String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |waiting: &mut HashMap<String, VecDeque<String>>| waiting.get(who).is_none_or(VecDeque::is_empty);
        let (mut waiting, _) =
            self.came.wait_timeout_while(waiting, within, none).unwrap_or_else(PoisonError::into_inner);
        waiting.get_mut(who)?.pop_front()
    }
}

/// Serves the page and carries messages, as long as the bench runs.
pub struct Exchange {
    post: Arc<Post>,
    port: u16,
    /// Said already, and not yet asked for.
    said: RefCell<Vec<Value>>,
}

impl Exchange {
    /// Listens on a port of its own.
    pub fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let post = Arc::new(Post::default());
        let shared = Arc::clone(&post);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let post = Arc::clone(&shared);
                // A browser that goes away in the middle is no fault of the bench.
                thread::spawn(move || answer(stream, &post).ok());
            }
        });
        Ok(Self { post, port, said: RefCell::default() })
    }

    /// The page's address for one end of a call.
    pub fn page(&self, who: &str, call: usize, (width, height): (u32, u32), bits: u32) -> String {
        // The last call is that of which each picture says when it was made.
        let source = if call == CODED { "code" } else { "camera" };
        format!(
            "http://127.0.0.1:{}/?as={who}&call={call}&source={source}&width={width}&height={height}&bits={bits}",
            self.port
        )
    }

    /// Says something to an end of a call.
    pub fn say(&self, to: &str, call: usize, message: &Value) {
        self.post.say(&format!("{to}{call}"), message.to_string());
    }

    /// What an end says of this name, past or coming.
    pub fn hear(&self, name: &str, within: Duration) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            let place = self.said.borrow().iter().position(|said| !said[name].is_null());
            if let Some(place) = place {
                return Ok(self.said.borrow_mut().remove(place)[name].take());
            }
            let left = until.saturating_duration_since(Instant::now());
            let said = self.post.hear("bench", left).with_context(|| format!("no end says {name}"))?;
            self.said.borrow_mut().push(serde_json::from_str(&said)?);
        }
    }
}

fn answer(stream: TcpStream, post: &Post) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).context("a request")?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, kind, content) = if let Some(to) = target.strip_prefix("/say?to=") {
        post.say(to, String::from_utf8(body)?);
        ("204 No Content", "text/plain", String::new())
    } else if let Some(who) = target.strip_prefix("/hear?as=") {
        match post.hear(who, HEAR) {
            Some(message) => ("200 OK", "application/json", message),
            None => ("204 No Content", "text/plain", String::new()),
        }
    } else if target.starts_with("/?") {
        ("200 OK", "text/html; charset=utf-8", PAGE.to_owned())
    } else {
        ("404 Not Found", "text/plain", String::new())
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
        content.len()
    )?;
    Ok(())
}
