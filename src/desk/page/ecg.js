// An electrocardiogram as it comes: blocks of the `ecg` data channel (layout in signal/ecg.rs), drawn as on paper,
// 25 mm/s, with gain, a pause, and calipers on what is paused. Nothing is filtered.
//
// Drawn as a bedside monitor does: the paper stays, a pen goes over it from left to right and begins again, and only
// what is new is drawn. Drawing every line of every lead anew costs a small laptop more than the call.

const NAMES = ["", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
const HEADER_BYTES = 27;
const MISSING = -32768;
const SILENCE_MS = 1500;
/// What is kept to be looked at: half a minute.
const KEPT_S = 30;
/// Clear paper before the pen, pixels: where the newest ends and the oldest begins.
const GAP_PX = 24;
/// Seconds across the canvas, and pixels of a millimetre of paper then (25 mm/s).
const WINDOW_S = 5;
const MM_PER_S = 25;

/// Reads one block; null when it does not follow its layout.
export function readBlock(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < HEADER_BYTES || view.getUint8(0) !== 1) return null;
  const [shift, rate, rows, count] = [view.getUint8(1), view.getUint16(6, true), view.getUint16(24, true), view.getUint8(26)];
  const step = Number(view.getBigUint64(8, true));
  if (shift > 16 || !rate || rate > 2000 || !step || !rows || rows > 1000 || !count || count > 12) return null;
  if (view.byteLength !== HEADER_BYTES + count + 2 * rows * count) return null;
  const leads = [...new Uint8Array(buffer, HEADER_BYTES, count)];
  if (new Set(leads).size !== count || leads.some((lead) => !NAMES[lead])) return null;
  const samples = new Int16Array(rows * count);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(HEADER_BYTES + count + 2 * i, true);
  // Millivolts of one unit of a sample.
  const millivolts = (step * 2 ** shift) / 1e12;
  return { seq: view.getUint32(2, true), rate, t0: Number(view.getBigInt64(16, true)), leads, rows, samples, millivolts };
}

export class Ecg {
  #panel; #canvas; #state; #gain; #pause; #measure;
  #leads = []; #rate = 0; #seq = -1; #lost = 0; #rows = 0;
  /// Millivolts, row by row, NaN where there is none; a ring of the last half minute.
  #ring = new Float32Array(0); #at = 0;
  /// Rows that are drawn, of all that ever came; middle of each lead's line, millivolts.
  #drawn = 0; #bases = [];
  /// Paper alone; the curve that is paused, without calipers.
  #paper = null; #still = null;
  #caliper = null;
  #live = false; #frame = 0; #silence = 0;
  #fresh = [];

