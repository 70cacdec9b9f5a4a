// The third seat: an interpreter or a specialist whom the physician invites. Their browser has one connection, with this
// page, which passes on: the cabin's line is the narrow one and carries one sound and one picture, as without a guest.
// Nothing of the patient goes to a guest before the cabin has acknowledged that its screen says who it is.

import { Composer } from "./composer.js";
import { $, bytesOf, newId, notice } from "./dom.js";
import { Mixer } from "./mixer.js";
import { Peer, TO_GUEST } from "./peer.js";
import { clock, word } from "./words.js";

/// A guest without picture and sound for so long is gone, for the patient too; coming back is told anew.
const GONE_MS = 10000;
/// The first connection may take longer.
const FIRST_MS = 30000;
const LINE_BYTES_MAX = 500;
const [SOUND, PICTURE, OWN_PICTURE] = [0, 1, 2];

export class ThirdSeat {
  #send; #ticket; #record; #cabin; #wrote; #workbench;
  #own = new MediaStream();
  /// What comes from the cabin.
  #patient = {};
  #link = null; #guest = null;
  #peer = null; #tracks = {}; #mixer = null; #composer = null; #composed = "";
  /// The cabin says who is there: the guest may see and hear.
  #told = false;
  #telling = null; #connected = false; #wasConnected = false; #gone = 0; #said = new Set(); #closed = false;

