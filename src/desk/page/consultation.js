// One consultation, from the moment the physician took it to its end.

import { Curve } from "./curve.js";
import { Documents } from "./documents.js";
import { $, newId, node, notice, pairs } from "./dom.js";
import { openMedia } from "./media.js";
import { Peer } from "./peer.js";
import { Record } from "./record.js";
import { Vitals } from "./vitals.js";
import { clock, word } from "./words.js";

const STATS_MS = 2000;

export class Consultation {
  #socket; #taken; #done;
  #stream = new MediaStream();
  #peer = null; #record = null; #documents = null; #curve = null;
  #orders = []; #summaryId = newId(); #revision = 0; #handed = "";
  #startedAt = 0; #timer = 0; #bytes = 0; #closed = false;

  /// `taken` is the desk's message; `done()` is called when the page goes back to the waiting room.
  constructor(socket, taken, done) {
    [this.#socket, this.#taken, this.#done] = [socket, taken, done];
    const { cabin, waiting } = taken;
    $("top-title").textContent = word("reason", waiting.reason);
    $("top-detail").textContent = `${cabin.site.name}, ${cabin.site.town} · ${word("site", cabin.site.kind)}`;
    for (const id of ["identity", "answers", "orders", "documents", "written"]) $(id).replaceChildren();
    for (const id of ["summary", "next-text", "order-text", "write-text"]) $(id).value = "";
    $("next").value = "none";
    $("save-state").textContent = "Rien n’est encore remis.";
    $("video-state").textContent = "Le patient lit votre nom, votre spécialité et le tarif, puis il accepte ou non.";
    this.#wire();
    this.#media = openMedia().then(({ stream, missing }) => {
      this.#stream = stream;
      $("self-video").srcObject = stream;
      if (missing) notice(`Il manque ${missing}. Vérifiez l’autorisation du navigateur ou le branchement ; l’échange peut continuer.`, 0);
    });
    if (taken.accepted) this.#dial();
  }

  #media;

  get ticket() { return this.#taken.ticket; }

  async read(message) {
    if (message.ticket && message.ticket !== this.ticket) return;
    switch (message.type) {
      case "patient_accepted": this.#dial(); break;
      case "sdp": this.#peer?.answer(message.sdp); break;
      case "candidate": this.#peer?.candidate(message); break;
      case "restart_ice": this.#peer?.restartIce(); break;
      case "cabin_gone": notice("La cabine a perdu sa liaison. Elle est attendue ; rien de ce qui est remis n’est perdu.", message.grace_ms / 1000); break;
      case "cabin_back": notice("La cabine est de retour."); break;
      case "help_requested": notice("Le patient appelle le pharmacien."); break;
      case "help_acknowledged": notice("Le pharmacien arrive auprès du patient."); break;
      case "call_ended": this.close(word("cause", message.cause)); break;
    }
  }

  /// The page's line to the desk is back: the desk said `taken` again.
  resume(taken) {
    this.#taken = taken;
    if (taken.accepted && !this.#peer) this.#dial();
  }

  close(why) {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#peer?.close();
    this.#curve?.stop();
    this.#stream.getTracks().forEach((track) => track.stop());
    $("remote-video").srcObject = $("self-video").srcObject = null;
    $("call-clock").hidden = true;
    $("line-state").textContent = "";
    $("finish-dialog").close();
    this.#done(why);
  }

  async #dial() {
    if (this.#peer) return;
    $("video-state").textContent = "Connexion à la cabine…";
    await this.#media;
    if (this.#closed || this.#peer) return;
    const peer = new Peer({ send: (message) => this.#socket.send(message), ticket: this.ticket, iceServers: this.#taken.ice_servers, stream: this.#stream });
    this.#peer = peer;
    const video = $("remote-video");
    peer.addEventListener("track", ({ detail: { track, streams } }) => {
      const stream = video.srcObject ?? new MediaStream();
      stream.getTracks().filter((old) => old.kind === track.kind).forEach((old) => stream.removeTrack(old));
      stream.addTrack(track);
      video.srcObject = stream;
      video.play().catch(() => notice("Touchez l’image pour entendre la cabine.", 0));
      if (streams.length > 1) return;
    });
    peer.addEventListener("state", ({ detail }) => {
      if (detail === "connected") {
        this.#startedAt ||= Date.now();
        $("video-state").textContent = "";
      } else if (detail !== "closed") {
        $("video-state").textContent = "La liaison avec la cabine est coupée. Elle reprend toute seule.";
      }
    });
    this.#record = new Record(peer, this.#taken.consultation);
    this.#documents = new Documents(peer, this.#record);
    this.#curve = new Curve($("curve"), $("curve-title"), $("curve-state"));
    new Vitals(this.#record);
    peer.addEventListener("live", ({ detail }) => this.#curve.frame(detail));
    this.#record.addEventListener("patient", ({ detail }) => this.#patient(detail));
    this.#record.addEventListener("answers", ({ detail }) => this.#answers(detail));
    this.#record.addEventListener("error", ({ detail }) => notice(`La cabine refuse un message : ${detail.reason}`));
    this.#record.addEventListener("notice", ({ detail }) => {
      this.#written("Cabine", detail.text);
      this.#record.say({ type: "ack", id: detail.id });
    });
    this.#timer = setInterval(() => this.#stats(), STATS_MS);
    await peer.dial();
  }

  #patient(patient) {
    $("top-title").textContent = `${patient.first_names} ${patient.birth_name}, ${patient.age_years} ans`;
    $("top-detail").textContent = `${this.#taken.cabin.site.name}, ${this.#taken.cabin.site.town} · ${word("status", patient.status)}`;
    pairs($("identity"), [
      ["Nom de naissance", patient.birth_name], ["Prénoms", patient.first_names], ["Sexe", word("sex", patient.sex)],
      ["Né(e) le", patient.birth_date.split("-").reverse().join("/")], ["À", patient.birth_place],
      ["Identité", word("status", patient.status)], patient.matricule && ["Matricule INS", patient.matricule],
    ]);
  }

  #answers(answers) {
    pairs($("answers"), [
      ["Motif", [word("reason", answers.reason), answers.body_part && word("body", answers.body_part)].filter(Boolean).join(" · ")],
      answers.free_line && ["En ses mots", answers.free_line],
      ["Médecin traitant", answers.usual_doctor || "non indiqué"], ["Commune", answers.town],
      ["Lieu", word("site", answers.site_kind)],
      ["Accords", answers.consents.map((consent) => `${word("purpose", consent.purpose)} ${consent.given ? "oui" : "non"}`).join(" · ")],
      ...answers.warning_signs.map((sign) => [sign.question, sign.present ? "oui" : "non", sign.present ? "yes" : ""]),
    ]);
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
    toggle("mute", "audio", "Micro coupé", "Couper mon micro");
    toggle("cover", "video", "Caméra coupée", "Couper ma caméra");
    $("ask-help").onclick = () => this.#socket.send({ type: "help_requested", consultation: this.#taken.consultation });
    $("write-form").onsubmit = (event) => {
      event.preventDefault();
      const text = $("write-text").value.trim();
      if (!text || !this.#record) return;
      $("write-text").value = "";
      const line = this.#written("Vous", text);
      this.#record.hand({ type: "notice", id: newId(), text }).then(() => line.append(" ✓"));
    };
    $("order-form").onsubmit = (event) => {
      event.preventDefault();
      const text = $("order-text").value.trim();
      if (!text || this.#orders.length >= 64) return;
      $("order-text").value = "";
      this.#orders.push({ kind: $("order-kind").value, text });
      this.#drawOrders();
    };
    $("document-file").onchange = (event) => { this.#add(event.target.files); event.target.value = ""; };
    const drop = $("drop");
    drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
    drop.ondragleave = () => drop.classList.remove("over");
    drop.ondrop = (event) => { event.preventDefault(); drop.classList.remove("over"); this.#add(event.dataTransfer.files); };
    $("save").onclick = () => this.#save();
    $("finish").onclick = () => {
      const unsaved = this.#summary() !== this.#handed && (this.#handed || $("summary").value.trim());
      $("finish-warning").textContent = !this.#record ? "Le patient n’est pas encore en ligne."
        : unsaved ? "La conclusion a changé depuis la dernière remise : elle sera remise maintenant."
        : !this.#documents.settled ? "Un document n’est pas encore arrivé dans la cabine." : "";
      $("finish-dialog").showModal();
    };
    $("finish-no").onclick = () => $("finish-dialog").close();
    $("finish-yes").onclick = () => this.#finish();
    $("give-back").onclick = () => this.#socket.send({ type: "end", ticket: this.ticket, cause: "given_back" });
  }

  #add(files) {
    if (!this.#documents) { notice("Le patient n’est pas encore en ligne : déposez le document dans un instant."); return; }
    for (const file of files) this.#documents.add(file, $("document-kind").value);
  }

  #drawOrders() {
    $("orders").replaceChildren(...this.#orders.map((order, index) => {
      const remove = node("button", { textContent: "Retirer", ariaLabel: `Retirer ${order.text}` });
      remove.onclick = () => { this.#orders.splice(index, 1); this.#drawOrders(); };
      return node("li", {}, node("span", { className: "grow", textContent: order.text }), remove);
    }));
  }

  #summary() {
    return JSON.stringify([$("summary").value.trim(), this.#orders, $("next").value, $("next-text").value.trim()]);
  }

  async #save() {
    if (!this.#record) { notice("Le patient n’est pas encore en ligne : remettez la conclusion dans un instant."); return; }
    const now = this.#summary();
    $("save-state").textContent = "Remise en cours…";
    this.#revision += 1;
    // One item, said again at each revision: an older one is never acknowledged in place of a newer.
    this.#summaryId = newId();
    await this.#record.hand({
      type: "summary", id: this.#summaryId, revision: this.#revision, text: $("summary").value.trim(),
      orders: this.#orders, next: $("next").value, next_text: $("next-text").value.trim(),
    });
    this.#handed = now;
    $("save-state").textContent = `Remis au patient à ${clock(Date.now())}, gardé dans la cabine ✓`;
  }

  async #finish() {
    if (!this.#record) return;
    $("finish-yes").disabled = true;
    try {
      if (this.#summary() !== this.#handed) await this.#save();
      await this.#record.hand({ type: "end", id: newId(), outcome: $("finish-outcome").value, with_video: $("finish-video").checked });
      this.#socket.send({ type: "end", ticket: this.ticket, cause: $("finish-outcome").value === "emergency" ? "emergency" : "completed" });
    } finally {
      $("finish-yes").disabled = false;
    }
  }

  #written(who, text) {
    const line = node("li", { textContent: `${clock(Date.now())} ${who} : ${text}` });
    $("written").append(line);
    line.scrollIntoView({ block: "nearest" });
    return line;
  }

  async #stats() {
    const seconds = this.#startedAt ? Math.floor((Date.now() - this.#startedAt) / 1000) : 0;
    $("call-clock").hidden = !this.#startedAt;
    $("call-clock").textContent = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")} en appel`;
    const quality = $("remote-video").getVideoPlaybackQuality();
    $("remote-video").dataset.frames = String(quality.totalVideoFrames);
    let loss = 0, received = 0, bytes = 0;
    (await this.#peer.stats()).forEach((report) => {
      if (report.type !== "inbound-rtp") return;
      loss += report.packetsLost ?? 0;
      received += report.packetsReceived ?? 0;
      bytes += report.bytesReceived ?? 0;
    });
    const rate = Math.round(((bytes - this.#bytes) * 8) / STATS_MS);
    this.#bytes = bytes;
    if (!received || this.#closed) return;
    const share = (100 * Math.max(loss, 0)) / (received + Math.max(loss, 0));
    $("line-state").textContent = `ligne ${share < 2 ? "bonne" : share < 6 ? "moyenne" : "mauvaise"} · ${rate} kbit/s · perte ${share.toFixed(1).replace(".", ",")} %`;
    $("line-state").classList.toggle("bad", share >= 2);
  }
}
