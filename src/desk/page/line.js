// How the line to the cabin is, in figures: what this browser measures and what the cabin says; and the incidents of the
// consultation, which the cabin puts into the record.

import { $, node } from "./dom.js";
import { word } from "./words.js";

const figure = (value, unit, digits = 0) => (value === null || value === undefined || Number.isNaN(value) ? "—" : `${value.toFixed(digits).replace(".", ",")} ${unit}`);
const time = (at) => new Date(at).toLocaleTimeString("fr-FR");

export class Line {
  #workbench;
  #cabin = null; #former = null;
  /// The newest share of what was lost on the way here.
  lost = 0;

  constructor(record, workbench) {
    this.#workbench = workbench;
    $("line-figures").replaceChildren();
    this.#incidents([], 0);
    record.addEventListener("link", ({ detail }) => { this.#cabin = detail; });
    record.addEventListener("incidents", ({ detail }) => this.#incidents(detail.incidents, Date.now() - detail.at));
  }

  /// Takes the browser's reports of the connection (`getStats`) and draws; gives what comes in, kbit/s.
  read(reports) {
    const now = { at: performance.now(), kinds: {}, roundTrip: null, remote: {} };
    for (const report of reports.values()) {
      if (report.type === "inbound-rtp") now.kinds[`in ${report.kind}`] = { bytes: report.bytesReceived ?? 0, packets: report.packetsReceived ?? 0, lost: Math.max(report.packetsLost ?? 0, 0), jitter: report.jitter, frames: report.framesPerSecond, height: report.frameHeight, frozen: report.totalFreezesDuration };
      if (report.type === "outbound-rtp") now.kinds[`out ${report.kind}`] = { bytes: report.bytesSent ?? 0, packets: report.packetsSent ?? 0 };
      if (report.type === "remote-inbound-rtp") now.remote[report.kind] = { lost: report.fractionLost, jitter: report.jitter };
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime !== undefined) now.roundTrip = report.currentRoundTripTime * 1000;
    }
    const former = this.#former;
    this.#former = now;
    if (!former) return 0;
    const seconds = (now.at - former.at) / 1000;
    // A fresh connection counts from zero again.
    const rate = (kind) => (now.kinds[kind] ? (Math.max(now.kinds[kind].bytes - (former.kinds[kind]?.bytes ?? 0), 0) * 8) / 1000 / seconds : null);
    const share = (kind) => {
      const [one, two] = [former.kinds[kind], now.kinds[kind]];
      if (!one || !two) return null;
      const [lost, packets] = [Math.max(two.lost - one.lost, 0), Math.max(two.packets - one.packets, 0)];
      return lost + packets ? (100 * lost) / (lost + packets) : 0;
    };
    const [voice, picture] = [now.kinds["in audio"], now.kinds["in video"]];
    this.lost = Math.max(share("in audio") ?? 0, share("in video") ?? 0);
    const percent = (value) => figure(value, "%", 1);
    const remote = (kind, of, scale) => { const value = now.remote[kind]?.[of]; return value === undefined ? null : value * scale; };
    this.#rows([
      ["Aller et retour", figure(now.roundTrip, "ms"), figure(this.#cabin?.round_trip_ms, "ms")],
      ["Voix, débit", figure(rate("in audio"), "kbit/s"), figure(rate("out audio"), "kbit/s")],
      ["Voix, pertes", percent(share("in audio")), percent(remote("audio", "lost", 100))],
      ["Voix, gigue", figure(voice?.jitter === undefined ? null : voice.jitter * 1000, "ms"), figure(remote("audio", "jitter", 1000), "ms")],
      ["Image, débit", figure(rate("in video"), "kbit/s"), figure(rate("out video"), "kbit/s")],
      ["Image, pertes", percent(share("in video")), percent(remote("video", "lost", 100))],
      ["Image, taille", picture?.height ? `${picture.height} lignes · ${Math.round(picture.frames ?? 0)} /s` : "—", ""],
      ["Vu de la cabine", this.#cabin ? `${Math.round(this.#cabin.sent_bits / 1000)} kbit/s envoyés (image : ${Math.round(this.#cabin.picture_bits / 1000)} permis), ${percent(this.#cabin.lost_thousandths / 10)} perdus` : "—", this.#cabin ? `${Math.round(this.#cabin.received_bits / 1000)} kbit/s reçus` : "—"],
    ]);
    return (rate("in audio") ?? 0) + (rate("in video") ?? 0);
  }

  #rows(rows) {
    const body = $("line-figures");
    if (body.children.length !== rows.length) body.replaceChildren(...rows.map(([name]) => node("tr", {}, node("th", { scope: "row", textContent: name }), node("td"), node("td"))));
    rows.forEach(([, here, there], at) => {
      const [, one, two] = body.children[at].children;
      if (one.textContent !== here) one.textContent = here;
      if (two.textContent !== there) two.textContent = there;
    });
  }

  /// `ahead`: how far this machine's clock is before the cabin's, ms.
  #incidents(incidents, ahead) {
    $("incidents-empty").hidden = incidents.length > 0;
    $("incidents-table").hidden = incidents.length === 0;
    this.#workbench.count("line", incidents.filter((incident) => !incident.ended_at).length);
    $("incidents").replaceChildren(...incidents.map(({ kind, device, started_at, ended_at }) => node("tr", {},
      node("td", { textContent: word("incident", kind) + (device ? ` : ${word(kind === "without_device" ? "device_class" : "measurement", device)}` : "") }),
      node("td", { textContent: time(started_at + ahead) }),
      node("td", { textContent: ended_at ? time(ended_at + ahead) : "en cours" }))));
  }
}
