// Which of the three parts is shown: sign-in, waiting room, consultation.

import { CallBacks } from "./call_backs.js";
import { Consultation } from "./consultation.js";
import { DeskSocket, REFUSED_FOR_GOOD } from "./desk_socket.js";
import { $, notice } from "./dom.js";
import { forgetDrafts } from "./draft.js";
import { SecondOpinions } from "./second_opinions.js";
import { WaitingRoom } from "./waiting_room.js";

const PARTS = ["sign-in", "waiting-room", "consultation"];
/// After its line came back, the desk says at once which call it knows.
const TAKEN_MAX_MS = 3000;
/// How often the desk is told that the page is being used.
const TOUCH_MS = 60000;
let socket = null, room = null, callBacks = null, opinions = null, consultation = null, physician = null, orphan = 0, touched = Date.now();

function show(part) {
  const changed = $(part).hidden;
  for (const id of PARTS) $(id).hidden = id !== part;
  if (changed) $(part).focus();
  // In mid-call it would leave the patient before an empty picture: the consultation is ended first.
  $("sign-out").hidden = part !== "waiting-room";
  $("ask-opinion").hidden = part !== "consultation";
  if (part === "waiting-room") {
    $("top-title").textContent = physician?.name ?? "Télécabine";
    $("top-detail").textContent = physician ? `${physician.speciality} · ${physician.town} · RPPS ${physician.rpps}` : "";
  }
}

async function json(method, url, body) {
  const answer = await fetch(url, { method, headers: body ? { "content-type": "application/json" } : {}, body: body && JSON.stringify(body) });
  const text = await answer.text();
  let value = {};
  try { value = JSON.parse(text); } catch { /* An empty answer is an answer. */ }
  return { ok: answer.ok, status: answer.status, value };
}

function enter() {
  show("waiting-room");
  socket = new DeskSocket();
  room = new WaitingRoom((id) => socket.send({ type: "take", consultation: id }));
  opinions = new SecondOpinions();
  callBacks = new CallBacks((message) => socket.send(message), (about) => opinions.askAbout(about));
  socket.addEventListener("up", () => { $("line-state").textContent = ""; $("line-state").hidden = true; room?.setLine(true); });
  socket.addEventListener("down", ({ detail }) => {
    $("line-state").textContent = "liaison avec le bureau coupée, elle reprend toute seule";
    $("line-state").hidden = false;
    room?.setLine(false);
    if (detail.ended) leave("Vous êtes déconnecté. Connectez-vous de nouveau.");
  });
  socket.addEventListener("unwelcome", async () => {
    // The desk may have restarted, or the sign-in ended: only the desk knows.
    const { status } = await json("GET", "/api/physician/me").catch(() => ({}));
    if (status !== 401 || !socket) return;
    if (consultation?.isConnected) {
      consultation.deskForgot = true;
      $("line-state").textContent = "déconnecté du bureau";
      notice("Le bureau a redémarré. L’échange continue par la liaison directe ; terminez la consultation, puis reconnectez-vous.", 0);
    }
    else leave("Connectez-vous de nouveau.");
  });
  socket.addEventListener("message", ({ detail }) => read(detail));
  socket.start();
}

function leave(why) {
  consultation?.close("");
  socket?.stop();
  room?.stop();
  callBacks?.close();
  opinions?.close();
  socket = room = callBacks = opinions = consultation = physician = null;
  signIn(why);
}

function read(message) {
  room?.read(message);
  callBacks?.read(message);
  opinions?.read(message);
  switch (message.type) {
    case "welcome":
      physician = message.physician;
      if (!consultation) { show("waiting-room"); break; }
      clearTimeout(orphan);
      orphan = setTimeout(() => {
        if (consultation?.isConnected) notice("Le bureau a redémarré : l’échange continue par la liaison directe avec la cabine.");
        else consultation?.close("Le bureau ne connaît plus cet appel.");
      }, TAKEN_MAX_MS);
      break;
    // Any other refusal passes: a desk that stops comes back, and a call goes on meanwhile.
    case "refused": if (REFUSED_FOR_GOOD.has(message.code)) leave(message.reason); break;
    case "taken":
      clearTimeout(orphan);
      if (consultation?.ticket === message.ticket) { consultation.resume(message); break; }
      consultation?.close("");
      consultation = new Consultation(socket, message, (why) => {
        consultation = null;
        clearTimeout(orphan);
        show("waiting-room");
        if (why) notice(why);
      });
      show("consultation");
      break;
    case "too_late": notice("Un autre médecin vient de prendre ce patient."); room?.release(); break;
    case "error": notice(message.reason); room?.release(); consultation?.read(message); break;
    default: consultation?.read(message);
  }
}

async function signIn(why = "") {
  show("sign-in");
  $("line-state").hidden = true;
  $("top-title").textContent = "Télécabine";
  $("top-detail").textContent = "";
  $("sign-in-error").textContent = why;
  $("sign-in-form").elements.account.focus();
  let value;
  try {
    ({ value } = await json("GET", "/api/sign-in"));
  } catch {
    $("sign-in-error").textContent = "Le bureau ne répond pas. Vérifiez la connexion, puis réessayez.";
    return;
  }
  $("operator").textContent = value.operator ?? "";
  $("sign-in-form").hidden = value.local === false;
  if (value.oidc) {
    $("oidc").hidden = false;
    $("oidc").textContent = `Se connecter avec ${value.oidc.label}`;
    $("oidc").href = value.oidc.url;
  }
}

$("sign-in-form").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target, fields = form.elements;
  const button = form.querySelector("button");
  button.disabled = true;
  $("sign-in-error").textContent = "";
  try {
    const { ok, value } = await json("POST", "/api/physician/sign-in", { account: fields.account.value.trim(), password: fields.password.value, code: fields.code.value.trim() });
    if (!ok) {
      $("sign-in-error").textContent = value.reason ?? "Le bureau ne répond pas comme prévu. Réessayez.";
      fields.code.value = "";
      return;
    }
    form.reset();
    enter();
  } catch {
    $("sign-in-error").textContent = "Le bureau ne répond pas. Vérifiez la connexion, puis réessayez.";
  } finally {
    button.disabled = false;
  }
};

$("ask-opinion").onclick = () => { if (consultation) opinions?.askAbout(consultation.id); };

$("sign-out").onclick = async () => {
  if (opinions?.unsent && !confirm("Ce que vous avez écrit sur un avis n’est pas encore au bureau, et sera perdu. Se déconnecter ?")) return;
  await json("POST", "/api/physician/sign-out", {}).catch(() => {});
  forgetDrafts();
  leave("");
};

// A physician who only reads and looks is not inactive.
for (const kind of ["pointerdown", "keydown"]) {
  addEventListener(kind, () => {
    if (!socket || Date.now() - touched < TOUCH_MS) return;
    touched = Date.now();
    json("GET", "/api/physician/me").catch(() => {});
  }, { passive: true });
}

const signedIn = await json("GET", "/api/physician/me").then(({ ok }) => ok, () => false);
if (signedIn) enter(); else signIn();
