// The pictures that were taken, in full: one or two beside each other, each enlarged, moved, turned and lightened as its
// reader likes. Nothing of this changes the picture itself.

import { $, node } from "./dom.js";
import { progressText } from "./recordings.js";
import { clock, word } from "./words.js";

const ZOOM_STEP = 1.25;
/// From a quarter of what fits to sixteen screen points a pixel.
const ZOOM_MAX = 16;
const MOVE_PX = 40;
const LIGHT_STEP = 10;

export const nameOf = (reading) => {
  const site = reading.body_site ? ` (${word("body_site", reading.body_site)})` : "";
  return word("measurement", reading.measurement) + site;
};

export class Pictures {
  #recordings;
  /// By hash: the item, its button, the address of its bytes.
  #items = new Map();
  #panes;
  #chosen;

  constructor(recordings) {
    this.#recordings = recordings;
    this.#panes = [...$("panes").querySelectorAll(".pane")].map((figure) => new Pane(figure, (pane) => this.#choose(pane)));
    this.#chosen = this.#panes[0];
    $("pictures").replaceChildren();
    this.#pair(false);
    recordings.addEventListener("changed", ({ detail }) => { if (detail.file.content_type === "image/jpeg") this.#changed(detail); });
    const on = (id, act) => { $(id).onclick = () => act(this.#chosen); };
    on("picture-in", (pane) => pane.zoom(ZOOM_STEP));
    on("picture-out", (pane) => pane.zoom(1 / ZOOM_STEP));
    on("picture-fit", (pane) => pane.fit());
    on("picture-whole", (pane) => pane.scaleTo(1));
    on("picture-turn", (pane) => pane.turn());
    $("picture-light").oninput = (event) => this.#chosen.shade({ light: Number(event.target.value) });
    $("picture-contrast").oninput = (event) => this.#chosen.shade({ contrast: Number(event.target.value) });
    $("picture-pair").onclick = () => this.#pair();
  }

  /// How many there are.
  get count() { return this.#items.size; }

  stop() {
    for (const pane of this.#panes) pane.stop();
    for (const { address } of this.#items.values()) if (address) URL.revokeObjectURL(address);
    this.#items.clear();
    $("pictures").replaceChildren();
  }

  #pair(two = $("picture-pair").getAttribute("aria-pressed") !== "true") {
    $("picture-pair").setAttribute("aria-pressed", String(two));
    this.#panes[1].figure.hidden = !two;
    if (two && !this.#panes[1].sha256) {
      const other = [...this.#items.values()].reverse().find(({ item, address }) => address && item.file.sha256 !== this.#panes[0].sha256);
      if (other) this.#show(this.#panes[1], other);
    }
    this.#choose(this.#panes[two ? 1 : 0]);
    for (const pane of this.#panes) pane.draw();
  }

  #choose(pane) {
    this.#chosen = pane;
    for (const other of this.#panes) other.figure.classList.toggle("chosen", other === pane && !this.#panes[1].figure.hidden);
    $("picture-light").value = String(pane.light);
    $("picture-contrast").value = String(pane.contrast);
    this.#mark();
  }

  #changed(item) {
    const { sha256 } = item.file;
    const held = this.#items.get(sha256) ?? this.#begin(sha256);
    held.item = item;
    if (item.state === "here" && !held.address) {
      held.address = URL.createObjectURL(new Blob([item.bytes], { type: "image/jpeg" }));
      held.button.prepend(node("img", { src: held.address, alt: "" }));
      // The newest is what they talk about; who looks closely at another is not disturbed.
      if (!this.#chosen.isUsed) this.#show(this.#chosen, held);
    }
    const name = nameOf(item.reading);
    const shown = item.state === "here";
    held.text.replaceChildren(node("strong", { textContent: name }), [clock(Date.now() - item.reading.age_ms), item.reading.retaken && "non retenue", progressText(item)].filter(Boolean).join(" · "));
    held.progress.hidden = shown;
    held.progress.value = item.state === "coming" ? item.received / item.file.bytes : 0;
    Object.assign(held.button.dataset, { state: item.state, sha256 });
    $("picture-state").textContent = shown ? "" : `${name} : ${progressText(item)}`;
    for (const pane of this.#panes) if (pane.sha256 === sha256) pane.caption(item);
    this.#mark();
  }

  #begin(sha256) {
    const held = { text: node("span"), progress: node("progress", { max: 1, value: 0, ariaLabel: "Arrivée de l’image" }), button: node("button", { type: "button" }) };
    held.button.append(held.progress, held.text);
    held.button.onclick = () => {
      if (held.item.state === "waiting") this.#recordings.first(sha256);
      else if (held.item.state !== "here") this.#recordings.retry(sha256);
      else this.#show(this.#chosen, held);
    };
    this.#items.set(sha256, held);
    $("pictures").append(node("li", {}, held.button));
    return held;
  }

  #show(pane, held) {
    pane.show(held);
    this.#mark();
  }

  #mark() {
    for (const [sha256, { button }] of this.#items) button.setAttribute("aria-pressed", String(this.#panes.some((pane) => pane.sha256 === sha256 && !pane.figure.hidden)));
  }
}

/// One picture and how it is looked at.
class Pane {
  figure; #image; #words;
  sha256 = ""; light = 100; contrast = 100;
  #resting;
  /// Screen points of a pixel (0: what fits), where the middle of the picture is from that of the pane, quarter turns.
  #scale = 0; #x = 0; #y = 0; #turns = 0;
  #held = null;
  #size;

  constructor(figure, chosen) {
    this.figure = figure;
    [this.#image, this.#words] = figure.children;
    this.#resting = this.#words.dataset.resting ??= this.#words.textContent;
    this.show(null);
    figure.onpointerdown = (event) => {
      chosen(this);
      figure.setPointerCapture(event.pointerId);
      this.#held = { x: event.clientX - this.#x, y: event.clientY - this.#y };
    };
    figure.onpointermove = (event) => {
      if (!this.#held) return;
      [this.#x, this.#y] = [event.clientX - this.#held.x, event.clientY - this.#held.y];
      this.draw();
    };
    figure.onpointerup = figure.onpointercancel = () => { this.#held = null; };
    figure.onfocus = () => chosen(this);
    figure.onwheel = (event) => {
      event.preventDefault();
      const box = figure.getBoundingClientRect();
      this.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
    };
    figure.ondblclick = () => (this.#scale ? this.fit() : this.scaleTo(1));
    figure.onkeydown = (event) => this.#keys(event, chosen);
    this.#image.onload = () => this.draw();
    this.#size = new ResizeObserver(() => this.draw());
    this.#size.observe(figure);
  }

  stop() {
    this.#size.disconnect();
    this.show(null);
  }

  /// Somebody looks closely.
  get isUsed() { return this.#scale !== 0; }

  show(held) {
    this.sha256 = held?.item.file.sha256 ?? "";
    this.#image.hidden = !held;
    this.figure.classList.toggle("empty", !held);
    if (held) this.#image.src = held.address; else this.#image.removeAttribute("src");
    [this.#turns, this.light, this.contrast] = [0, 100, 100];
    this.fit();
    if (held) this.caption(held.item); else this.#words.textContent = this.#resting;
  }

  caption({ reading, file }) {
    const size = this.#image.naturalWidth ? `${this.#image.naturalWidth} × ${this.#image.naturalHeight}` : "";
    const words = [nameOf(reading), clock(Date.now() - reading.age_ms), word("device", reading.device_model), size, reading.high_quality === false && "peu nette", file.packed_here && "compressée par la cabine", reading.retaken && "non retenue"];
    this.#words.textContent = words.filter(Boolean).join(" · ");
    this.#image.alt = nameOf(reading);
    this.#image.onload = () => { this.draw(); this.caption({ reading, file }); this.#image.onload = () => this.draw(); };
  }

  fit() {
    [this.#scale, this.#x, this.#y] = [0, 0, 0];
    this.draw();
  }

  scaleTo(scale) {
    [this.#scale, this.#x, this.#y] = [scale, 0, 0];
    this.draw();
  }

  /// Around a point, from the middle of the pane.
  zoom(by, x = 0, y = 0) {
    const fitting = this.#fitting(), before = this.#scale || fitting;
    const after = Math.min(Math.max(before * by, fitting / 4), ZOOM_MAX);
    this.#scale = after;
    this.#x = x - ((x - this.#x) * after) / before;
    this.#y = y - ((y - this.#y) * after) / before;
    this.draw();
  }

  turn() {
    this.#turns = (this.#turns + 1) % 4;
    this.draw();
  }

  shade({ light = this.light, contrast = this.contrast }) {
    [this.light, this.contrast] = [Math.min(Math.max(light, 40), 260), Math.min(Math.max(contrast, 50), 250)];
    this.draw();
  }

  draw() {
    const { naturalWidth: width, naturalHeight: height, style } = this.#image;
    if (!width) return;
    const scale = this.#scale || this.#fitting();
    style.transform = `translate(${this.#x}px, ${this.#y}px) rotate(${this.#turns * 90}deg) scale(${scale}) translate(${-width / 2}px, ${-height / 2}px)`;
    style.filter = `brightness(${this.light}%) contrast(${this.contrast}%)`;
    this.#image.classList.toggle("near", scale >= 3);
    this.figure.dataset.scale = scale.toFixed(3);
  }

  #fitting() {
    const { naturalWidth, naturalHeight } = this.#image;
    const [width, height] = this.#turns % 2 ? [naturalHeight, naturalWidth] : [naturalWidth, naturalHeight];
    return Math.min(this.figure.clientWidth / (width || 1), this.figure.clientHeight / (height || 1)) || 1;
  }

  #keys(event, chosen) {
    const move = { ArrowLeft: [MOVE_PX, 0], ArrowRight: [-MOVE_PX, 0], ArrowUp: [0, MOVE_PX], ArrowDown: [0, -MOVE_PX] }[event.key];
    const act = {
      "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.fit(), z: () => this.scaleTo(1), t: () => this.turn(),
      l: () => this.shade({ light: this.light + LIGHT_STEP }), L: () => this.shade({ light: this.light - LIGHT_STEP }),
      k: () => this.shade({ contrast: this.contrast + LIGHT_STEP }), K: () => this.shade({ contrast: this.contrast - LIGHT_STEP }),
    }[event.key];
    if (event.ctrlKey || event.altKey || event.metaKey || !(move || act)) return;
    event.preventDefault();
    event.stopPropagation();
    if (move) { [this.#x, this.#y] = [this.#x + move[0], this.#y + move[1]]; this.draw(); } else act();
    chosen(this);
  }
}