  /// `cabin` is the connection with the cabin; `wrote(who, text, id)` shows a line of the guest and hands it to the patient;
  /// `returned`: this page was loaded again in mid-call.
  constructor({ send, ticket, record, cabin, wrote, returned }) {
    [this.#send, this.#ticket, this.#record, this.#cabin, this.#wrote] = [send, ticket, record, cabin, wrote];
    let again = returned;
    record.addEventListener("open", () => {
      if (this.#told) this.#record.hand(this.#coming());
      else if (again && !this.#guest) this.#record.hand({ type: "guest_gone", id: newId() });
      again = true;
    });
    $("guest").onclick = () => { this.#draw(); $("guest-dialog").showModal(); };
    $("guest-close").onclick = () => $("guest-dialog").close();
    $("guest-invite").onclick = () => { if (!this.#send({ type: "invite_guest", ticket })) notice("La liaison avec le bureau est coupée : réessayez dans un instant."); };
    $("guest-copy").onclick = () => this.#copy();
    $("guest-admit").onclick = () => this.#admit();
    $("guest-dismiss").onclick = () => { if (this.#send({ type: "dismiss_guest", ticket })) { this.#link = null; this.#draw(); } };
    $("guest-view").onchange = () => this.#route();
    $("guest-video").onclick = () => { this.#mixer?.resume(); $("guest-video").play().catch(() => {}); };
    document.addEventListener("visibilitychange", this.#seen);
    // A browser that waited for a touch before it plays sound has one.
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, this.#touched);
    this.#draw();
  }

  #seen = () => this.#route();
  #touched = () => this.#mixer?.resume();

  /// Who is there, or asks.
  get isOccupied() { return this.#guest !== null; }

  /// The physician's camera and microphone: what goes to the cabin while nobody else is there.
  own(stream) { this.#own = stream; this.#route(); }

  /// A track that came from the cabin.
  patient(track) { this.#patient[track.kind] = track; this.#route(); }

  read(message) {
    switch (message.type) {
      case "guest_invited":
        this.#link = { address: `${location.origin}/guest/#${message.invitation}`, until: Date.now() + message.valid_ms };
        this.#draw();
        break;
      case "guest": this.#sits(message); break;
      case "guest_left": this.#leaves(); break;
      case "sdp": if (message.ticket === this.#guest?.seat) this.#peer?.answer(message.sdp); break;
      case "candidate": if (message.ticket === this.#guest?.seat) this.#peer?.candidate(message); break;
      // The guest's page was loaded again: nothing of the former connection is left there.
      case "restart_ice": if (message.ticket === this.#guest?.seat) this.#peer?.dial(); break;
    }
  }

  /// The desk's servers, when it said them again.
  servers(iceServers) { this.iceServers = iceServers; if (this.#peer) this.#peer.iceServers = iceServers; }

  /// A line that somebody else wrote in the call.
  line(by, text, id = newId()) {
    const channel = this.#peer?.channels.lines;
    if (this.#told && channel?.readyState === "open") channel.send(JSON.stringify({ id, by, text }));
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    document.removeEventListener("visibilitychange", this.#seen);
    for (const kind of ["pointerdown", "keydown"]) removeEventListener(kind, this.#touched);
    this.#guest = this.#link = null;
    this.#hangUp();
    $("guest-dialog").close();
    this.#draw();
  }

  #sits({ seat, name, role, admitted, online }) {
    const former = this.#guest;
    if (former && former.seat !== seat) this.#leaves();
    this.#guest = { seat, name, role, admitted, online };
    this.#link = null;
    if (!former || former.seat !== seat) {
      if (!admitted) notice(`${this.#who()} attend d’entrer dans l’échange : « Invité ».`, 0);
      $("guest-view").value = role === "sign_interpreter" ? "guest_large" : "me_large";
    }
    // A page that was loaded again had let them in.
    if (admitted && !this.#peer && !this.#telling) this.#tell();
    this.#draw();
  }

  #leaves() {
    if (!this.#guest) return;
    const { admitted } = this.#guest;
    if (admitted) notice(`${this.#guest.name} n’est plus dans l’échange.`);
    const isTelling = this.#telling;
    this.#guest = this.#telling = null;
    if (isTelling) this.#record.withdraw(isTelling);
    // The cabin may show them already, though it has not said so.
    if (admitted || isTelling) this.#record.hand({ type: "guest_gone", id: newId() });
    this.#hangUp();
    this.#draw();
  }

  #admit() {
    if (!this.#guest || this.#telling) return;
    notice("");
    this.#tell();
    this.#draw();
  }

  #coming() { const { name, role } = this.#guest; return { type: "guest", id: newId(), name, role }; }

  /// The patient's screen first, then the guest.
  async #tell() {
    const { seat } = this.#guest;
    const coming = this.#coming();
    this.#telling = coming.id;
    const isShown = await this.#record.hand(coming);
    if (this.#telling !== coming.id) return;
    this.#telling = null;
    if (!isShown || this.#guest?.seat !== seat) return;
    this.#told = true;
    if (!this.#guest.admitted) this.#send({ type: "admit_guest", ticket: seat });
    this.#route();
    if (!this.#peer) this.#dial(seat);
    this.#draw();
  }

  #dial(seat) {
    const peer = this.#peer = new Peer((message) => this.#send(message), seat, TO_GUEST);
    peer.iceServers = this.iceServers ?? [];
    peer.addEventListener("track", ({ detail: { track } }) => {
      this.#tracks[track.kind] = track;
      const video = $("guest-video");
      video.srcObject = new MediaStream(Object.values(this.#tracks));
      video.play().catch(() => {});
      this.#route();
    });
    peer.addEventListener("state", ({ detail }) => this.#state(detail));
    peer.addEventListener("lines", ({ detail }) => this.#hears(detail));
    this.#waitFor(FIRST_MS);
    this.#route();
    peer.dial();
  }

  #state(state) {
    const connected = state === "connected";
    if (connected === this.#connected) return;
    this.#connected = connected;
    if (connected) {
      this.#wasConnected = true;
      clearTimeout(this.#gone);
      if (!this.#told && !this.#telling && this.#guest) this.#tell();
    } else this.#waitFor(this.#wasConnected ? GONE_MS : FIRST_MS);
    this.#route();
    this.#draw();
  }

  /// The patient is not told that somebody is there who is not.
  #waitFor(ms) {
    clearTimeout(this.#gone);
    this.#gone = setTimeout(() => {
      if (!this.#told || this.#connected) return;
      this.#told = false;
      this.#record.hand({ type: "guest_gone", id: newId() });
      this.#route();
      this.#draw();
    }, ms);
  }

  #hears(text) {
    let line;
    try { line = JSON.parse(text); } catch { return; }
    if (line?.by !== "guest" || typeof line.text !== "string" || !line.text.trim() || !this.#told || this.#said.has(line.id)) return;
    this.#said.add(line.id);
    let said = `${this.#guest.name} : ${line.text.trim()}`;
    while (bytesOf(said) > LINE_BYTES_MAX) said = said.slice(0, -1);
    this.#wrote(this.#guest.name, line.text.trim(), said);
  }

  #hangUp() {
    clearTimeout(this.#gone);
    this.#told = this.#connected = this.#wasConnected = false;
    this.#peer?.close();
    this.#peer = null;
    this.#tracks = {};
    $("guest-video").srcObject = null;
    this.#route();
  }

  /// Who gets what, as things now are.
  #route() {
    const own = (kind) => this.#own.getTracks().find((track) => track.kind === kind) ?? null;
    if (this.#told && !this.#mixer) {
      this.#mixer = new Mixer();
      this.#mixer.addEventListener("changed", () => { this.#route(); this.#draw(); });
    }
    if (!this.#told && this.#mixer) { this.#mixer.stop(); this.#mixer = null; }
    this.#mixer?.hear("physician", own("audio"));
    this.#mixer?.hear("patient", this.#patient.audio ?? null);
    this.#mixer?.hear("guest", this.#tracks.audio ?? null);
    const mixed = (who) => (this.#mixer?.isRunning ? this.#mixer.track(who) : own("audio"));
    this.#cabin.carry(SOUND, mixed("patient"));
    this.#cabin.carry(PICTURE, this.#picture(own("video")));
    this.#peer?.carry(SOUND, this.#told ? mixed("guest") : null);
    this.#peer?.carry(PICTURE, this.#told ? this.#patient.video ?? null : null);
    this.#peer?.carry(OWN_PICTURE, this.#told ? own("video") : null);
  }

  /// What the patient is shown: one picture, of whom the physician chose.
  #picture(mine) {
    const theirs = this.#told && this.#connected ? this.#tracks.video ?? null : null;
    const view = !theirs ? "me" : !mine ? "guest" : $("guest-view").value;
    const isComposed = view.endsWith("_large");
    const [large, small] = view === "guest_large" ? [theirs, mine] : [mine, theirs];
    const wanted = isComposed ? `${large.id} ${small.id}` : "";
    if (this.#composed !== wanted) {
      this.#composer?.stop();
      this.#composer = isComposed ? new Composer(large, small) : null;
      this.#composed = wanted;
    }
    // Where nothing is drawn behind another window, the large one alone goes on by itself.
    if (isComposed) return document.hidden && !this.#composer.isTireless ? large : this.#composer.track;
    return view === "guest" ? theirs : mine;
  }

  async #copy() {
    try { await navigator.clipboard.writeText($("guest-link").value); $("guest-copy").textContent = "Copié"; } catch { $("guest-link").select(); }
  }

  #who() { return `${this.#guest.name}, ${word("guest_role", this.#guest.role)},`; }

  #draw() {
    const guest = this.#guest;
    const isLetIn = guest && (guest.admitted || this.#told);
    const isGood = this.#link && Date.now() < this.#link.until;
    $("guest").textContent = !guest ? "Inviter" : isLetIn ? "Invité" : "Invité : attend";
    $("guest").setAttribute("aria-pressed", String(Boolean(guest && !isLetIn)));
    $("guest-state").textContent = this.#telling ? `Le patient lit que ${this.#who()} vient…`
      : isLetIn && !this.#told ? `${this.#who()} est en train de revenir : sa liaison est coupée. Le patient lit qu’il n’y a plus personne.`
      : isLetIn && !this.#connected ? `${this.#who()} entre dans l’échange…`
      : isLetIn && !this.#mixer?.isRunning ? `${this.#who()} est dans l’échange, mais votre navigateur retient le son : cliquez dans la page, ou branchez un haut-parleur.`
      : isLetIn ? `${this.#who()} est dans l’échange. Le patient lit son nom et son rôle ; le dossier ne lui est pas montré.`
      : guest ? `${this.#who()} attend. Ce nom est celui que la personne a donné : vérifiez-le. Le patient le lira avant d’être vu.`
      : isGood ? `Envoyez ce lien à la personne. Il sert une fois, jusqu’à ${clock(this.#link.until)}, pour cet échange seulement.`
      : "Un interprète ou un spécialiste entre avec un lien, dans son navigateur, sans compte. Il voit et entend, et ne lit pas le dossier.";
    $("guest-link-row").hidden = !isGood || Boolean(guest);
    $("guest-link").value = isGood ? this.#link.address : "";
    $("guest-mail").href = isGood ? `mailto:?subject=${encodeURIComponent("Téléconsultation : votre aide")}&body=${encodeURIComponent(`Ouvrez ce lien, il sert une fois : ${this.#link.address}`)}` : "";
    if (!isGood) $("guest-copy").textContent = "Copier le lien";
    $("guest-invite").hidden = Boolean(guest);
    $("guest-invite").textContent = isGood ? "Créer un autre lien" : "Créer un lien";
    $("guest-invite").classList.toggle("main", !isGood);
    $("guest-admit").hidden = !guest || isLetIn;
    $("guest-admit").disabled = Boolean(this.#telling);
    $("guest-dismiss").hidden = !guest && !isGood;
    $("guest-dismiss").textContent = isLetIn ? "Faire sortir" : guest ? "Ne pas faire entrer" : "Annuler le lien";
    $("guest-view-row").hidden = !isLetIn;
    $("guest-pane").hidden = !this.#connected;
    $("guest-name").textContent = guest ? guest.name : "";
  }
}
