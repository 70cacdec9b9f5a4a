//! Who looks at packets between the library and the line, and lets them pass.

use rtc::interceptor::{Interceptor, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use std::collections::VecDeque;
use std::time::Instant;

/// Looks at packets.
pub(crate) trait Watch: Send + Sync + 'static {
    /// One comes from the far end. False: nobody further in sees it.
    fn comes(&mut self, _packet: &mut TaggedPacket) -> bool {
        true
    }

    /// One leaves.
    fn leaves(&mut self, _packet: &mut TaggedPacket) {}
}

/// An interceptor that does what its watch says and nothing else.
pub(crate) struct Watched<W> {
    watch: W,
    incoming: VecDeque<TaggedPacket>,
    outgoing: VecDeque<TaggedPacket>,
}

impl<W> Watched<W> {
    pub(crate) fn by(watch: W) -> Self {
        Watched { watch, incoming: VecDeque::new(), outgoing: VecDeque::new() }
    }
}

impl<W: Watch> Protocol<TaggedPacket, TaggedPacket, ()> for Watched<W> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = rtc::shared::error::Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Self::Error> {
        if self.watch.comes(&mut packet) {
            self.incoming.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.incoming.pop_front()
    }

    fn handle_write(&mut self, mut packet: TaggedPacket) -> Result<(), Self::Error> {
        self.watch.leaves(&mut packet);
        self.outgoing.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.outgoing.pop_front()
    }
}

impl<W: Watch> Interceptor for Watched<W> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
