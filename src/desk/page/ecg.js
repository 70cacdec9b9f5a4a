// An electrocardiogram as it comes: blocks of the `ecg` data channel (layout in signal/ecg.rs), drawn as on paper,
// 25 mm/s, with gain, a pause, and calipers on what is paused. Nothing is filtered.

const NAMES = ["", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
const HEADER_BYTES = 27;
const MISSING = -32768;
const SILENCE_MS = 1500;
/// What is kept to be looked at: half a minute.
const KEPT_S = 30;
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
  #leads = []; #rate = 0; #seq = -1; #heard = 0; #timer = 0; #lost = 0; #rows = 0;
  /// Millivolts, row by row, NaN where there is none; a ring of the last half minute.
  #ring = new Float32Array(0); #at = 0; #filled = 0;
  #frozen = null; #caliper = null;
  #fresh = [];

  /// `page` gives an element by its id.
  constructor(page) {
    [this.#panel, this.#canvas, this.#state] = [page("ecg-panel"), page("ecg"), page("ecg-state")];
    [this.#gain, this.#pause, this.#measure] = [page("ecg-gain"), page("ecg-pause"), page("ecg-measure")];
    this.#panel.hidden = true;
    this.#pause.onclick = () => this.#toggle();
    this.#toggle(false);
    this.#canvas.onpointerdown = (event) => { if (this.#frozen) { this.#canvas.setPointerCapture(event.pointerId); this.#caliper = { from: this.#point(event), to: this.#point(event) }; } };
    this.#canvas.onpointermove = (event) => { if (this.#caliper && event.buttons) this.#caliper.to = this.#point(event); };
    this.#canvas.onkeydown = (event) => this.#keys(event);
    for (const key of Object.keys(this.#canvas.dataset)) delete this.#canvas.dataset[key];
    const draw = () => { this.#draw(); this.#timer = requestAnimationFrame(draw); };
    this.#timer = requestAnimationFrame(draw);
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
    this.#filled = Math.min(this.#filled + block.samples.length, this.#ring.length);
    this.#rows += block.rows;
    this.#heard = performance.now();
    this.#panel.hidden = false;
    Object.assign(this.#canvas.dataset, { rows: String(this.#rows), lost: String(this.#lost) });
    this.#fresh.push(block.t0);
  }

  stop() { cancelAnimationFrame(this.#timer); }

  #begin(block) {
    [this.#leads, this.#rate, this.#lost, this.#rows] = [block.leads, block.rate, 0, 0];
    this.#ring = new Float32Array(KEPT_S * block.rate * block.leads.length).fill(NaN);
    [this.#at, this.#filled] = [0, 0];
    this.#toggle(false);
  }

  #toggle(paused = !this.#frozen) {
    this.#frozen = paused && this.#filled > 0 ? { ring: this.#ring.slice(), at: this.#at, filled: this.#filled } : null;
    this.#caliper = null;
    this.#measure.textContent = this.#frozen ? "Tirez sur la courbe pour mesurer." : "";
    this.#pause.textContent = this.#frozen ? "Reprendre" : "Figer";
    this.#pause.setAttribute("aria-pressed", String(Boolean(this.#frozen)));
  }

  /// The caliper by keyboard: arrows move its end, with Shift its beginning.
  #keys(event) {
    const steps = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
    if (!steps || !this.#frozen) return;
    event.preventDefault();
    const middle = { x: this.#canvas.width / 2, y: this.#canvas.height / 2 };
    this.#caliper ??= { from: middle, to: { x: middle.x + 40, y: middle.y } };
    const end = event.shiftKey ? "from" : "to";
    const { x, y } = this.#caliper[end];
    this.#caliper[end] = { x: x + steps[0], y: y + steps[1] };
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * this.#canvas.width, y: ((event.clientY - box.top) / box.height) * this.#canvas.height };
  }

  #draw() {
    if (this.#panel.hidden) return;
    const { width, height } = this.#canvas;
    const ink = this.#canvas.getContext("2d");
    const millimetre = width / (WINDOW_S * MM_PER_S);
    const perMillivolt = Number(this.#gain.value) * millimetre;
    ink.clearRect(0, 0, width, height);
    this.#grid(ink, millimetre);
    const { ring, at, filled } = this.#frozen ?? { ring: this.#ring, at: this.#at, filled: this.#filled };
    const count = this.#leads.length;
    const rows = Math.min(filled / count, WINDOW_S * this.#rate);
    const first = at - rows * count;
    const band = height / count;
    ink.lineWidth = 1.5;
    ink.lineJoin = "round";
    ink.font = "600 15px sans-serif";
    this.#leads.forEach((lead, place) => {
      const base = this.#level(ring, first, rows, count, place);
      const middle = (place + 0.5) * band;
      ink.strokeStyle = ink.fillStyle = "#0B2A3C";
      ink.fillText(NAMES[lead], 6, middle - band * 0.22);
      ink.beginPath();
      let pen = false;
      for (let row = 0; row < rows; row++) {
        const value = ring[(first + row * count + place + ring.length) % ring.length];
        if (Number.isNaN(value)) { pen = false; continue; }
        const [x, y] = [(row / (WINDOW_S * this.#rate)) * width, middle - (value - base) * perMillivolt];
        if (pen) ink.lineTo(x, y); else ink.moveTo(x, y);
        pen = true;
      }
      ink.stroke();
    });
    this.#calipers(ink, width, perMillivolt);
    const live = performance.now() - this.#heard < SILENCE_MS;
    this.#state.textContent = `25 mm/s · ${this.#frozen ? "figé" : live ? "en direct" : "terminé"}${this.#lost ? ` · ${this.#lost} blocs perdus` : ""}`;
    // For the bench: how old each block was when it was drawn, by this page's clock.
    if (this.#fresh.length) {
      const now = performance.timeOrigin + performance.now();
      this.#canvas.dataset.ages = `${this.#canvas.dataset.ages ?? ""} ${this.#fresh.map((t0) => Math.round(now - t0)).join(" ")}`.slice(-20000);
      this.#fresh = [];
    }
  }

  /// Where a lead's line is drawn: the middle of its values, so that no electrode's offset pushes it off the paper.
  #level(ring, first, rows, count, place) {
    const values = [];
    for (let row = 0; row < rows; row += 8) {
      const value = ring[(first + row * count + place + ring.length) % ring.length];
      if (!Number.isNaN(value)) values.push(value);
    }
    return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
  }

  #grid(ink, millimetre) {
    const { width, height } = this.#canvas;
    for (const [every, colour] of [[1, "#FBE3E3"], [5, "#F0B9B9"]]) {
      ink.strokeStyle = colour;
      ink.lineWidth = 1;
      ink.beginPath();
      for (let x = 0; x <= width; x += every * millimetre) { ink.moveTo(x, 0); ink.lineTo(x, height); }
      for (let y = 0; y <= height; y += every * millimetre) { ink.moveTo(0, y); ink.lineTo(width, y); }
      ink.stroke();
    }
  }

  #calipers(ink, width, perMillivolt) {
    if (!this.#caliper) return;
    const { from, to } = this.#caliper;
    ink.strokeStyle = "#0B5FA5";
    ink.lineWidth = 2;
    ink.strokeRect(Math.min(from.x, to.x), Math.min(from.y, to.y), Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    const milliseconds = Math.round((Math.abs(to.x - from.x) / width) * WINDOW_S * 1000);
    const millivolts = (Math.abs(to.y - from.y) / perMillivolt).toFixed(2).replace(".", ",");
    this.#measure.textContent = `${milliseconds} ms · ${millivolts} mV`;
  }
}
