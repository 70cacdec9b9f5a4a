// Sound with a third person in the call: each of the two others hears both, and nobody hears themselves. The physician
// hears them by their own elements; this makes what goes out.

/// Who hears whom.
const HEARS = { patient: ["physician", "guest"], guest: ["physician", "patient"] };
const LOOK_MS = 400;

export class Mixer extends EventTarget {
  #context = new AudioContext({ latencyHint: "interactive" });
  #out = {};
  #heard = {};
  #timer; #began = 0; #runs = false;

  constructor() {
    super();
    for (const who of Object.keys(HEARS)) {
      this.#out[who] = this.#context.createMediaStreamDestination();
      // A voice has one channel; two cost twice.
      this.#out[who].channelCount = 1;
    }
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.resume();
  }

  /// True once sound flows through: a browser may wait for a click, or have nothing to play on.
  get isRunning() { return this.#runs; }

  /// What `who` (`patient`, `guest`) is to hear.
  track(who) { return this.#out[who].stream.getAudioTracks()[0]; }

  /// The voice of `who`, in place of a former one; none with `null`.
  hear(who, track) {
    const former = this.#heard[who];
    if (former?.track === track) return;
    former?.source.disconnect();
    former?.element?.pause();
    delete this.#heard[who];
    if (!track) return;
    const stream = new MediaStream([track]);
    // Chromium gives a remote sound to the audio graph only while an element plays it.
    const element = who === "physician" ? null : Object.assign(new Audio(), { muted: true, srcObject: stream });
    element?.play().catch(() => {});
    const source = this.#context.createMediaStreamSource(stream);
    for (const [listener, voices] of Object.entries(HEARS)) if (voices.includes(who)) source.connect(this.#out[listener]);
    this.#heard[who] = { track, source, element };
  }

  resume() { this.#context.resume().catch(() => {}); }

  stop() {
    clearInterval(this.#timer);
    for (const { element } of Object.values(this.#heard)) if (element) element.srcObject = null;
    this.#heard = {};
    this.#context.close().catch(() => {});
  }

  #look() {
    const now = this.#context.currentTime;
    const runs = this.#context.state === "running" && now > this.#began;
    this.#began = now;
    if (runs === this.#runs) return;
    this.#runs = runs;
    this.dispatchEvent(new CustomEvent("changed"));
  }
}