  /// `page` gives an element by its id.
  constructor(page) {
    [this.#panel, this.#canvas, this.#state] = [page("ecg-panel"), page("ecg"), page("ecg-state")];
    [this.#gain, this.#pause, this.#measure] = [page("ecg-gain"), page("ecg-pause"), page("ecg-measure")];
    this.#panel.hidden = true;
    this.#pause.onclick = () => this.#toggle();
    this.#gain.onchange = () => { if (this.#still) this.#hold(); this.#anew(); };
    this.#toggle(false);
    this.#canvas.onpointerdown = (event) => { if (this.#still) { this.#canvas.setPointerCapture(event.pointerId); this.#caliper = { from: this.#point(event), to: this.#point(event) }; this.#wake(); } };
    this.#canvas.onpointermove = (event) => { if (this.#caliper && event.buttons) { this.#caliper.to = this.#point(event); this.#wake(); } };
    this.#canvas.onkeydown = (event) => this.#keys(event);
    for (const key of Object.keys(this.#canvas.dataset)) delete this.#canvas.dataset[key];
  }

  block(buffer) {
    const block = readBlock(buffer);
    if (!block) return;
    const same = block.rate === this.#rate && block.leads.join() === this.#leads.join();
    if (!same || block.seq < this.#seq) this.#begin(block);
    else if (block.seq !== this.#seq + 1) this.#lost += block.seq - this.#seq - 1;
    this.#seq = block.seq;
    for (let i = 0; i < block.samples.length; i++) {
      const sample = block.samples[i];
      this.#ring[this.#at] = sample === MISSING ? NaN : sample * block.millivolts;
      this.#at = (this.#at + 1) % this.#ring.length;
    }
    this.#rows += block.rows;
    this.#panel.hidden = false;
    Object.assign(this.#canvas.dataset, { rows: String(this.#rows), lost: String(this.#lost) });
    this.#fresh.push(block.t0);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#says(false), SILENCE_MS);
    this.#says(true);
    this.#wake();
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#silence);
  }

  #begin(block) {
    [this.#leads, this.#rate, this.#lost, this.#rows] = [block.leads, block.rate, 0, 0];
    this.#ring = new Float32Array(KEPT_S * block.rate * block.leads.length).fill(NaN);
    this.#at = 0;
    this.#toggle(false);
  }

  #toggle(paused = !this.#still) {
    if (paused && this.#rows > 0) this.#hold(); else this.#still = null;
    this.#caliper = null;
    this.#measure.textContent = this.#still ? "Tirez sur la courbe pour mesurer." : "";
    this.#pause.textContent = this.#still ? "Reprendre" : "Figer";
    this.#pause.setAttribute("aria-pressed", String(Boolean(this.#still)));
    this.#says();
    this.#anew();
  }

  /// Keeps a picture of the last seconds, oldest on the left.
  #hold() {
    this.#still = new OffscreenCanvas(this.#canvas.width, this.#canvas.height);
    const ink = this.#still.getContext("2d");
    ink.drawImage(this.#blank(), 0, 0);
    const rows = Math.min(this.#rows, this.#across());
    this.#level();
    this.#names(ink);
    this.#line(ink, this.#rows - rows, this.#rows, this.#rows - rows);
  }

  #anew() {
    this.#drawn = 0;
    this.#wake();
  }

  #wake() {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #says(live = this.#live) {
    this.#live = live;
    const lost = this.#lost ? ` · ${this.#lost} blocs perdus` : "";
    this.#state.textContent = `25 mm/s · ${this.#still ? "figé" : live ? "en direct" : "terminé"}${lost}`;
  }

  /// The caliper by keyboard: arrows move its end, with Shift its beginning.
  #keys(event) {
    const steps = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
    if (!steps || !this.#still) return;
    event.preventDefault();
    const middle = { x: this.#canvas.width / 2, y: this.#canvas.height / 2 };
    this.#caliper ??= { from: middle, to: { x: middle.x + 40, y: middle.y } };
    const end = event.shiftKey ? "from" : "to";
    const { x, y } = this.#caliper[end];
    this.#caliper[end] = { x: x + steps[0], y: y + steps[1] };
    this.#wake();
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * this.#canvas.width, y: ((event.clientY - box.top) / box.height) * this.#canvas.height };
  }

  /// Rows from one edge of the paper to the other.
  #across() { return WINDOW_S * this.#rate; }

  #perMillivolt() { return Number(this.#gain.value) * this.#canvas.width / (WINDOW_S * MM_PER_S); }

  #draw() {
    if (this.#panel.hidden) return;
    const ink = this.#canvas.getContext("2d");
    if (this.#still) {
      ink.drawImage(this.#still, 0, 0);
      this.#calipers(ink);
      this.#drawn = 0;
    } else if (this.#rows > this.#drawn) {
      this.#sweep(ink);
    }
    // For the bench: how old each block was when it was drawn, by this page's clock.
    if (this.#fresh.length) {
      const now = performance.timeOrigin + performance.now();
      this.#canvas.dataset.ages = `${this.#canvas.dataset.ages ?? ""} ${this.#fresh.map((t0) => Math.round(now - t0)).join(" ")}`.slice(-20000);
      this.#fresh = [];
    }
  }

  /// Draws what has come since the last time.
  #sweep(ink) {
    const { width, height } = this.#canvas;
    const across = this.#across();
    if (!this.#drawn) ink.drawImage(this.#blank(), 0, 0);
    let from = Math.max(this.#drawn, this.#rows - across);
    while (from < this.#rows) {
      const start = from - (from % across);
      const to = Math.min(this.#rows, start + across);
      // At the left edge; and soon after the very first rows, which say little.
      if (from === start || !this.#drawn || from < this.#rate / 2) this.#level();
      const left = Math.floor(((from - start) / across) * width);
      const wide = Math.ceil(((to - start) / across) * width) + GAP_PX - left;
      ink.drawImage(this.#blank(), left, 0, wide, height, left, 0, wide, height);
      if (left < 60) this.#names(ink);
      ink.save();
      ink.beginPath();
      ink.rect(left - 1, 0, wide + 1, height);
      ink.clip();
      // From one row back, so that the line goes on.
      this.#line(ink, from > start && from > 0 ? from - 1 : from, to, start);
      ink.restore();
      from = to;
    }
    this.#drawn = this.#rows;
  }

  /// The lines of these rows; `start` is the one at the left edge.
  #line(ink, from, to, start) {
    const count = this.#leads.length;
    const [step, perMillivolt, band] = [this.#canvas.width / this.#across(), this.#perMillivolt(), this.#canvas.height / count];
    ink.lineWidth = 1.5;
    ink.lineJoin = "round";
    ink.strokeStyle = "#0B2A3C";
    ink.beginPath();
    for (let place = 0; place < count; place++) {
      const middle = (place + 0.5) * band + this.#bases[place] * perMillivolt;
      let pen = false;
      for (let row = from; row < to; row++) {
        const value = this.#value(row, place);
        if (Number.isNaN(value)) { pen = false; continue; }
        const [x, y] = [(row - start) * step, middle - value * perMillivolt];
        if (pen) ink.lineTo(x, y); else ink.moveTo(x, y);
        pen = true;
      }
    }
    ink.stroke();
  }

  #value(row, place) {
    const length = this.#ring.length;
    const count = this.#leads.length;
    return this.#ring[(((this.#at - (this.#rows - row) * count + place) % length) + length) % length];
  }

  #names(ink) {
    const band = this.#canvas.height / this.#leads.length;
    ink.font = "600 15px sans-serif";
    ink.fillStyle = "#0B2A3C";
    this.#leads.forEach((lead, place) => ink.fillText(NAMES[lead], 6, (place + 0.5) * band - band * 0.22));
  }

  /// Where each lead's line is drawn: the middle of its last values, so that no electrode's offset pushes it off the
  /// paper.
  #level() {
    const first = Math.max(0, this.#rows - this.#across());
    this.#bases = this.#leads.map((_, place) => {
      const values = [];
      for (let row = first; row < this.#rows; row += 8) {
        const value = this.#value(row, place);
        if (!Number.isNaN(value)) values.push(value);
      }
      return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
    });
  }

  /// White with its grid.
  #blank() {
    const { width, height } = this.#canvas;
    if (this.#paper?.width === width && this.#paper.height === height) return this.#paper;
    this.#paper = new OffscreenCanvas(width, height);
    const ink = this.#paper.getContext("2d");
    ink.fillStyle = "#fff";
    ink.fillRect(0, 0, width, height);
    const millimetre = width / (WINDOW_S * MM_PER_S);
    for (const [every, colour] of [[1, "#FBE3E3"], [5, "#F0B9B9"]]) {
      ink.strokeStyle = colour;
      ink.lineWidth = 1;
      ink.beginPath();
      for (let x = 0; x <= width; x += every * millimetre) { ink.moveTo(x, 0); ink.lineTo(x, height); }
      for (let y = 0; y <= height; y += every * millimetre) { ink.moveTo(0, y); ink.lineTo(width, y); }
      ink.stroke();
    }
    return this.#paper;
  }

  #calipers(ink) {
    if (!this.#caliper) return;
    const { from, to } = this.#caliper;
    ink.strokeStyle = "#0B5FA5";
    ink.lineWidth = 2;
    ink.strokeRect(Math.min(from.x, to.x), Math.min(from.y, to.y), Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    const milliseconds = Math.round((Math.abs(to.x - from.x) / this.#canvas.width) * WINDOW_S * 1000);
    const millivolts = (Math.abs(to.y - from.y) / this.#perMillivolt()).toFixed(2).replace(".", ",");
    this.#measure.textContent = `${milliseconds} ms · ${millivolts} mV`;
  }
}
