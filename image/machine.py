"""A virtual cabin: the image in QEMU, with a TPM, Secure Boot, a touch screen and a watchdog, driven from outside.

No KVM, ever: where /dev/kvm opens, a stock guest may still die in it. What is tested is the shipped image byte for byte;
the root shell that looks around in it comes from outside, as a unit that the machine's firmware hands to systemd
(systemd.system-credentials(7), `systemd.extra-unit.*`), on the first serial line.
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

OVMF = Path("/usr/share/OVMF")
# What the firmware says when it starts a disk.
FIRMWARE = "BdsDxe: starting"
SHELL = """[Unit]
Description=The test's shell
DefaultDependencies=no
Conflicts=shutdown.target
# The first system, in memory, is handed the same units.
ConditionPathExists=!/etc/initrd-release
[Service]
ExecStart=/bin/sh -c 'echo TEST-SHELL; exec /bin/sh'
Restart=always
RestartSec=0
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TTYReset=yes
Environment=PS1= PS2= LC_ALL=C.UTF-8
"""


class Late(Exception):
    """What was waited for did not come."""


class Restarted(Exception):
    """The firmware speaks on the serial line: the machine has started anew."""


class Machine:
    """One machine with its disk and its firmware's memory; `folder` keeps both between starts."""

    def __init__(self, folder, image=None, secure_boot=True, memory_mb=3072, processors=2):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.disk = self.folder / "disk.raw"
        self.secure_boot, self.memory_mb, self.processors = secure_boot, memory_mb, processors
        self.processes, self.qmp, self.serial = [], None, None
        if image is not None:
            subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(image), str(self.disk)], check=True)
            os.truncate(self.disk, 8 << 30)
            # The disk grew: its table's second copy belongs at its new end.
            shutil.copy(OVMF / "OVMF_VARS_4M.fd", self.folder / "vars.fd")
            shutil.rmtree(self.folder / "tpm", ignore_errors=True)
        (self.folder / "tpm").mkdir(exist_ok=True)

    # --- on and off ---

    def start(self, more=(), credentials=None, command_line=""):
        """Switches it on. `credentials`: name to text; `command_line`: heeded without Secure Boot only."""
        for name in ["qmp", "serial", "swtpm", "qmp.sock", "serial.sock"]:
            (self.folder / name).unlink(missing_ok=True)
        self.started_at = time.monotonic()
        tpm = self.folder / "swtpm"
        self.processes.append(subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/tpm", "--ctrl", f"type=unixio,path={tpm}",
             "--terminate"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait(lambda: tpm.exists(), "swtpm", 10)
        given = {"systemd.extra-unit.test-shell.service": SHELL,
                 "systemd.unit-dropin.sysinit.target": "[Unit]\nWants=test-shell.service\n"} | (credentials or {})
        code = "OVMF_CODE_4M.secboot.fd" if self.secure_boot else "OVMF_CODE_4M.fd"
        arguments = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-M", "q35,smm=on" if self.secure_boot else "q35", "-smp", str(self.processors), "-m", str(self.memory_mb),
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF / code}",
            "-drive", f"if=pflash,unit=1,format=raw,file={self.folder}/vars.fd",
            "-drive", f"if=none,id=disk,file={self.disk},format=raw,cache=writeback,discard=unmap",
            "-device", "virtio-blk-pci,drive=disk,bootindex=0",
            "-chardev", f"socket,id=tpm,path={tpm}", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
            "-device", "tpm-crb,tpmdev=tpm0", "-device", "virtio-rng-pci",
            "-device", "virtio-gpu-pci,xres=1280,yres=800", "-display", "none",
            "-device", "virtio-multitouch-pci", "-device", "qemu-xhci,id=usb",
            "-device", "i6300esb", "-action", "watchdog=reset",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
            "-chardev", f"socket,id=serial,path={self.folder}/serial,server=on,wait=off,logfile={self.folder}/serial.log",
            "-serial", "chardev:serial", "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
            "-smbios", "type=1,uuid=5f3b1c1e-1111-4222-8333-abcdefabcdef",
        ]
        for name, text in given.items():
            value = base64.b64encode(text.encode()).decode()
            arguments += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={value}"]
        if command_line:
            arguments += ["-smbios", f"type=11,value=io.systemd.stub.kernel-cmdline-extra={command_line}"]
        log = open(self.folder / "qemu.log", "ab")
        self.qemu = subprocess.Popen(arguments + list(more), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(self.qemu)
        wait(lambda: (self.folder / "qmp").exists() or self.qemu.poll() is not None, "QEMU", 20)
        if self.qemu.poll() is not None:
            raise Late("QEMU did not start: " + (self.folder / "qemu.log").read_text()[-500:])
        self.qmp = Qmp(self.folder / "qmp")
        self.serial = socket.socket(socket.AF_UNIX)
        self.serial.connect(str(self.folder / "serial"))

    def plug_in(self, *devices):
        """Simulated devices of the project (`drivers/sim`), each behind an FTDI adapter of its own: what `start` needs more.
        The guest finds them as /dev/ttyUSB0 and so on, in this order. They live as long as the machine is on."""
        ports = self.folder / "devices"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        self.processes.append(subprocess.Popen(
            [Path(__file__).parent / "sim", "--dir", ports], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        wait(lambda: all((ports / device).exists() for device in devices), "the simulated devices", 20)
        more = []
        for number, device in enumerate(devices, 1):
            more += ["-chardev", f"serial,id={device},path={ports / device}",
                     "-device", f"usb-serial,chardev={device},bus=usb.0,port={number}"]
        return more

    def cut_power(self):
        """As if the plug were pulled: what the guest has not synced is lost with QEMU's own memory of it."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut_power()

    # --- looking around ---

    def run(self, command, seconds=60):
        """What a command of the guest prints, as root, and its exit status; `Late` when it takes longer."""
        if self.qemu.poll() is not None:
            raise Late(f"the machine is off; wanted: {command}")
        self.calls = getattr(self, "calls", 0) + 1
        # Broken up, so that the line's own echo is not taken for the answer.
        begin, end = f"<{self.calls}#", f"#{self.calls}>"
        line = f"\nstty -echo 2>/dev/null; echo '<'{self.calls}'#'; ( {command}\n) 2>&1; echo \"#\"{self.calls}\">$?.\"\n"
        self.serial.sendall(line.encode())
        heard, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            self.serial.settimeout(max(0.01, until - time.monotonic()))
            try:
                piece = self.serial.recv(65536)
            except TimeoutError:
                break
            if not piece:
                raise Late(f"the machine went off; wanted: {command}")
            heard += piece.decode(errors="replace").replace("\r", "")
            if FIRMWARE in heard:
                raise Restarted(command)
            found = re.search(re.escape(begin) + r"\n(.*?)" + re.escape(end) + r"(\d+)\.", heard, re.S)
            if found:
                return found.group(1).strip(), int(found.group(2))
        raise Late(f"no answer within {seconds} s to: {command}\n{heard[-800:]}")

    def ask(self, command, seconds=60):
        """The same, which must succeed."""
        said, status = self.run(command, seconds)
        assert status == 0, f"{command}: ended with {status}\n{said}"
        return said

    def until_shell(self, seconds=900):
        """Waits until the test's shell is there. Nothing is typed before: the firmware and the boot menu read it too."""
        heard, until = "", time.monotonic() + seconds
        while "TEST-SHELL" not in heard:
            if time.monotonic() > until or self.qemu.poll() is not None:
                raise Late(f"no shell within {seconds} s\n{heard[-500:]}")
            self.serial.settimeout(5)
            try:
                heard += self.serial.recv(65536).decode(errors="replace")
            except TimeoutError:
                pass
        self.run("true", 60)

    def until(self, command, seconds):
        """Waits until a command of the guest succeeds."""
        until, said = time.monotonic() + seconds, ""
        while time.monotonic() < until:
            said, status = self.run(command, max(30, seconds / 4))
            if status == 0:
                return said
            time.sleep(1)
        raise Late(f"not within {seconds} s: {command}\n{said}")

    def picture(self, file):
        """What is on the display, as PNG."""
        self.qmp.do("screendump", filename=str(file), format="png")
        return file

    def touch(self, x, y, width=1280, height=800):
        """One finger, for a moment, at a point of the display."""
        at = lambda value, most: int(value / most * 32767)
        finger = lambda kind, tracking, axis="x", value=0: {
            "type": "mtt", "data": {"type": kind, "slot": 0, "tracking-id": tracking, "axis": axis, "value": value}}
        button = lambda down: {"type": "btn", "data": {"down": down, "button": "touch"}}
        self.qmp.do("input-send-event", events=[
            finger("begin", 1), button(True), finger("data", 1, "x", at(x, width)), finger("data", 1, "y", at(y, height))])
        time.sleep(0.15)
        self.qmp.do("input-send-event", events=[finger("end", -1), button(False)])


class Qmp:
    """QEMU's own control line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rw")
        self.lines.readline()
        self.events = []
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        """One command; its answer."""
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "event" in answer:
                self.events.append(answer["event"])
                continue
            assert "error" not in answer, answer
            return answer["return"]


def wait(done, what, seconds):
    """Waits for something of this machine."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(0.05)
