// The middle of a consultation: its tabs, how much room they have, and the keys that reach everything.

import { $, node } from "./dom.js";

const TABS = ["patient", "ecg", "pictures", "sounds", "line"];
/// What the physician likes, of no patient.
const KEYS_OFF = "keys-off";

/// Which tab shows what was asked for.
const SHOWS = { ecg: "ecg", ear_picture: "pictures", skin_picture: "pictures", auscultation: "sounds" };

export class Workbench {
  #actions;
  #shown = "patient";

  /// `actions`: what single keys do beside the tabs, by key: `[words, act]`.
  constructor(actions) {
    this.#actions = actions;
    for (const name of TABS) {
      $(`tab-${name}`).onclick = () => this.show(name);
      $(`tab-${name}`).onkeydown = (event) => this.#walk(event, name);
      this.count(name, 0);
    }
    $("wide").onclick = () => this.widen();
    this.widen(false);
    this.show("patient");
    $("keys-open").onclick = () => this.#explain();
    $("keys-close").onclick = () => $("keys-dialog").close();
    $("keys-on").checked = !isOff();
    $("keys-on").onchange = (event) => keep(!event.target.checked);
    document.onkeydown = (event) => this.#key(event);
  }

  stop() {
    document.onkeydown = null;
    $("keys-dialog").close();
  }

  /// The tab on which a measurement that was asked for appears, if it has one of its own.
  showMeasurement(measurement) { if (SHOWS[measurement]) this.show(SHOWS[measurement]); }

  show(name) {
    this.#shown = name;
    for (const other of TABS) {
      const isShown = other === name;
      $(`tab-${other}`).setAttribute("aria-selected", String(isShown));
      $(`tab-${other}`).tabIndex = isShown ? 0 : -1;
      $(`panel-${other}`).hidden = !isShown;
    }
  }

  get shown() { return this.#shown; }

  /// A number beside the tab's name.
  count(name, number) {
    const badge = $(`tab-${name}`).querySelector(".badge");
    if (!badge) return;
    badge.hidden = !number;
    badge.textContent = number ? String(number) : "";
    const tab = $(`tab-${name}`);
    // What is read aloud: the number belongs to the name.
    if (number) tab.setAttribute("aria-label", `${tab.firstChild.textContent.trim()} (${number})`); else tab.removeAttribute("aria-label");
  }

  widen(wide = $("wide").getAttribute("aria-pressed") !== "true") {
    $("wide").setAttribute("aria-pressed", String(wide));
    $("wide").textContent = wide ? "Revoir les notes" : "Agrandir";
    $("consultation").classList.toggle("wide", wide);
  }

  #walk(event, name) {
    const at = TABS.indexOf(name);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = TABS[(to + TABS.length) % TABS.length];
    this.show(next);
    $(`tab-${next}`).focus();
  }

  #key(event) {
    const typing = event.target.closest?.("input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select, dialog");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || $("consultation").hidden || event.defaultPrevented) return;
    if (event.key === "?") { event.preventDefault(); this.#explain(); return; }
    if (isOff()) return;
    const tab = TABS[Number(event.key) - 1];
    const action = this.#actions[event.key];
    if (!tab && !action && event.key !== "g") return;
    event.preventDefault();
    if (event.key === "g") this.widen();
    else if (action) action[1]();
    else { this.show(tab); $(`panel-${tab}`).focus(); }
  }

  #explain() {
    const rows = [
      ["1 … 5", "Patient, ECG, images, sons, liaison"], ["g", "Agrandir l’examen, ou revoir les notes"],
      ...Object.entries(this.#actions).map(([key, [words]]) => [key, words]),
      ["Image", "+ − grossir · flèches déplacer · 0 entière · z pixels réels · t tourner · l L lumière · k K contraste"],
      ["ECG", "espace figer · Page préc. et suiv. revenir en arrière · flèches : compas, avec Maj son début"],
      ["Écoute", "espace écouter · ← → avancer · r en boucle · [ ] début et fin de la boucle · Échap tout"],
      ["?", "Cette liste"],
    ];
    $("keys-list").replaceChildren(...rows.flatMap(([key, words]) => [node("dt", {}, node("kbd", { textContent: key })), node("dd", { textContent: words })]));
    $("keys-dialog").showModal();
  }
}

function isOff() {
  try { return localStorage.getItem(KEYS_OFF) === "1"; } catch { return false; }
}

function keep(off) {
  try { if (off) localStorage.setItem(KEYS_OFF, "1"); else localStorage.removeItem(KEYS_OFF); } catch { /* Asked again next time. */ }
}
