// Second opinions: those to give, those asked, the form that asks for one, and the request with dossier, thread, answer.

import { $, newId, node, notice, pairs } from "./dom.js";
import { dayFirst, mediaOf, readDossier, showDossier } from "./dossier.js";
import { Unsent } from "./unsent.js";
import { clock } from "./words.js";

const BASE = "/api/physician/second-opinions";
const REPORT_BYTES_MAX = 8 * 1024 * 1024;
const STATES = {
  ready: "en attente d’un spécialiste", in_progress: "prise en charge", info_requested: "précision demandée",
  answered: "réponse reçue", rejected: "refusée", cancelled: "annulée", expired: "sans réponse dans les 7 jours",
};
const ALERTS = { soon: "Bientôt 7 jours sans réponse", late: "Plus de 7 jours sans réponse" };
const day = (at) => new Date(at).toLocaleDateString("fr-FR", { day: "2-digit", month: "2-digit" });
const moment = (at) => `${day(at)} à ${clock(at)}`;

async function ask(method, path, body) {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(`${BASE}${path}`, { method, headers, body: body && JSON.stringify(body) }).catch(() => null);
  if (!answer) return { ok: false, status: 0, value: { reason: "Le bureau ne répond pas. Réessayez." } };
  return { ok: answer.ok, status: answer.status, value: await answer.json().catch(() => ({})) };
}

/// Under what the form about a consultation is kept, beside the requests by their own names.
const form = (consultation) => `form ${consultation}`;
const KEPT = "Le bureau ne répond pas : c’est gardé dans cet onglet, et part dès qu’il répond. Ne fermez pas l’onglet.";

export class SecondOpinions {
  #lists = { specialties: [], to_answer: [], asked: [], more: 0 };
  #forms = null;
  /// The request in the dialog, and whether a step of it is under way.
  #open = null; #making = false;
  /// The consultation that the form is about, the name of the request, and when the patient agreed.
  #about = null; #id = null; #consentAt = 0;
  /// What is written and not at the desk; there once the desk has said who is signed in.
  #unsent = null;
  /// Answers that were read in this page are not announced again.
  #known = new Map();
  #stopped = false; #looking = false; #again = false;

