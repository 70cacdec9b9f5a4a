// The physician's own camera and microphone. Without a camera the call goes on, and the page says so.

export async function openMedia() {
  const wanted = { video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } }, audio: { echoCancellation: true, noiseSuppression: true } };
  try {
    return { stream: await navigator.mediaDevices.getUserMedia(wanted), missing: "" };
  } catch {
    // One of the two may be absent or refused: keep the other.
  }
  for (const [part, missing] of [[{ audio: wanted.audio }, "votre caméra"], [{ video: wanted.video }, "votre micro"]]) {
    try {
      return { stream: await navigator.mediaDevices.getUserMedia(part), missing };
    } catch {
      // Try the next.
    }
  }
  return { stream: new MediaStream(), missing: "votre caméra et votre micro" };
}
