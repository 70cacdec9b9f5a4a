// What the stethoscope recorded: seen as a curve and as its frequencies, heard whole, in a loop, or through the bell or
// the diaphragm of a stethoscope. The recording is without loss; filters and volume are the listener's alone.

import { $, node } from "./dom.js";
import { nameOf } from "./pictures.js";
import { progressText } from "./recordings.js";
import { PIECE, spectrum } from "./spectrum.js";
import { clock, word } from "./words.js";

/// Hertz that each lets through, as a stethoscope's sides do.
export const FILTERS = { none: null, bell: [20, 200], diaphragm: [100, 1000] };
/// Of a Butterworth filter of the fourth order, which is flat between its ends; in decibels, as WebAudio counts it.
const STEEPNESS = [-5.333, 2.323];
/// Heart and lungs are heard below; what is above only costs drawing. The least rate that every browser has is twice it.
const SHOWN_HZ_MAX = 1000;
const SHOWN_RATE = 8000;
/// Decibels from the loudest to what is drawn black.
const DEPTH_DB = 60;
const SEEK_S = 1;

/// Nodes one after the other, from `context`, that let only a filter's hertz through.
export function chain(context, filter) {
  const ends = FILTERS[filter];
  if (!ends) return [];
  return [...pair(context, "highpass", ends[0]), ...pair(context, "lowpass", ends[1])];
}

function pair(context, type, frequency) {
  return STEEPNESS.map((steepness) => {
    const made = context.createBiquadFilter();
    made.type = type;
    made.frequency.value = frequency;
    made.Q.value = steepness;
    return made;
  });
}

/// The whole sound as it is heard through a filter; at another rate, without what is above `below` hertz, if these say
/// so.
export async function through(buffer, filter, rate = buffer.sampleRate, below = null) {
  const context = new OfflineAudioContext(1, Math.ceil(buffer.duration * rate), rate);
  const source = context.createBufferSource();
  source.buffer = buffer;
  const limits = below ? pair(context, "lowpass", below) : [];
  [source, ...chain(context, filter), ...limits, context.destination].reduce((from, to) => { from.connect(to); return to; });
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/// Samples a second of a FLAC file: 20 bits in its first block (RFC 9639, 8.2). A sound that is decoded at its own rate
/// is not resampled.
export function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const marked = bytes.length > 42 && view.getUint32(0) === 0x664c6143;
  return marked ? view.getUint32(18) >>> 12 : 0;
}

export class Sounds {
  #recordings;
  #items = new Map();
  #context = null; #chosen = null; #buffer = null;
  /// What plays now: its source, when by the context's clock its beginning was.
  #playing = null; #at = 0; #loop = null; #frame = 0; #drawing = 0; #pressed = null;
  #volume = null;

