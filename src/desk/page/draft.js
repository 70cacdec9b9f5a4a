// What the physician wrote and handed over in one consultation, kept by this tab alone, so that a page loaded again in
// mid-call loses nothing. It is forgotten when the consultation ends, and with the tab.

const KEY = "consultation";

export class Draft {
  #ticket; #held;

  constructor(ticket) {
    this.#ticket = ticket;
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(KEY)); } catch { /* Another version of this page wrote it. */ }
    this.#held = kept?.ticket === ticket ? kept.held : {};
  }

  read(name, otherwise) { return this.#held[name] ?? otherwise; }

  write(values) {
    Object.assign(this.#held, values);
    // A full or forbidden storage only means that a reload would lose the draft.
    try { sessionStorage.setItem(KEY, JSON.stringify({ ticket: this.#ticket, held: this.#held })); } catch { /* See above. */ }
  }

  forget() { forgetDrafts(); }
}

export function forgetDrafts() {
  try { sessionStorage.removeItem(KEY); } catch { /* Nothing was kept. */ }
}
