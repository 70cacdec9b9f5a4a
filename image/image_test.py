"""Starts the image that `image/make` left and tries what a cabin must do: `image/image_test.py FOLDER [PART]`.

Runs in the tools tree (image/test), in a network of its own. Parts, in their order: boot, update, stick, never_draws, panics,
hangs, loses, rots, tampered, cut. Each says what it saw. All but `boot` start from the cabin as `boot` left it, installed and
switched off, and need a second release beside the image: `image/make` twice, with RELEASE=1 and RELEASE=2.
"""

import functools
import io
import http.server
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from PIL import Image, ImageChops

sys.path.insert(0, str(Path(__file__).parent))
from machine import FIRMWARE, Late, Machine, Restarted  # noqa: E402

# "Ouvrir la cabine", on a display of 1280x800.
OPEN_BUTTON = (197, 483)
EXPOSURE_MAX = {"cabin.service": 1.7, "cabin-outbox.service": 1.2}


def say(*words):
    print(f"[{time.monotonic() - STARTED:6.0f} s]", *words, flush=True)


def boots_into_the_cabin(machine):
    machine.until_shell(900)
    say("a shell answers", f"{time.monotonic() - machine.started_at:.0f} s after power")
    machine.until("systemctl is-active cabin.service telecabine.target", 600)
    since = time.monotonic() - machine.started_at
    booted = machine.ask("systemctl show --property ActiveEnterTimestampMonotonic --value cabin.service")
    say(f"first picture {int(booted) / 1e6:.1f} s after the kernel's start, {since:.0f} s after power (upper bound)")
    machine.until("systemctl show --property SystemState | grep -qE 'running|degraded'", 300)
    failed = machine.ask("systemctl list-units --failed --no-legend --plain || true")
    assert not failed, f"units failed:\n{failed}\n" + machine.ask("journalctl -b -p warning --no-pager | tail -n 80", 120)
    say("no unit failed;", machine.ask("systemctl is-system-running"))


def difference(one, other):
    """Of two pictures, the share of points that nobody would call the same colour."""
    if one.size != other.size:
        return 1.0
    furthest = functools.reduce(ImageChops.lighter, ImageChops.difference(one, other).split())
    return sum(furthest.histogram()[33:]) / (one.size[0] * one.size[1])


def seen(machine):
    return Image.open(io.BytesIO(machine.picture(machine.folder / "seen.png").read_bytes())).convert("RGB")


def shows_a_closed_cabin_that_hears_touch(machine):
    """The picture is the one that a person looked at (expected_closed.png), and a finger on its button changes it."""
    expected = Image.open(Path(__file__).parent / "expected_closed.png").convert("RGB")
    until = time.monotonic() + 120
    while (differs := difference(seen(machine), expected)) > 0.002:
        assert time.monotonic() < until, f"{differs:.1%} of the picture is not as expected: {machine.folder}/seen.png"
        time.sleep(2)
    say(f"the closed cabin is shown, {differs:.2%} of it otherwise than expected")
    began = time.monotonic()
    machine.touch(*OPEN_BUTTON)
    while difference(seen(machine), expected) < 0.02:
        assert time.monotonic() < began + 60, "a finger on the button changed nothing"
    machine.picture(machine.folder.parent / "boot_touched.png")
    say(f"a finger on its button changes it within {time.monotonic() - began:.1f} s")


