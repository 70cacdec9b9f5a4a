// The patient's papers, opened in the patient's telephone. The address holds `#ID.KEY`; what stands after `#` is never
// sent, so the desk that keeps the sealed bytes never has the key. See "Papers by telephone" in PROTOCOL.md.

const SEALED_BYTES_MAX = 40 * 1024 * 1024;
const NONCE_BYTES = 12;
const CONTEXT = new TextEncoder().encode("telecabine papers v1");
const ADDRESS = /^#([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

const WORDS = {
  fr: {
    other: "English",
    title: "Vos papiers",
    reading: "Vos papiers arrivent…",
    ready: (count) => (count > 1 ? `Vos ${count} papiers sont là.` : "Votre papier est là."),
    kept: (date) => `Enregistrez-les dans votre téléphone : ce code les ouvre jusqu’au ${date}. Qui a ce code peut les lire : ne le donnez pas.`,
    open: "Ouvrir",
    save: "Enregistrer",
    again: "Essayer de nouveau",
    kind: { summary: "Compte rendu de la cabine", prescription: "Ordonnance", report: "Compte rendu du médecin", letter: "Courrier", certificate: "Certificat", other: "Document" },
    file: { summary: "compte-rendu-cabine", prescription: "ordonnance", report: "compte-rendu", letter: "courrier", certificate: "certificat", other: "document" },
    no_code: ["Le code est incomplet.", "Visez de nouveau le code sur l’écran de la cabine, en entier. S’il n’y est plus, demandez vos papiers au pharmacien."],
    wrong_key: ["Ce code n’ouvre pas ces papiers.", "Visez de nouveau le code sur l’écran de la cabine. S’il n’y est plus, demandez vos papiers au pharmacien ou au lieu de la téléconsultation."],
    gone: ["Ces papiers ne sont plus ici.", "Ils sont gardés 7 jours, puis effacés. Demandez-les au médecin, ou au lieu de la téléconsultation."],
    wait: ["Trop de demandes viennent de votre réseau.", "Attendez dix minutes, puis essayez de nouveau."],
    no_line: ["Vos papiers n’ont pas pu arriver.", "Vérifiez la connexion de votre téléphone, puis essayez de nouveau."],
    old: ["Ce navigateur ne sait pas ouvrir vos papiers.", "Ouvrez la même adresse avec un navigateur plus récent, ou demandez vos papiers au pharmacien."],
  },
  en: {
    other: "Français",
    title: "Your papers",
    reading: "Your papers are coming…",
    ready: (count) => (count > 1 ? `Your ${count} papers are here.` : "Your paper is here."),
    kept: (date) => `Save them in your phone: this code opens them until ${date}. Whoever has this code can read them: do not give it away.`,
    open: "Open",
    save: "Save",
    again: "Try again",
    kind: { summary: "Report from the cabin", prescription: "Prescription", report: "Physician’s report", letter: "Letter", certificate: "Certificate", other: "Document" },
    file: { summary: "cabin-report", prescription: "prescription", report: "report", letter: "letter", certificate: "certificate", other: "document" },
    no_code: ["The code is not complete.", "Point your camera again at the whole code on the cabin’s screen. If it is gone, ask the pharmacist for your papers."],
    wrong_key: ["This code does not open these papers.", "Point your camera again at the code on the cabin’s screen. If it is gone, ask for your papers where you had the teleconsultation."],
    gone: ["These papers are no longer here.", "They are kept for 7 days, then deleted. Ask the physician for them, or the place of the teleconsultation."],
    wait: ["Too many requests come from your network.", "Wait ten minutes, then try again."],
    no_line: ["Your papers could not be fetched.", "Check your phone’s connection, then try again."],
    old: ["This browser cannot open your papers.", "Open the same address with a newer browser, or ask the pharmacist for your papers."],
  },
};

const $ = (id) => document.getElementById(id);

/// Something that a person can do something about; its name is a line of WORDS.
class Trouble extends Error {
  constructor(name) { super(name); this.name = name; }
}

let language = navigator.languages.some((one) => one.startsWith("fr")) ? "fr" : "en";
/// `reading`, a Trouble, or `{ papers, until }`.
let shown = "reading";
let turn = 0;

