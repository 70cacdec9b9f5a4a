//! A poor line: bytes pass at the speed of so many bits a second, one connection as slow as all of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A line of `bits` a second towards the server, before `to`. Returns its port, and counts what goes through it.
pub fn line(to: String, bits: u64) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let through = Arc::new(AtomicU64::new(0));
    let counted = through.clone();
    std::thread::spawn(move || {
        for outer in listener.incoming().flatten() {
            let (Ok(inner), counted) = (TcpStream::connect(&to), counted.clone()) else { continue };
            let (mut up, mut down) = ((outer.try_clone().unwrap(), inner.try_clone().unwrap()), (inner, outer));
            std::thread::spawn(move || {
                let mut buffer = [0; 1400];
                while let Ok(length @ 1..) = up.0.read(&mut buffer) {
                    // This is the line: its time is what is tested, not waited for.
                    std::thread::sleep(Duration::from_nanos(length as u64 * 8 * 1_000_000_000 / bits));
                    counted.fetch_add(length as u64, Ordering::Relaxed);
                    if up.1.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                let _ = up.1.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut down.0, &mut down.1);
                let _ = down.1.shutdown(Shutdown::Both);
            });
        }
    });
    (port, through)
}
