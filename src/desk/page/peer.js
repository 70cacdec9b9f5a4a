// One connection with an end that answers (the cabin, a guest): its data channels, made here, with exactly the options of
// the protocol, what goes out on it, the offers, and dialling anew when it does not come up or fails.

const LIVE_LIFETIME_MS = 500;
const CONNECT_MAX_MS = 12000;
const FAILED_WAIT_MS = 4000;
// An unanswered offer of a path means that the cabin is cut off from the desk too: this connection waits for it.
const ANSWER_WAIT_MS = 60000;
// A path that both ends agreed on is found within this time, or another is asked for, each time after twice as long.
const PATH_WAIT_MS = 1500;
const PATH_WAIT_MAX_MS = 12000;

/// Towards the cabin. What an instrument sees and hears comes in the last two sections, in a stream called `instrument`.
const TO_CABIN = {
  channels: [
    ["record", { ordered: true }], ["live", { ordered: false, maxPacketLifeTime: LIVE_LIFETIME_MS }],
    ["documents", { ordered: true }], ["ecg", { ordered: true }], ["recordings", { ordered: true }],
  ],
  sections: [["audio", "sendrecv"], ["video", "sendrecv"], ["audio", "recvonly"], ["video", "recvonly"]],
};
/// Towards a guest: sound and the patient's picture, then the physician's picture.
export const TO_GUEST = {
  channels: [["lines", { ordered: true }]],
  sections: [["audio", "sendrecv"], ["video", "sendrecv"], ["video", "sendonly"]],
};

export class Peer extends EventTarget {
  #pc = null;
  #send; #ticket; #shape;
  /// What goes out, by section; a section that sends nothing yet may send later.
  #tracks = [];
  #stream = new MediaStream();
  #early = [];
  #watch = 0;
  #pathWait = 0;
  #closed = false;
  channels = {};
  /// The desk's servers, for the next connection.
  iceServers = [];

  /// `send` gives a message to the desk.
  constructor(send, ticket, shape = TO_CABIN) {
    super();
    [this.#send, this.#ticket, this.#shape] = [send, ticket, shape];
  }

  /// Sends this track in a section from now on, in this connection and the next ones; `null` sends nothing.
  async carry(section, track) {
    const former = this.#tracks[section] ?? null;
    if (former === track) return;
    this.#tracks[section] = track;
    const transceiver = this.#pc?.getTransceivers()[section];
    if (!transceiver) return;
    // A section that was offered only to receive is another offer.
    if (!transceiver.direction.startsWith("send")) { if (track) await this.dial(); return; }
    await transceiver.sender.replaceTrack(track).catch(() => this.dial());
  }

  /// A new connection with a new offer; the former one, if any, is dropped.
  async dial() {
    this.#drop();
    if (this.#closed) return;
    const pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    this.#pc = pc;
    this.#early = [];
    const channel = (label, options) => {
      const made = pc.createDataChannel(label, options);
      made.binaryType = "arraybuffer";
      made.onopen = () => this.#say("channel", label);
      made.onmessage = (event) => this.#say(label, event.data);
      this.channels[label] = made;
    };
    for (const [label, options] of this.#shape.channels) channel(label, options);
    this.#shape.sections.forEach(([kind, direction], section) => {
      const track = this.#tracks[section] ?? null;
      // Where the physician has no camera the cabin is not promised a picture.
      const only = direction === "sendrecv" && !track && this.#shape === TO_CABIN ? "recvonly" : direction;
      pc.addTransceiver(track ?? kind, { direction: only, streams: [this.#stream] });
    });
    pc.ontrack = (event) => this.#say("track", event);
    pc.onicecandidate = ({ candidate }) => this.#send({
      type: "candidate", ticket: this.#ticket, candidate: candidate?.candidate ?? "",
      ...(candidate?.sdpMid != null && { sdp_mid: candidate.sdpMid }),
      ...(candidate?.sdpMLineIndex != null && { sdp_m_line_index: candidate.sdpMLineIndex }),
      ...(candidate?.usernameFragment != null && { username_fragment: candidate.usernameFragment }),
    });
    pc.onconnectionstatechange = () => this.#state(pc);
    this.#within(pc, CONNECT_MAX_MS, () => this.dial());
    await this.#offer(pc);
  }

  /// Another path for the same connection: after our own change of network, or the cabin's.
  async restartIce() {
    if (!this.#pc || this.#pc.connectionState === "closed" || this.#pc.signalingState !== "stable") return this.dial();
    this.#pc.restartIce();
    return this.#offer(this.#pc);
  }

  async answer(sdp) {
    const pc = this.#pc;
    if (!pc || pc.signalingState !== "have-local-offer") return;
    // Offers of a cut line arrive together when it is back, and so do their answers: only that to the present one counts.
    const offer = sdp.match(/^a=x-offer:(\S+)/m)?.[1];
    if (offer && !pc.localDescription.sdp.includes(`a=ice-ufrag:${offer}\r\n`)) return;
    try {
      const again = pc.remoteDescription !== null && pc.connectionState !== "connected";
      await pc.setRemoteDescription({ type: "answer", sdp });
      if (again) {
        this.#pathWait = Math.min(this.#pathWait * 2 || PATH_WAIT_MS, PATH_WAIT_MAX_MS);
        this.#within(pc, this.#pathWait, () => this.restartIce());
      }
      for (const candidate of this.#early.splice(0)) await pc.addIceCandidate(candidate).catch(() => {});
    } catch {
      // An answer to a former offer: dial anew rather than stay between two.
      if (pc === this.#pc) this.dial();
    }
  }

  async candidate(message) {
    if (!message.candidate || !this.#pc) return;
    const candidate = { candidate: message.candidate, sdpMid: message.sdp_mid, sdpMLineIndex: message.sdp_m_line_index, usernameFragment: message.username_fragment };
    if (!this.#pc.remoteDescription) { if (this.#early.length < 64) this.#early.push(candidate); return; }
    await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  stats() { return this.#pc?.getStats() ?? Promise.resolve(new Map()); }

  close() { this.#closed = true; this.#drop(); }

  async #offer(pc) {
    await pc.setLocalDescription();
    if (pc === this.#pc) this.#send({ type: "sdp", ticket: this.#ticket, kind: "offer", sdp: pc.localDescription.sdp });
  }

  /// Does something about a connection that is not up after this time.
  #within(pc, ms, act) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => { if (pc === this.#pc && pc.connectionState !== "connected") act(); }, ms);
  }

  #state(pc) {
    if (pc !== this.#pc) return;
    // While it connects, the watch goes on.
    if (pc.connectionState === "connected") { clearTimeout(this.#watch); this.#pathWait = 0; }
    if (pc.connectionState === "failed") {
      if (pc.signalingState !== "have-local-offer" || !pc.remoteDescription) return this.dial();
      this.#within(pc, ANSWER_WAIT_MS, () => this.dial());
    }
    // Wi-Fi that changed comes back by itself within seconds, or never.
    if (pc.connectionState === "disconnected") this.#within(pc, this.#pathWait || FAILED_WAIT_MS, () => this.restartIce());
    this.#say("state", pc.connectionState);
  }

  #drop() {
    clearTimeout(this.#watch);
    if (!this.#pc) return;
    const pc = this.#pc;
    this.#pc = null;
    pc.onconnectionstatechange = pc.onicecandidate = pc.ontrack = null;
    for (const channel of Object.values(this.channels)) channel.onopen = channel.onmessage = null;
    this.channels = {};
    pc.close();
  }

  #say(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
