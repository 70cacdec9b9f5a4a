// Which of the three parts is shown: sign-in, waiting room, consultation.

import { Consultation } from "./consultation.js";
import { DeskSocket } from "./desk_socket.js";
import { $, notice } from "./dom.js";
import { WaitingRoom } from "./waiting_room.js";

const PARTS = ["sign-in", "waiting-room", "consultation"];
let socket = null, room = null, consultation = null, physician = null;

function show(part) {
  for (const id of PARTS) $(id).hidden = id !== part;
  $("sign-out").hidden = part === "sign-in";
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
  return { ok: answer.ok, value };
}

function enter() {
  show("waiting-room");
  socket = new DeskSocket();
  room = new WaitingRoom((id) => socket.send({ type: "take", consultation: id }));
  socket.addEventListener("up", () => { $("line-state").textContent = ""; });
  socket.addEventListener("down", ({ detail }) => {
    $("line-state").textContent = "liaison avec le bureau coupée";
    if (detail.ended) leave("Vous êtes déconnecté. Connectez-vous de nouveau.");
  });
  socket.addEventListener("message", ({ detail }) => read(detail));
  socket.start();
}

function leave(why) {
  consultation?.close("");
  socket?.stop();
  room?.stop();
  socket = room = consultation = physician = null;
  signIn(why);
}

function read(message) {
  room?.read(message);
  switch (message.type) {
    case "welcome": physician = message.physician; if (!consultation) show("waiting-room"); break;
    case "refused": leave(message.reason); break;
    case "taken":
      if (consultation?.ticket === message.ticket) { consultation.resume(message); break; }
      consultation?.close("");
      consultation = new Consultation(socket, message, (why) => {
        consultation = null;
        show("waiting-room");
        if (why) notice(why);
      });
      show("consultation");
      break;
    case "too_late": notice("Un autre médecin vient de prendre ce patient."); room?.draw(); break;
    case "error": notice(message.reason); room?.draw(); break;
    default: consultation?.read(message);
  }
}

async function signIn(why = "") {
  show("sign-in");
  $("top-title").textContent = "Télécabine";
  $("top-detail").textContent = "";
  $("sign-in-error").textContent = why;
  const { value } = await json("GET", "/api/sign-in");
  $("operator").textContent = value.operator ?? "";
  $("sign-in-form").hidden = value.local === false;
  if (value.oidc) {
    $("oidc").hidden = false;
    $("oidc").textContent = `Se connecter avec ${value.oidc.label}`;
    $("oidc").href = value.oidc.url;
  }
  $("sign-in-form").elements.account.focus();
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

$("sign-out").onclick = async () => {
  await json("POST", "/api/physician/sign-out", {});
  leave("");
};

const { ok } = await json("GET", "/api/physician/me");
if (ok) enter(); else signIn();
