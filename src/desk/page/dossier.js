// A dossier as it is stored, in rows: who, why, what was measured, and what was seen and heard.

import { node, pairs } from "./dom.js";
import { clock, word } from "./words.js";

export const dayFirst = (date) => (date ?? "").split("-").reverse().join("/");
// UCUM's words where they are not everybody's.
const UNITS = { Cel: "°C", "mm[Hg]": "mmHg" };
const figure = ({ value, unit }) => `${String(value).replace(".", ",")} ${UNITS[unit] ?? unit ?? ""}`.trim();
/// A questionnaire of a request is the request's, and shown with it.
const REQUEST = "question";

/// Everything stored about a consultation; `null` where it cannot be read, or has not come.
export async function readDossier(consultation) {
  const answer = await fetch(`/api/physician/records/${consultation}`).catch(() => null);
  const bundle = answer?.ok ? await answer.json().catch(() => null) : null;
  return bundle && (bundle.entry ?? []).map(({ resource }) => resource);
}

/// Fills the three lists of terms.
export function showDossier(resources, { who, why, measured }) {
  const all = (kind) => resources.filter(({ resourceType }) => resourceType === kind);
  const patient = all("Patient")[0] ?? {};
  const name = patient.name?.find(({ use }) => use === "official") ?? patient.name?.[0] ?? {};
  pairs(who, [
    ["Nom de naissance", name.family], ["Prénom", (name.given ?? []).join(" ")],
    ["Naissance", dayFirst(patient.birthDate)], ["Sexe", word("sex", patient.gender)],
  ]);
  const own = all("QuestionnaireResponse").filter(({ item }) => item?.[0]?.linkId !== REQUEST);
  const questions = own.flatMap(({ item }) => item ?? []);
  const said = ({ answer }) => { const [one = {}] = answer ?? []; return one.valueString ?? one.valueCoding?.display ?? (one.valueBoolean ? "oui" : "non"); };
  const signs = questions.flatMap((question) => question.item ?? []).filter(({ answer }) => answer);
  pairs(why, [
    ...questions.filter(({ answer }) => answer).map((question) => [question.text, said(question)]),
    ...signs.filter((sign) => said(sign) === "oui").map((sign) => [sign.text, "oui", "yes"]),
    signs.length > 0 && ["Signes d’alerte", signs.some((sign) => said(sign) === "oui") ? "voir ci-dessus" : `aucun des ${signs.length}`],
  ]);
  pairs(measured, all("Observation").flatMap(rows));
  if (!measured.children.length) pairs(measured, [["Mesures", "aucune"]]);
}

/// A row of each figure; the cabin's own incidents are not the patient's.
function rows(seen) {
  if (seen.effectivePeriod || seen.valueCodeableConcept) return [];
  const name = (of) => of.code?.text ?? of.code?.coding?.[0]?.display ?? "";
  const at = seen.effectiveDateTime ? ` à ${clock(seen.effectiveDateTime)}` : "";
  if (seen.valueQuantity) return [[name(seen), figure(seen.valueQuantity) + at]];
  const parts = (seen.component ?? []).filter(({ valueQuantity }) => valueQuantity);
  if (parts.length) return parts.map((part) => [name(part), figure(part.valueQuantity) + at]);
  return [[name(seen), seen.dataAbsentReason || seen.component?.every((part) => part.dataAbsentReason) ? "pas mesuré" : "au dossier"]];
}

