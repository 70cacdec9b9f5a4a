// The waiting room: who waits, where, for how long; one button to take a patient.

import { $, node } from "./dom.js";
import { since, word } from "./words.js";

export class WaitingRoom {
  #lines = new Map();
  #cabins = new Map();
  #take;
  #timer = 0;

  /// `take(consultation)` is called when the physician takes a patient.
  constructor(take) {
    this.#take = take;
    this.#timer = setInterval(() => this.draw(), 20000);
  }

  stop() { clearInterval(this.#timer); }

  read(message) {
    const keep = (line) => this.#lines.set(line.consultation, { ...line, heard: Date.now() });
    switch (message.type) {
      case "waiting_list":
        this.#lines.clear();
        this.#cabins.clear();
        message.waiting.forEach(keep);
        message.cabins.forEach((cabin) => this.#cabins.set(cabin.cabin_id, cabin));
        break;
      case "waiting_changed": keep(message.line); break;
      case "waiting_gone": this.#lines.delete(message.consultation); break;
      case "cabin_changed": this.#cabins.set(message.cabin.cabin_id, message.cabin); break;
      default: return;
    }
    this.draw();
  }

  draw() {
    const lines = [...this.#lines.values()].sort((a, b) => b.waited_ms - b.heard - (a.waited_ms - a.heard));
    $("waiting-empty").hidden = lines.length > 0;
    $("waiting-list").replaceChildren(...lines.map((line) => this.#line(line)));
    $("cabin-list").replaceChildren(...[...this.#cabins.values()].map((cabin) => this.#cabin(cabin)));
  }

  #line(line) {
    const cabin = this.#cabins.get(line.cabin_id);
    const waited = line.waited_ms + Date.now() - line.heard;
    const done = line.measured.map((measurement) => word("measurement", measurement)).join(", ");
    const button = node("button", { className: "main", textContent: "Prendre ce patient", disabled: line.cabin_lost });
    button.onclick = () => { button.disabled = true; this.#take(line.consultation); };
    return node("li", {},
      node("div", { className: "grow" },
        node("strong", { textContent: word("reason", line.reason) }),
        node("div", { textContent: `${word("sex", line.sex)}, ${word("age_band", line.age_band)} · langue ${line.language}` }),
        node("div", { className: "quiet", textContent: `${cabin ? `${cabin.site.name}, ${cabin.site.town}` : "cabine inconnue"} · attend depuis ${since(waited)}` }),
        node("div", { className: "quiet", textContent: done ? `mesures faites : ${done}` : "aucune mesure pour l’instant" })),
      line.cabin_lost ? node("span", { className: "error", textContent: "liaison perdue, en attente" }) : null,
      button);
  }

  #cabin(cabin) {
    const faults = (cabin.state?.devices ?? []).filter((device) => !device.ready);
    const state = !cabin.online ? "hors ligne" : !cabin.state?.open ? "en ligne, fermée" : "ouverte";
    return node("li", {},
      node("strong", { textContent: `${cabin.site.name}, ${cabin.site.town}` }),
      node("div", { className: "quiet", textContent: `${word("site", cabin.site.kind)} · ${state}` }),
      ...faults.map((device) => node("div", { className: "error", textContent: `${word("measurement", device.measurement)} : ${device.fault ?? "indisponible"}` })));
  }
}
