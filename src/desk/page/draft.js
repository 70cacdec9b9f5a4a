// What the physician wrote and the desk does not have yet, kept by this tab alone, so that a page loaded again loses
// nothing: of one consultation, forgotten when it ends; of second opinions, until each is stored. All of it is forgotten
// when the physician signs out, and with the tab.

const KEYS = ["consultation", "opinions"];

export class Draft {
  #owner; #key; #held;

  /// `owner`: the ticket of the consultation, or the account; what another one wrote is dropped.
  constructor(owner, key = KEYS[0]) {
    this.#owner = owner;
    this.#key = key;
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(key)); } catch { /* Another version of this page wrote it. */ }
    this.#held = kept?.ticket === owner ? kept.held : {};
  }

  read(name, otherwise) { return this.#held[name] ?? otherwise; }

  write(values) {
    Object.assign(this.#held, values);
    // A full or forbidden storage only means that a reload would lose the draft.
    try { sessionStorage.setItem(this.#key, JSON.stringify({ ticket: this.#owner, held: this.#held })); } catch { /* See above. */ }
  }

  forget() {
    try { sessionStorage.removeItem(this.#key); } catch { /* Nothing was kept. */ }
  }
}

export function forgetDrafts() {
  try { for (const key of KEYS) sessionStorage.removeItem(key); } catch { /* Nothing was kept. */ }
}
