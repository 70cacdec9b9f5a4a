// What a physician wrote about second opinions and the desk has not stored: what is still being written, and what waits
// for the desk, which is said again in order and with the same names until the desk has answered it.

import { Draft } from "./draft.js";

const AGAIN_MS = 15000;
/// What the desk or the way to it lacks for the moment; and a sign-in that ended, after which the same is said again.
const isAway = ({ status }) => status === 0 || status === 401 || status >= 500;

export class Unsent {
  #draft; #ask; #answered; #timer = 0; #sending = false; #stopped = false;
  /// Reports are too long for what a tab keeps: after a reload they are to be chosen again.
  #reports = new Map();

  /// `ask(path, body)` gives `{ status, ok, value }`; `answered(entry, answer)` hears what became of what waited.
  constructor(account, ask, answered) {
    this.#draft = new Draft(account, "opinions");
    this.#ask = ask;
    this.#answered = answered;
    addEventListener("beforeunload", this.#leaving);
  }

  #leaving = (event) => { if (this.waiting.length) event.preventDefault(); };

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    removeEventListener("beforeunload", this.#leaving);
  }

  /// What is being written under this name.
  written(name) { return this.#draft.read(`written ${name}`, null); }
  write(name, value) { this.#draft.write({ [`written ${name}`]: value || null }); }

  /// What waits for the desk, oldest first: `name` under which it was written, `path`, `body`.
  get waiting() { return this.#draft.read("waiting", []); }

  /// Sends, or keeps it until it can be sent. `null`: it waits.
  async send(name, path, body) {
    const answer = this.waiting.length ? { status: 0 } : await this.#ask(path, body);
    if (!isAway(answer)) return answer;
    const { report, ...rest } = body;
    if (report) this.#reports.set(body.id, report);
    this.#draft.write({ waiting: [...this.waiting, { name, path, body: rest, reported: Boolean(report) }] });
    this.#later();
    return null;
  }

  #later() {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.again(), AGAIN_MS);
  }

  /// The desk may be back.
  async again() {
    if (this.#sending || this.#stopped) return;
    this.#sending = true;
    while (this.waiting.length && !this.#stopped) {
      const [entry, ...others] = this.waiting;
      const report = this.#reports.get(entry.body.id);
      const lacks = entry.reported && !report;
      const answer = lacks ? { ok: false, status: 400, value: { reason: "Le PDF joint est à choisir de nouveau." } } : await this.#ask(entry.path, { ...entry.body, ...(report && { report }) });
      if (isAway(answer)) { this.#later(); break; }
      this.#draft.write({ waiting: others });
      this.#reports.delete(entry.body.id);
      this.#answered(entry, answer);
    }
    this.#sending = false;
  }
}
