// Electrocardiograms as they arrive: blocks of the `ecg` channel while one is taken (layout in signal/ecg.rs), and a
// whole recording (PROTOCOL.md, `recordings`). Both in millivolts, row by row, NaN where there is none.

export const NAMES = ["", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
const HEADER_BYTES = 27;
const MISSING = -32768;
const FILE_HEADER_BYTES = 15;
const FILE_MARK = 0x45434731;
const FILE_MISSING = -2147483648;
/// What is kept of the one that is taken, to be looked at again: five minutes.
export const KEPT_S = 300;

/// Reads one block; null when it does not follow its layout.
export function readBlock(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < HEADER_BYTES || view.getUint8(0) !== 1) return null;
  const [shift, rate, rows, count] = [view.getUint8(1), view.getUint16(6, true), view.getUint16(24, true), view.getUint8(26)];
  const step = Number(view.getBigUint64(8, true));
  if (shift > 16 || !rate || rate > 2000 || !step || !rows || rows > 1000 || !count || count > 12) return null;
  if (view.byteLength !== HEADER_BYTES + count + 2 * rows * count) return null;
  const leads = [...new Uint8Array(buffer, HEADER_BYTES, count)];
  if (new Set(leads).size !== count || leads.some((lead) => !NAMES[lead])) return null;
  const samples = new Int16Array(rows * count);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(HEADER_BYTES + count + 2 * i, true);
  // Millivolts of one unit of a sample.
  const millivolts = (step * 2 ** shift) / 1e12;
  return { seq: view.getUint32(2, true), rate, t0: Number(view.getBigInt64(16, true)), leads, rows, samples, millivolts };
}

/// The one that is taken: a ring of its last minutes.
export class Live {
  leads; rate; rows = 0; lost = 0;
  #ring; #seq;

  constructor(block) {
    [this.leads, this.rate, this.#seq] = [block.leads, block.rate, block.seq - 1];
    this.#ring = new Float32Array(KEPT_S * block.rate * block.leads.length).fill(NaN);
  }

  /// Whether a block goes on from what came.
  continues(block) { return block.rate === this.rate && block.leads.join() === this.leads.join() && block.seq > this.#seq; }

  take(block) {
    this.lost += block.seq - this.#seq - 1;
    this.#seq = block.seq;
    let at = (this.rows * this.leads.length) % this.#ring.length;
    for (const sample of block.samples) {
      this.#ring[at] = sample === MISSING ? NaN : sample * block.millivolts;
      at = at + 1 === this.#ring.length ? 0 : at + 1;
    }
    this.rows += block.rows;
  }

  /// The oldest row that is still there.
  get oldest() { return Math.max(0, this.rows - this.#ring.length / this.leads.length); }

  value(row, place) {
    if (row < this.oldest || row >= this.rows) return NaN;
    return this.#ring[(row * this.leads.length + place) % this.#ring.length];
  }
}

/// A whole recording.
export class Recorded {
  leads; rate; rows; oldest = 0; lost = 0;
  #view; #from; #millivolts;

  /// Null when the bytes are none.
  static read(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < FILE_HEADER_BYTES || view.getUint32(0) !== FILE_MARK) return null;
    const count = view.getUint8(14), from = FILE_HEADER_BYTES + count, rate = view.getUint16(4, true);
    const leads = [...bytes.subarray(FILE_HEADER_BYTES, from)];
    const rows = (bytes.length - from) / (4 * count);
    if (!count || count > 12 || !rate || leads.length !== count || leads.some((lead) => !NAMES[lead]) || !Number.isInteger(rows)) return null;
    const made = new Recorded();
    [made.leads, made.rate, made.rows, made.#view, made.#from] = [leads, rate, rows, view, from];
    made.#millivolts = Number(view.getBigUint64(6, true)) / 1e12;
    return made;
  }

  value(row, place) {
    if (row < 0 || row >= this.rows) return NaN;
    const sample = this.#view.getInt32(this.#from + 4 * (row * this.leads.length + place), true);
    return sample === FILE_MISSING ? NaN : sample * this.#millivolts;
  }
}
