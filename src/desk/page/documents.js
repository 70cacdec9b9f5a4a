// PDF files to the cabin over the `documents` channel: announced on `record`, sent from the offset that the cabin says,
// kept here until the cabin has checked and stored them.

import { $, newId, node, notice } from "./dom.js";

const BYTES_MAX = 10 * 1024 * 1024;
const CHUNK_BYTES = 16 * 1024 - 12;
const WINDOW_BYTES = 256 * 1024;
/// The cabin takes so many at once.
const UNDER_WAY_MAX = 4;
const STORED = "reçu et gardé dans la cabine ✓";

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class Documents {
  #peer; #record; #draft;
  #sent = new Map();
  #numbers; #stored; #waiting = [];

  constructor(peer, record, draft) {
    [this.#peer, this.#record, this.#draft] = [peer, record, draft];
    this.#numbers = draft.read("document_numbers", 0);
    this.#stored = draft.read("documents", []);
    for (const title of this.#stored) line(title).textContent = STORED;
    record.addEventListener("open", () => this.#sent.forEach((item) => { if (!item.settled) this.#begin(item); }));
    record.addEventListener("document_ack", ({ detail }) => this.#acknowledged(detail));
    record.addEventListener("document_refused", ({ detail }) => {
      const item = this.#sent.get(detail.id);
      if (!item || item.settled) return;
      item.state.textContent = `refusé : ${detail.reason}`;
      this.#settle(item);
    });
    // The channel may open after `record`, and may fill: go on then, and at each low mark.
    peer.addEventListener("channel", ({ detail }) => {
      if (detail !== "documents") return;
      const channel = peer.channels.documents;
      channel.bufferedAmountLowThreshold = WINDOW_BYTES / 2;
      channel.onbufferedamountlow = () => this.#pumpAll();
      this.#pumpAll();
    });
    $("document-file").onchange = (event) => { this.#addAll(event.target.files); event.target.value = ""; };
    const drop = $("drop");
    drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
    drop.ondragleave = () => drop.classList.remove("over");
    drop.ondrop = (event) => { event.preventDefault(); drop.classList.remove("over"); this.#addAll(event.dataTransfer.files); };
  }

  /// True when all that was dropped is stored in the cabin, or refused by it.
  get isSettled() { return [...this.#sent.values()].every((item) => item.settled); }

  /// Resolves when `isSettled`.
  settled() {
    return this.isSettled ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  #addAll(files) {
    const kind = $("document-kind").value;
    for (const file of files) this.#add(file, kind).catch(() => notice(`« ${file.name} » ne peut pas être lu. Déposez-le de nouveau.`));
  }

  async #add(file, kind) {
    const head = new TextDecoder("latin1").decode(await file.slice(0, 5).arrayBuffer());
    if (head !== "%PDF-") { notice(`« ${file.name} » n’est pas un PDF. Enregistrez-le en PDF, puis déposez-le de nouveau.`); return; }
    if (file.size > BYTES_MAX) { notice(`« ${file.name} » dépasse 10 Mo. Réduisez-le, puis déposez-le de nouveau.`); return; }
    if ([...this.#sent.values()].filter((item) => !item.settled).length >= UNDER_WAY_MAX) { notice("Quatre documents sont déjà en cours d’envoi. Attendez que l’un soit arrivé."); return; }
    const bytes = new Uint8Array(await file.arrayBuffer());
    const item = {
      id: newId(), number: ++this.#numbers, kind, title: file.name.slice(0, 60), bytes,
      sha256: hex(await crypto.subtle.digest("SHA-256", bytes)),
      ready: false, offset: 0, acknowledged: 0, settled: false, state: line(file.name.slice(0, 60)),
    };
    this.#draft.write({ document_numbers: this.#numbers });
    this.#sent.set(item.id, item);
    item.state.textContent = this.#record.isOpen ? "envoi…" : "envoyé dès que la cabine est en ligne";
    this.#begin(item);
  }

  #begin(item) {
    item.ready = false;
    this.#record.say({ type: "document_begin", id: item.id, number: item.number, kind: item.kind, title: item.title, bytes: item.bytes.length, sha256: item.sha256 });
  }

  #acknowledged({ id, received, stored }) {
    const item = this.#sent.get(id);
    if (!item || item.settled) return;
    if (stored) {
      item.state.textContent = STORED;
      this.#stored = [...this.#stored, item.title];
      this.#draft.write({ documents: this.#stored });
      this.#settle(item);
      return;
    }
    item.acknowledged = received;
    // The first answer, or another offset than ours: go on from there.
    if (!item.ready || received > item.offset) { item.ready = true; item.offset = received; }
    item.state.textContent = `${Math.floor((100 * received) / item.bytes.length)} %`;
    this.#pump(item);
  }

  #settle(item) {
    item.settled = true;
    item.bytes = null;
    if (this.isSettled) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #pumpAll() { for (const item of this.#sent.values()) this.#pump(item); }

  #pump(item) {
    const channel = this.#peer.channels.documents;
    while (item.ready && !item.settled && channel?.readyState === "open" && item.offset < item.bytes.length
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

/// A line for a document; gives the place where its state is written.
function line(title) {
  const state = node("span", { className: "quiet" });
  $("documents").append(node("li", {}, node("span", { className: "grow", textContent: title }), state));
  return state;
}
