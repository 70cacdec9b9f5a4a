// One consultation, from the moment the physician took it to its end.

import { Curve } from "./curve.js";
import { Documents } from "./documents.js";
import { $, bytesOf, newId, node, notice } from "./dom.js";
import { Draft } from "./draft.js";
import { Ecg } from "./ecg.js";
import { Instrument } from "./instrument.js";
import { Line } from "./line.js";
import { Lips } from "./lips.js";
import { openMedia } from "./media.js";
import { showAnswers, showPatient } from "./patient_card.js";
import { Peer } from "./peer.js";
import { Pictures } from "./pictures.js";
import { Record } from "./record.js";
import { Recordings } from "./recordings.js";
import { Sounds } from "./sounds.js";
import { Summary } from "./summary.js";
import { ThirdSeat } from "./third_seat.js";
import { Vitals } from "./vitals.js";
import { clock, word } from "./words.js";
import { Workbench } from "./workbench.js";

const STATS_MS = 2000;
const NOTICE_BYTES_MAX = 500;
/// The desk's own word of the end is awaited so long.
const DESK_ANSWER_MAX_MS = 5000;

export class Consultation {
  #socket; #taken; #done; #draft;
  #stream = new MediaStream();
  #media; #peer; #record; #documents; #summary; #curve; #ecg; #instrument; #recordings; #pictures; #sounds; #line; #lips = new Lips(); #workbench; #seat;
  #heard = new Set();
  #dialled = false; #connected = false; #startedAt = 0; #timer = 0; #closed = false;
  // The desk was asked to give the patient back; and the cabin was, by that name.
  #givesBack = false; #givingBack = null;
  // The desk restarted and knows neither this physician nor the call.
  deskForgot = false;
  /// The physician's wish to end, until the cabin has acknowledged it; then what the desk is told.
  #ending = null; #over = null;

