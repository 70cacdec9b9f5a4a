// Lips and words. Picture and voice are each given as soon as they are there: a line that is good then feels near. Only
// where the line makes the voice wait for long is the picture held back, so that lips and words stay together.

/// A voice up to 125 ms behind its picture is not noticed (ITU-R BT.1359-1); some of that is for what lies beyond the two
/// buffers that a browser tells of: the packet that must be full, the loudspeaker.
const VOICE_BEHIND_MS = 80;

export class Lips {
  #receivers = {};
  #former = {};

  /// The receiver of the cabin's picture or voice.
  take(receiver) {
    this.#receivers[receiver.track.kind] = receiver;
    delete this.#former[receiver.track.kind];
  }

  /// Takes the browser's reports of the connection (`getStats`), and holds back the picture by what is missing to the voice.
  read(reports) {
    const kept = this.#kept("audio", reports);
    const picture = this.#receivers.video;
    if (kept === null || !picture || !("jitterBufferTarget" in picture)) return;
    const hold = Math.round(kept - VOICE_BEHIND_MS);
    // 4 s is all that a browser takes.
    picture.jitterBufferTarget = hold > 0 ? Math.min(hold, 4000) : null;
  }

  /// How long what came last was kept before it was given, ms; null where nothing came.
  #kept(kind, reports) {
    const id = this.#receivers[kind]?.track.id;
    for (const report of reports.values()) {
      if (report.type !== "inbound-rtp" || report.trackIdentifier !== id) continue;
      const now = { seconds: report.jitterBufferDelay, given: report.jitterBufferEmittedCount };
      const former = this.#former[kind];
      this.#former[kind] = now;
      const given = now.given - former?.given;
      return given > 0 ? ((now.seconds - former.seconds) * 1000) / given : null;
    }
    return null;
  }
}
