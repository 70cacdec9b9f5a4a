// What the physician concludes: the summary, the orders, who should see the patient next. Handed over as one item, with
// a revision number; the next revision waits until the cabin acknowledged the one before.

import { $, bytesOf, newId, node } from "./dom.js";
import { clock, day } from "./words.js";

const TEXT_BYTES_MAX = 16384;
const ORDER_BYTES_MAX = 1000;
const ORDERS_MAX = 40;
const NEXT_BYTES_MAX = 512;

export class Summary {
  #record; #draft;
  #before = new Map();
  #orders; #id; #revision; #handed;
  #saving = Promise.resolve(true);
  #pending = false;

  constructor(record, draft) {
    [this.#record, this.#draft] = [record, draft];
    this.#id = draft.read("summary_id", newId());
    this.#revision = draft.read("revision", 0);
    this.#handed = draft.read("handed", "");
    const [text, orders, next, nextText] = JSON.parse(draft.read("written", '["",[],"none",""]'));
    this.#orders = orders;
    $("summary").value = text;
    $("next").value = next;
    $("next-text").value = nextText;
    $("order-text").value = "";
    this.#drawOrders();
    this.#say(this.#handed && !this.isChanged ? "Remis au patient, gardé dans la cabine ✓" : this.#resting());
    for (const id of ["summary", "next", "next-text"]) $(id).oninput = () => this.#changed();
    $("order-form").onsubmit = (event) => { event.preventDefault(); this.#add(); };
    $("save").onclick = () => this.save();
    $("before").hidden = true;
    record.addEventListener("handed_before", ({ detail }) => {
      // Said again after each reconnection.
      this.#before.set(detail.at, detail);
      this.#drawBefore();
      if (!this.#pending) this.#say(this.#resting());
    });
    record.addEventListener("error", ({ detail }) => {
      if (!this.#pending) return;
      record.withdraw(this.#id);
      this.#say(`La cabine n’a pas pris la conclusion : ${detail.reason}`);
    });
  }

  /// True when something is written that the cabin does not have.
  get isChanged() {
    const now = this.#written();
    return now !== this.#handed && (this.#handed !== "" || now !== '["",[],"none",""]');
  }

  /// Resolves with true when the cabin has what is written now.
  save() {
    this.#saving = this.#saving.then(() => this.#hand());
    return this.#saving;
  }

  async #hand() {
    const now = this.#written();
    if (now === this.#handed) return true;
    const text = $("summary").value.trim(), nextText = $("next-text").value.trim();
    if (bytesOf(text) > TEXT_BYTES_MAX) { this.#say("La conclusion est trop longue : raccourcissez-la."); return false; }
    if (bytesOf(nextText) > NEXT_BYTES_MAX) { this.#say("La précision sur la suite est trop longue : raccourcissez-la."); return false; }
    this.#revision += 1;
    this.#draft.write({ summary_id: this.#id, revision: this.#revision, written: now });
    this.#say(this.#record.isOpen ? "Remise en cours…" : "Elle sera remise dès que la cabine est en ligne.");
    this.#pending = true;
    const taken = await this.#record.hand({
      type: "summary", id: this.#id, revision: this.#revision, text, orders: this.#orders, next: $("next").value, next_text: nextText,
    });
    this.#pending = false;
    if (!taken) return false;
    this.#handed = now;
    this.#draft.write({ handed: now });
    this.#say(this.isChanged ? this.#resting() : `Remis au patient à ${clock(Date.now())}, gardé dans la cabine ✓`);
    return true;
  }

  #add() {
    const text = $("order-text").value.trim();
    if (!text) return;
    if (bytesOf(text) > ORDER_BYTES_MAX || this.#orders.length >= ORDERS_MAX) { this.#say(`Cette ligne est trop longue, ou il y en a déjà ${ORDERS_MAX}.`); return; }
    $("order-text").value = "";
    this.#orders = [...this.#orders, { kind: $("order-kind").value, text }];
    this.#drawOrders();
    this.#changed();
  }

  #drawOrders() {
    const kinds = Object.fromEntries([...$("order-kind").options].map((option) => [option.value, option.textContent]));
    $("orders").replaceChildren(...this.#orders.map((order) => {
      const remove = node("button", { type: "button", textContent: "Retirer", ariaLabel: `Retirer ${order.text}` });
      remove.onclick = () => {
        this.#orders = this.#orders.filter((other) => other !== order);
        this.#drawOrders();
        this.#changed();
        $("order-text").focus();
      };
      return node("li", {}, node("span", { className: "grow" }, node("span", { className: "kind", textContent: kinds[order.kind] }), order.text), remove);
    }));
  }

  /// What calls before this one left: it stays whatever is handed over now.
  #drawBefore() {
    const named = (list, value) => [...$(list).options].find((option) => option.value === value)?.textContent ?? value;
    $("before").hidden = false;
    $("before-list").replaceChildren(...[...this.#before.values()].map((before) => node("li", {},
      node("p", { className: "quiet", textContent: `${before.by}, ${day(before.at)} à ${clock(before.at)}` }),
      node("p", { className: "written", textContent: before.text }),
      ...before.orders.map((order) => node("p", {}, node("span", { className: "kind", textContent: named("order-kind", order.kind) }), order.text)),
      ...(before.documents ?? []).map((kind) => node("p", {}, node("span", { className: "kind", textContent: "Document" }), named("document-kind", kind))),
      ...(before.next === "none" && !before.next_text ? [] : [node("p", { textContent: `Ensuite : ${[named("next", before.next), before.next_text].filter(Boolean).join(", ")}` })]),
    )));
  }

  #changed() {
    this.#draft.write({ written: this.#written() });
    if (!this.#pending) this.#say(this.#resting());
  }

  #resting() {
    if (!this.isChanged) return this.#handed ? "Remis au patient, gardé dans la cabine ✓" : this.#before.size ? "Rien de plus n’est encore remis." : "Rien n’est encore remis.";
    return this.#handed ? "Modifié depuis la dernière remise." : "Pas encore remis.";
  }

  #written() { return JSON.stringify([$("summary").value.trim(), this.#orders, $("next").value, $("next-text").value.trim()]); }

  #say(text) { $("save-state").textContent = text; }
}