  constructor(recordings) {
    this.#recordings = recordings;
    $("sounds").replaceChildren();
    $("sound-player").hidden = true;
    $("sounds-empty").hidden = false;
    this.#here("");
    recordings.addEventListener("changed", ({ detail }) => { if (detail.file.content_type === "audio/flac") this.#changed(detail); });
    $("sound-play").onclick = () => this.toggle();
    $("sound-repeat").onclick = () => this.#repeat();
    $("sound-repeat").setAttribute("aria-pressed", "false");
    for (const input of document.getElementsByName("sound-filter")) input.onchange = () => this.#filter();
    $("sound-gain").oninput = () => this.#gain();
    this.#gain();
    const view = $("sound-view");
    view.onpointerdown = (event) => {
      if (!this.#buffer) return;
      view.setPointerCapture(event.pointerId);
      this.#pressed = this.#timeAt(event);
      this.#seek(this.#pressed);
    };
    view.onpointermove = (event) => {
      if (this.#pressed === null) return;
      const [from, to] = [this.#pressed, this.#timeAt(event)].sort((a, b) => a - b);
      // A hand that trembles chooses no part.
      this.#part(to - from > 0.1 ? [from, to] : null);
    };
    view.onpointerup = view.onpointercancel = () => { this.#pressed = null; };
    view.onkeydown = (event) => this.#keys(event);
  }

  get count() { return this.#items.size; }

  stop() {
    this.#pause();
    cancelAnimationFrame(this.#frame);
    this.#context?.close();
    this.#items.clear();
    this.#buffer = this.#chosen = this.#context = null;
    $("sounds").replaceChildren();
    for (const id of ["sound-wave", "sound-spectrum"]) $(id).getContext("2d").reset();
  }

  toggle() { if (this.#playing) this.#pause(); else this.#play(); }

  #changed(item) {
    const { sha256 } = item.file;
    let held = this.#items.get(sha256);
    if (!held) {
      held = { text: node("span"), progress: node("progress", { max: 1, value: 0, ariaLabel: "Arrivée de l’écoute" }), button: node("button", { type: "button" }) };
      held.button.append(held.progress, held.text);
      held.button.onclick = () => {
        if (held.item.state === "here") this.#choose(held.item);
        else if (held.item.state === "waiting") this.#recordings.first(sha256);
        else this.#recordings.retry(sha256);
      };
      this.#items.set(sha256, held);
      $("sounds").append(node("li", {}, held.button));
    }
    const isNew = held.item?.state !== "here" && item.state === "here";
    held.item = { ...item };
    $("sounds-empty").hidden = true;
    held.text.replaceChildren(node("strong", { textContent: nameOf(item.reading) }), [clock(Date.now() - item.reading.age_ms), item.reading.retaken && "non retenue", progressText(item)].filter(Boolean).join(" · "));
    held.progress.hidden = item.state === "here";
    held.progress.value = item.state === "coming" ? item.received / item.file.bytes : 0;
    Object.assign(held.button.dataset, { state: item.state, sha256 });
    // Whoever listens to another is not interrupted.
    if (isNew && !this.#playing) this.#choose(item);
    else if (this.#buffer && this.#chosen?.file.sha256 === sha256) this.#describe();
  }

  async #choose(item) {
    this.#pause();
    this.#chosen = item;
    this.#buffer = null;
    for (const [sha256, { button }] of this.#items) button.setAttribute("aria-pressed", String(sha256 === item.file.sha256));
    $("sound-player").hidden = false;
    this.#here(item.reading.body_site ?? "");
    const rate = rateOf(item.bytes);
    if (this.#context?.sampleRate !== rate) {
      this.#context?.close();
      // One that is not closed would hold the loudspeaker.
      try { this.#context = new AudioContext({ sampleRate: rate || 44100 }); } catch { this.#context = new AudioContext(); }
      this.#volume = this.#context.createGain();
      this.#volume.connect(this.#context.destination);
      this.#gain();
    }
    let buffer;
    try {
      buffer = await this.#context.decodeAudioData(item.bytes.slice().buffer);
    } catch {
      $("sound-state").textContent = "Ce navigateur ne sait pas lire cette écoute (FLAC) : prenez-en un plus récent.";
      return;
    }
    if (this.#chosen !== item) return;
    this.#buffer = buffer;
    this.#at = 0;
    this.#part(null);
    this.#describe();
    Object.assign($("sound-view").dataset, { rate: String(buffer.sampleRate), samples: String(buffer.length) });
    $("sound-view").setAttribute("aria-valuemax", buffer.duration.toFixed(1));
    this.#head();
    await this.#draw();
  }

  #describe() {
    const { reading, file } = this.#chosen;
    const seconds = `${this.#buffer.duration.toFixed(1).replace(".", ",")} s`;
    const lost = file.missing_ms > 0 && `${file.missing_ms} ms manquent`;
    $("sound-state").textContent = [nameOf(reading), clock(Date.now() - reading.age_ms), word("device", reading.device_model), `${seconds}, ${this.#buffer.sampleRate} Hz, sans perte`, lost, reading.high_quality === false && "écoute bruitée", reading.retaken && "non retenue"].filter(Boolean).join(" · ");
  }

  #here(site) {
    for (const place of $("torso").querySelectorAll(".site")) place.classList.toggle("here", place.dataset.site === site);
    $("torso").setAttribute("aria-label", site ? `Endroit de l’écoute : ${word("body_site", site)}` : "Endroit de l’écoute : non dit");
  }

  get #chosenFilter() { return [...document.getElementsByName("sound-filter")].find((input) => input.checked)?.value ?? "none"; }

  #play() {
    if (!this.#buffer) return;
    this.#context.resume();
    const source = this.#context.createBufferSource();
    source.buffer = this.#buffer;
    source.loop = this.#isRepeated;
    const [from, to] = this.#loop ?? [0, this.#buffer.duration];
    [source.loopStart, source.loopEnd] = [from, to];
    if (this.#at < from || this.#at >= to - 0.01) this.#at = from;
    [source, ...chain(this.#context, this.#chosenFilter), this.#volume].reduce((one, next) => { one.connect(next); return next; });
    source.start(0, this.#at, source.loop ? undefined : to - this.#at);
    const playing = { source, since: this.#context.currentTime - this.#at, from, to };
    source.onended = () => { if (this.#playing === playing) { this.#pause(); this.#at = from; this.#head(); } };
    this.#playing = playing;
    $("sound-play").textContent = "Pause";
    this.#follow();
  }

  #pause() {
    if (!this.#playing) return;
    this.#at = this.#now();
    const { source } = this.#playing;
    this.#playing = null;
    source.stop();
    source.disconnect();
    $("sound-play").textContent = "Écouter";
    this.#head();
  }

  /// Where in the sound we are, seconds.
  #now() {
    if (!this.#playing) return this.#at;
    const { source, since, from, to } = this.#playing;
    const passed = this.#context.currentTime - since;
    return source.loop && passed > to ? from + ((passed - from) % (to - from)) : Math.min(passed, to);
  }

  #again() { if (this.#playing) { this.#pause(); this.#play(); } }

  #seek(seconds) {
    const isPlaying = Boolean(this.#playing);
    this.#pause();
    this.#at = Math.min(Math.max(seconds, 0), this.#buffer.duration);
    this.#head();
    if (isPlaying) this.#play();
  }

  #part(part) {
    this.#loop = part;
    const mark = $("sound-loop");
    mark.hidden = !part;
    if (part) {
      mark.style.left = `${(100 * part[0]) / this.#buffer.duration}%`;
      mark.style.width = `${(100 * (part[1] - part[0])) / this.#buffer.duration}%`;
    }
    this.#again();
  }

  get #isRepeated() { return $("sound-repeat").getAttribute("aria-pressed") === "true"; }

  #repeat() {
    $("sound-repeat").setAttribute("aria-pressed", String(!this.#isRepeated));
    this.#again();
  }

  #filter() {
    this.#again();
    this.#draw();
  }

  #gain() {
    const decibels = Number($("sound-gain").value);
    $("sound-gain-text").textContent = `+${decibels} dB`;
    if (this.#volume) this.#volume.gain.value = 10 ** (decibels / 20);
  }

  #timeAt(event) {
    const box = $("sound-view").getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.#buffer.duration;
  }

  #follow() {
    this.#head();
    if (this.#playing) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #head() {
    if (!this.#buffer) return;
    const now = this.#now();
    $("sound-head").style.left = `${(100 * now) / this.#buffer.duration}%`;
    $("sound-view").setAttribute("aria-valuenow", now.toFixed(1));
  }

  /// The curve and the frequencies, as they are heard now.
  async #draw() {
    const drawing = ++this.#drawing, buffer = this.#buffer, filter = this.#chosenFilter;
    if (!buffer) return;
    const [heard, low] = [await through(buffer, filter), await through(buffer, filter, SHOWN_RATE, SHOWN_HZ_MAX)];
    // Chosen otherwise while it was computed.
    if (drawing !== this.#drawing) return;
    drawWave($("sound-wave"), heard);
    drawSpectrum($("sound-spectrum"), low);
    Object.assign($("sound-view").dataset, { drawn: this.#chosen.file.sha256, filter });
  }

  #keys(event) {
    const step = { ArrowLeft: -SEEK_S, ArrowRight: SEEK_S, PageDown: -5 * SEEK_S, PageUp: 5 * SEEK_S }[event.key];
    const act = {
      " ": () => this.toggle(), Home: () => this.#seek(0), End: () => this.#seek(this.#buffer.duration), r: () => this.#repeat(),
      "[": () => this.#part([this.#now(), Math.max(this.#loop?.[1] ?? this.#buffer.duration, this.#now() + 0.2)]),
      "]": () => this.#part([Math.min(this.#loop?.[0] ?? 0, this.#now() - 0.2), this.#now()].map((at) => Math.max(at, 0))),
      Escape: () => this.#part(null),
    }[event.key];
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#buffer || !(step || act)) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) this.#seek(this.#now() + step); else act();
  }
}

/// Lowest and highest of each column: no beat falls between two points. As loud as the paper allows.
function drawWave(canvas, samples) {
  const { width, height } = canvas;
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#10161a";
  ink.fillRect(0, 0, width, height);
  let loudest = 1e-4;
  for (const sample of samples) if (Math.abs(sample) > loudest) loudest = Math.abs(sample);
  ink.fillStyle = "#5CC8F5";
  for (let x = 0; x < width; x++) {
    let low = Infinity, high = -Infinity;
    for (let at = Math.floor((x * samples.length) / width), to = Math.floor(((x + 1) * samples.length) / width); at < to; at++) {
      if (samples[at] < low) low = samples[at];
      if (samples[at] > high) high = samples[at];
    }
    const y = (value) => height / 2 - (value / loudest) * (height / 2 - 4);
    if (high >= low) ink.fillRect(x, y(high), 1, Math.max(y(low) - y(high), 1));
  }
}

/// Low below, high above, the loudest brightest; lines every 200 Hz.
function drawSpectrum(canvas, samples) {
  const { width, height } = canvas;
  const ink = canvas.getContext("2d");
  // Every second sample: what is above 2 kHz was taken away, and folds down onto nothing.
  const every = SHOWN_RATE / 4000;
  const thin = samples.filter((_, at) => at % every === 0);
  const { columns, lines, decibels } = spectrum(thin, Math.max(Math.floor((thin.length - PIECE) / (width / 2)), 32));
  if (!columns) return;
  const shown = Math.round((lines * SHOWN_HZ_MAX) / 2000);
  const picture = new ImageData(columns, shown);
  for (let column = 0; column < columns; column++) {
    for (let line = 0; line < shown; line++) {
      const level = Math.min(Math.max(1 + decibels[column * lines + line] / DEPTH_DB, 0), 1);
      const at = 4 * ((shown - 1 - line) * columns + column);
      picture.data.set([255 * Math.min(1.6 * level ** 1.5, 1), 255 * level ** 1.1, 255 * Math.min(0.25 + level, 1) * (level > 0.02), 255], at);
    }
  }
  const small = new OffscreenCanvas(columns, shown);
  small.getContext("2d").putImageData(picture, 0, 0);
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, width, height);
  // A piece is drawn in its middle.
  const [from, to] = [PIECE / 2 / thin.length, 1 - PIECE / 2 / thin.length];
  ink.drawImage(small, from * width, 0, (to - from) * width, height);
  ink.fillStyle = ink.strokeStyle = "rgba(255, 255, 255, .55)";
  ink.font = "18px sans-serif";
  for (let hertz = 200; hertz < SHOWN_HZ_MAX; hertz += 200) {
    const y = height * (1 - hertz / SHOWN_HZ_MAX);
    ink.fillRect(0, y, 10, 1);
    ink.fillText(`${hertz} Hz`, 14, y + 6);
  }
}
