// The live curve: frames of the `live` data channel (layout in signal/live.rs) drawn as on a bedside monitor.

const WINDOW_S = 6;
const SILENCE_MS = 1500;
/// A curve that is over makes room.
const GONE_MS = 15000;
const NAMES = { 1: ["Pouls, en direct", "#5CC8F5"], 2: ["Pression du brassard, en direct", "#F19AC4"] };

/// Reads one frame; null when it does not follow its layout.
export function readFrame(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < 18 || view.getUint8(0) !== 1 || !NAMES[view.getUint8(1)]) return null;
  const count = view.getUint16(16, true);
  const rate = view.getUint16(6, true);
  if (view.byteLength !== 18 + 2 * count || count === 0 || rate === 0) return null;
  const samples = new Int16Array(count);
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(18 + 2 * i, true);
  return { kind: view.getUint8(1), seq: view.getUint32(2, true), rate, t0: Number(view.getBigInt64(8, true)), samples };
}

export class Curve {
  #panel; #canvas; #title; #state;
  #points = [];
  #kind = 0;
  #rate = 75;
  #seq = -1;
  #frame = 0;
  #silence = 0;

  constructor(canvas, title, state) {
    [this.#panel, this.#canvas, this.#title, this.#state] = [canvas.parentElement, canvas, title, state];
    this.#panel.hidden = true;
    this.#says(false);
  }

  frame(buffer) {
    const frame = readFrame(buffer);
    if (!frame) return;
    if (frame.kind !== this.#kind) {
      this.#kind = frame.kind;
      this.#points = [];
      this.#seq = -1;
      this.#title.textContent = NAMES[frame.kind][0];
    }
    // The channel may reorder: a late frame would draw the pulse backwards.
    if (frame.seq <= this.#seq && this.#seq - frame.seq < 1000) return;
    if (this.#seq >= 0 && frame.seq !== this.#seq + 1) this.#points.push(null);
    this.#seq = frame.seq;
    this.#rate = frame.rate;
    this.#points.push(...frame.samples);
    const excess = this.#points.length - WINDOW_S * frame.rate;
    if (excess > 0) this.#points.splice(0, excess);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#says(false);
      this.#silence = setTimeout(() => { this.#panel.hidden = true; }, GONE_MS);
    }, SILENCE_MS);
    this.#panel.hidden = false;
    this.#says(true);
    // Only when there is something new: a picture drawn for nothing is taken from the call.
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
    this.#canvas.dataset.samples = String(Number(this.#canvas.dataset.samples ?? 0) + frame.samples.length);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#silence);
    // Nothing of this patient is left for the next.
    this.#points = [];
    this.#canvas.getContext("2d").reset();
    delete this.#canvas.dataset.samples;
    this.#says(false);
  }

  #says(live) { this.#state.textContent = live ? "signal reçu" : "pas de signal"; }

  #draw() {
    const { width, height } = this.#canvas;
    const ink = this.#canvas.getContext("2d");
    ink.clearRect(0, 0, width, height);
    const values = this.#points.filter((point) => point !== null);
    if (values.length < 2) return;
    const low = Math.min(...values), high = Math.max(...values), span = Math.max(high - low, 1);
    ink.strokeStyle = NAMES[this.#kind][1];
    ink.lineWidth = 3;
    ink.lineJoin = "round";
    ink.beginPath();
    let pen = false;
    this.#points.forEach((point, index) => {
      if (point === null) { pen = false; return; }
      const x = (index / (WINDOW_S * this.#rate)) * width;
      const y = height - 12 - ((point - low) / span) * (height - 24);
      if (pen) ink.lineTo(x, y); else ink.moveTo(x, y);
      pen = true;
    });
    ink.stroke();
  }
}