  /// `taken` is the desk's message; `done(why)` is called when the page goes back to the waiting room.
  constructor(socket, taken, done) {
    [this.#socket, this.#taken, this.#done] = [socket, taken, done];
    const { cabin, waiting } = taken;
    clear();
    $("top-title").textContent = word("reason", waiting.reason);
    $("top-detail").textContent = `${cabin.site.name}, ${cabin.site.town} · ${word("site", cabin.site.kind)}`;
    this.#draft = new Draft(taken.ticket);
    this.#peer = new Peer((message) => this.#socket.send(message), taken.ticket);
    this.#record = new Record(this.#peer, taken.consultation);
    this.#documents = new Documents(this.#peer, this.#record, this.#draft);
    this.#summary = new Summary(this.#record, this.#draft);
    this.#curve = new Curve($("curve"), $("curve-title"), $("curve-state"));
    this.#workbench = new Workbench({
      m: ["Couper ou rendre mon micro", () => $("mute").click()],
      c: ["Couper ou rendre ma caméra", () => $("cover").click()],
      e: ["Écrire au patient", () => $("write-text").focus()],
      n: ["Écrire la conclusion", () => { this.#workbench.widen(false); $("summary").focus(); }],
      p: ["Aller à l’échange avec le patient", () => $("mute").focus()],
      i: ["Inviter un tiers, ou voir l’invité", () => $("guest").click()],
    });
    this.#instrument = new Instrument($, this.#workbench);
    this.#recordings = new Recordings(this.#peer, this.#record);
    this.#ecg = new Ecg($, this.#recordings);
    this.#pictures = new Pictures(this.#recordings);
    this.#sounds = new Sounds(this.#recordings);
    this.#recordings.addEventListener("changed", () => {
      this.#workbench.count("ecg", this.#ecg.count);
      this.#workbench.count("pictures", this.#pictures.count);
      this.#workbench.count("sounds", this.#sounds.count);
    });
    this.#line = new Line(this.#record, this.#workbench);
    new Vitals(this.#record, this.#workbench, cabin.state?.devices);
    this.#seat = new ThirdSeat({
      send: (message) => this.#socket.send(message), ticket: taken.ticket, record: this.#record, cabin: this.#peer,
      returned: taken.accepted,
      wrote: (who, text, said) => {
        const line = this.#written(who, text);
        this.#record.hand({ type: "notice", id: newId(), text: said }).then((shown) => { if (shown) line.append(" ✓"); });
      },
    });
    this.#seat.servers(taken.ice_servers);
    this.#hear();
    this.#wire();
    this.#media = openMedia().then(({ stream, missing }) => {
      if (this.#closed) { stream.getTracks().forEach((track) => track.stop()); return; }
      this.#stream = stream;
      $("self-video").srcObject = stream;
      if (missing) notice(`Il manque ${missing}. Vérifiez l’autorisation du navigateur ou le branchement ; l’échange peut continuer.`, 0);
    });
    if (taken.accepted) this.#dial(); else this.#veil("Le patient lit votre nom, votre spécialité et le tarif. Il accepte, ou attend un autre médecin.");
  }

  get ticket() { return this.#taken.ticket; }

  get id() { return this.#taken.consultation; }

  /// Picture and sound flow, whatever the desk knows of it.
  get isConnected() { return this.#connected; }

  read(message) {
    if (message.ticket && message.ticket !== this.ticket) { this.#seat.read(message); return; }
    switch (message.type) {
      case "guest_invited": case "guest": case "guest_left": this.#seat.read(message); break;
      // Said again by a cabin that came back: it then asks for a fresh connection by itself.
      case "patient_accepted": this.#dial(); break;
      case "sdp": this.#peer.answer(message.sdp); break;
      case "candidate": this.#peer.candidate(message); break;
      // Where the cabin's side is new, nothing of the former connection can be used again.
      case "restart_ice":
        if (!this.#dialled) break;
        if (message.same_connection) this.#peer.restartIce(); else this.#peer.dial();
        break;
      case "cabin_gone": notice("La cabine a perdu sa liaison avec le bureau. Elle est attendue ; ce que vous écrivez est gardé.", message.grace_ms / 1000); break;
      case "cabin_back": notice("La cabine est de retour.", 5); break;
      case "help_requested": notice("Le patient appelle le pharmacien."); break;
      case "help_acknowledged": notice("Le pharmacien arrive auprès du patient."); break;
      case "call_ended": this.close(word("cause", message.cause)); break;
      case "error":
        if (message.code !== "unknown_call") break;
        if (this.#connected && this.#givesBack) this.#giveBackDirectly();
        else if (!this.#connected) this.close("Le bureau ne connaît plus cet appel.");
        break;
    }
  }

  /// The page's line to the desk is back: the desk said `taken` again.
  resume(taken) {
    this.#taken = taken;
    this.#peer.iceServers = taken.ice_servers;
    this.#seat.servers(taken.ice_servers);
    if (this.#over) this.#tellDesk();
    else if (taken.accepted) this.#dial();
  }

  close(why) {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#seat.close();
    this.#peer.close();
    this.#curve.stop();
    this.#ecg.stop();
    this.#instrument.stop();
    this.#recordings.stop();
    this.#pictures.stop();
    this.#sounds.stop();
    this.#workbench.stop();
    this.#draft.forget();
    this.#stream.getTracks().forEach((track) => track.stop());
    $("finish-dialog").close();
    clear();
    this.#done(why);
  }

  async #dial() {
    if (this.#dialled) return;
    this.#dialled = true;
    this.#veil("Connexion à la cabine…");
    await this.#media;
    if (this.#closed) return;
    this.#timer = setInterval(() => this.#stats(), STATS_MS);
    this.#seat.own(this.#stream);
    this.#peer.iceServers = this.#taken.ice_servers;
    await this.#peer.dial();
  }

  #veil(text) { $("video-state").textContent = text; }

  #hear() {
    const video = $("remote-video");
    this.#peer.addEventListener("track", ({ detail }) => {
      const { track, streams } = detail;
      if (streams[0]?.id === "instrument") { this.#instrument.track(detail); return; }
      const stream = video.srcObject ?? new MediaStream();
      stream.getTracks().filter((old) => old.kind === track.kind).forEach((old) => stream.removeTrack(old));
      stream.addTrack(track);
      this.#seat.patient(track);
      this.#lips.take(detail.receiver);
      video.srcObject = stream;
      video.play().catch((error) => {
        // A picture replaced while it starts is no refusal of the browser.
        if (error.name === "NotAllowedError") notice("Le navigateur retient le son. Cliquez sur l’image pour entendre la cabine.", 0);
      });
    });
    video.onclick = () => { video.play().catch(() => {}); notice(""); };
    this.#peer.addEventListener("state", ({ detail }) => {
      this.#connected = detail === "connected";
      if (this.#connected) {
        this.#startedAt ||= Date.now();
        this.#veil("");
      } else if (this.#startedAt && detail !== "closed") {
        this.#veil("La liaison avec la cabine est coupée. Elle reprend toute seule.");
      }
    });
    this.#peer.addEventListener("ecg", ({ detail }) => this.#ecg.block(detail));
    this.#peer.addEventListener("live", ({ detail }) => this.#curve.frame(detail));
    this.#record.addEventListener("patient", ({ detail }) => showPatient(detail, this.#taken.cabin.site));
    this.#record.addEventListener("answers", ({ detail }) => showAnswers(detail));
    this.#record.addEventListener("error", ({ detail }) => {
      notice(`La cabine refuse un message : ${detail.reason}`);
      // Not said again by itself: the physician goes on, or asks anew.
      if (this.#givingBack) this.#record.withdraw(this.#givingBack);
    });
    this.#record.addEventListener("notice", ({ detail }) => {
      // Said again after a cut: the same name is the same line.
      if (!this.#heard.has(detail.id)) {
        this.#heard.add(detail.id);
        this.#written(detail.by_patient ? "Patient" : "Cabine", detail.text);
        this.#seat.line(detail.by_patient ? "patient" : "cabin", detail.text, detail.id);
        if (detail.by_patient) notice(`Le patient écrit : ${detail.text}`);
      }
      this.#record.say({ type: "ack", id: detail.id });
    });
  }

  #wire() {
    const toggle = (button, kind, on, off) => {
      $(button).setAttribute("aria-pressed", "false");
      $(button).textContent = off;
      $(button).onclick = () => {
        const pressed = $(button).getAttribute("aria-pressed") !== "true";
        this.#stream.getTracks().filter((track) => track.kind === kind).forEach((track) => { track.enabled = !pressed; });
        $(button).setAttribute("aria-pressed", String(pressed));
        $(button).textContent = pressed ? on : off;
      };
    };
    toggle("mute", "audio", "Remettre mon micro", "Couper mon micro");
    toggle("cover", "video", "Remettre ma caméra", "Couper ma caméra");
    $("ask-help").onclick = () => {
      const said = this.#socket.send({ type: "help_requested", consultation: this.#taken.consultation });
      notice(said ? "Le pharmacien est appelé." : "La liaison avec le bureau est coupée : réessayez dans un instant.");
    };
    $("write-form").onsubmit = (event) => {
      event.preventDefault();
      const text = $("write-text").value.trim();
      if (!text) return;
      if (bytesOf(text) > NOTICE_BYTES_MAX) { notice("Ce message est trop long : envoyez-le en deux fois."); return; }
      $("write-text").value = "";
      const line = this.#written("Vous", text);
      this.#seat.line("physician", text);
      this.#record.hand({ type: "notice", id: newId(), text }).then((taken) => { if (taken) line.append(" ✓"); });
    };
    $("write-clear").onclick = () => {
      const line = this.#written("Vous", "(effacé de son écran)");
      this.#seat.line("physician", "");
      this.#record.hand({ type: "notice", id: newId(), text: "" }).then((taken) => { if (taken) line.append(" ✓"); });
    };
    $("give-back").onclick = () => {
      if (this.deskForgot) { this.#giveBackDirectly(); return; }
      this.#givesBack = this.#socket.send({ type: "end", ticket: this.ticket, cause: "given_back" });
      if (!this.#givesBack) notice("La liaison avec le bureau est coupée : réessayez dans un instant.");
    };
    $("finish").onclick = () => {
      $("finish-state").textContent = !this.#dialled ? "Le patient n’a pas encore accepté. Vous pouvez le rendre à la salle d’attente."
        : this.#summary.isChanged ? "La conclusion n’est pas encore remise : elle le sera maintenant."
        : !this.#documents.isSettled ? "Un document n’est pas encore arrivé dans la cabine : il est attendu avant la fin." : "";
      $("finish-yes").disabled = !this.#dialled;
      $("finish-dialog").showModal();
    };
    $("finish-no").onclick = () => $("finish-dialog").close();
    $("finish-dialog").onclose = () => this.#cancelFinish();
    $("finish-yes").onclick = () => this.#finish();
  }

  /// Summary, documents, end: each is durable in the cabin before the desk hears that it is over.
  async #finish() {
    const ending = { id: newId() };
    this.#ending = ending;
    const outcome = $("finish-outcome").value;
    $("finish-yes").disabled = true;
    $("finish-state").textContent = "La cabine confirme ce qui est remis…";
    const saved = !this.#summary.isChanged || await this.#summary.save();
    if (this.#ending !== ending) return;
    if (!saved) {
      $("finish-state").textContent = "La cabine n’a pas pris la conclusion. Continuez l’échange, puis remettez-la.";
      return;
    }
    await this.#documents.settled();
    if (this.#ending !== ending) return;
    const taken = await this.#record.hand({ type: "end", id: ending.id, outcome, with_video: $("finish-video").checked });
    if (!taken || this.#closed) return;
    this.#over = outcome === "emergency" ? "emergency" : "completed";
    this.#tellDesk();
    // A desk that is away does not hold the physician back: the cabin has everything.
    setTimeout(() => this.close(word("cause", this.#over)), DESK_ANSWER_MAX_MS);
  }

  /// The desk restarted and knows the call no more: the cabin itself is told.
  async #giveBackDirectly() {
    this.#givesBack = false;
    if (!this.#connected) { this.close("Le bureau ne connaît plus cet appel."); return; }
    if (this.#givingBack) return;
    this.#givingBack = newId();
    const taken = await this.#record.hand({ type: "given_back", id: this.#givingBack });
    this.#givingBack = null;
    if (taken) this.close(word("cause", "given_back"));
  }

  #cancelFinish() {
    if (this.#ending && !this.#over) this.#record.withdraw(this.#ending.id);
    this.#ending = null;
  }

  /// Lost with the line, it is said again when the line is back (`resume`).
  #tellDesk() { this.#socket.send({ type: "end", ticket: this.ticket, cause: this.#over }); }

  #written(who, text) {
    const line = node("li", { textContent: `${clock(Date.now())} ${who} : ${text}` });
    $("written").append(line);
    $("written").scrollTop = $("written").scrollHeight;
    return line;
  }

  async #stats() {
    const seconds = this.#startedAt ? Math.floor((Date.now() - this.#startedAt) / 1000) : 0;
    $("call-clock").hidden = !this.#startedAt;
    $("call-clock").textContent = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")} en appel`;
    const reports = await this.#peer.stats();
    if (this.#closed) return;
    this.#lips.read(reports);
    const rate = Math.round(this.#line.read(reports));
    const share = this.#line.lost;
    const quality = !this.#connected ? "coupée" : share < 2 ? "bonne" : share < 6 ? "moyenne" : "mauvaise";
    $("call-line").hidden = false;
    $("call-line").textContent = this.#connected ? `ligne ${quality} · ${rate} kbit/s` : "ligne coupée";
    $("call-line").title = `Perte de paquets : ${share.toFixed(1).replace(".", ",")} %`;
    $("call-line").classList.toggle("bad", quality !== "bonne");
  }
}

/// Nothing of one patient is left in the page for the next.
function clear() {
  for (const id of ["identity", "answers", "signs", "orders", "documents", "written", "vitals", "requests", "pictures", "sounds", "incidents", "line-figures", "history-rows", "before-list"]) $(id).replaceChildren();
  for (const id of ["summary", "next-text", "order-text", "write-text"]) $(id).value = "";
  for (const id of ["video-state", "request-state", "save-state", "finish-state", "call-line", "call-clock", "picture-state", "sound-state", "sign-alert"]) $(id).textContent = "";
  $("next").value = "none";
  $("finish-outcome").value = "completed";
  $("finish-video").checked = true;
  $("vitals-empty").hidden = false;
  $("ecg").getContext("2d").reset();
  for (const id of ["call-clock", "call-line", "signs-title", "sign-alert", "ecg-panel", "before"]) $(id).hidden = true;
  $("remote-video").srcObject = $("self-video").srcObject = null;
  notice("");
}
