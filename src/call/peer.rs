//! The WebRTC side: one peer connection, its codecs, its feedback, its addresses.

use crate::capture_times::CaptureTimes;
use crate::encoder::Encoder;
use crate::estimator::Estimate;
use crate::feedback::{KeyFrameRequests, Plug, Reports, Retransmissions};
use crate::pieces::Encoding;
use crate::policy::{INSTRUMENT_SOUND_ON_THE_WIRE, Sound};
use crate::progress::Sign;
use crate::relay::{Detour, Haste, Relays, Transport, is_relay};
use crate::watched::Watched;
use crate::{AudioSource, CallError, Candidate, Fault, MESSAGE_BYTES_MAX, Settings, VideoSource, now};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{
    CongestionControlBuilder, NackGeneratorBuilder, NackResponderBuilder, Registry, Slot, TwccReceiverBuilder,
    TwccSenderBuilder,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_rtcp_reports, configure_simulcast_extension_headers,
};
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MediaEngine,
};
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceConnectionState,
    RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::RtpSender;

/// Payload types proposed before the far end's offer says otherwise.
pub(crate) const VP8_PAYLOAD_TYPE: u8 = 96;
const H264_PAYLOAD_TYPE: u8 = 102;
pub(crate) const OPUS_PAYLOAD_TYPE: u8 = 111;

/// The stream in which a page finds an instrument's picture and sound.
const INSTRUMENT: &str = "instrument";

/// The stream in which a page finds the voice. Not the picture's: a browser holds back the one for the other of a stream,
/// and a page does that better, only where they would be too far apart (`desk/page/lips.js`).
const VOICE: &str = "voice";

/// Interface addresses used at most: a cabin has a wire, a radio link and perhaps 4G; containers and
/// bridges must not make hundreds of candidate pairs.
const ADDRESSES_MAX: usize = 12;
/// Bytes waiting in one data channel, after which `send` waits.
const CHANNEL_BYTES_WAITING_MAX: usize = 1 << 20;
/// Nothing heard for this long is an interruption.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(3);
/// After this a path is given up. Long, so that an outage of 30 s ends without anyone's doing.
const LOST_AFTER: Duration = Duration::from_secs(75);
/// How often each end proves to be there.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);

/// How much less a candidate is preferred for each step of its relay's transport: 10,000 of 65,536 local preferences
/// (RFC 8445, 5.1.2.1).
const RELAY_RANK: u32 = 10_000 << 8;

/// Lost packets are asked for this often; Chromium answers once a round trip however often it is asked.
const ASK_AGAIN_EVERY: Duration = Duration::from_millis(70);
/// And so many times: 1.4 s.
const ASK_AGAIN_MAX: u16 = 20;

/// What the connection tells the call.
pub(crate) enum PeerNews {
    Sign(Sign),
    Candidate(Candidate),
    /// A relay has something to say.
    Trouble(Fault),
    Channel(Arc<dyn DataChannel>),
    Track(Arc<dyn TrackRemote>),
}

/// The peer connection and what is sent through it.
pub(crate) struct Peer {
    pub(crate) connection: Arc<dyn PeerConnection>,
    pub(crate) relays: Arc<Relays>,
    pub(crate) picture: Arc<TrackLocalStaticRTP>,
    pub(crate) sound: Arc<TrackLocalStaticRTP>,
    pub(crate) picture_ssrc: u32,
    pub(crate) sound_ssrc: u32,
    /// What an instrument sees and hears.
    pub(crate) instrument_picture: Arc<TrackLocalStaticRTP>,
    pub(crate) instrument_sound: Arc<TrackLocalStaticRTP>,
    pub(crate) instrument_picture_ssrc: u32,
    pub(crate) instrument_sound_ssrc: u32,
    /// Camera and instrument.
    pictures: Vec<SentPicture>,
    encoding: tokio::sync::Mutex<Encoding>,
    is_h264: Arc<AtomicBool>,
    /// What is known of the way to the far end.
    pub(crate) line: watch::Receiver<Estimate>,
    /// To be told when each stream's pictures and sound were made.
    pub(crate) capture_times: CaptureTimes,
    /// Bytes of lost packets sent again, and of messages on the data channels, since the start.
    pub(crate) resent_bytes: Arc<AtomicU64>,
    pub(crate) message_bytes: AtomicU64,
    /// Changes whenever the far end asks for a key frame.
    pub(crate) key_frame_asked: Arc<tokio::sync::Notify>,
    /// Likewise for the instrument's picture.
    pub(crate) instrument_key_frame_asked: Arc<tokio::sync::Notify>,
    /// Lets a test's offering end hand over the channels that it made itself.
    #[cfg(test)]
    pub(crate) news: mpsc::Sender<PeerNews>,
}

