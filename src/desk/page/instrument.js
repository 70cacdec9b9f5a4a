// What the cabin's instrument sees and hears, live: the stream `instrument` of the call. Its sound goes through the
// physician's choice of filter and nothing else; its line has a gate of its own, for a murmur must not be judged on
// a sound that the line has patched.

/// A live picture or sound that brings nothing for so long is over.
const OVER_MS = 2500;
const LOOK_MS = 500;
/// The gate looks at the last seconds: packets lost, in hundredths, and jitter, in ms, above which a sound is no sound to judge by.
const GATE_LOOKS = 10;
const LOSS_MAX = 2;
const JITTER_MAX_MS = 50;
/// Sound waits that long, so that a late packet need not be invented.
const BUFFER_MS = 300;
/// Hz: what a stethoscope's bell and diaphragm let through.
const FILTERS = { wide: null, bell: [20, 200], diaphragm: [100, 1000] };
const DRAW_MS = 50;
/// Four seconds.
const WAVE_POINTS = 80;

/// Whether the line is good enough to judge a sound by: from the newest counts and those some seconds before.
export function gate(before, now) {
  const expected = now.received - before.received + Math.max(now.lost - before.lost, 0);
  const loss = expected > 0 ? (100 * Math.max(now.lost - before.lost, 0)) / expected : 100;
  return { loss, jitter: now.jitter, good: loss <= LOSS_MAX && now.jitter <= JITTER_MAX_MS };
}

export class Instrument {
  #$; #video; #receivers = {}; #seen = { picture: 0, sound: 0 }; #counts = []; #sound = null; #timer; #drawing = 0;
  #wave = []; #number = 0;

  #workbench; #was = { picture: false, sound: false };

  constructor($, workbench) {
    [this.#$, this.#workbench] = [$, workbench];
    this.#video = $("instrument-video");
    $("instrument-filter").onchange = () => this.#filter();
    $("instrument-volume").oninput = () => this.#filter();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /// A track of the stream `instrument`.
  track({ track, receiver }) {
    const stream = new MediaStream([track]);
    if (track.kind === "video") {
      this.#receivers.picture = receiver;
      this.#video.srcObject = stream;
      const number = ++this.#number;
      const came = () => {
        if (number !== this.#number) return;
        this.#seen.picture = Date.now();
        this.#video.dataset.pictures = String(Number(this.#video.dataset.pictures ?? 0) + 1);
        this.#show();
        this.#video.requestVideoFrameCallback(came);
      };
      this.#video.requestVideoFrameCallback(came);
      this.#video.play().catch(() => {});
    } else {
      this.#receivers.sound = receiver;
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = BUFFER_MS;
      this.#counts = [];
      this.#hear(stream);
    }
  }

  stop() {
    clearInterval(this.#timer);
    this.#number++;
    this.#silence();
    this.#receivers = {};
    this.#seen = { picture: 0, sound: 0 };
    this.#video.srcObject = null;
    delete this.#video.dataset.pictures;
    this.#show();
  }

  #hear(stream) {
    this.#silence();
    // Chromium gives a remote sound to the audio graph only while an element plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => {});
    const context = new AudioContext();
    const [source, high, low, volume, analyser] = [context.createMediaStreamSource(stream), context.createBiquadFilter(),
      context.createBiquadFilter(), context.createGain(), context.createAnalyser()];
    [high.type, low.type] = ["highpass", "lowpass"];
    analyser.fftSize = 2048;
    source.connect(analyser);
    this.#sound = { element, context, source, high, low, volume, analyser };
    this.#filter();
  }

  #silence() {
    const sound = this.#sound;
    this.#sound = null;
    this.#wave = [];
    if (!sound) return;
    sound.element.srcObject = null;
    sound.context.close();
  }

  #filter() {
    const sound = this.#sound;
    if (!sound) return;
    const { source, high, low, volume, context, analyser } = sound;
    const band = FILTERS[this.#$("instrument-filter").value];
    for (const part of [source, high, low, volume]) part.disconnect();
    source.connect(analyser);
    volume.gain.value = Number(this.#$("instrument-volume").value);
    if (band) {
      [high.frequency.value, low.frequency.value] = band;
      source.connect(high).connect(low).connect(volume).connect(context.destination);
    } else source.connect(volume).connect(context.destination);
    // A browser that waited for a click has had one now.
    context.resume().catch(() => {});
  }

  async #look() {
    const receiver = this.#receivers.sound;
    if (receiver) {
      for (const report of (await receiver.getStats()).values()) {
        if (report.type !== "inbound-rtp") continue;
        const now = { received: report.packetsReceived, lost: report.packetsLost ?? 0, jitter: (report.jitter ?? 0) * 1000 };
        if (now.received > (this.#counts.at(-1)?.received ?? 0)) this.#seen.sound = Date.now();
        this.#counts.push(now);
        if (this.#counts.length > GATE_LOOKS) this.#counts.shift();
      }
    }
    this.#show();
  }

  #show() {
    const $ = this.#$;
    const [picture, sound] = ["picture", "sound"].map((what) => Date.now() - this.#seen[what] < OVER_MS);
    // What begins is what they talk about.
    if (picture && !this.#was.picture) this.#workbench.show("pictures");
    if (sound && !this.#was.sound) this.#workbench.show("sounds");
    this.#was = { picture, sound };
    $("pane-live").hidden = !picture;
    $("instrument-sound").hidden = !sound;
    if (!sound) {
      clearInterval(this.#drawing);
      this.#drawing = 0;
      return;
    }
    const { good, loss, jitter } = gate(this.#counts[0], this.#counts.at(-1));
    const settled = this.#counts.length > 3;
    $("instrument-gate").textContent = !settled ? "la ligne est mesurée…"
      : `${good ? "ligne sûre" : "ligne trop mauvaise pour juger : attendez l’enregistrement"} · perte ${loss.toFixed(1).replace(".", ",")} % · gigue ${Math.round(jitter)} ms`;
    $("instrument-gate").classList.toggle("bad", settled && !good);
    this.#drawing ||= setInterval(() => this.#draw(), DRAW_MS);
  }

  /// The last seconds, lowest and highest of each twentieth of a second.
  #draw() {
    const sound = this.#sound;
    if (!sound) return;
    const samples = new Float32Array(sound.analyser.fftSize);
    sound.analyser.getFloatTimeDomainData(samples);
    this.#wave.push([Math.min(...samples), Math.max(...samples)]);
    if (this.#wave.length > WAVE_POINTS) this.#wave.shift();
    const canvas = this.#$("instrument-wave");
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = "#8fe3b0";
    const step = canvas.width / WAVE_POINTS;
    const loudest = Math.max(0.02, ...this.#wave.map(([low, high]) => Math.max(-low, high)));
    this.#wave.forEach(([low, high], at) => {
      const y = (value) => canvas.height / 2 - (value / loudest) * (canvas.height / 2 - 2);
      pen.fillRect(at * step, y(high), Math.max(step - 1, 1), Math.max(y(low) - y(high), 1));
    });
    canvas.dataset.loudest = String(Math.max(Number(canvas.dataset.loudest ?? 0), ...this.#wave.map(([low, high]) => Math.max(-low, high))));
  }
}
