// Cards of the latest readings, and the buttons that ask the patient for a measurement.

import { $, newId, node } from "./dom.js";
import { clock, figureText, word } from "./words.js";

const MEASUREMENTS = ["oxygen_and_pulse", "blood_pressure", "temperature", "weight_and_height"];

export class Vitals {
  #cards = new Map();
  #requests = new Map();

  constructor(record) {
    $("vitals").replaceChildren();
    record.addEventListener("reading", ({ detail }) => this.#reading(detail));
    record.addEventListener("measurement_state", ({ detail }) => this.#state(detail));
    $("requests").replaceChildren(...MEASUREMENTS.map((measurement) => {
      const button = node("button", { textContent: word("measurement", measurement) });
      button.onclick = () => {
        const id = newId();
        this.#requests.set(id, measurement);
        $("request-state").textContent = `${word("measurement", measurement)} : demande envoyée…`;
        record.hand({ type: "request_measurement", id, measurement });
      };
      return button;
    }));
    $("request-state").textContent = "";
  }

  #reading(reading) {
    const seen = new Date(reading.at);
    const note = `${clock(seen)} · ${reading.device_model.replaceAll("_", " ")}${reading.retaken ? " · reprise" : ""}${reading.high_quality === false ? " · signal faible" : ""}`;
    const pressure = reading.figures.find((figure) => figure.quantity === "systolic");
    const figures = pressure ? [pressure] : reading.figures;
    for (const figure of figures) {
      const key = figure.quantity === "pulse_rate" ? `pulse_rate ${reading.measurement}` : figure.quantity;
      if (reading.retaken && this.#cards.has(key)) continue;
      this.#card(key, figure, reading, note);
    }
    const pulse = pressure && reading.figures.find((figure) => figure.quantity === "pulse_rate");
    if (pulse) this.#card("pulse_rate blood_pressure", pulse, reading, note);
  }

  #card(key, figure, reading, note) {
    const text = figure.quantity === "systolic"
      ? reading.figures.filter((part) => part.quantity === "systolic" || part.quantity === "diastolic").map(figureText).join(" / ")
      : figureText(figure);
    const mean = figure.quantity === "systolic" ? reading.figures.find((part) => part.quantity === "mean_pressure") : null;
    const card = this.#cards.get(key) ?? node("div", {});
    card.className = `vital ${figure.quantity}`;
    card.dataset.value = text;
    card.dataset.key = key;
    card.dataset.at = String(reading.at);
    card.replaceChildren(
      node("span", { textContent: key === "pulse_rate blood_pressure" ? "Pouls (tension)" : word("quantity", figure.quantity) }),
      node("b", { textContent: `${text} ${word("unit", figure.unit)}` }),
      node("small", { textContent: mean ? `moy. ${figureText(mean)} · ${note}` : note }));
    // For the bench: when the text was there to be painted, by this page's clock.
    card.dataset.drawn = String(performance.timeOrigin + performance.now());
    this.#cards.set(key, card);
    $("vitals").replaceChildren(...this.#cards.values());
  }

  #state({ measurement, state, reason }) {
    $("request-state").textContent = `${word("measurement", measurement)} : ${word("progress", state)}${reason ? ` (${reason})` : ""}`;
  }
}