/// A picture as the library sends it, and with what its track was made.
struct SentPicture {
    sender: Arc<dyn RtpSender>,
    stream: &'static str,
    name: &'static str,
    ssrc: u32,
    /// Of what is sent again.
    again: u32,
}

impl Peer {
    pub(crate) async fn open(call: &Settings, news: mpsc::Sender<PeerNews>) -> Result<Peer, CallError> {
        let mut engine = codecs()?;
        let most = Sound::NEAR.on_the_wire() + INSTRUMENT_SOUND_ON_THE_WIRE;
        let reports = Reports::default();
        let capture_times = CaptureTimes::default();
        let (plug, line) = Plug::new(call.picture_bits_per_second_max + most, now(), reports.spoken_of.clone());
        let resent_bytes = Arc::new(AtomicU64::new(0));
        let (picture_ssrc, sound_ssrc) = (rand::random(), rand::random());
        let (instrument_picture_ssrc, instrument_sound_ssrc) = (rand::random(), rand::random());
        // What this machine makes best; another kind of track takes its place where the far end does not read it.
        let encoding = Encoder::here(&[Encoding::Vp8, Encoding::H264]).encoding();
        let is_h264 = Arc::new(AtomicBool::new(encoding == Encoding::H264));
        let pictures = [picture_ssrc, instrument_picture_ssrc];
        let again = Retransmissions::new(line.clone(), Arc::clone(&resent_bytes), pictures, Arc::clone(&is_h264));
        let requests = KeyFrameRequests::new(instrument_picture_ssrc);
        let key_frame_asked = Arc::clone(&requests.asked);
        let instrument_key_frame_asked = Arc::clone(&requests.asked_of_instrument);
        let registry = feedback(&mut engine, capture_times.clone(), reports, plug, again, requests)?;
        let relays = Arc::new(Relays::new(&call.ice_servers, call.authority_file.as_deref(), news.clone())?);
        let others = call.ice_servers.iter().flat_map(|server| &server.urls).filter(|url| !is_relay(url)).cloned();
        // The account at our own gate: any will do, none would be refused by the library.
        let (username, credential) = ("cabin".to_owned(), "cabin".to_owned());
        let mut servers = vec![
            RTCIceServer { urls: others.collect(), ..Default::default() },
            RTCIceServer { urls: relays.urls(), username, credential },
        ];
        servers.retain(|server| !server.urls.is_empty());
        let policy = if call.relays_only { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
        let configuration =
            RTCConfigurationBuilder::new().with_ice_servers(servers).with_ice_transport_policy(policy).build();
        let settings = SettingEngineBuilder::new()
            .with_ice_timeouts(Some(INTERRUPTED_AFTER), Some(LOST_AFTER), Some(KEEP_ALIVE_EVERY))
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MESSAGE_BYTES_MAX as u32))
            .with_include_loopback_candidate(true)
            // Joining a multicast group fails on a machine without network, and with it every call. Names
            // ending in .local are not needed: such a browser's checks reach us.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // An offer that restarts ICE comes when the network changed: start from the addresses of now.
            .with_discard_local_candidates_during_ice_restart(true)
            .build();
        let haste = Arc::new(Haste::default());
        let handler = Handler { news: news.clone(), relays: Arc::clone(&relays), haste: Arc::clone(&haste) };
        let connection: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(configuration)
                .with_media_engine(engine)
                .with_interceptor_registry(registry)
                .with_setting_engine(settings)
                .with_runtime(Arc::new(Detour(Arc::clone(&relays), haste)))
                .with_handler(Arc::new(handler))
                .with_udp_addrs(vec![EveryInterface])
                .with_data_channel_send_buffer_limit(CHANNEL_BYTES_WAITING_MAX)
                .build()
                .await
                .map_err(refused)?,
        );
        let (video, audio) = (RtpCodecKind::Video, RtpCodecKind::Audio);
        let (again, instrument_again): (u32, u32) = (rand::random(), rand::random());
        let picture = Arc::new(track("cabin", "camera", video, codec(encoding), picture_ssrc, Some(again)));
        let sound = Arc::new(track(VOICE, "microphone", audio, opus(), sound_ssrc, None));
        let instrument_picture = Arc::new(track(
            INSTRUMENT,
            "instrument-picture",
            video,
            codec(encoding),
            instrument_picture_ssrc,
            Some(instrument_again),
        ));
        let instrument_sound =
            Arc::new(track(INSTRUMENT, "instrument-sound", audio, opus(), instrument_sound_ssrc, None));
        // What is switched off is not offered either: the answer says that this end only receives it.
        if call.audio_source != AudioSource::Off {
            connection.add_track(Arc::clone(&sound) as _).await.map_err(refused)?;
        }
        let mut pictures = Vec::new();
        if call.video_source != VideoSource::Off {
            let sender = connection.add_track(Arc::clone(&picture) as _).await.map_err(refused)?;
            pictures.push(SentPicture { sender, stream: "cabin", name: "camera", ssrc: picture_ssrc, again });
        }
        // After the others: an offer's first section of each kind is for camera and microphone.
        if call.audio_source != AudioSource::Off && call.video_source != VideoSource::Off {
            connection.add_track(Arc::clone(&instrument_sound) as _).await.map_err(refused)?;
            let sender = connection.add_track(Arc::clone(&instrument_picture) as _).await.map_err(refused)?;
            let (name, ssrc) = ("instrument-picture", instrument_picture_ssrc);
            pictures.push(SentPicture { sender, stream: INSTRUMENT, name, ssrc, again: instrument_again });
        }
        Ok(Peer {
            connection,
            relays,
            picture,
            sound,
            picture_ssrc,
            sound_ssrc,
            instrument_picture,
            instrument_sound,
            instrument_picture_ssrc,
            instrument_sound_ssrc,
            pictures,
            encoding: tokio::sync::Mutex::new(encoding),
            is_h264,
            line,
            capture_times,
            resent_bytes,
            message_bytes: AtomicU64::new(0),
            key_frame_asked,
            instrument_key_frame_asked,
            #[cfg(test)]
            news,
        })
    }

    /// What the picture is sent as.
    pub(crate) async fn encoding(&self) -> Encoding {
        *self.encoding.lock().await
    }

    /// The far end offered to read these: pictures are sent as the best of them from now on. Before the answer is made:
    /// the library tells retransmissions by the kind of the track.
    pub(crate) async fn follow(&self, offered: &[Encoding]) -> Result<(), CallError> {
        let wanted = Encoder::here(offered).encoding();
        let mut encoding = self.encoding.lock().await;
        if *encoding != wanted {
            for SentPicture { sender, stream, name, ssrc, again } in &self.pictures {
                let other = track(stream, name, RtpCodecKind::Video, codec(wanted), *ssrc, Some(*again));
                sender.replace_track(Arc::new(other)).await.map_err(refused)?;
            }
            *encoding = wanted;
            self.is_h264.store(wanted == Encoding::H264, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The payload types that the two ends agreed on.
    pub(crate) async fn agreed(&self) -> Agreed {
        let encoding = self.encoding().await;
        let mut agreed = Agreed::default();
        for sender in self.connection.get_senders().await {
            let Ok(parameters) = sender.get_parameters().await else { continue };
            for codec in &parameters.rtp_parameters.codecs {
                let (mime, number) = (&codec.rtp_codec.mime_type, codec.payload_type);
                let readable = [(MIME_TYPE_VP8, Encoding::Vp8), (MIME_TYPE_H264, Encoding::H264)];
                if let Some((_, of)) = readable.into_iter().find(|(name, _)| mime.eq_ignore_ascii_case(name)) {
                    if !agreed.readable.contains(&(of, number)) {
                        agreed.readable.push((of, number));
                    }
                } else if mime.eq_ignore_ascii_case(MIME_TYPE_OPUS) {
                    agreed.sound = agreed.sound.or(Some(number));
                }
            }
        }
        agreed.picture = agreed.readable.iter().copied().find(|(of, _)| *of == encoding);
        agreed
    }
}

/// The payload types that the two ends agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Of the picture that is sent.
    pub(crate) picture: Option<(Encoding, u8)>,
    /// Of every picture that may come.
    pub(crate) readable: Vec<(Encoding, u8)>,
    /// Of the sound, both ways.
    pub(crate) sound: Option<u8>,
}

/// The encodings of pictures that an offer names. H.264 only where a picture may be longer than a packet
/// (`packetization-mode=1`, RFC 6184, 6.3), which all browsers offer.
pub(crate) fn offered(sdp: &str) -> Vec<Encoding> {
    let lines = || sdp.lines().map(str::trim);
    let mut found = Vec::new();
    for line in lines().filter_map(|line| line.strip_prefix("a=rtpmap:")) {
        let Some((number, name)) = line.split_once(' ') else { continue };
        let fits = |encoding| match encoding {
            Encoding::Vp8 => true,
            Encoding::H264 => {
                let format = format!("a=fmtp:{number} ");
                lines().any(|line| line.starts_with(&format) && line.contains("packetization-mode=1"))
            }
        };
        let named = [Encoding::Vp8, Encoding::H264].into_iter();
        let named = named.filter(|encoding| {
            name.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(encoding.name())) && fits(*encoding)
        });
        found.extend(named.filter(|encoding| !found.contains(encoding)).collect::<Vec<_>>());
    }
    found
}

