"""Starts the image that `image/make` left and tries what a cabin must do: `image/image_test.py FOLDER [PART]`.

Runs in the tools tree (image/test), in a network of its own. Parts, in their order: boot, update, never_draws, panics,
tampered, cut. Each says what it saw. All but `boot` start from the cabin as `boot` left it, installed and switched off, and
need a second release beside the image: `image/make` twice, with RELEASE=1 and RELEASE=2.
"""

import functools
import http.server
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import FIRMWARE, Late, Machine, Restarted  # noqa: E402

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
    outside = [line for line in listening.splitlines() if not re.search(r"\s(127\.|\[::1\]|.*%lo)", line)]
    say("what listens beyond this machine:", outside or "nothing")
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
    return machine.ask("ls $(bootctl --print-boot-path)/EFI/Linux").split()


def installs(machine, seconds=1800):
    """Tells the cabin where releases are and starts what its timer starts; it restarts by itself."""
    machine.ask("echo http://10.0.2.2/ >/var/lib/telecabine/releases")
    machine.ask("systemctl start --no-block cabin-update.service")
    try:
        machine.until("! systemctl is-active -q cabin-update.service && sleep 5", seconds)
        return machine.ask("journalctl -b -u cabin-update --no-pager -o cat | tail -n 20")
    except Restarted:
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
    "boot": [boots_into_the_cabin, is_closed_against_change, is_hardened_and_small],
    "update": [updates_and_is_called_good],
    "never_draws": [a_release_that_never_draws_comes_back],
    "panics": [a_release_that_panics_comes_back],
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
        run = folder / "run"
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
    say("as it should be")


if __name__ == "__main__":
    STARTED = time.monotonic()
    main()
