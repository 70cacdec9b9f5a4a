// Pictures, sounds and electrocardiograms that were taken, in full: asked for by their hash, received in pieces on the
// `recordings` channel, checked, and kept by this page alone until the consultation ends. See PROTOCOL.md.

import { VERSION } from "./desk_socket.js";

const HEADER_BYTES = 12;
const BYTES_MAX = 64 * 1024 * 1024;
/// A cabin that sends nothing for so long is asked again.
const SILENCE_MS = 15000;

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/// Says `changed` with the item: `{ file, reading, received, bytes, state }`, `state` one of `waiting`, `coming`, `here`,
/// `gone`, `wrong`. `bytes` is there once it is `here`.
export class Recordings extends EventTarget {
  #peer; #record;
  #items = new Map();
  #under = null; #number = 0; #silence = 0;

  constructor(peer, record) {
    super();
    [this.#peer, this.#record] = [peer, record];
    record.addEventListener("reading", ({ detail }) => { if (detail.file) this.#take(detail); });
    record.addEventListener("recording_refused", ({ detail }) => this.#refused(detail));
    peer.addEventListener("channel", ({ detail }) => { if (detail === "recordings") this.#again(); });
    record.addEventListener("open", () => this.#again());
    peer.addEventListener("recordings", ({ detail }) => this.#chunk(detail));
  }

  /// What is looked at now comes first.
  first(sha256) {
    const item = this.#items.get(sha256);
    if (!item || item === this.#under || item.state !== "waiting") return;
    if (this.#under) this.#under.state = "waiting";
    this.#ask(item);
  }

  /// Another try, after `gone` or `wrong`.
  retry(sha256) {
    const item = this.#items.get(sha256);
    if (!item || !["gone", "wrong"].includes(item.state)) return;
    item.state = "waiting";
    this.#next();
  }

  stop() {
    clearTimeout(this.#silence);
    this.#items.clear();
    this.#under = null;
  }

  #take(reading) {
    const { sha256, bytes } = reading.file;
    const item = this.#items.get(sha256) ?? { file: reading.file, received: 0, bytes: null, state: bytes > BYTES_MAX ? "gone" : "waiting" };
    // In review first, then kept, or set aside: the same bytes, another name.
    item.reading = reading;
    this.#items.set(sha256, item);
    this.#changed(item);
    this.#next();
  }

  /// The line is new: what was under way goes on from what is here.
  #again() {
    if (this.#under) { this.#under.state = "waiting"; this.#under = null; }
    this.#next();
  }

  /// The newest of those that wait: it is what they talk about.
  #next() {
    if (this.#under) return;
    const waiting = [...this.#items.values()].filter((item) => item.state === "waiting");
    if (waiting.length) this.#ask(waiting.at(-1));
  }

  #ask(item) {
    if (this.#peer.channels.recordings?.readyState !== "open" || !this.#record.isOpen) return;
    this.#under = item;
    item.state = "coming";
    item.part ??= new Uint8Array(item.file.bytes);
    this.#number += 1;
    this.#record.say({ type: "recording_wanted", number: this.#number, sha256: item.file.sha256, received: item.received });
    this.#listen();
    this.#changed(item);
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#again(), SILENCE_MS);
  }

  #chunk(buffer) {
    if (buffer.byteLength <= HEADER_BYTES) return;
    const view = new DataView(buffer);
    const [length, number, offset] = [view.getUint16(2, true), view.getUint32(4, true), view.getUint32(8, true)];
    const item = this.#under;
    // Of one that another took the place of.
    if (view.getUint8(0) !== VERSION || !item || number !== this.#number || length !== buffer.byteLength - HEADER_BYTES) return;
    if (offset !== item.received || offset + length > item.part.length) { this.#again(); return; }
    item.part.set(new Uint8Array(buffer, HEADER_BYTES), offset);
    item.received += length;
    this.#record.say({ type: "recording_received", number, received: item.received });
    this.#listen();
    if (item.received === item.part.length) this.#check(item); else this.#changed(item);
  }

  async #check(item) {
    clearTimeout(this.#silence);
    this.#under = null;
    const { part } = item;
    item.part = null;
    item.received = 0;
    const right = hex(await crypto.subtle.digest("SHA-256", part)) === item.file.sha256;
    item.state = right ? "here" : "wrong";
    item.bytes = right ? part : null;
    this.#changed(item);
    this.#next();
  }

  #refused({ number, code }) {
    if (!this.#under || number !== this.#number) return;
    const item = this.#under;
    clearTimeout(this.#silence);
    this.#under = null;
    item.state = code === "unknown_recording" ? "gone" : "waiting";
    this.#changed(item);
    // The cabin could not read it just now: not at once again.
    if (item.state === "waiting") this.#silence = setTimeout(() => this.#next(), 2000); else this.#next();
  }

  #changed(item) { this.dispatchEvent(new CustomEvent("changed", { detail: item })); }
}

/// What is shown of an item while it is not here.
export function progressText(item) {
  if (item.state === "coming") return `${Math.floor((100 * item.received) / item.file.bytes)} %`;
  return { waiting: "en attente", gone: "plus dans la cabine", wrong: "arrivée abîmée", here: "" }[item.state];
}
