// The third seat of a call, in any browser: an interpreter or a specialist comes in by a link that is good once. What stands
// after `#` is in no request. See "The third seat" in PROTOCOL.md.

import { GuestPeer } from "./guest_peer.js";
import { WORDS } from "./guest_words.js";
import { openMedia } from "./media.js";

const VERSION = 1;
const ADDRESS = /^#([A-Za-z0-9_-]{1,64})$/;
/// The seat, kept by this tab alone: a page loaded again comes back to it.
const SEAT = "third-seat";
const PAUSE_MIN_MS = 500, PAUSE_MAX_MS = 8000;
const GRACE_MS = 60000;
const NAME_BYTES_MAX = 100, LINE_BYTES_MAX = 400;
/// Refusals after which asking again is of no use.
const FOR_GOOD = new Set(["unknown_invitation", "invitation_expired", "invitation_used", "replaced", "version_unsupported", "too_many"]);

const $ = (id) => document.getElementById(id);
const bytesOf = (text) => new TextEncoder().encode(text).length;
const newId = () => crypto.randomUUID();

let language = navigator.languages.some((one) => one.startsWith("fr")) ? "fr" : "en";
/// `checking`, `form`, `asking`, `in`, or why it is over.
let shown = "checking";
let invited = null, physician = "", media = null, missing = "none", stream = new MediaStream();
let invitation = ADDRESS.exec(location.hash)?.[1] ?? null;
let socket = null, ticket = kept(), peer = null, pause = PAUSE_MIN_MS, lost = 0, isCut = false, isPhysicianGone = false, isHeld = false;

function kept() { try { return sessionStorage.getItem(SEAT); } catch { return null; } }
function keep(value) { try { if (value) sessionStorage.setItem(SEAT, value); else sessionStorage.removeItem(SEAT); } catch { /* A reload would lose the seat. */ } }

async function begin() {
  if (!globalThis.RTCPeerConnection || !navigator.mediaDevices?.getUserMedia) return over("old");
  if (ticket) { show("asking"); await see(); return dial(); }
  if (!invitation) return over("no_code");
  show("checking");
  let answer, value;
  try {
    answer = await fetch("/api/guest/invitation", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ invitation }), cache: "no-store", credentials: "omit" });
    value = await answer.json();
  } catch { return over("no_line"); }
  if (!answer.ok) return over(WORDS.fr.over[value.code] ? value.code : "unknown_invitation");
  invited = value;
  show("form");
  $("name").focus();
  await see();
}

/// Camera and microphone, once.
function see() {
  media ??= openMedia().then(({ stream: opened }) => {
    stream = opened;
    const has = (kind) => opened.getTracks().some((track) => track.kind === kind);
    missing = has("audio") && has("video") ? "both" : has("audio") ? "audio" : has("video") ? "video" : "none";
    $("preview").srcObject = $("own").srcObject = opened;
    show(shown);
  });
  return media;
}

$("who").onsubmit = async (event) => {
  event.preventDefault();
  const name = $("name").value.trim().replace(/\s+/g, " ");
  if (!name || bytesOf(name) > NAME_BYTES_MAX) { $("advice").textContent = WORDS[language].no_name; $("name").focus(); return; }
  $("ask").disabled = true;
  await see();
  dial({ type: "hello", version: VERSION, invitation, name, role: $("role").value });
};