/// The library's error as the caller sees it.
pub(crate) fn refused(error: webrtc::error::Error) -> CallError {
    CallError::Refused { why: error.to_string() }
}

fn codec(encoding: Encoding) -> RTCRtpCodec {
    let feedback = [("ccm", "fir"), ("nack", ""), ("nack", "pli")]
        .map(|(typ, parameter)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() });
    RTCRtpCodec {
        mime_type: match encoding {
            Encoding::Vp8 => MIME_TYPE_VP8.to_owned(),
            Encoding::H264 => MIME_TYPE_H264.to_owned(),
        },
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: match encoding {
            Encoding::Vp8 => String::new(),
            // Constrained baseline, level 3.1, and a higher level from who can: what every browser has.
            Encoding::H264 => "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        },
        rtcp_feedback: feedback.into(),
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![],
    }
}

/// VP8 and H.264 with retransmission, and Opus: what every browser has.
fn codecs() -> Result<MediaEngine, CallError> {
    let mut engine = MediaEngine::default();
    let retransmission = |of| RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("apt={of}"),
        rtcp_feedback: vec![],
    };
    for (rtp_codec, payload_type, kind) in [
        (opus(), OPUS_PAYLOAD_TYPE, RtpCodecKind::Audio),
        (codec(Encoding::Vp8), VP8_PAYLOAD_TYPE, RtpCodecKind::Video),
        (retransmission(VP8_PAYLOAD_TYPE), VP8_PAYLOAD_TYPE + 1, RtpCodecKind::Video),
        (codec(Encoding::H264), H264_PAYLOAD_TYPE, RtpCodecKind::Video),
        (retransmission(H264_PAYLOAD_TYPE), H264_PAYLOAD_TYPE + 1, RtpCodecKind::Video),
    ] {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind).map_err(refused)?;
    }
    Ok(engine)
}

