// What a sound is made of, from moment to moment: short pieces of it, each taken apart into its frequencies.

/// Samples of a piece: at 4 kHz an eighth of a second, eight hertz a line.
export const PIECE = 512;

/// Decibels below the loudest, column by column, `PIECE / 2` lines each; `every` samples from one column to the next.
export function spectrum(samples, every) {
  const columns = Math.max(0, Math.floor((samples.length - PIECE) / every) + 1);
  const half = PIECE / 2;
  const power = new Float32Array(columns * half);
  const [real, imaginary] = [new Float32Array(PIECE), new Float32Array(PIECE)];
  const hann = Float32Array.from({ length: PIECE }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / PIECE));
  let loudest = 1e-12;
  for (let column = 0; column < columns; column++) {
    for (let at = 0; at < PIECE; at++) real[at] = samples[column * every + at] * hann[at];
    imaginary.fill(0);
    transform(real, imaginary);
    for (let line = 0; line < half; line++) {
      const value = real[line] ** 2 + imaginary[line] ** 2;
      power[column * half + line] = value;
      if (value > loudest) loudest = value;
    }
  }
  return { columns, lines: half, decibels: power.map((value) => 10 * Math.log10(Math.max(value / loudest, 1e-12))) };
}

/// Cooley and Tukey, in place; the length is a power of two.
function transform(real, imaginary) {
  const length = real.length;
  for (let at = 1, other = 0; at < length; at++) {
    let bit = length >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) {
      [real[at], real[other]] = [real[other], real[at]];
      [imaginary[at], imaginary[other]] = [imaginary[other], imaginary[at]];
    }
  }
  for (let size = 2; size <= length; size *= 2) {
    const angle = (-2 * Math.PI) / size;
    for (let start = 0; start < length; start += size) {
      for (let at = 0; at < size / 2; at++) {
        const [cos, sin] = [Math.cos(angle * at), Math.sin(angle * at)];
        const [low, high] = [start + at, start + at + size / 2];
        const [x, y] = [real[high] * cos - imaginary[high] * sin, real[high] * sin + imaginary[high] * cos];
        [real[high], imaginary[high]] = [real[low] - x, imaginary[low] - y];
        [real[low], imaginary[low]] = [real[low] + x, imaginary[low] + y];
      }
    }
  }
}
