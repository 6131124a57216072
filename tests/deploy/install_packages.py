#!/usr/bin/env python3
"""Installs the Debian packages in a debootstrapped system, boots it, and asks the service for a picture; then removes them.

    install_packages.py <folder of the packages> <work folder> [--base <debootstrapped root with systemd>]

Root, systemd-nspawn (systemd-container) and a network for Debian's packages. The booted system has no network: systemd starts the
service as its unit says, with a user of its own and what the unit takes away.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

INCLUDE = "systemd,systemd-sysv,dbus,ca-certificates,bash-completion"
UNIT = """[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sh -eux /check.sh > /result 2>&1'
[Install]
WantedBy=default.target
"""
CHECK = r"""
trap 'test $? -eq 0 || journalctl --no-pager -u stepcast' EXIT
systemctl is-enabled stepcast
stepcast health --wait 300
systemctl is-active stepcast
test "$(stat -c %u /proc/$(systemctl show --value -p MainPID stepcast))" -ge 61184  # of systemd's users that come and go
stepcast generate "a red apple" --seed 7 -o /tmp/apple.png
test -s /tmp/apple.png
systemctl restart stepcast
stepcast health --wait 300
test -s /var/cache/stepcast/costs
systemctl stop stepcast
test "$(systemctl show --value -p Result stepcast)" = success
echo "models: []" > /etc/stepcast/config.yaml
systemctl start stepcast || true
sleep 1
test "$(systemctl show --value -p ExecMainStatus stepcast)" -ge 2
echo "result: started, painted, kept its costs, restarted, stopped; a mistake in the configuration is not tried again"
"""
PURGE = "apt-get purge -y -qq stepcast-server stepcast && ! ls /etc/stepcast /usr/lib/stepcast /var/cache/stepcast 2> /dev/null"


def inside(root, command):
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-ec",
                    'mount -t proc proc "$1/proc"; exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive sh -ec "$2"',
                    "sh", root, command], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--base", type=pathlib.Path)
    options = parser.parse_args()
    if options.work.exists():
        parser.error(f"{options.work} exists: give a new folder")
    options.work.mkdir(parents=True)
    root = options.work.resolve() / "root"
    if options.base is not None:
        subprocess.run(["cp", "-a", options.base, root], check=True)
    else:
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={INCLUDE}", "bookworm", root], check=True, stdout=subprocess.DEVNULL)
    for path in options.packages.glob("*.deb"):
        shutil.copy(path, root / "tmp")
    inside(root, "apt-get update -qq && apt-get install -y -qq --no-install-recommends /tmp/stepcast*.deb > /dev/null && rm /tmp/stepcast*.deb")
    (root / "check.sh").write_text(CHECK)
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")  # an installer writes it
    (root / "etc" / "systemd" / "system" / "check.service").write_text(UNIT)
    inside(root, "systemctl enable check.service")
    subprocess.run(["systemd-nspawn", "--quiet", "--directory", root, "--boot", "--private-network", "--register=no", "--keep-unit"],
                   stdin=subprocess.DEVNULL, stdout=open(options.work / "boot.log", "w"), stderr=subprocess.STDOUT, check=False)
    result = (root / "result").read_text() if (root / "result").exists() else (options.work / "boot.log").read_text()
    print(result[-3000:])
    # The last lines are what the shell tells of its trap.
    if not any(line.startswith("result: ") for line in result.splitlines()):
        return 1
    inside(root, PURGE)
    print("result: removed without a trace")
    return 0


if __name__ == "__main__":
    sys.exit(main())