def is_closed_against_change(machine):
    variable = machine.ask("od -An -t u1 -j 4 -N 1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
    assert variable.strip() == "1", f"Secure Boot is off: {variable}"
    said, status = machine.run("touch /etc/x /usr/x")
    assert status != 0 and said.count("Read-only file system") == 2, said
    said = machine.ask("dmsetup table root; dmsetup status root")
    assert " verity " in f" {said} " and said.rstrip().endswith("V"), said
    said = machine.ask("dmsetup table data; cryptsetup luksDump /dev/disk/by-partlabel/cabin-data", 120)
    assert " crypt " in said and "systemd-tpm2" in said, said
    assert machine.ask("findmnt -n -o SOURCE /var") == "/dev/mapper/data"
    assert machine.ask("cat /proc/sys/kernel/core_pattern") == "|/bin/false"
    say("Secure Boot is on, / is read-only and verified, /var is encrypted with the TPM, no core files")


def is_hardened_and_small(machine):
    for unit, most in EXPOSURE_MAX.items():
        said = machine.ask(f"systemd-analyze security --no-pager {unit} | tail -n 1", 180)
        exposure = float(re.search(r": ([0-9.]+) ", said).group(1))
        assert exposure <= most, said
        memory = int(machine.ask(f"systemctl show --property MemoryCurrent --value {unit}"))
        say(f"{unit}: exposure {exposure}, {memory / 1e6:.0f} MB")
    total, available = (int(word) for word in machine.ask("sed -nE 's/^Mem(Total|Available): *([0-9]+).*/\\2/p' /proc/meminfo").split())
    say(f"memory used {(total - available) / 1024:.0f} MiB of {total / 1024:.0f}")
    listening = machine.ask("ss -Hlntu || true")
    # What asks for this machine's address is no door.
    outside = [line for line in listening.splitlines() if not re.search(r"\s(127\.|\[::1\]|\S*%lo|\S+:(68|546)\s)", line)]
    assert not outside, outside
    say("nothing listens beyond this machine")
    rules = machine.ask("nft list ruleset")
    assert "hook input priority filter; policy drop" in rules, rules
    users = machine.ask("for unit in cabin cabin-outbox; do stat -c %U /proc/$(systemctl show -p MainPID --value $unit.service); done")
    assert users.split() == ["cabin", "cabin-outbox"], users
    watched = machine.ask("systemctl show --property WatchdogUSec,RuntimeWatchdogUSec; ls /dev/watchdog*")
    say("watchdog:", watched.replace("\n", " "))


# --- updates: from release 1 to release 2, which FOLDER/releases/2 holds ---

def served(folder):
    """A web server on port 80 of this test's own network, as any other: it knows nothing of releases."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def release_of(machine):
    return machine.ask(". /etc/os-release; echo $IMAGE_VERSION")


def kernels(machine):
    machine.until("bootctl --print-boot-path", 600)
    return machine.ask("ls $(bootctl --print-boot-path)/EFI/Linux").split()


def installs(machine, seconds=1800):
    """Tells the cabin where releases are and starts what its timer starts; it restarts by itself."""
    machine.ask("echo http://10.0.2.2/ >/var/lib/telecabine/releases")
    machine.ask("systemctl start --no-block cabin-update.service")
    try:
        machine.until("! systemctl is-active cabin-update.service | grep -q activating && sleep 5", seconds)
        said = machine.ask("journalctl -b -u cabin-update --no-pager -o cat | tail -n 20")
        # A machine that goes down takes its journal and this question with it.
        if said and "starting anew into release" not in said:
            return said
        wait_for_restart(machine)
    except Restarted:
        pass
    return None


def up(machine, seconds=900):
    machine.until_shell(seconds)
    machine.until("systemctl is-active cabin.service cabin-outbox.service", 600)


def updates_and_is_called_good(machine):
    machine.start()
    up(machine)
    assert release_of(machine) == "1", release_of(machine)
    began = time.monotonic()
    said = installs(machine)
    assert said is None, f"it did not restart:\n{said}"
    say(f"installed in {time.monotonic() - began:.0f} s, restarts")
    up(machine)
    assert release_of(machine) == "2", release_of(machine)
    machine.until("ls $(bootctl --print-boot-path)/EFI/Linux | grep -qx telecabine_2.efi", 600)
    say("release 2 runs and is called good;", *kernels(machine))
    say(machine.ask("/usr/lib/telecabine/cabinctl release"))


def updates_from_a_stick(machine):
    """Nobody types anything: a stick of that name is plugged in, and its release is installed and called good."""
    stick = machine.folder / "stick.img"
    release = machine.folder.parent / "releases/2"
    kilobytes = sum(file.stat().st_size for file in release.iterdir()) // 1024 + 64 * 1024
    subprocess.run(["mkfs.vfat", "-n", "TELECABINE", "-C", str(stick), str(kilobytes)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mcopy", "-i", str(stick), *map(str, release.iterdir()), "::"], check=True)
    machine.start()
    up(machine)
    machine.qmp.do("blockdev-add", **{"driver": "raw", "node-name": "stick", "read-only": True,
                                      "file": {"driver": "file", "filename": str(stick)}})
    machine.qmp.do("device_add", driver="usb-storage", id="stick", bus="usb.0", drive="stick")
    began = time.monotonic()
    try:
        machine.until("systemctl is-active cabin-update.service | grep -q activating", 60)
        machine.until("! systemctl is-active cabin-update.service | grep -q activating && sleep 5", 1800)
        raise AssertionError(machine.ask("journalctl -b -u cabin-update -u 'cabin-stick@*' --no-pager -o cat | tail -n 20"))
    except Restarted:
        say(f"installed from the stick in {time.monotonic() - began:.0f} s, restarts")
    up(machine)
    machine.until("ls $(bootctl --print-boot-path)/EFI/Linux | grep -qx telecabine_2.efi", 600)
    assert release_of(machine) == "2", release_of(machine)
    said = machine.ask("grep ' /run/telecabine/stick ' /proc/mounts")
    assert " ro," in said and "nosuid,nodev,noexec" in said, said
    say("release 2 runs and is called good;", *kernels(machine))


def bad(unit):
    """A release that is good but for what this unit does to it, in release 2 only."""
    text = "[Unit]\nDefaultDependencies=no\nConditionOSRelease=IMAGE_VERSION=2\n" + unit
    return {"systemd.extra-unit.bad.service": text,
            "systemd.unit-dropin.sysinit.target": "[Unit]\nWants=test-shell.service bad.service\n"}


def comes_back(machine, unit, reason):
    machine.start(credentials=bad(unit))
    up(machine)
    said = installs(machine)
    assert said is None, f"it did not restart:\n{said}"
    is_back(machine, reason)


def is_back(machine, reason):
    """Waits until release 1 runs again, which nobody asked for, and says why release 2 was left."""
    began = time.monotonic()
    while True:
        machine.until_shell(1800)
        try:
            if release_of(machine) == "1":
                break
            say("release 2 has started;", *kernels(machine))
            wait_for_restart(machine)
        except Restarted:
            say("it started anew")
        except Late:
            say("it answers no more")
    machine.until("systemctl is-active cabin.service cabin-outbox.service", 600)
    say(f"release 1 is back by itself after {time.monotonic() - began:.0f} s;", *kernels(machine))
    said = machine.ask("/usr/lib/telecabine/cabinctl release")
    say(said)
    assert "left again    2: " in said and reason in said, said
    said = installs(machine)
    assert said is not None and ("failed here" in said or "no newer" in said), said
    say("it is not installed a second time:", said.splitlines()[-1])


def wait_for_restart(machine, seconds=1800):
    """Until the firmware speaks again on the serial line."""
    heard, until = "", time.monotonic() + seconds
    while FIRMWARE not in heard:
        assert time.monotonic() < until, f"no restart within {seconds} s\n{heard[-500:]}"
        machine.serial.settimeout(10)
        try:
            heard += machine.serial.recv(65536).decode(errors="replace")
        except TimeoutError:
            pass


def a_release_that_never_draws_comes_back(machine):
    comes_back(machine, """Before=cabin.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'printf "#!/bin/sh\\nexec sleep 3600\\n" >/run/dark; chmod 755 /run/dark; mount --bind /run/dark /usr/lib/telecabine/cabin'
""", "cabin.service is not ready")


def a_release_that_panics_comes_back(machine):
    comes_back(machine, """After=sysinit.target
[Service]
ExecStart=/bin/sh -c 'sleep 2; echo c >/proc/sysrq-trigger'
""", "it never came to its health check")


def a_release_that_loses_a_device_comes_back(machine):
    """An oximeter's line that was open under the release before, and that the new one's kernel does not show."""
    machine.start(more=machine.plug_in("oximeter"), credentials=bad("""Before=cabin.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mount --bind /dev/null $(modinfo -n ftdi_sio); rmmod ftdi_sio || true'
"""))
    up(machine)
    machine.ask("printf '\\n[[device]]\\nname = \"oxi\"\\nmodel = \"oximeter_nonin\"\\npath = \"/dev/ttyUSB0\"\\n' >>/var/lib/cabin/cabin.toml")
    machine.ask("systemctl restart cabin.service", 180)
    machine.until("systemctl show -p StatusText --value cabin.service | grep -q oxi", 120)
    say("before:", machine.ask("systemctl show -p StatusText --value cabin.service"))
    said = installs(machine)
    assert said is None, f"it did not restart:\n{said}"
    is_back(machine, "oxi answered the release before, and not this one")


def a_release_that_hangs_comes_back(machine):
    """The first process stands still for ever: nothing is started, nothing is found broken, nothing is restarted. Only the
    hardware's watchdog, which it no longer feeds, is left. (Loops of the highest priority are no hang any more: since
    Linux 6.12 everything else keeps a twentieth of each processor.)"""
    comes_back(machine, """After=sysinit.target
