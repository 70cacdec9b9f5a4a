// Cards of the latest readings, and the buttons that ask the patient for a measurement.

import { $, newId, node } from "./dom.js";
import { placeOf, rangeOf } from "./ranges.js";
import { clock, figureText, word } from "./words.js";

const MEASUREMENTS = ["oxygen_and_pulse", "blood_pressure", "temperature", "weight_and_height", "glucose", "skin_picture", "ecg", "ear_picture", "auscultation"];
const INSTRUMENTS = ["skin_picture", "ear_picture", "auscultation"];
/// Cards in this order; the cuff has a pulse of its own beside the oximeter's.
const CARDS = ["spo2", "pulse_rate", "systolic", "pulse_rate_cuff", "temperature", "weight", "height", "glucose_mass", "glucose_moles", "perfusion_index", "ecg", "ear_picture", "skin_picture", "auscultation"];
/// A consultation has a few dozen; more would be a cabin that repeats itself.
const READINGS_MAX = 500;

export class Vitals {
  #record;
  #readings = new Map();
  #cards = new Map();
  /// What gave no value, and why.
  #without = [];
  #age = null;

  /// `devices`: what the cabin is fitted with, when the desk knows it.
  constructor(record, workbench, devices) {
    this.#record = record;
    $("vitals").replaceChildren();
    $("history").hidden = true;
    $("history").open = false;
    record.addEventListener("patient", ({ detail }) => { this.#age = detail.age_years; this.#draw(); });
    $("request-state").textContent = "";
    record.addEventListener("reading", ({ detail }) => this.#take(detail));
    record.addEventListener("measurement_state", ({ detail }) => this.#state(detail));
    // Of several for one measurement, one that is ready.
    const fitted = new Map();
    for (const device of devices ?? []) if (!fitted.get(device.measurement)?.ready) fitted.set(device.measurement, device);
    // An older cabin's list is silent about what sees and hears.
    const offered = MEASUREMENTS.filter((measurement) => !devices || fitted.has(measurement) || INSTRUMENTS.includes(measurement));
    $("requests").replaceChildren(...offered.map((measurement) => {
      const button = node("button", { type: "button", id: `request-${measurement}`, textContent: word("measurement", measurement) });
      // It may be mended meanwhile: what does not answer is said, and may be asked for.
      if (fitted.get(measurement)?.ready === false) button.title = fitted.get(measurement).fault ?? "ne répondait pas avant l’appel";
      button.onclick = () => {
        $("request-state").textContent = `${word("measurement", measurement)} : demande envoyée…`;
        workbench.showMeasurement(measurement);
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
    this.#drawHistory();
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
    const places = [figure, key === "systolic" && of("diastolic")].filter(Boolean).map((one) => placeOf(one, this.#age));
    const place = places.find((one) => one !== 0) ?? 0;
    const note = [
      rangeText(figure, key === "systolic" && of("diastolic"), this.#age),
      reading.retaken && "non retenue", mean && `moyenne ${figureText(mean)}`,
      clock(reading.seen), word("device", reading.device_model), reading.high_quality === false && "signal faible",
    ].filter(Boolean).join(" · ");
    const card = this.#cards.get(key) ?? node("li", { id: `vital-${key.replace(" ", "-")}` });
    const former = this.#values(figure.quantity, reading);
    if (card.dataset.count === String(former.length) && card.dataset.value === text && card.dataset.at === String(reading.at) && card.dataset.note === note) return card;
    const isNew = card.dataset.value !== text || card.dataset.at !== String(reading.at);
    card.className = `vital ${figure.quantity}${reading.retaken ? " replaced" : ""}${place ? " apart" : ""}`;
    Object.assign(card.dataset, { key, value: text, at: reading.at, note, count: former.length });
    const mark = place ? node("span", { className: "mark", textContent: place > 0 ? "↑" : "↓", role: "img", ariaLabel: place > 0 ? "au-dessus du repère" : "sous le repère" }) : null;
    card.replaceChildren(
      ...[mark, former.length > 1 && trend(former)].filter(Boolean),
      node("span", { textContent: site ? `${word("quantity", kind)} (${word("body_site", site)})` : word("quantity", kind) }),
      node("b", { textContent: isPicture ? text : `${text} ${word("unit", figure.unit)}` }),
      node("small", { textContent: note }));
    // For the bench: when the text was there to be painted, by this page's clock.
    if (isNew) card.dataset.drawn = String(performance.timeOrigin + performance.now());
    this.#cards.set(key, card);
    return card;
  }

  /// Every value of a quantity by one kind of act, in the order they were taken. A later one took the place of each but
  /// the last, and which of those the patient had set aside is not known here: a trend is of what was measured.
  #values(quantity, { measurement }) {
    if (quantity === "recording") return [];
    // In review first, then kept: two names of one value.
    const values = new Map();
    for (const reading of this.#readings.values()) {
      const figure = reading.measurement === measurement && reading.figures.find((one) => one.quantity === quantity);
      if (figure) values.set(reading.at, figure.value);
    }
    return [...values].sort(([a], [b]) => a - b).map(([, value]) => ({ value }));
  }

  /// All that was measured, and all that was not and why, newest first.
  #drawHistory() {
    // In review first, then kept or set aside: two names of one act.
    const acts = new Map([...this.#readings.values()].map((reading) => [[reading.measurement, reading.at, ...reading.figures.map(({ quantity }) => quantity)].join(), reading]));
    const taken = [...acts.values()].map((reading) => ({
      seen: reading.seen,
      cells: [
        word("measurement", reading.measurement) + (reading.body_site ? ` (${word("body_site", reading.body_site)})` : ""),
        reading.figures.map((figure) => (figure.quantity === "recording" ? figure.text : `${figureText(figure)} ${word("unit", figure.unit)}`)).join(" · "),
        [word("device", reading.device_model), reading.device_serial && `n° ${reading.device_serial}`].filter(Boolean).join(", "),
        [reading.retaken ? "non retenue" : "", reading.high_quality === false ? "signal faible" : ""].filter(Boolean).join(", "),
      ],
    }));
    const without = this.#without.map(({ seen, measurement, reason }) => ({ seen, cells: [word("measurement", measurement), "pas de valeur", "", reason] }));
    const rows = [...taken, ...without].sort((a, b) => b.seen - a.seen);
    $("history").hidden = rows.length === 0;
    $("history-count").textContent = String(rows.length);
    $("history-rows").replaceChildren(...rows.map(({ seen, cells }) => node("tr", {}, ...[clock(seen), ...cells].map((textContent) => node("td", { textContent })))));
  }

  #state({ measurement, state, reason }) {
    const last = this.#without.at(-1);
    const again = last && last.measurement === measurement && last.reason === reason;
    if (reason && ["skipped", "fault"].includes(state) && !again && this.#without.length < READINGS_MAX) {
      this.#without.push({ seen: Date.now(), measurement, reason });
      this.#drawHistory();
    }
    $("request-state").textContent = `${word("measurement", measurement)} : ${word("progress", state)}${reason ? ` (${reason})` : ""}`;
  }
}

/// The usual range in words, or nothing.
function rangeText(figure, second, age) {
  const range = rangeOf(figure.quantity, age);
  if (!range) return "";
  const ends = (one, { low, high }) => [low, high].map((value) => figureText({ ...one, value })).join("–");
  const other = second && rangeOf(second.quantity, age);
  return `repère ${[ends(figure, range), other && ends(second, other)].filter(Boolean).join(" / ")}${range.words ? ` ${range.words}` : ""}`;
}

/// A small line through the values, oldest on the left.
function trend(values) {
  const [low, high] = [Math.min(...values.map(({ value }) => value)), Math.max(...values.map(({ value }) => value))];
  const points = values.map(({ value }, at) => `${(2 + (56 * at) / (values.length - 1)).toFixed(1)},${(18 - (14 * (value - low)) / Math.max(high - low, 1)).toFixed(1)}`);
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 60 22", class: "trend", role: "img", "aria-label": `${values.length} mesures` })) made.setAttribute(name, value);
  const line = document.createElementNS(space, "polyline");
  line.setAttribute("points", points.join(" "));
  made.append(line);
  return made;
}
