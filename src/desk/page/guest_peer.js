// The guest's end of the connection with the physician's page: it answers every offer. See "The third seat" in PROTOCOL.md.

/// Sections of the offer, in order.
const [SOUND, PICTURE, PHYSICIAN] = [0, 1, 2];
const NAMES = { [SOUND]: "sound", [PICTURE]: "patient", [PHYSICIAN]: "physician" };

export class GuestPeer extends EventTarget {
  #send; #ticket; #pc = null; #print = ""; #early = []; #turn = Promise.resolve();
  lines = null;
  stream = new MediaStream();
  iceServers = [];

  /// `send` gives a message to the desk.
  constructor(send, ticket) {
    super();
    [this.#send, this.#ticket] = [send, ticket];
  }

  get isOpen() { return this.#pc !== null; }

  get isConnected() { return this.#pc?.connectionState === "connected"; }

  /// One offer after the other.
  offer(sdp) { this.#turn = this.#turn.then(() => this.#answer(sdp)).catch(() => this.#send({ type: "restart_ice", ticket: this.#ticket })); }

  candidate(message) {
    if (!message.candidate) return;
    const candidate = { candidate: message.candidate, sdpMid: message.sdp_mid, sdpMLineIndex: message.sdp_m_line_index, usernameFragment: message.username_fragment };
    this.#turn = this.#turn.then(async () => {
      if (!this.#pc?.remoteDescription) { if (this.#early.length < 64) this.#early.push(candidate); return; }
      await this.#pc.addIceCandidate(candidate).catch(() => {});
    });
  }

  close() {
    const pc = this.#pc;
    this.#pc = this.lines = null;
    if (!pc) return;
    pc.ontrack = pc.onicecandidate = pc.onconnectionstatechange = pc.ondatachannel = null;
    pc.close();
  }

  async #answer(sdp) {
    // A page that dialled anew, or was loaded again, has another certificate.
    const print = sdp.match(/^a=fingerprint:(.*)$/m)?.[1] ?? "";
    if (!this.#pc || print !== this.#print || ["failed", "closed"].includes(this.#pc.connectionState)) this.#begin();
    this.#print = print;
    const pc = this.#pc;
    await pc.setRemoteDescription({ type: "offer", sdp });
    const sections = pc.getTransceivers();
    for (const [section, kind] of [[SOUND, "audio"], [PICTURE, "video"]]) {
      const track = this.stream.getTracks().find((candidate) => candidate.kind === kind);
      if (!track || sections[section].sender.track === track) continue;
      sections[section].direction = "sendrecv";
      await sections[section].sender.replaceTrack(track);
    }
    await pc.setLocalDescription();
    if (pc !== this.#pc) return;
    const offer = sdp.match(/^a=ice-ufrag:(\S+)/m)?.[1] ?? "";
    const answer = pc.localDescription.sdp.replace(/^t=.*\r\n/m, (line) => `${line}a=x-offer:${offer}\r\n`);
    this.#send({ type: "sdp", ticket: this.#ticket, kind: "answer", sdp: answer });
    for (const candidate of this.#early.splice(0)) await pc.addIceCandidate(candidate).catch(() => {});
  }

  #begin() {
    this.close();
    const pc = this.#pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    pc.ontrack = ({ track, transceiver }) => this.#say("track", { track, what: NAMES[pc.getTransceivers().indexOf(transceiver)] });
    pc.onicecandidate = ({ candidate }) => this.#send({
      type: "candidate", ticket: this.#ticket, candidate: candidate?.candidate ?? "",
      ...(candidate?.sdpMid != null && { sdp_mid: candidate.sdpMid }),
      ...(candidate?.sdpMLineIndex != null && { sdp_m_line_index: candidate.sdpMLineIndex }),
      ...(candidate?.usernameFragment != null && { username_fragment: candidate.usernameFragment }),
    });
    pc.onconnectionstatechange = () => { if (pc === this.#pc) this.#say("state", pc.connectionState); };
    pc.ondatachannel = ({ channel }) => {
      if (channel.label !== "lines") return;
      this.lines = channel;
      channel.onmessage = ({ data }) => this.#say("line", data);
    };
  }

  #say(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
