// Who could see no physician and asked to be called back: the list, and the dossier of the one that is being rung.

import { $, node, pairs } from "./dom.js";
import { clock, word } from "./words.js";

const dayFirst = (date) => (date ?? "").split("-").reverse().join("/");
const day = (at) => (new Date(at).toDateString() === new Date().toDateString() ? "aujourd’hui" : `le ${new Date(at).toLocaleDateString("fr-FR")}`);
// UCUM's words where they are not everybody's.
const UNITS = { Cel: "°C", "mm[Hg]": "mmHg" };
const figure = ({ value, unit }) => `${String(value).replace(".", ",")} ${UNITS[unit] ?? unit ?? ""}`.trim();

export class CallBacks {
  #say; #rpps = "";
  #lines = [];
  /// The consultation in the dialog.
  #open = null;

  /// `say(message)` reaches the desk.
  constructor(say) {
    this.#say = say;
    const end = (type) => () => { this.#say({ type, consultation: this.#open }); this.close(); };
    $("call-back-done").onclick = end("finish_call_back");
    $("call-back-return").onclick = end("return_call_back");
    $("call-back-close").onclick = () => this.close();
    $("call-back-dialog").onclose = () => { this.#open = null; this.#clear(); };
  }

  close() { $("call-back-dialog").close(); }

  read(message) {
    switch (message.type) {
      case "welcome": this.#rpps = message.physician.rpps; break;
      case "call_backs":
        this.#lines = message.lines;
        $("call-backs").hidden = message.lines.length === 0;
        $("call-backs-more").textContent = message.more ? `et ${message.more} de plus` : "";
        this.#draw();
        break;
      case "call_back_taken": this.#show(message.consultation); break;
      case "too_late": case "error": this.#draw(); break;
      default:
    }
  }

  #draw() {
    $("call-back-list").replaceChildren(...this.#lines.map((line) => {
      const mine = line.taken_by?.rpps === this.#rpps;
      const button = node("button", { className: "main", type: "button", textContent: mine ? "Ouvrir le dossier" : "Je rappelle" });
      button.disabled = Boolean(line.taken_by) && !mine;
      // Taken again by the same physician, it is opened again.
      button.onclick = () => { button.disabled = true; this.#say({ type: "take_call_back", consultation: line.consultation }); };
      const about = `call-back-${line.consultation}`;
      button.setAttribute("aria-describedby", about);
      return node("li", {},
        node("div", { className: "grow", id: about },
          node("strong", { textContent: line.reason || "Motif non précisé" }),
          node("div", { className: "quiet", textContent: `${line.place} · demandé ${day(line.asked_at)} à ${clock(line.asked_at)}` }),
          line.taken_by && node("div", { textContent: mine ? "Vous rappelez ce patient." : `${line.taken_by.name} rappelle ce patient.` })),
        button);
    }));
  }

  async #show(consultation) {
    this.#draw();
    this.#open = consultation;
    this.#clear();
    $("call-back-state").textContent = "Le dossier arrive…";
    if (!$("call-back-dialog").open) $("call-back-dialog").showModal();
    const answer = await fetch(`/api/physician/records/${consultation}`).catch(() => null);
    const bundle = answer?.ok ? await answer.json().catch(() => null) : null;
    if (this.#open !== consultation) return;
    $("call-back-state").textContent = bundle ? "" : "Le dossier ne peut pas être lu maintenant. Fermez, puis rouvrez-le.";
    if (bundle) this.#fill((bundle.entry ?? []).map(({ resource }) => resource));
  }

  #clear() {
    for (const id of ["call-back-who", "call-back-why", "call-back-measured"]) $(id).replaceChildren();
    $("call-back-number").textContent = "";
    $("call-back-number").removeAttribute("href");
    $("call-back-state").textContent = "";
  }

  #fill(resources) {
    const all = (kind) => resources.filter(({ resourceType }) => resourceType === kind);
    const patient = all("Patient")[0] ?? {}, task = all("Task")[0] ?? {};
    const name = patient.name?.find(({ use }) => use === "official") ?? {};
    const number = task.input?.map(({ valueContactPoint }) => valueContactPoint?.value).find(Boolean) ?? "";
    $("call-back-number").textContent = number;
    $("call-back-number").href = `tel:${number}`;
    pairs($("call-back-who"), [
      ["Nom de naissance", name.family], ["Prénom", (name.given ?? []).join(" ")],
      ["Naissance", dayFirst(patient.birthDate)], ["Sexe", word("sex", patient.gender)],
    ]);
    const questions = all("QuestionnaireResponse").flatMap(({ item }) => item ?? []);
    const said = ({ answer }) => { const [one = {}] = answer ?? []; return one.valueString ?? one.valueCoding?.display ?? (one.valueBoolean ? "oui" : "non"); };
    const signs = questions.flatMap((question) => question.item ?? []).filter(({ answer }) => answer);
    pairs($("call-back-why"), [
      ...questions.filter(({ answer }) => answer).map((question) => [question.text, said(question)]),
      ...signs.filter((sign) => said(sign) === "oui").map((sign) => [sign.text, "oui", "yes"]),
      signs.length > 0 && ["Signes d’alerte", signs.some((sign) => said(sign) === "oui") ? "voir ci-dessus" : `aucun des ${signs.length}`],
    ]);
    pairs($("call-back-measured"), all("Observation").flatMap((seen) => this.#rows(seen)));
    if (!$("call-back-measured").children.length) pairs($("call-back-measured"), [["Mesures", "aucune"]]);
  }

  /// A row of each figure; the cabin's own incidents are not the patient's.
  #rows(seen) {
    if (seen.effectivePeriod || seen.valueCodeableConcept) return [];
    const name = (of) => of.code?.text ?? of.code?.coding?.[0]?.display ?? "";
    const at = seen.effectiveDateTime ? ` à ${clock(seen.effectiveDateTime)}` : "";
    if (seen.valueQuantity) return [[name(seen), figure(seen.valueQuantity) + at]];
    const parts = (seen.component ?? []).filter(({ valueQuantity }) => valueQuantity);
    if (parts.length) return parts.map((part) => [name(part), figure(part.valueQuantity) + at]);
    return [[name(seen), seen.dataAbsentReason || seen.component?.every((part) => part.dataAbsentReason) ? "pas mesuré" : "au dossier"]];
  }
}
