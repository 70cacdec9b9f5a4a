//! How whoever holds a simulator commands it: its thread obeys between two waits.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};

struct Order<T> {
    line: String,
    answer: Sender<Result<T, String>>,
}

/// The hand on a simulator's thread; `T` is what it answers. Dropped, it waits for the thread's end.
pub(crate) struct Hand<T> {
    orders: Option<Sender<Order<T>>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Hand<T> {
    /// Starts `run` on a thread of that name: it is to end when [`Orders::obey`] says so.
    pub(crate) fn on(name: String, run: impl FnOnce(Orders<T>) + Send + 'static) -> std::io::Result<Hand<T>> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, inbox) = mpsc::channel();
        let orders = Orders { inbox, wake: wake.clone() };
        let thread = std::thread::Builder::new().name(name).spawn(move || run(orders))?;
        Ok(Hand { orders: Some(sender), wake, thread: Some(thread) })
    }
}

impl<T> Hand<T> {
    /// Has a command done; returns when it is done.
    pub(crate) fn command(&self, line: &str) -> Result<T, String> {
        let (answer, answered) = mpsc::channel();
        let gone = || "the simulator has ended".to_owned();
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(Order { line: line.to_owned(), answer }).map_err(|_| gone())?;
        self.wake();
        answered.recv().map_err(|_| gone())?
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl<T> Drop for Hand<T> {
    fn drop(&mut self) {
        self.orders = None;
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by its thread.
            let _ = thread.join();
        }
    }
}

/// What reaches the thread.
pub(crate) struct Orders<T> {
    inbox: Receiver<Order<T>>,
    wake: Arc<OwnedFd>,
}

impl<T> Orders<T> {
    /// Has all that was ordered done. False: nobody holds the simulator any more.
    pub(crate) fn obey(&self, mut obey: impl FnMut(&str) -> Result<T, String>) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(order) => {
                    let answer = obey(&order.line);
                    // Whoever asked may have gone.
                    let _ = order.answer.send(answer);
                }
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Waits for an order, for something on that cable, or so long.
    pub(crate) fn wait(&self, cable: Option<BorrowedFd<'_>>, longest: Option<Duration>) {
        // Longer than its numbers can say is without end.
        let timeout = longest.and_then(|longest| Timespec::try_from(longest).ok());
        let mut fds = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        if let Some(cable) = &cable {
            fds.push(PollFd::new(cable, PollFlags::IN));
        }
        // Interrupted or not, everything is looked at again.
        let _ = poll(&mut fds, timeout.as_ref());
        if !fds[0].revents().is_empty() {
            let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        }
    }
}
