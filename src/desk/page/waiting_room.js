// The waiting room: who waits, where, for how long; one button to take a patient.

import { $, node } from "./dom.js";
import { since, word } from "./words.js";

const REDRAW_MS = 10000;

export class WaitingRoom {
  #lines = new Map();
  #cabins = new Map();
  /// What is drawn, by consultation: a button keeps its place and its focus while the list changes around it.
  #drawn = new Map();
  #take;
  #isUp = true;
  #timer = 0;

  /// `take(consultation)` is called when the physician takes a patient.
  constructor(take) {
    this.#take = take;
    this.#timer = setInterval(() => this.draw(), REDRAW_MS);
  }

  /// While the line to the desk is cut nobody can be taken: the list may be old.
  setLine(isUp) { this.#isUp = isUp; this.draw(); }

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
    const began = (line) => line.heard - line.waited_ms;
    const lines = [...this.#lines.values()].sort((a, b) => Number(Boolean(b.warning_sign)) - Number(Boolean(a.warning_sign)) || began(a) - began(b));
    for (const consultation of this.#drawn.keys()) if (!this.#lines.has(consultation)) this.#drawn.delete(consultation);
    document.title = `${lines.length ? `(${lines.length}) ` : ""}Télécabine · bureau du médecin`;
    $("waiting-empty").hidden = lines.length > 0;
    place($("waiting-list"), lines.map((line) => this.#line(line)));
    $("cabin-list").replaceChildren(...[...this.#cabins.values()].map(cabinLine));
    $("cabins-empty").hidden = this.#cabins.size > 0;
  }

  /// The desk answered: whatever was asked may be asked again.
  release() { for (const { button } of this.#drawn.values()) button.classList.remove("asked"); this.draw(); }

  #line(line) {
    const drawn = this.#drawn.get(line.consultation) ?? this.#begin(line.consultation);
    const cabin = this.#cabins.get(line.cabin_id);
    const done = line.measured.map((measurement) => word("measurement", measurement)).join(", ");
    const spoken = line.language === "fr" ? "" : ` · parle ${word("language", line.language)}`;
    drawn.reason.textContent = word("reason", line.reason);
    drawn.person.textContent = `${word("sex", line.sex)}, ${word("age_band", line.age_band)}${spoken}`;
    drawn.place.textContent = `${cabin ? `${cabin.site.name}, ${cabin.site.town}` : "cabine inconnue"} · attend depuis ${since(Date.now() - line.heard + line.waited_ms)}`;
    drawn.done.textContent = done ? `mesures faites : ${done}` : "aucune mesure pour l’instant";
    drawn.lost.hidden = !line.cabin_lost;
    drawn.sign.hidden = !line.warning_sign;
    drawn.button.disabled = !this.#isUp || line.cabin_lost || drawn.button.classList.contains("asked");
    return drawn.item;
  }

  #begin(consultation) {
    const drawn = {
      reason: node("strong"), person: node("div"), place: node("div", { className: "quiet" }), done: node("div", { className: "quiet" }),
      sign: node("div", { className: "error", textContent: "signe d’alerte : oui, vu par le pharmacien" }),
      lost: node("span", { className: "error", textContent: "liaison perdue, la cabine est attendue" }),
      button: node("button", { className: "main", type: "button", textContent: "Prendre ce patient" }),
    };
    const about = `waiting-${consultation}`;
    drawn.button.setAttribute("aria-describedby", about);
    drawn.button.onclick = () => {
      drawn.button.classList.add("asked");
      drawn.button.disabled = true;
      this.#take(consultation);
    };
    drawn.item = node("li", {}, node("div", { className: "grow", id: about }, drawn.reason, drawn.sign, drawn.person, drawn.place, drawn.done), drawn.lost, drawn.button);
    this.#drawn.set(consultation, drawn);
    return drawn;
  }
}

/// Puts the items in this order, and touches nothing when they are.
function place(list, items) {
  if (items.length !== list.children.length || items.some((item, at) => item !== list.children[at])) list.replaceChildren(...items);
}

function cabinLine(cabin) {
  const faults = (cabin.state?.devices ?? []).filter((device) => !device.ready);
  const state = !cabin.online ? "hors ligne" : !cabin.state?.open ? "en ligne, fermée" : "ouverte";
  return node("li", {},
    node("strong", { textContent: `${cabin.site.name}, ${cabin.site.town}` }),
    node("div", { className: "quiet", textContent: `${word("site", cabin.site.kind)} · ${state}` }),
    ...faults.map((device) => node("div", { className: "error", textContent: `${word("measurement", device.measurement)} : ${device.fault ?? "indisponible"}` })));
}