/// Pictures, sounds, electrocardiograms and papers of the dossier, each as it can be looked at.
export function mediaOf(resources, consultation) {
  const all = (kind) => resources.filter(({ resourceType }) => resourceType === kind);
  const binary = (url) => url?.split("/").filter(Boolean).at(-1);
  // What a picture is of is told beside it.
  const sites = new Map(all("Media").map(({ content, bodySite }) => [binary(content?.url), bodySite?.coding?.[0]?.display]));
  const files = all("DocumentReference").flatMap(({ content, type }) => (content ?? []).map(({ attachment }) => ({
    kind: attachment?.contentType ?? "", url: attachment?.url, title: attachment?.title ?? type?.coding?.[0]?.display ?? "Document",
  }))).filter(({ url }) => url);
  const shown = files.map(({ kind, url, title }) => {
    const id = binary(url), src = `/api/physician/records/${consultation}/files/${id}`;
    const name = sites.get(id) ? `${title} · ${sites.get(id)}` : title;
    if (kind === "image/jpeg") return node("figure", {}, node("img", { src, alt: name }), node("figcaption", { textContent: name }));
    if (kind.startsWith("audio/")) return node("figure", {}, node("audio", { src, controls: true, preload: "none", ariaLabel: name }), node("figcaption", { textContent: name }));
    return node("p", {}, node("a", { href: src, textContent: name, target: "_blank", rel: "noopener", className: "button" }));
  });
  const traced = all("Observation").filter(({ component }) => component?.some(({ valueSampledData }) => valueSampledData));
  return [...traced.map(electrocardiogram), ...shown];
}

const PIXELS_PER_MM = 4;
const MM_PER_SECOND = 25;
const MM_PER_MV = 10;
const STRIP_MM = 26;

/// Every lead under the other, 25 mm/s and 10 mm/mV, on paper of 5 mm.
function electrocardiogram(observation) {
  const leads = observation.component.filter(({ valueSampledData }) => valueSampledData);
  const series = leads.map(({ code, valueSampledData: { data, period, factor = 1, origin } }) => ({
    name: code?.coding?.find(({ display }) => display)?.display ?? code?.text ?? "",
    millivolts: data.split(" ").map((one) => (Number(one) * factor + (origin?.value ?? 0)) * (origin?.unit === "uV" || origin?.code === "uV" ? 0.001 : 1)),
    period,
  }));
  const seconds = Math.max(...series.map(({ millivolts, period }) => (millivolts.length * period) / 1000));
  const width = Math.min(16000, Math.ceil(seconds * MM_PER_SECOND * PIXELS_PER_MM)), height = series.length * STRIP_MM * PIXELS_PER_MM;
  const title = `Électrocardiogramme, ${series.length} dérivation${series.length > 1 ? "s" : ""}, 25 mm/s, 10 mm/mV`;
  const canvas = node("canvas", { width, height, className: "tracing" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", title);
  const draw = canvas.getContext("2d");
  draw.fillStyle = "#fff"; draw.fillRect(0, 0, width, height);
  draw.strokeStyle = "#f0c9c4"; draw.lineWidth = 1;
  draw.beginPath();
  for (let x = 0; x < width; x += 5 * PIXELS_PER_MM) { draw.moveTo(x, 0); draw.lineTo(x, height); }
  for (let y = 0; y < height; y += 5 * PIXELS_PER_MM) { draw.moveTo(0, y); draw.lineTo(width, y); }
  draw.stroke();
  draw.strokeStyle = draw.fillStyle = "#0B2A3C"; draw.font = "16px sans-serif";
  series.forEach(({ name, millivolts, period }, lead) => {
    const middle = (lead + 0.5) * STRIP_MM * PIXELS_PER_MM, step = (period / 1000) * MM_PER_SECOND * PIXELS_PER_MM;
    draw.fillText(name, 6, middle - 9 * PIXELS_PER_MM);
    draw.beginPath();
    let pen = false;
    millivolts.forEach((value, at) => {
      // A sample that is no number is a gap, not a line.
      if (!Number.isFinite(value)) { pen = false; return; }
      const y = middle - value * MM_PER_MV * PIXELS_PER_MM;
      if (pen) draw.lineTo(at * step, y); else draw.moveTo(at * step, y);
      pen = true;
    });
    draw.stroke();
  });
  return node("figure", { className: "wide" }, node("div", { className: "sideways", tabIndex: 0, role: "group", ariaLabel: title }, canvas), node("figcaption", { textContent: title }));
}
