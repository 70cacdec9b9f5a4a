// Who the patient is and what was answered, as the cabin says it on the `record` channel.

import { $, pairs } from "./dom.js";
import { clock, word } from "./words.js";

const dayFirst = (date) => date.split("-").reverse().join("/");

export function showPatient(patient, site) {
  $("top-title").textContent = `${patient.first_names} ${patient.birth_name}, ${patient.age_years} ans`;
  $("top-detail").textContent = `${site.name}, ${site.town} · ${word("status", patient.status)}`;
  const seen = patient.document_seen ? ` (${word("document_seen", patient.document_seen)})` : "";
  pairs($("identity"), [
    ["Nom de naissance", patient.birth_name], ["Prénoms", patient.first_names], ["Sexe", word("sex", patient.sex)],
    ["Naissance", `${dayFirst(patient.birth_date)}, ${patient.birth_place}`],
    ["Identité", word("status", patient.status).replace("identité ", "") + seen],
    patient.matricule && ["Matricule INS", patient.matricule],
  ]);
}

export function showAnswers(answers) {
  const signs = [...answers.warning_signs].sort((a, b) => Number(b.present) - Number(a.present));
  pairs($("answers"), [
    ["Motif", [word("reason", answers.reason), answers.body_part && word("body_part", answers.body_part)].filter(Boolean).join(" · ")],
    answers.free_line && ["En ses mots", answers.free_line],
    ["Médecin traitant", answers.usual_doctor || "non indiqué"],
    answers.town && ["Commune", answers.town],
    answers.callback_phone && ["À rappeler au", answers.callback_phone],
    ["Lieu", word("site", answers.site_kind)],
    answers.language !== "fr" && ["Langue", word("language", answers.language)],
    ["Accords", answers.consents.map(({ purpose, given }) => `${word("purpose", purpose)} ${given ? "oui" : "non"}`).join(" · ")],
  ]);
  pairs($("signs"), signs.map(({ question, present }) => [question, present ? "oui" : "non", present ? "yes" : ""]));
  $("signs-title").hidden = signs.length === 0;
  const cleared = answers.sign_cleared;
  const present = new Set(signs.filter((sign) => sign.present).map(({ question }) => question));
  if (cleared) present.add(cleared.question);
  $("sign-alert").hidden = present.size === 0;
  $("sign-alert").textContent = present.size === 0 ? "" : `Signe d’alerte, réponse oui : ${[...present].join(" ")}`
    + (cleared ? ` Vu à ${clock(cleared.at)} par ${cleared.by}, à la cabine, qui a laissé continuer.` : "");
}
