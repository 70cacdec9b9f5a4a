//! What pipelines tell the call.

use crate::{Fault, Part};
use tokio::sync::mpsc;

/// What pipelines tell the call.
#[derive(Debug)]
pub(crate) enum MediaNews {
    /// The capture of the picture stopped: camera unplugged, driver error.
    PictureLost(String),
    /// The capture of the sound stopped.
    SoundLost(String),
    /// The loudspeaker stopped.
    LoudspeakerLost(String),
    /// The far end's picture or sound could not be decoded; the pipeline is being built again.
    Undecodable(String),
    /// What an instrument gives could not be encoded.
    InstrumentLost(String),
    /// The instrument's own picture or sound was closed.
    InstrumentClosed(crate::studio::Feed, u64),
    /// A device that is missing may be there now.
    Plugged(Part),
    /// Something a person should know of, found while starting.
    Notice(Fault),
}

impl MediaNews {
    /// What a pipeline is given to say that it broke. A full queue holds enough errors already.
    pub(crate) fn sender(
        news: &mpsc::Sender<MediaNews>,
        lost: fn(String) -> MediaNews,
    ) -> impl Fn(String) + Send + Sync + 'static {
        let news = news.clone();
        move |why| {
            let _ = news.try_send(lost(why));
        }
    }
}