[Service]
ExecStart=/bin/sh -c 'sleep 2; kill -SEGV 1'
""", "it never came to its health check")


def a_release_whose_blocks_were_changed_comes_back(machine):
    """Whole when it was installed, and changed on the disk afterwards: no block is believed that the kernel's file does not
    prove."""
    machine.start()
    up(machine)
    # Everything but the start into it.
    machine.ask("mkdir -p /run/no && printf '#!/bin/sh\\n[ \"$1\" = reboot ] || exec /usr/bin/systemctl \"$@\"\\n' >/run/no/systemctl && chmod 755 /run/no/systemctl")
    machine.ask("echo http://10.0.2.2/ >/var/lib/telecabine/releases")
    say(machine.ask("PATH=/run/no:$PATH /usr/lib/telecabine/update", 1800).splitlines()[-1])
    machine.ask("head -c 4096 /dev/urandom | dd of=/dev/disk/by-partlabel/telecabine_2 bs=4096 conv=fsync status=none")
    machine.serial.sendall(b"\nsystemctl reboot\n")
    wait_for_restart(machine)
    is_back(machine, "it never came to its health check")


def what_was_changed_on_its_way_is_refused(machine):
    """A list of files that the operator did not sign, and a file that is not the one on the list."""
    folder = machine.folder.parent / "changed"
    for what in ["SHA256SUMS", "telecabine_2.efi"]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(machine.folder.parent / "releases/2", folder)
        content = bytearray((folder / what).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / what).write_bytes(content)
        SERVER.RequestHandlerClass = functools.partial(SERVER.RequestHandlerClass.func, directory=str(folder))
        if machine.qmp is None:
            machine.start()
            up(machine)
        said = installs(machine)
        assert said is not None and ("was refused" in said or "no newer" in said), said
        assert release_of(machine) == "1" and kernels(machine) == ["telecabine_1.efi"], kernels(machine)
        say(f"{what} with one bit changed is refused:", *[line for line in said.splitlines() if "rror" in line or "ailed" in line][:2])


def the_power_is_cut_while_it_installs(machine):
    """At a moment that nobody chose: one whole release starts, and the next night brings it to the newest."""
    cuts = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 30)
    chance = random.Random(seed)
    for n in range(cuts):
        machine.start()
        up(machine)
        if release_of(machine) == "2":
            # As it was installed: there is nothing newer to fetch for this one.
            machine.cut_power()
            restore(machine.folder.parent / "golden", machine.folder)
            machine.start()
            up(machine)
        machine.ask("echo http://10.0.2.2/ >/var/lib/telecabine/releases; systemctl start --no-block cabin-update.service")
        after = chance.uniform(1, 90)
        time.sleep(after)
        machine.cut_power()
        say(f"cut {n + 1} (seed {seed}): after {after:.0f} s")
    machine.start()
    up(machine)
    say("after the cuts: release", release_of(machine), *kernels(machine))
    if release_of(machine) == "1":
        said = installs(machine)
        assert said is None, said
        up(machine)
    assert release_of(machine) == "2", release_of(machine)
    say("the newest release is installed")


PARTS = {
    "boot": [boots_into_the_cabin, shows_a_closed_cabin_that_hears_touch, is_closed_against_change, is_hardened_and_small],
    "update": [updates_and_is_called_good],
    "stick": [updates_from_a_stick],
    "never_draws": [a_release_that_never_draws_comes_back],
    "panics": [a_release_that_panics_comes_back],
    "hangs": [a_release_that_hangs_comes_back],
    "loses": [a_release_that_loses_a_device_comes_back],
    "rots": [a_release_whose_blocks_were_changed_comes_back],
    "tampered": [what_was_changed_on_its_way_is_refused],
    "cut": [the_power_is_cut_while_it_installs],
}


def keep(machine, golden):
    """Switches it off as a person does, and keeps it for the other parts."""
    machine.serial.sendall(b"\nsystemctl poweroff\n")
    machine.qemu.wait(300)
    machine.cut_power()
    shutil.rmtree(golden, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", str(machine.folder), str(golden)], check=True)


def restore(golden, run):
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", str(golden), str(run)], check=True)


def main():
    global SERVER
    folder = Path(sys.argv[1])
    image, golden = folder / "telecabine_1.raw", folder / "golden"
    parts = [sys.argv[2]] if len(sys.argv) > 2 else list(PARTS)
    if not (image.exists() and (folder / "releases/2").is_dir()):
        image = sorted(folder.glob("telecabine_*.raw"))[-1]
        assert parts == list(PARTS) or parts == ["boot"], "two releases are needed: RELEASE=1 image/make; RELEASE=2 PROGRAMS=kept image/make"
        parts = ["boot"]
        say("SKIPPED, updates: they need two releases (RELEASE=1 image/make; RELEASE=2 PROGRAMS=kept image/make)")
    if any(part != "boot" for part in parts):
        SERVER = served(folder / "releases/2")
    for part in parts:
        say(f"--- {part}")
        # Each its own, so that two may be tried at once.
        run = folder / f"run_{part}"
        shutil.rmtree(run, ignore_errors=True)
        if part == "boot":
            machine = Machine(run, image)
        else:
            restore(golden, run)
            machine = Machine(run)
        with machine:
            try:
                if part == "boot":
                    machine.start()
                for step in PARTS[part]:
                    step(machine)
            finally:
                if machine.qmp is not None and machine.processes and machine.qemu.poll() is None:
                    machine.picture(folder / f"{part}.png")
            if part == "boot":
                keep(machine, golden)
        shutil.rmtree(run)
    say("as it should be")


if __name__ == "__main__":
    STARTED = time.monotonic()
    main()
