// An electrocardiogram as on paper: one millimetre of the grid is 40 ms or 20 ms, and 1 mV is 5, 10 or 20 of them.
// Frozen, it can be gone back through and measured with calipers. Nothing is filtered.
//
// Drawn as a bedside monitor does: the paper stays, a pen goes over it from left to right and begins again, and only
// what is new is drawn. Drawing every line of every lead anew costs a small laptop more than the call.

import { node } from "./dom.js";
import { Live, NAMES, Recorded, readBlock } from "./ecg_blocks.js";
import { progressText } from "./recordings.js";
import { clock } from "./words.js";

export { readBlock };

const SILENCE_MS = 1500;
/// Clear paper before the pen, millimetres: where the newest ends and the oldest begins.
const GAP_MM = 4;
/// Points of the screen to a millimetre of the grid, at the least: below it nobody counts them.
const MM_PX = 4;
const AGES_MAX = 2000;

export class Ecg {
  #page; #canvas; #recordings;
  #live = null; #recorded = null; #files = new Map();
  /// Rows that are drawn, of all that ever came; middle of each lead's line, millivolts.
  #drawn = 0; #bases = [];
  #paper = null; #still = null;
  /// Frozen: the row at the left edge; else null.
  #left = null;
  /// Beginning and end: a row, and points from above.
  #caliper = null; #pulled = false;
  #isFlowing = false; #frame = 0; #silence = 0; #size;
  #fresh = [];

