"""Our image beside the same Debian with cage and Chromium, started one after the other: `image/kiosk/compare`.

Runs in the tools tree. For each: from power to the first picture that can be touched, at the first start (which makes the
other slot and the encrypted disk) and at a second one; memory used half a minute later; size on disk; size of an update.
"""

import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, "/w/test")
from image_test import OPEN_BUTTON, difference, seen, up  # noqa: E402
from machine import Machine  # noqa: E402
from PIL import Image  # noqa: E402

# In the middle of the page's button, which makes the page blue.
PAGE_BUTTON = (256, 500)
AIMS = [("first start to screen", 0.5, "s"), ("power to screen", 0.5, "s"), ("memory used", 0.3, "MiB"), ("size on disk", 0.5, "MiB"), ("size of an update", 0.5, "MiB")]


def coloured(picture, colour):
    """The share of the picture that has this colour, or nearly."""
    small = picture.resize((64, 40), Image.Resampling.NEAREST)
    near = [all(abs(a - b) < 24 for a, b in zip(point, colour)) for point in small.getdata()]
    return sum(near) / len(near)


def is_cabin(machine):
    expected = Image.open("/w/test/expected_closed.png").convert("RGB")
    return difference(seen(machine), expected) < 0.002


def is_touched_cabin(machine):
    return not is_cabin(machine) and coloured(seen(machine), (0, 0, 0)) < 0.5


def is_page(machine):
    return coloured(seen(machine), (0, 160, 0)) > 0.6


def is_touched_page(machine):
    return coloured(seen(machine), (0, 0, 160)) > 0.6


def screen_after(machine, shown, seconds=1500):
    until = time.monotonic() + seconds
    while not shown(machine):
        assert time.monotonic() < until, f"no screen within {seconds} s: {machine.folder}/seen.png"
        time.sleep(0.5)
    return time.monotonic() - machine.started_at


def measured(name, image, update, shown, button, touched):
    run = Path(f"/w/run_{name}")
    shutil.rmtree(run, ignore_errors=True)
    found = []
    with Machine(run, image) as machine:
        for start in ["first start", "second start"]:
            machine.start()
            found.append(screen_after(machine, shown))
            machine.touch(*button)
            until = time.monotonic() + 60
            while not touched(machine):
                assert time.monotonic() < until, f"a finger changes nothing: {run}/seen.png"
                time.sleep(0.2)
            print(f"{name}, {start}: {found[-1]:.0f} s from power, and it hears a finger", flush=True)
            machine.until_shell(300)
            if start == "second start":
                time.sleep(30)
                total, available = (int(word) for word in machine.ask(
                    "sed -nE 's/^Mem(Total|Available): *([0-9]+).*/\\2/p' /proc/meminfo").split())
                found.append((total - available) / 1024)
            machine.serial.sendall(b"\nsystemctl poweroff\n")
            machine.qemu.wait(300)
            machine.cut_power()
    shutil.rmtree(run)
    found.append(image.stat().st_blocks * 512 / 2**20)
    found.append(sum(file.stat().st_size for file in update.iterdir()) / 2**20)
    return found


def main():
    folder = Path("/w")
    ours = measured("ours", folder / "telecabine_1.raw", folder / "releases/1", is_cabin, OPEN_BUTTON, is_touched_cabin)
    theirs = measured("kiosk", folder / "kiosk.raw", folder / "kiosk_release", is_page, PAGE_BUTTON, is_touched_page)
    print(f"{'':24}{'ours':>10}{'Chromium':>10}{'ratio':>8}{'aim':>6}")
    for (what, aim, unit), one, other in zip(AIMS, ours, theirs):
        print(f"{what:24}{one:>6.0f} {unit:3}{other:>6.0f} {unit:3}{one / other:>8.2f}{aim:>6}{'' if one / other <= aim else '   NOT MET'}")


if __name__ == "__main__":
    main()