  constructor() {
    $("opinion-dialog").onclose = () => { this.#open = null; this.#clear(); };
    $("opinion-close").onclick = () => $("opinion-dialog").close();
    $("opinion-form-close").onclick = () => $("opinion-form-dialog").close();
    $("opinion-form-dialog").onclose = () => { this.#about = null; };
    $("opinion-specialty").onchange = () => this.#drawFields();
    $("opinion-form").onsubmit = (event) => { event.preventDefault(); this.#send(); };
    $("opinion-form").oninput = ({ target }) => { if (target.id === "opinion-consent") this.#consentAt = target.checked ? Date.now() : 0; this.#keepForm(); };
    $("opinion-text").oninput = () => { if (this.#open) this.#unsent?.write(this.#open.line.id, $("opinion-text").value); };
    const words = () => $("opinion-text").value.trim();
    $("opinion-ask-more").onclick = () => this.#make({ step: "ask_more", text: words() });
    $("opinion-say").onclick = () => this.#make({ step: "say", text: words() });
    $("opinion-reject").onclick = () => this.#make({ step: "reject", text: words() });
    $("opinion-cancel").onclick = () => this.#make({ step: "cancel", text: words() });
    $("opinion-return").onclick = () => this.#make({ step: "return" });
    $("opinion-answer").onclick = () => this.#answer();
    $("recent").ontoggle = () => { if ($("recent").open) this.#recent(); };
    $("dossier-close").onclick = () => $("dossier-dialog").close();
    $("dossier-dialog").onclose = () => clearDossier("dossier");
  }

  read({ type, physician }) {
    if (type === "welcome") this.#unsent ??= new Unsent(physician.rpps, (path, body) => ask("POST", path, body), (entry, answer) => this.#answered(entry, answer));
    if (type !== "welcome" && type !== "second_opinions_changed") return;
    this.#look();
    this.#unsent?.again();
    this.#drawUnsent();
  }

  close() {
    this.#stopped = true;
    this.#unsent?.stop();
    $("opinions-unsent").textContent = "";
    for (const id of ["opinion-dialog", "opinion-form-dialog", "dossier-dialog"]) $(id).close();
    for (const id of ["opinions", "my-opinions"]) $(id).hidden = true;
    for (const id of ["opinion-list", "my-opinion-list", "recent-list"]) $(id).replaceChildren();
    $("recent").open = false;
  }

  /// Asks for an opinion about this consultation.
  async askAbout(consultation) {
    this.#forms ??= (await ask("GET", "/forms")).value;
    if (!this.#forms?.specialties) { this.#forms = null; notice("Le bureau ne répond pas. Réessayez."); return; }
    if (this.#about !== consultation) {
      const kept = this.#unsent?.written(form(consultation)) ?? {};
      $("opinion-form").reset();
      $("opinion-form-state").textContent = "";
      $("opinion-specialty").replaceChildren(node("option", { value: "", textContent: "Choisir" }), ...this.#forms.specialties.map(({ code, name }) => node("option", { value: code, textContent: name })));
      $("opinion-specialty").value = kept.specialty ?? "";
      $("opinion-days").value = kept.wanted_days ?? 4;
      $("opinion-question").value = kept.question ?? "";
      $("opinion-context").value = kept.context ?? "";
      $("opinion-urgent").checked = kept.urgency === "urgent";
      $("opinion-consent").checked = Boolean(kept.consent);
      this.#consentAt = kept.consent_at ?? 0;
      this.#drawFields(Object.fromEntries((kept.details ?? []).map(({ field, text }) => [field, text])));
      this.#id = kept.id ?? newId();
    }
    this.#about = consultation;
    $("opinion-form-dialog").showModal();
  }

  /// The form, as it is sent.
  #written() {
    const details = [...$("opinion-fields").querySelectorAll("input")].filter(({ value }) => value.trim()).map(({ name, value }) => ({ field: name, text: value.trim() }));
    return {
      id: this.#id, consultation: this.#about, specialty: $("opinion-specialty").value, question: $("opinion-question").value.trim(),
      context: $("opinion-context").value.trim(), urgency: $("opinion-urgent").checked ? "urgent" : "routine",
      wanted_days: Number($("opinion-days").value), consent: $("opinion-consent").checked, consent_at: this.#consentAt, details,
    };
  }

  #keepForm() { if (this.#about) this.#unsent?.write(form(this.#about), this.#written()); }

  #drawFields(kept = {}) {
    const specialty = this.#forms.specialties.find(({ code }) => code === $("opinion-specialty").value);
    $("opinion-wants").textContent = specialty?.wants ? `Ce spécialiste souhaite voir : ${specialty.wants}. Ce que la cabine a pris part avec le dossier.` : "";
    const fields = [...(specialty?.fields ?? []), ...this.#forms.common];
    // What was written stays when the specialty changes.
    const said = this.#about ? Object.fromEntries([...$("opinion-fields").querySelectorAll("input")].map((input) => [input.name, input.value])) : kept;
    $("opinion-fields").replaceChildren(...fields.map(({ code, label, required }) =>
      node("label", { textContent: required ? `${label} (nécessaire)` : label }, node("input", { name: code, required, maxLength: 240, value: said[code] ?? "" }))));
  }

  async #send() {
    const about = this.#about;
    if (!this.#unsent) { $("opinion-form-state").textContent = "Le bureau ne répond pas. Réessayez."; return; }
    $("opinion-send").disabled = true;
    const answer = await this.#unsent.send(form(about), "", this.#written());
    $("opinion-send").disabled = false;
    if (answer && !answer.ok) { $("opinion-form-state").textContent = answer.value.reason ?? "La demande n’est pas partie. Réessayez."; return; }
    this.#unsent.write(form(about), null);
    $("opinion-form-dialog").close();
    this.#drawUnsent();
    if (!answer) { notice(KEPT); return; }
    notice("La demande d’avis est envoyée. La réponse s’affichera ici, dans « Avis demandés ».");
    this.#look();
  }

  /// What waited for the desk has its answer. What was refused can be read and written anew.
  #answered({ name, path, body }, { ok, value }) {
    this.#drawUnsent();
    if (!ok) {
      if (!this.#unsent.written(name)) this.#unsent.write(name, path ? body.text : body);
      notice(`Ce qui attendait le bureau n’a pas été pris : ${value.reason ?? "rouvrez la demande."} Ce que vous aviez écrit est encore là.`, 0);
    }
    if (ok && !path) notice("La demande d’avis est envoyée. La réponse s’affichera ici, dans « Avis demandés ».");
    if (this.#open && `/${this.#open.line.id}` === path) {
      if (!ok && !$("opinion-text").value) $("opinion-text").value = body.text;
      this.#reload();
    }
    this.#look();
  }

  /// What would be lost with this tab.
  get unsent() { return this.#unsent?.waiting.length ?? 0; }

  #drawUnsent() {
    const count = this.unsent;
    $("opinions-unsent").textContent = count ? `${count === 1 ? "Un envoi attend" : `${count} envois attendent`} le bureau, gardé${count === 1 ? "" : "s"} dans cet onglet : ne le fermez pas.` : "";
  }

  async #look() {
    if (this.#looking) { this.#again = true; return; }
    this.#looking = true;
    const { ok, value } = await ask("GET", "");
    this.#looking = false;
    if (this.#stopped) return;
    if (ok) { this.#lists = value; this.#draw(); }
    if (this.#again) { this.#again = false; this.#look(); }
  }

  #name(code) { return this.#forms?.specialties?.find((one) => one.code === code)?.name ?? code; }

  async #draw() {
    this.#forms ??= await ask("GET", "/forms").then(({ ok, value }) => (ok ? value : null));
    if (this.#stopped) return;
    const { specialties, to_answer: toAnswer, asked, more } = this.#lists;
    $("opinions").hidden = specialties.length === 0 && toAnswer.length === 0;
    $("opinions-empty").hidden = toAnswer.length > 0;
    $("opinions-more").textContent = more ? `et ${more} de plus` : "";
    $("my-opinions").hidden = asked.length === 0;
    $("opinion-list").replaceChildren(...toAnswer.map((line) => this.#line(line, false)));
    $("my-opinion-list").replaceChildren(...asked.map((line) => this.#line(line, true)));
    for (const line of asked) {
      const before = this.#known.get(line.id);
      this.#known.set(line.id, line.state);
      if (before && before !== line.state && ["answered", "info_requested", "rejected"].includes(line.state)) notice(`Avis de ${this.#name(line.specialty)} : ${STATES[line.state]}.`);
    }
    const open = this.#open && [...toAnswer, ...asked].find(({ id }) => id === this.#open.line.id);
    if (open && (open.state !== this.#open.line.state || open.alert !== this.#open.line.alert || this.#open.mine)) this.#reload();
  }

  #line(line, mine) {
    const taken = Boolean(line.taken_by);
    const button = node("button", { className: "main", type: "button", textContent: mine || taken ? "Ouvrir la demande" : "Prendre cette demande" });
    button.onclick = async () => {
      button.disabled = true;
      if (mine || taken) await this.#show(line.id); else await this.#take(line.id);
      button.disabled = false;
    };
    const about = `opinion-${line.id}`;
    button.setAttribute("aria-describedby", about);
    const state = mine && taken && line.state === "in_progress" ? `prise en charge par ${line.taken_by.name}` : STATES[line.state];
    return node("li", {},
      node("div", { className: "grow", id: about },
        node("strong", { textContent: `${this.#name(line.specialty)}${line.reason ? ` · ${line.reason}` : ""}` }),
        line.urgency === "urgent" ? node("div", { className: "error", textContent: "urgent" }) : null,
        node("div", { textContent: state }),
        line.alert ? node("div", { className: "error", textContent: ALERTS[line.alert] }) : null,
        node("div", { className: "quiet", textContent: [mine ? "" : line.requester, line.place, `demandé le ${moment(line.asked_at)}`, `réponse souhaitée le ${day(line.wanted_at)}`].filter(Boolean).join(" · ") })),
      button);
  }

  async #take(id) {
    const { ok, value } = await ask("POST", `/${id}`, { id: newId(), step: "take" });
    if (ok) this.#fill(value); else { notice(value.reason ?? "Cette demande n’a pas pu être prise. Réessayez."); this.#look(); }
  }

  async #show(id) {
    const { ok, value } = await ask("GET", `/${id}`);
    if (ok) this.#fill(value); else notice(value.reason ?? "La demande ne peut pas être lue maintenant. Réessayez.");
  }

  async #reload() {
    const { ok, value } = await ask("GET", `/${this.#open.line.id}`);
    if (ok && this.#open?.line.id === value.line.id) this.#fill(value);
  }

  async #fill(opinion) {
    const same = this.#open?.line.id === opinion.line.id;
    this.#open = opinion;
    const { line, mine, told, thread, answer, refusal, consent_at: consentAt } = opinion;
    $("opinion-title").textContent = `Avis de ${this.#name(line.specialty)}`;
    $("opinion-where").textContent = [STATES[line.state], line.alert && ALERTS[line.alert]].filter(Boolean).join(" · ");
    pairs($("opinion-told"), [
      ["Demandé par", line.requester], line.place && ["Lieu", line.place], ["Demandé le", moment(line.asked_at)],
      ["Réponse souhaitée", `le ${day(line.wanted_at)}${line.urgency === "urgent" ? ", urgent" : ""}`],
      ...told.map(({ label, text }) => [label, text]), ["Accord du patient", consentAt ? `donné le ${moment(consentAt)}` : "non daté"],
      line.taken_by && ["Spécialiste", line.taken_by.name],
    ]);
    const waiting = (this.#unsent?.waiting ?? []).filter(({ path }) => path === `/${line.id}`);
    $("opinion-thread").replaceChildren(...thread.map(({ by, at, text }) => node("li", { textContent: `${moment(at)} ${by} : ${text}` })),
      ...waiting.map(({ body }) => node("li", { textContent: `Pas encore envoyé : ${body.text}` })));
    $("opinion-answered").hidden = !answer && !refusal;
    $("opinion-answered-by").textContent = answer ? `Réponse de ${answer.by}, le ${moment(answer.at)}` : line.state === "rejected" ? "Motif du refus" : "Motif";
    $("opinion-answered-text").textContent = answer?.text ?? refusal ?? "";
    $("opinion-report").hidden = !answer?.report;
    $("opinion-report").href = `${BASE}/${line.id}/report`;
    $("opinion-letter").hidden = !answer;
    $("opinion-letter").href = `${BASE}/${line.id}/letter`;
    const isOpen = !["answered", "rejected", "cancelled"].includes(line.state);
    $("opinion-write").hidden = !isOpen;
    for (const id of ["opinion-say", "opinion-cancel"]) $(id).hidden = !mine;
    for (const id of ["opinion-ask-more", "opinion-answer", "opinion-reject", "opinion-return", "opinion-report-choose"]) $(id).hidden = mine;
    if (!$("opinion-dialog").open) $("opinion-dialog").showModal();
    if (same) return;
    $("opinion-text").value = this.#unsent?.written(line.id) ?? "";
    const resources = await readDossier(line.consultation);
    if (this.#open?.line.id !== line.id) return;
    $("opinion-state").textContent = resources ? "" : "Le dossier n’est pas encore arrivé de la cabine : il arrive dès que sa liaison le permet.";
    if (resources) fillDossier("opinion", resources, line.consultation);
  }

  #clear() {
    for (const id of ["opinion-told", "opinion-thread"]) $(id).replaceChildren();
    for (const id of ["opinion-title", "opinion-where", "opinion-state", "opinion-answered-text"]) $(id).textContent = "";
    $("opinion-text").value = "";
    $("opinion-file").value = "";
    clearDossier("opinion");
  }

  async #answer() {
    const file = $("opinion-file").files[0];
    if (file && file.size > REPORT_BYTES_MAX) { $("opinion-state").textContent = "Ce PDF dépasse 8 Mo."; return; }
    const report = file && await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(",")[1]);
      reader.onerror = () => resolve(null);
      reader.readAsDataURL(file);
    });
    if (report === null) { $("opinion-state").textContent = "Ce PDF ne peut pas être lu."; return; }
    await this.#make({ step: "answer", text: $("opinion-text").value.trim(), ...(report && { report }) });
  }

  async #make(what) {
    if (!this.#open || this.#making) return;
    if (["ask_more", "say", "reject", "answer"].includes(what.step) && !what.text) { $("opinion-state").textContent = "Écrivez d’abord quelques mots."; $("opinion-text").focus(); return; }
    const { id } = this.#open.line, path = `/${id}`, body = { id: newId(), ...what };
    this.#making = true;
    // To give back is no words to keep.
    const answer = what.step === "return" || !this.#unsent ? await ask("POST", path, body) : await this.#unsent.send(id, path, body);
    this.#making = false;
    const isOpen = this.#open?.line.id === id;
    if (answer && !answer.ok) { if (isOpen) $("opinion-state").textContent = answer.value.reason ?? "Cela n’a pas été enregistré. Réessayez."; return; }
    this.#unsent?.write(id, null);
    this.#drawUnsent();
    if (!isOpen) { this.#look(); return; }
    $("opinion-text").value = "";
    $("opinion-file").value = "";
    $("opinion-state").textContent = answer ? "" : KEPT;
    // Who gave it back or refused it reads the dossier no more.
    if (answer && (what.step === "return" || what.step === "reject")) $("opinion-dialog").close(); else this.#fill(answer ? answer.value : this.#open);
    this.#look();
  }

  /// What this physician took before: from there too an opinion is asked.
  async #recent() {
    const answer = await fetch("/api/physician/consultations").catch(() => null);
    const { consultations = [] } = answer?.ok ? await answer.json().catch(() => ({})) : {};
    $("recent-list").replaceChildren(...consultations.map((one) => {
      const open = node("button", { type: "button", textContent: "Ouvrir le dossier", disabled: !one.here });
      open.onclick = () => this.#openDossier(one);
      const request = node("button", { type: "button", textContent: "Demander un avis" });
      request.onclick = () => this.askAbout(one.consultation);
      const about = `recent-${one.consultation}`;
      for (const button of [open, request]) button.setAttribute("aria-describedby", about);
      return node("li", {},
        node("div", { className: "grow", id: about },
          node("strong", { textContent: one.patient || "Dossier attendu de la cabine" }),
          node("div", { className: "quiet", textContent: `${one.birth_date ? `né(e) le ${dayFirst(one.birth_date)} · ` : ""}vu le ${moment(one.taken_at)}` })),
        open, request);
    }));
    if (!consultations.length) $("recent-list").replaceChildren(node("li", { className: "quiet", textContent: "Aucune." }));
  }

  async #openDossier({ consultation }) {
    const resources = await readDossier(consultation);
    if (!resources) { notice("Le dossier ne peut pas être lu maintenant. Réessayez."); return; }
    fillDossier("dossier", resources, consultation);
    $("dossier-ask").onclick = () => { $("dossier-dialog").close(); this.askAbout(consultation); };
    $("dossier-dialog").showModal();
  }
}

function fillDossier(name, resources, consultation) {
  showDossier(resources, { who: $(`${name}-who`), why: $(`${name}-why`), measured: $(`${name}-measured`) });
  $(`${name}-media`).replaceChildren(...mediaOf(resources, consultation));
}

function clearDossier(name) {
  for (const part of ["who", "why", "measured", "media"]) $(`${name}-${part}`).replaceChildren();
}
