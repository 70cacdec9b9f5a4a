// PDF files to the cabin over the `documents` channel: announced on `record`, sent from the offset that the cabin says,
// kept here until the cabin has checked and stored them.

import { $, newId, node, notice } from "./dom.js";

const BYTES_MAX = 10 * 1024 * 1024;
const CHUNK_BYTES = 16 * 1024 - 12;
const WINDOW_BYTES = 256 * 1024;

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class Documents {
  #peer; #record;
  #sent = new Map();
  #numbers = 0;

  constructor(peer, record) {
    [this.#peer, this.#record] = [peer, record];
    record.addEventListener("open", () => this.#sent.forEach((item) => { if (!item.stored) this.#begin(item); }));
    record.addEventListener("document_ack", ({ detail }) => this.#acknowledged(detail));
    record.addEventListener("document_refused", ({ detail }) => {
      const item = this.#sent.get(detail.id);
      if (!item) return;
      item.state.textContent = `refusé : ${detail.reason}`;
      item.stored = true;
    });
    // The file may be chosen before the channel is open, and the channel may fill: go on at each low mark.
    peer.addEventListener("channel", ({ detail }) => {
      if (detail !== "documents") return;
      const channel = peer.channels.documents;
      channel.bufferedAmountLowThreshold = WINDOW_BYTES / 2;
      channel.onbufferedamountlow = () => this.#sent.forEach((item) => this.#pump(item));
    });
  }

  /// True when all that was dropped is stored in the cabin.
  get settled() { return [...this.#sent.values()].every((item) => item.stored); }

  async add(file, kind) {
    const head = new TextDecoder("latin1").decode(await file.slice(0, 5).arrayBuffer());
    if (head !== "%PDF-") { notice(`« ${file.name} » n’est pas un PDF. Enregistrez-le en PDF, puis déposez-le de nouveau.`); return; }
    if (file.size > BYTES_MAX) { notice(`« ${file.name} » dépasse 10 Mo. Réduisez-le, puis déposez-le de nouveau.`); return; }
    const bytes = new Uint8Array(await file.arrayBuffer());
    const item = {
      id: newId(), number: ++this.#numbers, kind, title: file.name.slice(0, 60), bytes,
      sha256: hex(await crypto.subtle.digest("SHA-256", bytes)),
      ready: false, offset: 0, acknowledged: 0, stored: false, state: node("span", { className: "quiet", textContent: "envoi…" }),
    };
    this.#sent.set(item.id, item);
    $("documents").append(node("li", {}, node("span", { className: "grow", textContent: item.title }), item.state));
    this.#begin(item);
  }

  #begin(item) {
    item.ready = false;
    this.#record.say({ type: "document_begin", id: item.id, number: item.number, kind: item.kind, title: item.title, bytes: item.bytes.length, sha256: item.sha256 });
  }

  #acknowledged({ id, received, stored }) {
    const item = this.#sent.get(id);
    if (!item) return;
    item.acknowledged = received;
    if (stored) {
      item.stored = true;
      item.state.textContent = "reçu et gardé dans la cabine ✓";
      return;
    }
    // The first answer, or another offset than ours: go on from there.
    if (!item.ready || received > item.offset) { item.ready = true; item.offset = received; }
    item.state.textContent = `${Math.floor((100 * received) / item.bytes.length)} %`;
    this.#pump(item);
  }

  #pump(item) {
    const channel = this.#peer.channels.documents;
    while (item.ready && !item.stored && channel?.readyState === "open" && item.offset < item.bytes.length
      && item.offset - item.acknowledged < WINDOW_BYTES && channel.bufferedAmount < WINDOW_BYTES) {
      const payload = item.bytes.subarray(item.offset, item.offset + CHUNK_BYTES);
      const chunk = new Uint8Array(12 + payload.length);
      const view = new DataView(chunk.buffer);
      view.setUint8(0, 1);
      view.setUint16(2, payload.length, true);
      view.setUint32(4, item.number, true);
      view.setUint32(8, item.offset, true);
      chunk.set(payload, 12);
      channel.send(chunk);
      item.offset += payload.length;
    }
  }
}