  /// `page` gives an element by its id.
  constructor(page, recordings) {
    [this.#page, this.#recordings, this.#canvas] = [page, recordings, page("ecg")];
    page("ecg-panel").hidden = true;
    page("ecg-empty").hidden = false;
    page("ecg-files").replaceChildren();
    page("ecg-pause").onclick = () => this.freeze();
    for (const id of ["ecg-gain", "ecg-speed", "ecg-leads"]) page(id).onchange = () => this.#anew();
    page("ecg-back").oninput = (event) => this.#goTo(Number(event.target.value));
    page("ecg-live").onclick = () => this.#choose(null);
    const canvas = this.#canvas;
    canvas.onpointerdown = (event) => {
      if (this.#left === null) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pulled = true;
      this.#caliper = { from: this.#point(event), to: this.#point(event) };
      this.#wake();
    };
    canvas.onpointermove = (event) => { if (this.#pulled) { this.#caliper.to = this.#point(event); this.#wake(); } };
    canvas.onpointerup = canvas.onpointercancel = () => { this.#pulled = false; };
    canvas.onkeydown = (event) => this.#keys(event);
    for (const key of Object.keys(canvas.dataset)) delete canvas.dataset[key];
    this.#size = new ResizeObserver(() => this.#fit());
    this.#size.observe(canvas);
    recordings.addEventListener("changed", ({ detail }) => { if (detail.file.content_type === "application/x-telecabine-ecg") this.#file(detail); });
    this.#choose(null);
  }

  /// How many whole recordings there are.
  get count() { return this.#files.size; }

  block(buffer) {
    const block = readBlock(buffer);
    if (!block) return;
    if (!this.#live?.continues(block)) {
      this.#live = new Live(block);
      // Another is taken: it is what they look at.
      this.#choose(null);
    }
    const live = this.#live;
    live.take(block);
    Object.assign(this.#canvas.dataset, { rows: String(live.rows), lost: String(live.lost) });
    if (this.#fresh.length < AGES_MAX) this.#fresh.push(block.t0);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#says(false), SILENCE_MS);
    this.#says(true);
    if (this.#left === null) this.#wake();
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#silence);
    this.#size.disconnect();
    this.#live = this.#recorded = null;
    this.#files.clear();
    this.#page("ecg-files").replaceChildren();
  }

  /// Holds the picture still, or goes on.
  freeze(frozen = this.#left === null) {
    const shown = this.#shown;
    if (!shown || (!frozen && this.#recorded)) return;
    this.#left = frozen ? Math.max(shown.oldest, shown.rows - this.#across()) : null;
    this.#anew();
  }

  /// What is on the paper.
  get #shown() { return this.#recorded ?? this.#live; }

  #file(item) {
    const { sha256 } = item.file;
    let held = this.#files.get(sha256);
    if (!held) {
      const button = node("button", { type: "button" });
      held = { button };
      button.onclick = () => { if (held.item.state === "here") this.#choose(held.item); else this.#recordings.retry(sha256); };
      this.#files.set(sha256, held);
      this.#page("ecg-files").append(node("li", {}, button));
    }
    held.item = item;
    held.button.textContent = [`Enregistrement de ${clock(Date.now() - item.reading.age_ms)}`, item.reading.retaken && "non retenu", progressText(item)].filter(Boolean).join(" · ");
    held.button.dataset.state = item.state;
    // A recorder that sends no curve: its recording is all there is.
    if (item.state === "here" && !this.#shown) this.#choose(item); else this.#empty();
  }

  #choose(item) {
    this.#recorded = item ? Recorded.read(item.bytes) : null;
    for (const { item: other, button } of this.#files.values()) button.setAttribute("aria-pressed", String(other === item));
    this.#caliper = null;
    this.#left = this.#recorded ? 0 : null;
    const leads = this.#page("ecg-leads");
    leads.replaceChildren(node("option", { value: "", textContent: "Toutes" }), ...(this.#shown?.leads ?? []).map((lead, place) => node("option", { value: String(place), textContent: NAMES[lead] })));
    this.#anew();
  }

  #empty() {
    this.#page("ecg-panel").hidden = !this.#shown;
    this.#page("ecg-empty").hidden = Boolean(this.#shown) || this.#files.size > 0;
    this.#page("ecg-live").hidden = !this.#recorded || !this.#live;
  }

  /// Places on the paper of the leads that are drawn.
  #places() {
    const one = this.#page("ecg-leads").value;
    return one === "" ? [...this.#shown.leads.keys()] : [Number(one)];
  }

  #anew() {
    this.#drawn = 0;
    this.#still = null;
    this.#empty();
    this.#says();
    this.#wake();
  }

  /// The canvas has as many points as the screen gives it.
  #fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    const [width, height] = [Math.round(clientWidth * devicePixelRatio), Math.round(clientHeight * devicePixelRatio)];
    if (!width || !height || (width === this.#canvas.width && height === this.#canvas.height)) return;
    [this.#canvas.width, this.#canvas.height] = [width, height];
    this.#anew();
  }

  #wake() {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #says(isFlowing = this.#isFlowing) {
    this.#isFlowing = isFlowing;
    const shown = this.#shown;
    if (!shown) return;
    const frozen = this.#left !== null;
    const state = this.#recorded ? "enregistrement" : frozen ? "figé" : isFlowing ? "en direct" : "terminé";
    const lost = shown.lost ? ` · ${shown.lost} blocs perdus` : "";
    this.#page("ecg-state").textContent = `${state} · ${this.#page("ecg-speed").value} mm/s · ${this.#page("ecg-gain").value} mm/mV${lost}`;
    const pause = this.#page("ecg-pause");
    pause.textContent = frozen && !this.#recorded ? "Reprendre" : "Figer";
    pause.setAttribute("aria-pressed", String(frozen));
    pause.disabled = Boolean(this.#recorded);
    const back = this.#page("ecg-back");
    back.disabled = !frozen;
    Object.assign(back, { min: String(shown.oldest), max: String(Math.max(shown.rows - this.#across(), shown.oldest)), step: "1", value: String(this.#left ?? shown.rows) });
    if (!this.#caliper) this.#page("ecg-measure").textContent = frozen ? "Tirez sur la courbe pour mesurer." : "";
  }

  /// Goes to where that row is at the left edge.
  #goTo(row) {
    const shown = this.#shown;
    if (this.#left === null || !shown) return;
    this.#left = Math.round(Math.min(Math.max(row, shown.oldest), Math.max(shown.rows - this.#across(), shown.oldest)));
    this.#anew();
  }

  #keys(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#shown) return;
    const page = this.#across() * 0.8;
    const go = { PageUp: (this.#left ?? 0) - page, PageDown: (this.#left ?? 0) + page, Home: 0, End: Infinity }[event.key];
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") this.freeze();
    else if (go !== undefined) { if (this.#left === null) this.freeze(true); this.#goTo(event.key === "PageUp" ? this.#left - page : go); }
    else if (step && this.#left !== null) this.#nudge(step, event.shiftKey ? "from" : "to");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /// The caliper by keyboard: its end, or its beginning, half a millimetre further.
  #nudge([right, down], end) {
    const middle = { row: this.#left + this.#across() / 2, y: this.#canvas.height / 2 };
    this.#caliper ??= { from: middle, to: { row: middle.row + this.#shown.rate, y: middle.y } };
    const { row, y } = this.#caliper[end];
    this.#caliper[end] = { row: row + (right * this.#mm) / 2 / this.#step, y: y + (down * this.#mm) / 2 };
    this.#wake();
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.#canvas.width;
    return { row: this.#left + x / this.#step, y: ((event.clientY - box.top) / box.height) * this.#canvas.height };
  }

  /// Points of the canvas to a millimetre of the grid.
  get #mm() { return MM_PX * devicePixelRatio; }

  /// Points from one row to the next.
  get #step() { return (Number(this.#page("ecg-speed").value) * this.#mm) / this.#shown.rate; }

  get #perMillivolt() { return Number(this.#page("ecg-gain").value) * this.#mm; }

  /// Rows from one edge of the paper to the other.
  #across() { return this.#shown ? Math.max(Math.floor(this.#canvas.width / this.#step), 1) : 1; }

  #draw() {
    const shown = this.#shown;
    if (!shown || !this.#canvas.clientWidth) return;
    const ink = this.#canvas.getContext("2d");
    if (this.#left !== null) {
      this.#still ??= this.#hold();
      ink.drawImage(this.#still, 0, 0);
      this.#calipers(ink);
    } else if (shown.rows > this.#drawn) {
      this.#sweep(ink, shown);
    }
    // For the bench: how old each block was when it was drawn, by this page's clock.
    if (this.#fresh.length) {
      const now = performance.timeOrigin + performance.now();
      this.#canvas.dataset.ages = `${this.#canvas.dataset.ages ?? ""} ${this.#fresh.map((t0) => Math.round(now - t0)).join(" ")}`.slice(-20000);
      this.#fresh = [];
    }
  }

  /// A picture of what is frozen.
  #hold() {
    const still = new OffscreenCanvas(this.#canvas.width, this.#canvas.height);
    const ink = still.getContext("2d");
    ink.drawImage(this.#blank(), 0, 0);
    const to = Math.min(this.#left + this.#across() + 1, this.#shown.rows);
    this.#level(this.#left, to);
    this.#line(ink, this.#left, to, this.#left);
    this.#names(ink);
    return still;
  }

  /// Draws what has come since the last time.
  #sweep(ink, shown) {
    const { width, height } = this.#canvas;
    const across = this.#across();
    if (!this.#drawn) ink.drawImage(this.#blank(), 0, 0);
    let from = Math.max(this.#drawn, shown.rows - across);
    while (from < shown.rows) {
      const start = from - (from % across);
      const to = Math.min(shown.rows, start + across);
      // At the left edge; and soon after the very first rows, which say little.
      if (from === start || !this.#drawn || from < shown.rate / 2) this.#level(shown.rows - across, shown.rows);
      const left = Math.floor((from - start) * this.#step);
      const wide = Math.min(Math.ceil((to - start) * this.#step + GAP_MM * this.#mm), width) - left;
      ink.drawImage(this.#blank(), left, 0, wide, height, left, 0, wide, height);
      ink.save();
      ink.beginPath();
      ink.rect(left - 1, 0, wide + 1, height);
      ink.clip();
      // From one row back, so that the line goes on.
      this.#line(ink, from > start ? from - 1 : from, to, start);
      ink.restore();
      if (left < 15 * this.#mm) this.#names(ink);
      from = to;
    }
    this.#drawn = shown.rows;
  }

  /// The lines of these rows; `start` is the one at the left edge.
  #line(ink, from, to, start) {
    const places = this.#places(), shown = this.#shown;
    const [step, perMillivolt, band] = [this.#step, this.#perMillivolt, this.#canvas.height / places.length];
    ink.lineWidth = 1.25 * devicePixelRatio;
    ink.lineJoin = "round";
    ink.strokeStyle = "#0B2A3C";
    ink.beginPath();
    places.forEach((place, at) => {
      const middle = (at + 0.5) * band + this.#bases[place] * perMillivolt;
      let pen = false;
      for (let row = from; row < to; row++) {
        const value = shown.value(row, place);
        if (Number.isNaN(value)) { pen = false; continue; }
        const [x, y] = [(row - start) * step, middle - value * perMillivolt];
        if (pen) ink.lineTo(x, y); else ink.moveTo(x, y);
        pen = true;
      }
    });
    ink.stroke();
  }

  #names(ink) {
    const places = this.#places();
    const band = this.#canvas.height / places.length;
    ink.font = `600 ${13 * devicePixelRatio}px sans-serif`;
    ink.fillStyle = "#0B2A3C";
    places.forEach((place, at) => ink.fillText(NAMES[this.#shown.leads[place]], 4, (at + 0.5) * band - Math.min(band * 0.22, 40)));
  }

  /// Where each lead's line is drawn: the middle of its values, so that no electrode's offset pushes it off the paper.
  #level(from, to) {
    const shown = this.#shown;
    this.#bases = shown.leads.map((_, place) => {
      const values = [];
      for (let row = Math.max(from, shown.oldest); row < to; row += 8) {
        const value = shown.value(row, place);
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
    for (const [every, colour] of [[1, "#FBE3E3"], [5, "#EFB0B0"]]) {
      ink.strokeStyle = colour;
      ink.lineWidth = devicePixelRatio;
      ink.beginPath();
      for (let x = 0; x <= width; x += every * this.#mm) { ink.moveTo(Math.round(x) + 0.5, 0); ink.lineTo(Math.round(x) + 0.5, height); }
      for (let y = 0; y <= height; y += every * this.#mm) { ink.moveTo(0, Math.round(y) + 0.5); ink.lineTo(width, Math.round(y) + 0.5); }
      ink.stroke();
    }
    return this.#paper;
  }

  /// The box that was pulled, and its time again and again to both sides: whether a rhythm is regular is seen by it.
  #calipers(ink) {
    if (!this.#caliper) return;
    const { from, to } = this.#caliper;
    const [x0, x1] = [from, to].map(({ row }) => (row - this.#left) * this.#step).sort((a, b) => a - b);
    const wide = x1 - x0;
    ink.strokeStyle = "rgba(11, 95, 165, .35)";
    ink.lineWidth = devicePixelRatio;
    ink.beginPath();
    if (wide > 3 * this.#mm) {
      for (let x = x0 - Math.floor(x0 / wide) * wide; x < this.#canvas.width; x += wide) { ink.moveTo(x, 0); ink.lineTo(x, this.#canvas.height); }
    }
    ink.stroke();
    ink.strokeStyle = "#0B5FA5";
    ink.lineWidth = 2 * devicePixelRatio;
    ink.strokeRect(x0, Math.min(from.y, to.y), wide, Math.abs(to.y - from.y));
    const milliseconds = Math.round((Math.abs(to.row - from.row) / this.#shown.rate) * 1000);
    const millivolts = (Math.abs(to.y - from.y) / this.#perMillivolt).toFixed(2).replace(".", ",");
    const rhythm = milliseconds >= 200 ? ` · ${Math.round(60000 / milliseconds)} /min` : "";
    this.#page("ecg-measure").textContent = `${milliseconds} ms${rhythm} · ${millivolts} mV`;
  }
}