/// `first` takes the seat; without it, whoever has it comes back.
function dial(first = null) {
  const mine = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/guest/ws`);
  let ended = false;
  mine.onopen = () => say(first ?? { type: "return", version: VERSION, ticket });
  mine.onmessage = ({ data }) => {
    let message;
    try { message = JSON.parse(data); } catch { return; }
    if (message.type === "refused" || message.type === "ended") ended = FOR_GOOD.has(message.code) || message.type === "ended";
    read(message, first === null);
  };
  mine.onclose = () => {
    if (mine !== socket) return;
    socket = null;
    if (ended || isOver()) return;
    if (!ticket) { $("ask").disabled = false; return over("no_line"); }
    lost ||= Date.now();
    if (Date.now() - lost > GRACE_MS && !peer?.isConnected) return over("lost");
    show(shown);
    setTimeout(() => { if (!isOver() && !socket) dial(); }, pause * (0.5 + Math.random() / 2));
    pause = Math.min(pause * 2, PAUSE_MAX_MS);
  };
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function read(message, isBack) {
  switch (message.type) {
    case "seated":
      keep(ticket = message.ticket);
      // The invitation has served: nothing of it stays in the address or the history.
      history.replaceState(null, "", location.pathname);
      invitation = null;
      [physician, pause, lost] = [message.physician, PAUSE_MIN_MS, 0];
      if (!peer) open();
      show(shown === "in" ? "in" : "asking");
      break;
    case "admitted":
      peer.iceServers = message.ice_servers;
      show("in");
      // This page was loaded again: the former connection was that page's.
      if (isBack && !peer.isOpen) say({ type: "restart_ice", ticket });
      break;
    case "sdp": peer?.offer(message.sdp); break;
    case "candidate": peer?.candidate(message); break;
    case "physician_gone": isPhysicianGone = true; show(shown); break;
    case "physician_back": isPhysicianGone = false; show(shown); break;
    case "ended": over(message.cause === "dismissed" ? "dismissed" : "call_ended"); break;
    case "refused":
      // A desk that restarted knows no seat; the exchange goes on by the direct line while that lives.
      if (ticket && message.code === "unknown_invitation") { if (!peer?.isConnected) over("lost"); break; }
      if (FOR_GOOD.has(message.code)) over(message.code);
      break;
    case "ping": say({ type: "pong", n: message.n }); break;
  }
}

function open() {
  peer = new GuestPeer(say, ticket);
  peer.stream = stream;
  const streams = { sound: new MediaStream(), patient: new MediaStream(), physician: new MediaStream() };
  peer.addEventListener("track", ({ detail: { track, what } }) => {
    if (!streams[what]) return;
    // Another connection, another track.
    streams[what].getTracks().forEach((old) => streams[what].removeTrack(old));
    streams[what].addTrack(track);
    const element = $(what);
    element.srcObject = streams[what];
    play(element);
  });
  peer.addEventListener("state", ({ detail }) => {
    isCut = detail !== "connected";
    if (detail === "closed" && !socket) over("lost"); else show(shown);
  });
  peer.addEventListener("line", ({ detail }) => {
    let line;
    try { line = JSON.parse(detail); } catch { return; }
    if (typeof line.text === "string" && WORDS.fr.who[line.by]) written(line.by, line.text);
  });
  isCut = true;
}

function play(element) {
  element.play().catch((error) => { if (error.name === "NotAllowedError") { isHeld = true; show(shown); } });
}

for (const kind of ["pointerdown", "keydown"]) {
  addEventListener(kind, () => {
    if (!isHeld) return;
    isHeld = false;
    for (const id of ["sound", "patient", "physician"]) if ($(id).srcObject) play($(id));
    show(shown);
  });
}

function written(by, text) {
  const time = new Date().toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
  const words = WORDS[language];
  const line = document.createElement("li");
  line.textContent = `${time} ${words.who[by]} : ${text || words.erased}`;
  $("lines").append(line);
  $("lines").scrollTop = $("lines").scrollHeight;
}

$("write").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || bytesOf(text) > LINE_BYTES_MAX || peer?.lines?.readyState !== "open") return;
  peer.lines.send(JSON.stringify({ id: newId(), by: "guest", text }));
  written("guest", text);
  $("text").value = "";
};

for (const [id, kind] of [["mute", "audio"], ["cover", "video"]]) {
  $(id).onclick = () => {
    const pressed = $(id).getAttribute("aria-pressed") !== "true";
    stream.getTracks().filter((track) => track.kind === kind).forEach((track) => { track.enabled = !pressed; });
    $(id).setAttribute("aria-pressed", String(pressed));
    show(shown);
  };
}

const leave = () => { say({ type: "leave" }); over("left"); };
$("leave").onclick = $("leave-door").onclick = leave;
$("again").onclick = () => { begin(); $("door").focus(); };
$("language").onclick = () => { language = language === "fr" ? "en" : "fr"; show(shown); };

const isOver = () => !["checking", "form", "asking", "in"].includes(shown);

function over(why) {
  if (isOver() && why !== "no_line") return;
  const mine = socket;
  socket = null;
  mine?.close();
  peer?.close();
  peer = null;
  if (why !== "no_line") { keep(null); ticket = null; }
  stream.getTracks().forEach((track) => track.stop());
  stream = new MediaStream();
  media = null;
  for (const id of ["sound", "patient", "physician", "preview", "own"]) $(id).srcObject = null;
  $("lines").replaceChildren();
  show(why);
}

function show(state) {
  const changed = state !== shown;
  shown = state;
  const words = WORDS[language];
  document.documentElement.lang = language;
  document.title = `${words.title} · Télécabine`;
  const texts = {
    language: words.other, title: words.title, "name-label": words.name, "role-label": words.role, ask: words.ask, again: words.again,
    "leave-door": words.not_asking, "lines-title": words.lines, send: words.send, leave: words.leave, "physician-name": physician,
    "media-state": words.media[missing], mute: words.mute[Number($("mute").getAttribute("aria-pressed") === "true")],
    cover: words.cover[Number($("cover").getAttribute("aria-pressed") === "true")],
  };
  for (const [id, text] of Object.entries(texts)) if ($(id).textContent !== text) $(id).textContent = text;
  $("language").lang = language === "fr" ? "en" : "fr";
  for (const option of $("role").options) option.textContent = words.roles[option.value];
  for (const id of ["patient", "physician", "own", "preview"]) $(id).setAttribute("aria-label", words[id === "preview" ? "own" : id]);
  $("text").setAttribute("aria-label", words.text);
  $("text").placeholder = words.text;
  $("talk").hidden = state !== "in";
  $("door").hidden = state === "in";
  $("who").hidden = state !== "form";
  if (state === "form") $("ask").disabled = false;
  $("preview-pane").hidden = !["form", "asking"].includes(state) || !media;
  $("leave-door").hidden = state !== "asking";
  $("again").hidden = state !== "no_line";
  [$("state").textContent, $("advice").textContent] = state === "checking" ? [words.checking, ""]
    : state === "form" ? [words.invited(invited), words.invited_advice]
    : state === "asking" ? [words.asking(physician || "…"), words.asking_advice]
    : state === "in" ? ["", ""] : words.over[state];
  $("line").hidden = !ticket || socket?.readyState === WebSocket.OPEN || isOver();
  $("line").textContent = $("line").hidden ? "" : words.no_desk;
  const veil = isHeld ? words.sound_held : isCut && isPhysicianGone ? words.physician_gone : !isCut ? "" : $("patient").srcObject ? words.cut : words.entering;
  if ($("veil").textContent !== veil) $("veil").textContent = veil;
  if (changed && (state === "in" || isOver())) $(state === "in" ? "talk" : "door").focus();
}

addEventListener("hashchange", () => {
  const other = ADDRESS.exec(location.hash)?.[1];
  if (!other || !(isOver() || shown === "form")) return;
  invitation = other;
  shown = "checking";
  begin();
});
begin();