function bytesOf(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

async function fetched(id) {
  let answer;
  try {
    answer = await fetch(`/api/papers/${id}`, { cache: "no-store", credentials: "omit" });
  } catch { throw new Trouble("no_line"); }
  if (answer.status === 404) throw new Trouble("gone");
  if (answer.status === 429) throw new Trouble("wait");
  if (!answer.ok) throw new Trouble("no_line");
  if (Number(answer.headers.get("content-length") ?? 0) > SEALED_BYTES_MAX) throw new Trouble("wrong_key");
  try {
    return { sealed: new Uint8Array(await answer.arrayBuffer()), until: Number(answer.headers.get("telecabine-kept-until")) };
  } catch { throw new Trouble("no_line"); }
}

async function opened(sealed, keyBytes) {
  if (!globalThis.crypto?.subtle) throw new Trouble("old");
  try {
    const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, ["decrypt"]);
    const how = { name: "AES-GCM", iv: sealed.subarray(0, NONCE_BYTES), additionalData: CONTEXT };
    return new Uint8Array(await crypto.subtle.decrypt(how, key, sealed.subarray(NONCE_BYTES)));
  } catch { throw new Trouble("wrong_key"); }
}

/// The papers of a pack: every byte belongs to the list or to a paper.
function unpacked(packed) {
  try {
    const length = new DataView(packed.buffer).getUint32(0, true);
    const list = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(packed.subarray(4, 4 + length)));
    let at = 4 + length;
    const papers = list.papers.map(({ kind, title, bytes }) => {
      const pdf = packed.subarray(at, at + bytes);
      at += bytes;
      if (pdf.length !== bytes) throw new Error("cut short");
      // Always a PDF, whatever the bytes: nothing here can become a page of this site.
      return { kind: String(kind), title: String(title), address: URL.createObjectURL(new Blob([pdf], { type: "application/pdf" })) };
    });
    if (at !== packed.length || papers.length === 0) throw new Error("not a pack");
    return papers;
  } catch { throw new Trouble("wrong_key"); }
}

async function read() {
  const mine = ++turn;
  forget();
  show("reading");
  let result;
  try {
    const found = ADDRESS.exec(location.hash);
    if (!found) throw new Trouble("no_code");
    const { sealed, until } = await fetched(found[1]);
    result = { papers: unpacked(await opened(sealed, bytesOf(found[2]))), until };
  } catch (error) {
    result = error instanceof Trouble ? error : new Trouble("wrong_key");
  }
  // Another code was scanned meanwhile.
  if (mine === turn) show(result);
}

function forget() {
  for (const paper of shown.papers ?? []) URL.revokeObjectURL(paper.address);
}

function show(state) {
  shown = state;
  const words = WORDS[language];
  document.documentElement.lang = language;
  document.title = `${words.title} · Télécabine`;
  $("language").textContent = words.other;
  $("language").lang = language === "fr" ? "en" : "fr";
  $("title").textContent = words.title;
  $("again").textContent = words.again;
  $("again").hidden = !(state instanceof Trouble);
  $("papers").replaceChildren();
  if (state === "reading") {
    $("state").textContent = words.reading;
    $("advice").textContent = "";
  } else if (state instanceof Trouble) {
    [$("state").textContent, $("advice").textContent] = words[state.name];
  } else {
    $("state").textContent = words.ready(state.papers.length);
    const date = new Date(state.until).toLocaleDateString(language, { day: "numeric", month: "long", year: "numeric" });
    $("advice").textContent = words.kept(date);
    const total = new Map(), seen = new Map();
    for (const { kind } of state.papers) total.set(kind, (total.get(kind) ?? 0) + 1);
    $("papers").append(...state.papers.map((paper) => {
      const number = (seen.get(paper.kind) ?? 0) + 1;
      seen.set(paper.kind, number);
      const of = total.get(paper.kind) > 1 ? ` ${number}` : "";
      return item(paper, (words.kind[paper.kind] ?? words.kind.other) + of, (words.file[paper.kind] ?? words.file.other) + of.trim());
    }));
  }
}

function item(paper, name, file) {
  const words = WORDS[language];
  const row = document.createElement("li");
  const title = Object.assign(document.createElement("h2"), { textContent: name });
  const detail = Object.assign(document.createElement("p"), { className: "quiet", textContent: paper.title, hidden: !paper.title });
  const link = (text, more) => Object.assign(document.createElement("a"), { textContent: text, href: paper.address, ariaLabel: `${text} : ${name}`, ...more });
  const actions = Object.assign(document.createElement("div"), { className: "actions" });
  actions.append(
    link(words.open, { className: "button main", target: "_blank", rel: "noopener" }),
    link(words.save, { className: "button", download: `${file}.pdf` }),
  );
  row.append(title, detail, actions);
  return row;
}

$("language").onclick = () => { language = language === "fr" ? "en" : "fr"; show(shown); };
$("again").onclick = () => { read(); $("main").focus(); };
addEventListener("hashchange", read);
read();