/// Everything the two ends tell each other about packets: retransmission, transport-wide feedback both
/// ways with our own rate policy on it, reports, and key frame requests. No pacer: its single queue puts
/// the voice behind key frames.
fn feedback(
    engine: &mut MediaEngine,
    capture_times: CaptureTimes,
    reports: Reports,
    plug: Plug,
    again: Retransmissions,
    requests: KeyFrameRequests,
) -> Result<Registry, CallError> {
    for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
        let transport_wide = RTCPFeedback { typ: "transport-cc".to_owned(), parameter: String::new() };
        engine.register_feedback(transport_wide, kind);
        let uri = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01".to_owned();
        engine.register_header_extension(RTCRtpHeaderExtensionCapability { uri }, kind, None).map_err(refused)?;
    }
    let registry = Registry::new()
        .with(Slot::from(400), Watched::by(capture_times))
        .with(Slot::from(500), Watched::by(reports))
        .with(Slot::CongestionControl, CongestionControlBuilder::new(plug).build())
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build());
    // Requests for lost packets are in the codecs' own feedback. Over a long line a packet is worth asking for some
    // times; what has not come by then comes too late to be shown, and each request takes room on the way back.
    let ask = NackGeneratorBuilder::new().with_interval(ASK_AGAIN_EVERY).with_max_nacks_per_packet(ASK_AGAIN_MAX);
    let registry = registry
        .with(Slot::from(3_500), Watched::by(again))
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::NackGenerator, ask.build());
    configure_simulcast_extension_headers(engine).map_err(refused)?;
    let registry = configure_rtcp_reports(registry);
    // Last of all, so that every other has seen the feedback before.
    Ok(registry.with(Slot::from(20_000), Watched::by(requests)))
}

