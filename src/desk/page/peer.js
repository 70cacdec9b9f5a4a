// One call: the peer connection, its data channels (made here, with exactly the options of the protocol), the
// offers, and dialling anew when a connection does not come up or fails.

const LIVE_LIFETIME_MS = 500;
const CONNECT_MAX_MS = 12000;
const FAILED_WAIT_MS = 4000;

export class Peer extends EventTarget {
  #pc = null;
  #send; #ticket;
  #early = [];
  #watch = 0;
  #closed = false;
  channels = {};
  /// The physician's media, and the desk's servers: for the next connection.
  stream = new MediaStream();
  iceServers = [];

  /// `send` gives a message to the desk.
  constructor(send, ticket) {
    super();
    [this.#send, this.#ticket] = [send, ticket];
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
    channel("record", { ordered: true });
    channel("live", { ordered: false, maxPacketLifeTime: LIVE_LIFETIME_MS });
    channel("documents", { ordered: true });
    channel("ecg", { ordered: true });
    channel("recordings", { ordered: true });
    for (const kind of ["audio", "video"]) {
      const track = this.stream.getTracks().find((candidate) => candidate.kind === kind);
      if (track) pc.addTrack(track, this.stream); else pc.addTransceiver(kind, { direction: "recvonly" });
    }
    // What an instrument sees and hears comes beside them, in a stream called `instrument`.
    for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
    pc.ontrack = (event) => this.#say("track", event);
    pc.onicecandidate = ({ candidate }) => this.#send({
      type: "candidate", ticket: this.#ticket, candidate: candidate?.candidate ?? "",
      ...(candidate?.sdpMid != null && { sdp_mid: candidate.sdpMid }),
      ...(candidate?.sdpMLineIndex != null && { sdp_m_line_index: candidate.sdpMLineIndex }),
      ...(candidate?.usernameFragment != null && { username_fragment: candidate.usernameFragment }),
    });
    pc.onconnectionstatechange = () => this.#state(pc);
    this.#watch = setTimeout(() => { if (pc === this.#pc && pc.connectionState !== "connected") this.dial(); }, CONNECT_MAX_MS);
    await this.#offer(pc);
  }

  /// Another path for the same connection: after our own change of network.
  async #restartIce() {
    if (!this.#pc || this.#pc.connectionState === "closed" || this.#pc.signalingState !== "stable") return this.dial();
    this.#pc.restartIce();
    return this.#offer(this.#pc);
  }

  async answer(sdp) {
    const pc = this.#pc;
    if (!pc || pc.signalingState !== "have-local-offer") return;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp });
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

  #state(pc) {
    if (pc !== this.#pc) return;
    // While it connects, the watch of `dial` goes on.
    if (pc.connectionState !== "connecting") clearTimeout(this.#watch);
    if (pc.connectionState === "failed") this.dial();
    // Wi-Fi that changed comes back by itself within seconds, or never.
    if (pc.connectionState === "disconnected") this.#watch = setTimeout(() => { if (pc === this.#pc && pc.connectionState === "disconnected") this.#restartIce(); }, FAILED_WAIT_MS);
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
