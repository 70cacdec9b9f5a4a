// Cards of the latest readings, and the buttons that ask the patient for a measurement.

import { $, newId, node } from "./dom.js";
import { clock, figureText, word } from "./words.js";

const MEASUREMENTS = ["oxygen_and_pulse", "blood_pressure", "temperature", "weight_and_height", "glucose", "ecg", "ear_picture", "skin_picture", "auscultation"];
/// Cards in this order; the cuff has a pulse of its own beside the oximeter's.
const CARDS = ["spo2", "pulse_rate", "systolic", "pulse_rate_cuff", "temperature", "weight", "height", "glucose_mass", "glucose_moles", "perfusion_index", "ecg", "ear_picture", "skin_picture", "auscultation"];
/// A consultation has a few dozen; more would be a cabin that repeats itself.
const READINGS_MAX = 500;

export class Vitals {
  #record;
  #readings = new Map();
  #cards = new Map();

  constructor(record) {
    this.#record = record;
    $("vitals").replaceChildren();
    $("request-state").textContent = "";
    record.addEventListener("reading", ({ detail }) => this.#take(detail));
    record.addEventListener("measurement_state", ({ detail }) => this.#state(detail));
    $("requests").replaceChildren(...MEASUREMENTS.map((measurement) => {
      const button = node("button", { type: "button", id: `request-${measurement}`, textContent: word("measurement", measurement) });
      button.onclick = () => {
        $("request-state").textContent = `${word("measurement", measurement)} : demande envoyée…`;
        record.hand({ type: "request_measurement", id: newId(), measurement });
      };
      return button;
    }));
  }

  #take(reading) {
    // Said again, it counts as the latest of those of the same moment: in review first, then kept.
    const former = this.#readings.get(reading.id);
    this.#readings.delete(reading.id);
    // By this machine's clock, which may differ from the cabin's.
    this.#readings.set(reading.id, { ...reading, seen: former?.seen ?? Date.now() - reading.age_ms });
    if (this.#readings.size > READINGS_MAX) this.#readings.delete(this.#readings.keys().next().value);
    this.#draw();
    this.#record.say({ type: "ack", id: reading.id });
  }

  #draw() {
    const latest = new Map();
    for (const reading of this.#readings.values()) {
      for (const { quantity } of reading.figures) {
        const key = quantity === "recording" ? [reading.measurement, reading.body_site].filter(Boolean).join(" ")
          : quantity === "pulse_rate" && reading.measurement === "blood_pressure" ? "pulse_rate_cuff" : quantity;
        const former = latest.get(key);
        // One that was set aside is shown only while there is no other.
        const better = !former || reading.retaken === former.retaken ? reading.at >= (former?.at ?? -Infinity) : former.retaken;
        if (better) latest.set(key, reading);
      }
    }
    $("vitals-empty").hidden = latest.size > 0;
    const keys = CARDS.flatMap((card) => [...latest.keys()].filter((key) => key.split(" ")[0] === card));
    const cards = keys.map((key) => this.#card(key, latest.get(key)));
    const shown = [...$("vitals").children];
    if (cards.length !== shown.length || cards.some((card, at) => card !== shown[at])) $("vitals").replaceChildren(...cards);
  }

  #card(key, reading) {
    const of = (quantity) => reading.figures.find((figure) => figure.quantity === quantity);
    const figure = of(key === "pulse_rate_cuff" ? "pulse_rate" : key) ?? of("recording");
    const [kind, site] = key.split(" ");
    const isPicture = kind.endsWith("_picture");
    const text = key === "systolic" ? [figure, of("diastolic")].filter(Boolean).map(figureText).join(" / ")
      : isPicture ? "au dossier" : figureText(figure);
    const mean = key === "systolic" && of("mean_pressure");
    const note = [
      reading.retaken && "non retenue", mean && `moyenne ${figureText(mean)}`,
      clock(reading.seen), word("device", reading.device_model), reading.high_quality === false && "signal faible",
    ].filter(Boolean).join(" · ");
    const card = this.#cards.get(key) ?? node("li", { id: `vital-${key.replace(" ", "-")}` });
    if (card.dataset.value === text && card.dataset.at === String(reading.at) && card.dataset.note === note) return card;
    const isNew = card.dataset.value !== text || card.dataset.at !== String(reading.at);
    card.className = `vital ${figure.quantity}${reading.retaken ? " replaced" : ""}`;
    Object.assign(card.dataset, { key, value: text, at: reading.at, note });
    card.replaceChildren(
      node("span", { textContent: site ? `${word("quantity", kind)} (${word("body_site", site)})` : word("quantity", kind) }),
      node("b", { textContent: isPicture ? text : `${text} ${word("unit", figure.unit)}` }),
      node("small", { textContent: note }));
    // For the bench: when the text was there to be painted, by this page's clock.
    if (isNew) card.dataset.drawn = String(performance.timeOrigin + performance.now());
    this.#cards.set(key, card);
    return card;
  }

  #state({ measurement, state, reason }) {
    $("request-state").textContent = `${word("measurement", measurement)} : ${word("progress", state)}${reason ? ` (${reason})` : ""}`;
  }
}
