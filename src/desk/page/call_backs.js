// Who could see no physician and asked to be called back: the list, and the dossier of the one that is being rung.

import { $, node } from "./dom.js";
import { readDossier, showDossier } from "./dossier.js";
import { clock, day } from "./words.js";


export class CallBacks {
  #say; #rpps = "";
  #lines = [];
  /// The consultation in the dialog.
  #open = null;

  /// `say(message)` reaches the desk; `askAbout(consultation)` asks for a second opinion.
  constructor(say, askAbout) {
    this.#say = say;
    $("call-back-opinion").onclick = () => askAbout(this.#open);
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
    const resources = await readDossier(consultation);
    if (this.#open !== consultation) return;
    $("call-back-state").textContent = resources ? "" : "Le dossier ne peut pas être lu maintenant. Fermez, puis rouvrez-le.";
    if (resources) this.#fill(resources);
  }

  #clear() {
    for (const id of ["call-back-who", "call-back-why", "call-back-measured"]) $(id).replaceChildren();
    $("call-back-number").textContent = "";
    $("call-back-number").removeAttribute("href");
    $("call-back-state").textContent = "";
  }

  #fill(resources) {
    // A request for a second opinion about the same patient is a Task too.
    const inputs = resources.filter(({ resourceType }) => resourceType === "Task").flatMap(({ input }) => input ?? []);
    const number = inputs.map(({ valueContactPoint }) => valueContactPoint?.value).find(Boolean) ?? "";
    $("call-back-number").textContent = number;
    $("call-back-number").href = `tel:${number}`;
    showDossier(resources, { who: $("call-back-who"), why: $("call-back-why"), measured: $("call-back-measured") });
  }
}
