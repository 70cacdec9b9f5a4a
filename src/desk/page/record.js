// The `record` data channel: what the cabin says of the patient, what the physician hands over. Each thing handed over
// has an id, is kept here until the cabin says that it is durable, and is said again after each reconnection.

import { VERSION } from "./desk_socket.js";

export class Record extends EventTarget {
  #peer; #consultation;
  #unacknowledged = new Map();

  constructor(peer, consultation) {
    super();
    [this.#peer, this.#consultation] = [peer, consultation];
    peer.addEventListener("channel", ({ detail }) => { if (detail === "record") this.#open(); });
    peer.addEventListener("record", ({ detail }) => this.#read(detail));
  }

  /// Hands a message over, now or when the channel opens; resolves with true when the cabin acknowledged it, with
  /// false when it was withdrawn.
  hand(message) {
    return new Promise((resolve) => {
      this.#unacknowledged.set(message.id, { message, resolve });
      this.say(message);
    });
  }

  /// Takes back what was handed over and not acknowledged: it is not said again.
  withdraw(id) {
    const item = this.#unacknowledged.get(id);
    this.#unacknowledged.delete(id);
    item?.resolve(false);
  }

  /// Says something that is not kept until acknowledged (documents have their own acknowledgement).
  say(message) {
    const channel = this.#peer.channels.record;
    if (channel?.readyState !== "open") return false;
    channel.send(JSON.stringify(message));
    return true;
  }

  get isOpen() { return this.#peer.channels.record?.readyState === "open"; }

  #open() {
    this.say({ type: "hello", version: VERSION, consultation: this.#consultation });
    for (const { message } of this.#unacknowledged.values()) this.say(message);
    this.dispatchEvent(new CustomEvent("open"));
  }

  #read(text) {
    let message;
    try { message = JSON.parse(text); } catch { return; }
    if (message.type === "ack") {
      const item = this.#unacknowledged.get(message.id);
      this.#unacknowledged.delete(message.id);
      item?.resolve(true);
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }
}
