// The WebSocket to the desk: hello, heartbeat, dialling again for ever with a growing pause.

export const VERSION = 1;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 10000;
export const REFUSED_FOR_GOOD = new Set(["not_signed_in", "replaced", "bad_origin", "version_unsupported"]);

export class DeskSocket extends EventTarget {
  #socket = null;
  #pause = PAUSE_MIN_MS;
  #closed = false;
  #heard = 0;
  #heartbeat = 15000;
  #timer = 0;

  start() {
    this.#dial();
    this.#timer = setInterval(() => {
      // Three silent heartbeats: the line is dead even if nobody said so.
      if (this.#socket?.readyState === WebSocket.OPEN && performance.now() - this.#heard > 3 * this.#heartbeat) this.#socket.close();
    }, 1000);
  }

  stop() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#socket?.close();
  }

  /// Sends now, or returns false: what is lost with the line is negotiated anew when it is back.
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #dial() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/physician/ws`);
    this.#socket = socket;
    let welcome = false;
    socket.onopen = () => { this.#heard = performance.now(); this.send({ type: "hello", version: VERSION }); };
    socket.onmessage = (event) => {
      this.#heard = performance.now();
      let message;
      try { message = JSON.parse(event.data); } catch { return; }
      if (message.type === "ping") { this.send({ type: "pong", n: message.n }); return; }
      if (message.type === "welcome") { welcome = true; this.#pause = PAUSE_MIN_MS; this.#heartbeat = message.heartbeat_ms; this.#say("up"); }
      if (message.type === "refused" && REFUSED_FOR_GOOD.has(message.code)) this.#closed = true;
      this.#say("message", message);
    };
    socket.onclose = () => {
      this.#say("down", { ended: this.#closed });
      if (!welcome && !this.#closed) this.#say("unwelcome");
      if (this.#closed) { clearInterval(this.#timer); return; }
      setTimeout(() => { if (!this.#closed) this.#dial(); }, this.#pause * (0.5 + Math.random() / 2));
      this.#pause = Math.min(this.#pause * 2, PAUSE_MAX_MS);
    };
  }

  #say(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
