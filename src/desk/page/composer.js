// One picture of two people, for the cabin's one line: one large and whole (of who signs, nothing may be cut off), the other
// small beside. Each picture that comes in draws it, so that it goes on behind another window where the browser hands out
// the pictures themselves (Chromium); elsewhere the page draws while it is seen.

const WIDTH = 800, HEIGHT = 450;
/// Of the two, in the canvas: left, top, width, height. Above the small one is where the cabin shows the patient.
const PLACES = { large: [0, 0, 600, 450], small: [604, 300, 196, 147] };
const FRAME_MS = 33;

export class Composer {
  #canvas; #context; #frames = {}; #readers = []; #writer = null; #drawn = 0; #stopped = false; #elements = [];
  /// What goes out.
  track;

  /// `large` and `small` are video tracks.
  constructor(large, small) {
    const direct = "MediaStreamTrackProcessor" in globalThis && "MediaStreamTrackGenerator" in globalThis;
    this.#canvas = direct ? new OffscreenCanvas(WIDTH, HEIGHT) : Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
    this.#context = this.#canvas.getContext("2d", { alpha: false });
    if (direct) {
      this.track = new MediaStreamTrackGenerator({ kind: "video" });
      this.#writer = this.track.writable.getWriter();
      this.#pump("large", large);
      this.#pump("small", small);
    } else {
      this.track = this.#canvas.captureStream(30).getVideoTracks()[0];
      this.#play("large", large);
      this.#play("small", small);
    }
  }

  /// Whether it goes on while the page is not seen.
  get isTireless() { return this.#writer !== null; }

  stop() {
    this.#stopped = true;
    for (const reader of this.#readers) reader.cancel().catch(() => {});
    for (const frame of Object.values(this.#frames)) frame.close?.();
    for (const element of this.#elements) element.srcObject = null;
    this.#frames = {};
    this.#writer?.close().catch(() => {});
    this.track.stop();
  }

  async #pump(place, track) {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader();
    this.#readers.push(reader);
    for (;;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done || this.#stopped) { value?.close(); return; }
      this.#frames[place]?.close();
      this.#frames[place] = value;
      this.#draw();
    }
  }

  #play(place, track) {
    const element = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: new MediaStream([track]) });
    this.#elements.push(element);
    element.play().catch(() => {});
    const came = () => {
      if (this.#stopped) return;
      this.#frames[place] = element;
      this.#draw();
      element.requestVideoFrameCallback(came);
    };
    element.requestVideoFrameCallback(came);
  }

  #draw() {
    const now = performance.now();
    if (now - this.#drawn < FRAME_MS - 3) return;
    this.#drawn = now;
    this.#context.fillStyle = "#17323a";
    this.#context.fillRect(0, 0, WIDTH, HEIGHT);
    for (const [place, frame] of Object.entries(this.#frames)) {
      const [left, top, width, height] = PLACES[place];
      const [across, down] = [frame.displayWidth ?? frame.videoWidth, frame.displayHeight ?? frame.videoHeight];
      if (!across || !down) continue;
      const scale = Math.min(width / across, height / down);
      const [w, h] = [across * scale, down * scale];
      this.#context.drawImage(frame, left + (width - w) / 2, top + (height - h) / 2, w, h);
    }
    if (!this.#writer) return;
    const frame = new VideoFrame(this.#canvas, { timestamp: Math.round(now * 1000) });
    // A line that takes no picture now loses this one.
    if (this.#writer.desiredSize !== null && this.#writer.desiredSize <= 0) { frame.close(); return; }
    this.#writer.write(frame).catch(() => frame.close());
  }
}
