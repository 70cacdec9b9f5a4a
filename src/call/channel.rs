//! Reading the data channels that the far end opens.

use crate::{CHANNELS_MAX, CallEvent, Channels, LABEL_BYTES_MAX, MESSAGE_BYTES_MAX, lock};
use std::sync::Arc;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// Reads one channel until it closes. The caller's full queue holds this task, which holds the channel,
/// which holds the page: nothing piles up here.
pub(crate) async fn read(channel: Arc<dyn DataChannel>, channels: Channels, events: mpsc::Sender<CallEvent>) {
    let Ok(label) = channel.label().await else { return };
    if label.len() > LABEL_BYTES_MAX {
        tracing::warn!("a data channel with a label of {} bytes was refused", label.len());
        let _ = channel.close().await;
        return;
    }
    let mut open = false;
    while let Some(event) = channel.poll().await {
        let event = match event {
            DataChannelEvent::OnOpen if !open => {
                if !register(&channels, &label, &channel) {
                    tracing::warn!("a data channel beyond the limit, or a second of one label, was refused");
                    let _ = channel.close().await;
                    return;
                }
                open = true;
                CallEvent::ChannelOpen { channel: label.clone() }
            }
            DataChannelEvent::OnMessage(message) if message.data.len() > MESSAGE_BYTES_MAX => {
                tracing::warn!("a message of {} bytes was refused", message.data.len());
                continue;
            }
            DataChannelEvent::OnMessage(message) => {
                CallEvent::Data { channel: label.clone(), bytes: message.data.freeze(), text: message.is_string }
            }
            DataChannelEvent::OnClose => break,
            _ => continue,
        };
        if events.send(event).await.is_err() {
            break;
        }
    }
    if open {
        lock(&channels).remove(&label);
        let _ = events.send(CallEvent::ChannelClosed { channel: label }).await;
    }
}

fn register(channels: &Channels, label: &str, channel: &Arc<dyn DataChannel>) -> bool {
    let mut channels = lock(channels);
    let fits = channels.len() < CHANNELS_MAX && !channels.contains_key(label);
    if fits {
        channels.insert(label.to_owned(), Arc::clone(channel));
    }
    fits
}