fn track(
    stream: &str,
    name: &str,
    kind: RtpCodecKind,
    codec: RTCRtpCodec,
    ssrc: u32,
    retransmission: Option<u32>,
) -> TrackLocalStaticRTP {
    TrackLocalStaticRTP::new(MediaStreamTrack::new(
        stream.to_owned(),
        name.to_owned(),
        name.to_owned(),
        kind,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                rtx: retransmission.map(|ssrc| RTCRtpRtxParameters { ssrc }),
                ..Default::default()
            },
            active: true,
            codec,
            ..Default::default()
        }],
    ))
}

/// Every address of the machine as it is now: asked again at each ICE restart, so that a change of network
/// is followed. The wildcard address would do nearly the same, but leaves out loopback, where the desk and
/// a browser on the same machine are, and offers 0.0.0.0 to the far end when there is no network.
struct EveryInterface;

impl ToSocketAddrs for EveryInterface {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> std::io::Result<Self::Iter> {
        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        // Without a list of interfaces a call on this machine still works.
        for interface in rtc::shared::ifaces::ifaces().unwrap_or_default() {
            let Some(ip) = interface.addr.map(|address| address.ip()) else { continue };
            let usable = match ip {
                IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
                // Link-local (fe80::/10) means nothing without its interface, which a candidate cannot say.
                IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unspecified() && (ip.segments()[0] & 0xffc0) != 0xfe80,
            };
            let address = SocketAddr::new(ip, 0);
            if usable && !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
                addresses.push(address);
            }
        }
        Ok(addresses.into_iter())
    }
}

/// Runs on the connection's own task, which must never wait: everything is handed on.
struct Handler {
    news: mpsc::Sender<PeerNews>,
    relays: Arc<Relays>,
    haste: Arc<Haste>,
}

impl Handler {
    fn tell(&self, news: PeerNews) {
        if self.news.try_send(news).is_err() {
            tracing::warn!("the call did not take a change of its connection in time");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, mut event: RTCPeerConnectionIceEvent) {
        let candidate = &mut event.candidate;
        if let Ok(ip) = candidate.address.parse()
            && let Some(transport) = self.relays.transport(SocketAddr::new(ip, candidate.port))
        {
            // Of relays, one over UDP is the best and one over TLS the last: its packets wait for each other.
            let rank = match transport {
                Transport::Udp => 0,
                Transport::Tcp => 1,
                Transport::Tls => 2,
            };
            candidate.priority = candidate.priority.saturating_sub(rank * RELAY_RANK);
        }
        if let Ok(candidate) = event.candidate.to_json() {
            // One transport carries everything (bundle), so the first section stands for all.
            self.tell(PeerNews::Candidate(Candidate {
                candidate: candidate.candidate,
                sdp_mid: None,
                sdp_m_line_index: Some(0),
            }));
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        if matches!(state, RTCIceConnectionState::Connected | RTCIceConnectionState::Completed) {
            self.haste.route_found();
            self.tell(PeerNews::Sign(Sign::RouteFound));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let sign = match state {
            RTCPeerConnectionState::Connected => Sign::Connected,
            RTCPeerConnectionState::Disconnected => Sign::Disconnected,
            RTCPeerConnectionState::Failed => Sign::Failed,
            RTCPeerConnectionState::Closed => Sign::Closed,
            _ => return,
        };
        self.haste.over();
        self.tell(PeerNews::Sign(sign));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(PeerNews::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.tell(PeerNews::Track(track));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_names_its_encodings_in_its_order_and_h264_only_where_pictures_may_be_large() {
        let one = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=0\r\n";
        assert_eq!(offered(one), []);
        let safari = "a=rtpmap:96 h264/90000\r\na=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1\r\n\
                      a=rtpmap:97 rtx/90000\r\na=rtpmap:100 VP8/90000\r\na=rtpmap:101 H264/90000\r\n";
        assert_eq!(offered(safari), [Encoding::H264, Encoding::Vp8]);
        assert_eq!(offered("a=rtpmap:\r\na=rtpmap:1\r\n"), []);
    }
}
